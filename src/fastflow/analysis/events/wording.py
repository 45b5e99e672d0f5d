"""Events as sentences: careful ones, with the numbers."""

from __future__ import annotations

from datetime import timedelta, tzinfo
from typing import Any

from fastflow.addresses import to_text
from fastflow.analysis.events.event import Event
from fastflow.analysis.events.ranks import RankChange
from fastflow.analysis.events.slices import Value, as_columns
from fastflow.analysis.keys import PORT_PROTOCOLS
from fastflow.analysis.rank import PREVIOUS_RANKS
from fastflow.knowledge import readings
from fastflow.names import country_name, proto_name, service_name
from fastflow.zones import hour_at

_FIELD_NAMES = {
    "window": "window",
    "tcp_seq": "sequence number",
    "src_port": "source port",
    "ip_ttl": "TTL",
}


_OTHERS = {"window": "windows", "country": "countries", "service": "ports"}


def describe(event: Event, zone: tzinfo) -> tuple[str, list[str]]:
    """Return one to four sentences about an event, and lines of evidence."""
    text = f"{_subject(event)} {_PREDICATES[event.kind](event, zone)}"
    evidence = []
    if others := event.details.get("others"):
        line = f"all other {_OTHERS[others]} stayed within their range"
        evidence.append(line)
        if event.kind in ("surge", "trend"):
            text = f"{text.removesuffix('.')}; {line}."
    for change in event.details.get("ranks", ()):
        evidence.append(_rank_change(change, event))
        if change.dimension == "service":
            text += f" {_moved(change)}."
    if len(event.pieces) > 1:
        evidence.append(f"bursts: {_spans(event.pieces, zone)}")
    if by_day := event.details.get("sources_by_day"):
        parts = [f"{day}: {n:,}" for day, n in by_day.items()]
        evidence.append(f"sources by day: {', '.join(parts)}")
    if peaks := event.details.get("peaks"):
        evidence.append(f"short peaks: {_spans(peaks, zone)}")
    if attacks := event.details.get("attacks"):
        peak = event.details["peak"]
        evidence.append(f"attacks: {attacks:,}, {peak:,} packets in a minute at most")
    if values := event.details.get("values"):
        parts = [f"{n:,} {name}" for name, n in values.items()]
        evidence.append(f"different values, at least: {', '.join(parts)}")
    if event.kind == "trend" and "slope" in event.details:
        slope = event.details["slope"]
        evidence.append(f"slope (Theil-Sen): {slope:+.2f} sources a day, each day")
    # What speaks of most columns is said; that is a reading, and no verdict.
    for reading in readings(as_columns(event.whole))[:1]:
        text += f" A possible reading: {reading.text}."
        about = ", ".join(reading.about)
        evidence.append(f"since {reading.years[0]}: {about} ({reading.source})")
    return text, evidence


def _rank_change(change: RankChange, event: Event) -> str:
    """Return the line of evidence that tells when a rank was which."""
    name = f"window {change.key}" if change.dimension == "window" else change.key
    times = ("in the weeks before", "in its time")
    if event.kind == "trend":
        times = ("in its first week", "in its last")
    before, now = map(_rank, (change.before, change.now))
    return f"{name}: {before} {times[0]}, {now} {times[1]}"


def _moved(change: RankChange) -> str:
    if change.before is None:
        return f"{change.key} came among the first ports, at {_rank(change.now)}"
    if change.now is None:
        return f"{change.key} fell from {_rank(change.before)} of all ports"
    return (
        f"{change.key} went from {_rank(change.before)} to {_rank(change.now)} "
        "of all ports"
    )


def _rank(rank: int | None) -> str:
    return f"not among the first {PREVIOUS_RANKS}" if rank is None else f"rank {rank}"


def _spans(pieces: list[tuple[int, int]], zone: tzinfo) -> str:
    parts = []
    for first, after in sorted(pieces):
        start, end = (hour_at(hour).astimezone(zone) for hour in (first, after))
        parts.append(f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}")
    return ", ".join(parts)


def _subject(event: Event) -> str:
    parts = [
        text
        for dimension, words in _WORDS.items()
        if dimension in event.slice and (text := words(event.slice[dimension]))
    ]
    if not event.slice.keys() & {"traffic", "service"}:
        parts.insert(0, "All packets" if event.slice else "All traffic")
    return " ".join(parts)


def _service(value: Value) -> str:
    proto, port, icmp_type = value
    if port is not None:
        name = service_name(port, PORT_PROTOCOLS.get(proto, ""))
        text = f"{port}/{proto_name(proto).upper()}"
        return f"{text} ({name})" if name else text
    return f"{proto_name(proto).upper()} type {icmp_type}"


def _traffic(value: Value) -> str:
    return {"backscatter": "Backscatter", "scan": "Scans"}.get(
        value[0], "Other traffic"
    )


_WORDS: dict[str, Any] = {
    "traffic": _traffic,
    "service": _service,
    "country": lambda value: f"from {country_name(value[0])}",
    "source": lambda value: f"by {to_text(value[0], value[1])}",
    "window": lambda value: f"with window {value[0]}",
    "signature": lambda value: f"and signature {value[1]}",
    "tool": lambda value: f"sent by {value[0]}",
    "sensor": lambda value: f"at {value[0]}",
}


def _fields(event: Event) -> str:
    parts = [f"{_FIELD_NAMES[name]} {value[0]}" for name, value in event.fixed.items()]
    return ", ".join(parts)


def _when(event: Event, zone: tzinfo) -> str:
    days = event.days(zone)
    start = hour_at(event.start).astimezone(zone)
    n_hours = sum(after - first for first, after in event.pieces)
    if len(event.pieces) > 1 and len(days) <= 10:
        return f"on {', '.join(days)}"
    until = (hour_at(event.end) - timedelta(hours=1)).astimezone(zone)
    if n_hours <= 72:
        return f"for {n_hours} hour{'s' * (n_hours > 1)} from {start:%Y-%m-%d %H:%M} on"
    return f"from {start:%Y-%m-%d %H:%M} to {until:%Y-%m-%d}"


def _amount(event: Event) -> str:
    hours = max(1, event.details.get("hours", 1))
    rate, usual = event.packets / hours, event.baseline / hours
    sources = ""
    if event.sources is not None:
        sources = f" from {event.sources:,} source{'s' * (event.sources != 1)}"
    return (
        f"{event.packets:,} packets{sources}, {rate:,.1f} an hour where "
        f"{usual:,.1f} were expected"
    )


def _surge(event: Event, zone: tzinfo) -> str:
    return f"rose {_when(event, zone)}: {_amount(event)}."


def _fixed(event: Event, zone: tzinfo) -> str:
    return (
        f"came in bursts {_when(event, zone)}: {_amount(event)}. "
        f"Nearly all packets share {_fields(event)}."
    )


def _newcomer(event: Event, zone: tzinfo) -> str:
    start = hour_at(event.start).astimezone(zone)
    return (
        f"was next to unseen before {start:%Y-%m-%d %H:%M}, and stayed: "
        f"{_amount(event)}."
    )


def _trend(event: Event, zone: tzinfo) -> str:
    details = event.details
    first, last = details["first_packets"], details["last_packets"]
    verb = "rose" if details["ramp"].high >= details["ramp"].low else "fell"
    start = hour_at(event.start).astimezone(zone)
    until = (hour_at(event.end) - timedelta(hours=1)).astimezone(zone)
    sources = ""
    if "first_sources" in details:
        few, many = details["first_sources"], details["last_sources"]
        sources = f"from {few:,.0f} to {many:,.0f} sources a day, and "
    peaks = ", with short peaks on top" if "peaks" in details else ""
    return (
        f"{verb} slowly between {start:%Y-%m-%d} and {until:%Y-%m-%d}{peaks}: "
        f"{sources}from {first:,.0f} to {last:,.0f} packets a day."
    )


_PREDICATES = {
    "surge": _surge,
    "fixed": _fixed,
    "attack": _fixed,
    "newcomer": _newcomer,
    "trend": _trend,
}
