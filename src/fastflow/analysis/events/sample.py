"""What an excess is made of: the rows of some hours beside those that were expected.

The hours are compared with the same hours of the week in weeks nearby. Each sensor is
compared with itself alone, over hours that it covered: one that was not there before
says nothing about what changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fastflow.analysis.events.baseline import Clock, Floats
from fastflow.analysis.events.codes import Codes
from fastflow.analysis.events.series import Key
from fastflow.analysis.events.slices import (
    DIMENSIONS,
    Slice,
    Value,
    add_conditions,
    columns_of,
)
from fastflow.analysis.events.trends import Ramp
from fastflow.analysis.selection import Selection
from fastflow.zones import hour_at

_WEEK = 168
#: Weeks that hours are compared with.
_N_WEEKS = 4
#: Rows that are read for one event, at most.
_ROWS = 600_000

#: The low end of a ramp, relative to its height.
_LOW_END = 0.35

#: So many values may rise for reasons of their own.
_OTHERS = 2

#: Weights are multiples of one in so many: their sums are exact, in any order of rows.
_PARTS = 2.0**24

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Stretch:
    """Hours of an event, and those that they are compared with.

    Attributes
    ----------
    start, end : int
        Hours from the store's first one on.
    references : tuple of (int, int)
    leak : float
        So much of the excess is in what is compared with as well.
    """

    start: int
    end: int
    references: tuple[tuple[int, int], ...]
    leak: float = 0.0


def rows_per_hour(selection: Selection, start: int, end: int) -> float:
    """Return how many rows a sample has of an hour, on average.

    Parameters
    ----------
    start, end : int
        The store's hours, since 1970.
    """
    table = selection.table(selection.store.settings.sources)
    conditions = selection.conditions(None)
    (row,) = selection.store.sql(
        f"select count(*) as n from {table} where {conditions}", conditions.params
    ).to_pylist()
    return float(row["n"]) / max(1, end - start)


def stretch_of(clock: Clock, start: int, end: int, rows_per_hour: float) -> Stretch:
    """Return the first hours of an event, and the same hours of weeks before it.

    Weeks after it are taken where there were not two before.
    """
    n_hours = len(clock.on_air)
    most = max(1, int(_ROWS / (_N_WEEKS + 1) / max(rows_per_hour, 1)))
    end = min(end, start + most, start + 72)
    weeks = [-n for n in range(1, _N_WEEKS + 1)] + list(range(1, _N_WEEKS + 1))
    usable = [
        week
        for week in weeks
        if start + week * _WEEK >= 0
        and end + week * _WEEK <= n_hours
        and clock.is_known[start + week * _WEEK : end + week * _WEEK].mean() > 0.5
    ]
    before = [week for week in usable if week < 0]
    chosen = before if len(before) >= 2 else usable[:_N_WEEKS]
    references = tuple(
        (start + week * _WEEK, end + week * _WEEK) for week in sorted(chosen)
    )
    return Stretch(start, end, references)


def stretch_of_ramp(clock: Clock, ramp: Ramp, rows_per_hour: float) -> Stretch:
    """Return hours at the high end of a ramp, and the same ones at its low end."""
    n_hours = len(clock.on_air)
    most = max(1, int(_ROWS / (_N_WEEKS + 1) / max(rows_per_hour, 1)))
    length = min(72, most, n_hours)
    rises = ramp.high >= ramp.low
    at = 24 * (ramp.last - 2) if rises else 24 * (ramp.first - 1)
    start = min(max(0, at), n_hours - length)
    level = ramp.level(clock.n_days)
    height = (level - level.min()) / max(np.ptp(level), 1e-9)
    usable = []
    for week in range(-(n_hours // _WEEK), n_hours // _WEEK + 1):
        first, after = start + week * _WEEK, start + length + week * _WEEK
        if week and first >= 0 and after <= n_hours:
            is_low = height[first // 24] <= _LOW_END
            if is_low and clock.is_known[first:after].mean() > 0.5:
                usable.append((height[first // 24], abs(week), first, after))
    chosen = sorted(usable)[:_N_WEEKS]
    references = tuple(sorted((one[2], one[3]) for one in chosen))
    low = float(np.mean([one[0] for one in chosen])) if chosen else 0.0
    return Stretch(start, start + length, references, low / (1 - low))


def _equal(column: pa.ChunkedArray, value: object) -> Mask:
    """Return which rows of a column have a value, or none where it is None."""
    found = column.is_null() if value is None else pc.equal(column, value)
    mask: Mask = found.fill_null(False).to_numpy()
    return mask


def _exact(weights: Floats) -> Floats:
    """Return weights as multiples of one part; see `_PARTS`."""
    found: Floats = np.rint(weights * _PARTS) / _PARTS
    return found


class Sample:
    """The rows of a stretch, and of what it is compared with.

    Parameters
    ----------
    within : Slice
        Only rows of this slice.

    Attributes
    ----------
    weights : mapping of str to array
        Packets and sources of each row; negative where it was expected. Their sums are
        exact, so that the order of rows, which is none, does not matter.
    is_now : array of bool
        The row is of the event's own hours.
    """

    def __init__(
        self,
        selection: Selection,
        clock: Clock,
        stretch: Stretch,
        within: Slice = MappingProxyType({}),
    ) -> None:
        self.stretch = stretch
        table = selection.table(selection.store.settings.sources)
        self._names = [
            name
            for name, dimension in DIMENSIONS.items()
            if table == "sources" or not dimension.of_sources
        ]
        columns = columns_of(tuple(self._names))
        spans = [(stretch.start, stretch.end), *stretch.references]
        conditions = selection.conditions(None)
        hours = [
            (hour_at(clock.start + first), hour_at(clock.start + after))
            for first, after in spans
        ]
        term = " or ".join(["hour >= ? and hour < ?"] * len(hours))
        conditions.add(f"({term})", *(moment for span in hours for moment in span))
        add_conditions(conditions, within)
        sources = "1" if table == "sources" else "sources"
        shown = ", ".join(f"{sql} as {name}" for name, sql in columns.items())
        bounds = min(span[0] for span in hours), max(span[1] for span in hours)
        self._rows = selection.ask(
            f"select epoch_us(hour) // 3600000000 - {clock.start} as hour, {shown}, "
            f"packets::double as packets, {sources}::double as sources "
            f"from {table} where {conditions}",
            conditions.params,
            bounds,
        )
        self._hour = self._rows["hour"].to_numpy()
        self.is_now = (self._hour >= stretch.start) & (self._hour < stretch.end)
        scale = self._scales(clock, spans)
        share = np.where(self.is_now, scale > 0, -scale)
        self.weights = {
            name: _exact(share * self._rows[name].to_numpy())
            for name in ("packets", "sources")
        }

    def _scales(self, clock: Clock, spans: list[tuple[int, int]]) -> Floats:
        """Return what a row that was expected counts for, by its sensor; 0: nothing."""
        codes = self.codes("sensor")
        scales = np.zeros(codes.n_values)
        for code in range(codes.n_values if len(codes.of_row) else 0):
            hours = clock.coverage.sensors.get(codes.value(code)[0])
            if hours is None:
                continue
            covered = hours.is_covered & clock.is_known
            now, *then = (int(covered[first:after].sum()) for first, after in spans)
            scales[code] = now / sum(then) if sum(then) else 0.0
        return scales[codes.of_row]

    def leave_out(self, chosen: Slice, share: Mapping[str, Floats]) -> None:
        """Take from each hour the share that a known event has in its slice's rows."""
        mask = self.mask(chosen)
        for measure, by_hour in share.items():
            left = 1 - by_hour[self._hour[mask]]
            self.weights[measure][mask] = _exact(self.weights[measure][mask] * left)

    def codes(self, dimension: str) -> Codes:
        """Return the values of a dimension, row by row."""
        if dimension not in self._coded:
            columns = DIMENSIONS[dimension].columns
            self._coded[dimension] = Codes([self._rows[name] for name in columns])
        return self._coded[dimension]

    @cached_property
    def _coded(self) -> dict[str, Codes]:
        return {}

    def has(self, dimension: str) -> bool:
        """Whether rows can be told apart by it."""
        return dimension in self._names

    def mask(self, chosen: Slice) -> Mask:
        """Return which rows lie in a slice."""
        found = np.ones(len(self.is_now), np.bool_)
        for dimension, value in chosen.items():
            if self.has(dimension):
                found &= self._having(dimension, value)
        return found

    def _having(self, dimension: str, value: Value) -> Mask:
        """Return which rows have a value; each is asked for many times."""
        if (dimension, value) not in self._masks:
            found = np.ones(len(self.is_now), np.bool_)
            for name, part in zip(DIMENSIONS[dimension].columns, value, strict=True):
                found &= _equal(self._rows[name], part)
            self._masks[dimension, value] = found
        return self._masks[dimension, value]

    @cached_property
    def _masks(self) -> dict[tuple[str, Value], Mask]:
        return {}

    def excess(self, mask: Mask, measure: str) -> float:
        """Return how much more there was than expected."""
        return float(self.weights[measure][mask].sum())

    def whole_excess(self, measure: str) -> float:
        """Return the excess of all rows."""
        return float(self.weights[measure].sum())

    def shares(self, chosen: Slice, keys: Sequence[Key], measure: str) -> Floats:
        """Return how much of the excess of a slice is of each series, from 0 to 1."""
        mask = self.mask(chosen)
        found = np.zeros(len(keys))
        whole = self.excess(mask, measure)
        if whole <= 0:
            return found
        cuts: dict[tuple[str, ...], list[int]] = {}
        for number, key in enumerate(keys):
            cuts.setdefault(key.dimensions, []).append(number)
        for dimensions, numbers in cuts.items():
            values = [keys[number].values for number in numbers]
            found[numbers] = self._excesses(dimensions, values, mask, measure)
        shares: Floats = np.clip(found / whole, 0.0, 1.0)
        return shares

    def _excesses(
        self,
        dimensions: tuple[str, ...],
        slices: Sequence[tuple[Value, ...]],
        mask: Mask,
        measure: str,
    ) -> Floats:
        """Return the excess within a mask of slices along the same dimensions."""
        of_row = np.zeros(np.count_nonzero(mask), np.int64)
        of_slice = np.zeros(len(slices), np.int64)
        is_met = np.ones(len(slices), np.bool_)
        for place, name in enumerate(dimensions):
            if not self.has(name):
                continue
            codes = self.codes(name)
            values = [values[place] for values in slices]
            known = {one: codes.code_of(one) for one in set(values)}
            mine = np.array([-1 if (n := known[one]) is None else n for one in values])
            is_met &= mine >= 0
            of_slice = of_slice * codes.n_values + np.maximum(mine, 0)
            of_row = of_row * codes.n_values + codes.of_row[mask]
        seen, group = np.unique(of_row, return_inverse=True)
        weights = self.weights[measure][mask]
        sums = np.bincount(group, weights, len(seen) + 1).astype(np.float64)
        places = np.searchsorted(seen, of_slice)
        is_met &= np.append(seen, [-1])[places] == of_slice
        excesses: Floats = sums[places] * is_met
        return excesses

    def expected(self, mask: Mask, measure: str) -> float:
        """Return how much was expected."""
        seen = float(-self.weights[measure][mask & ~self.is_now].sum())
        return max(0.0, seen - self.stretch.leak * self.excess(mask, measure))

    def largest(
        self, dimension: str, mask: Mask, measure: str, least: float
    ) -> Value | None:
        """Return the value with the largest excess; None: it is less than this."""
        codes = self.codes(dimension)
        by_value = self._by_value(dimension, mask & codes.is_there, measure)
        largest = by_value.max()
        if largest < least:
            return None
        best = np.flatnonzero(by_value == largest)
        return min((codes.value(int(one)) for one in best), key=str)

    def parts(
        self, dimension: str, mask: Mask, measure: str, least: float
    ) -> list[tuple[Value, float]]:
        """Return values that have such a share of the excess, the largest first."""
        codes = self.codes(dimension)
        by_value = self._by_value(dimension, mask, measure)
        found = np.flatnonzero(by_value >= least * max(by_value.sum(), 1e-9))
        parts = [(codes.value(int(one)), float(by_value[one])) for one in found]
        return sorted(parts, key=lambda part: (-part[1], str(part[0])))

    def spread(self, dimension: str, mask: Mask, measure: str) -> float:
        """Return the excess without the two values that have the most of it.

        What rises for another reason is mostly of one value.
        """
        by_value = self._by_value(dimension, mask, measure)
        return float(by_value.sum() - np.sort(by_value)[-_OTHERS:].sum())

    def foreign(
        self, dimension: str, inside: Mask, outside: Mask, measure: str
    ) -> float:
        """Return what is outside of two values at most that are not as large inside.

        It rises for another reason: what is of one phenomenon is made up alike.
        """
        mine = np.maximum(self._by_value(dimension, inside, measure), 0.0)
        others = self._by_value(dimension, outside, measure)
        alike = mine / max(mine.sum(), 1e-9) * max(others.sum(), 0.0)
        beyond = np.maximum(others - alike, 0.0)
        return float(np.sort(beyond)[-_OTHERS:].sum())

    def _by_value(self, dimension: str, mask: Mask, measure: str) -> Floats:
        codes = self.codes(dimension)
        found: Floats = np.bincount(
            codes.of_row[mask],
            weights=self.weights[measure][mask],
            minlength=codes.n_values,
        ).astype(np.float64)
        return found

    def n_sources(self, mask: Mask) -> int | None:
        """Return how many different sources there were; None: it is not known."""
        if not self.has("source"):
            return None
        return len(np.unique(self.codes("source").of_row[mask & self.is_now]))
