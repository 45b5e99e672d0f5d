"""The oracle's snoop: RFC 1761, big-endian throughout.

File header. In this order: fewer than 16 bytes `short_header`; version not 2
`snoop_version`; datalink neither 0 (802.3) nor 4 (Ethernet), both Ethernet here,
`unsupported_linktype`.

Record. In this order: fewer than 24 bytes left `truncated_record_header`; all of them
zero `zero_record`; included length > 262144 `caplen_over_max`; record length less than
header and included length `record_too_short`, or more than 65536 bytes longer
`bad_record`; not all there `truncated_record`. The time is carried where there are 10^6
microseconds or more, flag `subsec_out_of_range`. What was lost is the greatest of the
cumulative counters.
"""

from __future__ import annotations

import struct

from reference_records import MAX_CAPLEN, SECOND, CaptureResult, Records, Stop

MAGIC = b"snoop\0\0\0"
DATALINKS = {0: 1, 4: 1}
MAX_PADDING = 65_536


def decode_snoop(data: bytes, decap: frozenset[str] = frozenset()) -> CaptureResult:
    """Decode a file that begins with the magic."""
    records = Records(decap)
    if len(data) < 16:
        return records.end("short_header")
    version, datalink = struct.unpack(">II", data[8:16])
    if version != 2:
        return records.end("snoop_version")
    if datalink not in DATALINKS:
        return records.end("unsupported_linktype")
    at = 16
    while at < len(data):
        try:
            at += _record(records, data[at:], DATALINKS[datalink])
        except Stop as stop:
            return records.end(str(stop), at)
    return records.end()


def _record(records: Records, left: bytes, linktype: int) -> int:
    """Read a record and return its length."""
    if len(left) < 24:
        raise Stop("truncated_record_header")
    if left[:24] == bytes(24):
        raise Stop("zero_record")
    wirelen, caplen, length, drops, seconds, micros = struct.unpack(
        ">IIIIII", left[:24]
    )
    if caplen > MAX_CAPLEN:
        raise Stop("caplen_over_max")
    if length < 24 + caplen:
        raise Stop("record_too_short")
    if length > 24 + caplen + MAX_PADDING:
        raise Stop("bad_record")
    if len(left) < length:
        raise Stop("truncated_record")

    if micros >= 1_000_000:
        records.flags["subsec_out_of_range"] += 1
    records.add(
        left[24 : 24 + caplen],
        ts=seconds * SECOND + micros * 1000,
        wirelen=wirelen,
        linktype=linktype,
    )
    records.result.dropped = max(records.result.dropped or 0, drops)
    return int(length)
