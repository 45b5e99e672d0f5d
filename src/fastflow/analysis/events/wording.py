"""Events as sentences: careful ones, with the numbers."""

from __future__ import annotations

from datetime import timedelta, tzinfo
from typing import Any

from fastflow.addresses import to_text
from fastflow.analysis.events.event import Event
from fastflow.analysis.events.slices import Value
from fastflow.analysis.keys import PORT_PROTOCOLS
from fastflow.names import country_name, proto_name, service_name
from fastflow.zones import hour_at

_FIELD_NAMES = {
    "window": "window",
    "tcp_seq": "sequence number",
    "src_port": "source port",
    "ip_ttl": "TTL",
}


def sentence(event: Event, zone: tzinfo) -> str:
    """Return one or two sentences about an event."""
    return f"{_subject(event)} {_PREDICATES[event.kind](event, zone)}"


def _subject(event: Event) -> str:
    parts = [
        text
        for dimension, words in _WORDS.items()
        if dimension in event.slice and (text := words(event.slice[dimension]))
    ]
    return " ".join(parts) or "All traffic"


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
        return f"for {n_hours} hours from {start:%Y-%m-%d %H:%M} on"
    return f"from {start:%Y-%m-%d %H:%M} to {until:%Y-%m-%d}"


def _amount(event: Event) -> str:
    hours = max(1, event.details.get("hours", 1))
    rate, usual = event.packets / hours, event.baseline / hours
    sources = f" from {event.sources:,} sources" if event.sources is not None else ""
    return (
        f"{event.packets:,} packets{sources}, {rate:,.1f} an hour where "
        f"{usual:,.1f} were expected"
    )


def _surge(event: Event, zone: tzinfo) -> str:
    return f"rose {_when(event, zone)}: {_amount(event)}."


def _fixed(event: Event, zone: tzinfo) -> str:
    return (
        f"came in bursts {_when(event, zone)}: {_amount(event)}. "
        f"Nearly all of them share {_fields(event)}."
    )


def _newcomer(event: Event, zone: tzinfo) -> str:
    start = hour_at(event.start).astimezone(zone)
    return (
        f"was next to unseen before {start:%Y-%m-%d %H:%M}, and stayed: "
        f"{_amount(event)}."
    )


def _trend(event: Event, zone: tzinfo) -> str:
    first, last = (event.details[name] for name in ("first_level", "last_level"))
    unit = "sources" if event.details["measure"] == "sources" else "packets"
    verb = "rose" if last >= first else "fell"
    start = hour_at(event.start).astimezone(zone)
    until = (hour_at(event.end) - timedelta(hours=1)).astimezone(zone)
    return (
        f"{verb} slowly from {start:%Y-%m-%d} to {until:%Y-%m-%d}, from {first:,.0f} "
        f"{unit} a day to {last:,.0f}."
    )


_PREDICATES = {
    "surge": _surge,
    "fixed": _fixed,
    "attack": _fixed,
    "newcomer": _newcomer,
    "trend": _trend,
}
