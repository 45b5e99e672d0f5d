"""Bytes of a capture: opened, and decompressed where the first bytes say so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from fastflow.phases import NO_PHASES, Phases
from fastflow.sources.compressed import CompressedStream
from fastflow.sources.decoders import MAGIC_BYTES, formats_of
from fastflow.sources.find import STDIN
from fastflow.sources.raw import (
    TimedFile,
    is_idle,
    read_into,
    read_some,
    stdin_file,
)


class ByteStream(Protocol):
    """Where a scan takes its bytes from.

    Attributes
    ----------
    fault : str or None
        What ended the stream before its end; known once readinto() returns 0.
    flags : dict[str, int]
        Oddities met.
    compression : str or None
        The wrapper's name.
    can_wait : bool
        A read may wait for someone to write: a pipe, a terminal.
    n_read_bytes : int
        Bytes taken from the file so far, compressed if it is.
    size_bytes : int or None
        How long the stream is, where that is known beforehand.
    fd : int or None
        Of the file, where any part of the stream can be read from it.
    """

    fault: str | None
    flags: dict[str, int]
    compression: str | None
    can_wait: bool
    size_bytes: int | None
    fd: int | None

    @property
    def n_read_bytes(self) -> int:
        """Bytes taken from the file so far."""
        ...

    def readinto(self, buffer: memoryview) -> int:
        """Put the next bytes into the buffer, at least one; 0 at the end."""
        ...

    def would_wait(self) -> bool:
        """Return whether nothing can be had at this moment."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class PlainStream:
    """An uncompressed stream, beginning with bytes that were read already."""

    fault: str | None = None
    compression: str | None = None

    def __init__(
        self, file: BinaryIO, head: bytes, can_wait: bool, is_owned: bool
    ) -> None:
        self._is_owned = is_owned
        self.can_wait = can_wait
        self.flags: dict[str, int] = {}
        self.n_read_bytes = len(head)
        self.fd = None if can_wait else file.fileno()
        self.size_bytes = None if self.fd is None else os.fstat(self.fd).st_size
        self._file = file
        self._head = head

    def readinto(self, buffer: memoryview) -> int:
        """Put the next bytes into the buffer, at least one; 0 at the end."""
        if self._head:
            n = min(len(self._head), len(buffer))
            buffer[:n] = self._head[:n]
            self._head = self._head[n:]
            return n
        n_new = read_into(self._file, buffer)
        self.n_read_bytes += n_new
        return n_new

    def would_wait(self) -> bool:
        """Return whether nothing can be had at this moment."""
        return self.can_wait and not self._head and is_idle(self._file)

    def close(self) -> None:
        """Let go of the file."""
        if self._is_owned:
            self._file.close()


def open_stream(
    source: str | os.PathLike[str] | BinaryIO, phases: Phases = NO_PHASES
) -> ByteStream:
    """Open a path, `-` or a binary file object, looking only at its first bytes.

    What reading takes is noted in `phases` where that is less than what `readinto` of
    the stream does: of a compressed file.

    Raises
    ------
    OSError
        The file cannot be opened or read.
    """
    file, can_wait = _open(source)
    head = _read_head(file, MAGIC_BYTES)
    # Standard input and a caller's file object are not ours to close.
    is_owned = isinstance(source, str | os.PathLike) and source != STDIN
    if formats := formats_of(head):
        if phases is not NO_PHASES:
            file = cast(BinaryIO, TimedFile(file, phases))
        return CompressedStream(
            file, head, formats, can_wait=can_wait, is_owned=is_owned
        )
    return PlainStream(file, head, can_wait=can_wait, is_owned=is_owned)


def _open(source: str | os.PathLike[str] | BinaryIO) -> tuple[BinaryIO, bool]:
    """Return the file, and whether reading it may wait for someone to write."""
    if not isinstance(source, str | os.PathLike):
        return source, True
    if source == STDIN:
        # Unbuffered: what a live capture has written so far is wanted now.
        return stdin_file(), True
    path = Path(source)
    return path.open("rb", buffering=0), not path.is_file()


def _read_head(file: BinaryIO, n_bytes: int) -> bytes:
    """Read n bytes; fewer only at the end, however short a pipe's reads are."""
    head = b""
    while len(head) < n_bytes and (more := read_some(file, n_bytes - len(head))):
        head += more
    return head
