"""What is recorded of inputs, millions of them, in memory; one is found by a text.

Texts stay in Arrow. An index has the hash of each row's text and the row's number, 12
bytes; who asks compares the texts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fastflow.schema import INPUTS

_Hashes = npt.NDArray[np.int64]
_Numbers = npt.NDArray[np.int32]
_Pairs = tuple[_Hashes, _Numbers]

#: Path, size (bytes) and modification time (ns) of a file when it was read.
FileKey = tuple[str, int | None, int | None]

_FILE = ("path", "size", "mtime_ns")
_COLUMNS = ("input", *_FILE, "first_packet", "last_packet")
#: What stays in memory of a row.
_KEPT = pa.schema(
    [
        *map(INPUTS.field, _COLUMNS),
        pa.field("status", pa.dictionary(pa.int8(), pa.string())),
        pa.field("is_taken_in", pa.bool_()),
    ]
)
#: What is read of it.
READ = pa.schema(
    map(INPUTS.field, (*_COLUMNS, "status", "head", "supersedes", "part_of"))
)

#: In this process, and no other, always the same of a text.
_hash = hash

_NONE: _Pairs = np.empty(0, np.int64), np.empty(0, np.int32)
#: So many new hashes are kept apart from the others, which are seldom sorted again.
_NEW = 1 << 14


class Recorded:
    """The rows of `inputs`, which are only ever added to; any thread may ask.

    An input that was refused does not stand in the way of the same bytes later: a
    newer fastflow may read them.
    """

    def __init__(self) -> None:
        self._rows = _Rows()
        self._by_id = _Index()
        self._by_path = _Index()
        self._by_head = _Index()
        self._superseded: set[str] = set()

    def add(self, tables: Iterable[pa.Table]) -> None:
        """Add rows, with the columns of `READ`."""
        first = len(self._rows)
        added, of_heads, heads = [], [_NONE[0]], [_NONE[0]]
        for rows in tables:
            is_taken_in = pc.not_equal(rows["status"], "rejected")
            has_head = pc.and_(is_taken_in, pc.is_valid(rows["head"]))
            of_heads.append(_hashes(rows["head"].filter(has_head)))
            heads.append(np.flatnonzero(has_head) + len(self._rows))
            self._note_superseded(rows.filter(is_taken_in))
            kept = rows.append_column("is_taken_in", is_taken_in).select(_KEPT.names)
            added.append(_copied(kept.cast(_KEPT)))
            self._rows.add(added[-1])
        self._by_head.add(of_heads, np.concatenate(heads))
        numbers = np.arange(first, len(self._rows))
        self._by_id.add((_hashes(rows["input"]) for rows in added), numbers)
        self._by_path.add((_hashes(rows["path"]) for rows in added), numbers)

    def _note_superseded(self, rows: pa.Table) -> None:
        parts = rows["input"].filter(pc.is_valid(rows["part_of"]))
        self._superseded.update(parts.to_pylist())
        for olds in pc.drop_null(rows["supersedes"]).to_pylist():
            self._superseded.update(olds.split())

    def _row(self, input_id: str) -> int | None:
        """Return the row of an input; that of its refusal only if there is no other."""
        refusal = None
        for row in self._by_id.find(input_id):
            if self._rows.value("input", row) == input_id:
                if self._rows.value("is_taken_in", row):
                    return int(row)
                refusal = int(row)
        return refusal

    def value(self, input_id: str, column: str) -> Any:
        """Return what is recorded of an input; None: it was never recorded."""
        row = self._row(input_id)
        return None if row is None else self._rows.value(column, row)

    def file_of(self, input_id: str) -> FileKey:
        """Return the file that a recorded input was read from."""
        path, size, mtime_ns = (self.value(input_id, name) for name in _FILE)
        return path, size, mtime_ns

    def is_committed(self, input_id: str) -> bool:
        """Return whether an input's counts are in the store, or in those of another."""
        is_taken_in = self.value(input_id, "is_taken_in")
        return bool(is_taken_in) or input_id in self._superseded

    def is_superseded(self, input_id: str) -> bool:
        """Return whether an input's counts are in those of another."""
        return input_id in self._superseded

    def last_at(self, path: str) -> str | None:
        """Return the last input that was taken in from a path."""
        for row in self._by_path.find(path)[::-1]:
            is_taken_in, at = (
                self._rows.value(n, row) for n in ("is_taken_in", "path")
            )
            if is_taken_in and at == path:
                return str(self._rows.value("input", row))
        return None

    def alike(self, head: str) -> list[str]:
        """Return the live inputs that begin with the same first packet.

        They are found by 64 bits alone. That two packets have the same ones costs a
        comparison of captures, or a message that it cannot be made: that one goes on
        where another ended is never taken for granted.
        """
        return self._live(self._by_head.find(head))

    def all_alike(self) -> list[str]:
        """Return the live inputs that begin with the first packet of another."""
        of, rows = self._by_head.join()
        is_first = np.ones(len(of) + 1, np.bool_)
        is_first[1:-1] = of[1:] != of[:-1]
        begins = np.flatnonzero(is_first).tolist()
        groups = (
            self._live(rows[begin:end])
            for begin, end in pairwise(begins)
            if end - begin > 1
        )
        return [one for group in groups if len(group) > 1 for one in group]

    def _live(self, rows: _Numbers) -> list[str]:
        ids = dict.fromkeys(self._rows.value("input", row) for row in rows)
        return [one for one in ids if one not in self._superseded]

    def find_files(
        self,
        paths: Sequence[str],
        sizes: npt.NDArray[np.int64],
        times: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """Return the row of the committed input that each file held when it was read.

        Parameters
        ----------
        paths : sequence of str, UTF-8
            Of the files.
        sizes, times : array of int
            Their sizes (bytes) and modification times (ns); a negative size is that of
            no file.

        Returns
        -------
        array of int
            Numbers of rows; -1: the file has to be read.
        """
        of, numbers = self._by_path.join()
        texts = pa.array(paths, pa.string())
        wanted = _hashes(texts)
        found = np.full(len(paths), -1, np.int64)
        left = np.flatnonzero(sizes >= 0)
        at = np.searchsorted(of, wanted[left])
        # Each turn looks at the next row with the same hash, of those not yet found.
        while len(left):
            is_alike = np.zeros(len(left), np.bool_)
            inside = at < len(of)
            is_alike[inside] = of[at[inside]] == wanted[left[inside]]
            left, at = left[is_alike], at[is_alike]
            rows = numbers[at]
            is_it = self._have("size", rows, pa.array(sizes[left]))
            is_it &= self._have("mtime_ns", rows, pa.array(times[left]))
            is_it &= self._have("path", rows, texts.take(pa.array(left)))
            is_it[is_it] = self._are_committed(rows[is_it])
            found[left[is_it]] = rows[is_it]
            left, at = left[~is_it], at[~is_it] + 1
        return found

    def _have(
        self, column: str, rows: _Numbers, values: pa.Array
    ) -> npt.NDArray[np.bool_]:
        """Return whether rows have these values."""
        is_it = pc.fill_null(pc.equal(self._rows.take(column, rows), values), False)
        return np.asarray(is_it)

    def _are_committed(self, rows: _Numbers) -> npt.NDArray[np.bool_]:
        """Return whether the inputs of rows are committed."""
        is_it = np.array(self._rows.take("is_taken_in", rows))
        for nth in np.flatnonzero(~is_it):
            # The same bytes may have been taken in later, from another file.
            is_it[nth] = self.is_committed(self._rows.value("input", rows[nth]))
        return is_it

    def texts(self, column: str, rows: npt.NDArray[Any]) -> list[str]:
        """Return the ids (`input`) or paths (`path`) of rows."""
        return list(self._rows.take(column, rows).to_pylist())


class _Rows:
    """Rows of tables, numbered as they come."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._begins: list[int] = []
        self._n_rows = 0

    def __len__(self) -> int:
        return self._n_rows

    def add(self, rows: pa.Table) -> None:
        self._tables.append(rows)
        self._begins.append(self._n_rows)
        self._n_rows += rows.num_rows

    def value(self, name: str, number: int) -> Any:
        nth = bisect_right(self._begins, number) - 1
        return self._tables[nth][name][int(number) - self._begins[nth]].as_py()

    def take(self, name: str, numbers: npt.NDArray[Any]) -> pa.ChunkedArray:
        """Return what rows have in a column, table by table and not from one copy."""
        nth = np.searchsorted(self._begins, numbers, "right") - 1
        order = np.argsort(nth, kind="stable")
        which, begins = np.unique(nth[order], return_index=True)
        parts = np.split(numbers[order], begins[1:])
        pieces = [
            self._tables[table][name].take(pa.array(part - self._begins[table]))
            for table, part in zip(which, parts, strict=False)
        ]
        chunks = [chunk for piece in pieces for chunk in piece.chunks]
        found = pa.chunked_array(chunks, _KEPT.field(name).type)
        return found.take(pa.array(np.argsort(order)))


class _Index:
    """Numbers of rows by the hash of a text."""

    def __init__(self) -> None:
        self._old, self._new = _NONE, _NONE

    def add(self, of: Iterable[_Hashes], numbers: npt.NDArray[np.int64]) -> None:
        """Add rows, with higher numbers than those before."""
        added = np.concatenate([_NONE[0], *of]), numbers.astype(np.int32)
        self._new = _sorted(self._new, added)
        if len(self._new[0]) > _NEW:
            self.join()

    def join(self) -> _Pairs:
        """Return all hashes, sorted, and the number of the row of each."""
        if len(self._new[0]):
            # In this order, so that no thread misses a row; it may find one twice.
            self._old = _sorted(self._old, self._new)
            self._new = _NONE
        return self._old

    def find(self, text: str) -> _Numbers:
        """Return the numbers of rows whose text has the same hash, in their order."""
        wanted = np.int64(_hash(text))
        new, old = self._new, self._old
        found = []
        for of, numbers in (old, new):
            begin = np.searchsorted(of, wanted, "left")
            found.append(numbers[begin : np.searchsorted(of, wanted, "right")])
        return np.concatenate(found)


def _copied(rows: pa.Table) -> pa.Table:
    """Return a copy: buffers that were read hold much more than their rows need."""
    twice = pa.concat_tables([rows, rows.slice(0, 0)])
    return twice.combine_chunks(memory_pool=pa.system_memory_pool())


def _hashes(texts: pa.ChunkedArray | pa.Array) -> _Hashes:
    """Return the hash of each text."""
    return np.fromiter(map(_hash, texts.to_pylist()), np.int64, len(texts))


def _sorted(one: _Pairs, other: _Pairs) -> _Pairs:
    """Put rows together by their hashes; those with the same one stay in order."""
    of = np.concatenate([one[0], other[0]])
    order = np.argsort(of, kind="stable")
    return of[order], np.concatenate([one[1], other[1]])[order]
