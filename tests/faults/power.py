"""From a recording to the disks that a power loss may leave.

The model is a pessimist that keeps to POSIX: what a file holds is sure up to its last
fsync; what was written later is there, absent, zeros, or half there. A name (created,
renamed, linked, removed) is sure after an fsync of its directory, and of the
directories above; before, each change may be on the disk or not, on its own. An fsync
of a file says nothing of its name. After an fsync of a file that failed, a later one
that succeeds proves nothing: the kernel may have let go of the pages.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from faults.shim import Call, Kind

#: A directory tree: a path to a file's bytes, or to None for a directory.
Tree = dict[str, bytes | None]


@dataclass(eq=False)
class File:
    """Bytes as they are now, and as they are on the disk for sure."""

    now: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    #: An fsync has failed: what it should have written is lost.
    is_torn: bool = False

    def write(self, offset: int, data: bytes) -> None:
        if len(self.now) < offset:
            self.now.extend(bytes(offset - len(self.now)))
        self.now[offset : offset + len(data)] = data

    def truncate(self, size: int) -> None:
        del self.now[size:]
        self.now.extend(bytes(size - len(self.now)))

    def sync(self) -> None:
        self.synced = bytes(len(self.now)) if self.is_torn else bytes(self.now)

    def lost(self, how: str) -> bytes:
        """Return the bytes that a power loss leaves: what was not synced is `how`."""
        now = bytes(self.now)
        if now == self.synced or how == "kept":
            return now
        if how == "absent":
            return self.synced
        keep = len(self.synced) if now.startswith(self.synced) else 0
        if how == "half":
            return now[: keep + (len(now) - keep) // 2]
        return now[:keep] + bytes(len(now) - keep)


@dataclass(frozen=True, eq=False)
class Change:
    """A change of names in one directory: `gone` was removed, `new` leads to `node`."""

    gone: str | None
    new: str | None = None
    node: File | Directory | None = None

    def apply(self, names: dict[str, File | Directory]) -> None:
        if self.gone is not None:
            names.pop(self.gone, None)
        if self.new is not None and self.node is not None:
            names[self.new] = self.node


@dataclass(eq=False)
class Directory:
    """Names as they are now; those on the disk for sure; what changed in between."""

    now: dict[str, File | Directory] = field(default_factory=dict)
    synced: dict[str, File | Directory] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)

    def change(self, change: Change) -> None:
        change.apply(self.now)
        self.pending.append(change)

    def sync(self) -> None:
        self.synced = dict(self.now)
        self.pending.clear()


class Disk:
    """A directory of a file system, as calls change it."""

    def __init__(self, root: Path) -> None:
        """Begin with what is there, all of it on the disk."""
        self._path = root
        self._root = _read(root)
        self._by_inode: dict[int, File | Directory] = {}

    def apply(self, call: Call) -> None:
        """Take in one recorded call."""
        if call.error or call.result < 0:
            node = self._by_inode.get(call.inode)
            is_lost = call.kind is Kind.FSYNC and call.error != errno.EINTR
            if is_lost and isinstance(node, File):
                node.is_torn = True
            return
        match call.kind:
            case Kind.OPEN_WRITE | Kind.OPEN_READ:
                self._by_inode[call.inode] = self._opened(call)
            case Kind.WRITE:
                self._file(call).write(call.offset, call.data)
            case Kind.TRUNCATE:
                self._file(call).truncate(call.offset)
            case Kind.FSYNC:
                self._by_inode[call.inode].sync()
            case Kind.MKDIR:
                self._parent(call.path).change(
                    Change(None, call.path.name, Directory())
                )
            case Kind.UNLINK | Kind.RMDIR:
                self._parent(call.path).change(Change(call.path.name))
            case Kind.LINK:
                assert call.other is not None
                source = self._find(call.path) or self._by_inode[call.inode]
                self._parent(call.other).change(Change(None, call.other.name, source))
            case Kind.RENAME:
                self._rename(call)

    def is_directory(self, call: Call) -> bool:
        """Return whether a call's descriptor leads to a directory."""
        return isinstance(self._by_inode.get(call.inode), Directory)

    def _opened(self, call: Call) -> File | Directory:
        if call.flags & os.O_TMPFILE == os.O_TMPFILE:
            return File()
        node = self._find(call.path)
        if node is None:
            assert call.flags & os.O_CREAT, f"not seen before: {call}"
            node = File()
            self._parent(call.path).change(Change(None, call.path.name, node))
        elif call.flags & os.O_TRUNC and isinstance(node, File):
            node.truncate(0)
        return node

    def _rename(self, call: Call) -> None:
        assert call.other is not None
        node = self._find(call.path)
        assert node is not None, f"not seen before: {call}"
        old, new = self._parent(call.path), self._parent(call.other)
        if old is new:
            old.change(Change(call.path.name, call.other.name, node))
        else:
            new.change(Change(None, call.other.name, node))
            old.change(Change(call.path.name))

    def _file(self, call: Call) -> File:
        node = self._by_inode[call.inode]
        assert isinstance(node, File)
        return node

    def _find(self, path: Path) -> File | Directory | None:
        node: File | Directory | None = self._root
        for name in path.relative_to(self._path).parts:
            if not isinstance(node, Directory):
                return None
            node = node.now.get(name)
        return node

    def _parent(self, path: Path) -> Directory:
        parent = self._find(path.parent)
        assert isinstance(parent, Directory), f"no directory: {path.parent}"
        return parent

    def kept(self) -> Tree:
        """Return everything, as a reader sees it now."""
        return self._tree({id(d): dict(d.now) for d in self._directories()}, "kept")

    def synced(self) -> Tree:
        """Return what is there for sure, and no more."""
        return self._tree({}, "absent")

    def losses(self) -> Iterator[tuple[str, Tree]]:
        """Yield what a power loss may leave now, each with what it is called."""
        yield "all that was not synced is gone", self.synced()
        for how in ("absent", "zeros", "half"):
            names = {id(d): dict(d.now) for d in self._directories()}
            yield f"names are there, unsynced data {how}", self._tree(names, how)
        yield "everything is there", self.kept()
        changes = [(d, change) for d in self._directories() for change in d.pending]
        for directory, change in changes:
            said = f"{change.gone or ''} -> {change.new or ''}"
            names = {id(d): dict(d.now) for d in self._directories()}
            names[id(directory)] = _names(
                directory, [c for c in directory.pending if c is not change]
            )
            yield f"all but the name {said}", self._tree(names, "kept")
            names = {id(directory): _names(directory, [change])}
            yield f"of the names only {said}", self._tree(names, "absent")

    def _directories(self) -> Iterator[Directory]:
        """Yield all directories that are there now or were when last synced."""
        seen: dict[int, Directory] = {}
        left = [self._root]
        while left:
            directory = left.pop()
            if id(directory) in seen:
                continue
            seen[id(directory)] = directory
            nodes = [*directory.now.values(), *directory.synced.values()]
            left += [node for node in nodes if isinstance(node, Directory)]
        return iter(seen.values())

    def _tree(self, names: dict[int, dict[str, File | Directory]], how: str) -> Tree:
        """Return a tree of these names (else the synced ones), with data lost so."""
        tree: Tree = {}

        def walk(directory: Directory, path: str) -> None:
            for name, node in names.get(id(directory), directory.synced).items():
                if isinstance(node, File):
                    tree[path + name] = node.lost(how)
                else:
                    tree[path + name] = None
                    walk(node, f"{path}{name}/")

        walk(self._root, "")
        return tree


def _names(
    directory: Directory, changes: Iterable[Change]
) -> dict[str, File | Directory]:
    names = dict(directory.synced)
    for change in changes:
        change.apply(names)
    return names


def _read(path: Path) -> Directory:
    directory = Directory()
    for entry in sorted(path.iterdir()):
        if entry.is_dir():
            directory.now[entry.name] = _read(entry)
        else:
            data = entry.read_bytes()
            directory.now[entry.name] = File(bytearray(data), data)
    directory.sync()
    return directory


def tree_of(root: Path) -> Tree:
    """Return the tree of a real directory."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
        for path in sorted(root.rglob("*"))
    }


def write_tree(tree: Tree, root: Path) -> None:
    """Make a real directory of a tree."""
    root.mkdir()
    for name, data in sorted(tree.items()):
        if data is None:
            (root / name).mkdir()
        else:
            (root / name).write_bytes(data)


def fingerprint(tree: Tree) -> bytes:
    """Return a hash of a tree, so that no state is looked at twice."""
    digest = hashlib.sha256()
    for name, data in sorted(tree.items()):
        digest.update(f"{name}\0{-1 if data is None else len(data)}\0".encode())
        digest.update(data or b"")
    return digest.digest()
