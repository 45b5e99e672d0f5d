"""From a store to a pool: one pass over its rows, some days at a time.

Memory stays bounded however long the store is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from fastflow.analysis.events.codes import Ints, Small
from fastflow.analysis.events.columns import COLUMNS
from fastflow.analysis.events.rollup import Cells, Series
from fastflow.analysis.events.series import Key, Pool
from fastflow.analysis.events.slices import ROLLUPS
from fastflow.analysis.selection import Selection
from fastflow.zones import hour_at, hour_number

#: Rows of `counts` that are rolled up at a time, and stretches of so many.
_ROWS_AT_ONCE = 2_000_000
_AT_ONCE = 2

#: Table, first hour, and first hour after it.
_Job = tuple[str, int, int]


class _Rolled(NamedTuple):
    """The series of a job; see `Cells` and `Pool.least`."""

    dropped_below: float
    least_in_hour: float
    series: list[Series]


def read_pool(selection: Selection, start: int, end: int, clump: float) -> Pool:
    """Return the series of all slices with enough packets.

    Parameters
    ----------
    start, end : int
        Hours since 1970, the second exclusive.
    clump : float
        See `baseline.natural_clump`.
    """
    parts = _Parts()
    jobs = [
        (table, first, after)
        for first, after in _stretches(selection, start, end)
        for table in _tables(selection)
    ]
    least = {"counts": 0.0, "sources": 0.0, "hour": 0.0}
    for (table, first, _), rolled in zip(
        jobs, _rolled_up(selection, jobs, clump), strict=True
    ):
        least[table] = max(least[table], rolled.dropped_below)
        least["hour"] = max(least["hour"], rolled.least_in_hour)
        for found in rolled.series:
            parts.add(found, first - start)
    keys, begins, (hours, packets, sources) = parts.in_order()
    stretches = sorted({(first - start, after - start) for _, first, after in jobs})
    return Pool(start, end, keys, begins, hours, packets, sources, stretches, least)


class _Parts:
    """Series of stretch after stretch, to be put together."""

    def __init__(self) -> None:
        self._numbers: dict[Key, int] = {}
        #: Numbers of series, how many rows each has, and columns of these rows.
        self._parts: deque[tuple[Ints, Ints, Small]] = deque()

    def add(self, found: Series, since: int) -> None:
        """Add series whose hours are counted from a later one on."""
        numbers = self._numbers
        mine = [numbers.setdefault(key, len(numbers)) for key in found.keys]
        columns = found.hours + since, found.packets, found.sources
        # Of one slice and hour: 32 bits are enough.
        rows = np.array(columns, np.int32)
        self._parts.append((np.array(mine, np.int64), found.lengths, rows))

    def in_order(self) -> tuple[list[Key], Ints, Small]:
        """Return keys, where the rows of each begin, and columns of all rows.

        Within a series, parts came in the order of time. They are used up.
        """
        # The order of keys is their own, not that in which the database answers.
        keys = sorted(self._numbers, key=str)
        places = np.empty(len(keys), np.int64)
        places[[self._numbers[key] for key in keys]] = np.arange(len(keys))
        begins = np.zeros(len(keys) + 1, np.int64)
        for numbers, lengths, _ in self._parts:
            begins[1 + places[numbers]] += lengths
        begins = np.cumsum(begins)
        columns = np.empty((3, begins[-1]), np.int32)
        free = begins.copy()
        while self._parts:
            numbers, lengths, rows = self._parts.popleft()
            mine = places[numbers]
            # From where rows of a series are in the part to where they go.
            moved = free[mine] - (np.cumsum(lengths) - lengths)
            to = np.repeat(moved, lengths) + np.arange(rows.shape[1])
            for column, of_part in zip(columns, rows, strict=True):
                column[to] = of_part
            free[mine] += lengths
        return keys, begins, columns


def _rolled_up(
    selection: Selection, jobs: Sequence[_Job], clump: float
) -> Iterator[_Rolled]:
    """Yield what each job was rolled up to, in the order of jobs."""

    def roll_up(job: _Job, rows: Iterator[pa.Table]) -> _Rolled:
        table, first, after = job
        cells = Cells(table, pa.concat_tables(rows), first, after - first, clump)
        series = [cells.roll_up(rollup) for rollup in ROLLUPS[table]]
        return _Rolled(cells.dropped_below, cells.least_in_hour, series)

    waiting: deque[Future[_Rolled]] = deque()
    with ThreadPoolExecutor(_AT_ONCE) as workers:
        for job in jobs:
            if len(waiting) == 2 * _AT_ONCE:
                yield waiting.popleft().result()
            waiting.append(workers.submit(roll_up, job, _rows(selection, *job)))
        while waiting:
            yield waiting.popleft().result()


def _tables(selection: Selection) -> list[str]:
    return ["counts", "sources"] if selection.store.settings.sources else ["counts"]


def _stretches(selection: Selection, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield runs of whole days with about as many rows as are rolled up at a time."""
    (row,) = selection.store.sql("select count(*) as n from counts").to_pylist()
    n_stretches = max(1, -(-row["n"] // _ROWS_AT_ONCE))
    n_days = max(1, -(-(end - start) // (24 * n_stretches)))
    for first in range(start, end, 24 * n_days):
        yield first, min(first + 24 * n_days, end)


def _rows(
    selection: Selection, table: str, first: int, after: int
) -> Iterator[pa.Table]:
    """Return the rows of some hours, with what its rollups take."""
    hours = hour_at(first), hour_at(after)
    columns = ["hour", "packets", *(["sources"] if table == "counts" else [])]
    columns += [part for parts in COLUMNS[table].values() for part in parts]
    return selection.rows(table, columns, hours)


def stored_hours(selection: Selection) -> tuple[int, int] | None:
    """Return the hours of all that the store holds, not of the period alone.

    What was before a period is what it is compared with. The first is a midnight.
    """
    (row,) = selection.store.sql(
        "select min(hour) as a, max(hour) as b from counts"
    ).to_pylist()
    if row["a"] is None:
        return None
    return hour_number(row["a"]) // 24 * 24, hour_number(row["b"]) + 1
