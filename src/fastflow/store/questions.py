"""What a store is asked: SQL, rows, and the questions of `fastflow.analysis`."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fastflow.schema import row_schema
from fastflow.store.days import Days
from fastflow.store.export import export_canonical, export_table
from fastflow.store.local import Local
from fastflow.store.parquet import read_hours
from fastflow.store.query import Batches, Params, Query
from fastflow.store.settings import Settings
from fastflow.store.shared import SharedReport, Sharing, export_shared
from fastflow.store.table import KINDS, Table
from fastflow.units import Period

if TYPE_CHECKING:
    from fastflow.report.model import Report
    from fastflow.report.stories import Holders

#: What an export takes in memory before it goes to disk: it may run beside others.
_EXPORT_MEMORY = "512MB"


class Questions:
    """A store as it is read: always its newest version.

    Parameters
    ----------
    table : Table
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._query: Query | None = None
        self._shown: dict[str, tuple[int, tuple[datetime, datetime] | None]] = {}

    @property
    def url(self) -> str:
        """Where the store lies: a path, or `s3://bucket/prefix`."""
        return str(self._table.place)

    @property
    def directory(self) -> Path | None:
        """The directory that the store lies in; None: it lies in a bucket."""
        place = self._table.place
        return place.root if isinstance(place, Local) else None

    @property
    def settings(self) -> Settings:
        """What the store was made with."""
        return self._table.settings

    @property
    def days(self) -> Days:
        """Before which day rows may be of whole days, in the newest version."""
        self._table.refresh()
        return Days(self.url, self._table.before("daily"))

    def sql(
        self,
        query: str,
        params: Params | None = None,
        *,
        hours: tuple[datetime, datetime] | None = None,
    ) -> pa.Table:
        """Ask in SQL (DuckDB) over the tables, which are views, and over `attacks`.

        Parameters
        ----------
        query : str
            One statement; times are UTC.
        params : sequence, mapping or None
            Values for `?` or `$name`.
        hours : two datetimes or None
            Leave out files that hold no row of these hours (the second exclusive);
            this saves opening them, the query still has to filter its rows.

        Raises
        ------
        ConfigError
            DuckDB does not take the statement.
        StoreError
            The store cannot be read.
        """
        return self._query_of(query, hours).run(query, params)

    def stream(
        self,
        query: str,
        params: Params | None = None,
        *,
        hours: tuple[datetime, datetime] | None = None,
    ) -> Batches:
        """Ask as `sql` does, and yield the rows as they come.

        Nothing else may be asked of this object before the last of them has come, or
        the generator has been closed.

        Raises
        ------
        StoreError
            The store cannot be read.
        """
        return self._query_of(query, hours).stream(query, params)

    def rows(
        self, kind: str, columns: Sequence[str], hours: tuple[datetime, datetime]
    ) -> Iterator[pa.Table]:
        """Return columns of all rows of some hours (the second exclusive), by file.

        Texts are dictionaries: for what tells many rows apart by numbers this is
        faster than SQL. The first table has no rows. Files are read as they are asked
        for, by any thread.

        Parameters
        ----------
        kind : str
            counts, sources or backscatter.

        Raises
        ------
        StoreError
            The store cannot be read.
        """
        schema = pa.schema([row_schema(kind).field(name) for name in columns])
        self._table.refresh()
        paths = self._files(kind, hours)
        return chain(
            [schema.empty_table()],
            (read_hours(path, schema, hours) for path in paths),
        )

    def _query_of(self, query: str, hours: tuple[datetime, datetime] | None) -> Query:
        """Return the database, on the newest version's files of these hours."""
        self._table.refresh()
        if self._query is None:
            self._query = Query()
        wanted = (self._table.version, hours)
        # Of a bucket, files of tables that are not asked for need not be fetched.
        for kind in _named_in(query):
            if self._shown.get(kind) != wanted:
                self._query.show({kind: self._files(kind, hours)})
                self._shown[kind] = wanted
        return self._query

    def top(
        self,
        by: str,
        period: str | Period | None = None,
        where: Mapping[str, Any] | None = None,
        n: int = 10,
        *,
        tz: str = "UTC",
        sensors: Sequence[str] | None = None,
        sensors_file: str | os.PathLike[str] | None = None,
        per_address: bool = False,
    ) -> list[dict[str, Any]]:
        """Rank ports, countries, signatures, windows, tools, sources or sensors.

        See `fastflow.analysis.rank.top`, and for what is looked at
        `fastflow.analysis.selection.Selection`.
        """
        # Analysis stands above the store; only this convenience looks up to it, so the
        # import waits until it is asked for.
        from fastflow.analysis.rank import top
        from fastflow.analysis.selection import Selection

        selection = Selection(
            self, period, where, tz=tz, sensors=sensors, sensors_file=sensors_file
        )
        return top(selection, by, n, per_address)

    def trend(
        self,
        by: str,
        period: str | Period | None = None,
        where: Mapping[str, Any] | None = None,
        n: int = 5,
        *,
        every: str = "day",
        measure: str = "packets",
        others: bool = False,
        tz: str = "UTC",
        sensors: Sequence[str] | None = None,
        sensors_file: str | os.PathLike[str] | None = None,
        per_address: bool = False,
    ) -> pa.Table:
        """Return the course over time of the first keys of a ranking.

        See `fastflow.analysis.trend.trend`, and for what is looked at
        `fastflow.analysis.selection.Selection`.
        """
        from fastflow.analysis.selection import Selection
        from fastflow.analysis.trend import Options, trend

        selection = Selection(
            self, period, where, tz=tz, sensors=sensors, sensors_file=sensors_file
        )
        return trend(selection, by, Options(every, measure, n, others, per_address))

    def events(
        self,
        period: str | Period | None = None,
        where: Mapping[str, Any] | None = None,
        n: int | None = None,
        *,
        tz: str = "UTC",
        sensors: Sequence[str] | None = None,
        sensors_file: str | os.PathLike[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Find what changed: surges, trends, bursts with fixed fields, newcomers.

        See `fastflow.analysis.events.find.events`, and for what is looked at
        `fastflow.analysis.selection.Selection`.
        """
        from fastflow.analysis.events.find import events
        from fastflow.analysis.selection import Selection

        selection = Selection(
            self, period, where, tz=tz, sensors=sensors, sensors_file=sensors_file
        )
        return events(selection, n)

    def report(
        self,
        period: str | Period,
        *,
        tz: str = "UTC",
        sensors: Sequence[str] | None = None,
        sensors_file: str | os.PathLike[str] | None = None,
        min_packets: int = 25,
        holders: Holders | None = None,
    ) -> Report:
        """Find all that the report of a period tells; `to_json()` has it as values.

        See `fastflow.report.model.build`.
        """
        from fastflow.analysis.selection import Selection
        from fastflow.report.model import build

        selection = Selection(
            self, period, tz=tz, sensors=sensors, sensors_file=sensors_file
        )
        return build(selection, min_packets=min_packets, holders=holders)

    def inputs(
        self,
        period: str | Period | None = None,
        where: Mapping[str, Any] | None = None,
        *,
        statuses: Collection[str] = (),
        tz: str = "UTC",
        sensors: Sequence[str] | None = None,
        sensors_file: str | os.PathLike[str] | None = None,
    ) -> pa.Table:
        """Return what became of captures, or those that made a number.

        See `fastflow.analysis.inputs.inputs`, and for what is looked at
        `fastflow.analysis.selection.Selection`.
        """
        from fastflow.analysis.inputs import inputs
        from fastflow.analysis.selection import Selection

        selection = Selection(
            self, period, where, tz=tz, sensors=sensors, sensors_file=sensors_file
        )
        return inputs(selection, statuses)

    def export(
        self,
        output: str | os.PathLike[str],
        table: str = "counts",
        *,
        period: str | Period | None = None,
        file_format: str | None = None,
    ) -> int:
        """Write the rows of a table to a file, which appears when it is complete.

        Parameters
        ----------
        output : str or path
            "-" for stdout.
        table : str
            counts, sources, backscatter or inputs.
        period : str, Period or None
            Rows of these hours, captures with packets of these days; None: all.
        file_format : str or None
            parquet, csv or arrow; None: by the output's ending, CSV on stdout.

        Returns
        -------
        int
            How many rows there are.

        Raises
        ------
        ConfigError
            There is no such table, period or format, or the file cannot be made.
        StoreError
            The store cannot be read.
        """
        period = _period(period)
        with self._export_query([table], period) as query:
            return export_table(query, os.fspath(output), table, period, file_format)

    def export_canonical(
        self, output: str | os.PathLike[str], *, file_format: str | None = None
    ) -> int:
        """Write all that the captures say, as CSV: the same captures, the same bytes.

        In whatever order and batches they were reduced, by how many workers, how often,
        and from where. What is of the run and not of the captures is left out (see
        `fastflow.store.export.OF_THE_RUN`); the countries are those of the table used.

        Returns
        -------
        int
            How many rows there are, of all tables.

        Raises
        ------
        ConfigError
            Another format is wanted, or the file cannot be made.
        StoreError
            The store cannot be read.
        """
        with self._export_query(KINDS, None) as query:
            return export_canonical(query, os.fspath(output), file_format)

    def export_shared(
        self,
        output: str | os.PathLike[str],
        sharing: Sharing | None = None,
        *,
        period: str | Period | None = None,
        file_format: str | None = None,
    ) -> SharedReport:
        """Write what partners may see: no sensor, no address, no small cell.

        See `fastflow.store.shared`; the other parameters are those of `export`.

        Returns
        -------
        SharedReport
            What became of the packets: published, withheld, too recent.

        Raises
        ------
        ConfigError
            There is no such period or format, or the file cannot be made, or of days
            that were added up hours are wanted.
        StoreError
            The store cannot be read.
        """
        period = _period(period)
        with self._export_query(("counts", "sources"), period) as query:
            return export_shared(
                query,
                os.fspath(output),
                period,
                file_format,
                sharing or Sharing(),
                self.settings.sources,
                self.days,
            )

    @contextmanager
    def _export_query(
        self, kinds: Iterable[str], period: Period | None
    ) -> Iterator[Query]:
        """Open a database of its own on the newest version, for the time of an export.

        Whatever else is asked of this object meanwhile does not end its stream.
        """
        self._table.refresh()
        hours = (period.start, period.end) if period else None
        with closing(Query(_EXPORT_MEMORY)) as query:
            query.show(
                {kind: self._files(kind, hours) for kind in KINDS if kind in kinds}
            )
            yield query

    def _files(self, kind: str, hours: tuple[datetime, datetime] | None) -> list[Path]:
        """Return a table's files; those without rows of these hours are left out."""
        return self._table.place.fetch(self._table.files(kind, hours))


def _period(period: str | Period | None) -> Period | None:
    return Period.parse(period) if isinstance(period, str) else period


def _named_in(query: str) -> list[str]:
    """Return the tables that a statement may be about; all, as in `show tables`."""
    text = query.lower().replace("attacks", "backscatter")
    return [kind for kind in KINDS if kind in text] or list(KINDS)
