"""From what the user named to captures: files, directories, globs, stdin, fifos."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from fastflow.errors import ConfigError

STDIN = "-"


@dataclass(frozen=True)
class Found:
    """A capture to read.

    Attributes
    ----------
    path : str
        As the user will recognise it; `-` is stdin.
    is_named : bool
        Named by itself. A file met in a directory or through a glob may turn out to
        be no capture without anything being wrong.
    """

    path: str
    is_named: bool


class Captures(Iterable[Found]):
    """The captures that names stand for, each once, in a fixed order.

    Directories are searched whenever they are gone through: a million paths need not
    be held.

    Attributes
    ----------
    named : set of str
        Paths that were named by themselves.
    """

    def __init__(self, groups: list[Iterable[str]], named: Set[str]) -> None:
        self._groups = groups
        self.named = named

    def __iter__(self) -> Iterator[Found]:
        """Yield one capture after the other."""
        return (Found(path, path in self.named) for path in self.paths())

    def paths(self) -> Iterator[str]:
        """Yield the path of each."""
        if len(self._groups) == 1:
            return iter(self._groups[0])
        return iter(dict.fromkeys(chain.from_iterable(self._groups)))


def find_captures(names: Iterable[str | os.PathLike[str] | Found]) -> Captures:
    """Return every capture that the names stand for.

    Parameters
    ----------
    names : iterable of str, path or Found
        Files, directories (searched at every depth, hidden entries left out), globs
        (`**` at any depth), `-` for stdin; what was found before stays as it is.

    Raises
    ------
    ConfigError
        A name stands for nothing; the message says which.
    """
    if isinstance(names, Captures):
        return names
    groups: list[Iterable[str]] = []
    named: set[str] = set()
    found: Iterable[str]
    for name in names:
        if isinstance(name, Found):
            found, is_named = [name.path], name.is_named
        else:
            found, is_named = _expand(os.fspath(name))
        groups.append(found)
        if is_named:
            named.update(found)
    return Captures(groups, named)


def _expand(name: str) -> tuple[Iterable[str], bool]:
    """Return the captures that a name stands for, and whether it is that of one."""
    if name == STDIN:
        return [name], True
    if "://" in name:
        raise ConfigError(f"{name}: captures are read from local files; copy it first")
    if Path(name).is_dir():
        return _Tree(Path(name)), False
    if os.path.lexists(name):
        return [name], True
    if glob.has_magic(name):
        return _glob(name), False
    raise ConfigError(f"{name}: no such file or directory; check the name")


def _glob(pattern: str) -> list[str]:
    # Path.glob takes no absolute pattern.
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    if not matches:
        raise ConfigError(f"{pattern}: no file matches; quote a glob, or check it")
    return [match for match in matches if not os.path.isdir(match)]  # noqa: PTH112


class _Tree(Iterable[str]):
    """The files below a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __iter__(self) -> Iterator[str]:
        for parent, directories, files in os.walk(self._directory):
            directories[:] = sorted(d for d in directories if not d.startswith("."))
            # A path is made once for a directory, not for each of a million files.
            beginning = str(Path(parent) / "x")[:-1]
            for name in sorted(files):
                if not name.startswith("."):
                    yield beginning + name


def size_and_time(path: str) -> tuple[int | None, int | None]:
    """Return a regular file's size (bytes) and modification time (ns).

    Raises
    ------
    OSError
        It cannot be looked at.
    """
    if path == STDIN:
        return None, None
    found = os.stat(path)  # noqa: PTH116 - asked of a million files
    if not stat.S_ISREG(found.st_mode):
        return None, None
    return found.st_size, found.st_mtime_ns


def file_size(path: str) -> int:
    """Return a regular file's size (bytes); 0: anything else, or it is not there."""
    with suppress(OSError):
        return size_and_time(path)[0] or 0
    return 0


def printable(path: str) -> str:
    r"""Return a path as text that can be stored; bytes that are no UTF-8 as `\xff`."""
    if path.isascii():
        return path
    return os.fsencode(path).decode(errors="backslashreplace")
