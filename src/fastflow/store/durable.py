"""Writing to disk so that it is there after a power loss, or not at all.

A file is made under a hidden name and locked (flock), shared, by whoever may yet commit
it; the lock follows it to its name for good, and ends with the process. A file that no
commit names and nobody holds is an orphan, which anybody may remove. Adopting a file
and removing one exclude each other by the lock.
"""

from __future__ import annotations

import errno
import fcntl
import filecmp
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

from blake3 import blake3

from fastflow.errors import StoreError

#: Where damaged parts are kept. Readers of Delta Lake pass over such a name.
ASIDE = "_aside"

#: Files that are locked at a time before they are removed.
_SWEPT_FILES = 100

#: Bytes of a file that are read back at a time, for its hash.
_HASHED_BYTES = 1 << 20


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


class NewFile:
    """A new file, held until the block ends; gone then, unless it was given a name.

    Its first name begins with a point, so that Delta readers pass over it. After an
    error, of fsync too, it is to be thrown away: what the kernel kept is unknown.

    Attributes
    ----------
    path : pathlib.Path
        Where it lies now.
    """

    def __init__(self, directory: Path) -> None:
        self.path, self._descriptor = _create_held(directory)
        self._hidden = self.path

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Let go of it."""
        # What had to be on disk has been flushed; a name that stays is swept one day.
        with suppress(OSError):
            os.close(self._descriptor)
        with suppress(OSError):
            self._hidden.unlink(missing_ok=True)

    @contextmanager
    def writing(self) -> Iterator[BinaryIO]:
        """Open it for writing; what was written is on disk when the block ends."""
        with open(self._descriptor, "wb", closefd=False) as file:
            yield file
            file.flush()
            os.fsync(self._descriptor)

    def link(self, name: str) -> None:
        """Give it a name that nobody has taken, for good.

        Raises
        ------
        FileExistsError
            Somebody has.
        """
        named = self.path.with_name(name)
        try:
            os.link(self.path, named)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise OSError(error.errno, _NO_LINKS, str(named)) from error
            raise
        self.path.unlink()
        self.path = named
        sync(named.parent)

    def replace(self, name: str) -> None:
        """Give it the name of another file, which has lost that then."""
        named = self.path.with_name(name)
        self.path.replace(named)
        self.path = named
        sync(named.parent)

    def show(self, name: str) -> str:
        """Give it a name that its content has earned; return which it has now.

        An equal file may have it already.
        """
        named = self.path.with_name(name)
        while not self._adopt(named):
            with suppress(FileExistsError):
                self.link(name)
                return name
        sync(named.parent)
        return name

    def _adopt(self, named: Path) -> bool:
        """Hold the file of that name instead, if there is one and it is equal."""
        try:
            descriptor = os.open(named, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if not _is_at(descriptor, named):
                return False
            if not filecmp.cmp(self.path, named, shallow=False):
                # Damaged, or its name would be another. Whoever held it would have
                # found that as well.
                self.path.replace(named)
            else:
                self.path.unlink()
                self._descriptor, descriptor = descriptor, self._descriptor
            self.path = named
        finally:
            os.close(descriptor)
        return True


_NO_LINKS = (
    "this file system has no hard links, which make a commit whole; "
    "choose a directory on another one"
)


def _create_held(directory: Path) -> tuple[Path, int]:
    while True:
        path = directory / f".{secrets.token_hex(8)}.tmp"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if _is_at(descriptor, path):
            return path, descriptor
        os.close(descriptor)  # somebody took it for an orphan before it was locked


@contextmanager
def scratch_directory(parent: Path) -> Iterator[Path]:
    """Make a hidden directory, held like a file, that is gone when the block ends."""
    path = parent / f".{secrets.token_hex(8)}.tmp"
    path.mkdir()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield path
    finally:
        os.close(descriptor)
        shutil.rmtree(path, ignore_errors=True)


def remove_orphans(
    paths: Iterable[Path],
    are_named: Callable[[], set[Path]] = set,
    remove: Callable[[Path], object] | None = None,
) -> list[Path]:
    """Remove files that nobody holds and no commit names; return which.

    Parameters
    ----------
    are_named : callable
        What commits name. Asked once the files are locked: nobody can commit them then.
    remove : callable or None
        What to do with each; None: delete it.
    """
    removed: list[Path] = []
    remaining = list(paths)
    while remaining:
        some, remaining = remaining[:_SWEPT_FILES], remaining[_SWEPT_FILES:]
        with ExitStack() as held:
            orphans = _hold_alone(some, held)
            for path in orphans - are_named():
                (remove or _remove)(path)
                removed.append(path)
    return removed


def _hold_alone(paths: Iterable[Path], held: ExitStack) -> set[Path]:
    """Lock the files that nobody holds; return their paths."""
    found: set[Path] = set()
    locked: set[tuple[int, int]] = set()
    for path in paths:
        with suppress(FileNotFoundError, BlockingIOError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            held.callback(os.close, descriptor)
            status = os.fstat(descriptor)
            file = (status.st_dev, status.st_ino)
            # Who died between giving a name and taking the hidden one away left both.
            if file not in locked:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                locked.add(file)
                found.add(path)
    return found


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def is_held(path: Path) -> bool:
    """Return whether a run that is alive holds a file."""
    with ExitStack() as held:
        return path.exists() and not _hold_alone([path], held)


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether a path still leads to the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def set_aside(root: Path, path: Path) -> Path:
    """Move a damaged file where no reader takes it for a part of the store; keep it."""
    aside = keep_aside(root, path)
    path.unlink()
    sync(path.parent)
    return aside


def read_aside(root: Path, name: str) -> bytes | None:
    """Return the content of a file that was written there; None: it is not there."""
    with suppress(FileNotFoundError):
        return (root / ASIDE / name).read_bytes()
    return None


def write_aside(root: Path, name: str, data: bytes) -> None:
    """Write a file there, or another content."""
    directory = root / ASIDE
    make_directory(directory)
    with NewFile(directory) as new:
        with new.writing() as file:
            file.write(data)
        new.replace(name)


def keep_aside(root: Path, path: Path) -> Path:
    """Give a damaged file a second name, where no reader looks."""
    directory = root / ASIDE
    make_directory(directory)
    aside, n = directory / path.name, 1
    while not _is_linked(path, aside):
        n += 1
        aside = directory / f"{path.name}-{n}"
    sync(directory)
    return aside


def _is_linked(path: Path, name: Path) -> bool:
    """Give a file a name; return whether it has it now. Who died may have done that."""
    try:
        os.link(path, name)
    except FileExistsError:
        return name.samefile(path)
    return True


def hash_of(path: Path) -> str:
    """Return a hash of a file's bytes, which may be many more than memory holds."""
    digest = blake3()
    with path.open("rb") as file:
        while block := file.read(_HASHED_BYTES):
            digest.update(block)
    return digest.hexdigest(length=8)


def sync(path: Path) -> None:
    """Flush a file, or the names in a directory, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_path(path: Path) -> None:
    """Flush the names of a directory and of all that it lies in, whoever made them."""
    for directory in (path, *path.parents):
        with suppress(PermissionError):
            sync(directory)


def make_directory(path: Path) -> None:
    """Make a directory whose name survives a power loss."""
    if not path.is_dir():
        path.mkdir(exist_ok=True)
        sync(path.parent)
