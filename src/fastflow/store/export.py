"""A store written to files: a table as it is, or all of it in one canonical form."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fastflow.errors import ConfigError
from fastflow.row_files import format_of, open_writer
from fastflow.store.query import Query, view_schema
from fastflow.store.table import KINDS, PARTITION, union_schema
from fastflow.units import Period

FORMATS = ("parquet", "csv", "arrow")

#: What `inputs` says of a run and not of the capture: where the file lay, how large it
#: was (compressed or not), by what it was counted, what was counted before it. And what
#: not every fastflow has written.
OF_THE_RUN = frozenset(
    {
        "supersedes",
        "part_of",
        "head",
        "path",
        "size",
        "mtime_ns",
        "country_table",
        "country_date",
        "rules",
        "version",
    }
)

#: The columns of the canonical form: those of all tables side by side, as in the store.
CANONICAL = pa.schema([f for f in union_schema() if f.name not in OF_THE_RUN])

#: Of `inputs`, those that count; the rows of others are in no other table. The id of a
#: capture without records depends on where it lay, and nothing of it was counted.
_LIVE = (
    "records > 0 and part_of is null and id not in "
    "(select unnest(string_split(supersedes, ' ')) from inputs "
    "where supersedes is not null)"
)

#: Of the columns that are written otherwise than they are stored. Zeros after a
#: compressed stream are no part of the capture.
_CANONICAL_SQL = {
    ("inputs", "input"): "id",
    ("inputs", "flags"): "map_from_entries(list_filter(map_entries(flags), "
    "lambda flag: flag.key <> 'zero_padding'))",
}


def export_table(
    query: Query,
    output: str,
    table: str,
    period: Period | None,
    file_format: str | None,
) -> int:
    """Write the rows of one table, in the order of the store's files.

    Returns
    -------
    int
        How many there are.

    Raises
    ------
    ConfigError
        There is no such table or format, or the file cannot be made.
    """
    if table not in KINDS:
        raise ConfigError(f"{table}: no such table; there are {', '.join(KINDS)}")
    schema = view_schema(table)
    condition, params = _within(table, period)
    batches = query.stream(f"select * from {table} where {condition}", params)
    return write_rows(output, file_format, schema, (b.cast(schema) for b in batches))


def export_canonical(query: Query, output: str, file_format: str | None) -> int:
    """Write all that the captures say, in one order, as text.

    Returns
    -------
    int
        The number of rows.

    Raises
    ------
    ConfigError
        Another format than CSV is wanted, or the file cannot be made.
    """
    other = file_format or Path(output).suffix.lstrip(".")
    if other in FORMATS and other != "csv":
        raise ConfigError(
            f"{other}: the canonical form is CSV, since the bytes of other "
            "formats depend on the version of a library; write CSV"
        )
    batches = (
        _side_by_side(kind, batch)
        for kind in KINDS
        for batch in query.stream(_canonical_sql(kind))
    )
    return write_rows(output, "csv", CANONICAL, batches)


def write_rows(
    output: str,
    file_format: str | None,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
) -> int:
    """Write batches to a file that appears when it is complete; return their rows."""
    n_rows = 0
    chosen = format_of(output, file_format, FORMATS, on_stdout="csv")
    with open_writer(output, chosen, schema) as writer:
        for batch in batches:
            writer.write_batch(_without_remains(batch))
            n_rows += batch.num_rows
    return n_rows


def _without_remains(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch with zeros under its nulls.

    There lies what the memory held before, and an Arrow file would have it.
    """
    return pa.RecordBatch.from_arrays(
        [_zeros_under_nulls(column) for column in batch.columns], schema=batch.schema
    )


def _zeros_under_nulls(column: pa.Array) -> pa.Array:
    if column.null_count == 0 or not pa.types.is_primitive(column.type):
        return column  # what has a length has none under a null
    validity = pc.is_valid(column).buffers()[1]
    values = column.fill_null(pa.scalar(0, column.type)).buffers()[1]
    return pa.Array.from_buffers(column.type, len(column), [validity, values])


def _within(table: str, period: Period | None) -> tuple[str, list[Any]]:
    """Return the condition that rows are of a period, captures at least in part."""
    if period is None:
        return "true", []
    if table == "inputs":
        return "last_packet >= ? and first_packet < ?", [period.start, period.end]
    return "hour >= ? and hour < ?", [period.start, period.end]


def _canonical_sql(kind: str) -> str:
    fields = [field for field in KINDS[kind] if field.name in CANONICAL.names]
    columns = ", ".join(
        f"{_CANONICAL_SQL.get((kind, field.name), _quoted(field.name))} "
        f"as {_quoted(field.name)}"
        for field in fields
    )
    order = ", ".join(
        f"{_quoted(field.name)} nulls first"
        for field in fields
        if not pa.types.is_map(field.type)
    )
    live = _LIVE if kind == "inputs" else "true"
    return f"select * from (select {columns} from {kind} where {live}) order by {order}"


def _quoted(name: str) -> str:
    return f'"{name}"'


def _side_by_side(kind: str, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows of one table with the columns of all, null where it has none."""
    has = set(batch.schema.names)
    columns = [
        batch.column(field.name).cast(field.type)
        if field.name in has
        else pa.nulls(batch.num_rows, field.type)
        for field in CANONICAL
        if field.name != PARTITION
    ]
    names = pa.repeat(kind, batch.num_rows)
    return pa.RecordBatch.from_arrays([names, *columns], schema=CANONICAL)
