"""The Delta log on a local disk: an entry is there whole and for good, or not at all.

deltalake shows an entry before it is durable, and reads one that is torn as an empty
commit. So entries are written here: hidden, flushed, then linked to their number, which
fails if another process has taken that. The last action is a mark that nothing is
missing. See the Delta transaction protocol, https://github.com/delta-io/delta.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from fastflow._version import __version__
from fastflow.store.durable import (
    NewFile,
    hash_of,
    make_directory,
    scratch_directory,
    set_aside,
    sync,
)

LOG = "_delta_log"
_APP = "fastflow"
_SUM = "blake3"
_FILE_ACTIONS = frozenset({"add", "remove", "metaData", "protocol"})
_ENTRY = re.compile(r"(\d{20})\.json", re.ASCII)
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.parquet", re.ASCII)

Action = Mapping[str, Any]


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
    now_ms = time.time_ns() // 1_000_000
    info = {
        "timestamp": now_ms,
        "operation": operation,
        "operationParameters": {},
        "engineInfo": f"{_APP}/{__version__}",
    }
    mark = {"appId": _APP, "version": version, "lastUpdated": now_ms}
    whole = ({"commitInfo": info}, *actions, {"txn": mark})
    first, rest = json.dumps(whole[0]), "".join(f"{json.dumps(a)}\n" for a in whole[1:])
    info[_SUM] = _checksum(first, rest)
    first = json.dumps({"commitInfo": info})
    make_directory(root / LOG)
    sync(root)  # another process may have made a directory there, and not flushed it
    path = entry_path(root, version)
    if path.exists():
        raise FileExistsError(path)
    with NewFile(path.parent) as new:
        with new.writing() as file:
            file.write(f"{first}\n{rest}".encode())
        new.link(path.name)


@dataclass(frozen=True)
class Fault:
    """What is wrong with an entry.

    Attributes
    ----------
    is_torn : bool
        Its end is missing, as after a power loss: nobody was told of the commit. If
        not, something in it has changed since.
    """

    is_torn: bool
    text: str


def fault_of(root: Path, version: int) -> Fault | None:
    """Return what is wrong with an entry, if anything is.

    Raises
    ------
    OSError
        It cannot be read.
    """
    data = entry_path(root, version).read_bytes()
    if not data.rstrip(b"\0\n"):
        return Fault(is_torn=True, text="it is empty")
    actions = [_parse(line) for line in data.splitlines()]
    if actions[-1] is None and not data.endswith(b"\n"):
        return Fault(is_torn=True, text="its end is missing")
    if None in actions:
        return Fault(is_torn=False, text=f"line {actions.index(None) + 1} is damaged")
    return _fault_of_ours([action or {} for action in actions], data)


def _fault_of_ours(actions: list[dict[str, Any]], data: bytes) -> Fault | None:
    """Compare an entry that fastflow wrote with its checksum, and look for its mark."""
    info = actions[0].pop("commitInfo", {})
    mark = actions[-1].get("txn", {})
    if mark.get("appId") != _APP and not _is_ours(info.get("engineInfo")):
        return None
    if _FILE_ACTIONS.issuperset(actions[-1]):
        return Fault(is_torn=True, text="its last lines are missing")
    expected = info.pop(_SUM, None)
    rest = data.decode().partition("\n")[2]
    if expected == _checksum(json.dumps({"commitInfo": info}), rest):
        return None
    return Fault(is_torn=False, text="its checksum is wrong")


def _is_ours(engine: object) -> bool:
    return isinstance(engine, str) and engine.startswith(f"{_APP}/")


def _checksum(info: str, rest: str) -> str:
    """Return a hash of an entry, in whose first line it does not stand yet."""
    return blake3(f"{info}\n{rest}".encode()).hexdigest(length=16)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        action = json.loads(line)
    except ValueError:
        return None
    return action if isinstance(action, dict) else None


def faults(root: Path, since: int = 0) -> dict[int, Fault]:
    """Return what is wrong with entries from a number on."""
    versions = [version for version in entry_versions(root) if version >= since]
    found = {version: fault_of(root, version) for version in versions}
    return {version: fault for version, fault in found.items() if fault}


def set_torn_end_aside(root: Path) -> Path | None:
    """Set a torn newest entry aside: nobody was told that it was committed."""
    versions = entry_versions(root)
    fault = fault_of(root, versions[-1]) if versions else None
    if fault is None or not fault.is_torn:
        return None
    return set_aside(root, entry_path(root, versions[-1]))


def replace_faulty(root: Path) -> list[Path]:
    """Set damaged entries and checkpoints aside; return where they lie now.

    Empty entries take the place of those that are needed: what they added has to be
    reduced again.

    Raises
    ------
    FileExistsError
        Another process commits at this moment.
    OSError
        They cannot be moved.
    """
    aside = []
    for path in faulty_checkpoints(root):
        aside.append(set_aside(root, path))
        _hash_path(path).unlink(missing_ok=True)
    first = newest_checkpoint(root)
    newest = max(entry_versions(root), default=0)
    for version, fault in faults(root).items():
        aside.append(set_aside(root, entry_path(root, version)))
        if version > first and not (fault.is_torn and version == newest):
            write_entry(root, version, "REPAIR", [])
    return aside


def read_entry(root: Path, version: int) -> list[dict[str, Any]]:
    """Return the actions of an entry that is whole."""
    text = entry_path(root, version).read_text()
    return [json.loads(line) for line in text.splitlines()]


def write_checkpoint(root: Path, version: int) -> None:
    """Write what all entries up to one add up to, so that fewer are read to open it.

    No commit depends on it: where it cannot be written, the next one is.
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
        for path in (hashed, made):
            path.replace(root / LOG / path.name)
        sync(root / LOG)


def faulty_checkpoints(root: Path) -> list[Path]:
    """Return the checkpoints that are not as they were written."""
    paths = [checkpoint_path(root, number) for number in _numbers(root, _CHECKPOINT)]
    return [path for path in paths if not _is_as_written(path)]


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
