"""tshark's layers in the columns of a packet.

tshark opens tunnels, quotes and payloads, and guesses. Here it gives the outermost IP
header, or the innermost that tunnels lead to which fastflow opens too; and the
transport header right behind it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

import reference
from reference_link import ETHERTYPES, LINKS
from reference_packet import MAX_TUNNELS
from tshark import Dissection, Pairs, get, leaves, number

Row = dict[str, Any]

#: What tshark has a word on. A packet without the layer has None.
COLUMNS = tuple(name for name in reference.PACKET_COLUMNS if name != "status")

#: tshark's number of an encapsulation (wiretap/wtap.h, WTAP_ENCAP_) -> link types.
LINKTYPES = {
    1: (1,),  # ETHERNET
    4: (9, 50),  # PPP
    7: (12, 14, 101),  # RAW_IP
    15: (0,),  # NULL
    23: (127,),  # IEEE_802_11_RADIOTAP
    25: (113,),  # SLL
    28: (104,),  # CHDLC
    39: (117,),  # PFLOG
    129: (228,),  # RAW_IP4
    130: (229,),  # RAW_IP6
    141: (239,),  # NFLOG
    174: (108,),  # LOOP
    210: (276,),  # SLL2
}
ENCAP_ERF = 98
#: ERF types of which fastflow knows the link type, by erf.types.
ERF_LINKTYPES = {2: 1, 11: 1, 16: 1, 20: 1, 22: 228, 23: 229}

#: One more extension header here, a layer of its own in tshark.
EXTENSIONS = ("ah", "mipv6", "hip", "shim6")
NEXT_HEADERS = (
    "ipv6.nxt",
    "ipv6.hopopts.nxt",
    "ipv6.routing.nxt",
    "ipv6.fraghdr.nxt",
    "ipv6.dstopts.nxt",
    "ah.next_header",
    "mip6.proto",
    "hip.proto",
    "shim6.nxt",
)
#: What fastflow reads between a link header and IP.
LINK_LAYERS = frozenset(
    ("eth", "vlan", "ieee8021ad", "llc", "pppoes", "ppp", "mpls", "chdlc", "null")
).union(("sll", "nflog", "pflog", "radiotap", "wlan", "wlan_radio", "raw", "erf"))
UDP_TUNNELS = ("vxlan", "geneve", "gtp")
GRE_PROTOCOLS = {*ETHERTYPES, 0x88BE, 0x22EB}


@dataclass(frozen=True)
class Difference:
    """One value that is not the same; `packet` counts from 0, -1 is the file."""

    packet: int
    column: str
    ours: Any
    tshark: Any

    def __str__(self) -> str:
        return f"packet {self.packet}: {self.column} {self.ours!r} != {self.tshark!r}"


def compare(ours: list[Row], tshark: list[Row]) -> list[Difference]:
    """List every value on which the rows of a decoder and of tshark differ."""
    differences = []
    if len(ours) != len(tshark):
        differences.append(Difference(-1, "packets", len(ours), len(tshark)))
    for packet, (mine, other) in enumerate(zip(ours, tshark, strict=False)):
        differences += [
            Difference(packet, column, mine[column], other[column])
            for column in COLUMNS
            if not _is_same(column, mine[column], other[column])
        ]
    return differences


def _is_same(column: str, ours: Any, tshark: Any) -> bool:
    if column == "linktype":
        return ours in tshark if tshark else ours not in LINKS
    if column == "payload_len" and tshark is None:
        return True  # of most protocols tshark does not say it
    return bool(ours == tshark)


def find_ip(packet: Dissection, *, opened: bool = False) -> int | None:
    """Say which layer is the outermost IP header, or the innermost in tunnels.

    A header that tshark finds to be invalid has no address, and is not gone through.
    """
    at = _next_ip(packet, 0)
    if at is not None and packet.names[at : at + 2] == ["ip", "ipv6"]:
        at += not _has_address(packet, at)  # handed over, for its version is 6
    for _ in range(MAX_TUNNELS if opened else 0):
        inner = None if at is None else _behind_tunnel(packet, at)
        if inner is None or not _has_address(packet, inner):
            break
        at = inner
    return at


def row_of(packet: Dissection, *, opened: bool = False) -> Row:
    """Return `COLUMNS` of a packet; `opened`: of what is in its tunnels."""
    row = _record(packet)
    for name, fields in packet.layers[: find_ip(packet)]:
        if name in ("vlan", "ieee8021ad") and row["vlan"] is None:
            row["vlan"] = number(fields, "vlan.id", "ieee8021ad.id")
    at = find_ip(packet, opened=opened)
    if at is not None and _has_address(packet, at):
        _network(row, packet.layers[at:])
    return row


def _record(packet: Dissection) -> Row:
    row: Row = dict.fromkeys(COLUMNS)
    time = get(packet.frame, "frame.time_epoch")
    if time is not None:
        seconds, _, fraction = time.lstrip("-").partition(".")
        row["ts"] = int(seconds) * 10**9 + int(fraction)
        row["ts"] *= -1 if time.startswith("-") else 1
    row["caplen"] = number(packet.frame, "frame.cap_len")
    row["wirelen"] = number(packet.frame, "frame.len")
    row["linktype"] = linktypes(packet)
    return row


def linktypes(packet: Dissection) -> tuple[int, ...]:
    """Link types that tshark's encapsulation stands for; none if not decoded here."""
    encap = number(packet.frame, "frame.encap_type")
    if encap == ENCAP_ERF:
        erf = get(packet.layers, "erf")
        kind = next(int(v, 0) for name, v in leaves(erf) if name == "erf.types.type")
        return (ERF_LINKTYPES.get(kind, 197),)
    return LINKTYPES.get(encap or 0, ())


def _next_ip(packet: Dissection, start: int) -> int | None:
    names = packet.names
    return next(
        (i for i in range(start, len(names)) if names[i] in ("ip", "ipv6")), None
    )


def _has_address(packet: Dissection, at: int) -> bool:
    name, ip = packet.layers[at]
    return get(ip, f"{name}.src") is not None


def _behind_tunnel(packet: Dissection, at: int) -> int | None:
    """Find the IP header that the one at `at` carries, if fastflow opens that."""
    inner = _next_ip(packet, at + 1)
    if inner is None:
        return None
    way = packet.layers[at + 1 : inner]
    if packet.names[at] == "ipv6":
        way = [layer for layer in way if layer[0] not in EXTENSIONS]
    names = [name for name, _ in way]
    if names[:1] == ["gre"]:
        if number(way[0][1], "gre.proto") not in GRE_PROTOCOLS:
            return None
        names = [name for name in names[1:] if name != "erspan"]
    elif names[:1] == ["udp"] and names[1:2] and names[1] in UDP_TUNNELS:
        names = names[2:]
    elif names:
        return None
    return inner if LINK_LAYERS.issuperset(names) else None


def _network(row: Row, layers: list[tuple[str, Pairs]]) -> None:
    (name, ip), *behind = layers
    if name == "ip":
        _ipv4(row, ip)
    else:
        while behind and behind[0][0] in EXTENSIONS:
            ip = ip + behind[0][1]
            behind = behind[1:]
        _ipv6(row, ip)
    if behind:
        _transport(row, *behind[0])


def _ipv4(row: Row, ip: Pairs) -> None:
    row["ip_version"] = 4
    for column, name in (("src", "ip.src"), ("dst", "ip.dst")):
        text = get(ip, name)
        if text is not None:
            row[column] = bytes(10) + b"\xff\xff" + ipaddress.IPv4Address(text).packed
    row["proto"] = number(ip, "ip.proto")
    row["ip_ttl"] = number(ip, "ip.ttl")
    row["ip_tos"] = number(ip, "ip.dsfield")
    row["ip_id"] = number(ip, "ip.id")
    row["ip_len"] = number(ip, "ip.len")
    offset = number(ip, "ip.frag_offset")
    row["ip_frag"] = None if offset is None else offset * 8


def _ipv6(row: Row, ip: Pairs) -> None:
    row["ip_version"] = 6
    for column, name in (("src", "ipv6.src"), ("dst", "ipv6.dst")):
        text = get(ip, name)
        if text is not None:
            row[column] = ipaddress.IPv6Address(text).packed
    flat = leaves(ip)
    numbers = [int(value, 0) for name, value in flat if name in NEXT_HEADERS]
    row["proto"] = numbers[-1] if numbers else None
    row["ip_ttl"] = number(ip, "ipv6.hlim")
    row["ip_tos"] = number(ip, "ipv6.tclass")
    length = number(ip, "ipv6.plen")
    row["ip_len"] = None if length is None else 40 + length
    offsets = [int(v, 0) for name, v in flat if name == "ipv6.fraghdr.offset"]
    row["ip_frag"] = offsets[-1] * 8 if offsets else 0


def _transport(row: Row, name: str, fields: Pairs) -> None:
    if name in ("tcp", "udp", "udplite", "sctp", "dccp"):
        prefix = "udp" if name == "udplite" else name
        row["src_port"] = number(fields, f"{prefix}.srcport", f"{name}.srcport")
        row["dst_port"] = number(fields, f"{prefix}.dstport", f"{name}.dstport")
    if name in ("icmp", "icmpv6"):
        row["icmp_type"] = number(fields, f"{name}.type")
        row["icmp_code"] = number(fields, f"{name}.code")
    if name == "udp":
        length = number(fields, "udp.length")
        row["payload_len"] = None if length is None or length < 8 else length - 8
    if name == "tcp":
        _tcp(row, fields)


def _tcp(row: Row, fields: Pairs) -> None:
    flags = number(fields, "tcp.flags")
    row["tcp_flags"] = None if flags is None else flags & 0xFF
    row["tcp_seq"] = number(fields, "tcp.seq_raw")
    row["tcp_ack"] = number(fields, "tcp.ack_raw")
    row["tcp_window"] = number(fields, "tcp.window_size_value")
    row["payload_len"] = number(fields, "tcp.len")
    flat = leaves(get(fields, "tcp.options_tree") or [])
    if row["tcp_window"] is not None:
        kinds = [v for option, v in flat if option == "tcp.option_kind"]
        # Ours end with the first 0; tshark goes on and lists the padding.
        end = kinds.index("0") + 1 if "0" in kinds else len(kinds)
        row["tcp_options"] = "-".join(kinds[:end])
    for column, option in (
        ("tcp_mss", "tcp.options.mss_val"),
        ("tcp_wscale", "tcp.options.wscale.shift"),
    ):
        values = [int(v) for name, v in flat if name == option]
        row[column] = values[-1] if values else None
