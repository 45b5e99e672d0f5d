"""Answers as values for JSON, as CSV, and as files: Parquet, Arrow IPC, CSV, NDJSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from fastflow.addresses import ADDRESS_BYTES, column_to_text
from fastflow.complete_file import complete_file
from fastflow.errors import ConfigError
from fastflow.row_files import open_writer

FORMATS = ("parquet", "arrow", "csv", "ndjson")


def json_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows as objects that JSON knows; addresses are text.

    Raises
    ------
    ConfigError
        Two columns have the same name.
    """
    names = table.column_names
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two columns are named {name!r}; rename one with AS")
    return [dict(zip(names, row, strict=True)) for row in _rows(table)]


def flat_rows(table: pa.Table) -> list[list[Any]]:
    """Return the rows as lists; what is nested, true or false is JSON text."""
    return [[_flat(value) for value in row] for row in _rows(table)]


def write_csv(table: pa.Table, file: TextIO) -> None:
    """Write CSV with a heading; null is empty."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows(flat_rows(table))


def write_table(table: pa.Table, file_format: str, output: str) -> None:
    """Write a file in one of FORMATS.

    Raises
    ------
    ConfigError
        The file cannot be made.
    """
    if file_format in ("parquet", "arrow"):
        with open_writer(output, file_format, table.schema) as writer:
            for batch in table.to_batches():
                writer.write_batch(batch)
        return
    # Other than rows of packets or of a store, an answer may have any types.
    with (
        complete_file(output) as file,
        io.TextIOWrapper(file, "utf-8", newline="") as text,
    ):
        if file_format == "csv":
            write_csv(table, text)
        else:
            for row in json_rows(table):
                text.write(json.dumps(row, ensure_ascii=False) + "\n")


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    columns = [_values(table, index) for index in range(table.num_columns)]
    return zip(*columns, strict=True)


def _values(table: pa.Table, index: int) -> list[Any]:
    """Return a column as what JSON knows; an address column as text."""
    column = table.column(index).combine_chunks()
    if table.column_names[index] == "src" and types.is_binary(column.type):
        lengths = pc.binary_length(column)
        if pc.all(pc.equal(lengths, ADDRESS_BYTES)).as_py():
            column = column_to_text(column)
    return [_plain(value, column.type) for value in column.to_pylist()]


def _plain(value: Any, kind: pa.DataType) -> Any:
    """Return one value as what JSON knows."""
    if value is None:
        return None
    if types.is_timestamp(kind):
        return _time(value, kind)
    if types.is_floating(kind):
        return value if math.isfinite(value) else None
    if types.is_decimal(kind):
        return int(value) if kind.scale == 0 else float(value)
    if types.is_map(kind):
        return {str(key): _plain(item, kind.item_type) for key, item in value}
    if types.is_list(kind) or types.is_fixed_size_list(kind):
        return [_plain(item, kind.value_type) for item in value]
    if types.is_struct(kind):
        return {field.name: _plain(value[field.name], field.type) for field in kind}
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, bool | int | str) else str(value)


def _time(value: Any, kind: pa.TimestampType) -> str:
    """Return a time in ISO 8601, as clocks of its zone show it; none: UTC."""
    if kind.tz in (None, "UTC"):
        return f"{value.replace(tzinfo=None).isoformat()}Z"
    return str(value.isoformat())


def _flat(value: Any) -> Any:
    """Return what is nested, true or false as JSON text, for a cell of a table."""
    is_json = isinstance(value, dict | list | bool)
    return json.dumps(value, ensure_ascii=False) if is_json else value
