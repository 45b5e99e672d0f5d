"""`fastflow inputs`: what became of captures, and which ones made a number."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from fastflow.cli.common import (
    csv_option,
    json_option,
    one_of,
    output_option,
    print_json,
    print_table,
)
from fastflow.cli.question import selection, selection_options, where_option

if TYPE_CHECKING:
    import pyarrow as pa

#: So many captures are listed for people, who see how many there are in all.
_LISTED = 50
_SECONDS = len("2020-08-27T01:02:03")


@click.command("inputs")
@selection_options
@where_option
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(["complete", "truncated", "damaged", "rejected"]),
    help="Only captures with this status. May be given several times.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"The first N captures; default: {_LISTED} in a table for people, else all.",
)
@output_option
@json_option
@csv_option
def command(
    statuses: tuple[str, ...],
    limit: int | None,
    output: str | None,
    as_json: bool,
    as_csv: bool,
    **selected: Any,
) -> None:
    """Say what became of captures, or which of them made a number.

    Without --where, every capture that was taken in or refused, the newest first; of a
    period, those with packets between its beginning and its end. With --where, the
    captures whose counts match, and how many of the packets that `top` counts for the
    same filters came from each, the most first. --json, --csv and -o tell more of each
    than the table for people: ids, flags, and what superseded it.

    \b
    fastflow inputs --store counts/ --status damaged --status rejected
    fastflow inputs --store counts/ --where port=445/tcp --where country=JP \\
        --period 2020-08-27
    """  # noqa: D301
    one_of({"--json": as_json, "--csv": as_csv, "-o": output})
    from fastflow.analysis.inputs import inputs, summary
    from fastflow.complete_file import format_by_ending
    from fastflow.tables import FORMATS, json_rows, write_csv, write_table

    file_format = format_by_ending(output, FORMATS) if output else ""
    found = inputs(selection(**selected), statuses)
    first = found.slice(0, limit)
    if output:
        write_table(first, file_format, output)
    elif as_json:
        print_json(json_rows(first))
    elif as_csv:
        write_csv(first, sys.stdout)
    else:
        _print(found.slice(0, _LISTED if limit is None else limit))
        click.echo(summary(found))


def _print(found: pa.Table) -> None:
    from fastflow.tables import json_rows

    heading = ["capture", "sensor", "status", "packets", "records", "uncounted"]
    print_table(
        [*heading, "first packet", "last packet", "remarks"],
        [
            [
                row["path"],
                row["sensor"],
                row["status"],
                row["packets"],
                row["records"],
                _counters(row["uncounted"]),
                _second(row["first_packet"]),
                _second(row["last_packet"]),
                _remarks(row),
            ]
            for row in json_rows(found)
        ],
    )


def _counters(counters: dict[str, int] | None) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in (counters or {}).items())


def _second(time: str | None) -> str | None:
    return time and time[:_SECONDS]


def _remarks(row: dict[str, Any]) -> str:
    offset, dropped = row["offset"], row["dropped"]
    place = "" if offset is None else f" at byte {offset:,}"
    remarks = [
        f"{row['reason']}{place}" if row["reason"] else "",
        _counters(row["flags"]),
        f"dropped {dropped:,}" if dropped else "",
        "superseded" if row["superseded_by"] else "",
    ]
    return ", ".join(filter(None, remarks))
