"""The store as the rest of the program sees it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from fastflow.errors import ConfigError
from fastflow.phases import NO_PHASES, Phases
from fastflow.schema import Reduced
from fastflow.store.ledger import Entry, Ledger
from fastflow.store.publish import write_batch
from fastflow.store.query import Params, Query
from fastflow.store.settings import Settings
from fastflow.store.table import KINDS, ConflictError, DataFile, Table
from fastflow.units import Period


class Store:
    """Counts, sources and inputs of many captures in one directory.

    Several processes may read and publish at the same time; one object serves one
    thread.

    Parameters
    ----------
    url : str or path
        The store's directory.
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
        root = _local_path(url)
        if create and not Table.exists(root):
            self._table = Table.create(root, Settings.make(settings))
        else:
            self._table = Table.open(root)
        self._table.settings.check_same(settings, str(root))
        self._ledger = Ledger()
        self._query: Query | None = None
        self._shown: tuple[int, tuple[datetime, datetime] | None] | None = None

    @property
    def path(self) -> Path:
        """The store's directory."""
        return self._table.root

    @property
    def settings(self) -> Settings:
        """What the store was made with."""
        return self._table.settings

    def is_committed(self, input_id: str) -> bool:
        """Return whether the counts of an input are in the store."""
        self._refresh()
        return self._ledger.is_committed(input_id)

    def status(self, input_id: str) -> str | None:
        """Return an input's recorded status; None: it was never recorded."""
        self._refresh()
        return self._ledger.status(input_id)

    def find_file(self, path: str, size: int, mtime_ns: int) -> Entry | None:
        """Return what is recorded of a file of this path, size (bytes) and time."""
        self._refresh()
        return self._ledger.find_file(path, size, mtime_ns)

    def publish(
        self, reduced: Sequence[Reduced], phases: Phases = NO_PHASES
    ) -> list[str]:
        """Store a batch of inputs: all of it becomes visible together, or none.

        Parameters
        ----------
        reduced : sequence of Reduced
            Rows in canonical order. Inputs that are recorded already, also by another
            process, are left out, as is a second copy within the batch. A rejected
            input leaves its row in `inputs`; `duplicate` and `skipped` leave nothing.
        phases : Phases
            Where the time is noted that rolling up takes.

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
        files: list[DataFile] = []
        ids: list[str] = []
        while True:
            self._refresh()
            batch = list(self._ledger.new_of(reduced))
            if [one.record.input for one in batch] != ids:
                self._discard(files)
                ids = [one.record.input for one in batch]
                files = self._write(batch, phases)
            if not batch:
                return []
            try:
                with phases.phase("publish"):
                    self._table.commit(files)
            except ConflictError:
                continue
            return ids

    def _write(self, batch: Sequence[Reduced], phases: Phases) -> list[DataFile]:
        return write_batch(self.path, batch, self.settings, phases) if batch else []

    def sql(
        self,
        query: str,
        params: Params | None = None,
        *,
        hours: tuple[datetime, datetime] | None = None,
    ) -> pa.Table:
        """Ask in SQL (DuckDB) over the views `counts`, `sources` and `inputs`.

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
        self._table.refresh()
        if self._query is None:
            self._query = Query()
        if self._shown != (self._table.version, hours):
            # Should it fail halfway, the next question starts afresh.
            self._shown = None
            self._query.show(
                {
                    kind: [self.path / file for file in self._table.files(kind, hours)]
                    for kind in KINDS
                }
            )
            self._shown = (self._table.version, hours)
        return self._query.run(query, params)

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

    def _refresh(self) -> None:
        self._table.refresh()
        self._ledger.refresh(self._table)

    def _discard(self, files: Sequence[DataFile]) -> None:
        """Remove files that lost a race, unless a twin committed the very same ones.

        Some of their inputs are in other files by now, so nobody can commit them later.
        """
        for file in files:
            if file.path not in self._table.files(file.kind):
                (self.path / file.path).unlink(missing_ok=True)


def _local_path(url: str | os.PathLike[str]) -> Path:
    text = os.fspath(url)
    scheme, found, rest = text.partition("://")
    if found and (scheme != "file" or not rest.startswith("/")):
        raise ConfigError(
            f"{text}: a store is a local directory; {scheme}:// is not known"
        )
    path = Path(rest if found else text).absolute()
    if unquote(str(path)) != str(path):
        # deltalake would decode it, and read another directory than it wrote.
        raise ConfigError(f"{path}: a store's path must not hold % and two hex digits")
    return path
