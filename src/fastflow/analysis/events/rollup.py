"""Rows of a stretch of time rolled up to the series of slices.

Only slices with enough packets are kept; one that has less than a few packets an hour
all the time holds no event. A slice cannot have enough where a wider one has not, so
that most are passed over without being looked at (the apriori rule of frequent item
sets: Agrawal & Srikant, VLDB 1994): values come first, and rows are added up by what is
left of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fastflow import _sums
from fastflow.analysis.events.codes import Ints, Small, encoded
from fastflow.analysis.events.columns import (
    COLUMNS,
    DIMENSIONS_OF,
    column_of,
    numbers_of,
    value_of,
)
from fastflow.analysis.events.series import Key
from fastflow.analysis.events.slices import ROLLUPS, Value

#: In one stretch a slice needs so many packets in some hour, or on an average day ...
_LEAST_IN_HOUR, _LEAST_PER_DAY = 12, 10
#: ... and such a part of what all traffic has in an hour, or a day, on average.
_LEAST_SHARE_IN_HOUR, _LEAST_SHARE = 2e-4, 5e-5
#: Hours that are added up to see which values may have enough, and how many sums.
_HOURS_TOGETHER, _MOST_SUMS = 3, 1 << 21
#: Up to so many values of a dimension are kept, however many packets they have.
_FEW_VALUES = 256

_HOUR_US = 3_600_000_000
#: More different rows than these are not told apart by numbers of 64 bits.
_MOST_CODES = 1 << 62

_Rollup = tuple[str, ...]
_Bools = npt.NDArray[np.bool_]


class Series(NamedTuple):
    """Slices with what they have in some hours, those of each slice together."""

    keys: list[Key]
    lengths: Ints
    hours: Small
    packets: Ints
    sources: Ints


class _Rows(NamedTuple):
    """Rows of the stretch; hours since it began."""

    hours: Small
    packets: Ints
    sources: Ints


@dataclass
class _Dimension:
    """The values of a dimension that may matter, or those that were kept.

    Attributes
    ----------
    values : list
    places : array of int
        From 1 on, in `values`; 0: no value, or one that was dropped. Of each value of
        the column first, then of each cell.
    """

    values: list[Value]
    places: Small


class _Column(NamedTuple):
    """Which combination of dimensions' values each row of a column has.

    Attributes
    ----------
    dimensions : sequence of str
    places : array of int
        Of each row, in `numbers`.
    numbers : array of int
        The combination, from 0 on, below `n`.
    """

    dimensions: Sequence[str]
    places: Small
    numbers: Small
    n: int


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
        hours, packets = _hours_since(start, rows["hour"]), _counts(rows["packets"])
        sources = np.ones_like(packets)
        if "sources" in rows.column_names:
            sources = _counts(rows["sources"])
        mine = _Rows(hours, packets, sources)
        total = int(packets.sum())
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
        #: Of roll-ups of none or several dimensions, which cells lie in a slice of it
        #: that was kept: not 0.
        self._kept: dict[frozenset[str], Small] = {}
        columns = [
            self._column(name, column_of(rows, name, parts), mine)
            for name, parts in COLUMNS[table].items()
        ]
        self._slices = self._join(columns, mine, ROLLUPS[table])

    def _column(self, name: str, column: pa.ChunkedArray, rows: _Rows) -> _Column:
        """Add a column's dimensions; return which values of them each row has.

        Values are dropped that have too few packets in all hours, or hours around each.
        """
        values, places = encoded(column)
        mine = DIMENSIONS_OF.get(name, (name,))
        combined = np.zeros(len(values) + 1, np.int64)
        for dimension in mine:
            found = self._dimension(dimension, name, values, places, rows)
            self._dimensions[dimension] = found
            combined = combined * (len(found.values) + 1) + found.places
        distinct, numbers = encoded(pa.chunked_array([combined]))
        rest = distinct.to_numpy()
        for dimension in reversed(mine):
            found = self._dimensions[dimension]
            rest, of_number = np.divmod(rest, len(found.values) + 1)
            found.places = of_number.astype(np.int32)
        return _Column(mine, places, numbers, len(distinct))

    def _dimension(
        self, name: str, column: str, values: pa.Array, places: Small, rows: _Rows
    ) -> _Dimension:
        """Return a dimension of a column: its values that were seen often enough."""
        # Null, which is the last place, and what has no value are 0.
        numbers = np.zeros(len(values) + 1, np.int32)
        numbers[:-1] = 1 + numbers_of(name, column, values)
        n = 1 + int(numbers.max())
        is_chosen = np.ones(n, np.bool_)
        if n > _FEW_VALUES:
            block = max(_HOURS_TOGETHER, n * self._n_hours // _MOST_SUMS)
            sums = _sums.by_block(
                places, numbers, n, rows.hours, self._n_hours, block, rows.packets
            )
            is_chosen = self._may_be_enough((name,), sums)
        is_chosen[0] = False
        chosen = np.flatnonzero(is_chosen)
        renumbered, with_number = np.zeros(n, np.int32), np.zeros(n, np.int64)
        renumbered[chosen] = np.arange(1, len(chosen) + 1)
        with_number[numbers] = np.arange(len(numbers))
        named = values.take(pa.array(with_number[chosen])).to_pylist()
        return _Dimension([value_of(name, one) for one in named], renumbered[numbers])

    def _may_be_enough(self, rollup: _Rollup, sums: Ints) -> _Bools:
        """Return which columns of sums, of an hour or some, have enough in one of them.

        Or in all, where slices that are steady are wanted.
        """
        found: _Bools = sums.max(axis=0) >= self._least_of(rollup)
        if self._is_steady:
            found |= sums.sum(axis=0) >= self._least
        return found

    def _least_of(self, rollup: _Rollup) -> float:
        """Return the packets that a slice needs in some hour."""
        # Of networks there are many, and most are as busy in every hour.
        return self.least_in_hour * (2 if "network" in rollup else 1)

    def _join(
        self, columns: Sequence[_Column], rows: _Rows, rollups: Sequence[_Rollup]
    ) -> _sums.Slices:
        """Add up the rows that have the same values of all columns.

        Rows that are in no slice are left out.
        """
        if math.prod([self._n_hours, *(one.n for one in columns)]) > _MOST_CODES:
            # So many different rows are hardly fewer as cells.
            firsts = np.argsort(rows.hours, kind="stable")
            sums = np.column_stack((rows.packets, rows.sources))[firsts]
        else:
            possible = [
                one
                for one in rollups
                if all(self._dimensions[name].values for name in one)
            ]
            firsts, sums = _sums.cells(
                [
                    (*one[1:3], self._may_be_in(one, possible), one.n)
                    for one in columns
                    if one.n > 1
                ],
                *(rows.hours, self._n_hours, rows.packets, rows.sources),
            )
        for column in columns:
            of_cell = column.numbers.take(column.places.take(firsts))
            for name in column.dimensions:
                one = self._dimensions[name]
                one.places = one.places.take(of_cell)
        return _sums.Slices(rows.hours[firsts], sums)

    def _may_be_in(
        self, column: _Column, rollups: Sequence[_Rollup]
    ) -> npt.NDArray[np.uint32]:
        """Return a bit for each roll-up that a row of a value may be in."""
        found = np.zeros(column.n, np.uint32)
        for bit, rollup in enumerate(rollups):
            is_in = np.ones(column.n, np.bool_)
            for name in set(column.dimensions).intersection(rollup):
                is_in &= self._dimensions[name].places > 0
            found |= is_in.astype(np.uint32) << np.uint32(bit)
        return found[column.numbers]

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

        Those with enough packets in some hour, or steadily. Wider slices that were
        rolled up before must have been kept.
        """
        mine = [self._dimensions[name] for name in rollup]
        # Where those of all pairs were kept, those of none and of one were.
        wider = [
            self._kept[frozenset(names)]
            for size in range(2, len(rollup))
            for names in combinations(rollup, size)
            if frozenset(names) in self._kept
        ]
        codes, lengths, hours, packets, sources, of_cell = self._slices.find(
            [(one.places, len(one.values)) for one in mine],
            wider,
            self._least_of(rollup),
            self._least if self._is_steady else math.inf,
        )
        keys = _keys(rollup, mine, codes)
        if len(rollup) == 1:
            kept = [value for key in keys for value in key.values]
            self._dimensions[rollup[0]] = _Dimension(kept, of_cell)
        else:
            self._kept[frozenset(rollup)] = of_cell
        return Series(keys, lengths, hours, packets, sources)


def _hours_since(start: int, column: pa.ChunkedArray) -> Small:
    """Return the hours from one, a number since 1970, to those of rows."""
    hours = [
        (one.cast(pa.int64()).to_numpy() // _HOUR_US - start).astype(np.int32)
        for one in column.chunks
    ]
    return np.concatenate([np.empty(0, np.int32), *hours])


def _counts(column: pa.ChunkedArray) -> Ints:
    found: Ints = column.to_numpy().astype(np.int64, copy=False)
    return found


def _keys(rollup: _Rollup, dimensions: Sequence[_Dimension], codes: Ints) -> list[Key]:
    """Return the slices that codes stand for."""
    columns = []
    for one in reversed(dimensions):
        codes, places = np.divmod(codes, max(1, len(one.values)))
        columns.append([one.values[place] for place in places.tolist()])
    rows = zip(*reversed(columns), strict=True) if columns else [()] * len(codes)
    return [Key(rollup, tuple(row)) for row in rows]
