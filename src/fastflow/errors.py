"""Exception classes and exit codes. Imports nothing from fastflow."""

from __future__ import annotations

from collections.abc import Iterable


class FastflowError(Exception):
    """Anything that fastflow refuses or cannot do; the message says the remedy."""

    exit_code = 1


class ConfigError(FastflowError, ValueError):
    """An option, a name or a period is wrong."""

    exit_code = 2


class DataFileError(FastflowError):
    """A country, service or rule table cannot be used."""


class StoreError(FastflowError):
    """The store cannot be opened, read or written."""


class InternalError(FastflowError, RuntimeError):
    """A native status or a broken invariant that must not occur; please report it."""


class CaptureError(FastflowError, ValueError):
    """A capture is damaged, or is none.

    Attributes
    ----------
    path : str
        The capture as the user named it.
    offset_bytes : int
        Where the fault lies, in decompressed bytes from the start.
    reason : str
        The fault's name, one of `fastflow fields --reasons`.
    """

    def __init__(self, message: str, path: str, offset_bytes: int, reason: str) -> None:
        super().__init__(message)
        self.path = path
        self.offset_bytes = offset_bytes
        self.reason = reason


class NotACaptureError(CaptureError):
    """The file is of no known capture format, or its header is unusable."""


class UnsupportedLinkTypeError(CaptureError):
    """The capture is well formed, of a link type that fastflow cannot decode."""


class TruncatedCaptureError(CaptureError):
    """The capture ends within a record."""


class CorruptCaptureError(CaptureError):
    """A record cannot be one; what precedes it was kept."""


def exit_code(statuses: Iterable[str]) -> int:
    """Return a command's exit code from what became of its captures.

    0 all complete, 3 some damaged or refused while output was written, 1 nothing could
    be done. A capture that is `skipped` (none, met in a directory) changes nothing.
    """
    states = {status for status in statuses if status != "skipped"}
    if states == {"rejected"}:
        return 1
    return 3 if states & {"rejected", "truncated", "damaged"} else 0
