"""One phenomenon after the other: the best rise is explained, and expected after that.

A phenomenon makes many series rise: its port's, its country's, its window's, and those
of pairs of them. The likeliest rise is explained first; its share of every other series
is from then on expected there, and the series are looked at again. What still rises is
another one (matching pursuit: Mallat & Zhang, IEEE Trans. Signal Process. 41, 1993).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from fastflow.analysis.events.baseline import (
    FLOOR,
    Clock,
    Expected,
    Floats,
    dispersion,
    expect,
    expect_values,
)
from fastflow.analysis.events.codes import Ints
from fastflow.analysis.events.series import Pool
from fastflow.analysis.events.surges import Hit, likelihood, may_rise, refine, scan

#: Series that are looked at together, few enough for caches, and how many times so many
#: at once.
_AT_ONCE, _WORKERS = 128, 2
#: A series whose rises are none so many times is not looked at any more: it is of a
#: sensor that came, mostly.
_MOST_DISMISSED = 3


@dataclass
class _Group:
    """Series of one measure that may rise somewhere."""

    measure: str
    clump: float
    rhythm: Floats
    series: Ints
    counts: Floats
    explained: Floats
    hits: dict[int, Hit]
    dismissed: dict[int, int] = field(default_factory=dict)


class Pursuit:
    """All series that rise somewhere, and their best rises.

    Parameters
    ----------
    clumps, rhythms : mappings of measure
        The natural dispersion, and the rhythm of all traffic.
    least : float
        Scores below it are no rises.
    """

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        clumps: Mapping[str, float],
        rhythms: Mapping[str, Floats],
        least: float,
    ) -> None:
        self.pool, self.clock = pool, clock
        self._least = least
        self._groups: dict[str, _Group] = {}
        for measure, clump in clumps.items():
            group = _Group(
                measure, clump, rhythms[measure], np.empty(0, np.int64),
                np.empty((0, pool.n_hours)), np.empty((0, 0)), {},
            )  # fmt: skip
            kept = [group.series]
            rows = [group.counts]
            blocks = _blocks(worth_it(pool, measure, clump))
            with ThreadPoolExecutor(_WORKERS) as workers:
                for rising, counts, hits in workers.map(
                    partial(self._rising, group), blocks
                ):
                    kept.append(rising)
                    rows.append(counts)
                    group.hits.update({hit.series: hit for hit in hits})
            group.series, group.counts = np.concatenate(kept), np.concatenate(rows)
            group.explained = np.zeros_like(group.counts)
            self._groups[measure] = group

    def _rising(self, group: _Group, chosen: Ints) -> tuple[Ints, Floats, list[Hit]]:
        """Return the series that rise somewhere, their counts, and the rises."""
        counts = self.pool.dense(group.measure, chosen) * self.clock.is_known
        hits = self._scan(group, chosen, counts, np.zeros(self.pool.n_hours))
        rising = np.isin(chosen, [hit.series for hit in hits])
        return chosen[rising], counts[rising], hits

    def _scan(
        self, group: _Group, chosen: Ints, counts: Floats, explained: Floats
    ) -> list[Hit]:
        """Return the best rises of series.

        Most do not rise however little they usually vary; how much that is takes as
        long to find out as all else.
        """
        usual = np.maximum(counts - explained, 0.0)
        values, weights = expect_values(usual, self.clock, group.clump, group.rhythm)
        values += explained
        rises = may_rise(counts, values, self._least * group.clump)
        if not rises.any():
            return []
        expected = Expected(
            values[rises], dispersion(usual[rises], weights[rises], group.clump)
        )
        chosen, counts = chosen[rises], counts[rises]
        return [
            Hit(int(chosen[row]), group.measure, start, end, score)
            for row, start, end, score in scan(counts, expected, self._least)
        ]

    def _expect(self, group: _Group, counts: Floats, explained: Floats) -> Expected:
        usual = np.maximum(counts - explained, 0.0)
        expected = expect(usual, self.clock, group.clump, group.rhythm)
        return Expected(expected.values + explained, expected.dispersion)

    def best(self) -> Hit | None:
        """Return the likeliest rise there is; ties in the order of series."""
        hits = [hit for group in self._groups.values() for hit in group.hits.values()]
        if not hits:
            return None
        hit = max(hits, key=lambda hit: (hit.score, hit.measure, -hit.series))
        group, row = self._row(hit)
        counts = group.counts[row]
        expected = self._expect(group, counts, group.explained[row])
        hit.start, hit.end, hit.score = refine(
            counts[0], expected.values[0], expected.dispersion[0], hit.start, hit.end
        )
        return hit

    def rise(self, hit: Hit, start: int, end: int) -> float:
        """Return how much more there was in some hours than was expected."""
        group, row = self._row(hit)
        counts = group.counts[row]
        expected = self._expect(group, counts, group.explained[row])
        hours = slice(start, end)
        return float(counts[0, hours].sum() - expected.values[0, hours].sum())

    def unexplained(self, hit: Hit) -> Floats:
        """Return the series of a hit without what is explained of it."""
        group, row = self._row(hit)
        left = group.counts[row] - group.explained[row]
        found: Floats = np.maximum(left[0], 0.0)
        return found

    def dismiss(self, hit: Hit) -> None:
        """Expect a rise that is none."""
        group, row = self._row(hit)
        counts, explained = group.counts[row], group.explained[row]
        expected = self._expect(group, counts, explained)
        hours = slice(hit.start, hit.end)
        rise = counts[:, hours] - expected.values[:, hours]
        explained[:, hours] += np.maximum(rise, 0.0)
        group.dismissed[hit.series] = group.dismissed.get(hit.series, 0) + 1
        if group.dismissed[hit.series] < _MOST_DISMISSED:
            self._again(group, np.array([hit.series]))
        else:
            del group.hits[hit.series]

    def _row(self, hit: Hit) -> tuple[_Group, slice]:
        group = self._groups[hit.measure]
        row = int(np.searchsorted(group.series, hit.series))
        return group, slice(row, row + 1)

    def explain(
        self, excess: Mapping[str, Floats], share: Callable[[int, str], float]
    ) -> None:
        """Expect what an event makes of each series.

        Parameters
        ----------
        excess : mapping of measure to array
            By hour.
        share : callable
            Takes the number of a series and a measure: how much of it is that series'.
        """
        for measure, group in self._groups.items():
            mine = excess[measure]
            touched = []
            for row, series in enumerate(group.series.tolist()):
                part = share(series, measure)
                if part > 0:
                    group.explained[row] += part * mine
                    if series in group.hits:
                        touched.append(series)
            self._again(group, np.array(touched, np.int64))

    def _again(self, group: _Group, series: Ints) -> None:
        for chosen in _blocks(series):
            rows = np.searchsorted(group.series, chosen)
            for one in chosen.tolist():
                group.hits.pop(one, None)
            hits = self._scan(group, chosen, group.counts[rows], group.explained[rows])
            group.hits.update({hit.series: hit for hit in hits})


def _blocks(chosen: Ints) -> Iterator[Ints]:
    for start in range(0, len(chosen), _AT_ONCE):
        yield chosen[start : start + _AT_ONCE]


def worth_it(pool: Pool, measure: str, clump: float) -> Ints:
    """Return the series whose largest hour or day is more than chance would make it.

    Compared with their mean and at the least dispersion: a first sieve.
    """
    counts = getattr(pool, measure).astype(float)
    if not len(counts):
        return np.empty(0, np.int64)
    firsts = pool.begins[:-1]
    mean = np.add.reduceat(counts, firsts) / pool.n_hours
    largest = np.maximum.reduceat(counts, firsts)
    day = pool.hours // 24
    is_new = np.ones(len(day), np.bool_)
    np.not_equal(day[1:], day[:-1], out=is_new[1:])
    is_new[firsts] = True
    begins = np.flatnonzero(is_new)
    by_day = np.add.reduceat(counts, begins)
    largest_day = np.maximum.reduceat(by_day, np.searchsorted(begins, firsts))
    usual = np.maximum(mean, FLOOR)
    hour = likelihood(largest, usual) / clump
    days = likelihood(largest_day, 24 * usual) / clump
    found: Ints = np.flatnonzero(np.maximum(hour, days) > 8)
    return found
