"""What became of a capture: complete, truncated, damaged or rejected; and in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from fastflow import _core
from fastflow.errors import (
    CaptureError,
    CorruptCaptureError,
    InternalError,
    NotACaptureError,
    TruncatedCaptureError,
    UnsupportedLinkTypeError,
)
from fastflow.native_types import Header
from fastflow.schema import Status
from fastflow.units import iso_time

_FAULTS = {name: (status, text) for name, status, text in _core.FAULTS}

#: Faults that say that a file is of no format known here.
UNKNOWN_FORMAT = frozenset({"empty_file", "short_magic", "unknown_magic"})

#: Faults that are only the end of the bytes.
_SHORT = frozenset(
    {
        "empty_file",
        "short_magic",
        "short_header",
        "truncated_record_header",
        "truncated_record",
        "truncated_block",
    }
)


@dataclass
class ScanStats:
    """What became of a capture; `records == counted + sum(uncounted.values())`.

    Attributes
    ----------
    status : str
        complete, truncated, damaged or rejected.
    reason : str or None
        The fault's name; null when complete.
    offset : int or None
        Where the fault lies: bytes from the beginning, decompressed.
    bytes_not_read : int or None
        Bytes from the offset to the end of an uncompressed file; null where the end
        is not known.
    first_ts_ns, last_ts_ns : int or None
        Earliest and latest plausible time, nanoseconds since 1970 UTC.
    dropped : int or None
        Packets lost before they reached the capture, as it says itself.
    linktypes : list of int
        LINKTYPE_ numbers met; of those that are not decoded, the first.
    header : dict
        What the capture's beginning says; empty where it is of no known format.
    detail : str or None
        More words on the fault.
    """

    status: Status
    reason: str | None
    offset: int | None
    records: int
    counted: int
    uncounted: dict[str, int]
    flags: dict[str, int]
    first_ts_ns: int | None
    last_ts_ns: int | None
    compression: str | None
    bytes_not_read: int | None = None
    dropped: int | None = None
    linktypes: list[int] = field(default_factory=list)
    header: Header = field(default_factory=Header)
    detail: str | None = None


def reason_of(scanner: _core.Scanner, stream_fault: str | None) -> str | None:
    """Return what ended a capture: its own fault, or that of the bytes it lies in."""
    is_short = scanner.fault is None or scanner.fault in _SHORT
    return (stream_fault if is_short else None) or scanner.fault


def status_of(reason: str | None, offset: int, is_of_stream: bool) -> Status:
    """Return what a fault makes of a capture.

    At the very beginning it rejects it; one that would, met later (the header of a
    second section), damages it. A fault of the stream leaves what preceded it.
    """
    if reason is None:
        return "complete"
    status = cast(Status, _FAULTS[reason][0])
    if offset == 0 and not is_of_stream:
        return "rejected"
    return "damaged" if offset > 0 and status == "rejected" else status


def fault_message(path: str, stats: ScanStats) -> str:
    """Return one line: what is wrong with a capture, where, what was kept and lost."""
    if stats.reason is None:
        raise InternalError(f"{path}: a complete capture has no fault")
    text = _FAULTS[stats.reason][1]
    if stats.detail is not None:
        text += f" ({stats.detail})"
    parts = [f"{path}: {text} ({stats.reason}) at byte {stats.offset}"]
    if stats.bytes_not_read:
        parts.append(f"{stats.bytes_not_read:,} bytes not read")
    elif stats.bytes_not_read is None:
        parts.append("what follows was not read")
    if stats.last_ts_ns is not None:
        parts.append(f"latest packet of {iso_time(stats.last_ts_ns)}")
    if stats.records:
        packets = "packet" if stats.records == 1 else "packets"
        parts.append(f"{stats.records:,} {packets} before it kept")
    return "; ".join(parts)


def messages(path: str, stats: ScanStats) -> list[str]:
    """Return the lines that an operator must read of a capture; none if all is well."""
    lines = [] if stats.reason is None else [fault_message(path, stats)]
    if n := stats.uncounted.get("unsupported_linktype"):
        unknown = sorted(set(stats.linktypes) - set(_core.LINKTYPES))
        lines.append(
            f"{path}: {n:,} packets of a link type that fastflow does not decode "
            f"({', '.join(map(str, unknown))}) are not counted (unsupported_linktype)"
        )
    if n := stats.flags.get("filter_unsuited"):
        lines.append(
            f"{path}: {n:,} packets of a link type that the filter has no meaning for "
            "are not counted (filter_unsuited)"
        )
    return lines


def capture_error(path: str, stats: ScanStats) -> CaptureError:
    """Return the exception for a capture that is not complete."""
    kind: type[CaptureError]
    if stats.reason == "unsupported_linktype":
        kind = UnsupportedLinkTypeError
    elif stats.status == "rejected":
        kind = NotACaptureError
    elif stats.status == "truncated":
        kind = TruncatedCaptureError
    else:
        kind = CorruptCaptureError
    message = fault_message(path, stats)
    return kind(message, path, stats.offset or 0, stats.reason or "")
