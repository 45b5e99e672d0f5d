"""Which inputs are committed, and which of them a new one repeats or continues."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from fastflow.identity import id_of_beginning, size_of
from fastflow.schema import INPUTS, Reduced
from fastflow.store.parquet import conformed, reading
from fastflow.store.table import Table

_COLUMNS = [
    "input",
    "supersedes",
    "part_of",
    "head",
    "status",
    "path",
    "size",
    "mtime_ns",
]
_TIMES = ["first_packet", "last_packet"]
_NO_ROWS = INPUTS.empty_table().select([*_COLUMNS, *_TIMES])
_RECORDED = ("complete", "truncated", "damaged", "rejected")

#: Path, size (bytes) and modification time (ns) of a file when it was read.
FileKey = tuple[str, int | None, int | None]


@dataclass
class Plan:
    """What a batch changes.

    Attributes
    ----------
    new : list of Reduced
        What is to be recorded, in the order given.
    superseded : dict
        For each new input that goes on where others ended, the ids of these.
    part_of : dict
        For each new input that a committed one begins with, the id of this.
    alarms : list of str
        What an operator must be told.
    """

    new: list[Reduced] = field(default_factory=list)
    superseded: dict[str, list[str]] = field(default_factory=dict)
    part_of: dict[str, str] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        """The ids of what is recorded."""
        return [reduced.record.input for reduced in self.new]

    @property
    def gone(self) -> set[str]:
        """The ids of inputs whose rows are not in the store after it."""
        olds = {old for olds in self.superseded.values() for old in olds}
        return olds | self.part_of.keys()


class Ledger:
    """The rows of `inputs` of one version of the table.

    An input that was refused does not stand in the way of the same bytes later: a
    newer fastflow may read them.
    """

    def __init__(self) -> None:
        self._version = -1
        self._read: dict[str, pa.Table] = {}
        self._compared: dict[tuple[str, str], bool | None] = {}
        self._clear()

    def _clear(self) -> None:
        self._status: dict[str, str] = {}
        self._file_of: dict[str, FileKey] = {}
        self._by_file: dict[FileKey, str] = {}
        self._by_path: dict[str, str] = {}
        self._by_head: dict[str, list[str]] = {}
        self._superseded: set[str] = set()

    def refresh(self, table: Table) -> None:
        """Read the files of `inputs` that the table gained; forget those it lost."""
        if table.version == self._version:
            return
        active = table.files("inputs")
        lost = [self._read.pop(path) for path in self._read.keys() - active]
        new = [path for path in active if path not in self._read]
        gained = [_read(local) for local in table.place.fetch(new)]
        self._read.update(zip(new, gained, strict=True))
        if lost and (rest := _without(gained, lost)) is not None:
            gained = rest
        elif lost:
            self._clear()
            gained = [*self._read.values()]
        for rows in gained:
            self._index(rows)
        self._version = table.version

    def _index(self, rows: pa.Table) -> None:
        columns = (rows[name].to_pylist() for name in _COLUMNS)
        for row in zip(*columns, strict=True):
            input_id, supersedes, part_of, head, status, *file = row
            if self._status.get(input_id, "rejected") != "rejected":
                continue  # a refusal never hides that the bytes were taken in
            self._status[input_id] = status
            key = self._file_of[input_id] = tuple(file)
            self._by_file[key] = input_id
            if status == "rejected":
                continue
            self._by_path[key[0]] = input_id
            if head is not None:
                self._by_head.setdefault(head, []).append(input_id)
            if part_of is not None:
                self._superseded.add(input_id)
            if supersedes is not None:
                self._superseded.update(supersedes.split())

    def status(self, input_id: str) -> str | None:
        """Return what became of an input; None: it was never recorded."""
        return self._status.get(input_id)

    def is_committed(self, input_id: str) -> bool:
        """Return whether an input's counts are in the store, or in those of another."""
        is_taken_in = self.status(input_id) not in {None, "rejected"}
        return is_taken_in or input_id in self._superseded

    def find_file(
        self, path: str, size: int | None, mtime_ns: int | None
    ) -> str | None:
        """Return the id of the committed input that a file held when it was read."""
        found = self._by_file.get((path, size, mtime_ns))
        return found if found is not None and self.is_committed(found) else None

    def sizes(self, head: str) -> list[int]:
        """Return the sizes of live inputs that begin with the same first packet.

        May be asked by any thread; `plan` asks again.
        """
        return [size_of(input_id) for input_id in self._alike(head)]

    def hours(self, input_ids: Iterable[str]) -> tuple[datetime, datetime] | None:
        """Return when the rows of inputs are, by whole days; None: it is not known."""
        wanted = pa.array(input_ids, pa.string())
        known = pa.concat_tables([_NO_ROWS, *self._read.values()])
        known = known.filter(pc.is_in(known["input"], wanted))
        first, last = (known[name] for name in _TIMES)
        if not known.num_rows or first.null_count or last.null_count:
            return None
        # A row of a day is of its midnight.
        day = pc.floor_temporal(pc.min(first), unit="day").as_py()
        return day, pc.max(last).as_py() + timedelta(microseconds=1)

    def alike(self) -> dict[str, str]:
        """Return the live inputs that begin with the packet of another, and paths."""
        groups = [self._alike(head) for head in self._by_head]
        found = [one for group in groups if len(group) > 1 for one in group]
        return {one: self._file_of[one][0] for one in found}

    def _alike(self, head: str | None) -> list[str]:
        alike = self._by_head.get(head or "", ())
        return [one for one in alike if one not in self._superseded]

    def plan(self, batch: Iterable[Reduced]) -> Plan:
        """Return what is to be stored of a batch, and what that supersedes."""
        plan = Plan()
        new: dict[str, Reduced] = {}
        for reduced in batch:
            if self._is_new(reduced):
                new.setdefault(reduced.record.input, reduced)
        plan.new += new.values()
        for reduced in plan.new:
            if (other := self._longer(reduced, plan)) is not None:
                plan.part_of[reduced.record.input] = other
        for reduced in plan.new:
            if olds := self._olds(reduced, plan):
                plan.superseded[reduced.record.input] = olds
        plan.alarms += [text for one in plan.new for text in self._strange(one, plan)]
        return plan

    def _is_new(self, reduced: Reduced) -> bool:
        record = reduced.record
        if record.status not in _RECORDED or self.is_committed(record.input):
            return False
        return record.status != self.status(record.input)

    def _longer(self, reduced: Reduced, plan: Plan) -> str | None:
        """Return the longer version of a capture that was committed before it."""
        own = reduced.record.input
        for other in self._alike(reduced.beginnings.head):
            if size_of(other) <= size_of(own):
                continue
            verdict = self._begins_with(other, self._file_of[other], own)
            if verdict:
                return other
            if verdict is None:
                plan.alarms.append(_unproved(reduced.record.path, own, other))
        return None

    def _olds(self, reduced: Reduced, plan: Plan) -> list[str]:
        """Return the inputs that end where a new one goes on, the shortest first."""
        record, beginnings = reduced.record, reduced.beginnings
        pending = [
            one.record.input
            for one in plan.new
            if one.beginnings.head == beginnings.head is not None
        ]
        olds = []
        for other in {*self._alike(beginnings.head), *pending}:
            n_bytes = size_of(other)
            if n_bytes >= size_of(record.input):
                continue
            if n_bytes in beginnings.ids:
                verdict: bool | None = beginnings.ids[n_bytes] == other
            else:
                file = (record.path, record.size, record.mtime_ns)
                verdict = self._begins_with(record.input, file, other)
            if verdict:
                olds.append(other)
            elif verdict is None:
                plan.alarms.append(_unproved(record.path, record.input, other))
        return sorted(olds, key=size_of)

    def _begins_with(self, whole: str, file: FileKey, beginning: str) -> bool | None:
        """Compare an input with another's beginning, which is read once more for it.

        None where it cannot be read.
        """
        if (whole, beginning) not in self._compared:
            found = None
            if _is_unchanged(file):
                found = id_of_beginning(file[0], size_of(beginning))
            verdict = None if found is None else found == beginning
            self._compared[whole, beginning] = verdict
        return self._compared[whole, beginning]

    def _strange(self, reduced: Reduced, plan: Plan) -> Iterator[str]:
        """Yield what an operator must know of a new input."""
        record = reduced.record
        other = self._by_path.get(record.path)
        olds = plan.superseded.get(record.input, [])
        if record.size is None or record.status == "rejected":
            return  # a pipe has other content every time
        if other is not None and other not in {*olds, *self._superseded}:
            yield (
                f"{record.path}: other content than when it was taken in as input "
                f"{other}; both are counted"
            )


def _read(path: Path) -> pa.Table:
    with reading(path) as file:
        return conformed(file.read(), INPUTS).select(_NO_ROWS.column_names)


def _without(gained: list[pa.Table], lost: list[pa.Table]) -> list[pa.Table] | None:
    """Return the rows that are new, where others only moved to another file.

    None if some are in no file any more.
    """
    moved = pa.concat_arrays([_keys(rows) for rows in lost])
    keys = [_keys(rows) for rows in gained]
    if not pc.all(pc.is_in(moved, pa.chunked_array(keys, pa.string()))).as_py():
        return None
    return [
        rows.filter(pc.invert(pc.is_in(key, moved)))
        for rows, key in zip(gained, keys, strict=True)
    ]


def _keys(rows: pa.Table) -> pa.Array:
    """Return what no two rows have in common: a capture may be refused at first."""
    columns = (rows[name].combine_chunks() for name in ("input", "status"))
    return pc.binary_join_element_wise(*columns, " ")


def _is_unchanged(file: FileKey) -> bool:
    path, *seen = file
    try:
        status = Path(path).stat()
    except OSError:
        return False
    return [status.st_size, status.st_mtime_ns] == seen


def _unproved(path: str, own: str, other: str) -> str:
    shorter, longer = sorted((own, other), key=size_of)
    return (
        f"{path}: begins with the same packet as input {other}, and whether {longer} "
        f"goes on where {shorter} ended cannot be read any more; both are counted"
    )
