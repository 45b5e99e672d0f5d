"""The store as the rest of the program sees it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa

from fastflow.errors import ConfigError
from fastflow.phases import NO_PHASES, Phases
from fastflow.schema import Reduced, row_schema
from fastflow.store.compact import Compaction, compact, n_small_files
from fastflow.store.days import Days
from fastflow.store.draft import Draft
from fastflow.store.expire import Expiry, expire
from fastflow.store.export import export_canonical, export_table
from fastflow.store.ledger import Ledger, Plan
from fastflow.store.local import Local
from fastflow.store.parquet import read_hours
from fastflow.store.place import Place
from fastflow.store.publish import write_batch
from fastflow.store.query import Batches, Params, Query
from fastflow.store.recorded import Recorded
from fastflow.store.repair import Repair, repair
from fastflow.store.rewrite import take_out
from fastflow.store.settings import Settings
from fastflow.store.shared import SharedReport, Sharing, export_shared
from fastflow.store.table import KINDS, ConflictError, Table
from fastflow.store.verify import Verdict, verify
from fastflow.units import Period

if TYPE_CHECKING:
    from fastflow.report.model import Report
    from fastflow.report.stories import Holders

#: What an export takes in memory before it goes to disk: it may run beside others.
_EXPORT_MEMORY = "512MB"


class Store:
    """Counts, sources and inputs of many captures in one directory or bucket.

    Several processes may read and publish at the same time; one object serves one
    thread.

    Parameters
    ----------
    url : str or path
        The store's directory, or `s3://bucket/prefix`; the endpoint, the keys and the
        region of a bucket are those of the environment (`AWS_ENDPOINT_URL`,
        `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`).
    create : bool
        Make the store if there is none.
    settings : mapping or None
        Settings that the caller names (see `Settings`). A new store takes them; one
        that exists must have been made with the same.

    Raises
    ------
    StoreError
        There is no store, or it cannot be read or made.
    ConfigError
        The store was made with other settings.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        create: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        place = _place(url)
        if create:
            place.prepare()
        if create and not place.exists():
            self._table = Table.create(place, Settings.make(settings))
        else:
            self._table = Table.open(place)
        self._table.settings.check_same(settings, str(place))
        self._ledger = Ledger()
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

    def is_committed(self, input_id: str) -> bool:
        """Return whether the counts of an input are in the store."""
        self._refresh()
        return self._ledger.is_committed(input_id)

    def status(self, input_id: str) -> str | None:
        """Return an input's recorded status; None: it was never recorded."""
        self._refresh()
        return self._ledger.status(input_id)

    def recorded_files(self) -> Recorded:
        """Return what tells of files which inputs they were taken in as, unread."""
        self._refresh()
        return self._ledger.recorded()

    def sizes(self, head: str) -> list[int]:
        """Return the sizes of committed inputs that begin with the same first packet.

        Of those that this object has seen; any thread may ask.
        """
        return self._ledger.sizes(head)

    def recover(self) -> None:
        """Put right what runs that died, or a power loss, have left.

        Raises
        ------
        StoreError
            The store cannot be written.
        """
        self._table.sweep()
        self._refresh()
        self.checkpoint()

    def checkpoint(self) -> None:
        """Let the store be opened faster, if much has been committed since last time.

        Nothing depends on it, and `publish` does not wait for it: it takes some 0.1 s,
        once in a hundred commits. `recover`, `compact` and `expire` do it as well.

        Raises
        ------
        StoreError
            The store cannot be read.
        """
        self._table.checkpoint()

    def publish(
        self,
        reduced: Sequence[Reduced],
        phases: Phases = NO_PHASES,
        say: Callable[[str], object] = lambda text: None,
    ) -> list[str]:
        """Store a batch of inputs: all of it becomes visible together, or none.

        Parameters
        ----------
        reduced : sequence of Reduced
            Rows in canonical order. Inputs that are recorded already, also by another
            process, are left out, as is a second copy within the batch. A rejected
            input leaves its row in `inputs`; `duplicate` and `skipped` leave nothing.
            Where an input's bytes go on from the end of a committed one, it supersedes
            that: the rows of this are taken out in the same commit.
        phases : Phases
            Where the time is noted that rolling up takes.
        say : callable
            Takes lines that an operator must read.

        Returns
        -------
        list of str
            The ids that this call stored, durably, in the order given.

        Raises
        ------
        InternalError
            An input's counts do not add up; nothing of the batch is stored.
        StoreError
            The store cannot be written; nothing of the batch is stored.
        """
        while True:
            self._refresh()
            plan = self._ledger.plan(reduced)
            if not plan.new:
                break
            with Draft(self._table) as draft:
                self._write(draft, plan, phases)
                with phases.phase("publish"):
                    is_committed = self._commit(draft, plan, reduced)
                if is_committed:
                    break
        for text in plan.alarms:
            say(text)
        return plan.ids

    def _write(self, draft: Draft, plan: Plan, phases: Phases) -> None:
        for one in plan.new:
            olds = plan.superseded.get(one.record.input)
            one.record.supersedes = " ".join(olds) if olds else None
            one.record.part_of = plan.part_of.get(one.record.input)
        gone = plan.gone
        batch = [
            replace(one, rows=None) if one.record.input in gone else one
            for one in plan.new
        ]
        write_batch(draft, batch, self.settings.row_tables, phases)
        if stored := gone.difference(plan.ids):
            hours = self._ledger.hours(stored)
            take_out(draft, self._table, stored, hours=hours)

    def _commit(self, draft: Draft, plan: Plan, reduced: Sequence[Reduced]) -> bool:
        """Commit; False if what other processes committed meanwhile changed the plan.

        A file of theirs may hold what is to be taken out now.
        """
        while True:
            try:
                draft.commit()
            except ConflictError:
                self._refresh()
                if draft.removed or self._ledger.plan(reduced) != plan:
                    return False
            else:
                return True

    def compact(self, more_than: int = 1) -> Compaction:
        """Join small files into larger ones; no row changes, and readers go on.

        Parameters
        ----------
        more_than : int
            Do nothing unless a table has more small files than this.

        Raises
        ------
        StoreError
            A file is missing or damaged, or the store cannot be written.
        """
        self._table.refresh()
        if n_small_files(self._table) <= more_than:
            return Compaction()
        done = compact(self._table)
        self.checkpoint()
        return done

    def expire(
        self, before: datetime, *, daily: bool = False, dry_run: bool = False
    ) -> Expiry:
        """Take hours before a day out of the store, or add them up to days.

        See `fastflow.store.expire`.

        Parameters
        ----------
        before : datetime.datetime
            A midnight in UTC that has been.
        daily : bool
            Keep one row a day of each cell.
        dry_run : bool
            Only say what would go.

        Raises
        ------
        ConfigError
            The time is no such midnight, or days are to be kept without sources.
        StoreError
            A file is missing or damaged, or the store cannot be written.
        """
        done = expire(self._table, before, daily=daily, dry_run=dry_run)
        self.checkpoint()
        return done

    @staticmethod
    def verify(
        url: str | os.PathLike[str],
        progress: Callable[[float], object] = lambda fraction: None,
    ) -> Verdict:
        """Read all of a store and compare it with what was committed.

        Also where it is too damaged to be opened. `progress` is called with the
        fraction that is done.
        """
        return verify(_place(url), progress)

    @staticmethod
    def repair(
        url: str | os.PathLike[str],
        progress: Callable[[float], object] = lambda fraction: None,
    ) -> Repair:
        """Set damaged parts of a store aside, and open the inputs again they held.

        Raises
        ------
        StoreError
            The store cannot be written, or is too damaged.
        """
        place = _place(url)
        if not isinstance(place, Local):
            raise ConfigError(
                f"{place}: only a store in a directory can be repaired; copy this one, "
                "or reduce its captures into a new one"
            )
        return repair(place, progress)

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

    def _refresh(self) -> None:
        if self._table.refresh():
            with self._table.place.errors():
                # Whoever committed may have died before it was on disk; what is said
                # here to be known must be.
                self._table.place.settle()
        self._ledger.refresh(self._table)


def _period(period: str | Period | None) -> Period | None:
    return Period.parse(period) if isinstance(period, str) else period


def _named_in(query: str) -> list[str]:
    """Return the tables that a statement may be about; all, as in `show tables`."""
    text = query.lower().replace("attacks", "backscatter")
    return [kind for kind in KINDS if kind in text] or list(KINDS)


def _place(url: str | os.PathLike[str]) -> Place:
    text = os.fspath(url)
    scheme, found, rest = text.partition("://")
    if found and scheme == "s3":
        # A store on a disk needs no client of S3.
        from fastflow.store.objects import Objects

        return Objects(text)
    if found and (scheme != "file" or not rest.startswith("/")):
        raise ConfigError(
            f"{text}: a store is a local directory or s3://bucket/prefix; "
            f"{scheme}:// is not known"
        )
    path = Path(rest if found else text).absolute()
    if unquote(str(path)) != str(path):
        # deltalake would decode it, and read another directory than it wrote.
        raise ConfigError(f"{path}: a store's path must not hold % and two hex digits")
    return Local(path)
