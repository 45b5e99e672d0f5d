"""Writing the rows of a batch of inputs as Parquet files, one a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from fastflow.errors import InternalError
from fastflow.phases import NO_PHASES, Phases
from fastflow.schema import INPUTS, InputRecord, Reduced, RowReader
from fastflow.store.draft import Draft
from fastflow.store.durable import NewFile, os_errors
from fastflow.store.parquet import ROW_GROUP_ROWS, write_inputs, write_rows


@dataclass
class Totals:
    """What an input's rows in one file add up to."""

    record: InputRecord
    rows: int = 0
    packets: int = 0
    bytes: int = 0
    sources: int = 0
    in_bins: int = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in some rows, which must be of this input."""
        ids = batch["input"].dictionary.to_pylist()
        _expect(self.record, "inputs of its rows", ids, [self.record.input])
        self.rows += batch.num_rows
        self.packets += _total(batch, "packets")
        self.bytes += _total(batch, "bytes")
        self.sources += _total(batch, "sources")
        self.in_bins += _total(batch, "bin_packets")


def _total(batch: pa.RecordBatch, column: str) -> int:
    if column not in batch.schema.names:
        return 0
    values = batch[column]
    if pa.types.is_list(values.type):
        values = values.flatten()
    return pc.sum(values).as_py() or 0


def check(record: InputRecord, totals: Mapping[str, Totals]) -> None:
    """Check the conservation law of one input, in the tables that it has rows in.

    Raises
    ------
    InternalError
        Its counts do not add up to its records.
    """
    counted, counts = record.counted, totals["counts"]
    _expect(record, "records", record.records, counted + sum(record.uncounted.values()))
    _expect(record, "packets in counts", counts.packets, counted)
    if sources := totals.get("sources"):
        _expect(record, "packets in sources", sources.packets, counted)
        _expect(record, "source rows", sources.rows, counts.sources)
        _expect(record, "bytes in sources", sources.bytes, counts.bytes)
    if backscatter := totals.get("backscatter"):
        # Some packets of it do not tell their victim.
        most = min(backscatter.packets, counted)
        _expect(record, "packets in backscatter", backscatter.packets, most)
        in_bins = backscatter.in_bins
        _expect(record, "packets in bins", in_bins, backscatter.packets)


def _expect(record: InputRecord, what: str, found: object, expected: object) -> None:
    if found != expected:
        raise InternalError(
            f"{record.path}: {what}: {found}, expected {expected} "
            f"(input {record.input}); nothing was stored of it, please report this"
        )


@dataclass
class _Written:
    """A file under its hidden name: durable, and not yet to be seen by anybody."""

    kind: str
    new: NewFile
    stats: str
    totals: list[Totals]


def write_batch(
    draft: Draft,
    batch: Sequence[Reduced],
    kinds: Sequence[str],
    phases: Phases = NO_PHASES,
) -> None:
    """Write one durable Parquet file per table that has rows.

    The bytes depend on the inputs alone, not on their order, the time, or how their
    rows were counted.

    Parameters
    ----------
    draft : Draft
        Takes the files.
    batch : sequence of Reduced
        Without rows, if these are not to be stored.
    kinds : sequence of str
        The tables that are kept of `ROW_TABLES`.

    Raises
    ------
    InternalError
        An input's counts do not add up; no file stays.
    StoreError
        The store's directory cannot be written.
    """
    ordered = sorted(batch, key=lambda reduced: reduced.record.input)
    counted = [reduced for reduced in ordered if reduced.rows is not None]
    written: list[_Written] = []
    if any(reduced.n_cells for reduced in counted):
        news = {kind: draft.new_file(kind) for kind in kinds}
        # Encoding runs without the GIL, so that the files are made at the same time.
        with ThreadPoolExecutor(len(news)) as pool:
            written += pool.map(
                lambda kind: _write_rows(kind, news[kind], counted, phases), kinds
            )
    for number, one in enumerate(counted):
        of_one = {file.kind: file.totals[number] for file in written}
        totals = {kind: of_one.get(kind, Totals(one.record)) for kind in kinds}
        check(one.record, totals)
        if "backscatter" in totals:
            one.record.backscatter = totals["backscatter"].packets
    ids = [reduced.record.input for reduced in counted]
    for file in written:
        if any(total.rows for total in file.totals):  # else no victim answered
            draft.show(file.kind, file.new, ids, file.stats)
    _write_inputs(draft, [reduced.record for reduced in ordered])


def _write_rows(
    kind: str, new: NewFile, batch: Sequence[Reduced], phases: Phases
) -> _Written:
    """Write the rows of all inputs, one after the other."""
    totals = [Totals(reduced.record) for reduced in batch]
    row_groups = _row_groups(kind, batch, totals, phases)
    with phases.phase("publish"), os_errors(new.path.parent):
        stats = write_rows(new, kind, _one_ahead(row_groups))
    return _Written(kind, new, stats, totals)


def _write_inputs(draft: Draft, records: Sequence[InputRecord]) -> None:
    table = pa.Table.from_pylist([record.to_row() for record in records], schema=INPUTS)
    new = draft.new_file("inputs")
    with os_errors(new.path.parent):
        stats = write_inputs(new, table)
    draft.show("inputs", new, [record.input for record in records], stats)


def _row_groups(
    kind: str, batch: Sequence[Reduced], totals: Sequence[Totals], phases: Phases
) -> Iterator[pa.Table]:
    """Yield the rows of all inputs, a row group at a time, adding up each one's.

    In one chunk each, whose dictionaries are by first appearance: where the rows of one
    input end does not show.
    """
    pieces: list[pa.RecordBatch] = []
    room = ROW_GROUP_ROWS
    for reduced, total in zip(batch, totals, strict=True):
        if reduced.rows is None:
            continue  # for the type checker: those without rows were left out
        with phases.phase("roll up"):
            reader = reduced.rows.read(kind)
        while not reader.is_at_end:
            piece = _read(reader, room, phases)
            if piece.num_rows == 0:
                continue  # the end came with the last row, and its texts are no row's
            total.add(piece)
            pieces.append(piece)
            room -= piece.num_rows
            if room == 0:
                yield _joined(pieces)
                pieces, room = [], ROW_GROUP_ROWS
    if pieces:
        yield _joined(pieces)


def _one_ahead(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables while a thread makes the next one."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, tables, None)
        while (table := following.result()) is not None:
            following = pool.submit(next, tables, None)
            yield table


def _read(reader: RowReader, rows: int, phases: Phases) -> pa.RecordBatch:
    with phases.phase("roll up"):
        return reader.read(rows)


def _joined(pieces: Sequence[pa.RecordBatch]) -> pa.Table:
    table = pa.Table.from_batches(pieces)
    return table if len(pieces) == 1 else table.unify_dictionaries().combine_chunks()
