"""The numbers of events that were found: exact distinct sources, levels of trends."""

from __future__ import annotations

import numpy as np
from scipy.stats import theilslopes

from fastflow.analysis.events.baseline import Clock
from fastflow.analysis.events.event import Event
from fastflow.analysis.events.slices import add_conditions
from fastflow.analysis.events.trends import daily, levels_along
from fastflow.analysis.selection import Selection
from fastflow.analysis.where import Conditions
from fastflow.zones import hour_at


def count_sources(selection: Selection, found: list[Event]) -> None:
    """Set the exact number of distinct sources of each event, in one pass."""
    if not found or not selection.store.settings.sources:
        return
    columns, params = [], []
    for one in found:
        inside = Conditions()
        add_conditions(inside, one.whole)
        inside.add(
            f"({' or '.join(['hour >= ? and hour < ?'] * len(one.pieces))})",
            *(hour_at(hour) for piece in one.pieces for hour in piece),
        )
        columns.append(
            f"count(distinct (src::uuid, ip_version)) filter (where {inside})"
        )
        params += inside.params
    hours = (
        hour_at(min(one.start for one in found)),
        hour_at(max(one.end for one in found)),
    )
    conditions = selection.conditions(hours)
    answer = selection.ask(
        f"select {', '.join(columns)} from sources where {conditions}",
        [*params, *conditions.params],
        hours,
    )
    for one, column in zip(found, answer.columns, strict=True):
        one.sources = column[0].as_py()


def measure_trends(selection: Selection, clock: Clock, found: list[Event]) -> None:
    """Set the exact levels of each trend, in distinct sources a day, and their slope.

    The slope is the median of those between all pairs of days (Theil & Sen).
    """
    if not selection.store.settings.sources:
        return
    n_hours = len(clock.on_air)
    flat = np.ones(n_hours)
    for one in found:
        if one.kind != "trend":
            continue
        conditions = selection.conditions(None)
        add_conditions(conditions, one.slice)
        answer = selection.ask(
            f"select (epoch_us(hour) // 3600000000 - {clock.start}) // 24 as day, "
            "count(distinct (src::uuid, ip_version))::double as sources "
            f"from sources where {conditions} group by day",
            conditions.params,
        )
        by_hour = np.zeros(n_hours)
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
