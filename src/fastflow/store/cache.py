"""Copies of a bucket's files on this machine, so that they are fetched once.

DuckDB would read a file in a bucket in many small requests, one after the other, and
needs an extension for it, which is a download. A data file never changes, and its name
tells its content: a copy is verified when it is made, and serves for good.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from fastflow.errors import StoreError
from fastflow.store.durable import (
    NewFile,
    hash_of,
    os_errors,
    remove_orphans,
    scratch_directory,
)
from fastflow.store.place import content_hash

#: What copies may take of the disk, beside those in use: the ones used last stay.
MAX_BYTES = 10 << 30

#: Files that are fetched at a time: a request is mostly waiting.
_AT_A_TIME = 16

#: A temporary of this age (seconds) has been locked, if it is anybody's.
_SETTLED_S = 3600

#: Writes the content of a file of that name.
Download = Callable[[str, BinaryIO], None]


class Cache:
    """Copies that all processes share, and links to those that this one uses.

    The links are in a directory of its own, which ends with the object. Hence a copy
    may be removed from what is shared at any time, and whoever reads it goes on.

    Parameters
    ----------
    directory : pathlib.Path
        Where they lie; made if it does not exist.

    Attributes
    ----------
    own : pathlib.Path
        The directory of this object.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        held = ExitStack()
        with os_errors(directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.own = held.enter_context(scratch_directory(directory))
        weakref.finalize(self, held.close)

    def fetch(self, names: Iterable[str], download: Download) -> list[Path]:
        """Return where copies of files lie; download what is not there.

        Raises
        ------
        StoreError
            A file is not what its name says, or the disk is full.
        """
        with os_errors(self._directory), ThreadPoolExecutor(_AT_A_TIME) as pool:
            jobs = [pool.submit(self._fetch, name, download) for name in names]
            try:
                fetched = [job.result() for job in jobs]
            finally:
                pool.shutdown(cancel_futures=True)  # where one fails, the next would
            if any(is_new for _, is_new in fetched):
                self._trim()
        return [path for path, _ in fetched]

    def _fetch(self, name: str, download: Download) -> tuple[Path, bool]:
        """Return where a copy lies, and whether it was downloaded now."""
        last = name.rpartition("/")[2]
        shared, own = self._directory / last, self.own / last
        if own.exists():
            return own, False
        try:
            os.link(shared, own)
        except FileNotFoundError:
            self._download(name, shared, own, download)
            return own, True
        os.utime(own)
        return own, False

    def _download(self, name: str, shared: Path, own: Path, download: Download) -> None:
        with NewFile(self._directory) as new:
            with new.writing() as file:
                download(name, file)
            if hash_of(new.path) != content_hash(name):
                raise StoreError(
                    f"{name}: this file of the store is damaged; "
                    "`fastflow store verify` says which captures it came from"
                )
            new.show(shared.name)
            os.link(new.path, own)

    def _trim(self) -> None:
        """Remove what processes that died have left, and what is too much."""
        now = time.time()
        copies = []
        for path in self._directory.iterdir():
            status = path.stat()
            if not path.name.startswith("."):
                copies.append((status.st_mtime, status.st_size, path))
            elif status.st_mtime < now - _SETTLED_S:
                remove_orphans([path])
        surplus = sum(n_bytes for _, n_bytes, _ in copies) - MAX_BYTES
        for _, n_bytes, path in sorted(copies):
            if surplus <= 0:
                break
            remove_orphans([path])
            surplus -= n_bytes
