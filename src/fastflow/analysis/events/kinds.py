"""What kind of event something is."""

from __future__ import annotations

import numpy as np

from fastflow.analysis.events.baseline import Clock
from fastflow.analysis.events.event import Event
from fastflow.analysis.events.sample import Sample
from fastflow.analysis.events.series import Key, Pool

#: Something new stays: for so many days at least, until the end, with little missing.
_DAYS_TO_STAY = 7
_SHARE_OF_TIME = 0.7
#: What was there before is next to nothing beside what came.
_NOTHING = 0.03
_NEW = ("service", "country", "window", "signature", "tool")
#: So few sources with one unusual window are of one hand.
_FEW_SOURCES = 16


def kind_of(event: Event, sample: Sample, pool: Pool, clock: Clock) -> str:
    """Return newcomer, fixed or surge; header fields go where they belong."""
    if _stays(event, clock) and (new := _new_value(event, pool, clock)):
        event.slice = {new: event.slice.get(new) or event.fixed[new]}
        event.fixed = {}
        return "newcomer"
    n_sources = sample.n_sources(sample.mask(event.whole))
    is_few = n_sources is not None and n_sources <= _FEW_SOURCES
    is_of_one_hand = "window" in event.fixed and (is_few or "ip_ttl" in event.fixed)
    is_fixed = event.fixed.keys() & {"src_port", "tcp_seq"} or is_of_one_hand
    kind = "fixed" if is_fixed else "surge"
    if kind == "fixed":
        if "window" in event.slice:
            event.fixed["window"] = event.slice.pop("window")
        event.slice.pop("signature", None)
    else:
        if "window" in event.fixed:
            event.slice["window"] = event.fixed.pop("window")
        event.fixed.pop("ip_ttl", None)
    return kind


def _stays(event: Event, clock: Clock) -> bool:
    """Return whether it was there most of the time until the end."""
    end = clock.start + len(clock.on_air)
    lasts = sum(after - first for first, after in event.pieces)
    from_start = end - event.start
    return (
        end - event.end <= 24
        and from_start >= 24 * _DAYS_TO_STAY
        and lasts >= _SHARE_OF_TIME * from_start
    )


def _new_value(event: Event, pool: Pool, clock: Clock) -> str | None:
    """Return the dimension of which a value was not there before the event."""
    start = event.start - clock.start
    known = {**event.slice, **event.fixed}
    for dimension in _NEW:
        if dimension not in known:
            continue
        key = Key((dimension,), (known[dimension],))
        if key not in pool.keys:
            continue
        counts = pool.dense("packets", np.array([pool.keys.index(key)]))[0]
        on_air = clock.on_air
        before = counts[:start].sum() / max(on_air[:start].sum(), 1.0)
        since = counts[start:].sum() / max(on_air[start:].sum(), 1.0)
        if on_air[:start].sum() >= 24 * _DAYS_TO_STAY and before <= _NOTHING * since:
            return dimension
    return None
