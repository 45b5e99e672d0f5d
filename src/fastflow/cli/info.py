"""`fastflow info`: what captures hold."""

from __future__ import annotations

from typing import Any

import click

from fastflow.cli.common import echo_error, json_option, print_json, print_table
from fastflow.errors import exit_code

#: What libpcap calls the link types that are decoded.
LINKTYPE_NAMES = {
    0: "NULL",
    1: "EN10MB",
    9: "PPP",
    12: "RAW",
    14: "RAW",
    50: "PPP_HDLC",
    101: "RAW",
    104: "C_HDLC",
    108: "LOOP",
    113: "LINUX_SLL",
    117: "PFLOG",
    127: "IEEE802_11_RADIOTAP",
    228: "IPV4",
    229: "IPV6",
    239: "NFLOG",
    276: "LINUX_SLL2",
}
_TIME_UNITS = {True: "ns", False: "us", None: None}
_BYTE_ORDERS = {True: "swapped", False: "native", None: None}


@click.command("info")
@click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...")
@json_option
@click.pass_context
def command(ctx: click.Context, captures: tuple[str, ...], as_json: bool) -> None:
    """Say what captures hold: format, link type, times, packets, damage.

    A CAPTURE is a file, a directory (searched), a glob, or - for stdin. Every record
    is looked at, so that the numbers are those of the whole file.
    """
    from fastflow.sources.find import find_captures

    facts = [_facts(c.path, c.is_named) for c in find_captures(captures)]
    if as_json:
        print_json({"captures": facts})
    else:
        for fact in facts:
            _print_facts(fact)
    ctx.exit(exit_code([fact["status"] for fact in facts]))


def _facts(path: str, is_named: bool) -> dict[str, Any]:
    """Return what `info --json` says of a capture."""
    from fastflow.outcome import UNKNOWN_FORMAT, messages
    from fastflow.packets import read_stats

    try:
        stats = read_stats(path)
    except OSError as error:
        echo_error(f"{path}: cannot be read: {error.strerror or error}")
        return {"path": path, "status": "rejected", "reason": "unreadable"}
    header = stats.header
    linktype = stats.linktypes[0] if len(stats.linktypes) == 1 else None
    skipped = stats.reason in UNKNOWN_FORMAT and not is_named
    for line in [] if skipped else messages(path, stats):
        echo_error(line)
    return {
        "path": path,
        "status": "skipped" if skipped else stats.status,
        "reason": stats.reason,
        "offset": stats.offset,
        "format": " ".join(
            header[key] for key in ("format", "version") if key in header
        )
        or None,
        "compression": stats.compression,
        "linktype": linktype,
        "linktype_name": None if linktype is None else LINKTYPE_NAMES.get(linktype),
        "linktypes": stats.linktypes,
        "snaplen": header.get("snaplen"),
        "time_unit": _TIME_UNITS[header.get("nanoseconds")],
        "byte_order": _BYTE_ORDERS[header.get("swapped")],
        "dropped": stats.dropped,
        "bytes_not_read": stats.bytes_not_read,
        "first_packet": _iso(stats.first_ts_ns),
        "last_packet": _iso(stats.last_ts_ns),
        "records": stats.records,
        "counted": stats.counted,
        "uncounted": stats.uncounted,
        "flags": stats.flags,
    }


def _iso(ts_ns: int | None) -> str | None:
    from fastflow.units import iso_time

    return None if ts_ns is None else iso_time(ts_ns)


def _print_facts(fact: dict[str, Any]) -> None:
    rows: list[tuple[str, Any]] = []
    for name, value in fact.items():
        if isinstance(value, list):
            value = ", ".join(LINKTYPE_NAMES.get(n, str(n)) for n in value)
        if isinstance(value, dict):
            value = ", ".join(f"{key} {n:,}" for key, n in value.items())
        if value not in (None, ""):
            rows.append((name, f"{value:,}" if isinstance(value, int) else value))
    print_table(["", ""], rows)
    click.echo()
