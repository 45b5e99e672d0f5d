"""What a question is about: rows of a store, in a period, that match filters.

It is shared by everything that answers from a store, and knows which hours are missing
from what is selected.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fastflow.analysis.coverage import INPUT_HOURS, Coverage, cover, spans
from fastflow.analysis.sensors import EXAMPLE, FILE_NAME, Network, chosen
from fastflow.analysis.where import Conditions, Hours
from fastflow.errors import ConfigError, InternalError
from fastflow.units import Period
from fastflow.zones import HOUR, hour_at, hour_number, iso_local, time_zone

if TYPE_CHECKING:
    from fastflow.store import Store

#: So many sensors, or times, are named in a line that tells of gaps.
_NAMED = 3


class Selection:
    """Rows of a store.

    Parameters
    ----------
    store : Store
        Where the counts are.
    period : str, Period or None
        Its hours; None: the whole store.
    where : mapping or None
        Column to value; None or `null` matches null.
    tz : str
        Whose days the period is of: an IANA name, or `UTC`.
    sensors : sequence of str or None
        Only these: names, and countries of `sensors.toml`.
    sensors_file : path or None
        Where sensors are described; None: `sensors.toml` in the store, if there.

    Raises
    ------
    ConfigError
        The period, the zone, a filter or a sensor does not exist, or sensors.toml
        cannot be understood.
    """

    def __init__(
        self,
        store: Store,
        period: str | Period | None = None,
        where: Mapping[str, Any] | None = None,
        *,
        tz: str = "UTC",
        sensors: Sequence[str] | None = None,
        sensors_file: str | os.PathLike[str] | None = None,
    ) -> None:
        self.store = store
        self.zone = period.zone if isinstance(period, Period) else time_zone(tz)
        self.period = (
            Period.parse(period, self.zone) if isinstance(period, str) else period
        )
        self._where = dict(where or {})
        self._wanted = sensors
        self._file = None if sensors_file is None else Path(sensors_file)
        self.needs_sources = Conditions.of(self._where, None).needs_sources

    def conditions(self, hours: Hours | None) -> Conditions:
        """Return the conditions on rows: the filters and sensors, in these hours."""
        conditions = Conditions.of(self._where, hours)
        if self._wanted is not None:
            marks = ", ".join("?" * len(self._chosen))
            conditions.add(f"sensor in ({marks})", *self._chosen)
        return conditions

    def ask(
        self, sql: str, params: Sequence[Any] = (), hours: Hours | None = None
    ) -> pa.Table:
        """Ask the files that have some of these hours; None: of the period's."""
        hours = hours or self.period_hours
        return self.store.sql(sql, list(params), hours=hours)

    @cached_property
    def network(self) -> Network | None:
        """What is known of the sensors, if anything is."""
        path = self._file or self.store.path / FILE_NAME
        return Network.read(path) if self._file or path.exists() else None

    def need_network(self, what: str) -> Network:
        """Return what is known of the sensors.

        Raises
        ------
        ConfigError
            Nothing is; the message says how to write a sensors.toml.
        """
        if self.network is None:
            raise ConfigError(
                f"{what} a description of the sensors; make "
                f"{self.store.path / FILE_NAME} with a line for each: {EXAMPLE}"
            )
        return self.network

    @cached_property
    def stored_sensors(self) -> list[str]:
        """The sensors of the store, sorted."""
        answer = self.ask("select distinct sensor from inputs order by sensor")
        return list(answer["sensor"].to_pylist())

    @cached_property
    def _chosen(self) -> list[str]:
        return chosen(self._wanted or (), self.network, self.stored_sensors)

    @cached_property
    def sensor_names(self) -> list[str]:
        """The sensors that are selected, of the store and of the network, sorted."""
        names = set(self._chosen)
        if self._wanted is None:
            names = {
                *self.stored_sensors,
                *(self.network.sensors if self.network else ()),
            }
        if "sensor" in self._where:
            names &= {self._where["sensor"]}
        return sorted(names)

    @property
    def period_hours(self) -> Hours | None:
        """The hours of the period; None: there is none, and all hours are meant."""
        return None if self.period is None else self.period.hours

    @cached_property
    def hours(self) -> Hours | None:
        """The hours of the period, or of all that the store holds, if anything."""
        if self.period is not None:
            return self.period.hours
        (row,) = self.ask(
            "select min(hour) as a, max(hour) as b from counts"
        ).to_pylist()
        return None if row["a"] is None else (row["a"], row["b"] + HOUR)

    @cached_property
    def coverage(self) -> Coverage | None:
        """Which hours of the selected sensors the store covers; None: it has none."""
        if self.hours is None:
            return None
        start, end = map(hour_number, self.hours)
        inputs = self.ask(INPUT_HOURS)
        return cover(inputs, self.network, self.sensor_names, start, end)

    def need_address_days(self) -> Coverage:
        """Return the coverage of a selection with hours, for rates per address.

        Raises
        ------
        ConfigError
            It is not known of each selected sensor how many addresses it had.
        """
        network = self.need_network("a rate per address needs")
        unknown = [name for name in self.sensor_names if name not in network.sensors]
        if unknown:
            raise ConfigError(
                f"{network.path} does not name sensor {', '.join(unknown)}: its "
                "addresses are not known; add it, or choose others by --sensors"
            )
        if self.coverage is None:
            raise InternalError("rates are for what was found in some hour")
        return self.coverage

    def remarks(self) -> list[str]:
        """Return what has to be said beside an answer: gaps, and sensors not known."""
        if self.network is None:
            return []
        missing = self._missing()
        return [*([missing] if missing else []), *self.strangers()]

    def _missing(self) -> str | None:
        """Return the line that tells of gaps."""
        if self.coverage is None:
            return None
        gaps = {
            name: hours
            for name, hours in self.coverage.sensors.items()
            if hours.is_gap.any()
        }
        told = [
            f"{name} has no data for {hours.is_gap.sum():,} of "
            f"{hours.is_on_air.sum():,} hours"
            for name, hours in list(gaps.items())[:_NAMED]
        ]
        if len(gaps) == 1:
            (hours,) = gaps.values()
            runs = list(spans(hours.is_gap, self.coverage.start))
            times = [self._span_text(*run) for run in runs[:_NAMED]]
            told[0] += f": {_listed(times, len(runs))}"
        if not told:
            return None
        return (
            f"sensor {_listed(told, len(gaps))}; `fastflow sensors --gaps` lists them"
        )

    def _span_text(self, first: int, after: int) -> str:
        return "..".join(
            iso_local(hour_at(number), self.zone) for number in (first, after)
        )

    def strangers(self) -> list[str]:
        """Return lines that tell of sensors of which only one side knows."""
        if self.network is None:
            return [
                "gaps, and rates per address, are not known: no "
                f"{self.store.path / FILE_NAME}; make it with a line for each sensor: "
                f"{EXAMPLE}"
            ]
        stored, known = set(self.stored_sensors), set(self.network.sensors)
        selected = set(self.sensor_names)
        lines = [
            (selected & stored - known, "does not name {} of the store"),
            (selected & known - stored, "names {}, of which the store has no input"),
        ]
        return [
            f"{self.network.path}: {text.format('sensor ' + ', '.join(sorted(names)))}"
            for names, text in lines
            if names
        ]


def _listed(texts: Sequence[str], n_all: int) -> str:
    rest = n_all - len(texts)
    return ", ".join(texts) + (f" and {rest:,} more" if rest else "")
