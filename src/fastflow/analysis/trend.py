"""Courses over time, one for each of the first keys of a ranking."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fastflow.analysis.buckets import Buckets
from fastflow.analysis.distinct import distinct_sources
from fastflow.analysis.rank import Ranking
from fastflow.analysis.selection import Selection
from fastflow.errors import ConfigError
from fastflow.zones import hour_number

MEASURES = ("packets", "sources")

#: The key of all packets that are of none of the keys shown.
OTHERS = "all others"

_Numbers = npt.NDArray[np.int64]
#: Something of each step, of these sensors; None: of all.
_OfSensors = Callable[[Collection[str] | None], npt.NDArray[Any]]


@dataclass(frozen=True)
class Options:
    """How a course over time is drawn up.

    Attributes
    ----------
    every : str
        hour, day or week.
    measure : str
        packets, or sources: exact distinct addresses within each step.
    n : int
        How many keys: those that `top` ranks first.
    others : bool
        Add the packets of everything else, under the key `OTHERS`.
    per_address : bool
        Add packets per sensor address and day on the air.
    """

    every: str = "day"
    measure: str = "packets"
    n: int = 5
    others: bool = False
    per_address: bool = False

    def check(self) -> None:
        """Raise ConfigError where the options do not fit together."""
        if self.measure not in MEASURES:
            raise ConfigError(
                f"no measure {self.measure!r}; there are {', '.join(MEASURES)}"
            )
        if self.measure != "packets" and (self.others or self.per_address):
            raise ConfigError(
                "distinct sources are never added up: all others, and what comes per "
                "address, can be counted in packets only"
            )


def trend(selection: Selection, by: str, options: Options | None = None) -> pa.Table:
    """Return the course of the first keys over time.

    Parameters
    ----------
    selection : Selection
        The rows to look at; the course goes over the whole of its period.
    by : str
        One of `fastflow.analysis.keys.KEYS`.
    options : Options or None
        Steps, measure, number of keys.

    Returns
    -------
    pyarrow.Table, sorted by time, then by the keys' rank
        `time` (when the step begins, in the selection's zone), `key`, `packets` or
        `sources` (0 where nothing arrived), `per_address_day` if it is wanted (null
        where no sensor was on the air), `gap` (hours of a sensor are missing in the
        step; null: no sensors.toml says so). By sensor, the last two are of that one.

    Raises
    ------
    ConfigError
        Something is asked for that does not exist, or cannot be known.
    """
    options = options or Options()
    options.check()
    return _Course(selection, by, options).table()


class _Course:
    def __init__(self, selection: Selection, by: str, options: Options) -> None:
        self._selection = selection
        self._by = by
        self._options = options
        self._ranking = Ranking(selection, by)
        if options.measure == "sources":
            self._check_sources()
        if options.per_address:
            selection.check_addresses()

    def _check_sources(self) -> None:
        store = self._selection.store
        if self._by == "source":
            raise ConfigError("each source is one source; measure packets instead")
        if not store.settings.sources:
            raise ConfigError(
                f"{store.url}: the store was made without sources; "
                "measure packets instead"
            )

    def table(self) -> pa.Table:
        """Return the course, step by step, key by key."""
        hours = self._selection.hours
        if hours is None:
            return self._schema().empty_table()
        buckets = Buckets(self._options.every, self._selection.zone, *hours)
        self._selection.days.check(buckets.starts)
        first = self._ranking.first(hours, self._options.n)
        keys = first["key"].to_pylist()
        values = self._values(buckets, first)
        if self._options.others:
            values = np.column_stack([values, self._total(buckets) - values.sum(1)])
            keys.append(OTHERS)
        if not keys:
            return self._schema().empty_table()
        columns = [*self._times(buckets.starts, keys), pa.array(values.ravel())]
        if self._options.per_address:
            columns.append(self._rates(buckets.starts, keys, values))
        columns.append(self._gaps(buckets.starts, keys))
        return pa.table(columns, self._schema())

    def _schema(self) -> pa.Schema:
        rate = [("per_address_day", pa.float64())] if self._options.per_address else []
        return pa.schema(
            [
                ("time", pa.timestamp("us", tz=str(self._selection.zone))),
                ("key", pa.string()),
                (self._options.measure, pa.int64()),
                *rate,
                ("gap", pa.bool_()),
            ]
        )

    def _values(self, buckets: Buckets, first: pa.Table) -> _Numbers:
        """Return the measure, steps by keys."""
        values = np.zeros((len(buckets.starts), first.num_rows), np.int64)
        if first.num_rows == 0:
            return values
        is_of_sources = self._options.measure == "sources"
        # Of these hours also where the whole store is meant: it may grow meanwhile.
        hours = self._selection.hours
        rows, params = self._ranking.rows(hours, first, of_sources=is_of_sources)
        cell = f"(({buckets.sql} - {buckets.first}) * {first.num_rows} + nth)"
        if is_of_sources:
            found = distinct_sources(self._selection, cell, values.size, rows, params)
            return found.reshape(values.shape)
        sums = self._selection.ask(
            f"select {cell} as cell, sum(packets) as n from {rows} group by all",
            params,
        )
        values.ravel()[sums["cell"].to_numpy()] = sums["n"].to_numpy()
        return values

    def _total(self, buckets: Buckets) -> _Numbers:
        """Return all packets of each step that match the filters."""
        rows, params = self._ranking.rows(self._selection.hours)
        found = self._selection.ask(
            f"select {buckets.sql} as bucket, sum(packets) as n "
            f"from {rows} group by all",
            params,
        )
        total = np.zeros(len(buckets.starts), np.int64)
        total[found["bucket"].to_numpy() - buckets.first] = found["n"].to_numpy()
        return total

    def _times(self, starts: Sequence[datetime], keys: Sequence[str]) -> list[pa.Array]:
        """Return the columns `time` and `key`."""
        times = pa.array(starts, self._schema().field("time").type)
        steps = np.repeat(np.arange(len(starts)), len(keys))
        return [times.take(pa.array(steps)), pa.array([*keys] * len(starts))]

    def _rates(
        self, starts: Sequence[datetime], keys: Sequence[str], values: _Numbers
    ) -> pa.Array:
        """Return packets per sensor address and day; null where nobody listened."""
        coverage = self._selection.coverage
        hours = [hour_number(start) for start in starts]
        days = self._by_key(keys, lambda names: coverage.address_days(hours, names))
        rates = np.divide(values, days, where=days > 0, out=np.zeros(values.shape))
        return pa.array(rates.ravel(), mask=(days <= 0).ravel())

    def _gaps(self, starts: Sequence[datetime], keys: Sequence[str]) -> pa.Array:
        """Return whether hours are missing; null where nobody can know."""
        network = self._selection.network
        if network is None:
            return pa.nulls(len(starts) * len(keys), pa.bool_())
        coverage = self._selection.coverage
        hours = [hour_number(start) for start in starts]
        gaps = self._by_key(keys, lambda names: coverage.gaps(hours, names))
        is_unknown = [
            self._by == "sensor" and key not in (OTHERS, *network.sensors)
            for key in keys
        ]
        return pa.array(gaps.ravel(), mask=np.tile(is_unknown, len(starts)))

    def _by_key(self, keys: Sequence[str], of: _OfSensors) -> npt.NDArray[Any]:
        """Return something of each key's sensors, steps by keys.

        All sensors see all keys, but where the keys are the sensors themselves.
        """
        if self._by != "sensor":
            return np.column_stack([of(None)] * len(keys))
        rest = set(self._selection.sensor_names) - set(keys)
        return np.column_stack([of(rest if key == OTHERS else {key}) for key in keys])
