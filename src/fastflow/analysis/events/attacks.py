"""Backscatter attacks as events: rows of the view `attacks`, each told once."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastflow.analysis.events.event import DAYS_BETWEEN, Event
from fastflow.analysis.events.slices import FIELDS, Value
from fastflow.analysis.events.totals import count_distinct
from fastflow.analysis.keys import WINDOW
from fastflow.analysis.selection import Selection
from fastflow.analysis.where import Conditions
from fastflow.store.attacks import ATTACKS
from fastflow.zones import HOUR, hour_at, hour_number

_COLUMNS = {"window": "tcp_window"}
_ONE_PER_HOUR = 1.0
#: Fields whose values are counted, and what they are in `sources`.
VARYING = {
    "sequence numbers": "tcp_seq",
    "source ports": "src_port",
    "destination ports": "dst_port",
    "TTLs": "ip_ttl",
    "windows": WINDOW,
}


def read_attacks(selection: Selection, start: int, end: int) -> list[dict[str, Any]]:
    """Return the attacks that touch some hours, as the selected sensors saw them.

    Filters are on columns that attacks do not have, so that none are told with one.
    """
    if selection.has_filters:
        return []
    seen = Conditions()
    selection.add_sensors(seen)
    # The view names it several times, for which a copy of all would be made.
    found = selection.store.sql(
        f"with backscatter as not materialized (from main.backscatter where {seen}) "
        f'select * from ({ATTACKS}) where start < ? and "end" >= ? '
        "order by start, src, ip_version",
        [*seen.params, hour_at(end), hour_at(start)],
    )
    return list(found.to_pylist())


def add_attacks(found: list[Event], rows: list[dict[str, Any]], clump: float) -> None:
    """Add attacks to events; one that is an event already makes that an attack.

    Parameters
    ----------
    found : list of Event
    rows : list of dict
        Of the view `attacks`, in the order of time.
    clump : float
        The natural dispersion of packets.
    """
    for row in rows:
        attack = _event(row, clump)
        known = next((one for one in found if _is_of(attack, row, one)), None)
        if known is None:
            found.append(attack)
            continue
        known.kind = "attack"
        known.details["attacks"] = known.details.get("attacks", 0) + 1
        known.details["peak"] = max(known.details.get("peak", 0), row["peak"])
        if "source" in known.slice and known.slice["source"] == attack.slice["source"]:
            known.pieces = sorted({*known.pieces, *attack.pieces})


def count_values(selection: Selection, found: list[Event]) -> None:
    """Note how many values the fields of attacks had that did not stay the same.

    Rows of `sources` have the value that their packets share, so that there are at
    least so many. A victim that errors quote is no source, and has none.
    """
    if not selection.store.settings.sources:
        return
    for one in found:
        if one.kind == "attack":
            asked = [(column, one.pieces) for column in VARYING.values()]
            counts = count_distinct(selection, one, asked)
            values = dict(zip(VARYING, counts, strict=True))
            one.details["values"] = {name: n for name, n in values.items() if n > 1}


def _event(row: dict[str, Any], clump: float) -> Event:
    hours = (hour_number(row["start"]), hour_number(row["end"] - HOUR / 3600) + 1)
    named: dict[str, Value] = {"traffic": ("backscatter",)}
    if row["country"] is not None:
        named["country"] = (row["country"],)
    named["source"] = (row["src"], row["ip_version"])
    fields = {name: row[_COLUMNS.get(name, name)] for name in FIELDS}
    fixed = {name: (value,) for name, value in fields.items() if value is not None}
    usual = _ONE_PER_HOUR * (hours[1] - hours[0])
    packets = row["packets"]
    score = max(0.0, packets * np.log(packets / usual) - packets + usual) / clump
    return Event(
        "attack",
        [hours],
        named,
        fixed,
        float(score),
        packets=packets,
        details={"attacks": 1, "peak": row["peak"], "hours": hours[1] - hours[0]},
    )


def _is_of(attack: Event, row: dict[str, Any], event: Event) -> bool:
    """Return whether an attack is the same thing as an event, or part of it."""
    if event.kind not in ("fixed", "surge", "attack"):
        return False
    near = 24 * DAYS_BETWEEN if event.kind == "attack" else 0
    if attack.start >= event.end + near or event.start - near >= attack.end:
        return False
    ports = row["src_ports"] or []
    for name, value in event.whole.items():
        if name == "src_port":
            if value[0] not in ports and attack.fixed.get(name) != value:
                return False
        elif attack.whole.get(name, value) != value:
            return False
    return "source" in event.slice or bool(event.whole.keys() & {"country", "src_port"})
