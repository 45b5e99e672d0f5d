"""The Delta Lake table that a store is: its versions, its files, its commits."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from fastflow.errors import StoreError
from fastflow.schema import COUNTS, INPUTS, SOURCES
from fastflow.store import log
from fastflow.store.place import NO_HOOKS, Place, is_ours
from fastflow.store.settings import Settings

#: The tables of a store, by the value of the partition column.
KINDS = {"counts": COUNTS, "sources": SOURCES, "inputs": INPUTS}
PARTITION = "table"

_SETTINGS_KEY = "fastflow.settings"
#: Opening a table reads every entry behind its newest checkpoint.
CHECKPOINT_ENTRIES = 100
#: How long a file that was replaced stays, for readers that have begun with it.
_GRACE_HOURS = 24


class ConflictError(StoreError):
    """Another process committed first; the table now shows its commit."""


@dataclass(frozen=True)
class DataFile:
    """A Parquet file where the store lies, not yet part of the table.

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

    def to_action(self) -> log.Action:
        """Return the entry that adds the file to the table."""
        add = {
            "path": self.path,
            "partitionValues": {PARTITION: self.kind},
            "size": self.size_bytes,
            "modificationTime": self.mtime_ms,
            "dataChange": True,
            "stats": self.stats,
        }
        return {"add": add}


class Table:
    """One version of the table; `refresh` moves to the newest.

    Attributes
    ----------
    place : Place
        Where it lies.
    settings : Settings
        What the store was made with.
    """

    def __init__(self, place: Place, delta: DeltaTable, settings: Settings) -> None:
        self.place = place
        self.settings = settings
        self._delta = delta
        self._files: pa.Table | None = None

    @classmethod
    def open(cls, place: Place) -> Self:
        """Open the table of a store.

        Raises
        ------
        StoreError
            There is none, or it is damaged, foreign, or of a newer fastflow.
        """
        try:
            delta = place.open()
        except TableNotFoundError as error:
            raise StoreError(
                f"{place}: no fastflow store here; make one with "
                f"`fastflow reduce CAPTURE... --store {place} --sensor NAME`"
            ) from error
        except (DeltaError, OSError) as error:
            raise StoreError(
                f"{place}: cannot open the store ({_one_line(error)})"
            ) from error
        text = delta.metadata().configuration.get(_SETTINGS_KEY)
        if text is None:
            raise StoreError(
                f"{place}: a Delta Lake table, but not one of fastflow; "
                "name another directory"
            )
        return cls(place, delta, Settings.from_json(text, str(place)))

    @classmethod
    def create(cls, place: Place, settings: Settings) -> Self:
        """Make the table of a new store; of two processes one makes it, both open it.

        Raises
        ------
        StoreError
            Nothing can be written there.
        """
        place.create(partial(_make, settings))
        return cls.open(place)

    @property
    def version(self) -> int:
        """Number of the newest commit that this table shows."""
        return self._delta.version()

    def refresh(self) -> None:
        """Take in what other processes committed since."""
        try:
            if self.place.update(self._delta):
                self._files = None
        except (DeltaError, OSError) as error:
            raise StoreError(
                f"{self.place}: cannot read the store ({_one_line(error)})"
            ) from error

    def files(
        self, kind: str, hours: tuple[datetime, datetime] | None = None
    ) -> list[str]:
        """Return the names of the active files of one kind, sorted.

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

    def holders(self, kind: str, input_ids: Iterable[str]) -> list[str]:
        """Return the active files of one kind that may hold rows of some inputs."""
        files = self._active()
        files = files.filter(pc.equal(files[f"partition.{PARTITION}"], kind))
        if "min.input" not in files.column_names:
            return []
        rows = zip(*(files[name].to_pylist() for name in _ID_RANGE), strict=True)
        ids = sorted(input_ids)
        return sorted(
            path for path, low, high in rows if any(low <= i <= high for i in ids)
        )

    def commit(
        self,
        added: Sequence[DataFile],
        removed: Sequence[str] = (),
        operation: str = "WRITE",
    ) -> None:
        """Add files to the table and take others out, in one commit, and refresh.

        Raises
        ------
        ConflictError
            Another process committed first: nothing was changed, the table is
            refreshed.
        StoreError
            The log cannot be written.
        """
        actions = [self._remove_action(path) for path in removed]
        actions += [file.to_action() for file in added]
        version = self.version + 1
        try:
            self.place.commit(self._delta, operation, actions)
        except FileExistsError as error:
            self.refresh()
            raise ConflictError(f"{self.place}: lost a race") from error
        self.refresh()
        if version % CHECKPOINT_ENTRIES == 0:
            self.place.checkpoint(self._delta)

    def _remove_action(self, path: str) -> log.Action:
        remove = {
            "path": path,
            "deletionTimestamp": time.time_ns() // 1_000_000,
            "dataChange": True,
            "extendedFileMetadata": True,
            "partitionValues": {PARTITION: _kind_of(path)},
        }
        return {"remove": remove}

    def sweep(self) -> None:
        """Remove what dead runs left, and replaced files.

        Files that no commit names and no run holds, and those that were replaced so
        long ago that no reader can be at them.
        """
        with self.place.errors():
            orphans = [name for name in self.unnamed() if is_ours(name)]
            self.place.remove_orphans(orphans, self._named)

    def unnamed(self) -> list[str]:
        """Return what lies beside the files that commits name."""
        named = self._named()
        found = self.place.found([self.directory(kind) for kind in KINDS])
        return [name for name in found if name not in named]

    def discard(self, files: Iterable[DataFile]) -> None:
        """Remove files that were not committed, unless a twin did that, or may yet."""
        with self.place.errors():
            self.place.discard([file.path for file in files], self._named)

    def directory(self, kind: str) -> str:
        """Return where the files of one kind lie."""
        return f"{PARTITION}={kind}"

    def _named(self) -> set[str]:
        """Return the files that commits name, those replaced lately included."""
        self.refresh()
        active = {path for kind in KINDS for path in self.files(kind)}
        replaced = set(self._replaced(0)) - set(self._replaced(_GRACE_HOURS))
        return active | replaced

    def _replaced(self, hours: int) -> list[str]:
        """Return the files that were taken out of the table so many hours ago."""
        return self._delta.vacuum(
            retention_hours=hours, dry_run=True, enforce_retention_duration=False
        )


_ID_RANGE = ("path", "min.input", "max.input")


def _kind_of(path: str) -> str:
    return path.partition("/")[0].removeprefix(f"{PARTITION}=")


def _make(settings: Settings, address: str, options: Mapping[str, str]) -> None:
    """Make an empty table."""
    DeltaTable.create(
        address,
        union_schema(),
        partition_by=[PARTITION],
        configuration={
            "delta.dataSkippingStatsColumns": "hour,sensor,proto,dst_port,input",
            _SETTINGS_KEY: settings.to_json(),
        },
        storage_options=dict(options),
        commit_properties=CommitProperties(max_commit_retries=0),
        post_commithook_properties=NO_HOOKS,
        raise_if_key_not_exists=False,
    )


def union_schema() -> pa.Schema:
    """Return the columns of all kinds; a kind's files leave out those of others."""
    columns: dict[str, Any] = {PARTITION: pa.field(PARTITION, pa.string(), False)}
    for schema in KINDS.values():
        for field in schema:
            columns.setdefault(field.name, field.with_nullable(True))
    return pa.schema(list(columns.values()))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
