"""Hourly series of many slices at once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fastflow import _series
from fastflow.analysis.events.codes import Ints, Small
from fastflow.analysis.events.slices import ROLLUPS, Value

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Key:
    """The name of a series: a slice by its dimensions and their values."""

    dimensions: tuple[str, ...]
    values: tuple[Value, ...]

    @property
    def slice(self) -> dict[str, Value]:
        """The slice."""
        return dict(zip(self.dimensions, self.values, strict=True))


@dataclass(frozen=True)
class Pool:
    """Series of slices, by hour; hours without a row have nothing.

    Attributes
    ----------
    start, end : int
        Hours since 1970, the second exclusive.
    keys : list of Key
        In the order of their text.
    begins : array of int
        Where the rows of each series begin, and the end of the last.
    hours, packets, sources : arrays
        Of each row: hours since `start`, packets, and sources as the sum over cells (a
        source counts once in each cell: an upper bound that rises and falls as the
        exact number does).
    stretches : list of (int, int)
        Hours that were rolled up together: in each, a series is there or was dropped.
    least : mapping of str to float
        By table: packets an hour below which a series was dropped; by `hour`: packets
        of an hour that keep it.
    """

    start: int
    end: int
    keys: list[Key]
    begins: Ints
    hours: Small
    packets: Small
    sources: Small
    stretches: list[tuple[int, int]]
    least: dict[str, float]

    @property
    def n_hours(self) -> int:
        """Length of each series."""
        return self.end - self.start

    def dense(self, measure: str, chosen: Ints) -> Floats:
        """Return some series, one a row, hour by hour."""
        values = np.empty((len(chosen), self.n_hours))
        edges = np.array([*(first for first, _ in self.stretches), self.n_hours])
        counts = getattr(self, measure)
        _series.fill(
            self.begins, self.hours, counts, chosen, edges, self._most_dropped,
            self.least["hour"], values,
        )  # fmt: skip
        return values

    @cached_property
    def _most_dropped(self) -> Floats:
        """The packets an hour that each series had at most where it was dropped."""
        tables = {key: table for table, keys in ROLLUPS.items() for key in keys}
        found = [self.least[tables[key.dimensions]] for key in self.keys]
        return np.array(found, float)

    def sums(self, dimension: str, first: int, after: int) -> dict[Value, int]:
        """Return the packets of each value of a dimension in some hours."""
        found = {}
        for index in self._alone[dimension]:
            rows = slice(self.begins[index], self.begins[index + 1])
            inside = slice(*np.searchsorted(self.hours[rows], (first, after)))
            (value,) = self.keys[index].values
            found[value] = int(self.packets[rows][inside].sum())
        return found

    @cached_property
    def _alone(self) -> dict[str, list[int]]:
        """The series of each dimension by itself."""
        found: dict[str, list[int]] = defaultdict(list)
        for index, key in enumerate(self.keys):
            if len(key.dimensions) == 1:
                found[key.dimensions[0]].append(index)
        return found

    def total(self, measure: str) -> Floats:
        """Return all packets, or sources, hour by hour."""
        whole = [i for i, key in enumerate(self.keys) if not key.dimensions]
        found: Floats = self.dense(measure, np.array(whole, np.int64)).sum(axis=0)
        return found
