"""`fastflow reduce`: captures into hourly counts in a store."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

import click

from fastflow.cli.common import (
    decap_option,
    echo_error,
    filter_option,
    json_option,
    print_json_text,
    print_table,
    store_option,
    tools_option,
)
from fastflow.cli.geo import geo_option

if TYPE_CHECKING:
    from fastflow.phases import Phases
    from fastflow.reduce_report import ReduceReport
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
    help="Threads that count: captures are shared among them, and a large one is "
    "split. No result depends on it. Default: one for each core.",
)
@click.option(
    "--no-sources",
    is_flag=True,
    help="Keep no source addresses (of a new store; an old one decides itself).",
)
@filter_option
@decap_option
@tools_option
@click.option(
    "--resume",
    is_flag=True,
    help="Do not read files again that were taken in with the same path, size and "
    "modification time.",
)
@click.option(
    "--no-compact",
    is_flag=True,
    help="Do not join the store's small files afterwards, even if there are over 1000.",
)
@click.option(
    "--profile",
    is_flag=True,
    help="Say on stderr where the time went, so that you can see what bounds you.",
)
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
    tools: str | None,
    resume: bool,
    no_compact: bool,
    profile: bool,
    as_json: bool,
) -> None:
    """Reduce captures to exact hourly counts and commit them to a store.

    A CAPTURE is a file, a directory (searched), a glob, or - for stdin; its format is
    known by its first bytes. The store is made if there is none. The same capture
    again, under whatever name, adds nothing; one that goes on where another ended
    takes its place. A store keeps the filter and the tunnels
    that it was made with; later runs take them, and need not name them.

    Exit codes: 0 complete; 3 stored, but some input was damaged or refused; 1 nothing
    could be done; 2 wrong usage.

    \b
    fastflow reduce captures/ --store counts/ --sensor tokyo-1
    fastflow reduce 'archive/*/2020-08-*.pcap.gz' --store counts/ --sensor '{parent}'
    """  # noqa: D301
    from fastflow.cli.progress import bytes_bar, load_with_progress
    from fastflow.phases import NO_PHASES, Phases
    from fastflow.pipeline import reduce
    from fastflow.sources.find import find_captures

    found = find_captures(captures)
    table = load_with_progress(geo)
    phases = Phases() if profile else NO_PHASES
    begin = time.perf_counter()
    with bytes_bar("reduce", found) as progress:
        report = reduce(
            found,
            store_url,
            sensor,
            geo=table,
            workers=workers,
            sources=False if no_sources else None,
            filter=expression,
            decap=decap,
            tools=tools,
            resume=resume,
            compact=not no_compact,
            progress=progress,
            phases=phases,
        )
    seconds = time.perf_counter() - begin
    for message in report.messages:
        echo_error(message)
    if profile:
        _print_profile(phases, seconds, report)
    if as_json:
        print_json_text(report.json_text())
    else:
        _print_report(report)
    ctx.exit(report.exit_code)


def _print_profile(phases: Phases, seconds: float, report: ReduceReport) -> None:
    """Print on stderr what each phase took of all threads' time."""
    from fastflow.phases import PHASES

    whole = sum(phases.seconds.values())
    rows: list[list[object]] = [
        [
            name,
            round(phases.seconds[name], 2),
            _share(phases.seconds[name], whole),
            text,
        ]
        for name, text in PHASES.items()
    ]
    n_bytes = sum(record.size or 0 for record in report.read)
    rates = f"{report.records / seconds / 1e6:.2f} M packets/s"
    rates += f", {n_bytes / seconds / 1e6:.0f} MB/s"
    rows.append(["all threads", round(whole, 2), _share(whole, whole), ""])
    rows.append(["elapsed", round(seconds, 2), "", rates])
    print_table(["phase", "seconds", "share", "what"], rows, file=sys.stderr)


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "-"


def _print_report(report: ReduceReport) -> None:
    listed: Iterable[InputRecord] = report
    if len(report) > _LISTED_CAPTURES:
        others = (record for record in report if record.status != "complete")
        listed = islice(others, _LISTED_CAPTURES)
    rows = [_row(record) for record in listed]
    rows.append([f"{len(report):,} in all", "", report.records, report.counted, ""])
    print_table(["capture", "status", "records", "counted", "uncounted"], rows)


def _row(record: InputRecord) -> list[object]:
    uncounted = ", ".join(f"{name} {n:,}" for name, n in record.uncounted.items())
    return [record.path, record.status, record.records, record.counted, uncounted]
