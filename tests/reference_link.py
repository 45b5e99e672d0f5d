"""The oracle's link headers, and what stands between them and IP.

A header that is cut is `l2_truncated`; what leads to no IP is `non_ip`; no byte where
IP should begin is `l3_truncated`. Length fields of these headers are not used: the IP
length says where a packet ends.

Ethernet. The type is an EtherType, or up to 1500 a length: then LLC follows. The
EtherTypes: IPv4, IPv6, VLAN (three numbers), MPLS (two), a PPPoE session, and 0x6558, a
whole Ethernet frame. Any other is `non_ip`.

VLAN. Behind a tag stands a type as in Ethernet. A ninth tag of the packet is
`too_many_vlan`, whether or not it is all there. `vlan` is the outermost tag outside of
tunnels; it needs the whole first tag, and stays whatever comes after it.

LLC. At least 3 bytes. 06 06 03 is IPv4; AA AA 03, an organisation of 000000 or 0000f8
and an EtherType is SNAP; all else is `non_ip`.

PPP. A protocol of two bytes, or of one, which is odd: IPv4, IPv6, MPLS (two). PPPoE:
version 1, type 1, code 0, or `non_ip`. In PPP links ff and a second byte may precede
the protocol; a first byte of 0f or 8f makes it Cisco HDLC, which has an EtherType in
bytes 2-3, as the link type of that name always has.

MPLS. Labels up to one with the bottom bit. Then the first four bits are 4 or 6, or it
is `non_ip`.

NULL and LOOP: 4 bytes, an address family in either byte order: 2 is IPv4; 10, 24, 28
and 30 are IPv6. PFLOG: a length, at least 45, rounded up to a multiple of 4, and a
family. NFLOG: family, version 0, two bytes; then attributes: length (of at least 4),
type, value, padded to 4 bytes; at most 64. The byte order is big-endian if of the first
type the first byte without its highest bit is 0 and the second is not. Type 9 is the
packet, and may be cut; any other that is not there as a whole, or has an impossible
length, is `l2_truncated`; no packet at all is `l3_truncated`.

SLL, SLL2. Device type 824 (netlink) and 770 (frame relay) are `non_ip`; behind 803
stands radiotap. Else protocol 3 is Ethernet, 4 LLC, 7 PPP as on PPP links; or an
EtherType.

Radiotap. At least 8 bytes, all of them captured. Presence words follow each other up to
one without bit 31, within the header and at most 32, else `l2_truncated`. Flags, if bit
1 of the first is set and the byte lies within the header: behind the words, or behind 8
more bytes aligned to 8 if bit 0 is set. 0x10: the frame ends with 4 bytes of check
sequence, as far as they were captured. 0x20: the 802.11 header is padded to 4 bytes.
802.11: version 0, type data, a subtype with data, not protected, fragment 0, no A-MSDU,
or `non_ip`, as soon as it can be told; then LLC. 24 bytes, 6 more with both ToDS and
FromDS, 2 more for QoS, with it 4 more if the last flag (+HTC) is set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Row(dict[str, Any]):
    """The columns of a packet, and what is no column: the quote of an ICMP error."""

    quote: bytes = b""


#: LINKTYPE_ number -> the header that a frame begins with.
LINKS = {
    0: "family",
    1: "ethernet",
    9: "ppp link",
    12: "no header",
    14: "no header",
    50: "ppp link",
    101: "no header",
    104: "cisco hdlc",
    108: "family",
    113: "sll",
    117: "pflog",
    127: "radiotap",
    228: "no header, ipv4",
    229: "no header, ipv6",
    239: "nflog",
    276: "sll2",
}
ETHERTYPES = {
    0x0800: "ipv4",
    0x86DD: "ipv6",
    0x8100: "vlan",
    0x88A8: "vlan",
    0x9100: "vlan",
    0x8847: "mpls",
    0x8848: "mpls",
    0x8864: "pppoe",
    0x6558: "ethernet",
}
PPP_PROTOCOLS = {0x0021: "ipv4", 0x0057: "ipv6", 0x0281: "mpls", 0x0283: "mpls"}
FAMILIES = {2: "ipv4", 10: "ipv6", 24: "ipv6", 28: "ipv6", 30: "ipv6"}

MAX_VLAN = 8
MAX_LABELS = 16
MAX_ATTRIBUTES = 64
MAX_PRESENCE_WORDS = 32

#: The name of a header, and the bytes that begin with it.
Found = tuple[str, bytes]


class Fault(Exception):
    """The first fault of a packet; its message is the status."""


@dataclass
class Packet:
    """A packet in the course of being decoded."""

    decap: frozenset[str]
    cut: int  # bytes of the frame that were not captured
    row: Row
    flags: set[str] = field(default_factory=set)
    layers: int = 0
    tags: int = 0
    tunnels: int = 0


def need(data: bytes, size: int, fault: str = "l2_truncated") -> None:
    if len(data) < size:
        raise Fault(fault)


def known(table: dict[int, str], number: int) -> str:
    if number not in table:
        raise Fault("non_ip")
    return table[number]


def _type_or_length(number: int) -> str:
    return "llc" if number <= 1500 else known(ETHERTYPES, number)


def _ethernet(packet: Packet, data: bytes) -> Found:
    need(data, 14)
    return _type_or_length(be(data[12:14])), data[14:]


def _vlan(packet: Packet, data: bytes) -> Found:
    """A whole stack of tags; `data` begins behind the first number that says VLAN."""
    name = "vlan"
    while name == "vlan":
        if packet.tags == MAX_VLAN:
            raise Fault("too_many_vlan")
        packet.tags += 1
        need(data, 4)
        if packet.tunnels == 0 and packet.row["vlan"] is None:
            packet.row["vlan"] = be(data[:2]) & 0x0FFF
        name = _type_or_length(be(data[2:4]))
        data = data[4:]
    return name, data


def _llc(packet: Packet, data: bytes) -> Found:
    need(data, 3)
    if data[:3] == b"\x06\x06\x03":
        return "ipv4", data[3:]
    if data[:3] != b"\xaa\xaa\x03":
        raise Fault("non_ip")
    need(data, 8)
    if data[3:6] not in (b"\x00\x00\x00", b"\x00\x00\xf8"):
        raise Fault("non_ip")
    return known(ETHERTYPES, be(data[6:8])), data[8:]


def _ppp(data: bytes) -> Found:
    need(data, 1)
    size = 1 if data[0] % 2 else 2
    need(data, size)
    return known(PPP_PROTOCOLS, be(data[:size])), data[size:]


def _ppp_link(packet: Packet, data: bytes) -> Found:
    if data[:1] in (b"\x0f", b"\x8f"):
        return _cisco_hdlc(packet, data)
    if data[:1] == b"\xff":
        need(data, 2)
        data = data[2:]
    return _ppp(data)


def _cisco_hdlc(packet: Packet, data: bytes) -> Found:
    need(data, 4)
    return known(ETHERTYPES, be(data[2:4])), data[4:]


def _pppoe(packet: Packet, data: bytes) -> Found:
    need(data, 6)
    if data[:2] != b"\x11\x00":
        raise Fault("non_ip")
    return _ppp(data[6:])


def _mpls(packet: Packet, data: bytes) -> Found:
    for _ in range(MAX_LABELS):
        need(data, 4)
        is_bottom = data[2] & 1
        data = data[4:]
        if is_bottom:
            return by_nibble(data)
    raise Fault("too_many_layers")


def by_nibble(data: bytes) -> Found:
    need(data, 1, "l3_truncated")
    return known({4: "ipv4", 6: "ipv6"}, data[0] >> 4), data


def _family(packet: Packet, data: bytes) -> Found:
    need(data, 4)
    little = int.from_bytes(data[:4], "little")
    number = little if little in FAMILIES else be(data[:4])
    return known(FAMILIES, number), data[4:]


def _pflog(packet: Packet, data: bytes) -> Found:
    need(data, 2)
    size = (data[0] + 3) // 4 * 4
    if data[0] < 45:
        raise Fault("l2_truncated")
    need(data, size)
    return known(FAMILIES, data[1]), data[size:]


def _nflog(packet: Packet, data: bytes) -> Found:
    need(data, 4)
    name = known(FAMILIES, data[0])
    if data[1] != 0:
        raise Fault("non_ip")
    data = data[4:]
    is_big = len(data) >= 4 and data[2] & 0x7F == 0 and data[3] != 0
    order = "big" if is_big else "little"
    for _ in range(MAX_ATTRIBUTES):
        if not data:
            raise Fault("l3_truncated")
        need(data, 4)
        size = int.from_bytes(data[0:2], order)
        kind = int.from_bytes(data[2:4], order) % 0x8000
        if size < 4:
            raise Fault("l2_truncated")
        if kind == 9:
            return name, data[4:size]
        padded = (size + 3) // 4 * 4
        need(data, padded)
        data = data[padded:]
    raise Fault("too_many_layers" if data else "l3_truncated")


def _sll(packet: Packet, data: bytes) -> Found:
    need(data, 16)
    return _cooked(be(data[2:4]), be(data[14:16])), data[16:]


def _sll2(packet: Packet, data: bytes) -> Found:
    need(data, 20)
    return _cooked(be(data[8:10]), be(data[0:2])), data[20:]


def _cooked(device: int, protocol: int) -> str:
    if device in (770, 824):
        raise Fault("non_ip")
    if device == 803:
        return "radiotap"
    return known(ETHERTYPES | {3: "ethernet", 4: "llc", 7: "ppp link"}, protocol)


def _radiotap(packet: Packet, data: bytes) -> Found:
    need(data, 8)
    size = int.from_bytes(data[2:4], "little")
    if size < 8:
        raise Fault("l2_truncated")
    need(data, size)
    header, frame = data[:size], data[size:]

    words: list[int] = []
    while not words or words[-1] & 0x8000_0000:
        at = 4 + 4 * len(words)
        if len(words) == MAX_PRESENCE_WORDS or at + 4 > size:
            raise Fault("l2_truncated")
        words.append(int.from_bytes(header[at : at + 4], "little"))
    at = 4 + 4 * len(words)
    if words[0] & 1:
        at = (at + 7) // 8 * 8 + 8
    flags = header[at] if words[0] & 2 and at < size else 0

    if flags & 0x10:
        captured_check = max(0, 4 - packet.cut)
        frame = frame[: max(0, len(frame) - captured_check)]
    return _ieee80211(frame, is_padded=bool(flags & 0x20))


def _ieee80211(frame: bytes, *, is_padded: bool) -> Found:
    need(frame, 2)
    version, kind, subtype = frame[0] & 3, frame[0] >> 2 & 3, frame[0] >> 4
    to_ds, from_ds = frame[1] & 1, frame[1] & 2
    protected, htc = frame[1] & 0x40, frame[1] & 0x80
    if version != 0 or kind != 2 or subtype & 4 or protected:
        raise Fault("non_ip")
    size = 30 if to_ds and from_ds else 24
    qos = None
    if subtype & 8:
        qos = size
        size += 2 + (4 if htc else 0)
    need(frame, size)
    if frame[22] & 15 or (qos is not None and frame[qos] & 0x80):
        raise Fault("non_ip")
    if is_padded:
        size = (size + 3) // 4 * 4
    need(frame, size)
    return "llc", frame[size:]


READERS: dict[str, Callable[[Packet, bytes], Found]] = {
    "no header": lambda packet, data: ("ip", data),
    "no header, ipv4": lambda packet, data: ("ipv4", data),
    "no header, ipv6": lambda packet, data: ("ipv6", data),
    "ethernet": _ethernet,
    "vlan": _vlan,
    "llc": _llc,
    "ppp link": _ppp_link,
    "cisco hdlc": _cisco_hdlc,
    "pppoe": _pppoe,
    "mpls": _mpls,
    "family": _family,
    "pflog": _pflog,
    "nflog": _nflog,
    "sll": _sll,
    "sll2": _sll2,
    "radiotap": _radiotap,
}


def be(data: bytes) -> int:
    return int.from_bytes(data, "big")
