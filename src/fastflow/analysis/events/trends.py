"""Slow rises and falls over weeks.

The days of a series are compared with a ramp: level until one day, then up or down to
another day, then level. It must beat a step, and it must be monotone by the test of
Mann (Econometrica 13, 1945) and Kendall, whose variance is corrected for days that
depend on the day before (Yue & Wang, Water Resour. Manag. 18, 2004). A median over a
week takes out short peaks before the ramp is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.stats import kendalltau, norm

from fastflow.analysis.events.baseline import FLOOR, LENGTHS, Clock, Floats
from fastflow.analysis.events.codes import Ints
from fastflow.analysis.events.series import Pool
from fastflow.analysis.events.surges import Hit, likelihood

#: A ramp takes as many days at least; a step not more than that.
LEAST_DAYS, STEP_DAYS = 21, 5
#: Days with less than this part on the air say nothing.
_LEAST_ON_AIR = 0.25
_MEDIAN_DAYS = 7
#: How much better than a step a ramp must be, in what is left of the squares.
_BETTER = 1.2
#: From end to end a ramp rises or falls by so many deviations of single days.
_LEAST_DEVIATIONS = 3.5
#: And by this part of the higher level.
_LEAST_CHANGE = 0.2


@dataclass(frozen=True)
class Ramp:
    """A trend of one series.

    Attributes
    ----------
    series : int
        Its number in the pool.
    first, last : int
        Days from the store's first one on: when it begins, and when it is over.
    low, high : float
        Level before and after, a day; `high` is the lower one of a fall.
    fit : float
        The likelihood ratio of one day of the higher level (see `surges`): the slice
        with the largest holds most of the change and least else.
    score : float
        Minus the logarithm of the chance that it is none.
    """

    series: int
    measure: str
    first: int
    last: int
    low: float
    high: float
    fit: float
    score: float

    @property
    def weight(self) -> float:
        """What a rise to the higher level would score in the longest of `LENGTHS`."""
        return self.fit * LENGTHS[-1] / 24

    def level(self, n_days: int) -> Floats:
        """Return the ramp, day by day."""
        days = np.arange(n_days)
        part = np.clip((days - self.first) / max(1, self.last - self.first), 0, 1)
        found: Floats = self.low + (self.high - self.low) * part
        return found


def daily(counts: Floats, clock: Clock, rhythm: Floats) -> Floats:
    """Return counts a day as if all sensors had been on the air; nan: not known."""
    # Weekdays are taken out, hours do not matter in a day.
    weight = clock.by_day(clock.on_air * clock.is_known * rhythm)
    rates = clock.by_day(counts) / np.maximum(weight, 1e-9)
    return np.where(weight >= 24 * _LEAST_ON_AIR, 24 * rates, np.nan)


class Trends:
    """Series that may have a trend, and the ramps that fit them best.

    Parameters
    ----------
    least : float
        Scores below it are no trends.
    """

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        clumps: Mapping[str, float],
        rhythms: Mapping[str, Floats],
        least: float,
    ) -> None:
        self._least, self._clumps, self._clock = least, clumps, clock
        self._series: dict[str, Ints] = {}
        self._days: dict[str, Floats] = {}
        #: The ramp of each row that has one; its score is 0 until it is asked for.
        self._ramps: dict[tuple[str, int], Ramp] = {}
        for measure, clump in clumps.items():
            chosen = may_move(pool, measure, clock, clump)
            rows = [np.empty((0, clock.n_days))]
            rows += [
                daily(
                    pool.dense(measure, part) * clock.is_known, clock, rhythms[measure]
                )
                for part in _blocks(chosen)
            ]
            self._series[measure] = chosen
            self._days[measure] = np.concatenate(rows)
            self._fit(measure, np.arange(len(chosen)))

    def best(self) -> Ramp | None:
        """Return the ramp that explains most, of those that are significant."""
        order = sorted(self._ramps.items(), key=lambda item: (-item[1].fit, *item[0]))
        for place, ramp in order:
            if not ramp.score:
                score = monotone(self._days[ramp.measure][place[1]], ramp)
                ramp = self._ramps[place] = replace(ramp, score=score)
            if ramp.score >= self._least:
                return ramp
            del self._ramps[place]
        return None

    def explain(
        self, excess: Mapping[str, Floats], share: Callable[[int, str], float]
    ) -> None:
        """Take away what an event makes of each series (see `Pursuit.explain`)."""
        whole = self._clock.by_day(self._clock.on_air * self._clock.is_known)
        for measure, days in self._days.items():
            by_day = 24 * self._clock.by_day(excess[measure]) / np.maximum(whole, 1e-9)
            series = self._series[measure].tolist()
            parts = np.array([share(one, measure) for one in series])
            touched = np.flatnonzero(parts)
            left = days[touched] - parts[touched, None] * by_day[None]
            days[touched] = np.maximum(left, 0.0)
            self._fit(measure, touched)

    def dismiss(self, ramp: Ramp) -> None:
        """Take a ramp away that is none."""
        row = self._row(ramp)
        self._days[ramp.measure][row] = np.nan
        self._ramps.pop((ramp.measure, row), None)

    def _row(self, ramp: Ramp) -> int:
        return int(np.searchsorted(self._series[ramp.measure], ramp.series))

    def _fit(self, measure: str, rows: Ints) -> None:
        """Look for the ramps of some rows anew."""
        for some in _blocks(rows):
            found = fit(self._days[measure][some], self._clumps[measure])
            for row, one in zip(some.tolist(), found, strict=True):
                self._ramps.pop((measure, row), None)
                if one is not None:
                    series = int(self._series[measure][row])
                    ramp = Ramp(series, measure, *one, score=0.0)
                    self._ramps[measure, row] = ramp


def ramp_of(days: Floats, of: Hit | Ramp, clump: float, least: float) -> Ramp | None:
    """Return the ramp of the series of a rise, or of a part; None: it has none."""
    (found,) = fit(days[None], clump)
    if found is None:
        return None
    ramp = Ramp(of.series, of.measure, *found, score=0.0)
    score = monotone(days, ramp)
    return replace(ramp, score=score) if score >= least else None


def fit(
    days: Floats, clump: float
) -> list[tuple[int, int, float, float, float] | None]:
    """Return first and last day, levels, and fit of each row's ramp; None: no ramp."""
    if not len(days) or days.shape[1] < LEAST_DAYS + 7:
        return [None] * len(days)
    smooth = _smooth(days)
    noise = _noise(days, smooth, clump)
    centred = smooth - smooth.mean(axis=1, keepdims=True)
    ramps, ends = _shapes(days.shape[1])
    gain = (centred @ ramps.T) ** 2
    whole = (centred**2).sum(axis=1)
    length = ends[:, 1] - ends[:, 0]
    is_long, is_step = length >= LEAST_DAYS, length <= STEP_DAYS
    found: list[tuple[int, int, float, float, float] | None] = []
    for row in range(len(days)):
        best = int(np.argmax(np.where(is_long, gain[row], -1.0)))
        left = whole[row] - gain[row, best] + noise[row] ** 2
        step = whole[row] - gain[row, is_step].max() + noise[row] ** 2
        shape = ramps[best]
        slope = float(centred[row] @ shape)
        level = smooth[row].mean() + slope * shape
        low, high = float(level[0]), float(level[-1])
        change = abs(high - low)
        if (
            step < _BETTER * left
            or change < _LEAST_DEVIATIONS * noise[row]
            or change < _LEAST_CHANGE * max(low, high)
        ):
            found.append(None)
            continue
        few, many = np.sort(np.maximum([[low], [high]], 24 * FLOOR), axis=0)
        fitness = float(likelihood(many, few)[0] / clump)
        first, last = ends[best].tolist()
        found.append((first, last, max(low, 0.0), max(high, 0.0), fitness))
    return found


def levels_along(days: Floats, ramp: Ramp, n_days: int) -> Floats:
    """Return the levels of another series along the ramp of one, by least squares."""
    part = np.clip((np.arange(n_days) - ramp.first) / (ramp.last - ramp.first), 0, 1)
    smooth = _smooth(days[None])[0]
    slope, low = np.polyfit(part, smooth, 1)
    found: Floats = np.maximum(low + slope * part, 0.0)
    return found


def monotone(days: Floats, ramp: Ramp) -> float:
    """Return minus the logarithm of the chance of so monotone a course."""
    known = ~np.isnan(days)
    values, left = days[known], (days - ramp.level(len(days)))[known]
    if len(values) < LEAST_DAYS or np.ptp(values) == 0:
        return 0.0
    tau = kendalltau(np.arange(len(values)), values).statistic
    # Days on which a sensor was missing are no dependence of days.
    bound = 3 * 1.4826 * float(np.median(np.abs(left - np.median(left))))
    left = np.clip(left, -bound, bound)
    left = left - left.mean()
    squares = float(left @ left)
    lag = float(left[1:] @ left[:-1]) / squares if squares > 0 else 0.0
    lag = min(max(lag, 0.0), 0.8)
    n = len(values)
    deviation = np.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)) * (1 + lag) / (1 - lag))
    return float(-norm.logsf(abs(tau) / deviation) - np.log(2))


def may_move(pool: Pool, measure: str, clock: Clock, clump: float) -> Ints:
    """Return the series whose first and last thirds differ beyond chance: a sieve."""
    third = pool.n_hours // 3
    series = np.repeat(np.arange(len(pool.keys)), np.diff(pool.begins))
    counts = getattr(pool, measure)
    sides = []
    for part in (slice(0, third), slice(pool.n_hours - third, pool.n_hours)):
        inside = np.zeros(pool.n_hours, np.bool_)
        inside[part] = clock.is_known[part]
        weights = counts * inside[pool.hours]
        seen = np.bincount(series, weights, len(pool.keys))
        sides.append((seen, float(clock.on_air[inside].sum()) + 1e-9))
    (early, n_early), (late, n_late) = sides
    mean = np.maximum((early + late) / (n_early + n_late), FLOOR)
    deviation = np.sqrt(clump * mean * (1 / n_early + 1 / n_late))
    found: Ints = np.flatnonzero(
        np.abs(late / n_late - early / n_early) > 4 * deviation
    )
    return found


def _smooth(days: Floats) -> Floats:
    """Return running medians over a week; what is not known is drawn between."""
    n_days = days.shape[1]
    found = np.empty_like(days)
    half = _MEDIAN_DAYS // 2
    for day in range(n_days):
        part = np.sort(days[:, max(0, day - half) : day + half + 1], axis=1)
        n = np.sum(~np.isnan(part), axis=1)
        rows = np.arange(len(part))
        middle = part[rows, np.maximum(n - 1, 0) // 2]
        found[:, day] = np.where(n > 0, middle, np.nan)
    for row in np.flatnonzero(np.isnan(found).any(axis=1)).tolist():
        known = np.flatnonzero(~np.isnan(found[row]))
        found[row] = (
            np.interp(np.arange(n_days), known, found[row, known]) if len(known) else 0
        )
    return found


def _noise(days: Floats, smooth: Floats, clump: float) -> Floats:
    """Return the deviation of single days: robust, and that of counting at least."""
    left = np.abs(np.where(np.isnan(days), 0.0, days - smooth))
    robust = 1.4826 * np.median(left, axis=1)
    typical = np.maximum(np.median(smooth, axis=1), 24 * FLOOR)
    found: Floats = np.maximum(robust, np.sqrt(clump * typical))
    return found


@cache
def _shapes(n_days: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return all ramps, centred and of length 1, and the days of their ends."""
    days = np.arange(n_days)
    ends = np.array(
        [
            (first, last)
            for first in range(n_days - 1)
            for last in range(first + 1, n_days)
            if last - first <= STEP_DAYS or last - first >= LEAST_DAYS
        ]
    )
    ramps = np.clip((days[None] - ends[:, :1]) / (ends[:, 1:] - ends[:, :1]), 0.0, 1.0)
    ramps -= ramps.mean(axis=1, keepdims=True)
    ramps /= np.sqrt((ramps**2).sum(axis=1, keepdims=True))
    return ramps, ends


def _blocks(chosen: Ints) -> list[Ints]:
    return [chosen[start : start + 1024] for start in range(0, len(chosen), 1024)]
