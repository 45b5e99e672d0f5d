"""From a store to events: series, rises and trends, what explains them, a list."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import false_discovery_control

from fastflow.analysis.coverage import INPUT_HOURS, cover
from fastflow.analysis.events.baseline import (
    LENGTHS,
    Clock,
    natural_clump,
    read_clock,
    shared_rhythm,
)
from fastflow.analysis.events.course import Course, follow, read_counts
from fastflow.analysis.events.event import Event
from fastflow.analysis.events.kinds import kind_of
from fastflow.analysis.events.pursuit import Pursuit
from fastflow.analysis.events.sample import Sample, narrow, stretch_of
from fastflow.analysis.events.sample import constant_fields as constants
from fastflow.analysis.events.series import Pool, read_pool, stored_hours
from fastflow.analysis.events.surges import Hit
from fastflow.analysis.events.wording import sentence
from fastflow.analysis.selection import Selection
from fastflow.zones import hour_number

#: Of all events that are told, so many may be none.
FALSE_DISCOVERIES = 0.001
#: A source is a clump of its own, and is seen by several sensors.
_SOURCE_CLUMP = 1.5
#: What is left of a rise when it is looked at sensor by sensor, at least.
_LEAST_LEFT = 0.4
_MOST_EVENTS = 100


def events(selection: Selection, n: int | None = None) -> list[dict[str, Any]]:
    """Find what changed in a period; all that the store has before is compared with.

    Parameters
    ----------
    selection : Selection
        The rows to look at.
    n : int or None
        How many events at most; None: all.

    Returns
    -------
    list of dict
        The largest first: `rank`, `kind`, `start`, `end`, `days`, `slice`, `fixed`,
        `packets`, `sources`, `baseline`, `confidence`, `text`, `evidence`.
    """
    hours = stored_hours(selection)
    if hours is None:
        return []
    found = Finder(selection, *hours).find()
    if selection.period is not None:
        first, after = map(hour_number, selection.period.hours)
        found = [one for one in found if one.start < after and one.end > first]
    found.sort(key=lambda one: (-one.score, one.start, str(one.slice)))
    return [
        one.to_row(selection.zone, sentence(one, selection.zone), rank)
        for rank, one in enumerate(found[:n], start=1)
    ]


class Finder:
    """All that is known while events are looked for."""

    def __init__(self, selection: Selection, start: int, end: int) -> None:
        self.selection = selection
        self.pool: Pool = read_pool(selection, start, end)
        inputs = selection.store.sql(INPUT_HOURS)
        coverage = cover(inputs, selection.network, selection.sensor_names, start, end)
        self.clock: Clock = read_clock(selection, coverage)
        self.clumps = {"packets": natural_clump(selection), "sources": _SOURCE_CLUMP}
        self.rhythms = {
            measure: shared_rhythm(self.pool.total(measure), self.clock)
            for measure in self.clumps
        }
        #: Slices of events, and what share of their traffic is theirs, hour by hour.
        self._known: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._rows_per_hour = len(self.pool.hours) / max(1, self.pool.n_hours)

    @property
    def _n_tests(self) -> int:
        return len(self.pool.keys) * len(self.clumps)

    @property
    def _log_places(self) -> float:
        return float(np.log(self.pool.n_hours * len(LENGTHS)))

    def find(self) -> list[Event]:
        """Return all events, in no order."""
        if not self.pool.keys:
            return []
        # No more than `_MOST_EVENTS` are told, so that a smaller score is in vain.
        least = self._log_places + np.log(
            self._n_tests / (FALSE_DISCOVERIES * _MOST_EVENTS)
        )
        pursuit = Pursuit(self.pool, self.clock, self.clumps, self.rhythms, least)
        found: list[Event] = []
        while len(found) < _MOST_EVENTS:
            hit = pursuit.best()
            if hit is None:
                break
            self._explain(pursuit, hit, found)
        return self._significant(found)

    def _explain(self, pursuit: Pursuit, hit: Hit, found: list[Event]) -> None:
        """Add the event that a rise is of, and take it away; or the rise, if none."""
        stretch = stretch_of(self.clock, hit.start, hit.end, self._rows_per_hour)
        sample = Sample(self.selection, self.clock, stretch)
        for known, share in self._known:
            sample.leave_out(known, share)
        rise = pursuit.rise(hit, stretch.start, stretch.end)
        key = self.pool.keys[hit.series].slice
        seen = sample.excess(sample.mask(key), hit.measure)
        if not stretch.references or seen < _LEAST_LEFT * rise:
            pursuit.dismiss(hit)
            return
        chosen = narrow(sample, key, hit.measure, self.clumps[hit.measure])
        fixed = constants(sample, chosen)
        event = self._event(sample, hit, chosen, fixed)
        course = self._course(sample, event, hit)
        event.pieces = [
            (self.clock.start + first, self.clock.start + after)
            for first, after in course.pieces
        ]
        self._measure(event, course)
        event.kind = kind_of(event, sample, self.pool, self.clock)
        found.append(event)
        self._expect_it(pursuit, sample, event, course, hit)

    def _event(
        self, sample: Sample, hit: Hit, chosen: dict[str, Any], fixed: dict[str, Any]
    ) -> Event:
        fields = {**{n: chosen[n] for n in ("src_port", "tcp_seq") if n in chosen}}
        fields.update(fixed)
        named = {
            name: value
            for name, value in chosen.items()
            if name not in fields and name not in ("network", "ip_ttl")
        }
        start, end = self.clock.start + hit.start, self.clock.start + hit.end
        return Event("surge", [(start, end)], named, fields, hit.score)

    def _course(self, sample: Sample, event: Event, hit: Hit) -> Course:
        mask = sample.mask(event.whole)
        stretch = sample.stretch
        on_air = self.clock.on_air[stretch.start : stretch.end].sum()
        usual = {
            measure: sample.expected(mask, measure) / max(on_air, 1e-9)
            for measure in self.clumps
        }
        counts = read_counts(
            self.selection, self.clock, event.whole, (0, self.pool.n_hours)
        )
        return follow(
            counts, usual, self.clock, (hit.start, hit.end), self.clumps, hit.measure
        )

    def _measure(self, event: Event, course: Course) -> None:
        hours = np.zeros(self.pool.n_hours, np.bool_)
        for first, after in course.pieces:
            hours[first:after] = True
        event.packets = int(course.counts["packets"][hours].sum())
        event.baseline = float(
            (course.expected["packets"] * self.clock.on_air[hours]).sum()
        )
        event.details["hours"] = int((hours & self.clock.is_known).sum())

    def _expect_it(
        self,
        pursuit: Pursuit,
        sample: Sample,
        event: Event,
        course: Course,
        hit: Hit,
    ) -> None:
        mine = sample.mask(event.whole)
        whole = {
            measure: sample.excess(mine, measure) for measure in self.clumps
        }

        def share(series: int, measure: str) -> float:
            if whole[measure] <= 0:
                return 0.0
            both = mine & sample.mask(self.pool.keys[series].slice)
            part = sample.excess(both, measure) / whole[measure]
            return min(1.0, max(0.0, part))

        excess = course.excess(self.clock)
        shares = {
            measure: excess[measure] / np.maximum(course.counts[measure], 1.0)
            for measure in excess
        }
        self._known.append((event.whole, shares))
        pursuit.explain(excess, share)
        again = pursuit.best()
        if again is not None and (again.series, again.measure, again.start) == (
            hit.series,
            hit.measure,
            hit.start,
        ):
            pursuit.dismiss(again)

    def _significant(self, found: list[Event]) -> list[Event]:
        """Return the events that the false discovery rate allows."""
        if not found:
            return []
        chances = np.ones(max(self._n_tests, len(found)))
        scores = np.array([one.score for one in found])
        chances[: len(found)] = np.minimum(1.0, np.exp(self._log_places - scores))
        adjusted = false_discovery_control(chances)
        for one, rate in zip(found, adjusted, strict=False):
            one.confidence = 1.0 - float(rate)
        return [one for one in found if 1 - one.confidence <= FALSE_DISCOVERIES]
