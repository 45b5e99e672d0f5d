"""The shim's other half: what it is told, what it tells, how it is compiled."""

from __future__ import annotations

import errno
import shutil
import struct
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

import pytest

from harness import CC, IS_SANITIZED

NEEDS_SHIM = [
    pytest.mark.skipif(shutil.which(CC[0]) is None, reason="no C compiler"),
    pytest.mark.skipif(IS_SANITIZED, reason="ASan has its own malloc, and is slow"),
]


class Kind(IntEnum):
    """What a call does; the order is that of shim.c."""

    OPEN_WRITE = 0
    OPEN_READ = 1
    WRITE = 2
    FSYNC = 3
    TRUNCATE = 4
    RENAME = 5
    LINK = 6
    UNLINK = 7
    MKDIR = 8
    RMDIR = 9
    CLOSE = 10


class Mode(IntEnum):
    """What happens at the chosen call; the order is that of shim.c."""

    OFF = 0
    RECORD = 1
    KILL_BEFORE = 2
    KILL_AFTER = 3
    KILL_WITHIN = 4
    FAIL_ONCE = 5
    FAIL_FROM = 6
    CUT = 7


#: Calls after which the disk is another, or surely holds what it should.
CHANGES = frozenset(Kind) - {Kind.OPEN_READ, Kind.CLOSE}
#: Calls that want room on the disk.
GROWTH = frozenset({Kind.OPEN_WRITE, Kind.WRITE, Kind.RENAME, Kind.LINK, Kind.MKDIR})
#: Calls that a read-only file system refuses.
WRITING = CHANGES - {Kind.WRITE, Kind.FSYNC, Kind.TRUNCATE}


@dataclass(frozen=True)
class Plan:
    """At the `n`-th call (from 1) of these kinds, `mode` happens."""

    mode: Mode = Mode.RECORD
    n: int = 0
    kinds: frozenset[Kind] = CHANGES
    error: int = 0

    @property
    def kinds_mask(self) -> int:
        return sum(1 << kind for kind in self.kinds)

    def __str__(self) -> str:
        error = f" {errno.errorcode[self.error]}" if self.error else ""
        return f"{self.mode.name.lower()}{error} at call {self.n}"


_ENTRY = struct.Struct("<iiqqqQIIQ")


@dataclass(frozen=True)
class Call:
    """One call as the log has it."""

    kind: Kind
    path: Path
    other: Path | None
    result: int
    error: int
    offset: int
    flags: int
    inode: int
    data: bytes = field(repr=False)

    def __str__(self) -> str:
        names = (
            self.path.name
            if self.other is None
            else f"{self.path.name} {self.other.name}"
        )
        failed = f" {errno.errorcode.get(self.error)}" if self.error else ""
        size = f" {len(self.data)} bytes" if self.kind is Kind.WRITE else ""
        return f"{self.kind.name.lower()} {names}{size}{failed}"


def read_log(path: Path) -> list[Call]:
    """Return the calls in the order in which they were made."""
    return list(_entries(path.read_bytes())) if path.exists() else []


def _entries(log: bytes) -> Iterator[Call]:
    at = 0
    while at + _ENTRY.size <= len(log):
        kind, error, result, offset, flags, inode, *sizes = _ENTRY.unpack_from(log, at)
        at += _ENTRY.size
        parts = []
        for size in sizes:
            parts.append(log[at : at + size])
            at += size
        if at > len(log):
            return  # killed from outside while it was written
        name, other, data = parts
        yield Call(
            Kind(kind),
            Path(name.decode()),
            Path(other.decode()) if other else None,
            result,
            error,
            offset,
            flags,
            inode,
            data,
        )


def counted(calls: Iterable[Call], kinds: frozenset[Kind] = CHANGES) -> list[Call]:
    """Return the calls that a plan for these kinds counts."""
    return [call for call in calls if call.kind in kinds]


def compile_shim(directory: Path) -> Path:
    """Compile shim.c; the caller preloads what comes of it."""
    out = directory / "shim.so"
    source = Path(__file__).with_name("shim.c")
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    done = subprocess.run(
        [*CC, *flags, "-o", out, source, "-lpthread"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return out
