"""What a slice is expected to have in an hour, and how far hours differ from it.

The expectation is a level times a rhythm times the share of the network on the air:
the level is the interquartile mean of the 28 days before (Tukey's robust mean: a burst
of a few days does not move it), the rhythm a factor for each hour of the day and one
for each weekday. Counts of sources come in clumps, a source sends several packets, so
that variance is a multiple of the mean (quasi-Poisson: Wedderburn, Biometrika 61,
1974); the multiple is estimated from each series without its largest steps, and is no
less than what single sources make by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastflow import _series
from fastflow.analysis.coverage import Coverage
from fastflow.analysis.selection import Selection

Floats = npt.NDArray[np.float64]

#: Hours with less of the network on the air than this say nothing.
LEAST_ON_AIR = 0.25
#: A slice cannot be told from one with so many packets (or sources) an hour.
FLOOR = 0.25
#: Lengths of a rise, in hours, that are looked for; longer ones are made of these.
LENGTHS = (1, 2, 3, 6, 12, 24, 48, 72)
#: Services that sensors are compared by: the busiest.
_SERVICES = 30
#: Rounds of a median polish; it settles in a few.
_POLISHES = 10
#: Of the largest deviations so many are left out of a dispersion: events are there.
_TRIMMED = 0.03
#: What the mean of squares loses by that, of a normal distribution.
_TRIM_FACTOR = 1.19


@dataclass(frozen=True)
class Clock:
    """The hours of a store.

    Attributes
    ----------
    start : int
        Hours since 1970.
    on_air : array of float
        Share of the network on the air in each hour, as its sensors count.
    weights : mapping of str to float
        What each sensor counts; they add up to 1.
    coverage : Coverage
        Of which hours of each sensor there are captures.
    """

    start: int
    on_air: Floats
    weights: dict[str, float]
    coverage: Coverage

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Enough of the network was on the air."""
        return self.on_air >= LEAST_ON_AIR

    @property
    def n_days(self) -> int:
        """Days, of 24 hours from the start on; the last may be cut short."""
        return -(-len(self.on_air) // 24)

    def of_sensor(self, value: tuple[Any, ...]) -> Clock:
        """Return the clock of one sensor, over hours that are known."""
        covered = self.coverage.sensors[value[0]].is_covered & self.is_known
        return replace(self, on_air=covered.astype(float))

    def by_day(self, values: Floats) -> Floats:
        """Return sums over days; the last axis is hours."""
        return np.add.reduceat(values, np.arange(0, len(self.on_air), 24), axis=-1)


def read_clock(selection: Selection, coverage: Coverage) -> Clock:
    """Return how much of the network was on the air, hour by hour.

    A sensor counts as much as it sees, relative to others on the same days: the median
    of this over services, so that an event, of some of them, does not matter.
    """
    conditions = selection.conditions(None)
    rows = f"from {selection.table()} where {conditions}"
    found = selection.store.sql(
        f"select sensor, epoch_us(hour) // 86400000000 as day, proto, dst_port, "
        f"sum(packets)::double as packets {rows} and struct_pack(a := proto, "
        f"b := dst_port) in (select struct_pack(a := proto, b := dst_port) {rows} "
        f"group by proto, dst_port order by sum(packets) desc, proto, dst_port "
        f"limit {_SERVICES}) group by all order by all",
        [*conditions.params, *conditions.params],
    ).to_pydict()
    names = list(coverage.sensors)
    first = coverage.start // 24
    n_days = -(-coverage.end // 24) - first
    packets: dict[tuple[int, int | None], Floats] = {}
    for sensor, day, proto, port, count in zip(*found.values(), strict=True):
        if sensor in coverage.sensors:
            table = packets.setdefault((proto, port), np.zeros((len(names), n_days)))
            table[names.index(sensor), day - first] = count
    covered = np.array([coverage.sensors[name].is_covered for name in names], float)
    days = np.arange(coverage.start, coverage.end) // 24 - first
    hours = np.array([np.bincount(days, row, n_days) for row in covered])
    hours = hours.reshape(len(names), n_days)
    effects = [
        _effects(np.where(hours > 0, table / np.maximum(hours, 1), np.nan))
        for table in packets.values()
    ]
    weights = np.median(effects, axis=0) if effects else np.zeros(len(names))
    weights /= max(float(weights.sum()), 1e-9)
    on_air = weights @ covered.reshape(len(names), -1)
    shares = dict(zip(names, weights.tolist(), strict=True))
    return Clock(coverage.start, on_air, shares, coverage)


def _effects(rates: Floats) -> Floats:
    """Return the share of each row, by median polish of logarithms (Tukey, 1977).

    A row is compared with others on the days that it has, so that neither an event nor
    a day that is missing makes it count more or less.
    """
    known = (rates > 0).any(axis=1)
    effects = np.zeros(len(rates))
    logs = np.log(np.where(rates > 0, rates, np.nan))[known]
    logs = logs[:, ~np.isnan(logs).all(axis=0)]
    rows = np.nanmedian(logs, axis=1) if logs.size else np.empty(0)
    for _ in range(_POLISHES if logs.size else 0):
        columns = np.nanmedian(logs - rows[:, None], axis=0)
        rows = np.nanmedian(logs - columns[None], axis=1)
    effects[known] = np.exp(rows)
    shares: Floats = effects / max(effects.sum(), 1e-9)
    return shares


@dataclass(frozen=True)
class Expected:
    """What some series are expected to be, hour by hour, one a row.

    Attributes
    ----------
    values : array of float
        Counts; at least `FLOOR` times the share on the air.
    dispersion : array of float, by series and length
        Variance over mean of sums over `LENGTHS` hours.
    """

    values: Floats
    dispersion: Floats


def expect(counts: Floats, clock: Clock, clump: float, rhythm: Floats) -> Expected:
    """Return what series are expected to be.

    Parameters
    ----------
    counts : array, by series and hour
        0 in hours that are not known.
    clump : float
        The least dispersion.
    rhythm : array
        That of all traffic, by hour.
    """
    values, weights = expect_values(counts, clock, clump, rhythm)
    return Expected(values, dispersion(counts, weights, clump))


def expect_values(
    counts: Floats, clock: Clock, clump: float, rhythm: Floats
) -> tuple[Floats, Floats]:
    """Return what series are expected to be, and their rhythm on the air.

    How is written in `native/include/fastflow/ff_series.h`.
    """
    on_air = np.where(clock.is_known, clock.on_air, 0.0)
    values, weights = np.empty_like(counts), np.empty_like(counts)
    _series.expect(counts, on_air, rhythm, clock.start, clump, FLOOR, values, weights)
    return values, weights


def dispersion(counts: Floats, weights: Floats, clump: float) -> Floats:
    """Return variance over mean of the sums over each of `LENGTHS` hours.

    From differences of neighbouring sums (von Neumann, Ann. Math. Stat. 12, 1941), so
    that a level that changed is no variance.
    """
    found = np.empty((len(counts), len(LENGTHS)))
    least = np.full(len(counts), clump)
    for column, length in enumerate(LENGTHS):
        own = _of_differences(_sums(counts, length), _sums(weights, length))
        # Longer sums differ no less, relative to their mean, than shorter ones.
        found[:, column] = least = np.maximum(least, own)
    return found


def _sums(values: Floats, length: int) -> Floats:
    n_whole = values.shape[1] // length
    whole = values[:, : n_whole * length]
    found: Floats = whole.reshape(len(values), n_whole, length).sum(axis=2)
    return found


def _of_differences(counts: Floats, weights: Floats) -> Floats:
    one, other = counts[:, :-1], counts[:, 1:]
    weight, following = weights[:, :-1], weights[:, 1:]
    known = (weight > 0) & (following > 0)
    weight, following = np.where(known, weight, 1.0), np.where(known, following, 1.0)
    rates = one / weight - other / following
    squares = known * rates**2 / (1 / weight + 1 / following)
    means = known * (one + other) / (weight + following)
    n_kept = max(1, int(squares.shape[1] * (1 - _TRIMMED)))
    kept = np.argpartition(squares, n_kept - 1, axis=1)[:, :n_kept]
    squares = np.take_along_axis(squares, kept, axis=1).sum(axis=1)
    means = np.take_along_axis(means, kept, axis=1).sum(axis=1)
    found: Floats = _TRIM_FACTOR * squares / np.maximum(means, 1e-9)
    return found


def natural_clump(selection: Selection) -> float:
    """Return the dispersion that single sources make by themselves.

    Two fifths of what one source in a thousand exceeds in a cell and hour: a compound
    Poisson sum whose terms reach so far is bounded by a Poisson one of such clumps.
    """
    conditions = selection.conditions(None)
    table = selection.table(selection.store.settings.sources)
    per_source = "packets" if table == "sources" else "packets // sources"
    found = selection.store.sql(
        f"select {per_source} as size, count(*) as n from {table} where {conditions} "
        "group by size order by size",
        conditions.params,
    )
    sizes, times = found["size"].to_numpy(), found["n"].to_numpy()
    if not len(sizes):
        return 1.0
    reached = np.searchsorted(np.cumsum(times), 0.999 * times.sum())
    return max(1.0, 0.4 * float(sizes[reached]))


def shared_rhythm(counts: Floats, clock: Clock) -> Floats:
    """Return the rhythm of all traffic, hour by hour."""
    on_air = np.where(clock.is_known, clock.on_air, 0.0)
    level = np.repeat(_series.levels(counts, on_air), 24)[: len(counts)]
    usual = level * on_air
    return _series.rhythm(np.minimum(counts, 2 * usual), usual, clock.start)
