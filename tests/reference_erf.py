"""The oracle's ERF: the Extensible Record Format of Endace's cards.

The format has no magic number. A file is ERF if the first record is of type 2, 11, 16,
20, 22, 23, 27 or 48, long enough for what must stand in it, wholly there, of 1990 to
2100; and if then either fewer than 16 bytes follow, or a header of a type 1 to 48, a
length of at least 16, and a time of 1990 to 2100.

Record: a header of 16 bytes, as many extension headers of 8 as say that another follows
(by their highest bit, in the header that of the type), in Ethernet records 2 bytes of
padding, the packet, padding. In this order: fewer than 16 bytes left
`truncated_record_header`; all of them zero `zero_record`; length < 16
`record_too_short`; not all there `truncated_record`; more than 16 extension headers, or
they and the 2 bytes are longer than the record, `record_too_short`.

Types 2, 11, 16, 20 are Ethernet, 22 IPv4, 23 IPv6. Those of 27 and 48 hold no packet,
flag `skipped_block`. All others are rows of the link type 197 (ERF itself), which is
not decoded. caplen is what is left of the record, at most the wire length. The time is
little-endian, seconds with a fraction of 32 bits, to the nearest nanosecond. Types 2,
22 and 23 have a loss counter; what was lost is their sum.
"""

from __future__ import annotations

import struct

from reference_records import SECOND, CaptureResult, Records, Stop

ETHERNET = (2, 11, 16, 20)
LINKTYPES = {2: 1, 11: 1, 16: 1, 20: 1, 22: 228, 23: 229}
NO_PACKET = (27, 48)
LOSS_COUNTERS = (2, 22, 23)
LINKTYPE_ERF = 197
MAX_EXTENSIONS = 16
#: 1990-01-01 and 2100-01-01.
SECONDS = range(631_152_000, 4_102_444_800)


def is_erf(data: bytes) -> bool:
    """Return whether the beginning of a file looks like ERF."""
    if len(data) < 16 or not _is_plausible(data[:16]):
        return False
    kind, length = _kind(data), _length(data)
    if kind not in LINKTYPES and kind not in NO_PACKET:
        return False
    if len(data) < length or _packet_begin(data[:length]) > length:
        return False
    following = data[length : length + 16]
    return len(following) < 16 or _is_plausible(following)


def _is_plausible(header: bytes) -> bool:
    seconds, _ = divmod(_time(header), 1 << 32)
    return 1 <= _kind(header) <= 48 and _length(header) >= 16 and seconds in SECONDS


def decode_erf(data: bytes, decap: frozenset[str] = frozenset()) -> CaptureResult:
    """Decode a file that `is_erf`."""
    records = Records(decap)
    at = 0
    while at < len(data):
        try:
            at += _record(records, data[at:])
        except Stop as stop:
            return records.end(str(stop), at)
    return records.end()


def _record(records: Records, left: bytes) -> int:
    """Read a record and return its length."""
    if len(left) < 16:
        raise Stop("truncated_record_header")
    if left[:16] == bytes(16):
        raise Stop("zero_record")
    length = _length(left)
    if length < 16:
        raise Stop("record_too_short")
    if len(left) < length:
        raise Stop("truncated_record")
    record = left[:length]
    begin = _packet_begin(record)
    if begin > length:
        raise Stop("record_too_short")

    kind = _kind(record)
    if kind in NO_PACKET:
        records.flags["skipped_block"] += 1
        return length
    lost, wirelen = struct.unpack(">HH", record[12:16])
    # To the nearest: half a nanosecond is 2^31 units of 2^-32 ns.
    ts = (_time(record) * SECOND + (1 << 31)) >> 32
    records.add(
        record[begin:][:wirelen],
        ts=ts,
        wirelen=wirelen,
        linktype=LINKTYPES.get(kind, LINKTYPE_ERF),
    )
    if kind in LOSS_COUNTERS:
        records.drop(lost)
    return length


def _packet_begin(record: bytes) -> int:
    """Return where in a record the packet begins; beyond it if nothing fits."""
    begin = 16
    n_extensions = 0
    has_more = bool(record[8] & 0x80)
    while has_more:
        n_extensions += 1
        if n_extensions > MAX_EXTENSIONS or begin + 8 > len(record):
            return len(record) + 1
        has_more = bool(record[begin] & 0x80)
        begin += 8
    return begin + 2 if _kind(record) in ETHERNET else begin


def _kind(header: bytes) -> int:
    return header[8] & 0x7F


def _length(header: bytes) -> int:
    return int.from_bytes(header[10:12], "big")


def _time(header: bytes) -> int:
    return int.from_bytes(header[:8], "little")
