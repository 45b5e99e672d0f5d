"""The Delta log on a local disk: an entry is there whole and for good, or not at all.

deltalake shows an entry before it is durable, and reads one that is torn as an empty
commit. So entries are written here: hidden, flushed, then linked to their number, which
fails if another process has taken that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from fastflow.errors import StoreError
from fastflow.store import entry
from fastflow.store.durable import (
    NewFile,
    hash_of,
    keep_aside,
    make_directory,
    scratch_directory,
    set_aside,
    sync,
)
from fastflow.store.entry import Action, Fault

LOG = "_delta_log"
_ENTRY = re.compile(r"(\d{20})\.json", re.ASCII)
_MARK = entry.LOST.encode()
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.parquet", re.ASCII)


def entry_path(root: Path, version: int) -> Path:
    """Return where the entry of a commit lies."""
    return root / LOG / f"{version:020}.json"


def entry_versions(root: Path) -> list[int]:
    """Return the numbers of all entries, ascending."""
    return _numbers(root, _ENTRY)


def newest_checkpoint(root: Path) -> int:
    """Return the number of the newest checkpoint; -1: there is none."""
    return max(_numbers(root, _CHECKPOINT), default=-1)


def _numbers(root: Path, name: re.Pattern[str]) -> list[int]:
    try:
        names = [path.name for path in (root / LOG).iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(match[1]) for match in map(name.fullmatch, names) if match)


def write_entry(
    root: Path, version: int, operation: str, actions: Iterable[Action]
) -> None:
    """Commit: write an entry that is durable once it can be seen.

    Raises
    ------
    FileExistsError
        Another process has this number; nothing was committed.
    OSError
        The entry cannot be written.
    """
    make_directory(root / LOG)
    sync(root)  # another process may have made a directory there, and not flushed it
    path = entry_path(root, version)
    if path.exists():
        raise FileExistsError(path)
    with _new_entry(root, entry.encode(version, operation, actions)) as new:
        new.link(path.name)


@contextmanager
def _new_entry(root: Path, data: bytes) -> Iterator[NewFile]:
    """Make a durable entry that has no number yet."""
    with NewFile(root / LOG) as new:
        with new.writing() as file:
            file.write(data)
        yield new


def fault_of(root: Path, version: int) -> Fault | None:
    """Return what is wrong with an entry, if anything is.

    Raises
    ------
    OSError
        It cannot be read.
    """
    try:
        return entry.fault_in(entry_path(root, version).read_bytes())
    except FileNotFoundError:
        return Fault(is_torn=False, text="it is missing")


def restored(root: Path, version: int) -> bytes | None:
    """Return a damaged entry as it was; None: it is lost, or missing."""
    path = entry_path(root, version)
    return entry.restored(path.read_bytes()) if path.exists() else None


def faults(root: Path, since: int = 0, base: int | None = None) -> dict[int, Fault]:
    """Return what is wrong with entries from a number on, and which are missing.

    Those up to the checkpoint `base` (None: the newest) are not needed to open the
    table, and may be missing.
    """
    versions = entry_versions(root)
    base = newest_checkpoint(root) if base is None else base
    needed = range(base + 1, max(versions, default=-1) + 1)
    wanted = sorted(v for v in {*versions, *needed} if v >= since)
    found = {version: fault_of(root, version) for version in wanted}
    return {version: fault for version, fault in found.items() if fault}


def set_torn_end_aside(root: Path) -> Path | None:
    """Set a torn newest entry aside: nobody was told that it was committed."""
    versions = entry_versions(root)
    fault = fault_of(root, versions[-1]) if versions else None
    if fault is None or not fault.is_torn:
        return None
    return set_aside(root, entry_path(root, versions[-1]))


def lost(root: Path) -> list[int]:
    """Return the empty entries in place of lost ones, until `settle_lost`."""
    paths = {version: entry_path(root, version) for version in entry_versions(root)}
    return [
        version
        for version, path in paths.items()
        if _MARK in (data := path.read_bytes())
        and entry.fault_in(data) is None
        and entry.operation_in(data) == entry.LOST
    ]


def settle_lost(root: Path) -> None:
    """Note that what lost entries have left is in order."""
    for version in lost(root):
        with _new_entry(root, entry.encode(version, entry.REPAIR, [])) as new:
            new.replace(entry_path(root, version).name)


@dataclass
class Mending:
    """What became of damaged parts of a log.

    Attributes
    ----------
    aside : list of pathlib.Path
        Where they lie now.
    restored : list of pathlib.Path
        Entries that are again as they were.
    """

    aside: list[Path] = field(default_factory=list)
    restored: list[Path] = field(default_factory=list)


def mend(root: Path) -> Mending:
    """Put the log right, as far as the entries themselves tell how.

    What is damaged is set aside. An entry of which nothing can be told becomes an empty
    one, if it is needed (`lost`): what it added has to be reduced again. There is never
    a gap, whenever this ends.

    Raises
    ------
    StoreError
        The first entry is lost, which says how the store was made; nothing was changed.
    OSError
        Something cannot be written.
    """
    done = Mending()
    damaged = faulty_checkpoints(root)
    base = max(set(_numbers(root, _CHECKPOINT)) - {*damaged}, default=-1)
    newest = max(entry_versions(root), default=-1)
    for version, fault in faults(root, base=base).items():
        path = entry_path(root, version)
        if (whole := restored(root, version)) is not None:
            done.aside += _replace(root, path, whole)
            done.restored.append(path)
        elif version <= base or (fault.is_torn and version == newest):
            done.aside.append(set_aside(root, path))
        elif version == 0:
            raise StoreError(
                f"{path}: this entry of the store's log is lost, and says how the "
                "store was made; restore it from a copy, or reduce the captures into "
                "a new store"
            )
        else:
            done.aside += _replace(root, path, entry.encode(version, entry.LOST, []))
    for number in damaged:
        path = checkpoint_path(root, number)
        done.aside.append(set_aside(root, path))
        _hash_path(path).unlink(missing_ok=True)
    return done


def _replace(root: Path, path: Path, data: bytes) -> list[Path]:
    """Write an entry in place of a damaged one, if that is there; keep this aside."""
    with _new_entry(root, data) as new:
        if path.exists():
            aside = keep_aside(root, path)
            new.replace(path.name)
            return [aside]
        with suppress(FileExistsError):
            new.link(path.name)  # or a process that is alive has filled the gap
        return []


def read_entry(root: Path, version: int) -> list[dict[str, Any]]:
    """Return the actions of an entry that is whole."""
    return entry.actions_in(entry_path(root, version).read_bytes())


def write_checkpoint(root: Path, version: int) -> None:
    """Write what all entries up to one add up to, so that fewer are read to open it.

    No commit depends on it: where it cannot be written, a later one is.
    """
    with suppress(OSError, DeltaError), scratch_directory(root) as scratch:
        (scratch / LOG).mkdir()
        first = newest_checkpoint(root)
        for path in (root / LOG).iterdir():
            match = _ENTRY.fullmatch(path.name) or _CHECKPOINT.fullmatch(path.name)
            if match and first <= int(match[1]) <= version:
                os.link(path, scratch / LOG / path.name)
        DeltaTable(scratch, version=version).create_checkpoint()
        made = scratch / LOG / checkpoint_path(root, version).name
        sync(made)
        # deltalake writes no checksums; this is what `faulty_checkpoints` compares.
        hashed = scratch / _hash_path(made).name
        hashed.write_text(hash_of(made))
        sync(hashed)
        # Who gives the hash its name writes this checkpoint, and nobody else: two that
        # say the same may differ in their bytes.
        for path in (hashed, made):
            os.link(path, root / LOG / path.name)
        sync(root / LOG)


def faulty_checkpoints(root: Path) -> list[int]:
    """Return the numbers of the checkpoints that are not as they were written."""
    numbers = _numbers(root, _CHECKPOINT)
    return [n for n in numbers if not _is_as_written(checkpoint_path(root, n))]


def _is_as_written(path: Path) -> bool:
    try:
        return _hash_path(path).read_text() == hash_of(path)
    except (OSError, UnicodeDecodeError):
        return False


def checkpoint_path(root: Path, version: int) -> Path:
    """Return where the checkpoint of a version lies."""
    return root / LOG / f"{version:020}.checkpoint.parquet"


def _hash_path(checkpoint: Path) -> Path:
    return checkpoint.with_name(f".{checkpoint.name}.blake3")
