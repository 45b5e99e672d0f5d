"""Columns side by side in one aligned Arrow buffer: laid out, filled natively, wrapped.

The arena belongs to Arrow; native code writes into it during a call. Slices of it
become the columns, which keep it alive.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_ALIGNMENT_BYTES = 64

#: Between columns. Rows of a power of two would otherwise put every column on the same
#: few cache sets, and a row-by-row writer would evict its own lines.
_STAGGER_BYTES = 5 * _ALIGNMENT_BYTES


@dataclass(frozen=True)
class Column:
    """Where a column lies in an arena; `valid_off` is None where it has no nulls."""

    name: str
    width_bytes: int
    value_off: int
    valid_off: int | None


class Arenas:
    """Arenas of one size; each is used again once Arrow has let go of it.

    New memory costs a page fault for each of its pages: what is dropped pays for it
    once, for what is kept numpy asks for huge pages. Used by several threads at once.

    Parameters
    ----------
    size_bytes : int
    n_kept : int
        The most that wait to be used again.
    """

    def __init__(self, size_bytes: int, n_kept: int) -> None:
        self.size_bytes = size_bytes
        self._free: deque[npt.NDArray[np.uint8]] = deque(maxlen=n_kept)

    def take(self) -> npt.NDArray[np.uint8]:
        """Return an arena, with whatever it holds."""
        try:
            memory = self._free.pop()
        except IndexError:
            memory = np.empty(self.size_bytes, np.uint8)
        arena = memory.view()  # lives as long as somebody holds a slice of it
        weakref.finalize(arena, _give_back, weakref.ref(self), memory).atexit = False
        return arena

    def give_back(self, memory: npt.NDArray[np.uint8]) -> None:
        """Keep memory that nobody uses any more."""
        self._free.append(memory)


def _give_back(arenas: weakref.ref[Arenas], memory: npt.NDArray[np.uint8]) -> None:
    if (owner := arenas()) is not None:
        owner.give_back(memory)


class Layout:
    """Byte offsets of columns of a fixed number of rows.

    Parameters
    ----------
    columns : sequence of (name, width in bytes, key of the validity bits or None)
        Columns with the same key share their bits.
    rows : int
        Capacity of every column.
    """

    def __init__(self, columns: Sequence[tuple[str, int, object]], rows: int) -> None:
        self.rows = rows
        self.size_bytes = 0
        self.valid: dict[object, int] = {}
        self.columns = []
        for name, width_bytes, key in columns:
            if key is not None and key not in self.valid:
                self.valid[key] = self._take((rows + 7) // 8)
            value_off = self._take(rows * width_bytes)
            valid_off = None if key is None else self.valid[key]
            self.columns.append(Column(name, width_bytes, value_off, valid_off))

    def _take(self, n_bytes: int) -> int:
        offset = self.size_bytes
        n_lines = -(-n_bytes // _ALIGNMENT_BYTES)
        self.size_bytes += n_lines * _ALIGNMENT_BYTES + _STAGGER_BYTES
        return offset

    def allocate(self, arenas: Arenas | None = None) -> tuple[pa.Buffer, memoryview]:
        """Return an arena, validity bits zeroed, and its writable bytes.

        A new one, or one of `arenas`, which are of this layout's size.
        """
        if arenas is None:
            arena = pa.allocate_buffer(self.size_bytes)
        else:
            arena = pa.py_buffer(arenas.take())
        view = memoryview(arena).cast("B")
        n_valid_bytes = (self.rows + 7) // 8
        for offset in self.valid.values():
            view[offset : offset + n_valid_bytes] = bytes(n_valid_bytes)
        return arena, view

    def wrap(
        self,
        arena: pa.Buffer,
        n_rows: int,
        types: Sequence[pa.DataType],
        dictionaries: Sequence[pa.Array | None],
    ) -> list[pa.Array]:
        """Return the arena's first n rows as Arrow arrays, copying nothing."""
        return [
            _wrap(arena, column, n_rows, kind, dictionary)
            for column, kind, dictionary in zip(
                self.columns, types, dictionaries, strict=True
            )
        ]


def _wrap(
    arena: pa.Buffer,
    column: Column,
    n_rows: int,
    kind: pa.DataType,
    dictionary: pa.Array | None,
) -> pa.Array:
    valid = None
    if column.valid_off is not None:
        valid = arena.slice(column.valid_off, (n_rows + 7) // 8)
    values = arena.slice(column.value_off, n_rows * column.width_bytes)
    if dictionary is None:
        return pa.Array.from_buffers(kind, n_rows, [valid, values])
    codes = pa.Array.from_buffers(kind.index_type, n_rows, [valid, values])
    return pa.DictionaryArray.from_arrays(codes, dictionary, safe=False)


def string_array(text: bytes, offsets: bytes) -> pa.Array:
    """Return strings from their bytes and int64 offsets, one more than strings."""
    starts = np.frombuffer(offsets, dtype=np.int64)
    n = len(starts) - 1
    if starts[-1] > np.iinfo(np.int32).max:
        wide = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
        return pa.Array.from_buffers(pa.large_string(), n, wide)
    narrow = [None, pa.py_buffer(starts.astype(np.int32)), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.string(), n, narrow)
