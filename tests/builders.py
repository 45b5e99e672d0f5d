"""Captures and packets, written with `struct.pack` and nothing else.

Every function returns bytes. Lengths and checksums are right unless a caller overrides
them: a test that wants a lie says so by name (`total_length=0`). Checksums are left
zero, since nothing under test reads them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Literal

from link_builders import *  # noqa: F403 - links and tunnels are builders too
from link_builders import LINKTYPE_ETHERNET

ByteOrder = Literal["little", "big"]

MAGIC_USEC = 0xA1B2C3D4
MAGIC_NSEC = 0xA1B23C4D
#: Alexey Kuznetsov's variant: record headers have 24 bytes.
MAGIC_MODIFIED = 0xA1B2CD34
MAGICS = (MAGIC_USEC, MAGIC_NSEC, MAGIC_MODIFIED)

ICMP, TCP, UDP, DCCP, GRE, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 33, 47, 58, 132, 136
IPIP, IPV6_IN = 4, 41
HOP_BY_HOP, ROUTING, FRAGMENT, AUTH, NO_NEXT, DEST_OPTIONS = 0, 43, 44, 51, 59, 60

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128

SRC4, DST4 = bytes([192, 0, 2, 1]), bytes([198, 51, 100, 2])
SRC6 = bytes.fromhex("20010db8000000000000000000000001")
DST6 = bytes.fromhex("20010db8000000000000000000000002")

#: 2020-08-26 12:00:00 UTC, the full hour.
T0 = 1_598_443_200


def _mark(byteorder: ByteOrder) -> str:
    return "<" if byteorder == "little" else ">"


# --- files ---------------------------------------------------------------------------


def pcap_header(
    *,
    magic: int = MAGIC_USEC,
    byteorder: ByteOrder = "little",
    version: tuple[int, int] = (2, 4),
    snaplen: int = 65_535,
    linktype: int = LINKTYPE_ETHERNET,
    fcs_words: int | None = None,
) -> bytes:
    """File header; `linktype` is the whole 32-bit word, `fcs_words` adds to it."""
    word = linktype
    if fcs_words is not None:
        word |= 0x0400_0000 | (fcs_words << 28)
    return struct.pack(
        _mark(byteorder) + "IHHiIII", magic, *version, 0, 0, snaplen, word
    )


def pcap_record(
    packet: bytes = b"",
    *,
    sec: int = T0,
    frac: int = 0,
    caplen: int | None = None,
    wirelen: int | None = None,
    byteorder: ByteOrder = "little",
    modified: bool = False,
    swapped: bool = False,
) -> bytes:
    """Record header and body; `swapped` writes the lengths as version 2.2 does."""
    caplen = len(packet) if caplen is None else caplen
    wirelen = len(packet) if wirelen is None else wirelen
    lengths = (wirelen, caplen) if swapped else (caplen, wirelen)
    mark = _mark(byteorder)
    header = struct.pack(mark + "IIII", sec, frac, *lengths)
    if modified:
        header += struct.pack(mark + "IHBB", 2, 0x0800, 0, 0)
    return header + packet


@dataclass
class PcapBuilder:
    """A capture in the making: one file header, then records in its dialect."""

    magic: int = MAGIC_USEC
    byteorder: ByteOrder = "little"
    version: tuple[int, int] = (2, 4)
    snaplen: int = 65_535
    linktype: int = LINKTYPE_ETHERNET
    fcs_words: int | None = None
    body: list[bytes] = field(default_factory=list)

    def add(
        self,
        packet: bytes = b"",
        *,
        sec: int = T0,
        frac: int = 0,
        caplen: int | None = None,
        wirelen: int | None = None,
        swapped: bool | None = None,
    ) -> PcapBuilder:
        if swapped is None:
            swapped = self.version < (2, 3)
        record = pcap_record(
            packet,
            sec=sec,
            frac=frac,
            caplen=caplen,
            wirelen=wirelen,
            byteorder=self.byteorder,
            modified=self.magic == MAGIC_MODIFIED,
            swapped=swapped,
        )
        return self.raw(record)

    def raw(self, data: bytes) -> PcapBuilder:
        """Append bytes as they are."""
        self.body.append(data)
        return self

    def build(self) -> bytes:
        header = pcap_header(
            magic=self.magic,
            byteorder=self.byteorder,
            version=self.version,
            snaplen=self.snaplen,
            linktype=self.linktype,
            fcs_words=self.fcs_words,
        )
        return header + b"".join(self.body)


def capture(*packets: bytes, linktype: int = LINKTYPE_ETHERNET) -> bytes:
    """Return a plain capture of the packets, one a second from `T0` on."""
    builder = PcapBuilder(linktype=linktype)
    for second, packet in enumerate(packets):
        builder.add(packet, sec=T0 + second)
    return builder.build()


# --- network layer -------------------------------------------------------------------


def ipv4(
    payload: bytes = b"",
    *,
    proto: int = TCP,
    src: bytes = SRC4,
    dst: bytes = DST4,
    ttl: int = 64,
    tos: int = 0,
    ident: int = 1,
    options: bytes = b"",
    version: int = 4,
    ihl: int | None = None,
    total_length: int | None = None,
    frag_offset: int = 0,
    more_fragments: bool = False,
    dont_fragment: bool = False,
) -> bytes:
    """IPv4 packet; `frag_offset` in bytes, `options` zero-padded to whole words."""
    options += bytes(-len(options) % 4)
    if ihl is None:
        ihl = 5 + len(options) // 4
    if total_length is None:
        total_length = 20 + len(options) + len(payload)
    flags = (dont_fragment << 14) | (more_fragments << 13) | (frag_offset // 8)
    header = struct.pack(
        ">BBHHHBBH4s4s",
        (version << 4) | (ihl & 15),
        tos,
        total_length & 0xFFFF,
        ident,
        flags,
        ttl,
        proto,
        0,
        src,
        dst,
    )
    return header + options + payload


@dataclass(frozen=True)
class Ext:
    """An IPv6 extension header: its number and all of its bytes after the first."""

    number: int
    rest: bytes


def ext_options(
    number: int = HOP_BY_HOP, *, words: int = 0, length: int | None = None
) -> Ext:
    """Hop-by-hop or destination options: one PadN; `length` overrides the field."""
    size = 8 * (words + 1)
    data = b"\x01" + bytes([size - 4]) + bytes(size - 4)
    return Ext(number, bytes([words if length is None else length]) + data)


def ext_routing(*, words: int = 0, length: int | None = None) -> Ext:
    """Routing header of an unknown type with no segments left."""
    data = b"\xfd\x00" + bytes(8 * (words + 1) - 4)
    return Ext(ROUTING, bytes([words if length is None else length]) + data)


def ext_fragment(*, offset: int = 0, more: bool = False, ident: int = 7) -> Ext:
    return Ext(FRAGMENT, struct.pack(">BHI", 0, (offset & 0xFFF8) | more, ident))


def ext_auth(*, icv: bytes = bytes(12), length: int | None = None) -> Ext:
    """Authentication header; its length field counts 4-byte units, less two."""
    if length is None:
        length = (12 + len(icv)) // 4 - 2
    return Ext(AUTH, struct.pack(">BHII", length, 0, 1, 1) + icv)


def ipv6(
    payload: bytes = b"",
    *,
    proto: int = TCP,
    extensions: tuple[Ext, ...] = (),
    src: bytes = SRC6,
    dst: bytes = DST6,
    hop_limit: int = 64,
    traffic_class: int = 0,
    flow: int = 0,
    version: int = 6,
    payload_length: int | None = None,
) -> bytes:
    """IPv6 packet with its extension headers chained up to `proto`."""
    numbers = [ext.number for ext in extensions] + [proto]
    chain = b"".join(
        bytes([following]) + ext.rest
        for ext, following in zip(extensions, numbers[1:], strict=True)
    )
    body = chain + payload
    if payload_length is None:
        payload_length = len(body)
    first = (version << 28) | (traffic_class << 20) | flow
    return (
        struct.pack(">IHBB", first, payload_length & 0xFFFF, numbers[0], hop_limit)
        + src
        + dst
        + body
    )


# --- transport layer -----------------------------------------------------------------


def option(kind: int, data: bytes = b"", *, length: int | None = None) -> bytes:
    """TCP option with a length byte, which `length` overrides."""
    return bytes([kind, len(data) + 2 if length is None else length]) + data


def eol() -> bytes:
    return b"\x00"


def nop() -> bytes:
    return b"\x01"


def mss(value: int = 1460) -> bytes:
    return option(2, struct.pack(">H", value))


def wscale(shift: int = 7) -> bytes:
    return option(3, bytes([shift]))


def sack_permitted() -> bytes:
    return option(4)


def timestamp(value: int = 1, echo: int = 0) -> bytes:
    return option(8, struct.pack(">II", value, echo))


def tcp(
    payload: bytes = b"",
    *,
    src_port: int = 40_000,
    dst_port: int = 23,
    seq: int = 1,
    ack: int = 0,
    flags: int = SYN,
    window: int = 1024,
    options: bytes = b"",
    doff: int | None = None,
) -> bytes:
    """TCP segment; `options` must fill whole words, unless `doff` says otherwise."""
    if doff is None:
        assert len(options) % 4 == 0, "pad the options: the padding is part of a case"
        doff = 5 + len(options) // 4
    header = struct.pack(
        ">HHIIBBHHH",
        src_port,
        dst_port,
        seq,
        ack,
        (doff & 15) << 4,
        flags,
        window,
        0,
        0,
    )
    return header + options + payload


def udp(
    payload: bytes = b"",
    *,
    src_port: int = 40_000,
    dst_port: int = 53,
    length: int | None = None,
) -> bytes:
    if length is None:
        length = 8 + len(payload)
    return struct.pack(">HHHH", src_port, dst_port, length & 0xFFFF, 0) + payload


def icmp(payload: bytes = b"", *, type: int = 8, code: int = 0) -> bytes:
    return struct.pack(">BBHI", type, code, 0, 0) + payload


def sctp(
    payload: bytes = b"", *, src_port: int = 40_000, dst_port: int = 2905
) -> bytes:
    return struct.pack(">HHII", src_port, dst_port, 0, 0) + payload


def dccp(
    payload: bytes = b"", *, src_port: int = 40_000, dst_port: int = 5001
) -> bytes:
    """Only what is read of DCCP: ports, and twelve bytes in all."""
    return struct.pack(">HHBBHI", src_port, dst_port, 3, 0, 0, 0) + payload
