"""`fastflow query`: SQL over a store."""

from __future__ import annotations

import csv
import json
import math
import sys
from typing import TYPE_CHECKING, Any

import click

from fastflow.cli.common import json_option, print_json, print_table, store_option
from fastflow.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa


@click.command("query")
@store_option
@click.argument("sql")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV; null is empty.")
def command(store_url: str, sql: str, as_json: bool, as_csv: bool) -> None:
    """Run one SQL statement (DuckDB) over counts, sources and inputs.

    SQL is the statement, or - to read it from stdin. Times are UTC.

    \b
    fastflow query --store counts/ "select country, sum(packets) from counts
    where dst_port = 445 group by all order by 2 desc limit 20"
    """  # noqa: D301
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    from fastflow.store import Store

    text = sys.stdin.read() if sql == "-" else sql
    table = Store(store_url).sql(text)
    columns = [_values(table, index) for index in range(table.num_columns)]
    rows = list(zip(*columns, strict=True))
    if as_json:
        _check_distinct(table.column_names)
        print_json([dict(zip(table.column_names, row, strict=True)) for row in rows])
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(table.column_names)
        writer.writerows([_flat(value) for value in row] for row in rows)
    else:
        values = [[_flat(value) for value in row] for row in rows]
        print_table(table.column_names, values, grouped=False)


def _check_distinct(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two columns are named {name!r}; rename one with AS")


def _values(table: pa.Table, index: int) -> list[Any]:
    """Return a column as what JSON knows; an address column as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from fastflow.addresses import ADDRESS_BYTES, column_to_text

    column = table.column(index).combine_chunks()
    if table.column_names[index] == "src" and pa.types.is_binary(column.type):
        lengths = pc.binary_length(column)
        if pc.all(pc.equal(lengths, ADDRESS_BYTES)).as_py():
            column = column_to_text(column)
    return [_plain(value, column.type) for value in column.to_pylist()]


def _plain(value: Any, kind: pa.DataType) -> Any:
    """Return one value as what JSON knows."""
    from pyarrow import types

    if value is None:
        return None
    if types.is_timestamp(kind):
        return value.replace(tzinfo=None).isoformat() + "Z"
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


def _flat(value: Any) -> Any:
    """Return nested values as JSON text, for a cell of a table."""
    nested = isinstance(value, dict | list)
    return json.dumps(value, ensure_ascii=False) if nested else value
