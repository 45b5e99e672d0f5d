"""Where a store lies: what its table asks of a disk, or of a bucket.

Files have names here as the Delta log has them: relative, with `/`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from deltalake import DeltaTable
from deltalake.transaction import PostCommitHookProperties

from fastflow.store.durable import NewFile
from fastflow.store.entry import Action

#: Makes an empty Delta table at an address, with options for the storage there.
MakeTable = Callable[[str, Mapping[str, str]], None]

#: What deltalake must not do by itself after a commit: a torn checkpoint keeps a table
#: from opening, and deltalake never fsyncs one.
NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)

# The hash of the inputs' ids, that of the content, in a bucket a mark of its own.
_DATA_FILE = re.compile(
    r"[0-9a-f]{32}-([0-9a-f]{16})(?:\.[0-9a-f]{16})?\.parquet", re.ASCII
)
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp", re.ASCII)


def content_hash(name: str) -> str | None:
    """Return the hash that a data file's name says; None if it is no data file's."""
    match = _DATA_FILE.fullmatch(name.rpartition("/")[2])
    return match[1] if match else None


def is_ours(name: str) -> bool:
    """Return whether a file has a name that only fastflow gives."""
    last = name.rpartition("/")[2]
    return content_hash(name) is not None or _TEMPORARY.fullmatch(last) is not None


class Place(Protocol):
    """A directory or a bucket, and how a store is kept there."""

    def __str__(self) -> str:
        """Return what its user calls it."""

    def errors(self) -> AbstractContextManager[None]:
        """Turn what fails within the block into a `StoreError` with a remedy."""

    def exists(self) -> bool:
        """Return whether a Delta Lake table is there."""

    def prepare(self) -> None:
        """Put right what would keep a writer from opening the table."""

    def create(self, make: MakeTable) -> None:
        """Make the table; of two processes one makes it, and neither fails."""

    def open(self) -> DeltaTable:
        """Return the newest version of the table.

        Raises
        ------
        TableNotFoundError
            There is none.
        DeltaError, OSError, StoreError
            It cannot be read.
        """

    def update(self, delta: DeltaTable) -> bool:
        """Move to the newest version; return whether it is another one.

        Raises
        ------
        DeltaError, OSError, StoreError
            It cannot be read.
        """

    def settle(self) -> None:
        """Let what others have committed be there for good."""

    def commit(
        self, delta: DeltaTable, operation: str, actions: Sequence[Action]
    ) -> None:
        """Commit the version that follows; durable once it can be seen.

        Raises
        ------
        FileExistsError
            Another process has committed it; nothing was changed.
        StoreError
            It could not be committed, or whether it was is not known.
        """

    def newest_checkpoint(self) -> int:
        """Return the version of the newest checkpoint; -1: there is none.

        Raises
        ------
        StoreError
            It cannot be found out.
        """

    def checkpoint(self, delta: DeltaTable) -> None:
        """Write what all entries add up to, if that can be done; no commit needs it."""

    def log_faults(self) -> dict[str, str]:
        """Return the parts of the log that are damaged, and how."""

    def new_file(self, directory: str) -> NewFile:
        """Make a file that nobody sees before it is shown, for one of these."""

    def fetch(self, names: Iterable[str]) -> list[Path]:
        """Return where files with these names can be read on this machine.

        They can for as long as the place is in use.
        """

    def hash_of(self, name: str) -> str:
        """Return the hash of a file's content, as it is there now.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        OSError
            It cannot be read.
        """

    def found(self, directories: Iterable[str]) -> list[str]:
        """Return the files that lie in some directories, and all temporaries."""

    def is_held(self, name: str) -> bool:
        """Return whether a run that is alive may yet commit a file."""

    def remove_orphans(
        self, names: Iterable[str], are_named: Callable[[], set[str]]
    ) -> None:
        """Remove files that no run holds, and that no commit names when asked."""

    def discard(self, names: Iterable[str], are_named: Callable[[], set[str]]) -> None:
        """Remove files of a draft that was not committed, if nobody else's."""
