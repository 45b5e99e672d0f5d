"""The oracle: a slow, obvious decoder and counter for classic pcap captures.

It is written from the documents and from nothing else, shares no code with the package,
and prefers being plain to being quick. What it does not say is not a rule.

File header. In this order: no bytes `empty_file`; fewer than 4 `short_magic`; none of
the magics 0xa1b2c3d4 (microseconds), 0xa1b23c4d (nanoseconds), 0xa1b2cd34
(microseconds, 24-byte record headers) in either byte order `unknown_magic`; fewer than
24 bytes `short_header`; version other than 2.2, 2.3, 2.4 `pcap_version`; bits
0x03ff0000 of the link-type word `reserved_linktype_bits`; low 16 bits no link type
below `unsupported_linktype`. Each rejects the file: no rows, offset 0 (the file header
as a whole is what could not be read).

Link-type word. Bit 0x04000000: the top four bits are the length of the frame check
sequence in 16-bit units. Without that bit they mean nothing. The decoder then sees at
most wirelen - fcs bytes, if wirelen >= fcs. The caplen and wirelen columns stay.

Record. In this order: no byte left, complete; less than a header left, truncated
`truncated_record_header`; first 16 bytes zero, damaged `zero_record`; first 4 bytes a
magic in either byte order and then, in that order, major version 2 (any minor), damaged
`bad_record`; caplen > 262144, damaged `caplen_over_max`; body incomplete, truncated
`truncated_record`. The offset is always that of the record header. Version 2.2 has the
two lengths swapped; 2.3 has them swapped where the first is greater than the second.
Flags and rows come only from records that are there as a whole.

Time. Unsigned seconds and the fraction, which is carried when out of range.

Packets: see reference_packet.py. Link headers: see reference_link.py.

Counting. As the data model says, per cell and per cell and source: packets with a
plausible time and a valid outermost IP header. A source is an
address and an IP version: ::ffff:192.0.2.1 on IPv6 is not 192.0.2.1, and has no
country.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import reference_echoes
import reference_tool
from reference_link import LINKS, Row
from reference_packet import COLUMNS, PACKET_COLUMNS, decode_packet

__all__ = [
    "COLUMNS",
    "PACKET_COLUMNS",
    "CaptureResult",
    "Row",
    "decode_capture",
    "decode_packet",
    "tally",
    "uncounted_reason",
]

#: Magic number -> (fraction units per second, bytes of a record header).
MAGICS = {
    0xA1B2C3D4: (1_000_000, 16),
    0xA1B23C4D: (1_000_000_000, 16),
    0xA1B2CD34: (1_000_000, 24),
}
VERSIONS = ((2, 2), (2, 3), (2, 4))
MAX_CAPLEN = 262_144

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
TIME_FROM = 631_152_000 * SECOND  # 1990-01-01
TIME_TO = 4_102_444_800 * SECOND  # 2100-01-01


@dataclass
class CaptureResult:
    """Rows of a capture, and what became of it."""

    rows: list[Row] = field(default_factory=list)
    status: str = "complete"
    reason: str | None = None
    offset: int | None = None
    flags: dict[str, int] = field(default_factory=dict)

    @property
    def records(self) -> int:
        return len(self.rows)


# --- container -----------------------------------------------------------------------


def decode_capture(data: bytes, decap: frozenset[str] = frozenset()) -> CaptureResult:
    """Decode a whole classic pcap file; `decap` names the tunnels to open."""
    reason = _file_fault(data)
    if reason is not None:
        return CaptureResult(status="rejected", reason=reason, offset=0)

    order, magic = _magic(data[:4])
    units, header_size = MAGICS[magic]
    _, minor = struct.unpack(order + "HH", data[4:8])
    snaplen, word = struct.unpack(order + "II", data[16:24])
    linktype = word & 0xFFFF
    fcs = 2 * (word >> 28) if word & 0x0400_0000 else 0

    flags: Counter[str] = Counter()
    result = CaptureResult()
    offset = 24
    while offset < len(data):
        header = data[offset : offset + header_size]
        if len(header) < header_size:
            result.status, result.reason = "truncated", "truncated_record_header"
            break
        if header[:16] == bytes(16):
            result.status, result.reason = "damaged", "zero_record"
            break
        if _is_file_header(header):
            result.status, result.reason = "damaged", "bad_record"
            break
        seconds, fraction, caplen, wirelen = struct.unpack(order + "IIII", header[:16])
        if minor == 2 or (minor == 3 and caplen > wirelen):
            caplen, wirelen = wirelen, caplen
        if caplen > MAX_CAPLEN:
            result.status, result.reason = "damaged", "caplen_over_max"
            break
        body = data[offset + header_size : offset + header_size + caplen]
        if len(body) < caplen:
            result.status, result.reason = "truncated", "truncated_record"
            break

        if caplen > snaplen and snaplen > 0:
            flags["caplen_gt_snaplen"] += 1
        if wirelen == 0 and caplen > 0:
            flags["len_zero"] += 1
            wirelen = caplen
        elif wirelen < caplen:
            flags["len_lt_caplen"] += 1
        if fraction >= units:
            flags["subsec_out_of_range"] += 1
        ts = seconds * SECOND + fraction * (SECOND // units)

        frame = body
        if fcs and wirelen >= fcs:
            frame = body[: wirelen - fcs]
        row, packet_flags = decode_packet(
            frame, linktype, cut=max(0, wirelen - caplen), decap=decap
        )
        row.update(ts=ts, caplen=caplen, wirelen=wirelen, linktype=linktype)
        flags.update(packet_flags)
        result.rows.append(row)
        offset += header_size + caplen

    if result.status != "complete":
        result.offset = offset
    result.flags = dict(flags)
    return result


def _file_fault(data: bytes) -> str | None:
    if not data:
        return "empty_file"
    if len(data) < 4:
        return "short_magic"
    found = _magic(data[:4])
    if found is None:
        return "unknown_magic"
    if len(data) < 24:
        return "short_header"
    order, _ = found
    if struct.unpack(order + "HH", data[4:8]) not in VERSIONS:
        return "pcap_version"
    (word,) = struct.unpack(order + "I", data[20:24])
    if word & 0x03FF_0000:
        return "reserved_linktype_bits"
    if word & 0xFFFF not in LINKS:
        return "unsupported_linktype"
    return None


def _magic(first: bytes) -> tuple[str, int] | None:
    """Return byte order and magic number, or None."""
    for order in "<>":
        (number,) = struct.unpack(order + "I", first)
        if number in MAGICS:
            return order, number
    return None


def _is_file_header(header: bytes) -> bool:
    found = _magic(header[:4])
    if found is None:
        return False
    (major,) = struct.unpack(found[0] + "H", header[4:6])
    return major == 2


# --- counting ------------------------------------------------------------------------

#: hour (ns), proto, dst_port, icmp_type, country, traffic, signature, tool.
CellKey = tuple[
    int, int, int | None, int | None, str | None, str, str | None, str | None
]
#: ... and src (16 bytes), ip_version.
SourceKey = tuple[
    int,
    int,
    int | None,
    int | None,
    str | None,
    str,
    str | None,
    str | None,
    bytes,
    int,
]
Cell = dict[str, int]
Source = dict[str, int | None]
Country = Callable[[bytes], str | None]


def tally(
    result: CaptureResult, country: Country | None = None
) -> tuple[dict[CellKey, Cell], dict[SourceKey, Source], dict[str, int], int, int]:
    """Count a capture.

    `country` maps a source (16 bytes) to its code. Returns counts (packets, bytes and
    sources by cell), sources (packets, bytes, src_port, tcp_seq, ip_ttl and tcp_seq_key
    by cell and source), uncounted (records by reason), records, counted.
    """
    packets: dict[SourceKey, list[Row]] = {}
    uncounted: Counter[str] = Counter()
    for row in result.rows:
        reason = uncounted_reason(row)
        if reason is None:
            packets.setdefault(_source_key(row, country), []).append(row)
        else:
            uncounted[reason] += 1

    sources: dict[SourceKey, Source] = {}
    counts: dict[CellKey, Cell] = {}
    for key, rows in packets.items():
        source: Source = {
            "packets": len(rows),
            "bytes": sum(row["ip_len"] for row in rows),
            "src_port": _shared([row["src_port"] for row in rows]),
            "tcp_seq": _shared([_told_seq(row) for row in rows]),
            "ip_ttl": _shared([row["ip_ttl"] for row in rows]),
            "tcp_seq_key": _seq_key(rows),
        }
        sources[key] = source
        cell = counts.setdefault(key[:8], {"packets": 0, "bytes": 0, "sources": 0})
        cell["packets"] += len(rows)
        cell["bytes"] += sum(row["ip_len"] for row in rows)
        cell["sources"] += 1
    counted = sum(len(rows) for rows in packets.values())
    return counts, sources, dict(uncounted), len(result.rows), counted


def uncounted_reason(row: Row) -> str | None:
    """Why a record is in no cell, or None."""
    if row["ts"] is None or not TIME_FROM <= row["ts"] < TIME_TO:
        return "bad_ts"
    if row["src"] is None:
        return row["status"]
    return None


def _source_key(row: Row, country: Country | None) -> SourceKey:
    src = row["src"]
    return (
        row["ts"] // HOUR * HOUR,
        row["proto"],
        row["dst_port"],
        row["icmp_type"],
        _country(src, row["ip_version"], country),
        row["traffic"],
        row["signature"],
        reference_tool.tool(row),
        src,
        row["ip_version"],
    )


def _country(src: bytes, version: int, country: Country | None) -> str | None:
    is_mapped = version == 6 and src[:12] == bytes(10) + b"\xff\xff"
    return None if country is None or is_mapped else country(src)


def backscatter(
    result: CaptureResult, country: Country | None = None
) -> list[dict[str, Any]]:
    """Return rows of `backscatter` without what is the same in all; hours in ns."""
    counted = [row for row in result.rows if uncounted_reason(row) is None]
    return reference_echoes.backscatter(
        counted,
        lambda address, version: _country(address, version, country),
        _told_seq,
        _shared,
    )


def _seq_key(rows: list[Row]) -> int | None:
    """Return what tools keep the same; of equal sequence numbers it is not asked."""
    told = [_told_seq(row) for row in rows]
    if _shared(told) is not None:
        return None
    keys = zip(rows, told, strict=True)
    return _shared([reference_tool.seq_key(row, seq) for row, seq in keys])


def _shared(values: list[int | None]) -> int | None:
    """Return the value that all share, None where they differ or one is absent."""
    return values[0] if len(set(values)) == 1 else None


def _told_seq(row: Row) -> int | None:
    """Return the sequence number, unless it would tell the address of the sensor."""
    seq = row["tcp_seq"]
    if seq is None or row["ip_version"] != 4:
        return seq
    address = row["dst"][12:]
    if seq in (int.from_bytes(address, "big"), int.from_bytes(address, "little")):
        return None
    return seq
