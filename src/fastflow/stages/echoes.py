"""Rows of `backscatter`: the cells of a victim's hour, put together into one row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fastflow import _rollup
from fastflow.schema import row_schema
from fastflow.stages.columns import BATCH_ROWS, constant, of_any_length, what_occurs

#: How many of a victim's ports a row keeps.
N_PORTS = 16

#: Slots 0 and 1 are sketches of half an hour; then come bins, and from here on ports.
_SKETCHES = 2
_PORT_SLOTS = 1 << 16
_BINS_PER_HOUR = 360
_SKETCH_BYTES = 24
_HOUR_US = 3_600_000_000
#: Cells that are read at a time, those of a victim's hour never apart.
_CELLS = 1 << 16

_SCHEMA = row_schema("backscatter")
_SHARED = ("src_port", "tcp_seq", "ip_ttl", "tcp_window")
_KEY = ("hour", "ip_version", "src")


class _Cells(Protocol):
    """Reads cells of echoes, in their order."""

    @property
    def is_at_end(self) -> bool: ...

    def read(self, rows: int) -> pa.RecordBatch: ...


class EchoReader:
    """Reads rows of `backscatter` from their beginning, some at a time.

    Parameters
    ----------
    cells : RowReader
        Of the grain `echoes`: bins and ports, those of a victim's hour side by side.
    constants : mapping of str to str
        Columns that have the same text in every row.
    """

    def __init__(self, cells: _Cells, constants: Mapping[str, str]) -> None:
        self._cells = cells
        self._constants = {name: pa.array([text]) for name, text in constants.items()}
        self._open: list[pa.Table] = []  # cells of a victim's hour that may go on
        self._rows = _SCHEMA.empty_table()

    @property
    def is_at_end(self) -> bool:
        """Whether no rows are left."""
        return not (self._rows.num_rows or self._open or not self._cells.is_at_end)

    def read(self, rows: int) -> pa.RecordBatch:
        """Return the next rows, at most so many; none at the end."""
        pieces, n_rows = [self._rows], self._rows.num_rows
        while n_rows < rows and (self._open or not self._cells.is_at_end):
            pieces.append(self._next())
            n_rows += pieces[-1].num_rows
        table = pa.concat_tables(pieces).unify_dictionaries()
        self._rows = table.slice(rows)
        return _batch(table.slice(0, rows))

    def table(self) -> pa.Table:
        """Return all rows that are left."""
        batches = []
        while not self.is_at_end:
            if (batch := self.read(BATCH_ROWS)).num_rows:
                batches.append(batch)
        return pa.Table.from_batches(batches, _SCHEMA)

    def _next(self) -> pa.Table:
        """Return the rows that the next cells complete."""
        if not self._cells.is_at_end:
            cells = self._cells.read(_CELLS)
            self._open.append(pa.Table.from_batches([cells]))
        cells = pa.concat_tables(self._open).unify_dictionaries().combine_chunks()
        starts = _starts(cells)
        if not self._cells.is_at_end and len(starts):
            self._open = [cells.slice(starts[-1])]
            cells, starts = cells.slice(0, starts[-1]), starts[:-1]
        else:
            self._open = []
        return _rows(cells, starts, self._constants)


def _starts(cells: pa.Table) -> npt.NDArray[np.int64]:
    """Return the first cell of each victim's hour."""
    n = cells.num_rows
    is_first = np.ones(n, np.bool_)
    for name in _KEY:
        column = cells[name].combine_chunks()
        values = _addresses(column) if name == "src" else column.to_numpy()
        is_first[1:] = (values[1:] != values[:-1]) | (is_first[1:] & (name != _KEY[0]))
    return np.flatnonzero(is_first)


def _addresses(column: pa.Array) -> npt.NDArray[np.void]:
    """Return addresses of 16 bytes as numpy values that can be compared."""
    data = np.frombuffer(column.buffers()[1], "V16")
    return data[column.offset : column.offset + len(column)]


def _rows(
    cells: pa.Table, starts: npt.NDArray[np.int64], constants: Mapping[str, pa.Array]
) -> pa.Table:
    """Return a row for each victim's hour; its sketches come first."""
    n_rows = len(starts)
    row_of = np.repeat(np.arange(n_rows), np.diff(starts, append=cells.num_rows))
    slot = cells["slot"].to_numpy()
    sketches = np.flatnonzero(slot < _SKETCHES)
    firsts = cells.take(pa.array(starts))
    columns = {name: firsts[name].combine_chunks() for name in firsts.column_names}
    columns["src"] = of_any_length(columns["src"])
    of_hour = columns["hour"].cast(pa.int64()).to_numpy() // _HOUR_US * _BINS_PER_HOUR
    offsets, bins, packets = _bins(cells, slot, starts, of_hour.astype(np.int32))
    columns["packets"] = _sums(packets, offsets[:-1])
    columns["bins"] = _lists(offsets, bins)
    columns["bin_packets"] = _lists(offsets, packets)
    columns["ports"] = _lists(*_ports(cells, slot, row_of, n_rows))
    for name in _SHARED:
        column = cells[name].take(pa.array(sketches)).combine_chunks()
        columns[name] = _shared(column, np.searchsorted(sketches, starts))
    for name, text in constants.items():
        columns[name] = constant(text, n_rows)
    return pa.Table.from_arrays([columns[n] for n in _SCHEMA.names], schema=_SCHEMA)


def _bins(
    cells: pa.Table,
    slot: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int64],
    first_bins: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return where the bins of each row begin, the bins in order, their packets."""
    offsets = np.empty(len(starts) + 1, np.int32)
    column = cells["sketch"].combine_chunks()
    begin = column.offset * _SKETCH_BYTES
    sketches = np.frombuffer(column.buffers()[1], np.uint8)[begin:]
    found = _rollup.echo_bins(
        slot.data,
        sketches[: len(column) * _SKETCH_BYTES].data,
        cells["packets"].to_numpy().data,
        starts.data,
        first_bins.data,
        offsets.data,
    )
    bins, packets = np.frombuffer(found[0], np.int32), np.frombuffer(found[1], np.int64)
    return offsets, bins[: offsets[-1]], packets[: offsets[-1]]


def _ports(
    cells: pa.Table,
    slot: npt.NDArray[np.int32],
    row_of: npt.NDArray[np.int64],
    n_rows: int,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return where the ports of each row begin, and the least ones in order."""
    of_sketch = cells["port"].combine_chunks()
    has_port = np.flatnonzero(pc.is_valid(of_sketch).to_numpy(False))
    others = np.flatnonzero(slot >= _PORT_SLOTS)
    rows = np.concatenate([row_of[has_port], row_of[others]])
    first_ports = pc.fill_null(of_sketch, 0).to_numpy()[has_port]
    ports = np.concatenate([first_ports, slot[others] - _PORT_SLOTS])
    keys = np.unique(rows * _PORT_SLOTS + ports)
    rows, ports = keys // _PORT_SLOTS, (keys % _PORT_SLOTS).astype(np.int32)
    place = np.arange(len(keys)) - np.searchsorted(rows, np.arange(n_rows))[rows]
    is_kept = place < N_PORTS
    offsets = np.zeros(n_rows + 1, np.int32)
    np.cumsum(np.bincount(rows[is_kept], minlength=n_rows), out=offsets[1:])
    return offsets, ports[is_kept]


def _sums(values: npt.NDArray[np.int64], starts: npt.NDArray[np.int32]) -> pa.Array:
    return pa.array(np.add.reduceat(values, starts) if len(starts) else values[:0])


def _lists(offsets: npt.NDArray[np.int32], values: npt.NDArray[np.number]) -> pa.Array:
    """Return a list for each row, whose values begin at its offset."""
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def _shared(column: pa.Array, starts: npt.NDArray[np.int64]) -> pa.Array:
    """Return the value that the elements of each group share; null: there is none."""
    if not len(starts):
        return column.slice(0, 0)
    is_valid = pc.is_valid(column).to_numpy(False).astype(np.int64)
    has_all = np.minimum.reduceat(is_valid, starts) == 1
    values = pc.fill_null(column, 0).to_numpy()
    least = np.minimum.reduceat(values, starts)
    is_shared = has_all & (least == np.maximum.reduceat(values, starts))
    return pa.array(np.where(is_shared, least, 0), column.type, mask=~is_shared)


def _batch(table: pa.Table) -> pa.RecordBatch:
    """Return rows as one batch whose dictionaries hold what occurs in it."""
    columns = []
    for field in table.schema:
        column = table[field.name].combine_chunks()
        if pa.types.is_dictionary(field.type):
            column = what_occurs(column)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)
