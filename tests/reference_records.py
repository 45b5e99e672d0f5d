"""The oracle's records: what is the same in every container but classic pcap.

A fault at offset 0 rejects the capture. A later one has its own status, and one that
would reject (the header of a second section) damages. The offset is that of the record
or block in which it was met, and rows, flags and losses come only from those before it.

Record. caplen > 262144 is `caplen_over_max`. Flags: `len_zero`, no wire length but
bytes, which then give it; `len_lt_caplen`; `caplen_gt_snaplen`, where there is a
snaplen that is not 0. A time that int64 nanoseconds do not hold is null.

A link type that is not decoded gives a row without columns of any header, status
`unsupported_linktype`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import reference
from reference_link import LINKS
from reference_packet import COLUMNS, decode_packet

MAX_CAPLEN = 262_144
SECOND = 1_000_000_000

#: Fault -> status, where it is not `damaged`.
TRUNCATED = ("truncated_record_header", "truncated_record", "truncated_block")


@dataclass
class CaptureResult(reference.CaptureResult):
    """Rows of a capture, and what became of it."""

    #: Packets lost before they were captured; None: the capture does not say.
    dropped: int | None = None


class Stop(Exception):
    """The fault that ends a capture; its message is the reason."""


class Records:
    """The records of a capture, as they are met."""

    def __init__(self, decap: frozenset[str]) -> None:
        self.result = CaptureResult()
        self.flags: Counter[str] = Counter()
        self._decap = decap

    def add(
        self,
        frame: bytes,
        *,
        ts: int | None,
        wirelen: int,
        linktype: int,
        snaplen: int = 0,
    ) -> None:
        """Add a packet; `frame` is what was captured of it."""
        caplen = len(frame)
        if 0 < snaplen < caplen:
            self.flags["caplen_gt_snaplen"] += 1
        if wirelen == 0 and caplen > 0:
            self.flags["len_zero"] += 1
            wirelen = caplen
        elif wirelen < caplen:
            self.flags["len_lt_caplen"] += 1
        if linktype in LINKS:
            cut = max(0, wirelen - caplen)
            row, flags = decode_packet(frame, linktype, cut=cut, decap=self._decap)
            self.flags.update(flags)
        else:
            row = dict.fromkeys(COLUMNS)
            row["status"] = "unsupported_linktype"
        if ts is not None and not -(2**63) <= ts < 2**63:
            ts = None
        row.update(ts=ts, caplen=caplen, wirelen=wirelen, linktype=linktype)
        self.result.rows.append(row)

    def drop(self, packets: int) -> None:
        """The capture says that packets were lost; 0 is something said, too."""
        self.result.dropped = (self.result.dropped or 0) + packets

    def end(self, reason: str | None = None, offset: int = 0) -> CaptureResult:
        """The capture ends: well, or with a fault at an offset."""
        result = self.result
        if reason is not None:
            result.reason, result.offset = reason, offset
            if offset == 0:
                result.status = "rejected"
            elif reason in TRUNCATED:
                result.status = "truncated"
            else:
                result.status = "damaged"
        result.flags = dict(self.flags)
        return result
