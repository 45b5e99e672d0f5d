"""Parts of a regular file, read by several threads at the same time."""

from __future__ import annotations

import os
import sys
from threading import Event

#: What is read at a time of the record that goes on behind a part's end.
_BEYOND_BYTES = 1 << 14


class Abandoned(Exception):
    """Nobody wants the part any more."""


class FilePart:
    """A stream of a file's bytes from some offset on; see `ByteStream`.

    It has no position of the file's, and no size: what is there when it is read counts.

    Parameters
    ----------
    fd : int
        Of a regular file; stays its owner's.
    stop : Event
        Makes reading raise `Abandoned`.
    """

    fault: str | None = None
    compression: str | None = None
    can_wait = False
    size_bytes: int | None = None
    fd: int | None = None

    def __init__(self, fd: int, stop: Event) -> None:
        self.flags: dict[str, int] = {}
        self.n_read_bytes = 0
        self._fd = fd
        self._stop = stop
        self._end = sys.maxsize

    def seek(self, begin: int, end: int) -> None:
        """Go on at an offset; little behind `end` is wanted."""
        self.n_read_bytes = begin
        self._end = end

    def readinto(self, buffer: memoryview) -> int:
        """Put the next bytes into the buffer, at least one; 0 at the end."""
        if self._stop.is_set():
            raise Abandoned
        room = max(self._end - self.n_read_bytes, _BEYOND_BYTES)
        n_new = os.preadv(self._fd, [buffer[:room]], self.n_read_bytes)
        self.n_read_bytes += n_new
        return n_new

    def would_wait(self) -> bool:
        """Return whether nothing can be had at this moment."""
        return False

    def close(self) -> None:
        """Do nothing: the file is not ours."""
