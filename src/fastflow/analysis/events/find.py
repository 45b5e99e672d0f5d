"""From a store to events: series, rises and trends, what explains them, a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import false_discovery_control

from fastflow.analysis.events.attacks import add_attacks, count_values, read_attacks
from fastflow.analysis.events.baseline import (
    FLOOR,
    LENGTHS,
    Clock,
    Expected,
    Floats,
    expect,
    natural_clump,
    read_clock,
    shared_rhythm,
)
from fastflow.analysis.events.course import Course, follow, joined, read_counts
from fastflow.analysis.events.event import Event
from fastflow.analysis.events.kinds import kind_of
from fastflow.analysis.events.narrowing import (
    constant_fields,
    narrow,
    one_hand,
    quiet_others,
)
from fastflow.analysis.events.pool import read_pool, stored_hours
from fastflow.analysis.events.pursuit import Pursuit
from fastflow.analysis.events.ranks import compare_ranks
from fastflow.analysis.events.sample import (
    Sample,
    Stretch,
    rows_per_hour,
    stretch_of,
    stretch_of_ramp,
)
from fastflow.analysis.events.series import Pool
from fastflow.analysis.events.slices import FIELDS, Slice
from fastflow.analysis.events.surges import Hit
from fastflow.analysis.events.totals import count_sources, measure_trends
from fastflow.analysis.events.trends import Ramp, Trends, daily, levels_along, ramp_of
from fastflow.analysis.events.wording import describe
from fastflow.analysis.selection import Selection
from fastflow.zones import hour_number

#: Of all events that are told, so many may be none.
FALSE_DISCOVERIES = 0.0001
#: A source is a clump of its own, and is seen by several sensors.
_SOURCE_CLUMP = 1.5
#: What is left of a rise when it is looked at sensor by sensor, at least.
_LEAST_LEFT = 0.4
#: Less than this part of what known events explain of the same traffic is no event:
#: it is what their courses leave.
_LEAST_OF_KNOWN = 0.25
_MOST_EVENTS = 100
#: Fewer packets than an attack has (Moore et al., ACM Trans. Comput. Syst. 24, 2006)
#: are no event.
_LEAST_PACKETS = 25
#: A further burst rises by this part of what the first one does.
_LEAST_STRENGTH = 0.3

#: What an event makes by hour, and how much of that is a series'.
_Explained = tuple[dict[str, Floats], Callable[[int, str], float]]


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
    return [
        one.to_row(selection.zone, rank, *describe(one, selection.zone))
        for rank, one in enumerate(find_events(selection, n), start=1)
    ]


def find_events(
    selection: Selection, n: int | None = None, victims: int | None = None
) -> list[Event]:
    """Find what `events` tells, in the same order, with all that is known of it.

    Parameters
    ----------
    victims : int or None
        How many events may be attacks on one address; None: all.
    """
    hours = stored_hours(selection)
    if hours is None:
        return []
    finder = Finder(selection, *hours)
    found = finder.find()
    add_attacks(found, read_attacks(selection, *hours), finder.clumps["packets"])
    if selection.period is not None:
        first, after = map(hour_number, selection.period.hours)
        found = [one for one in found if one.start < after and one.end > first]
    found.sort(key=lambda one: (-one.score, one.start, str(one.slice)))
    if victims is not None:
        of_one = [id(one) for one in found if one.is_of_one_victim]
        left_out = set(of_one[victims:])
        found = [one for one in found if id(one) not in left_out]
    found = found[:n]
    count_sources(selection, found)
    count_values(selection, found)
    measure_trends(selection, finder.clock, found)
    compare_ranks(finder.pool, found)
    return found


class Finder:
    """All that is known while events are looked for."""

    def __init__(self, selection: Selection, start: int, end: int) -> None:
        self.selection = selection
        clump = natural_clump(selection)
        self.pool: Pool = read_pool(selection, start, end, clump)
        coverage = selection.coverage_of(start, end)
        self.clock: Clock = read_clock(selection, coverage)
        self.clumps = {"packets": clump, "sources": _SOURCE_CLUMP}
        self.rhythms = {
            measure: shared_rhythm(self.pool.total(measure), self.clock)
            for measure in self.clumps
        }
        #: Slices of events, and what share of their traffic is theirs, hour by hour.
        self._known: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._rows_per_hour = rows_per_hour(selection, start, end)

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
        found: list[Event] = []
        known = (self.pool, self.clock, self.clumps, self.rhythms)
        pursuit = Pursuit(*known, least)
        trends = Trends(*known, least - self._log_places)
        while len(found) < _MOST_EVENTS:
            hit, ramp = pursuit.best(), trends.best()
            if ramp is not None and (hit is None or ramp.weight >= hit.score):
                one = self._explain_ramp(ramp, found)
                trends.dismiss(ramp)
            elif hit is not None:
                one = self._explain_ramp(self._ramp_of(pursuit, hit, least), found)
                one = one or self._explain(pursuit, hit, found)
                if one is None:
                    pursuit.dismiss(hit)
            else:
                break
            if one is None:
                continue
            pursuit.explain(*one)
            trends.explain(*one)
            again = pursuit.best()
            if hit is not None and again is not None and again.is_like(hit):
                pursuit.dismiss(again)
        return self._significant(found)

    def _ramp_of(self, pursuit: Pursuit, hit: Hit, least: float) -> Ramp | None:
        """Return the ramp of the series of a hit, if it rises slowly as a whole."""
        counts = pursuit.unexplained(hit)
        days = daily(counts, self.clock, self.rhythms[hit.measure])
        return ramp_of(days, hit, self.clumps[hit.measure], least - self._log_places)

    def _explain_ramp(self, ramp: Ramp | None, found: list[Event]) -> _Explained | None:
        """Add the event that a ramp is of; None: it is none, sensor by sensor."""
        if ramp is None:
            return None
        stretch = stretch_of_ramp(self.clock, ramp, self._rows_per_hour)
        if not stretch.references:
            return None
        sample = self._sample(stretch)
        key = self.pool.keys[ramp.series].slice
        change = abs(ramp.high - ramp.low) / 24 * (stretch.end - stretch.start)
        if sample.excess(sample.mask(key), ramp.measure) < _LEAST_LEFT * change:
            return None
        chosen = narrow(sample, key, ramp.measure, self.clumps[ramp.measure])
        for name in ("src_port", "tcp_seq", "network"):
            chosen.pop(name, None)
        counts, known = self._counts(chosen)
        clock = self.clock
        if "sensor" in chosen:
            clock = clock.of_sensor(chosen["sensor"])
            ramp = self._ramp_at(clock, counts, ramp)
        excess, levels = self._along(ramp, counts, clock)
        inside = slice(24 * ramp.first, 24 * ramp.last)
        left = _LEAST_OF_KNOWN * known[ramp.measure][inside].sum()
        level = levels[ramp.measure]
        is_same_way = (level[-1] - level[0]) * (ramp.high - ramp.low) > 0
        if excess[ramp.measure][inside].sum() < left or not is_same_way:
            return None
        start, end = (
            self.clock.start + 24 * ramp.first,
            self.clock.start + 24 * ramp.last,
        )
        end = min(end, self.clock.start + self.pool.n_hours)
        event = Event("trend", [(start, end)], chosen, {}, ramp.score)
        event.score += self._log_places  # it is one place that was looked at
        event.details |= {
            "ramp": ramp,
            "first_packets": float(levels["packets"][0]),
            "last_packets": float(levels["packets"][-1]),
            "others": quiet_others(sample, chosen, self.clumps),
        }
        others = float(known["packets"][inside].sum())
        event.packets = round(float(counts["packets"][inside].sum()) + others)
        low = levels["packets"].min() / 24
        event.baseline = float(low * clock.on_air[inside].sum()) + others
        if not any(one.is_same_trend(event) for one in found):
            found.append(event)
        shares = {m: excess[m] / np.maximum(counts[m], 1.0) for m in excess}
        self._known.append(
            (chosen, {m: np.clip(values, 0.0, 1.0) for m, values in shares.items()})
        )
        return excess, self._share(sample, chosen)

    def _ramp_at(self, clock: Clock, counts: Mapping[str, Floats], of: Ramp) -> Ramp:
        """Return the ramp of a part of a series at one sensor."""
        days = daily(counts[of.measure], clock, self.rhythms[of.measure])
        return ramp_of(days, of, self.clumps[of.measure], of.score) or of

    def _along(
        self, ramp: Ramp, counts: Mapping[str, Floats], clock: Clock
    ) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Return what a ramp makes of a slice by hour, and its levels by day."""
        excess, levels = {}, {}
        for measure, values in counts.items():
            rhythm = self.rhythms[measure]
            level = levels_along(daily(values, clock, rhythm), ramp, clock.n_days)
            rise = np.repeat(level - level.min(), 24)[: self.pool.n_hours] / 24
            levels[measure] = level
            excess[measure] = rise * clock.on_air * rhythm
        return excess, levels

    def _share(self, sample: Sample, chosen: Slice) -> Callable[[int, str], float]:
        """Return how much of an event's excess is of a series.

        Of all series at once: a sample is large, and is let go of.
        """
        shares = {m: sample.shares(chosen, self.pool.keys, m) for m in self.clumps}
        return lambda series, measure: float(shares[measure][series])

    def _explain(
        self, pursuit: Pursuit, hit: Hit, found: list[Event]
    ) -> _Explained | None:
        """Add the event that a rise is of; None: it is none, sensor by sensor."""
        stretch = stretch_of(self.clock, hit.start, hit.end, self._rows_per_hour)
        rise = pursuit.rise(hit, stretch.start, stretch.end)
        key = self.pool.keys[hit.series].slice
        if not stretch.references:
            return None
        # Most that are none are seen to be by their own rows, which are few.
        seen = self._sample(stretch, key).whole_excess(hit.measure)
        if seen < _LEAST_LEFT * rise:
            return None
        sample = self._sample(stretch)
        if (event := self._named(sample, hit)) is None:
            return None
        course = self._course(sample, event, hit)
        first, after = course.pieces[0]
        if any(first < end and hit.start > start for start, end in stretch.references):
            # It began earlier than its best hours, which were compared with its own.
            stretch = stretch_of(self.clock, first, after, self._rows_per_hour)
            sample, hit = self._sample(stretch), replace(hit, start=first, end=after)
            if (event := self._named(sample, hit)) is None:
                return None
            course = self._course(sample, event, hit)
        if self._is_left_over(course, hit.measure):
            return None
        self._measure(event, course)
        event.kind = kind_of(event, sample, self.pool, self.clock)
        self._add(event, course, found)
        share = self._share(sample, event.whole)
        excess = course.excess(self.clock)
        shares = {
            measure: excess[measure] / np.maximum(course.counts[measure], 1.0)
            for measure in excess
        }
        self._known.append((event.whole, shares))
        return excess, share

    def _is_left_over(self, course: Course, measure: str) -> bool:
        """Return whether a rise is what the courses of known events leave."""
        rise, known = (
            sum(float(values[first:after].sum()) for first, after in course.pieces)
            for values in (course.excess(self.clock)[measure], course.known[measure])
        )
        return rise < _LEAST_OF_KNOWN * known

    def _sample(self, stretch: Stretch, within: Slice | None = None) -> Sample:
        """Return the rows of a stretch, without what is known of other events."""
        sample = Sample(self.selection, self.clock, stretch, within or {})
        for known, share in self._known:
            sample.leave_out(known, share)
        return sample

    def _add(self, event: Event, course: Course, found: list[Event]) -> None:
        """Add an event, or its bursts to the event of the same traffic."""
        if self._is_part(event, found):
            return
        same = [one for one in found if one.is_same(event)]
        pieces = [piece for one in (*same, event) for piece in one.pieces]
        shift = self.clock.start
        pieces = joined([(first - shift, after - shift) for first, after in pieces])
        course = replace(course, pieces=pieces)
        event.score = max(one.score for one in (*same, event))
        found[:] = [
            one for one in found if one not in same and not one.is_part_of(event)
        ]
        self._measure(event, course)
        found.append(event)

    def _is_part(self, event: Event, found: list[Event]) -> bool:
        """Return whether it is a part of an event; a trend has it as a peak on top."""
        for one in found:
            if event.is_part_of(one):
                if one.kind == "trend":
                    one.details.setdefault("peaks", []).extend(event.pieces)
                return True
        return False

    def _named(self, sample: Sample, hit: Hit) -> Event | None:
        """Return the event that a rise is of.

        None: of all that is told of an event, its packets have nothing in common.
        """
        key = self.pool.keys[hit.series].slice
        clump = self.clumps[hit.measure]
        chosen = narrow(sample, key, hit.measure, clump)
        if (part := one_hand(sample, chosen)) != chosen:
            chosen = narrow(sample, part, hit.measure, clump)
        fixed = {name: chosen[name] for name in FIELDS[1:3] if name in chosen}
        fixed.update(constant_fields(sample, chosen))
        named = {
            name: value
            for name, value in chosen.items()
            if name not in fixed and name not in ("network", "ip_ttl")
        }
        if key and not (named or fixed):
            return None
        event = Event("surge", [], named, fixed, hit.score)
        event.details["others"] = quiet_others(sample, named, self.clumps)
        return event

    def _course(self, sample: Sample, event: Event, hit: Hit) -> Course:
        mask = sample.mask(event.whole)
        stretch = sample.stretch
        on_air = self.clock.on_air[stretch.start : stretch.end].sum()
        level = {
            measure: sample.expected(mask, measure) / max(on_air, 1e-9)
            for measure in self.clumps
        }
        counts, known = self._counts(event.whole)
        mine, rhythm = counts[hit.measure][None], self.rhythms[hit.measure]
        usual = expect(mine, self.clock, self.clumps[hit.measure], rhythm)
        values = np.maximum(level[hit.measure] * rhythm, FLOOR) * self.clock.on_air
        usual = Expected(values[None], usual.dispersion)
        found = hit.start, hit.end
        # Header fields tell whose a burst is; without them, its size has to.
        least = 0.0 if event.fixed else _LEAST_STRENGTH
        return follow(
            counts, known, level, self.clock, found, usual, hit.measure, least
        )

    def _counts(self, chosen: Slice) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Return a slice hour by hour: without what known events that it lies in have.

        And what these have.
        """
        whole = read_counts(self.selection, self.clock, chosen, (0, self.pool.n_hours))
        left = dict(whole)
        for known, share in self._known:
            if known.items() <= chosen.items():
                left = {name: left[name] * (1 - share[name]) for name in left}
        return left, {name: whole[name] - left[name] for name in whole}

    def _measure(self, event: Event, course: Course) -> None:
        event.pieces = [
            (self.clock.start + first, self.clock.start + after)
            for first, after in course.pieces
        ]
        hours = np.zeros(self.pool.n_hours, np.bool_)
        for first, after in course.pieces:
            hours[first:after] = True
        others = float(course.known["packets"][hours].sum())
        event.packets = round(float(course.counts["packets"][hours].sum()) + others)
        usual = course.expected["packets"] * self.clock.on_air[hours]
        event.baseline = float(usual.sum()) + others
        event.details["hours"] = int((hours & self.clock.is_known).sum())

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
        return [
            one
            for one in found
            if 1 - one.confidence <= FALSE_DISCOVERIES
            and (one.kind == "trend" or one.packets - one.baseline >= _LEAST_PACKETS)
        ]
