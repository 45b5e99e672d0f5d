"""The store as the rest of the program sees it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fastflow.errors import ConfigError
from fastflow.phases import NO_PHASES, Phases
from fastflow.schema import Reduced
from fastflow.store.compact import Compaction, compact, n_small_files
from fastflow.store.draft import Draft
from fastflow.store.expire import Expiry, expire
from fastflow.store.ledger import Ledger, Plan
from fastflow.store.local import Local
from fastflow.store.place import Place
from fastflow.store.publish import write_batch
from fastflow.store.questions import Questions
from fastflow.store.recorded import Recorded
from fastflow.store.repair import Repair, repair
from fastflow.store.rewrite import take_out
from fastflow.store.settings import Settings
from fastflow.store.table import ConflictError, Table
from fastflow.store.verify import Verdict, verify


class Store(Questions):
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
            table = Table.create(place, Settings.make(settings))
        else:
            table = Table.open(place)
        super().__init__(table)
        self._table.settings.check_same(settings, str(place))
        self._ledger = Ledger()

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

    def _refresh(self) -> None:
        if self._table.refresh():
            with self._table.place.errors():
                # Whoever committed may have died before it was on disk; what is said
                # here to be known must be.
                self._table.place.settle()
        self._ledger.refresh(self._table)


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
