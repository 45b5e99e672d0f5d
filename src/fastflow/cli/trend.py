"""`fastflow trend`: courses over time."""

from __future__ import annotations

import sys
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import click

from fastflow.cli.common import csv_option, json_option, one_of, print_json, print_table
from fastflow.cli.question import (
    by_option,
    echo_remarks,
    per_address_option,
    selection,
    selection_options,
    where_option,
)

if TYPE_CHECKING:
    import pyarrow as pa


@click.command("trend")
@by_option
@selection_options
@where_option
@click.option(
    "--every",
    type=click.Choice(["hour", "day", "week"]),
    default="day",
    show_default=True,
    help="Steps; days, and weeks from Monday on, are those of --tz.",
)
@click.option(
    "--measure",
    type=click.Choice(["packets", "sources"]),
    default="packets",
    show_default=True,
    help="Packets, or exact distinct source addresses within each step.",
)
@click.option(
    "-n",
    "limit",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Number of keys: those that `top` ranks first.",
)
@click.option(
    "--others", is_flag=True, help="Add the packets of everything else as one key."
)
@per_address_option
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write a figure, .svg, .png or .html, or a table, .csv, .parquet, .arrow or "
    ".ndjson.",
)
@json_option
@csv_option
def command(
    by: str,
    every: str,
    measure: str,
    limit: int,
    others: bool,
    per_address: bool,
    output: str | None,
    as_json: bool,
    as_csv: bool,
    **selected: Any,
) -> None:
    """Show how the first keys of a ranking went over time.

    A step in which nothing arrived is 0; one in which hours of a sensor are missing, by
    sensors.toml, is marked as a gap.

    \b
    fastflow trend --store counts/ --by port --period 2020-Q3 -o ports.svg
    fastflow trend --store counts/ --by window --measure sources --where country=JP
    """  # noqa: D301
    one_of({"--json": as_json, "--csv": as_csv, "-o": output})
    from fastflow import charts, tables
    from fastflow.analysis.trend import Options, trend
    from fastflow.complete_file import format_by_ending

    formats = (*charts.FORMATS, *tables.FORMATS)
    file_format = format_by_ending(output, formats) if output else ""
    if file_format in charts.FORMATS:
        charts.need_packages()
    chosen = selection(**selected)
    course = trend(chosen, by, Options(every, measure, limit, others, per_address))
    echo_remarks(chosen)
    if output and file_format in charts.FORMATS:
        chart = charts.trend_chart(course, every, _title(by, selected))
        charts.write_figure(chart, file_format, output)
    elif output:
        tables.write_table(course, file_format, output)
    elif as_json:
        print_json(tables.json_rows(course))
    elif as_csv:
        tables.write_csv(course, sys.stdout)
    else:
        _print(course, every)


def _title(by: str, selected: dict[str, Any]) -> str:
    """Return what a figure shows: the key, the period, the filters."""
    filters = [f"{column}={value}" for column, value in selected["where"].items()]
    sensors = selected["sensors"] or []
    return ", ".join(
        [f"By {by}", selected["period"] or "whole store", *filters, *sensors]
    )


def _print(course: pa.Table, every: str) -> None:
    """Print a table for people: steps down, keys across."""
    from fastflow.tables import json_rows

    value = course.column_names[-2]
    keys = course["key"].unique().to_pylist()
    has_gaps = any(course["gap"].to_pylist())
    rows = []
    for time, group in groupby(json_rows(course), key=itemgetter("time")):
        step = list(group)
        gap = ["gap" if any(row["gap"] for row in step) else ""] if has_gaps else []
        label = time if every == "hour" else time[: len("2020-08-27")]
        rows.append([label, *[row[value] for row in step], *gap])
    print_table([every, *keys, *([""] if has_gaps else [])], rows)
