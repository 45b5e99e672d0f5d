"""pcapng files, written with `struct.pack` and nothing else.

Every function returns bytes. Lengths and padding are right unless a caller overrides
them: a test that wants a lie says so by name (`length=8`, `trailer=0`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from builders import LINKTYPE_ETHERNET, T0, ByteOrder

SHB, IDB, PB, SPB, NRB, ISB, EPB = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6
DSB, CUSTOM, CUSTOM_NO_COPY = 10, 0xBAD, 0x40000BAD
MAX_BLOCK = 1 << 20

OPT_END, OPT_COMMENT = 0, 1
IF_NAME, IF_TSRESOL, IF_TSOFFSET = 2, 9, 14
ISB_IFRECV, ISB_IFDROP, ISB_OSDROP = 4, 5, 7
EPB_DROPCOUNT = 4


@dataclass(frozen=True)
class Blocks:
    """Blocks of one byte order."""

    byteorder: ByteOrder = "little"

    @property
    def mark(self) -> str:
        return "<" if self.byteorder == "little" else ">"

    def pack(self, layout: str, *values: int) -> bytes:
        return struct.pack(self.mark + layout, *values)

    def block(
        self,
        kind: int,
        body: bytes = b"",
        *,
        length: int | None = None,
        trailer: int | None = None,
    ) -> bytes:
        """Return a block; its body is padded to whole words."""
        body = _padded(body)
        length = 12 + len(body) if length is None else length
        trailer = length if trailer is None else trailer
        return self.pack("II", kind, length) + body + self.pack("I", trailer)

    def option(
        self, code: int, value: bytes = b"", *, length: int | None = None
    ) -> bytes:
        length = len(value) if length is None else length
        return self.pack("HH", code, length) + _padded(value)

    def end_of_options(self) -> bytes:
        return self.option(OPT_END)

    def tsresol(self, value: int) -> bytes:
        """Return the option: 10^-value, or 2^-(value - 128) from 128 on."""
        return self.option(IF_TSRESOL, bytes([value]))

    def tsoffset(self, seconds: int) -> bytes:
        return self.option(IF_TSOFFSET, self.pack("q", seconds))

    def counter(self, code: int, value: int) -> bytes:
        return self.option(code, self.pack("Q", value))

    def shb(
        self,
        options: bytes = b"",
        *,
        magic: int = 0x1A2B3C4D,
        version: tuple[int, int] = (1, 0),
        section: int = -1,
        length: int | None = None,
        trailer: int | None = None,
    ) -> bytes:
        body = self.pack("IHHq", magic, *version, section) + options
        return self.block(SHB, body, length=length, trailer=trailer)

    def idb(
        self,
        options: bytes = b"",
        *,
        linktype: int = LINKTYPE_ETHERNET,
        snaplen: int = 65_535,
    ) -> bytes:
        return self.block(IDB, self.pack("HHI", linktype, 0, snaplen) + options)

    def epb(
        self,
        packet: bytes = b"",
        *,
        interface: int = 0,
        units: int = T0 * 1_000_000,
        caplen: int | None = None,
        wirelen: int | None = None,
        options: bytes = b"",
        length: int | None = None,
        trailer: int | None = None,
    ) -> bytes:
        """Return an enhanced packet block; `units` is its 64-bit time."""
        caplen = len(packet) if caplen is None else caplen
        wirelen = len(packet) if wirelen is None else wirelen
        fixed = self.pack("III", interface, units >> 32, units & 0xFFFF_FFFF)
        body = fixed + self.pack("II", caplen, wirelen) + _padded(packet) + options
        return self.block(EPB, body, length=length, trailer=trailer)

    def pb(
        self,
        packet: bytes = b"",
        *,
        interface: int = 0,
        drops: int = 0xFFFF,
        units: int = T0 * 1_000_000,
        caplen: int | None = None,
        wirelen: int | None = None,
    ) -> bytes:
        """Return a packet block, which the enhanced one has taken the place of."""
        caplen = len(packet) if caplen is None else caplen
        wirelen = len(packet) if wirelen is None else wirelen
        fixed = self.pack("HHII", interface, drops, units >> 32, units & 0xFFFF_FFFF)
        return self.block(PB, fixed + self.pack("II", caplen, wirelen) + packet)

    def spb(self, packet: bytes = b"", *, wirelen: int | None = None) -> bytes:
        wirelen = len(packet) if wirelen is None else wirelen
        return self.block(SPB, self.pack("I", wirelen) + packet)

    def isb(self, options: bytes = b"", *, interface: int = 0) -> bytes:
        return self.block(ISB, self.pack("III", interface, 0, 0) + options)

    def isb_drops(
        self,
        *,
        interface: int = 0,
        ifdrop: int | None = None,
        osdrop: int | None = None,
    ) -> bytes:
        """Return statistics with these loss counters."""
        options = b""
        if ifdrop is not None:
            options += self.counter(ISB_IFDROP, ifdrop)
        if osdrop is not None:
            options += self.counter(ISB_OSDROP, osdrop)
        return self.isb(options + self.end_of_options(), interface=interface)


LITTLE, BIG = Blocks("little"), Blocks("big")
BOTH = (LITTLE, BIG)


@dataclass
class PcapngBuilder:
    """A file in the making: one section, one interface, and what is added."""

    blocks: Blocks = LITTLE
    linktype: int = LINKTYPE_ETHERNET
    snaplen: int = 65_535
    options: bytes = b""
    body: list[bytes] = field(default_factory=list)

    def add(
        self, packet: bytes = b"", *, sec: int = T0, micros: int = 0
    ) -> PcapngBuilder:
        units = sec * 1_000_000 + micros
        return self.raw(self.blocks.epb(packet, units=units))

    def raw(self, data: bytes) -> PcapngBuilder:
        """Append bytes as they are."""
        self.body.append(data)
        return self

    def build(self) -> bytes:
        k = self.blocks
        idb = k.idb(self.options, linktype=self.linktype, snaplen=self.snaplen)
        return k.shb() + idb + b"".join(self.body)


def capture(*packets: bytes, linktype: int = LINKTYPE_ETHERNET) -> bytes:
    """Return a plain capture of the packets, one a second from `T0` on."""
    builder = PcapngBuilder(linktype=linktype)
    for second, packet in enumerate(packets):
        builder.add(packet, sec=T0 + second)
    return builder.build()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
