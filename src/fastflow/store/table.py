"""The Delta Lake table that a store is: its versions, its files, its commits."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import PostCommitHookProperties

from fastflow.errors import StoreError
from fastflow.schema import COUNTS, INPUTS, SOURCES
from fastflow.store import log
from fastflow.store.durable import os_errors, remove_orphans, sync, sync_path
from fastflow.store.settings import SCHEMA_VERSION, Settings

#: The tables of a store, by the value of the partition column.
KINDS = {"counts": COUNTS, "sources": SOURCES, "inputs": INPUTS}
PARTITION = "table"

#: What became of rows of hours before a day.
Change = Literal["expired", "daily"]

_SETTINGS_KEY = "fastflow.settings"
_BEFORE_KEYS: dict[Change, str] = {
    "expired": "fastflow.expired_before",
    "daily": "fastflow.daily_before",
}
# A torn checkpoint keeps a table from opening, and deltalake never fsyncs one.
_NO_HOOKS = PostCommitHookProperties(
    create_checkpoint=False, cleanup_expired_logs=False
)
#: Opening a table reads every entry behind its newest checkpoint.
CHECKPOINT_ENTRIES = 100
#: How long a file that was replaced stays, for readers that have begun with it.
_GRACE_HOURS = 24


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

    def to_action(self, is_change: bool = True) -> log.Action:
        """Return the entry that adds the file to the table.

        `is_change` is false where its rows were in the table before, in other files.
        """
        add = {
            "path": self.path,
            "partitionValues": {PARTITION: self.kind},
            "size": self.size_bytes,
            "modificationTime": self.mtime_ms,
            "dataChange": is_change,
            "stats": self.stats,
        }
        return {"add": add}


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
        self._names: set[Path] | None = None

    @classmethod
    def open(cls, root: Path) -> Self:
        """Open the table of a store.

        Raises
        ------
        StoreError
            There is none, or it is damaged, foreign, or of a newer fastflow.
        """
        try:
            _check_entries(root)
            delta = DeltaTable(root)
        except TableNotFoundError as error:
            raise StoreError(
                f"{root}: no fastflow store here; make one with "
                f"`fastflow reduce CAPTURE... --store {root} --sensor NAME`"
            ) from error
        except (DeltaError, OSError) as error:
            raise StoreError(
                f"{root}: cannot open the store ({_one_line(error)}); {_CHECK}"
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
            root.mkdir(parents=True, exist_ok=True)
            sync_path(root)
            with suppress(FileExistsError):
                log.write_entry(root, 0, "CREATE TABLE", _first_actions(settings))
        return cls.open(root)

    @property
    def version(self) -> int:
        """Number of the newest commit that this table shows."""
        return self._delta.version()

    def before(self, change: Change) -> datetime | None:
        """Return the first day that was left when rows of hours expired, if they did.

        Parameters
        ----------
        change : str
            "expired": rows before it were taken out; "daily": added up to days.
        """
        text = self._delta.metadata().configuration.get(_BEFORE_KEYS[change])
        return None if text is None else datetime.fromisoformat(f"{text}T00:00Z")

    def refresh(self) -> bool:
        """Take in what was committed since; return whether there was anything."""
        # Entries are numbered without gaps. deltalake would list the whole log to find
        # that there is no next one: 10 ms at 300 entries, and this is asked often.
        if not log.entry_path(self.root, self.version + 1).exists():
            return False
        try:
            _check_entries(self.root)
            self._delta.update_incremental()
        except (DeltaError, OSError) as error:
            raise StoreError(
                f"{self.root}: cannot read the store ({_one_line(error)}); {_CHECK}"
            ) from error
        self._files = self._names = None
        return True

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

    def sizes(self, kind: str) -> dict[str, int]:
        """Return how many rows the active files of one kind have, by first hour.

        Files without statistics, which another writer may have made, are left out.
        """
        files = self._active()
        files = files.filter(pc.equal(files[f"partition.{PARTITION}"], kind))
        names = [name for name in _BY_TIME if name in files.column_names]
        files = files.sort_by([(name, "ascending") for name in names])
        sizes = zip(*(files[name].to_pylist() for name in _SIZE), strict=True)
        return {path: rows for path, rows in sizes if rows is not None}

    def are_active(self, paths: Iterable[str]) -> bool:
        """Return whether the table still has all of these files."""
        return set(paths).issubset(self._active()["path"].to_pylist())

    def _active(self) -> pa.Table:
        if self._files is None:
            self._files = pa.table(self._delta.get_add_actions(flatten=True))
        return self._files

    def holders(
        self,
        kind: str,
        input_ids: Iterable[str],
        hours: tuple[datetime, datetime] | None = None,
    ) -> list[str]:
        """Return the active files of one kind that may hold rows of some inputs.

        Parameters
        ----------
        hours : two datetimes or None
            When these rows are (the second exclusive), if it is known: most files hold
            nearly all ids between two, and rows of few days.
        """
        files = self._active()
        wanted = pa.array(self.files(kind, hours), pa.string())
        files = files.filter(pc.is_in(files["path"], wanted))
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
        *,
        is_change: bool = True,
        before: Mapping[Change, datetime] | None = None,
    ) -> None:
        """Add files to the table and take others out, in one commit, and refresh.

        Parameters
        ----------
        is_change : bool
            False: the same rows as before, in other files.
        before : mapping or None
            Days that `before` is to return from now on.

        Raises
        ------
        ConflictError
            Another process committed first: nothing was changed, the table is
            refreshed.
        StoreError
            The log cannot be written.
        """
        version = self.version + 1
        actions = [self._remove_action(path, is_change) for path in removed]
        actions += [file.to_action(is_change) for file in added]
        if before:
            actions.append(self._metadata_action(before))
        try:
            with os_errors(self.root):
                log.write_entry(self.root, version, operation, actions)
        except StoreError as error:
            if isinstance(error.__cause__, FileExistsError):
                self.refresh()
                raise ConflictError(f"{self.root}: lost a race") from error
            raise
        self.refresh()
        if version % CHECKPOINT_ENTRIES == 0:
            log.write_checkpoint(self.root, version)

    def _metadata_action(self, before: Mapping[Change, datetime]) -> log.Action:
        """Return the entry that says before which day rows were changed, and how."""
        metadata = self._delta.metadata()
        configuration = dict(metadata.configuration)
        for name, day in before.items():
            known = self.before(name)
            latest = day if known is None else max(known, day)
            configuration[_BEFORE_KEYS[name]] = f"{latest:%Y-%m-%d}"
        if "daily" in before:
            settings = replace(self.settings, schema_version=SCHEMA_VERSION)
            configuration[_SETTINGS_KEY] = settings.to_json()
        changed = {
            "id": metadata.id,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": self._delta.schema().to_json(),
            "partitionColumns": metadata.partition_columns,
            "configuration": configuration,
            "createdTime": metadata.created_time,
        }
        return {"metaData": changed}

    def _remove_action(self, path: str, is_change: bool) -> log.Action:
        remove = {
            "path": path,
            "deletionTimestamp": time.time_ns() // 1_000_000,
            "dataChange": is_change,
            "extendedFileMetadata": True,
            "partitionValues": {PARTITION: _kind_of(path)},
        }
        return {"remove": remove}

    def sweep(self) -> list[Path]:
        """Remove what dead runs left, and replaced files; return which.

        Files that no commit names and no run holds, and those that were replaced so
        long ago that no reader can be at them.
        """
        with os_errors(self.root):
            # Whoever made a name may have died before it was on disk.
            sync(self.root.parent)
            sync(self.root)
            log.sync_names(self.root)
            self._names = None  # files that were replaced have grown older
            orphans = [path for path in self.unnamed() if self.may_remove(path)]
            return remove_orphans(orphans, self._named)

    def unnamed(self) -> list[Path]:
        """Return what lies beside the files that commits name."""
        named = self._named()
        return [path for path in self._found() if path not in named]

    def may_remove(self, path: Path) -> bool:
        """Return whether a file has a name that only fastflow gives."""
        return _OUR_NAMES.fullmatch(path.name) is not None

    def discard(self, files: Iterable[DataFile]) -> None:
        """Remove files that were not committed, unless a twin did that, or may yet."""
        with os_errors(self.root):
            remove_orphans([self.root / file.path for file in files], self._named)

    def _found(self) -> list[Path]:
        """Return the data files that lie in the store, and all temporaries."""
        tables = [path for kind in KINDS for path in self.directory(kind).glob("*")]
        hidden = [*self.root.glob(".*.tmp"), *(self.root / log.LOG).glob(".*.tmp")]
        return tables + hidden

    def directory(self, kind: str) -> Path:
        """Return where the files of one kind lie."""
        return self.root / f"{PARTITION}={kind}"

    def _named(self) -> set[Path]:
        """Return the files that commits name, those replaced lately included."""
        self.refresh()
        if self._names is None:
            active = {path for kind in KINDS for path in self.files(kind)}
            replaced = set(self._replaced(0)) - set(self._replaced(_GRACE_HOURS))
            self._names = {self.root / path for path in active | replaced}
        return self._names

    def _replaced(self, hours: int) -> list[str]:
        """Return the files that were taken out of the table so many hours ago."""
        try:
            return self._delta.vacuum(
                retention_hours=hours, dry_run=True, enforce_retention_duration=False
            )
        except DeltaError as error:
            raise StoreError(
                f"{self.root}: cannot read the store ({_one_line(error)}); {_CHECK}"
            ) from error


_OUR_NAMES = re.compile(
    r"\.[0-9a-f]{16}\.tmp|[0-9a-f]{32}-[0-9a-f]{16}\.parquet", re.ASCII
)
_CHECK = "check permissions and the disk, then run `fastflow store verify`"
_ID_RANGE = ("path", "min.input", "max.input")
_BY_TIME = ("min.hour", "path")
_SIZE = ("path", "num_records")


def _kind_of(path: str) -> str:
    return path.partition("/")[0].removeprefix(f"{PARTITION}=")


def _check_entries(root: Path) -> None:
    """Refuse a log that deltalake would read in part, or not at all."""
    since = log.newest_checkpoint(root) + 1
    for version, fault in log.faults(root, since).items():
        path = log.entry_path(root, version)
        if fault.is_torn:
            raise StoreError(
                f"{path}: an entry of the store's log is torn ({fault.text}): nobody "
                "was told that it was committed; the next `fastflow reduce` into this "
                f"store, or `fastflow store repair --store {root}`, sets it aside"
            )
        raise StoreError(
            f"{path}: an entry of the store's log is damaged ({fault.text}); "
            f"restore it from a copy, or run `fastflow store repair --store {root}`"
        )


def _first_actions(settings: Settings) -> list[log.Action]:
    """Return the actions that make a table, as deltalake writes them."""
    with tempfile.TemporaryDirectory() as scratch:
        DeltaTable.create(
            scratch,
            union_schema(),
            partition_by=[PARTITION],
            configuration={
                "delta.dataSkippingStatsColumns": "hour,sensor,proto,dst_port,input",
                _SETTINGS_KEY: settings.to_json(),
            },
            post_commithook_properties=_NO_HOOKS,
            raise_if_key_not_exists=False,
        )
        actions = log.read_entry(Path(scratch), 0)
    return [action for action in actions if "commitInfo" not in action]


def union_schema() -> pa.Schema:
    """Return the columns of all kinds; a kind's files leave out those of others."""
    columns: dict[str, Any] = {PARTITION: pa.field(PARTITION, pa.string(), False)}
    for schema in KINDS.values():
        for field in schema:
            columns.setdefault(field.name, field.with_nullable(True))
    return pa.schema(list(columns.values()))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
