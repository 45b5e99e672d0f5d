"""From a store to a pool: one pass over its rows, some days at a time.

Memory stays bounded however long the store is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from fastflow.analysis.events.codes import Small
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
_Rolled = tuple[Cells, list[Series]]


def read_pool(selection: Selection, start: int, end: int, clump: float) -> Pool:
    """Return the series of all slices with enough packets.

    Parameters
    ----------
    start, end : int
        Hours since 1970, the second exclusive.
    clump : float
        See `baseline.natural_clump`.
    """
    numbers: dict[Key, int] = {}
    parts: list[tuple[Small, ...]] = [(np.empty(0, np.int32),) * 4]
    jobs = [
        (table, first, after)
        for first, after in _stretches(selection, start, end)
        for table in _tables(selection)
    ]
    least = {"counts": 0.0, "sources": 0.0, "hour": 0.0}
    for (table, first, _), (cells, rolled) in zip(
        jobs, _rolled_up(selection, jobs, clump), strict=True
    ):
        least[table] = max(least[table], cells.dropped_below)
        least["hour"] = max(least["hour"], cells.least_in_hour)
        for found in rolled:
            mine = [numbers.setdefault(key, len(numbers)) for key in found.keys]
            of_row = np.repeat(np.array(mine, np.int32), found.lengths)
            since = found.hours + (first - start)
            # Of one slice and hour: 32 bits are enough.
            made = (of_row, since, found.packets, found.sources)
            parts.append(tuple(one.astype(np.int32) for one in made))
    series, hours, packets, sources = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    del parts
    # Within a series, parts came in the order of time.
    # The order of keys is their own, not that in which the database answers.
    keys = sorted(numbers, key=str)
    places = np.empty(len(keys), np.int32)
    places[[numbers[key] for key in keys]] = np.arange(len(keys))
    series = places[series]
    order = np.argsort(series, kind="stable")
    begins = np.searchsorted(series[order], np.arange(len(keys) + 1))
    rows = (hours[order], packets[order], sources[order])
    stretches = sorted({(first - start, after - start) for _, first, after in jobs})
    return Pool(start, end, keys, begins, *rows, stretches, least)


def _rolled_up(
    selection: Selection, jobs: Sequence[_Job], clump: float
) -> Iterator[_Rolled]:
    """Yield the cells of each job, and their series, in the order of jobs."""

    def roll_up(job: _Job, rows: Iterator[pa.Table]) -> _Rolled:
        table, first, after = job
        whole = pa.concat_tables(rows)
        cells = Cells(table, whole, first, after - first, clump)
        return cells, [cells.roll_up(rollup) for rollup in ROLLUPS[table]]

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
