"""Values of columns as small numbers, so that rows are told apart by arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fastflow import _sums
from fastflow.analysis.events.slices import Value

Ints = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]


class Codes:
    """The values of some columns as one number a row.

    Attributes
    ----------
    of_row : array of int
        From 0 on, below `n_values`.
    is_there : array of bool
        The row has a value: one column besides the first, which always has one, or
        the only column.
    """

    def __init__(self, columns: Sequence[pa.ChunkedArray]) -> None:
        self._parts = []
        combined: Ints | Small = np.zeros(len(columns[0]), np.int64)
        self.is_there = np.zeros(len(columns[0]), np.bool_)
        for number, column in enumerate(columns):
            found, mine = encoded(column)
            values = found.to_pylist()
            if number or len(columns) == 1:
                self.is_there |= mine < len(values)
            values.append(None)
            combined = mine if len(columns) == 1 else combined * len(values) + mine
            self._parts.append(values)
        if len(columns) == 1:
            self._distinct = np.arange(len(self._parts[0]))
            self.of_row = combined
        else:
            found, places = encoded(pa.chunked_array([combined]))
            seen = found.to_numpy()
            self._distinct = np.sort(seen)
            order = np.searchsorted(self._distinct, seen)
            self.of_row = order.astype(np.int32)[places]
        self.n_values = max(1, len(self._distinct))

    def value(self, code: int) -> Value:
        """Return the values of the columns."""
        rest, found = int(self._distinct[code]), []
        for values in reversed(self._parts):
            rest, index = divmod(rest, len(values))
            found.append(values[index])
        return tuple(reversed(found))

    def code_of(self, value: Value) -> int | None:
        """Return the code of a value; None: no row has it."""
        combined = 0
        for places, part in zip(self._places, value, strict=True):
            if part not in places:
                return None
            combined = combined * len(places) + places[part]
        if len(value) == 1:
            return combined
        found = int(np.searchsorted(self._distinct, combined))
        is_met = found < len(self._distinct) and self._distinct[found] == combined
        return found if is_met else None

    @cached_property
    def _places(self) -> list[dict[object, int]]:
        return [{value: n for n, value in enumerate(part)} for part in self._parts]


def encoded(column: pa.ChunkedArray) -> tuple[pa.Array, Small]:
    """Return the values of a column, and the place of each row's value among them.

    Null has the place behind the last.
    """
    if pa.types.is_integer(column.type):
        return _encoded_numbers(column)
    whole = column.dictionary_encode().unify_dictionaries().combine_chunks()
    places = whole.indices.fill_null(len(whole.dictionary))
    return whole.dictionary, places.to_numpy()


def _encoded_numbers(column: pa.ChunkedArray) -> tuple[pa.Array, Small]:
    numbers = column.drop_null().to_numpy().astype(np.int64, copy=False)
    values, places = _sums.codes(numbers)
    if column.null_count:
        of_numbers, places = places, np.full(len(column), len(values), np.int32)
        places[column.is_valid().to_numpy()] = of_numbers
    return pa.array(values), places
