"""The Parquet files of a store: how they are encoded, described and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fastflow.addresses import last_words
from fastflow.errors import StoreError
from fastflow.schema import INPUTS, SOURCES, row_schema
from fastflow.stages.columns import what_occurs
from fastflow.store.durable import NewFile

#: Columns with file statistics, so that a query opens the files of its hours only.
STATS_COLUMNS = ("hour", "sensor", "proto", "dst_port", "input")

#: Large enough for dictionaries to pay, small enough to hold two of them in memory.
_ROW_BITS = 18
ROW_GROUP_ROWS = 1 << _ROW_BITS

#: Rows are sorted as numbers: which input, the end of the address, which row.
_RUN_BITS = 64 - 32 - _ROW_BITS
#: Rows of a source in a row group, on the average, from which on they lie side by side.
_ROWS_OF_A_SOURCE = 2

#: How a file of rows is encoded: texts by dictionaries, which arrive ready made, and
#: numbers that have few values as well; other numbers by their differences; addresses
#: as they are, without a length before each: what is sorted compresses well, and this
#: is what a question reads fastest.
_TEXTS = [field.name for field in SOURCES if field.type == pa.string()]
_FEW_VALUES = ["packets", "bytes", "ip_ttl"]
_ROW_OPTIONS: dict[str, Any] = {
    "compression_level": 1,
    "use_dictionary": [*_TEXTS, *_FEW_VALUES],
    # Most row groups have no IPv6, and a question for it passes over them.
    "write_statistics": [*STATS_COLUMNS, "ip_version"],
}
_ENCODINGS = {pa.binary(): "DELTA_LENGTH_BYTE_ARRAY"}
_INPUTS_OPTIONS: dict[str, Any] = {"compression_level": 3}


def write_rows(new: NewFile, kind: str, tables: Iterable[pa.Table]) -> str:
    """Write rows of a table as row groups; return Delta statistics.

    Texts are dictionaries in which every text occurs.
    """
    if kind == "sources":
        tables = map(_by_source, tables)
    schema = row_schema(kind)
    encodings = {
        _leaf(field): _ENCODINGS.get(field.type, "DELTA_BINARY_PACKED")
        for field in schema
        if field.name not in _ROW_OPTIONS["use_dictionary"]
    }
    return _write(new, schema, _ROW_OPTIONS | {"column_encoding": encodings}, tables)


def _leaf(field: pa.Field) -> str:
    """Return what Parquet calls the values of a column."""
    is_list = pa.types.is_list(field.type)
    return f"{field.name}.list.element" if is_list else field.name


def _by_source(rows: pa.Table) -> pa.Table:
    """Return a row group of `sources` in the order that packs best.

    A source that comes back hour by hour has the same address, signature, port and TTL
    in many rows: side by side they take a quarter less. Where few come back, rows stay
    as they are: their keys pack better. Rows of an input stay together.
    """
    if not 0 < rows.num_rows <= ROW_GROUP_ROWS:
        return rows
    inputs = rows["input"].combine_chunks().indices.to_numpy()
    run = np.cumsum(np.diff(inputs, prepend=inputs[:1]) != 0, dtype=np.uint64)
    if run[-1] >= 1 << _RUN_BITS:
        return rows
    last = last_words(rows["src"].combine_chunks()).astype(np.uint64)
    order = (run << np.uint64(32) | last) << np.uint64(_ROW_BITS)
    order |= np.arange(rows.num_rows, dtype=np.uint64)
    order.sort()
    n_sources = 1 + np.count_nonzero(np.diff(order >> np.uint64(_ROW_BITS)))
    if rows.num_rows < _ROWS_OF_A_SOURCE * n_sources:
        return rows
    return rows.take(pa.array((order & np.uint64(ROW_GROUP_ROWS - 1)).astype(np.int32)))


def write_inputs(new: NewFile, table: pa.Table) -> str:
    """Write rows of `inputs`; return Delta statistics."""
    return _write(new, INPUTS, _INPUTS_OPTIONS, [table])


def _write(
    new: NewFile, schema: pa.Schema, options: dict[str, Any], tables: Iterable[pa.Table]
) -> str:
    """Write tables as row groups of one durable file."""
    stats = _Stats()
    with (
        new.writing() as file,
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


@contextmanager
def reading(path: Path, encoded: bool = False) -> Iterator[pq.ParquetFile]:
    """Open a file of the store; what is read from it has been verified.

    Parameters
    ----------
    encoded : bool
        Read texts of rows as dictionaries.

    Raises
    ------
    StoreError
        It is missing or damaged; also when that shows within the block.
    """
    try:
        metadata = pq.read_metadata(path)
        texts = [n for n in _TEXTS if n in metadata.schema.names] if encoded else None
        with pq.ParquetFile(
            path,
            metadata=metadata,
            page_checksum_verification=True,
            read_dictionary=texts,
        ) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise StoreError(
            f"{path}: a file of the store is missing or damaged "
            f"({' '.join(str(error).split())}); `fastflow store verify` says which "
            "captures it came from"
        ) from error


def read_hours(
    path: Path, schema: pa.Schema, hours: tuple[datetime, datetime]
) -> pa.Table:
    """Return the rows of some hours (the second exclusive), texts as dictionaries.

    Row groups without rows of these hours are passed over.
    """
    with reading(path, encoded=True) as file:
        overlapping = [
            number
            for number in range(file.num_row_groups)
            if _may_have(file.metadata.row_group(number), hours)
        ]
        wanted = {"hour", *schema.names}.intersection(file.schema_arrow.names)
        rows = file.read_row_groups(overlapping, sorted(wanted), use_threads=False)
    hour = rows["hour"]
    first, after = (pa.scalar(moment, hour.type) for moment in hours)
    inside = pc.and_(pc.greater_equal(hour, first), pc.less(hour, after))
    if not pc.all(inside, min_count=0).as_py():
        rows = rows.filter(inside)
    return conformed(rows, schema)


def _may_have(group: pq.RowGroupMetaData, hours: tuple[datetime, datetime]) -> bool:
    """Return whether a row group may have rows of some hours, by its statistics."""
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema == "hour" and column.is_stats_set:
            stats = column.statistics
            return not stats.has_min_max or (
                stats.min < hours[1] and stats.max >= hours[0]
            )
    return True


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with the columns of a schema; those that it lacks are null."""
    columns = [
        table[field.name]
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def encoded(rows: pa.Table, kind: str) -> pa.Table:
    """Return rows of a table with dictionaries of what occurs, by first appearance."""
    schema = row_schema(kind)
    columns = [
        _dictionary(rows[field.name].combine_chunks())
        if pa.types.is_dictionary(field.type)
        else rows[field.name]
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _dictionary(texts: pa.Array) -> pa.DictionaryArray:
    is_encoded = pa.types.is_dictionary(texts.type)
    return what_occurs(texts) if is_encoded else pc.dictionary_encode(texts)


def row_groups(tables: Iterable[pa.Table], kind: str) -> Iterator[pa.Table]:
    """Yield the rows of tables, put together or parted into whole row groups.

    Where a table ended does not show.
    """
    pieces: list[pa.Table] = []
    room = ROW_GROUP_ROWS
    for table in tables:
        while table.num_rows:
            piece, table = table.slice(0, room), table.slice(room)
            pieces.append(piece)
            room -= piece.num_rows
            if room == 0:
                yield _joined(pieces, kind)
                pieces, room = [], ROW_GROUP_ROWS
    if pieces:
        yield _joined(pieces, kind)


def _joined(pieces: Sequence[pa.Table], kind: str) -> pa.Table:
    table = pa.concat_tables(pieces).unify_dictionaries()
    return encoded(table.combine_chunks(), kind)


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
