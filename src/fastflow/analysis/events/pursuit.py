"""One phenomenon after the other: the best rise is explained, and taken away.

A phenomenon makes many series rise: its port's, its country's, its window's, and those
of pairs of them. The likeliest rise is explained first; what it explains is subtracted
from all other series, which are then looked at again. What still rises is another one
(matching pursuit: Mallat & Zhang, IEEE Trans. Signal Process. 41, 1993).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from fastflow.analysis.events.baseline import FLOOR, Clock, Expected, Floats, expect
from fastflow.analysis.events.series import Ints, Pool
from fastflow.analysis.events.surges import Hit, likelihood, scan

#: Series that are looked at together: some hundred MB.
_AT_ONCE = 512


@dataclass
class _Group:
    """Series of one measure that may rise somewhere."""

    measure: str
    clump: float
    rhythm: Floats
    series: Ints
    counts: Floats
    hits: dict[int, Hit]


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
                np.empty((0, pool.n_hours)), {},
            )  # fmt: skip
            kept = [group.series]
            rows = [group.counts]
            for chosen in _blocks(worth_it(pool, measure, clump)):
                counts = pool.dense(measure, chosen) * clock.is_known
                hits = self._scan(group, chosen, counts)
                rising = np.isin(chosen, [hit.series for hit in hits])
                kept.append(chosen[rising])
                rows.append(counts[rising])
                group.hits.update({hit.series: hit for hit in hits})
            group.series, group.counts = np.concatenate(kept), np.concatenate(rows)
            self._groups[measure] = group

    def _scan(self, group: _Group, chosen: Ints, counts: Floats) -> list[Hit]:
        expected = expect(counts, self.clock, group.clump, group.rhythm)
        best: dict[int, Hit] = {}
        for row, start, end, score in scan(counts, expected, self._least):
            series = int(chosen[row])
            if series not in best or score > best[series].score:
                best[series] = Hit(series, group.measure, start, end, score)
        return list(best.values())

    def best(self) -> Hit | None:
        """Return the likeliest rise there is; ties in the order of series."""
        hits = [hit for group in self._groups.values() for hit in group.hits.values()]
        return max(
            hits,
            key=lambda hit: (hit.score, hit.measure, -hit.series),
            default=None,
        )

    def expected(self, hit: Hit) -> tuple[Floats, Expected]:
        """Return the series of a hit as it is by now, and what it is expected to be."""
        group = self._groups[hit.measure]
        row = int(np.searchsorted(group.series, hit.series))
        counts = group.counts[row : row + 1]
        return counts, expect(counts, self.clock, group.clump, group.rhythm)

    def dismiss(self, hit: Hit) -> None:
        """Take a rise away that is none."""
        counts, expected = self.expected(hit)
        hours = slice(hit.start, hit.end)
        counts[:, hours] = np.minimum(counts[:, hours], expected.values[:, hours])
        self._again(self._groups[hit.measure], np.array([hit.series]))

    def take_away(
        self, excess: Mapping[str, Floats], share: Callable[[int, str], float]
    ) -> None:
        """Subtract what an event explains.

        Parameters
        ----------
        excess : mapping of measure to array
            By hour.
        share : callable
            Takes the number of a series and a measure: how much of it is that series'.
        """
        for measure, group in self._groups.items():
            mine = excess[measure]
            hours = np.flatnonzero(mine > 0)
            if not len(hours):
                continue
            touched = []
            for row, series in enumerate(group.series.tolist()):
                part = share(series, measure)
                if part > 0.01:
                    left = group.counts[row, hours] - part * mine[hours]
                    group.counts[row, hours] = np.maximum(left, 0.0)
                    if series in group.hits:
                        touched.append(series)
            self._again(group, np.array(touched, np.int64))

    def _again(self, group: _Group, series: Ints) -> None:
        for chosen in _blocks(series):
            rows = np.searchsorted(group.series, chosen)
            for one in chosen.tolist():
                group.hits.pop(one, None)
            hits = self._scan(group, chosen, group.counts[rows])
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
    series = np.repeat(np.arange(len(firsts)), np.diff(pool.begins))
    day = series * pool.n_hours + pool.hours // 24
    begins = np.flatnonzero(np.diff(day, prepend=-1))
    by_day = np.add.reduceat(counts, begins)
    largest_day = np.zeros(len(firsts))
    np.maximum.at(largest_day, series[begins], by_day)
    usual = np.maximum(mean, FLOOR)
    hour = likelihood(largest, usual) / clump
    days = likelihood(largest_day, 24 * usual) / clump
    found: Ints = np.flatnonzero(np.maximum(hour, days) > 8)
    return found
