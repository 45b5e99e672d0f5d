"""Files as the system has them: standard input, and whether a pipe has anything."""

from __future__ import annotations

import select
import sys
from typing import BinaryIO, cast


def stdin_file() -> BinaryIO:
    """Return standard input, unbuffered: a read takes what is there."""
    return cast(BinaryIO, getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))


def is_idle(file: BinaryIO) -> bool:
    """Return whether a read would have to wait for someone to write."""
    try:
        descriptor = file.fileno()
    except OSError:  # a file in memory has none, and never waits
        return False
    # Not select(), which refuses descriptors beyond 1,023.
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return not poll.poll(0)
