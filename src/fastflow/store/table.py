"""The Delta Lake table under a store: one table, partitioned by kind of row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import (
    AddAction,
    CommitProperties,
    PostCommitHookProperties,
    RemoveAction,
)

from fastflow.errors import StoreError
from fastflow.schema import COUNTS, INPUTS, SOURCES
from fastflow.store.durable import make_directory, os_errors, sync
from fastflow.store.settings import Settings

#: The tables of a store, by the value of the partition column.
KINDS = {"counts": COUNTS, "sources": SOURCES, "inputs": INPUTS}
PARTITION = "table"

_SETTINGS_KEY = "fastflow.settings"
_LOG = "_delta_log"
# A torn checkpoint keeps a table from opening, and deltalake never fsyncs one.
_NO_HOOKS = PostCommitHookProperties(
    create_checkpoint=False, cleanup_expired_logs=False
)
# One attempt only: a commit is a compare-and-swap on the version, so that a lost race
# comes back here and the ledger is read again before the next attempt.
_ONE_ATTEMPT = CommitProperties(max_commit_retries=0)


class ConflictError(StoreError):
    """Another process committed first; the table now shows its commit."""


@dataclass(frozen=True)
class DataFile:
    """A Parquet file on disk, not yet part of the table.

    Attributes
    ----------
    path : str
        Relative to the table's directory.
    stats : str
        Delta statistics (JSON).
    """

    kind: str
    path: str
    size_bytes: int
    mtime_ms: int
    stats: str

    def to_action(self) -> AddAction:
        """Return the entry that adds the file to the table."""
        return AddAction(
            path=self.path,
            size=self.size_bytes,
            partition_values={PARTITION: self.kind},
            modification_time=self.mtime_ms,
            data_change=True,
            stats=self.stats,
        )


class Table:
    """One version of the table; `refresh` moves to the newest.

    Attributes
    ----------
    root : pathlib.Path
        The table's directory.
    settings : Settings
        What the store was made with.
    """

    def __init__(self, root: Path, delta: DeltaTable, settings: Settings) -> None:
        self.root = root
        self.settings = settings
        self._delta = delta
        self._files: pa.Table | None = None

    @classmethod
    def open(cls, root: Path) -> Self:
        """Open the table of a store.

        Raises
        ------
        StoreError
            There is none, or it is damaged, foreign, or of a newer fastflow.
        """
        try:
            delta = DeltaTable(root)
        except TableNotFoundError as error:
            raise StoreError(
                f"{root}: no fastflow store here; make one with "
                f"`fastflow reduce CAPTURE... --store {root} --sensor NAME`"
            ) from error
        except (DeltaError, OSError) as error:
            raise StoreError(
                f"{root}: cannot open the store ({_one_line(error)})"
            ) from error
        text = delta.metadata().configuration.get(_SETTINGS_KEY)
        if text is None:
            raise StoreError(
                f"{root}: a Delta Lake table, but not one of fastflow; "
                "name another directory"
            )
        return cls(root, delta, Settings.from_json(text, str(root)))

    @staticmethod
    def exists(root: Path) -> bool:
        """Return whether a Delta Lake table lies in the directory."""
        try:
            return DeltaTable.is_deltatable(root)
        except (DeltaError, OSError):
            return False

    @classmethod
    def create(cls, root: Path, settings: Settings) -> Self:
        """Make the table of a new store; of two processes one makes it, both open it.

        Raises
        ------
        StoreError
            The directory cannot be written.
        """
        with os_errors(root):
            root.parent.mkdir(parents=True, exist_ok=True)
            make_directory(root)
            try:
                DeltaTable.create(
                    root,
                    union_schema(),
                    mode="error",
                    partition_by=[PARTITION],
                    configuration={
                        "delta.dataSkippingStatsColumns": "hour,sensor,proto,"
                        "dst_port,input",
                        _SETTINGS_KEY: settings.to_json(),
                    },
                    post_commithook_properties=_NO_HOOKS,
                    raise_if_key_not_exists=False,
                )
            except DeltaError as error:
                if not cls.exists(root):
                    raise StoreError(
                        f"{root}: cannot make a store here ({_one_line(error)})"
                    ) from error
            sync(root)
            _sync_entry(root, 0)
        return cls.open(root)

    @property
    def version(self) -> int:
        """Number of the newest commit that this table shows."""
        return self._delta.version()

    def refresh(self) -> None:
        """Take in what other processes committed since."""
        # Entries are numbered without gaps. deltalake would list the whole log to find
        # that there is no next one: 10 ms at 300 entries, and this is asked often.
        if not _entry(self.root, self.version + 1).exists():
            return
        try:
            self._delta.update_incremental()
        except (DeltaError, OSError) as error:
            raise StoreError(
                f"{self.root}: cannot read the store ({_one_line(error)})"
            ) from error
        self._files = None

    def files(
        self, kind: str, hours: tuple[datetime, datetime] | None = None
    ) -> list[str]:
        """Return the active files of one kind, relative to the root, sorted.

        Parameters
        ----------
        hours : two datetimes or None
            Leave out the files that hold no row of these hours (the second exclusive).
        """
        files = self._active()
        wanted = pc.equal(files[f"partition.{PARTITION}"], kind)
        if hours is not None and kind != "inputs" and "min.hour" in files.column_names:
            begins = pc.less(files["min.hour"], pa.scalar(hours[1]))
            ends = pc.greater_equal(files["max.hour"], pa.scalar(hours[0]))
            # A file without statistics is kept.
            overlaps = pc.fill_null(pc.and_kleene(begins, ends), True)
            wanted = pc.and_(wanted, overlaps)
        return sorted(files["path"].filter(wanted).to_pylist())

    def _active(self) -> pa.Table:
        if self._files is None:
            self._files = pa.table(self._delta.get_add_actions(flatten=True))
        return self._files

    def commit(self, files: Sequence[DataFile]) -> None:
        """Make files part of the table, all in one commit, and refresh.

        Raises
        ------
        ConflictError
            Another process committed first: nothing was added, the table is refreshed.
        StoreError
            The log cannot be written.
        """
        before = self.version
        actions: list[AddAction | RemoveAction] = [file.to_action() for file in files]
        try:
            self._delta.create_write_transaction(
                actions,
                "append",
                union_schema(),
                partition_by=[PARTITION],
                commit_properties=_ONE_ATTEMPT,
                post_commithook_properties=_NO_HOOKS,
            )
        except (DeltaError, OSError) as error:
            self.refresh()
            if self.version > before:
                raise ConflictError(f"{self.root}: lost a race") from error
            raise StoreError(
                f"{self.root}: cannot commit to the store ({_one_line(error)}); "
                f"check permissions and free space of {self.root}"
            ) from error
        with os_errors(self.root):
            _sync_entry(self.root, before + 1)
        self.refresh()


def union_schema() -> pa.Schema:
    """Return the columns of all kinds; a kind's files leave out those of others."""
    columns: dict[str, Any] = {PARTITION: pa.field(PARTITION, pa.string(), False)}
    for schema in KINDS.values():
        for field in schema:
            columns.setdefault(field.name, field.with_nullable(True))
    return pa.schema(list(columns.values()))


def _entry(root: Path, version: int) -> Path:
    """Return the log entry of a commit."""
    return root / _LOG / f"{version:020}.json"


def _sync_entry(root: Path, version: int) -> None:
    """Flush a log entry: deltalake shows it before it is durable."""
    sync(_entry(root, version))
    sync(root / _LOG)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
