"""Which hours of a sensor the store covers, and which are missing.

An input spans the hours from its first packet to its last one, and covers them: it was
being written all the time between, also where nothing arrived. Hours without anything
at a sensor that always sees something are left out (see `silence`). A capture without
packets proves nothing. An hour at which a sensor was on the air, and which no input
covers, is a gap. Hours to come are none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fastflow.analysis.sensors import Network
from fastflow.analysis.silence import silent_hours
from fastflow.zones import hour_number

#: The hours that inputs span.
INPUT_HOURS = """
    select distinct sensor, epoch_us(first_packet) // 3_600_000_000 as first,
        epoch_us(last_packet) // 3_600_000_000 as last
    from inputs
    where status in ('complete', 'truncated', 'damaged') and first_packet is not null
"""

#: What each sensor saw in each hour, of `counts`; hours without a row are left out.
SEEN_HOURS = """
    select sensor, epoch_us(hour) // 3_600_000_000 as hour,
        sum(sources)::double as sources
    from counts
    where hour >= ? and hour < ?
    group by all
"""


@dataclass(frozen=True)
class Hours:
    """What is known of a sensor, hour by hour.

    Attributes
    ----------
    addresses : array of int
        Addresses on the air in each hour; 0: off the air, or not known.
    is_covered : array of bool
        Some input spans the hour, and the sensor was not silent.
    """

    addresses: npt.NDArray[np.int64]
    is_covered: npt.NDArray[np.bool_]

    @property
    def is_on_air(self) -> npt.NDArray[np.bool_]:
        """The sensor was on the air in the hour."""
        return self.addresses > 0

    @property
    def is_gap(self) -> npt.NDArray[np.bool_]:
        """The sensor was on the air, and no input covers the hour."""
        return self.is_on_air & ~self.is_covered


@dataclass(frozen=True)
class Coverage:
    """The hours of several sensors, from `start` to `end`.

    Attributes
    ----------
    start, end : int
        Hours since 1970 UTC, the second exclusive.
    sensors : mapping of str to Hours
        By name.
    """

    start: int
    end: int
    sensors: Mapping[str, Hours]

    def address_days(
        self,
        starts: Sequence[int] | None = None,
        sensors: Collection[str] | None = None,
    ) -> npt.NDArray[np.float64]:
        """Return the sum of addresses times days on the air in each bucket.

        Parameters
        ----------
        starts : sequence of int or None
            Hours at which buckets begin, the first of them `start`; None: one bucket.
        sensors : collection of str or None
            Of these only; None: of all.
        """
        total = np.zeros(self.end - self.start, np.int64)
        for hours in self._hours_of(sensors):
            total += hours.addresses
        return _by_bucket(np.add, total, self._indices(starts)) / 24

    def gaps(
        self,
        starts: Sequence[int] | None = None,
        sensors: Collection[str] | None = None,
    ) -> npt.NDArray[np.bool_]:
        """Return whether any of the sensors has a gap in each bucket."""
        found = np.zeros(self.end - self.start, np.bool_)
        for hours in self._hours_of(sensors):
            found |= hours.is_gap
        return _by_bucket(np.logical_or, found, self._indices(starts))

    def _hours_of(self, names: Collection[str] | None) -> list[Hours]:
        return [
            hours
            for name, hours in self.sensors.items()
            if names is None or name in names
        ]

    def _indices(self, starts: Sequence[int] | None) -> npt.NDArray[np.int64]:
        return np.asarray([self.start] if starts is None else starts) - self.start


def _by_bucket(
    function: np.ufunc, by_hour: npt.NDArray[Any], begins: npt.NDArray[np.int64]
) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = function.reduceat(by_hour, begins)
    return found


def cover(
    inputs: pa.Table,
    network: Network | None,
    names: Sequence[str],
    start: int,
    end: int,
    now: datetime | None = None,
    seen: pa.Table | None = None,
    seen_from: int = 0,
) -> Coverage:
    """Return the hours of the named sensors from `start` to `end`.

    Parameters
    ----------
    inputs : pyarrow.Table
        The answer to `INPUT_HOURS`.
    network : Network or None
        None: nobody is known to have been on the air.
    start, end : int
        Hours since 1970 UTC, the second exclusive.
    now : datetime.datetime or None
        Hours that have not passed are off the air; None: it is now.
    seen : pyarrow.Table or None
        The answer to `SEEN_HOURS`; None: nothing is known of silent hours.
    seen_from : int
        First of the hours, since 1970, whose rows are not added up to days.
    """
    passed = max(0, hour_number(now or datetime.now(UTC)) - start)
    sensors = {}
    for name in names:
        addresses = np.zeros(end - start, np.int64)
        if network and name in network.sensors:
            addresses = network.sensors[name].addresses(start, end)
            addresses[passed:] = 0
        mine = inputs.filter(pc.equal(inputs["sensor"], name))
        is_covered = _covered(mine, start, end)
        if seen is not None:
            own = seen.filter(pc.equal(seen["sensor"], name))
            sources = np.zeros(end - start)
            sources[own["hour"].to_numpy() - start] = own["sources"].to_numpy()
            hourly = slice(max(0, seen_from - start), None)
            silent = silent_hours(sources[hourly], is_covered[hourly])
            is_covered[hourly] &= ~silent
        sensors[name] = Hours(addresses, is_covered)
    return Coverage(start, end, sensors)


def spans(is_set: npt.NDArray[np.bool_], start: int) -> Iterator[tuple[int, int]]:
    """Yield the runs of hours that are set: first hour, and first hour after it.

    Parameters
    ----------
    is_set : array of bool
        Hour by hour.
    start : int
        Number of the first hour.
    """
    edges = np.flatnonzero(np.diff(is_set.astype(np.int8), prepend=0, append=0))
    for first, after in edges.reshape(-1, 2).tolist():
        yield start + first, start + after


def _covered(inputs: pa.Table, start: int, end: int) -> npt.NDArray[np.bool_]:
    """Return which hours some input covers."""
    n_hours = end - start
    first = np.clip(inputs["first"].to_numpy() - start, 0, n_hours)
    after = np.clip(inputs["last"].to_numpy() + 1 - start, 0, n_hours)
    begin = np.bincount(first, minlength=n_hours + 1)
    over = np.bincount(after, minlength=n_hours + 1)
    return np.cumsum(begin - over)[:n_hours] > 0
