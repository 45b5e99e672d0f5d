"""The store as the rest of the program sees it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from fastflow.errors import ConfigError
from fastflow.phases import NO_PHASES, Phases
from fastflow.schema import ROW_TABLES, Reduced
from fastflow.store import log
from fastflow.store.draft import Draft
from fastflow.store.durable import os_errors
from fastflow.store.ledger import Ledger, Plan
from fastflow.store.publish import write_batch
from fastflow.store.query import Params, Query
from fastflow.store.rewrite import take_out
from fastflow.store.settings import Settings
from fastflow.store.table import KINDS, ConflictError, Table
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
        if create:
            with os_errors(root):
                log.set_torn_end_aside(root)
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

    def recorded_files(self) -> Callable[[str, int | None, int | None], str | None]:
        """Return what tells the id of the input that a file was taken in as, unread.

        By path, size (bytes) and modification time (ns); None: it has to be read.
        """
        self._refresh()
        return self._ledger.find_file

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
            with phases.phase("publish"), Draft(self._table) as draft:
                self._write(draft, plan, phases)
                if self._commit(draft, plan, reduced):
                    break
        for text in plan.alarms:
            say(text)
        return plan.ids

    def _write(self, draft: Draft, plan: Plan, phases: Phases) -> None:
        for one in plan.new:
            olds = plan.superseded.get(one.record.input)
            one.record.supersedes = " ".join(olds) if olds else None
        gone = plan.gone
        batch = [
            replace(one, rows=None) if one.record.input in gone else one
            for one in plan.new
        ]
        kinds = list(ROW_TABLES) if self.settings.sources else ["counts"]
        write_batch(draft, batch, kinds, phases)
        take_out(draft, self._table, gone)

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
    ) -> list[dict[str, Any]]:
        """Rank ports, countries, signatures, tools, sources or sensors.

        See `fastflow.analysis.rank.top`.
        """
        # Analysis stands above the store; only this convenience looks up to it, so the
        # import waits until it is asked for.
        from fastflow.analysis.rank import top

        return top(self, by, period, where, n)

    def _refresh(self) -> None:
        self._table.refresh()
        self._ledger.refresh(self._table)


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
