"""Rows of a stretch of time rolled up to the series of slices.

Only slices with enough packets are kept; one that has less than a few packets an hour
all the time holds no event. A slice cannot have enough where a wider one has not, so
that most are passed over without being looked at (the apriori rule of frequent item
sets: Agrawal & Srikant, VLDB 1994): values come first, and rows are added up by what is
left of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fastflow.analysis.events.codes import Ints, Small, encoded, runs
from fastflow.analysis.events.columns import (
    COLUMNS,
    DIMENSIONS_OF,
    column_of,
    numbers_of,
    value_of,
)
from fastflow.analysis.events.series import Floats, Key
from fastflow.analysis.events.slices import ROLLUPS, Value

#: In one stretch a slice needs so many packets in some hour, or on an average day ...
_LEAST_IN_HOUR, _LEAST_PER_DAY = 12, 10
#: ... and such a part of what all traffic has in an hour, or a day, on average.
_LEAST_SHARE_IN_HOUR, _LEAST_SHARE = 2e-4, 5e-5
#: Hours that are added up to see which values may have enough, and how many sums.
_HOURS_TOGETHER, _MOST_SUMS = 3, 1 << 21

#: Rows that are added up at a time: what is made of them fits into a cache.
_AT_ONCE = 1 << 16
#: Up to so many pairs of slice and hour, sums are faster than sorting.
_MOST_PLACES = 1 << 20
#: More codes than these are no numbers of 64 bits.
_MOST_CODES = 1 << 62

_Rollup = tuple[str, ...]


class _Column(NamedTuple):
    """Which combination of dimensions' values each row of a column has.

    Attributes
    ----------
    places : array of int
        In `numbers`, of each row.
    numbers : array of int
        From 0 on, below `n`.
    """

    places: Small
    numbers: Small
    n: int


class Series(NamedTuple):
    """Slices with what they have in some hours, those of each slice together."""

    keys: list[Key]
    lengths: Ints
    hours: Ints
    packets: Floats
    sources: Floats


@dataclass
class _Dimension:
    """The values of a dimension, and which of them a column's values have.

    Attributes
    ----------
    column : str
    values : list
        None first, which stands for no value, and for one that was dropped.
    places : array of int
        In `values`, of each value of the column.
    """

    column: str
    values: list[Value | None]
    places: Small


def _grouped(code: Ints, packets: Floats, sources: Floats) -> tuple[Any, ...]:
    """Return each code once, in order, and the sums of its packets and sources."""
    order = np.argsort(code)
    code = code[order]
    begins = runs(code)
    packets, sources = (
        np.add.reduceat(of[order], begins) if len(begins) else of
        for of in (packets, sources)
    )
    return code[begins], packets, sources


class Cells:
    """The cells of a stretch of time: rows, added up by the values that may matter.

    Parameters
    ----------
    rows : pyarrow.Table
        `hour`, `packets`, of counts `sources`, and what `COLUMNS` are made of.
    start, n_hours : int
        First hour, since 1970, and how many.
    clump : float
        See `baseline.natural_clump`.
    """

    def __init__(
        self, table: str, rows: pa.Table, start: int, n_hours: int, clump: float
    ) -> None:
        self._n_hours = n_hours
        hours = [
            one.to_numpy(zero_copy_only=False).astype("datetime64[h]").astype(np.int64)
            for one in rows["hour"].chunks
        ]
        self._hour = np.concatenate([np.empty(0, np.int64), *hours]) - start
        # Whole numbers, as exact as integers; sums weigh by such.
        self._packets = rows["packets"].to_numpy().astype(np.float64)
        self._sources = np.ones(len(self._packets))
        if "sources" in rows.column_names:
            self._sources = rows["sources"].to_numpy().astype(np.float64)
        total = float(self._packets.sum())
        self._least = max(_LEAST_PER_DAY * n_hours / 24, _LEAST_SHARE * total)
        usual = total / n_hours
        # A quarter more than what one source in a thousand exceeds.
        self.least_in_hour: float = max(
            _LEAST_IN_HOUR, 3 * clump, _LEAST_SHARE_IN_HOUR * usual
        )
        #: Of `sources` only slices with a busy hour are kept: header fields and
        #: networks are many, and most are as busy in every hour.
        self._is_steady = table == "counts"
        self._dimensions: dict[str, _Dimension] = {}
        #: Of each rollup, which cells lie in a slice of it that was kept.
        self._is_kept: dict[frozenset[str], npt.NDArray[np.bool_]] = {}
        columns = {
            name: self._column(name, column_of(rows, name, parts))
            for name, parts in COLUMNS[table].items()
        }
        self._join(columns, ROLLUPS[table])

    def _pieces(self) -> Iterator[slice]:
        """Yield rows, some at a time."""
        for first in range(0, len(self._hour), _AT_ONCE):
            yield slice(first, first + _AT_ONCE)

    def _column(self, name: str, column: pa.ChunkedArray) -> _Column:
        """Add a column's dimensions; return which values of them each row has.

        Values are dropped that have too few packets in all hours, or hours around each.
        """
        values, places = encoded(column)
        block = max(_HOURS_TOGETHER, len(values) * self._n_hours // _MOST_SUMS)
        n_blocks = -(-self._n_hours // block)
        seen: Floats = np.zeros((len(values) + 1) * n_blocks)
        for rows in self._pieces():
            place = places[rows] * np.int64(n_blocks) + self._hour[rows] // block
            np.add.at(seen, place, self._packets[rows])
        seen = seen.reshape(-1, n_blocks)
        combined = np.zeros(len(values) + 1, np.int64)
        mine = [
            self._dimension(dimension, name, values, seen)
            for dimension in DIMENSIONS_OF.get(name, (name,))
        ]
        for one in mine:
            combined = combined * len(one.values) + one.places
        _, firsts, numbers = np.unique(combined, return_index=True, return_inverse=True)
        for one in mine:
            one.places = one.places[firsts]
        return _Column(places, numbers.astype(np.int32), len(firsts))

    def _dimension(
        self, name: str, column: str, values: pa.Array, seen: Floats
    ) -> _Dimension:
        """Add a dimension of a column: its values that have been seen often enough."""
        numbers, firsts, of_value = np.unique(
            np.append(numbers_of(name, column, values), -1),
            return_index=True,
            return_inverse=True,
        )
        n_blocks = seen.shape[1]
        places_of = of_value[:, None] * n_blocks + np.arange(n_blocks)
        sums: Floats = np.bincount(
            places_of.ravel(), seen.ravel(), len(numbers) * n_blocks
        ).astype(np.float64)
        sums = sums.reshape(-1, n_blocks)
        chosen = np.flatnonzero(self._may_be_enough((name,), sums) & (numbers >= 0))
        places = np.zeros(len(numbers), np.int32)
        places[chosen] = np.arange(1, len(chosen) + 1)
        named = values.take(pa.array(firsts[chosen])).to_pylist()
        found = _Dimension(
            column,
            [None, *(value_of(name, value) for value in named)],
            places[of_value],
        )
        self._dimensions[name] = found
        return found

    def _may_be_enough(self, rollup: _Rollup, sums: Floats) -> npt.NDArray[np.bool_]:
        """Return which rows of sums, over an hour or some, have enough in one of them.

        Or in all, where slices that are steady are wanted.
        """
        # Of networks there are many, and most are as busy in every hour.
        least = self.least_in_hour * (2 if "network" in rollup else 1)
        found: npt.NDArray[np.bool_] = sums.max(axis=1, initial=0) >= least
        if self._is_steady:
            found |= sums.sum(axis=1) >= self._least
        return found

    def _join(self, columns: Mapping[str, _Column], rollups: Sequence[_Rollup]) -> None:
        """Add up the rows that have the same values of all columns.

        Rows that are in no slice are left out.
        """
        if (
            math.prod([self._n_hours, *(one.n for one in columns.values())])
            > _MOST_CODES
        ):
            # So many different rows are hardly fewer as cells.
            self._of_cell = {n: one.numbers[one.places] for n, one in columns.items()}
            return
        pieces = [(np.empty(0, np.int64), np.empty(0), np.empty(0))]
        for rows in self._pieces():
            self._of_cell = {
                name: one.numbers[one.places[rows]] for name, one in columns.items()
            }
            code = np.zeros(len(self._hour[rows]), np.int64)
            for name, one in columns.items():
                code *= one.n
                code += self._of_cell[name]
            code *= self._n_hours
            code += self._hour[rows]
            made: tuple[Any, ...] = code, self._packets[rows], self._sources[rows]
            if () not in rollups:
                is_in = np.any([self._candidates(one) for one in rollups], axis=0)
                made = tuple(of[is_in] for of in made)
            pieces.append(_grouped(*made))
        code, self._packets, self._sources = _grouped(
            *(np.concatenate(of) for of in zip(*pieces, strict=True))
        )
        code, self._hour = np.divmod(code, self._n_hours)
        self._of_cell = {}
        for name, one in reversed(list(columns.items())):
            code, mine = np.divmod(code, one.n)
            self._of_cell[name] = mine.astype(np.int32)

    @property
    def dropped_below(self) -> float:
        """The packets an hour that a slice had where it was dropped.

        Half of a busy hour is much, where only slices with one are kept.
        """
        if self._is_steady:
            return self._least / self._n_hours
        return self.least_in_hour / 2

    def roll_up(self, rollup: _Rollup) -> Series:
        """Return the slices of a rollup to keep.

        Those with enough packets in some hour, or steadily.
        """
        rows = np.flatnonzero(self._candidates(rollup))
        of_row, n_codes = np.zeros(len(rows), np.int64), 1
        for name in rollup:
            n_values = len(self._dimensions[name].values)
            of_row = of_row * n_values + self._places(name)[rows]
            n_codes *= n_values
        code, hour, packets, sources = self._sums(of_row, rows, n_codes)
        # From (slice, hour) to slices.
        firsts = runs(code)
        lengths = np.diff(np.append(firsts, len(code)))
        enough = np.zeros(len(firsts), np.bool_)
        if len(code):
            least = self.least_in_hour * (2 if "network" in rollup else 1)
            enough = np.maximum.reduceat(packets, firsts) >= least
            if self._is_steady:
                enough |= np.add.reduceat(packets, firsts) >= self._least
        kept, chosen = np.repeat(enough, lengths), code[firsts[enough]]
        is_kept = np.zeros(len(self._hour), np.bool_)
        is_kept[rows] = np.isin(of_row, chosen)
        self._is_kept[frozenset(rollup)] = is_kept
        return Series(
            self._keys(rollup, chosen),
            lengths[enough],
            hour[kept],
            packets[kept],
            sources[kept],
        )

    def _places(self, name: str) -> Small:
        """Return which value of a dimension each cell has."""
        one = self._dimensions[name]
        found: Small = one.places[self._of_cell[one.column]]
        return found

    def _sums(self, of_row: Ints, rows: Ints, n_codes: int) -> tuple[Any, ...]:
        """Return code, hour, packets and sources of each slice and hour, in order."""
        places = of_row * self._n_hours + self._hour[rows]
        packets, sources = self._packets[rows], self._sources[rows]
        n_places = n_codes * self._n_hours
        if n_places <= _MOST_PLACES:
            by_place = np.bincount(places, packets, n_places)
            of_sources = np.bincount(places, sources, n_places)
            places = np.flatnonzero(by_place)
            return (
                *np.divmod(places, self._n_hours),
                by_place[places],
                of_sources[places],
            )
        places, packets, sources = _grouped(places, packets, sources)
        return *np.divmod(places, self._n_hours), packets, sources

    def _candidates(self, rollup: _Rollup) -> npt.NDArray[np.bool_]:
        """Return the cells that have the dimensions, in wider slices that were kept."""
        n_cells = len(next(iter(self._of_cell.values())))
        found = np.ones(n_cells, np.bool_)
        for name in rollup:
            found &= self._places(name) > 0
        for size in range(len(rollup)):
            for wider in combinations(rollup, size):
                found &= self._is_kept.get(frozenset(wider), True)
        return found

    def _keys(self, rollup: _Rollup, code: Ints) -> list[Key]:
        """Return the slices that codes stand for."""
        columns = []
        for name in reversed(rollup):
            values = self._dimensions[name].values
            code, mine = np.divmod(code, len(values))
            columns.append([values[place] for place in mine.tolist()])
        rows = zip(*reversed(columns), strict=True) if columns else [()] * len(code)
        return [Key(rollup, tuple(row)) for row in rows]
