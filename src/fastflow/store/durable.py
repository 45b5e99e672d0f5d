"""Writing to disk so that it is there after a power loss."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fastflow.errors import StoreError


@contextmanager
def os_errors(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal into a `StoreError` with a remedy."""
    try:
        yield
    except OSError as error:
        what = error.strerror or str(error)
        raise StoreError(
            f"{error.filename or path}: cannot write to the store ({what}); "
            f"check permissions and free space of {path}"
        ) from error


@contextmanager
def hidden_path(directory: Path) -> Iterator[Path]:
    """Yield the name of a new file that is gone when the block ends, unless renamed.

    It begins with a point, so that Delta readers and vacuums pass over the file.
    """
    path = directory / f".{secrets.token_hex(8)}.tmp"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def durable_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file for writing that is on disk when the block ends.

    After an error, of fsync too, the file is to be thrown away: what the kernel kept
    of it is unknown.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, no path
        yield file
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Flush a file, or the names in a directory, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Make a directory whose name survives a power loss."""
    if not path.is_dir():
        path.mkdir(exist_ok=True)
        sync(path.parent)
