"""What a question is about: rows of a store, in a period, that match filters.

It is shared by everything that answers from a store, and knows which hours are missing
from what is selected.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from fastflow.analysis.coverage import INPUT_HOURS, SEEN_HOURS, Coverage, cover
from fastflow.analysis.sensors import EXAMPLE, FILE_NAME, Network, chosen
from fastflow.analysis.where import Conditions, Hours
from fastflow.errors import ConfigError
from fastflow.units import Period
from fastflow.zones import HOUR, hour_at, hour_number, time_zone

if TYPE_CHECKING:
    from fastflow.store.days import Days
    from fastflow.store.query import Batches
    from fastflow.store.questions import Questions


class Selection:
    """Rows of a store.

    Parameters
    ----------
    store : fastflow.Store
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
        store: Questions,
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
        self._filters_sources = Conditions.of(self._where, None).needs_sources

    def narrowed(self, **where: Any) -> Self:
        """Return the same question with more filters."""
        return type(self)(
            self.store,
            self.period,
            {**self._where, **where},
            tz=str(self.zone),
            sensors=self._wanted,
            sensors_file=self._file,
        )

    def of_sensors(self, sensors: Sequence[str] | None) -> Self:
        """Return the same question about other sensors."""
        return type(self)(
            self.store,
            self.period,
            self._where,
            tz=str(self.zone),
            sensors=sensors,
            sensors_file=self._file,
        )

    def in_period(self, period: Period) -> Self:
        """Return the same question about another time."""
        return type(self)(
            self.store,
            period,
            self._where,
            tz=str(self.zone),
            sensors=self._wanted,
            sensors_file=self._file,
        )

    def conditions(self, hours: Hours | None) -> Conditions:
        """Return the conditions on rows: the filters and sensors, in these hours.

        Raises
        ------
        ConfigError
            The hours begin or end within a day that was added up.
        """
        self.days.check(hours or ())
        conditions = Conditions.of(self._where, hours)
        self.add_sensors(conditions)
        return conditions

    def add_sensors(self, conditions: Conditions) -> None:
        """Add the condition that rows, or captures, are of the sensors, if any."""
        if self._wanted is not None:
            conditions.add_one_of("sensor", self._chosen)

    @property
    def wanted(self) -> Sequence[str] | None:
        """What was asked for: names and countries of sensors; None: all."""
        return self._wanted

    @property
    def has_filters(self) -> bool:
        """Rows have to match filters."""
        return bool(self._where)

    def table(self, needs_sources: bool = False) -> str:
        """Return the table that a question takes: `sources` where it needs these.

        Raises
        ------
        ConfigError
            The store keeps none.
        """
        if not (needs_sources or self._filters_sources):
            return "counts"
        if not self.store.settings.sources:
            raise ConfigError(
                f"{self.store.url}: the store was made without sources; "
                "take another key, or filter by another column than src"
            )
        return "sources"

    def ask(
        self, sql: str, params: Sequence[Any] = (), hours: Hours | None = None
    ) -> pa.Table:
        """Ask the files that have some of these hours; None: of the period's."""
        hours = hours or self.period_hours
        return self.store.sql(sql, list(params), hours=hours)

    def stream(
        self, sql: str, params: Sequence[Any] = (), hours: Hours | None = None
    ) -> Batches:
        """Ask as `ask` does, and yield the rows as they come; see `Store.stream`."""
        hours = hours or self.period_hours
        return self.store.stream(sql, list(params), hours=hours)

    def rows(
        self, table: str, columns: Sequence[str], hours: Hours
    ) -> Iterator[pa.Table]:
        """Return columns of the selected rows of some hours, some rows at a time.

        Whole files come as they are stored, texts as dictionaries; where rows have to
        match filters, or are of some sensors, they are asked for in SQL.
        """
        conditions = self.conditions(hours)
        if not self._where and self._wanted is None:
            return self.store.rows(table, columns, hours)
        rows, shown = table, columns
        if table == "counts" and self.table() == "sources":
            rows = "sources"
            shown = ["1 as sources" if one == "sources" else one for one in columns]
        sql = f"select {', '.join(shown)} from {rows} where {conditions}"
        return iter([self.ask(sql, conditions.params, hours)])

    @cached_property
    def network(self) -> Network | None:
        """What is known of the sensors, if anything is."""
        if self._file is not None:
            return Network.read(self._file)
        directory = self.store.directory
        path = None if directory is None else directory / FILE_NAME
        return Network.read(path) if path and path.exists() else None

    @property
    def network_place(self) -> str:
        """Where a description of the sensors is looked for."""
        directory = self.store.directory
        return (
            "a file for --sensors-file"
            if directory is None
            else str(directory / FILE_NAME)
        )

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
                f"{self.network_place} with a line for each: {EXAMPLE}"
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
            known = self.network.sensors if self.network else ()
            names = {*self.stored_sensors, *known}
        if "sensor" in self._where:
            names &= {self._where["sensor"]}
        return sorted(names)

    @cached_property
    def days(self) -> Days:
        """Days of the store whose hours were added up, and can not be told apart."""
        return self.store.days

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
        return None if row["a"] is None else self.days.around(row["a"], row["b"] + HOUR)

    @cached_property
    def coverage(self) -> Coverage:
        """Which hours of the selected sensors the store covers; of `hours`, if any."""
        start, end = map(hour_number, self.hours) if self.hours else (0, 0)
        return self.coverage_of(start, end)

    def coverage_of(self, start: int, end: int) -> Coverage:
        """Return which of these hours, since 1970, the store covers."""
        hours = hour_at(start), hour_at(end)
        inputs = self.ask(INPUT_HOURS, (), hours)
        seen = self.ask(SEEN_HOURS, hours, hours)
        before = self.days.before
        return cover(
            inputs,
            self.network,
            self.sensor_names,
            start,
            end,
            seen=seen,
            seen_from=0 if before is None else hour_number(before),
        )

    def check_addresses(self) -> None:
        """Raise ConfigError where a selected sensor's addresses are not known."""
        network = self.need_network("a rate per address needs")
        unknown = [name for name in self.sensor_names if name not in network.sensors]
        if unknown:
            raise ConfigError(
                f"{network.path} does not name sensor {', '.join(unknown)}: its "
                "addresses are not known; add it, or choose others by --sensors"
            )
