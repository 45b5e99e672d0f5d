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

Link layer. Ethernet and SLL: less than the header, or a tag cut, `l2_truncated`; a
ninth VLAN tag `too_many_vlan` (decided by its ethertype, whether or not it is all
there); ethertype neither IPv4 nor IPv6 `non_ip`; then no network byte `l3_truncated`.
`vlan` needs the whole first tag, and stays whatever comes after it.

IPv4. In this order: version nibble `bad_ip_version`; 20 bytes `ip_truncated`; header
length < 20 `ip_bad_ihl`; total length not 0 and < header length `ip_bad_length`; header
longer than captured `ip_truncated`. Total length 0 stands for the captured length.

IPv6. Version nibble `bad_ip_version`; 40 bytes `ip_truncated`. Payload length 0 stands
for the captured length if the next header is not 59 and more than 40 bytes are there
(flag `ip_len_zero`); else it is 0. At most 16 extension headers: a 17th is
`too_many_ext`, one that is not there as a whole `ip6_ext_truncated`; both leave its
number in `proto`, and no transport column. `ip6_ext_order` (whole headers only, once a
packet): a hop-by-hop header that is not the first, any header a second time,
destination options a third. A fragment header with an offset ends the walk.

Flags of the IP layer (`frag`, `snap_truncated`, `ip_len_zero`, `ip6_ext_order`) come
only from packets whose IP header is valid.

Transport. "Available" is captured and within the IP length. By the IP length there is
`by_length` = total length - headers. Later fragments have no transport columns and no
payload_len. With more fragments to come a header may go on in the next one and a length
may cover all of them: then TCP's header beyond `by_length` is `l4_truncated` with a
null payload_len, and UDP's length has no upper bound.
TCP: 4 available bytes give the ports, 20 the rest, else `l4_truncated`; header < 20 or
> by_length `tcp_bad_doff`, cut or not; > available `l4_truncated`, payload_len known.
An option that is malformed or runs out of the header: `tcp_bad_option`, payload_len
known; options, mss, wscale and signature null in all these cases.
UDP, UDP-Lite (8 bytes), SCTP, DCCP (12): 4 give the ports; less than all
`l4_truncated`, payload_len null. UDP length field not 0 and < 8 or > by_length:
`udp_bad_length`, payload_len still by the IP length.
ICMP and ICMPv6, by number whatever the IP version: 1 byte gives the type, 2 the code,
less than 4 `l4_truncated`; payload_len = by_length - 8, null if that is negative.
All others: payload_len = by_length.

Counting. As the data model says, per cell and per cell and source. A source is an
address and an IP version: ::ffff:192.0.2.1 on IPv6 is not 192.0.2.1, and has no
country.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]

#: Columns of a packet, in the order of the data model.
PACKET_COLUMNS = (
    "ts",
    "caplen",
    "wirelen",
    "linktype",
    "vlan",
    "ip_version",
    "src",
    "dst",
    "proto",
    "ip_ttl",
    "ip_tos",
    "ip_id",
    "ip_len",
    "ip_frag",
    "src_port",
    "dst_port",
    "tcp_flags",
    "tcp_seq",
    "tcp_ack",
    "tcp_window",
    "tcp_options",
    "tcp_mss",
    "tcp_wscale",
    "icmp_type",
    "icmp_code",
    "payload_len",
    "status",
)
DERIVED_COLUMNS = ("signature", "traffic")
COLUMNS = PACKET_COLUMNS + DERIVED_COLUMNS

UNCOUNTED = (
    "l2_truncated",
    "l3_truncated",
    "too_many_vlan",
    "non_ip",
    "bad_ip_version",
    "ip_truncated",
    "ip_bad_ihl",
    "ip_bad_length",
)

#: Magic number -> (fraction units per second, bytes of a record header).
MAGICS = {
    0xA1B2C3D4: (1_000_000, 16),
    0xA1B23C4D: (1_000_000_000, 16),
    0xA1B2CD34: (1_000_000, 24),
}
VERSIONS = ((2, 2), (2, 3), (2, 4))
MAX_CAPLEN = 262_144
ETHERNET, SLL, IPV4, IPV6 = 1, 113, 228, 229
RAW = (12, 14, 101)
LINKTYPES = (ETHERNET, SLL, IPV4, IPV6, *RAW)
VLAN_ETHERTYPES = (0x8100, 0x88A8, 0x9100)
MAX_VLAN = 8
EXTENSION_HEADERS = (0, 43, 44, 51, 60, 135, 139, 140)
MAX_EXTENSIONS = 16

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
TIME_FROM = 631_152_000 * SECOND  # 1990-01-01
TIME_TO = 4_102_444_800 * SECOND  # 2100-01-01

BACKSCATTER_ICMP = (0, 3, 4, 5, 11, 12, 14, 16, 18)
BACKSCATTER_ICMPV6 = (1, 2, 3, 4, 129)


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


class _Fault(Exception):
    """The first fault of a packet; its message is the status."""


# --- container -----------------------------------------------------------------------


def decode_capture(data: bytes) -> CaptureResult:
    """Decode a whole classic pcap file."""
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
        row, packet_flags = decode_packet(frame, linktype)
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
    if word & 0xFFFF not in LINKTYPES:
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


# --- packets -------------------------------------------------------------------------


def decode_packet(frame: bytes, linktype: int) -> tuple[Row, Counter[str]]:
    """Decode one frame; the columns of the record header stay None."""
    row: Row = dict.fromkeys(COLUMNS)
    flags: Counter[str] = Counter()
    row["status"] = "ok"
    try:
        version, packet = _link(row, frame, linktype)
        if version == 4:
            _ipv4(row, flags, packet)
        else:
            _ipv6(row, flags, packet)
    except _Fault as fault:
        row["status"] = str(fault)
    row["signature"] = signature(row)
    row["traffic"] = traffic(row)
    return row, flags


def _link(row: Row, frame: bytes, linktype: int) -> tuple[int, bytes]:
    """Return the IP version that the link layer promises, and the network bytes."""
    if linktype in (ETHERNET, SLL):
        header_size = 14 if linktype == ETHERNET else 16
        if len(frame) < header_size:
            raise _Fault("l2_truncated")
        ethertype = _be(frame[header_size - 2 : header_size])
        rest = frame[header_size:]
        n_tags = 0
        while ethertype in VLAN_ETHERTYPES:
            if n_tags == MAX_VLAN:
                raise _Fault("too_many_vlan")
            if len(rest) < 4:
                raise _Fault("l2_truncated")
            if n_tags == 0:
                row["vlan"] = _be(rest[:2]) & 0x0FFF
            ethertype = _be(rest[2:4])
            rest = rest[4:]
            n_tags += 1
        if ethertype == 0x0800:
            version = 4
        elif ethertype == 0x86DD:
            version = 6
        else:
            raise _Fault("non_ip")
        if not rest:
            raise _Fault("l3_truncated")
    else:
        rest = frame
        if not rest:
            raise _Fault("l3_truncated")
        if linktype == IPV4:
            version = 4
        elif linktype == IPV6:
            version = 6
        else:
            version = rest[0] >> 4

    if version not in (4, 6) or rest[0] >> 4 != version:
        raise _Fault("bad_ip_version")
    return version, rest


def _ipv4(row: Row, flags: Counter[str], packet: bytes) -> None:
    captured = len(packet)
    if captured < 20:
        raise _Fault("ip_truncated")
    header_size = (packet[0] & 15) * 4
    if header_size < 20:
        raise _Fault("ip_bad_ihl")
    total = _be(packet[2:4])
    if total != 0 and total < header_size:
        raise _Fault("ip_bad_length")
    if captured < header_size:
        raise _Fault("ip_truncated")
    if total == 0:
        flags["ip_len_zero"] += 1
        total = captured
    if captured < total:
        flags["snap_truncated"] += 1

    fragment = _be(packet[6:8])
    offset = (fragment & 0x1FFF) * 8
    more = bool(fragment & 0x2000)
    if offset or more:
        flags["frag"] += 1

    row["ip_version"] = 4
    row["ip_tos"] = packet[1]
    row["ip_len"] = total
    row["ip_id"] = _be(packet[4:6])
    row["ip_frag"] = offset
    row["ip_ttl"] = packet[8]
    row["proto"] = packet[9]
    row["src"] = bytes(10) + b"\xff\xff" + packet[12:16]
    row["dst"] = bytes(10) + b"\xff\xff" + packet[16:20]
    if offset == 0:
        available = packet[header_size : min(captured, total)]
        _transport(row, available, total - header_size, more)


def _ipv6(row: Row, flags: Counter[str], packet: bytes) -> None:
    captured = len(packet)
    if captured < 40:
        raise _Fault("ip_truncated")
    total = 40 + _be(packet[4:6])
    if total == 40 and captured > 40 and packet[6] != 59:
        flags["ip_len_zero"] += 1
        total = captured
    if captured < total:
        flags["snap_truncated"] += 1

    row["ip_version"] = 6
    row["ip_tos"] = (_be(packet[0:2]) >> 4) & 0xFF
    row["ip_len"] = total
    row["ip_frag"] = 0
    row["ip_ttl"] = packet[7]
    row["src"] = packet[8:24]
    row["dst"] = packet[24:40]

    number = packet[6]
    rest = packet[40 : min(captured, total)]
    by_length = total - 40
    more = False
    met: list[int] = []
    in_order = True
    try:
        while number in EXTENSION_HEADERS:
            row["proto"] = number
            if len(met) == MAX_EXTENSIONS:
                raise _Fault("too_many_ext")
            if len(rest) < 8:  # none is shorter
                raise _Fault("ip6_ext_truncated")
            if number == 44:
                size = 8
            elif number == 51:
                size = (rest[1] + 2) * 4
            else:
                size = (rest[1] + 1) * 8
            if len(rest) < size:
                raise _Fault("ip6_ext_truncated")

            allowed = 2 if number == 60 else 1
            if met.count(number) >= allowed or (number == 0 and met):
                in_order = False
            met.append(number)

            following = rest[0]
            if number == 44:
                offset = _be(rest[2:4]) & 0xFFF8
                more = more or bool(rest[3] & 1)
                row["ip_frag"] = offset
                if offset:
                    row["proto"] = following
                    return
            number = following
            rest = rest[size:]
            by_length -= size
    finally:
        if not in_order:
            flags["ip6_ext_order"] += 1
        if row["ip_frag"] or more:
            flags["frag"] += 1
    row["proto"] = number
    _transport(row, rest, by_length, more)


def _transport(row: Row, available: bytes, by_length: int, more: bool) -> None:
    proto = row["proto"]
    if proto == 6:
        _tcp(row, available, by_length, more)
    elif proto in (17, 136):
        _ports(row, available, by_length, header_size=8)
        if proto == 17:
            length = _be(available[4:6])
            too_long = length > by_length and not more
            if length != 0 and (length < 8 or too_long):
                raise _Fault("udp_bad_length")
    elif proto in (33, 132):
        _ports(row, available, by_length, header_size=12)
    elif proto in (1, 58):
        if by_length >= 8:
            row["payload_len"] = by_length - 8
        if len(available) >= 1:
            row["icmp_type"] = available[0]
        if len(available) >= 2:
            row["icmp_code"] = available[1]
        if len(available) < 4:
            raise _Fault("l4_truncated")
    else:
        row["payload_len"] = by_length


def _ports(row: Row, available: bytes, by_length: int, header_size: int) -> None:
    if len(available) >= 4:
        row["src_port"] = _be(available[0:2])
        row["dst_port"] = _be(available[2:4])
    if len(available) < header_size:
        raise _Fault("l4_truncated")
    row["payload_len"] = by_length - header_size


def _tcp(row: Row, available: bytes, by_length: int, more: bool) -> None:
    if len(available) >= 4:
        row["src_port"] = _be(available[0:2])
        row["dst_port"] = _be(available[2:4])
    if len(available) < 20:
        raise _Fault("l4_truncated")
    row["tcp_seq"] = _be(available[4:8])
    row["tcp_ack"] = _be(available[8:12])
    row["tcp_flags"] = available[13]
    row["tcp_window"] = _be(available[14:16])

    header_size = (available[12] >> 4) * 4
    if header_size < 20:
        raise _Fault("tcp_bad_doff")
    if header_size > by_length:
        raise _Fault("l4_truncated" if more else "tcp_bad_doff")
    row["payload_len"] = by_length - header_size
    if header_size > len(available):
        raise _Fault("l4_truncated")

    kinds, mss, wscale = tcp_options(available[20:header_size])
    row["tcp_options"] = "-".join(str(kind) for kind in kinds)
    row["tcp_mss"] = mss
    row["tcp_wscale"] = wscale


def tcp_options(data: bytes) -> tuple[list[int], int | None, int | None]:
    """Return the kinds in wire order, the segment size and the window scale."""
    kinds: list[int] = []
    mss: int | None = None
    wscale: int | None = None
    while data:
        kind = data[0]
        if kind == 0:
            kinds.append(0)
            break
        if kind == 1:
            kinds.append(1)
            data = data[1:]
            continue
        if len(data) < 2 or data[1] < 2 or data[1] > len(data):
            raise _Fault("tcp_bad_option")
        value = data[2 : data[1]]
        kinds.append(kind)
        if kind == 2 and len(value) == 2:
            mss = _be(value)
        if kind == 3 and len(value) == 1:
            wscale = value[0]
        data = data[data[1] :]
    return kinds, mss, wscale


def _be(data: bytes) -> int:
    return int.from_bytes(data, "big")


# --- derived columns -----------------------------------------------------------------


def signature(row: Row) -> str | None:
    """`window:kinds:mss:wscale`, for TCP with a whole and valid header."""
    if row["tcp_options"] is None:
        return None
    mss = "" if row["tcp_mss"] is None else row["tcp_mss"]
    wscale = "" if row["tcp_wscale"] is None else row["tcp_wscale"]
    return f"{row['tcp_window']}:{row['tcp_options']}:{mss}:{wscale}"


def traffic(row: Row) -> str | None:
    """What a packet is: an answer to somebody else, a probe, or neither."""
    if row["ip_version"] is None:
        return None
    proto = row["proto"]
    if proto == 6 and row["tcp_flags"] is not None:
        fin, syn, rst, ack = (bool(row["tcp_flags"] & bit) for bit in (1, 2, 4, 16))
        if rst or (syn and ack):
            return "backscatter"
        if syn and not fin:
            return "scan"
    if proto == 17:
        return "scan"
    if proto == 1 and row["icmp_type"] in BACKSCATTER_ICMP:
        return "backscatter"
    if proto == 1 and row["icmp_type"] == 8:
        return "scan"
    if proto == 58 and row["icmp_type"] in BACKSCATTER_ICMPV6:
        return "backscatter"
    if proto == 58 and row["icmp_type"] == 128:
        return "scan"
    return "other"


# --- counting ------------------------------------------------------------------------

#: hour (ns), proto, dst_port, icmp_type, country, traffic, signature.
CellKey = tuple[int, int, int | None, int | None, str | None, str, str | None]
#: ... and src (16 bytes), ip_version.
SourceKey = tuple[
    int, int, int | None, int | None, str | None, str, str | None, bytes, int
]
Cell = dict[str, int]
Source = dict[str, int | None]
Country = Callable[[bytes], str | None]


def tally(
    result: CaptureResult, country: Country | None = None
) -> tuple[dict[CellKey, Cell], dict[SourceKey, Source], dict[str, int], int, int]:
    """Count a capture.

    `country` maps a source (16 bytes) to its code. Returns counts (packets, bytes and
    sources by cell), sources (packets, bytes, src_port, tcp_seq and ip_ttl by cell and
    source), uncounted (records by reason), records, counted.
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
        }
        sources[key] = source
        cell = counts.setdefault(key[:7], {"packets": 0, "bytes": 0, "sources": 0})
        cell["packets"] += len(rows)
        cell["bytes"] += sum(row["ip_len"] for row in rows)
        cell["sources"] += 1
    counted = sum(len(rows) for rows in packets.values())
    return counts, sources, dict(uncounted), len(result.rows), counted


def uncounted_reason(row: Row) -> str | None:
    """Why a record is in no cell, or None."""
    if row["ts"] is None or not TIME_FROM <= row["ts"] < TIME_TO:
        return "bad_ts"
    if row["status"] in UNCOUNTED:
        return row["status"]
    return None


def _source_key(row: Row, country: Country | None) -> SourceKey:
    code = None
    src = row["src"]
    mapped = row["ip_version"] == 6 and src[:12] == bytes(10) + b"\xff\xff"
    if country is not None and not mapped:
        code = country(src)
    return (
        row["ts"] // HOUR * HOUR,
        row["proto"],
        row["dst_port"],
        row["icmp_type"],
        code,
        row["traffic"],
        row["signature"],
        src,
        row["ip_version"],
    )


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
