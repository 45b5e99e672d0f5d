"""The Delta Lake table that a store is: its versions, its files, its commits."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Literal, Self, get_args

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError

from fastflow.errors import StoreError
from fastflow.schema import INPUTS, ROW_TABLES
from fastflow.store.entry import Action
from fastflow.store.place import NO_HOOKS, Place, is_ours
from fastflow.store.settings import NEEDED_VERSIONS, SCHEMA_VERSION, Settings

#: The tables of a store, by the value of the partition column.
KINDS = {**ROW_TABLES, "inputs": INPUTS}
PARTITION = "table"

#: What became of rows of hours before a day.
Change = Literal["expired", "daily"]
CHANGES: tuple[Change, ...] = get_args(Change)

_SETTINGS_KEY = "fastflow.settings"
_BEFORE_KEYS: dict[Change, str] = {
    "expired": "fastflow.expired_before",
    "daily": "fastflow.daily_before",
}
#: Opening a table reads every entry behind its newest checkpoint: some 20 ms for these.
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

    def to_action(self, is_change: bool = True) -> Action:
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
        self._names: set[str] | None = None
        self._checkpoint = 0

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
                f"{place}: cannot open the store ({_one_line(error)}); {_CHECK}"
            ) from error
        return cls(place, delta, _settings_of(place, delta))

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
        """Take in what was committed since; return whether there was anything.

        Raises
        ------
        StoreError
            It cannot be read, or is of a newer fastflow now.
        """
        try:
            if self.place.update(self._delta):
                self._files = self._names = None
                self.settings = _settings_of(self.place, self._delta)
                return True
        except (DeltaError, OSError) as error:
            raise StoreError(
                f"{self.place}: cannot read the store ({_one_line(error)}); {_CHECK}"
            ) from error
        return False

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

    def id_ranges(self, paths: Collection[str]) -> list[tuple[str, str]]:
        """Return the first and last input that active files may have rows of."""
        files = self._active()
        if "min.input" not in files.column_names:
            return []
        rows = zip(*(files[name].to_pylist() for name in _ID_RANGE), strict=True)
        return [(low, high) for path, low, high in rows if path in paths]

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
        actions = [self._remove_action(path, is_change) for path in removed]
        actions += [file.to_action(is_change) for file in added]
        before = before or {}
        lacking = self._lacking_fields() if added else []
        version = self._needed_version([*before, *(file.kind for file in added)])
        if before or lacking or version > self.settings.schema_version:
            actions.append(self._metadata_action(before, lacking, version))
        try:
            self.place.commit(self._delta, operation, actions)
        except FileExistsError as error:
            self.refresh()
            raise ConflictError(f"{self.place}: lost a race") from error
        self.refresh()

    def checkpoint(self) -> None:
        """Write what all commits add up to, if many have come since the last time.

        It takes the longer the more files there are: to be called when nobody waits to
        hear that something is committed. Any process makes up for another one.
        """
        if self.version - self._checkpoint >= CHECKPOINT_ENTRIES:
            self._checkpoint = max(self.place.newest_checkpoint(), 0)
        if self.version - self._checkpoint >= CHECKPOINT_ENTRIES:
            self.place.checkpoint(self._delta)
            self._checkpoint = self.version  # or it is tried again after as many

    def _lacking_fields(self) -> list[dict[str, Any]]:
        """Return the columns of new files that the table's schema does not have yet.

        An older fastflow made it; other readers of Delta Lake would not show them.
        """
        known = {field.name for field in self._delta.schema().fields}
        return [field for field in _FIELDS if field["name"] not in known]

    def _needed_version(self, gained: Iterable[str]) -> int:
        """Return the schema version of the table when it has gained some things.

        Also of those that it has: the entry that raised the version may be lost.
        """
        version = self.settings.schema_version
        if version == SCHEMA_VERSION:
            return version
        has = {*gained, *self._active()[f"partition.{PARTITION}"].unique().to_pylist()}
        needed = [needed for name, needed in NEEDED_VERSIONS.items() if name in has]
        return max([version, *needed])

    def _metadata_action(
        self,
        before: Mapping[Change, datetime],
        lacking: Sequence[Mapping[str, Any]],
        version: int,
    ) -> Action:
        """Return the entry that changes what the table says of itself.

        Parameters
        ----------
        before : mapping
            Before which day rows were changed, and how.
        lacking : sequence of mappings
            Columns that the table gains.
        version : int
            The schema version that it has from now on.
        """
        schema = json.loads(self._delta.schema().to_json())
        schema["fields"] += lacking
        metadata = self._delta.metadata()
        configuration = dict(metadata.configuration)
        for name, day in before.items():
            known = self.before(name)
            latest = day if known is None else max(known, day)
            configuration[_BEFORE_KEYS[name]] = f"{latest:%Y-%m-%d}"
        if version > self.settings.schema_version:
            settings = replace(self.settings, schema_version=version)
            configuration[_SETTINGS_KEY] = settings.to_json()
        named = {"name": metadata.name, "description": metadata.description}
        changed = {
            "id": metadata.id,
            **{key: text for key, text in named.items() if text is not None},
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps(schema),
            "partitionColumns": metadata.partition_columns,
            "configuration": configuration,
            "createdTime": metadata.created_time,
        }
        return {"metaData": changed}

    def _remove_action(self, path: str, is_change: bool) -> Action:
        remove = {
            "path": path,
            "deletionTimestamp": time.time_ns() // 1_000_000,
            "dataChange": is_change,
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
            self._names = None  # files that were replaced have grown older
            orphans = [name for name in self.unnamed() if is_ours(name)]
            self.place.remove_orphans(orphans, self.named)

    def unnamed(self) -> list[str]:
        """Return what lies beside the files that commits name."""
        named = self.named()
        found = self.place.found([self.directory(kind) for kind in KINDS])
        return [name for name in found if name not in named]

    def discard(self, files: Iterable[DataFile]) -> None:
        """Remove files that were not committed, unless a twin did that, or may yet."""
        with self.place.errors():
            self.place.discard([file.path for file in files], self.named)

    def directory(self, kind: str) -> str:
        """Return where the files of one kind lie."""
        return f"{PARTITION}={kind}"

    def named(self) -> set[str]:
        """Return the files that commits name, those replaced lately included."""
        self.refresh()
        if self._names is None:
            active = {path for kind in KINDS for path in self.files(kind)}
            replaced = set(self._replaced(0)) - set(self._replaced(_GRACE_HOURS))
            self._names = active | replaced
        return self._names

    def _replaced(self, hours: int) -> list[str]:
        """Return the files that were taken out of the table so many hours ago."""
        try:
            return self._delta.vacuum(
                retention_hours=hours, dry_run=True, enforce_retention_duration=False
            )
        except DeltaError as error:
            raise StoreError(
                f"{self.place}: cannot read the store ({_one_line(error)}); {_CHECK}"
            ) from error


_CHECK = "check permissions and the disk, then run `fastflow store verify`"
_ID_RANGE = ("path", "min.input", "max.input")
_BY_TIME = ("min.hour", "path")
_SIZE = ("path", "num_records")


def _settings_of(place: Place, delta: DeltaTable) -> Settings:
    """Return what a table says that it was made with."""
    text = delta.metadata().configuration.get(_SETTINGS_KEY)
    if text is None:
        raise StoreError(
            f"{place}: a Delta Lake table, but not one of fastflow; "
            "name another directory"
        )
    return Settings.from_json(text, str(place))


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


#: The columns as the Delta log has them.
_FIELDS: list[dict[str, Any]] = json.loads(Schema.from_arrow(union_schema()).to_json())[
    "fields"
]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
