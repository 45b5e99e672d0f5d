"""A store in a local directory: locks, fsync, and log entries of our own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from fastflow.errors import StoreError
from fastflow.store import durable, log
from fastflow.store.durable import NewFile, make_directory, os_errors, sync, sync_path
from fastflow.store.entry import Action
from fastflow.store.place import MakeTable


class Local:
    """A directory on a file system that has hard links and flock.

    See `fastflow.store.place.Place` for what the methods do.

    Attributes
    ----------
    root : pathlib.Path
        The directory; absolute.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        """Return the path."""
        return str(self.root)

    def errors(self) -> AbstractContextManager[None]:
        """Blame the disk."""
        return os_errors(self.root)

    def exists(self) -> bool:
        """Ask deltalake."""
        try:
            return DeltaTable.is_deltatable(self.root)
        except (DeltaError, OSError):
            return False

    def prepare(self) -> None:
        """Set a torn newest entry aside."""
        with self.errors():
            log.set_torn_end_aside(self.root)

    def create(self, make: MakeTable) -> None:
        """Write the first entry, of what deltalake would write there."""
        with tempfile.TemporaryDirectory() as scratch:
            make(scratch, {})
            first = log.read_entry(Path(scratch), 0)
        actions = [action for action in first if "commitInfo" not in action]
        with self.errors():
            self.root.mkdir(parents=True, exist_ok=True)
            sync_path(self.root)
            with suppress(FileExistsError):
                log.write_entry(self.root, 0, "CREATE TABLE", actions)

    def open(self) -> DeltaTable:
        """Open it, if all entries are whole."""
        self._check_entries(log.newest_checkpoint(self.root) + 1)
        return DeltaTable(self.root)

    def update(self, delta: DeltaTable) -> bool:
        """Look for an entry that follows."""
        # Entries are numbered without gaps. deltalake would list the whole log to find
        # that there is no next one: 10 ms at 300 entries, and this is asked often.
        if not log.entry_path(self.root, delta.version() + 1).exists():
            return False
        self._check_entries(delta.version() + 1)
        delta.update_incremental()
        return True

    def _check_entries(self, since: int) -> None:
        """Refuse entries, from one on, that deltalake would read in part or not."""
        for version, fault in log.faults(self.root, since).items():
            path = log.entry_path(self.root, version)
            if fault.is_torn:
                raise StoreError(
                    f"{path}: an entry of the store's log is torn ({fault.text}): "
                    "nobody was told that it was committed; the next `fastflow reduce` "
                    f"into this store, or `fastflow store repair --store {self}`, sets "
                    "it aside"
                )
            raise StoreError(
                f"{path}: an entry of the store's log is damaged ({fault.text}); "
                f"restore it from a copy, or run `fastflow store repair --store {self}`"
            )

    def settle(self) -> None:
        """Flush the names of all entries to disk."""
        sync(self.root / log.LOG)

    def commit(
        self, delta: DeltaTable, operation: str, actions: Sequence[Action]
    ) -> None:
        """Write the entry that follows."""
        try:
            with self.errors():
                log.write_entry(self.root, delta.version() + 1, operation, actions)
        except StoreError as error:
            if isinstance(error.__cause__, FileExistsError):
                raise error.__cause__ from None
            raise

    def newest_checkpoint(self) -> int:
        """List the log."""
        return log.newest_checkpoint(self.root)

    def checkpoint(self, delta: DeltaTable) -> None:
        """Write a durable one."""
        log.write_checkpoint(self.root, delta.version())

    def log_faults(self) -> dict[str, str]:
        """Read all of the log."""
        faults = {
            log.entry_path(self.root, number): f"{fault.text}; {self._outlook(number)}"
            for number, fault in log.faults(self.root).items()
        }
        for version in log.lost(self.root):
            path = log.entry_path(self.root, version)
            faults[path] = "lost, and the repair of the store did not come to its end"
        for number in log.faulty_checkpoints(self.root):
            faults[log.checkpoint_path(self.root, number)] = "not as it was written"
        return {self._name(path): text for path, text in faults.items()}

    def _outlook(self, version: int) -> str:
        """Return what a repair will make of a damaged entry."""
        if log.restored(self.root, version) is not None:
            return "it says the same twice, and is restored from that"
        return "what it said is lost"

    def new_file(self, directory: str) -> NewFile:
        """Make it under a hidden name, locked."""
        make_directory(self.root / directory)
        return NewFile(self.root / directory)

    def fetch(self, names: Iterable[str]) -> list[Path]:
        """Return where they lie."""
        return [self.root / name for name in names]

    def hash_of(self, name: str) -> str:
        """Read the file."""
        return durable.hash_of(self.root / name)

    def found(self, directories: Iterable[str]) -> list[str]:
        """List the directories."""
        data = [path for name in directories for path in (self.root / name).glob("*")]
        others = (self.root, self.root / log.LOG, self.root / durable.ASIDE)
        hidden = [path for one in others for path in one.glob(".*.tmp")]
        return [self._name(path) for path in data + hidden]

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root))

    def is_held(self, name: str) -> bool:
        """Return whether a process has locked it."""
        return durable.is_held(self.root / name)

    def remove_orphans(
        self, names: Iterable[str], are_named: Callable[[], set[str]]
    ) -> None:
        """Remove what nobody has locked; what commits name is on disk before."""
        for directory in (self.root.parent, self.root, self.root / log.LOG):
            sync(directory)  # should who made a name have died before
        self.discard(names, are_named)

    def discard(self, names: Iterable[str], are_named: Callable[[], set[str]]) -> None:
        """Remove them, unless a twin has committed or locked them."""
        self._remove(names, are_named, None)

    def set_orphans_aside(
        self, names: Iterable[str], are_named: Callable[[], set[str]]
    ) -> list[Path]:
        """Set files aside that no run holds and no commit names; return where to."""
        aside: list[Path] = []
        self._remove(names, are_named, lambda path: aside.append(self.set_aside(path)))
        return aside

    def set_aside(self, path: Path) -> Path:
        """Set a file aside; return where it lies now."""
        return durable.set_aside(self.root, path)

    def read_aside(self, name: str) -> bytes | None:
        """Return what was written down; None: nothing was."""
        return durable.read_aside(self.root, name)

    def write_aside(self, name: str, data: bytes) -> None:
        """Write down what the next repair must know."""
        durable.write_aside(self.root, name, data)

    def _remove(
        self,
        names: Iterable[str],
        are_named: Callable[[], set[str]],
        remove: Callable[[Path], object] | None,
    ) -> None:
        durable.remove_orphans(
            [self.root / name for name in names],
            lambda: {self.root / name for name in are_named()},
            remove,
        )
