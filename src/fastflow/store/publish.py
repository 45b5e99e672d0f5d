"""Writing the rows of a batch of inputs as Parquet files, one a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from blake3 import blake3

from fastflow.errors import InternalError
from fastflow.schema import INPUTS, InputRecord, Reduced
from fastflow.store.durable import (
    durable_file,
    hidden_path,
    make_directory,
    os_errors,
    sync,
)
from fastflow.store.settings import Settings
from fastflow.store.table import KINDS, PARTITION, DataFile

#: Columns with file statistics, so that a query opens the files of its hours only.
STATS_COLUMNS = ("hour", "sensor", "proto", "dst_port", "input")

#: Large enough for dictionaries to pay, small enough for two cores to share a file.
ROW_GROUP_ROWS = 1 << 18

#: Sources repeat; the default of 1 MiB gives up at 52,000 of them.
_DICTIONARY_LIMIT_BYTES = 8 << 20


def check(reduced: Reduced, settings: Settings) -> None:
    """Check the conservation law of one input.

    Raises
    ------
    InternalError
        Its counts do not add up to its records, or its rows are of another input.
    """
    record, counts, sources = reduced.record, reduced.counts, reduced.sources
    counted = record.counted
    _expect(record, "records", record.records, counted + sum(record.uncounted.values()))
    _expect(record, "packets in counts", _total(counts, "packets"), counted)
    _check_input_column(record, counts)
    if sources is None:
        _expect(record, "cells without sources", settings.sources * len(counts), 0)
        return
    _expect(record, "unwanted sources", (not settings.sources) * len(sources), 0)
    if settings.sources:
        _expect(record, "packets in sources", _total(sources, "packets"), counted)
        _expect(record, "source rows", len(sources), _total(counts, "sources"))
        total_bytes = _total(counts, "bytes")
        _expect(record, "bytes in sources", _total(sources, "bytes"), total_bytes)
        _check_input_column(record, sources)


def _expect(record: InputRecord, what: str, found: int, expected: int) -> None:
    if found != expected:
        raise InternalError(
            f"{record.path}: {what}: {found}, expected {expected} "
            f"(input {record.input}); nothing was stored of it, please report this"
        )


def _total(table: pa.Table, column: str) -> int:
    return pc.sum(table[column]).as_py() or 0


def _check_input_column(record: InputRecord, table: pa.Table) -> None:
    own = pc.sum(pc.equal(table["input"], record.input)).as_py() or 0
    _expect(record, "rows of this input", own, len(table))


def write_batch(root: Path, batch: Sequence[Reduced]) -> list[DataFile]:
    """Write one durable Parquet file per table that has rows.

    The bytes depend on the inputs alone, not on their order, the time, or how their
    rows are chunked.

    Raises
    ------
    StoreError
        The store's directory cannot be written.
    """
    ordered = sorted(batch, key=lambda reduced: reduced.record.input)
    ids = "\n".join(reduced.record.input for reduced in ordered)
    stem = blake3(ids.encode()).hexdigest(length=16)
    record_rows = [reduced.record.to_row() for reduced in ordered]
    tables = {
        "counts": [reduced.counts for reduced in ordered],
        "sources": [r.sources for r in ordered if r.sources is not None],
        "inputs": [pa.Table.from_pylist(record_rows, schema=INPUTS)],
    }
    wanted = {kind: rows for kind, rows in tables.items() if any(map(len, rows))}
    # Encoding runs without the GIL, so that the files are made at the same time.
    with os_errors(root), ThreadPoolExecutor(len(KINDS)) as pool:
        jobs = [pool.submit(_write, root, kind, stem, t) for kind, t in wanted.items()]
        return [job.result() for job in jobs]


def _write(root: Path, kind: str, stem: str, tables: Sequence[pa.Table]) -> DataFile:
    directory = root / f"{PARTITION}={kind}"
    make_directory(directory)
    stats = _Stats()
    with hidden_path(directory) as hidden:
        with durable_file(hidden) as file:
            _write_parquet(file, KINDS[kind], tables, stats)
        # The ids say which inputs; the content keeps a twin that was reduced with
        # another country table from replacing a file that is already committed.
        content = blake3().update_mmap(hidden).hexdigest(length=8)
        path = directory / f"{stem}-{content}.parquet"
        hidden.replace(path)
    sync(directory)
    status = path.stat()
    return DataFile(
        kind=kind,
        path=str(path.relative_to(root)),
        size_bytes=status.st_size,
        mtime_ms=status.st_mtime_ns // 1_000_000,
        stats=stats.to_json(),
    )


def _write_parquet(
    file: Any, schema: pa.Schema, tables: Sequence[pa.Table], stats: _Stats
) -> None:
    with pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        compression_level=3,
        use_dictionary=True,
        dictionary_pagesize_limit=_DICTIONARY_LIMIT_BYTES,
        write_page_checksum=True,
        # Not the Arrow schema: its bytes differ between pyarrow versions, and Parquet's
        # own types say everything.
        store_schema=False,
    ) as writer:
        for row_group in _row_groups(schema, tables):
            stats.add(row_group)
            writer.write_table(row_group, row_group_size=ROW_GROUP_ROWS)


def _row_groups(schema: pa.Schema, tables: Sequence[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows of all tables, a row group at a time, texts decoded.

    One chunk each: where chunks end would show in the pages.
    """
    pieces: list[pa.Table] = []
    room = ROW_GROUP_ROWS
    for table in tables:
        start = 0
        while start < table.num_rows:
            piece = table.slice(start, room)
            pieces.append(piece.select(schema.names).cast(schema))
            start += piece.num_rows
            room -= piece.num_rows
            if room == 0:
                yield pa.concat_tables(pieces).combine_chunks()
                pieces, room = [], ROW_GROUP_ROWS
    if pieces:
        yield pa.concat_tables(pieces).combine_chunks()


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
