"""Files as the system has them: standard input, and whether a pipe has anything."""

from __future__ import annotations

import select
import sys
from typing import Any, BinaryIO, cast

from fastflow.phases import Phases


class TimedFile:
    """A file whose reads are noted as the phase `read`."""

    def __init__(self, file: BinaryIO, phases: Phases) -> None:
        self._file = file
        self._phases = phases

    def read(self, n_bytes: int = -1) -> bytes:
        """Return the next bytes."""
        with self._phases.phase("read"):
            return self._file.read(n_bytes)

    def __getattr__(self, name: str) -> Any:
        """Be like the file in everything else."""
        return getattr(self._file, name)


def stdin_file() -> BinaryIO:
    """Return standard input, unbuffered: a read takes what is there."""
    return cast(BinaryIO, getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))


def read_some(file: BinaryIO, n_bytes: int) -> bytes:
    """Return 1 to n bytes, none at the end, waiting where the descriptor does not."""
    while (data := cast("bytes | None", file.read(n_bytes))) is None:
        _poll(file).poll()
    return data


def read_into(file: BinaryIO, buffer: memoryview) -> int:
    """Put 1 byte or more into the buffer, 0 at the end; waits as `read_some` does."""
    while (n_bytes := file.readinto(buffer)) is None:  # type: ignore[attr-defined]
        _poll(file).poll()
    return cast(int, n_bytes)


def is_idle(file: BinaryIO) -> bool:
    """Return whether a read would have to wait for someone to write."""
    try:
        return not _poll(file).poll(0)
    except OSError:  # a file in memory has no descriptor, and never waits
        return False


def _poll(file: BinaryIO) -> select.poll:
    # Not select(), which refuses descriptors beyond 1,023.
    poll = select.poll()
    poll.register(file.fileno(), select.POLLIN)
    return poll
