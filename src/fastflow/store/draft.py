"""The files of a commit to be: hidden while they are written, held until it is made."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, Self

from blake3 import blake3

from fastflow.store.durable import NewFile, hash_of
from fastflow.store.table import ConflictError, DataFile, Table


class Draft:
    """What one commit adds to the table and takes out of it.

    Used as a context: at its end the files are let go, and those that no commit names
    are removed.

    Attributes
    ----------
    removed : list of str
        Files that the commit takes out of the table.
    """

    def __init__(self, table: Table) -> None:
        self.removed: list[str] = []
        self._table = table
        self._shown: list[DataFile] = []
        self._held = ExitStack()
        self._is_committed = False

    def __enter__(self) -> Self:
        """Return the draft."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Let go of the files."""
        self._held.close()
        if not self._is_committed:
            self._table.discard(self._shown)

    def new_file(self, kind: str) -> NewFile:
        """Make a hidden file of a table."""
        with self._table.place.errors():
            new = self._table.place.new_file(self._table.directory(kind))
            return self._held.enter_context(new)

    def show(
        self, kind: str, new: NewFile, input_ids: Iterable[str], stats: str
    ) -> None:
        """Give a durable file its name, for good.

        The ids say which inputs; the content keeps a twin that was reduced with another
        country table from replacing a file that is already committed.
        """
        ids = blake3("\n".join(input_ids).encode()).hexdigest(length=16)
        with self._table.place.errors():
            name = new.show(f"{ids}-{hash_of(new.path)}.parquet")
            status = new.path.stat()
        self._shown.append(
            DataFile(
                kind=kind,
                path=f"{self._table.directory(kind)}/{name}",
                size_bytes=status.st_size,
                mtime_ms=status.st_mtime_ns // 1_000_000,
                stats=stats,
            )
        )

    def commit(self, operation: str = "WRITE", **how: Any) -> None:
        """Make the change, all of it at once.

        Parameters
        ----------
        how : keyword arguments
            Of `Table.commit`.

        Raises
        ------
        ConflictError
            Another process committed first; nothing was changed.
        StoreError
            The log cannot be written.
        """
        self._table.commit(self._shown, self.removed, operation, **how)
        self._is_committed = True

    def commit_if_active(self, operation: str, **how: Any) -> bool:
        """Make the change, unless another process has taken one of the files out.

        What was read of it must not come back: it may have been superseded. False then;
        nothing was changed, and the table shows what the other has committed.
        """
        while True:
            try:
                self.commit(operation, **how)
            except ConflictError:
                if not self._table.are_active(self.removed):
                    return False
            else:
                return True
