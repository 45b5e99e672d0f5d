"""`fastflow query`: SQL over a store."""

from __future__ import annotations

import sys

import click

from fastflow.cli.common import (
    csv_option,
    json_option,
    one_of,
    output_option,
    print_json,
    print_table,
    store_option,
)


@click.command("query")
@store_option
@click.argument("sql")
@output_option
@json_option
@csv_option
def command(
    store_url: str, sql: str, output: str | None, as_json: bool, as_csv: bool
) -> None:
    """Run one SQL statement (DuckDB) over counts, sources, backscatter and inputs.

    And over attacks, which are found in backscatter when they are asked for.

    SQL is the statement, or - to read it from stdin. Times are UTC.

    \b
    fastflow query --store counts/ "select country, sum(packets) from counts
    where dst_port = 445 group by all order by 2 desc limit 20"
    """  # noqa: D301
    one_of({"--json": as_json, "--csv": as_csv, "-o": output})
    from fastflow.complete_file import format_by_ending
    from fastflow.store import Store
    from fastflow.tables import FORMATS, flat_rows, json_rows, write_csv, write_table

    file_format = format_by_ending(output, FORMATS) if output else ""
    table = Store(store_url).sql(sys.stdin.read() if sql == "-" else sql)
    if output:
        write_table(table, file_format, output)
    elif as_json:
        print_json(json_rows(table))
    elif as_csv:
        write_csv(table, sys.stdout)
    else:
        print_table(table.column_names, flat_rows(table), grouped=False)
