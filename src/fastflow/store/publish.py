"""Writing the rows of a batch of inputs as Parquet files, one a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from blake3 import blake3

from fastflow.errors import InternalError
from fastflow.phases import NO_PHASES, Phases
from fastflow.schema import (
    INPUTS,
    ROW_TABLES,
    SOURCES,
    InputRecord,
    Reduced,
    RowReader,
    row_schema,
)
from fastflow.store.durable import (
    durable_file,
    hidden_path,
    make_directory,
    os_errors,
    sync,
)
from fastflow.store.settings import Settings
from fastflow.store.table import PARTITION, DataFile

#: Columns with file statistics, so that a query opens the files of its hours only.
STATS_COLUMNS = ("hour", "sensor", "proto", "dst_port", "input")

#: Large enough for dictionaries to pay, small enough to hold two of them in memory.
ROW_GROUP_ROWS = 1 << 18

#: Bytes of a file that are read back at a time, for its name.
_HASHED_BYTES = 1 << 20

#: How a file of rows is encoded: texts by dictionaries, which arrive ready made,
#: numbers by their differences, addresses without what they share with a neighbour.
_TEXTS = [field.name for field in SOURCES if field.type == pa.string()]
_ROW_OPTIONS: dict[str, Any] = {
    "compression_level": 1,
    "use_dictionary": _TEXTS,
    "write_statistics": list(STATS_COLUMNS),
}
_ENCODINGS = {pa.binary(): "DELTA_BYTE_ARRAY"}
_INPUTS_OPTIONS: dict[str, Any] = {"compression_level": 3}


@dataclass
class Totals:
    """What an input's rows in one file add up to."""

    record: InputRecord
    rows: int = 0
    packets: int = 0
    bytes: int = 0
    sources: int = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in some rows, which must be of this input."""
        ids = batch["input"].dictionary.to_pylist()
        _expect(self.record, "inputs of its rows", ids, [self.record.input])
        self.rows += batch.num_rows
        self.packets += _total(batch, "packets")
        self.bytes += _total(batch, "bytes")
        self.sources += _total(batch, "sources")


def _total(batch: pa.RecordBatch, column: str) -> int:
    if column not in batch.schema.names:
        return 0
    return pc.sum(batch[column]).as_py() or 0


def check(record: InputRecord, counts: Totals, sources: Totals | None) -> None:
    """Check the conservation law of one input.

    Raises
    ------
    InternalError
        Its counts do not add up to its records.
    """
    counted = record.counted
    _expect(record, "records", record.records, counted + sum(record.uncounted.values()))
    _expect(record, "packets in counts", counts.packets, counted)
    if sources is not None:
        _expect(record, "packets in sources", sources.packets, counted)
        _expect(record, "source rows", sources.rows, counts.sources)
        _expect(record, "bytes in sources", sources.bytes, counts.bytes)


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
    path: Path
    stats: str
    totals: list[Totals]


def write_batch(
    root: Path,
    batch: Sequence[Reduced],
    settings: Settings,
    phases: Phases = NO_PHASES,
) -> list[DataFile]:
    """Write one durable Parquet file per table that has rows.

    The bytes depend on the inputs alone, not on their order, the time, or how their
    rows were counted.

    Raises
    ------
    InternalError
        An input's counts do not add up; no file stays.
    StoreError
        The store's directory cannot be written.
    """
    ordered = sorted(batch, key=lambda reduced: reduced.record.input)
    records = [reduced.record for reduced in ordered]
    stem = blake3("\n".join(r.input for r in records).encode()).hexdigest(length=16)
    kinds = list(ROW_TABLES) if settings.sources else ["counts"]
    if not any(reduced.n_cells for reduced in ordered):
        kinds = []
    with os_errors(root), ExitStack() as hidden:
        paths = {k: hidden.enter_context(_hidden(root, k)) for k in (*kinds, "inputs")}
        # Encoding runs without the GIL, so that the files are made at the same time.
        with ThreadPoolExecutor(len(paths)) as pool:
            jobs = [
                pool.submit(_write_rows, k, paths[k], ordered, phases) for k in kinds
            ]
            jobs.append(pool.submit(_write_inputs, paths["inputs"], records))
            written = [job.result() for job in jobs]
        _check_all(records, {file.kind: file.totals for file in written})
        return [_show(root, file, stem) for file in written]


def _check_all(
    records: Sequence[InputRecord], totals: Mapping[str, Sequence[Totals]]
) -> None:
    for i, record in enumerate(records):
        counts = totals["counts"][i] if "counts" in totals else Totals(record)
        check(record, counts, totals["sources"][i] if "sources" in totals else None)


@contextmanager
def _hidden(root: Path, kind: str) -> Iterator[Path]:
    directory = root / f"{PARTITION}={kind}"
    make_directory(directory)
    with hidden_path(directory) as path:
        yield path


def _write_rows(
    kind: str, path: Path, batch: Sequence[Reduced], phases: Phases
) -> _Written:
    """Write the rows of all inputs, one after the other."""
    totals = [Totals(reduced.record) for reduced in batch]
    schema = row_schema(kind)
    options = _ROW_OPTIONS | {
        "column_encoding": {
            field.name: _ENCODINGS.get(field.type, "DELTA_BINARY_PACKED")
            for field in schema
            if field.name not in _TEXTS
        }
    }
    row_groups = _row_groups(kind, batch, totals, phases)
    with phases.phase("publish"):
        stats = _write(path, schema, options, _one_ahead(row_groups))
    return _Written(kind, path, stats, totals)


def _write_inputs(path: Path, records: Sequence[InputRecord]) -> _Written:
    table = pa.Table.from_pylist([record.to_row() for record in records], schema=INPUTS)
    stats = _write(path, INPUTS, _INPUTS_OPTIONS, [table])
    return _Written("inputs", path, stats, [])


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
            continue
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


def _write(
    path: Path, schema: pa.Schema, options: dict[str, Any], tables: Iterable[pa.Table]
) -> str:
    """Write tables as row groups of one durable file; return its Delta statistics."""
    stats = _Stats()
    with (
        durable_file(path) as file,
        pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            write_page_checksum=True,
            # Not the Arrow schema: its bytes differ between pyarrow versions, and
            # Parquet's own types say everything.
            store_schema=False,
            **options,
        ) as writer,
    ):
        for table in tables:
            stats.add(table)
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
    return stats.to_json()


def _hash(path: Path) -> str:
    """Return a hash of a file's bytes, which may be many more than memory holds."""
    digest = blake3()
    with path.open("rb") as file:
        while block := file.read(_HASHED_BYTES):
            digest.update(block)
    return digest.hexdigest(length=8)


def _show(root: Path, written: _Written, stem: str) -> DataFile:
    """Give a file its name, for good."""
    # The ids say which inputs; the content keeps a twin that was reduced with another
    # country table from replacing a file that is already committed.
    path = written.path.with_name(f"{stem}-{_hash(written.path)}.parquet")
    written.path.replace(path)
    sync(path.parent)
    status = path.stat()
    return DataFile(
        kind=written.kind,
        path=str(path.relative_to(root)),
        size_bytes=status.st_size,
        mtime_ms=status.st_mtime_ns // 1_000_000,
        stats=written.stats,
    )


class _Stats:
    """Delta's statistics of a file, collected while it is written."""

    def __init__(self) -> None:
        self._n_rows = 0
        self._lowest: dict[str, Any] = {}
        self._highest: dict[str, Any] = {}
        self._n_nulls: dict[str, int] = {}

    def add(self, table: pa.Table) -> None:
        """Take in the rows of a row group."""
        self._n_rows += table.num_rows
        for name in STATS_COLUMNS:
            if name not in table.column_names:
                continue
            column = table[name]
            self._n_nulls[name] = self._n_nulls.get(name, 0) + column.null_count
            if pa.types.is_dictionary(column.type):
                column = column.chunk(0).dictionary  # every text of it occurs
            bounds = pc.min_max(column).as_py()
            if bounds["min"] is not None:
                low, high = bounds["min"], bounds["max"]
                self._lowest[name] = min(low, self._lowest.get(name, low))
                self._highest[name] = max(high, self._highest.get(name, high))

    def to_json(self) -> str:
        """Return them as the Delta log holds them."""
        return json.dumps(
            {
                "numRecords": self._n_rows,
                "minValues": {n: _stats_value(v) for n, v in self._lowest.items()},
                "maxValues": {n: _stats_value(v) for n, v in self._highest.items()},
                "nullCount": self._n_nulls,
            }
        )


def _stats_value(value: Any) -> Any:
    """Return a bound as Delta writes it; hours are whole, so milliseconds are exact."""
    if hasattr(value, "isoformat"):
        return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return value
