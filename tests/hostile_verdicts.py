"""What a malformed capture must come to: cases and their verdicts.

A verdict says all of the outcome: status, reason and offset, how many records, which of
them are not counted, every flag. For damage within a packet it also says the packet's
status and some of its columns; that packet is the only one, or stands in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import builders as b

#: Reasons that are only the end of the bytes.
TRUNCATED = (
    "truncated_record_header",
    "truncated_record",
    "truncated_block",
    "compressed_truncated",
)

FRAME = b.ethernet(b.ipv4(b.tcp()))
#: Of a classic record: 16 bytes and 54. Of an enhanced packet block: 32 bytes and 56.
RECORD_BYTES, EPB_BYTES = 70, 88


@dataclass(frozen=True)
class Verdict:
    """The whole outcome of a capture; `columns` are those of the packet in question."""

    status: str = "complete"
    reason: str | None = None
    offset: int | None = None
    records: int = 0
    uncounted: dict[str, int] = field(default_factory=dict)
    flags: dict[str, int] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A capture and its verdict; `decapped`: with every tunnel opened."""

    name: str
    data: bytes
    verdict: Verdict
    decapped: Verdict | None = None

    def __str__(self) -> str:
        return self.name


def reject(reason: str) -> Verdict:
    return Verdict("rejected", reason, 0)


def stop(
    reason: str,
    offset: int,
    records: int = 1,
    *,
    uncounted: dict[str, int] | None = None,
    **flags: int,
) -> Verdict:
    """What precedes the fault is kept; by default that is one packet."""
    status = "truncated" if reason in TRUNCATED else "damaged"
    return Verdict(status, reason, offset, records, uncounted or {}, flags)


def complete(
    records: int, *, uncounted: dict[str, int] | None = None, **flags: int
) -> Verdict:
    return Verdict("complete", None, None, records, uncounted or {}, flags)


def counted(
    status: str = "ok", *, records: int = 3, flag: str | None = None, **columns: Any
) -> Verdict:
    """Whatever is wrong with the packet, its source is known, and it is counted."""
    flags = {} if flag is None else {flag: 1}
    return Verdict(records=records, flags=flags, columns={"status": status, **columns})


def uncounted(status: str, *, records: int = 3, **columns: Any) -> Verdict:
    """The packet has no source, hence no address, and is not counted."""
    nothing = dict.fromkeys(("ip_version", "src", "dst", "proto", "dst_port"))
    return Verdict(
        records=records,
        uncounted={status: 1},
        columns={"status": status, **nothing, **columns},
    )


def between(*packets: bytes, linktype: int = b.LINKTYPE_ETHERNET) -> bytes:
    """Return a capture with the packets between two good ones."""
    return b.capture(FRAME, *packets, FRAME, linktype=linktype)
