"""`fastflow reduce`: captures into hourly counts in a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fastflow.cli.common import (
    decap_option,
    echo_error,
    filter_option,
    json_option,
    print_json,
    print_table,
    store_option,
)
from fastflow.cli.geo import geo_option

if TYPE_CHECKING:
    from fastflow.pipeline import ReduceReport
    from fastflow.schema import InputRecord

#: A run over more captures lists only those of which something is to be said.
_LISTED_CAPTURES = 20


@click.command("reduce")
@click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...")
@store_option
@click.option(
    "--sensor",
    required=True,
    metavar="NAME",
    help="Who captured; {parent}: the name of each capture's directory.",
)
@geo_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Captures reduced at the same time. Default: one for each core.",
)
@click.option(
    "--no-sources",
    is_flag=True,
    help="Keep no source addresses (of a new store; an old one decides itself).",
)
@filter_option
@decap_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    captures: tuple[str, ...],
    store_url: str,
    sensor: str,
    geo: str | None,
    workers: int | None,
    no_sources: bool,
    expression: str | None,
    decap: str | None,
    as_json: bool,
) -> None:
    """Reduce captures to exact hourly counts and commit them to a store.

    A CAPTURE is a file, a directory (searched), a glob, or - for stdin; its format is
    known by its first bytes. The store is made if there is none. The same capture
    again, under whatever name, adds nothing. A store keeps the filter and the tunnels
    that it was made with; later runs take them, and need not name them.

    Exit codes: 0 complete; 3 stored, but some input was damaged or refused; 1 nothing
    could be done; 2 wrong usage.

    \b
    fastflow reduce captures/ --store counts/ --sensor tokyo-1
    fastflow reduce 'archive/*/2020-08-*.pcap.gz' --store counts/ --sensor '{parent}'
    """  # noqa: D301
    from fastflow.cli.progress import bytes_bar, load_with_progress
    from fastflow.pipeline import reduce
    from fastflow.sources.find import find_captures

    found = find_captures(captures)
    table = load_with_progress(geo)
    with bytes_bar("reduce", [capture.path for capture in found]) as progress:
        report = reduce(
            found,
            store_url,
            sensor,
            geo=table,
            workers=workers,
            sources=False if no_sources else None,
            filter=expression,
            decap=decap,
            progress=progress,
        )
    for message in report.messages:
        echo_error(message)
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report)
    ctx.exit(report.exit_code)


def _print_report(report: ReduceReport) -> None:
    listed = report.inputs
    if len(listed) > _LISTED_CAPTURES:
        listed = [record for record in listed if record.status != "complete"]
        listed = listed[:_LISTED_CAPTURES]
    rows = [_row(record) for record in listed]
    summary = report.to_json()
    n_captures = f"{len(report.inputs):,} in all"
    rows.append([n_captures, "", summary["records"], summary["counted"], ""])
    print_table(["capture", "status", "records", "counted", "uncounted"], rows)


def _row(record: InputRecord) -> list[object]:
    uncounted = ", ".join(f"{name} {n:,}" for name, n in record.uncounted.items())
    return [record.path, record.status, record.records, record.counted, uncounted]
