"""`fastflow scan`: captures into packet rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fastflow.cli.common import (
    decap_option,
    echo_error,
    filter_option,
    json_option,
    print_json,
    tools_option,
)
from fastflow.cli.geo import geo_option
from fastflow.errors import exit_code

if TYPE_CHECKING:
    from fastflow.packets import Scan
    from fastflow.row_files import RowWriter
    from fastflow.sources.find import Found
    from fastflow.stages.country import CountryTable


#: What is said of a capture that cannot be read.
_UNREADABLE: dict[str, Any] = {
    "status": "rejected",
    "reason": "unreadable",
    "offset": None,
    "records": 0,
    "counted": 0,
    "uncounted": {},
    "flags": {},
}


@click.command("scan")
@click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...")
@click.option(
    "-o",
    "--output",
    default="-",
    metavar="OUT",
    help="File to write, or - for stdout (the default).",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["parquet", "arrow", "csv", "ndjson"]),
    help="Default: by OUT's ending; ndjson on stdout.",
)
@click.option(
    "--columns",
    metavar="A,B,...",
    help="Only these columns, in this order; see `fastflow fields`. "
    "Columns that nobody asks for are not decoded.",
)
@filter_option
@decap_option
@tools_option
@geo_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Threads that decode a plain pcap file. Default: one for each core.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    captures: tuple[str, ...],
    output: str,
    file_format: str | None,
    columns: str | None,
    expression: str | None,
    decap: str | None,
    tools: str | None,
    geo: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Decode captures into packet rows: Parquet, Arrow, CSV or NDJSON.

    A CAPTURE is a file, a directory (searched), a glob, or - for stdin; its format is
    known by its first bytes.

    \b
    fastflow scan capture.pcap.gz -o packets.parquet
    tcpdump -w - | fastflow scan - --columns ts,src,dst_port
    fastflow scan day.pcapng --filter 'icmp or tcp[tcpflags] & tcp-rst != 0'
    """  # noqa: D301
    if as_json and output == "-":
        raise click.UsageError("--json prints a summary on stdout; say -o FILE too")
    from fastflow.cli.progress import bytes_bar
    from fastflow.filters import compile_filter
    from fastflow.packets import scan
    from fastflow.row_files import format_of, open_writer
    from fastflow.schema import DEFAULT_COLUMNS, packet_schema
    from fastflow.sources.find import find_captures
    from fastflow.tools import load_tools

    names = DEFAULT_COLUMNS if columns is None else tuple(columns.split(","))
    schema = packet_schema(names)
    compiled = None if expression is None else compile_filter(expression)
    known = load_tools(tools)
    found = [*find_captures(captures)]
    table = _country_table(names, geo)
    with (
        open_writer(output, format_of(output, file_format), schema) as writer,
        bytes_bar("scan", found) as progress,
    ):
        scans = [
            scan(
                capture.path,
                names,
                filter=compiled,
                decap=decap or (),
                tools=known,
                country_table=table,
                workers=workers,
                strict=False,
                progress=progress,
            )
            for capture in found
        ]
        inputs = [_write(*pair, writer) for pair in zip(found, scans, strict=True)]
    if as_json:
        print_json({"inputs": inputs, "records": sum(i["records"] for i in inputs)})
    ctx.exit(exit_code(one["status"] for one in inputs))


def _country_table(names: tuple[str, ...], geo: str | None) -> CountryTable | None:
    if "country" not in names:
        return None
    from fastflow.cli.progress import load_with_progress

    return load_with_progress(geo)


def _write(capture: Found, packets: Scan, writer: RowWriter) -> dict[str, Any]:
    """Write a capture's packets; return what became of it."""
    from fastflow.outcome import UNKNOWN_FORMAT, messages

    batches = iter(packets)
    while True:
        try:
            batch = next(batches, None)
        except OSError as error:
            echo_error(f"{capture.path}: cannot be read: {error.strerror or error}")
            return {"path": capture.path} | _UNREADABLE
        if batch is None:
            break
        writer.write_batch(batch)
    stats = packets.stats
    if stats is None:
        raise AssertionError("a finished scan has its statistics")
    is_skipped = stats.reason in UNKNOWN_FORMAT and not capture.is_named
    for line in [] if is_skipped else messages(capture.path, stats):
        echo_error(line)
    return {
        "path": capture.path,
        "status": "skipped" if is_skipped else stats.status,
        "reason": stats.reason,
        "offset": stats.offset,
        "records": stats.records,
        "counted": stats.counted,
        "uncounted": stats.uncounted,
        "flags": stats.flags,
    }
