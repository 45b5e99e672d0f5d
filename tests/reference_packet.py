"""The oracle's packets: a slow, obvious decoder from a frame to a row of columns.

It is written from the documents and from nothing else, and what it does not say is not
a rule. A packet's status is its first fault; then nothing further in is looked at.

Layers. A frame is a sequence of layers: the link header (also where the link type has
none), a stack of VLAN tags, LLC, PPPoE with PPP, a stack of MPLS labels, an IP header
with its extension headers, a tunnel, an Ethernet header inside of something else. A
seventeenth layer, a fifth tunnel and a seventeenth MPLS label are `too_many_layers`,
whether or not they are all there. A header that is cut is `l2_truncated`; what leads to
no IP is `non_ip`; no byte where IP should begin is `l3_truncated`. Length fields of
these headers are not used: the IP length says where a packet ends.

Link headers, and what stands between them and IP: see reference_link.py.

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
only from valid IP headers, and count once a packet.

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

Tunnels. Those in `decap` are opened, if nothing is wrong so far and the packet is no
later fragment. The IP header inside, if it is valid, takes the place of all columns
from ip_version on; a fault before that leaves those of the outer packet, and names the
status. Hence a packet is counted if its outermost IP header is valid.
Their headers: see reference_tunnel.py.
"""

from __future__ import annotations

from reference_link import LINKS, READERS, Fault, Packet, Row, be, need
from reference_tunnel import tunnel

RECORD_COLUMNS = ("ts", "caplen", "wirelen", "linktype", "vlan")
#: What the innermost valid IP header gives, and what comes behind it.
IP_COLUMNS = (
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
)
#: Columns of a packet, in the order of the data model.
PACKET_COLUMNS = (*RECORD_COLUMNS, *IP_COLUMNS, "status")
DERIVED_COLUMNS = ("signature", "traffic", "tool")
COLUMNS = PACKET_COLUMNS + DERIVED_COLUMNS

#: IP versions that a name announces.
IP = {"ipv4": (4,), "ipv6": (6,), "ip": (4, 6)}

MAX_LAYERS = 16
MAX_TUNNELS = 4
EXTENSION_HEADERS = (0, 43, 44, 51, 60, 135, 139, 140)
MAX_EXTENSIONS = 16

BACKSCATTER_ICMP = (0, 3, 4, 5, 11, 12, 14, 16, 18)
BACKSCATTER_ICMPV6 = (1, 2, 3, 4, 129)


def decode_packet(
    frame: bytes,
    linktype: int,
    *,
    cut: int = 0,
    decap: frozenset[str] = frozenset(),
) -> tuple[Row, set[str]]:
    """Decode one frame; the columns of the record header stay None.

    `cut` is the number of bytes by which the capture is shorter than the frame was,
    `decap` names the tunnels to open.
    """
    row = Row.fromkeys(COLUMNS)
    row["status"] = "ok"
    packet = Packet(decap, cut, row)
    try:
        _decode(packet, LINKS[linktype], frame)
    except Fault as fault:
        row["status"] = str(fault)
    row["signature"] = signature(row)
    row["traffic"] = traffic(row)
    return row, packet.flags


def _decode(packet: Packet, name: str, data: bytes) -> None:
    while True:
        _count_layer(packet)
        if name not in IP:
            name, data = READERS[name](packet, data)
            continue
        payload = _ip(packet, data, IP[name])
        inner = None if payload is None else tunnel(packet, payload)
        if inner is None:
            return
        if packet.tunnels == MAX_TUNNELS:
            raise Fault("too_many_layers")
        _count_layer(packet)
        packet.tunnels += 1
        name, data = inner


def _count_layer(packet: Packet) -> None:
    if packet.layers == MAX_LAYERS:
        raise Fault("too_many_layers")
    packet.layers += 1


# --- IP ------------------------------------------------------------------------------


def _ip(packet: Packet, data: bytes, versions: tuple[int, ...]) -> bytes | None:
    """Fill the columns; return the bytes behind, None if a later fragment's."""
    need(data, 1, "l3_truncated")
    if data[0] >> 4 not in versions:
        raise Fault("bad_ip_version")
    if data[0] >> 4 == 4:
        return _ipv4(packet.row, packet.flags, data)
    return _ipv6(packet.row, packet.flags, data)


def _ipv4(row: Row, flags: set[str], packet: bytes) -> bytes | None:
    captured = len(packet)
    if captured < 20:
        raise Fault("ip_truncated")
    header_size = (packet[0] & 15) * 4
    if header_size < 20:
        raise Fault("ip_bad_ihl")
    total = be(packet[2:4])
    if total != 0 and total < header_size:
        raise Fault("ip_bad_length")
    if captured < header_size:
        raise Fault("ip_truncated")
    if total == 0:
        flags.add("ip_len_zero")
        total = captured
    if captured < total:
        flags.add("snap_truncated")

    fragment = be(packet[6:8])
    offset = (fragment & 0x1FFF) * 8
    more = bool(fragment & 0x2000)
    if offset or more:
        flags.add("frag")

    row.update(dict.fromkeys(IP_COLUMNS))
    row["ip_version"] = 4
    row["ip_tos"] = packet[1]
    row["ip_len"] = total
    row["ip_id"] = be(packet[4:6])
    row["ip_frag"] = offset
    row["ip_ttl"] = packet[8]
    row["proto"] = packet[9]
    row["src"] = bytes(10) + b"\xff\xff" + packet[12:16]
    row["dst"] = bytes(10) + b"\xff\xff" + packet[16:20]
    if offset != 0:
        return None
    available = packet[header_size : min(captured, total)]
    _transport(row, available, total - header_size, more)
    return available


def _ipv6(row: Row, flags: set[str], packet: bytes) -> bytes | None:
    captured = len(packet)
    if captured < 40:
        raise Fault("ip_truncated")
    total = 40 + be(packet[4:6])
    if total == 40 and captured > 40 and packet[6] != 59:
        flags.add("ip_len_zero")
        total = captured
    if captured < total:
        flags.add("snap_truncated")

    row.update(dict.fromkeys(IP_COLUMNS))
    row["ip_version"] = 6
    row["ip_tos"] = (be(packet[0:2]) >> 4) & 0xFF
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
                raise Fault("too_many_ext")
            if len(rest) < 8:  # none is shorter
                raise Fault("ip6_ext_truncated")
            if number == 44:
                size = 8
            elif number == 51:
                size = (rest[1] + 2) * 4
            else:
                size = (rest[1] + 1) * 8
            if len(rest) < size:
                raise Fault("ip6_ext_truncated")

            allowed = 2 if number == 60 else 1
            if met.count(number) >= allowed or (number == 0 and met):
                in_order = False
            met.append(number)

            following = rest[0]
            if number == 44:
                offset = be(rest[2:4]) & 0xFFF8
                more = more or bool(rest[3] & 1)
                row["ip_frag"] = offset
                if offset:
                    row["proto"] = following
                    return None
            number = following
            rest = rest[size:]
            by_length -= size
    finally:
        if not in_order:
            flags.add("ip6_ext_order")
        if row["ip_frag"] or more:
            flags.add("frag")
    row["proto"] = number
    _transport(row, rest, by_length, more)
    return rest


def _transport(row: Row, available: bytes, by_length: int, more: bool) -> None:
    proto = row["proto"]
    if proto == 6:
        _tcp(row, available, by_length, more)
    elif proto in (17, 136):
        _ports(row, available, by_length, header_size=8)
        if proto == 17:
            length = be(available[4:6])
            too_long = length > by_length and not more
            if length != 0 and (length < 8 or too_long):
                raise Fault("udp_bad_length")
    elif proto in (33, 132):
        _ports(row, available, by_length, header_size=12)
    elif proto in (1, 58):
        if by_length >= 8:
            row["payload_len"] = by_length - 8
        if len(available) >= 1:
            row["icmp_type"] = available[0]
        if len(available) >= 2:
            row["icmp_code"] = available[1]
        row.quote = available[8:]
        if len(available) < 4:
            raise Fault("l4_truncated")
    else:
        row["payload_len"] = by_length


def _ports(row: Row, available: bytes, by_length: int, header_size: int) -> None:
    if len(available) >= 4:
        row["src_port"] = be(available[0:2])
        row["dst_port"] = be(available[2:4])
    if len(available) < header_size:
        raise Fault("l4_truncated")
    row["payload_len"] = by_length - header_size


def _tcp(row: Row, available: bytes, by_length: int, more: bool) -> None:
    if len(available) >= 4:
        row["src_port"] = be(available[0:2])
        row["dst_port"] = be(available[2:4])
    if len(available) < 20:
        raise Fault("l4_truncated")
    row["tcp_seq"] = be(available[4:8])
    row["tcp_ack"] = be(available[8:12])
    row["tcp_flags"] = available[13]
    row["tcp_window"] = be(available[14:16])

    header_size = (available[12] >> 4) * 4
    if header_size < 20:
        raise Fault("tcp_bad_doff")
    if header_size > by_length:
        raise Fault("l4_truncated" if more else "tcp_bad_doff")
    row["payload_len"] = by_length - header_size
    if header_size > len(available):
        raise Fault("l4_truncated")

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
            raise Fault("tcp_bad_option")
        value = data[2 : data[1]]
        kinds.append(kind)
        if kind == 2 and len(value) == 2:
            mss = be(value)
        if kind == 3 and len(value) == 1:
            wscale = value[0]
        data = data[data[1] :]
    return kinds, mss, wscale


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
