"""The numbers of events that were found: exact distinct sources, levels of trends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

import numpy as np
from scipy.stats import theilslopes

from fastflow.analysis.events.baseline import Clock
from fastflow.analysis.events.event import Event
from fastflow.analysis.events.slices import add_conditions
from fastflow.analysis.events.trends import daily, levels_along
from fastflow.analysis.selection import Selection
from fastflow.analysis.where import Conditions
from fastflow.zones import hour_at

#: Sources of each day are told where there are no more days than these.
_MOST_DAYS = 10

_Pieces = Sequence[tuple[int, int]]
_SOURCE = "(src::uuid, ip_version)"


def count_sources(selection: Selection, found: list[Event]) -> None:
    """Set the exact number of distinct sources of each event.

    Of bursts, those of each day as well.
    """
    if not selection.store.settings.sources:
        return
    for one in found:
        days = _days(one, selection.zone)
        asked = [(_SOURCE, pieces) for pieces in (one.pieces, *days.values())]
        one.sources, *by_day = count_distinct(selection, one, asked)
        if days:
            one.details["sources_by_day"] = dict(zip(days, by_day, strict=True))


def count_distinct(
    selection: Selection, event: Event, asked: Sequence[tuple[str, _Pieces]]
) -> list[int]:
    """Count distinct values over the rows of `sources` of an event.

    One event at a time: its conditions leave few rows, of few files. Several at once
    take many times as long as one after the other.

    Parameters
    ----------
    asked : sequence of (str, pieces)
        What is counted, as SQL, and in which of the event's hours.
    """
    columns, params = [], []
    for what, pieces in asked:
        inside = Conditions()
        add_pieces(inside, pieces)
        columns.append(f"count(distinct {what}) filter (where {inside})")
        params += inside.params
    hours = hour_at(event.start), hour_at(event.end)
    conditions = selection.conditions(hours)
    add_conditions(conditions, event.whole)
    answer = selection.ask(
        f"select {', '.join(columns)} from sources where {conditions}",
        [*params, *conditions.params],
        hours,
    )
    return [column[0].as_py() for column in answer.columns]


def _days(event: Event, zone: tzinfo) -> dict[str, list[tuple[int, int]]]:
    """Return the hours of each day of an event of few days; else none."""
    if event.kind not in ("fixed", "attack"):
        return {}
    days: dict[str, list[tuple[int, int]]] = {}
    for first, after in event.pieces:
        for hour in range(first, after):
            day = f"{hour_at(hour).astimezone(zone):%Y-%m-%d}"
            days.setdefault(day, []).append((hour, hour + 1))
    return days if len(days) <= _MOST_DAYS else {}


def add_pieces(conditions: Conditions, pieces: _Pieces) -> None:
    """Add the condition that rows lie in the hours of pieces."""
    moments: list[Any] = [hour_at(hour) for piece in pieces for hour in piece]
    terms = ["hour >= ? and hour < ?"] * len(pieces)
    conditions.add(f"({' or '.join(terms)})", *moments)


def measure_trends(selection: Selection, clock: Clock, found: list[Event]) -> None:
    """Set the levels of each trend, in exact distinct sources a day, and their slope.

    The slope is the median of those between all pairs of days (Theil & Sen).
    """
    trends = [one for one in found if one.kind == "trend"]
    if not selection.store.settings.sources:
        return
    flat = np.ones(len(clock.on_air))
    for one in trends:
        conditions = selection.conditions(None)
        add_conditions(conditions, one.slice)
        answer = selection.store.sql(
            f"select (epoch_us(hour) // 3600000000 - {clock.start}) // 24 as day, "
            f"count(distinct {_SOURCE})::double as sources "
            f"from sources where {conditions} group by day",
            conditions.params,
        )
        by_hour = np.zeros(len(flat))
        by_hour[24 * answer["day"].to_numpy()] = answer["sources"].to_numpy()
        days = daily(by_hour, clock, flat)
        ramp = one.details["ramp"]
        levels = levels_along(days, ramp, clock.n_days)
        inside = np.arange(ramp.first, min(ramp.last + 1, clock.n_days))
        known = inside[~np.isnan(days[inside])]
        one.details |= {
            "first_sources": float(levels[0]),
            "last_sources": float(levels[-1]),
            "slope": float(theilslopes(days[known], known).slope),
        }
