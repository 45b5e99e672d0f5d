"""Hourly series of many slices at once, out of one pass over the store.

Rows are rolled up some days at a time, so that memory stays bounded however long the
store is. Of each stretch only slices with enough packets are kept; one that has less
than a few packets an hour all the time holds no event. A slice cannot have enough where
a wider one has not, so that most are passed over without being looked at (the apriori
rule of frequent item sets: Agrawal & Srikant, VLDB 1994).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fastflow.analysis.events.slices import DIMENSIONS, ROLLUPS, Value, columns_of
from fastflow.analysis.selection import Selection
from fastflow.zones import hour_at, hour_number

#: In one stretch a slice needs so many packets in some hour, or on an average day ...
_LEAST_IN_HOUR, _LEAST_PER_DAY = 12, 10
#: ... and such a part of what all traffic has in an hour, or a day, on average.
_LEAST_SHARE_IN_HOUR, _LEAST_SHARE = 2e-4, 5e-5
#: Rows of `counts` that are rolled up at a time.
_ROWS_AT_ONCE = 2_000_000

#: Up to so many pairs of slice and hour, sums are faster than sorting.
_MOST_PLACES = 1 << 24

Ints = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
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
        values = np.zeros((len(chosen), self.n_hours))
        counts = getattr(self, measure)
        for row, index in enumerate(chosen.tolist()):
            rows = slice(self.begins[index], self.begins[index + 1])
            values[row, self.hours[rows]] = counts[rows]
            if len(self.stretches) > 1:
                self._fill(values[row], self.hours[rows], self.keys[index])
        return values

    def _fill(self, values: Floats, hours: Small, key: Key) -> None:
        """Draw a series through stretches in which it was dropped, as it usually is."""
        inside = [
            np.any((hours >= first) & (hours < after))
            for first, after in self.stretches
        ]
        known = zip(self.stretches, inside, strict=True)
        parts = [values[first:after] for (first, after), is_in in known if is_in]
        table = "counts" if key.dimensions in ROLLUPS["counts"] else "sources"
        seen = np.concatenate(parts)
        quiet = seen[seen < self.least["hour"]]
        usual = min(float(quiet.mean()) if len(quiet) else 0.0, self.least[table])
        for (first, after), is_in in zip(self.stretches, inside, strict=True):
            if not is_in:
                values[first:after] = usual

    def total(self, measure: str) -> Floats:
        """Return all packets, or sources, hour by hour."""
        whole = [i for i, key in enumerate(self.keys) if not key.dimensions]
        found: Floats = self.dense(measure, np.array(whole, np.int64)).sum(axis=0)
        return found


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
    # The database reads the next stretch while this one is rolled up.
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(_read, selection, *jobs[0])
        for job, following in zip(jobs, [*jobs[1:], None], strict=True):
            table, first, after = job
            cells = coming.result()
            if following is not None:
                coming = reader.submit(_read, selection, *following)
            stretch = _Stretch(cells, after - first, clump)
            least[table] = max(least[table], stretch.dropped_below(table))
            least["hour"] = max(least["hour"], stretch.least_in_hour)
            parts += [
                stretch.roll_up(rollup, numbers, first - start, table == "counts")
                for rollup in ROLLUPS[table]
            ]
    series, *columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    del parts
    # Within a series, parts came in the order of time.
    # The order of keys is their own, not that in which the database answers.
    keys = sorted(numbers, key=str)
    places = np.empty(len(keys), np.int32)
    places[[numbers[key] for key in keys]] = np.arange(len(keys))
    series = places[series]
    order = np.argsort(series, kind="stable")
    begins = np.searchsorted(series[order], np.arange(len(keys) + 1))
    hours, packets, sources = (one[order] for one in columns)
    stretches = [(first - start, after - start) for _, first, after in jobs]
    return Pool(
        start,
        end,
        keys,
        begins,
        hours,
        packets,
        sources,
        sorted(set(stretches)),
        least,
    )


def _tables(selection: Selection) -> list[str]:
    return ["counts", "sources"] if selection.store.settings.sources else ["counts"]


def _stretches(selection: Selection, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield runs of whole days with about as many rows as are rolled up at a time."""
    (row,) = selection.store.sql("select count(*) as n from counts").to_pylist()
    n_stretches = max(1, -(-row["n"] // _ROWS_AT_ONCE))
    n_days = max(1, -(-(end - start) // (24 * n_stretches)))
    for first in range(start, end, 24 * n_days):
        yield first, min(first + 24 * n_days, end)


def _read(selection: Selection, table: str, first: int, after: int) -> pa.Table:
    """Return the cells of some hours, each once for all sensors and inputs."""
    rollups = ROLLUPS[table]
    dimensions = tuple(dict.fromkeys(name for rollup in rollups for name in rollup))
    columns = columns_of(dimensions)
    hours = hour_at(first), hour_at(after)
    needs_sources = selection.table() == "sources"
    conditions = selection.conditions(hours)
    rows = "sources" if needs_sources else table
    sources = "count(*)" if rows == "sources" else "sum(sources)"
    # The text of a signature is taken apart once for each cell, not for each row.
    stored = ", ".join(
        f"{sql} as {name}" for name, sql in columns.items() if name != "tcp_window"
    )
    window = columns.get("tcp_window")
    return selection.ask(
        f"select * exclude (hour), epoch_us(hour) // 3600000000 - {first} as hour"
        f"{f', {window} as tcp_window' if window else ''} from (select hour, {stored}, "
        f"sum(packets)::bigint as packets, {sources}::bigint as sources "
        f"from {rows} where {conditions} group by all)",
        conditions.params,
        hours,
    )


class _Stretch:
    """The cells of a stretch of time, with each dimension as codes."""

    def __init__(self, cells: pa.Table, n_hours: int, clump: float) -> None:
        self._n_hours = n_hours
        packets = cells["packets"].to_numpy()
        self._least = max(
            _LEAST_PER_DAY * n_hours / 24, _LEAST_SHARE * float(packets.sum())
        )
        # A quarter more than what one source in a thousand exceeds.
        usual = float(packets.sum()) / n_hours
        self.least_in_hour: float = max(
            _LEAST_IN_HOUR, 3 * clump, _LEAST_SHARE_IN_HOUR * usual
        )
        self._cells = cells
        self._hour = cells["hour"].to_numpy().astype(np.int64)
        self._packets = packets
        self._sources = cells["sources"].to_numpy()
        self._codes: dict[str, Codes] = {}
        #: Of each rollup, which cells lie in a slice of it that was kept.
        self._is_kept: dict[frozenset[str], npt.NDArray[np.bool_]] = {}

    def dropped_below(self, table: str) -> float:
        """Return the packets an hour that a slice of a table had where it was dropped.

        Of `sources` only slices with a busy hour are kept, and half of that is much.
        """
        if table == "sources":
            return self.least_in_hour / 2
        return self._least / self._n_hours

    def roll_up(
        self,
        rollup: tuple[str, ...],
        numbers: dict[Key, int],
        shift: int,
        is_steady: bool,
    ) -> tuple[Small, ...]:
        """Return series number, hour, packets and sources of the slices to keep.

        Those with enough packets in some hour, and steady ones if they are wanted.
        """
        rows = np.flatnonzero(self._candidates(rollup))
        of_row = np.zeros(len(rows), np.int64)
        n_codes = 1
        for name in rollup:
            codes = self._coded(name)
            of_row = of_row * codes.n_values + codes.of_cell[rows]
            n_codes *= codes.n_values
        code, hour, packets, sources = self._sums(of_row, rows, n_codes)
        if not len(code):
            return (np.empty(0, np.int32),) * 4
        # From (slice, hour) to slices.
        firsts = _runs(code)
        lengths = np.diff(np.append(firsts, len(code)))
        # Of networks there are many, and most are as busy in every hour.
        least = self.least_in_hour * (2 if "network" in rollup else 1)
        enough = np.maximum.reduceat(packets, firsts) >= least
        if is_steady:
            enough |= np.add.reduceat(packets, firsts) >= self._least
        kept, chosen = np.repeat(enough, lengths), code[firsts[enough]]
        is_kept = np.zeros(len(self._hour), np.bool_)
        is_kept[rows] = np.isin(of_row, chosen)
        self._is_kept[frozenset(rollup)] = is_kept
        names = self._names(rollup, chosen)
        mine = np.array([numbers.setdefault(key, len(numbers)) for key in names], int)
        found = (
            np.repeat(mine, lengths[enough]),
            hour[kept] + shift,
            packets[kept],
            sources[kept],
        )
        # Of one slice and hour: 32 bits are enough.
        return tuple(one.astype(np.int32) for one in found)

    def _sums(self, of_row: Ints, rows: Ints, n_codes: int) -> tuple[Ints, ...]:
        """Return code, hour, packets and sources of each slice and hour, in order."""
        combined = of_row * self._n_hours + self._hour[rows]
        n_places = n_codes * self._n_hours
        if n_places <= _MOST_PLACES:
            packets, sources = (
                np.bincount(combined, of[rows], n_places)
                for of in (self._packets, self._sources)
            )
            places = np.flatnonzero(packets)
            packets, sources = packets[places], sources[places]
        else:
            order = np.argsort(combined)
            ordered, rows = combined[order], rows[order]
            begins = _runs(ordered)
            places = ordered[begins]
            packets, sources = (
                np.add.reduceat(of[rows], begins)
                for of in (self._packets, self._sources)
            )
        return *np.divmod(places, self._n_hours), packets, sources

    def _candidates(self, rollup: tuple[str, ...]) -> npt.NDArray[np.bool_]:
        """Return the cells that have the dimensions, in wider slices that were kept."""
        found = np.ones(len(self._hour), np.bool_)
        for name in rollup:
            found &= self._coded(name).is_there
        for size in range(len(rollup)):
            for wider in combinations(rollup, size):
                found &= self._is_kept.get(frozenset(wider), True)
        return found

    def _coded(self, name: str) -> Codes:
        if name not in self._codes:
            columns = DIMENSIONS[name].columns
            self._codes[name] = Codes([self._cells[column] for column in columns])
        return self._codes[name]

    def _names(self, rollup: tuple[str, ...], code: Ints) -> list[Key]:
        """Return the slices that codes stand for."""
        columns = []
        for name in reversed(rollup):
            codes = self._coded(name)
            code, mine = np.divmod(code, codes.n_values)
            columns.append([codes.value(one) for one in mine.tolist()])
        rows = zip(*reversed(columns), strict=True) if columns else [()] * len(code)
        return [Key(rollup, tuple(row)) for row in rows]


class Codes:
    """The values of some columns as one number a cell.

    Attributes
    ----------
    of_cell : array of int
        From 0 on, below `n_values`.
    is_there : array of bool
        The cell has a value: one column besides the first, which always has one, or
        the only column.
    """

    def __init__(self, columns: Sequence[pa.ChunkedArray]) -> None:
        self._parts = []
        combined = np.zeros(len(columns[0]), np.int64)
        self.is_there = np.zeros(len(columns[0]), np.bool_)
        for number, column in enumerate(columns):
            encoded = column.combine_chunks().dictionary_encode()
            values = [*encoded.dictionary.to_pylist(), None]
            mine = encoded.indices.fill_null(len(values) - 1).to_numpy()
            if number or len(columns) == 1:
                self.is_there |= mine < len(values) - 1
            combined = combined * len(values) + mine
            self._parts.append(values)
        if len(columns) == 1:
            self._distinct = np.arange(len(values))
            self.of_cell = combined
        else:
            self._distinct = _distinct(combined)
            self.of_cell = np.searchsorted(self._distinct, combined)
        self.n_values = max(1, len(self._distinct))

    def value(self, code: int) -> Value:
        """Return the values of the columns."""
        rest, found = int(self._distinct[code]), []
        for values in reversed(self._parts):
            rest, index = divmod(rest, len(values))
            found.append(values[index])
        return tuple(reversed(found))

    def code_of(self, value: Value) -> int | None:
        """Return the code of a value; None: no cell has it."""
        combined = 0
        for values, part in zip(self._parts, value, strict=True):
            if part not in values:
                return None
            combined = combined * len(values) + values.index(part)
        found = int(np.searchsorted(self._distinct, combined))
        is_met = found < len(self._distinct) and self._distinct[found] == combined
        return found if is_met else None


def _distinct(codes: Ints) -> Ints:
    ordered = np.sort(codes)
    return ordered[_runs(ordered)]


def _runs(ordered: Ints) -> Ints:
    """Return where runs of equal numbers begin."""
    is_new = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=is_new[1:])
    return np.flatnonzero(is_new)


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
