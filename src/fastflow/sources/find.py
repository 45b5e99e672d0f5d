"""From what the user named to captures: files, directories, globs, stdin, fifos."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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


def find_captures(names: Iterable[str | os.PathLike[str] | Found]) -> list[Found]:
    """Return every capture that the names stand for, each once, in a fixed order.

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
    found: dict[str, Found] = {}
    for name in names:
        for capture in [name] if isinstance(name, Found) else _expand(os.fspath(name)):
            known = found.get(capture.path)
            if known is None or (capture.is_named and not known.is_named):
                found[capture.path] = capture
    return list(found.values())


def _expand(name: str) -> Iterator[Found]:
    if name == STDIN:
        yield Found(name, is_named=True)
    elif "://" in name:
        raise ConfigError(f"{name}: captures are read from local files; copy it first")
    elif Path(name).is_dir():
        yield from (Found(path, is_named=False) for path in _files_below(Path(name)))
    elif os.path.lexists(name):
        yield Found(name, is_named=True)
    elif glob.has_magic(name):
        yield from _glob(name)
    else:
        raise ConfigError(f"{name}: no such file or directory; check the name")


def _glob(pattern: str) -> Iterator[Found]:
    # Path.glob takes no absolute pattern.
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    if not matches:
        raise ConfigError(f"{pattern}: no file matches; quote a glob, or check it")
    for match in matches:
        if Path(match).is_dir():
            continue
        yield Found(match, is_named=False)


def _files_below(directory: Path) -> Iterator[str]:
    for parent, directories, files in os.walk(directory):
        directories[:] = sorted(d for d in directories if not d.startswith("."))
        # A path is made once for a directory, not for each of a million files.
        beginning = str(Path(parent) / "x")[:-1]
        for name in sorted(files):
            if not name.startswith("."):
                yield beginning + name
