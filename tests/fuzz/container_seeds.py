"""Seeds of pcapng, ERF and snoop, and classic ones too large for a fuzzer."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import builders as b
import link_builders as links

SHB, IDB, PB, SPB, NRB, ISB, EPB = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6
CUSTOM = 0x0BAD
IF_NAME, IF_TSRESOL, IF_TSOFFSET = 2, 9, 14
ISB_IFDROP, ISB_OSDROP = 5, 7

ERF_ETH, ERF_COLOR_ETH, ERF_IPV4, ERF_IPV6, ERF_META, ERF_PAD = 2, 11, 22, 23, 27, 48

FRAME = b.ethernet(b.ipv4(b.tcp(options=b.mss())))
FRAME6 = b.ethernet(b.ipv6(b.udp(b"abc"), proto=b.UDP), ethertype=b.ETHERTYPE_IPV6)


# --- pcapng --------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """Writes blocks in one byte order."""

    byteorder: b.ByteOrder = "little"

    def pack(self, format: str, *values: int) -> bytes:
        return struct.pack(
            ("<" if self.byteorder == "little" else ">") + format, *values
        )

    def block(self, type: int, body: bytes, *, length: int | None = None) -> bytes:
        body += bytes(-len(body) % 4)
        length = len(body) + 12 if length is None else length
        return self.pack("II", type, length) + body + self.pack("I", length)

    def option(
        self, code: int, value: bytes = b"", *, length: int | None = None
    ) -> bytes:
        length = len(value) if length is None else length
        return self.pack("HH", code, length) + value + bytes(-len(value) % 4)

    def header(self, *, major: int = 1, minor: int = 0, options: bytes = b"") -> bytes:
        body = self.pack("IHHQ", 0x1A2B3C4D, major, minor, 0xFFFF_FFFF_FFFF_FFFF)
        return self.block(SHB, body + options)

    def interface(
        self, linktype: int = 1, *, snaplen: int = 65_535, options: bytes = b""
    ) -> bytes:
        return self.block(IDB, self.pack("HHI", linktype, 0, snaplen) + options)

    def resolution(self, tsresol: int) -> bytes:
        return self.option(IF_TSRESOL, bytes([tsresol]))

    def offset(self, seconds: int) -> bytes:
        return self.option(IF_TSOFFSET, self.pack("q", seconds))

    def enhanced(
        self,
        packet: bytes = FRAME,
        *,
        units: int = b.T0 * 10**6,
        interface: int = 0,
        caplen: int | None = None,
        wirelen: int | None = None,
        options: bytes = b"",
    ) -> bytes:
        caplen = len(packet) if caplen is None else caplen
        wirelen = len(packet) if wirelen is None else wirelen
        times = (units >> 32 & 0xFFFF_FFFF, units & 0xFFFF_FFFF)
        head = self.pack("IIIII", interface, *times, caplen, wirelen)
        return self.block(EPB, head + packet + bytes(-len(packet) % 4) + options)

    def obsolete(self, packet: bytes = FRAME, *, drops: int = 0xFFFF) -> bytes:
        times = divmod(b.T0 * 10**6, 1 << 32)
        head = self.pack("HHIIII", 0, drops, *times, len(packet), len(packet))
        return self.block(PB, head + packet)

    def simple(self, packet: bytes = FRAME, *, wirelen: int | None = None) -> bytes:
        wirelen = len(packet) if wirelen is None else wirelen
        return self.block(SPB, self.pack("I", wirelen) + packet)

    def statistics(self, interface: int, *counts: tuple[int, int]) -> bytes:
        head = self.pack("III", interface, *divmod(b.T0 * 10**6, 1 << 32))
        options = (self.option(code, self.pack("Q", n)) for code, n in counts)
        return self.block(ISB, head + b"".join(options) + self.option(0))


def pcapng_whole(s: Section) -> Iterator[tuple[str, bytes]]:
    """Yield captures in which nothing is wrong, or odd at most."""
    head, one = s.header(), s.interface()
    yield "plain", head + one + s.enhanced() + s.enhanced(FRAME6)
    yield "kinds", head + one + s.enhanced() + s.obsolete(drops=3) + s.simple()
    yield (
        "skipped",
        head
        + s.block(NRB, bytes(8))
        + one
        + s.enhanced()
        + s.block(CUSTOM, b"custom" * 9)
        + s.enhanced(),
    )
    yield (
        "statistics",
        head
        + one
        + s.enhanced()
        + s.statistics(0, (ISB_IFDROP, 5), (ISB_OSDROP, 1 << 50))
        + s.statistics(0, (ISB_IFDROP, 9))
        + s.statistics(7),
    )
    yield (
        "options",
        s.header(options=s.option(1, b"comment") + s.option(0))
        + s.interface(
            options=s.option(IF_NAME, b"eth0") + s.resolution(9) + s.option(0)
        )
        + s.enhanced(units=b.T0 * 10**9 + 1, options=s.option(1, b"!") + s.option(0)),
    )
    yield (
        "interfaces",
        head
        + s.interface(101, options=s.resolution(3))
        + s.interface(options=s.resolution(0x89) + s.offset(-5))
        + s.enhanced(interface=1, units=b.T0 << 9)
        + s.enhanced(FRAME[14:]),
    )
    yield (
        "unsupported",
        head + s.interface(0xFFF0) + one + s.enhanced() + s.enhanced(interface=1),
    )
    yield (
        "sections",
        head + one + s.enhanced() + head + s.interface() + s.enhanced(FRAME6),
    )
    yield "no_interface", head + head + s.block(CUSTOM, b"")
    yield (
        "snaplen",
        head
        + s.interface(snaplen=40)
        + s.simple(FRAME[:40], wirelen=len(FRAME))
        + s.enhanced(),
    )
    yield "simple_cut", head + one + s.simple(wirelen=1500) + s.simple()
    yield "lengths", head + one + s.enhanced(wirelen=0) + s.enhanced(wirelen=9)
    yield "late_interface", head + one + s.enhanced() + one + s.enhanced(interface=1)


def pcapng_times(s: Section) -> Iterator[tuple[str, bytes]]:
    """Yield a capture for each kind of resolution: a time of ours, and the last."""
    for tsresol in (0, 6, 12, 19, 0x80, 0x9F, 0xA0, 0xA8, 0xBF):
        units = b.T0 * (1 << (tsresol & 0x7F) if tsresol & 0x80 else 10**tsresol)
        name, wide = f"tsresol_{tsresol:02x}", units & (1 << 64) - 1
        yield (
            name,
            s.header()
            + s.interface(options=s.resolution(tsresol))
            + s.enhanced(units=wide)
            + s.enhanced(units=(1 << 64) - 1),
        )


def pcapng_damaged(s: Section) -> Iterator[tuple[str, bytes]]:
    """Yield captures each with something wrong."""
    head, one = s.header(), s.interface()
    yield "resolution_twice", head + s.interface(options=s.resolution(6) * 2)
    yield (
        "offset_twice",
        head + s.interface(options=s.offset(1) + s.offset(2)) + s.enhanced(),
    )
    yield "offset_far", head + s.interface(options=s.offset(-(1 << 63))) + s.enhanced()
    yield "long_end", head + s.interface(options=s.option(0, b"end!")) + s.enhanced()
    yield "overrun", head + s.interface(options=s.option(IF_NAME, b"eth0", length=99))
    yield "no_such_interface", head + one + s.enhanced() + s.enhanced(interface=1)
    yield "packet_first", head + s.enhanced()
    yield (
        "short_statistics",
        head + one + s.enhanced() + s.block(ISB, bytes(4)) + s.enhanced(),
    )
    yield "minor_version", head + one + s.enhanced() + s.header(minor=1) + one
    yield "section_before_interface", head + s.header(major=9) + one + s.enhanced()
    yield "no_multiple", head + one + s.block(EPB, bytes(24), length=37)
    yield "trailer", head + one + s.enhanced()[:-1] + b"?" + s.enhanced()
    yield "zeros", head + one + s.enhanced() + bytes(64)
    yield "cut", (head + one + s.enhanced() * 2)[:-7]


def both_orders() -> bytes:
    """Return a section of each byte order."""
    little, big = Section("little"), Section("big")
    return b"".join(
        s.header() + s.interface() + s.enhanced() for s in (little, big, little)
    )


# --- ERF and snoop -------------------------------------------------------------------


def erf(
    packet: bytes = FRAME,
    *,
    type: int = ERF_ETH,
    extensions: int = 0,
    lost: int = 0,
    fraction: int = 1 << 31,
) -> bytes:
    """Record; each extension header is 8 bytes, all but the last marked."""
    chain = b"".join(
        bytes([0x80 * (number + 1 < extensions)]) + bytes(7)
        for number in range(extensions)
    )
    pad = bytes(2) if type in (ERF_ETH, ERF_COLOR_ETH) else b""
    body = chain + pad + packet
    first = type | 0x80 * (extensions > 0)
    header = struct.pack("<II", fraction, b.T0)
    header += struct.pack(">BBHHH", first, 4, 16 + len(body), lost, len(packet))
    return header + body


def snoop(*packets: bytes, datalink: int = 4, drops: int = 0) -> bytes:
    """Capture with records padded to four bytes."""
    capture = b"snoop\0\0\0" + struct.pack(">II", 2, datalink)
    for packet in packets:
        padded = packet + bytes(-len(packet) % 4)
        sizes = (len(packet), len(packet), 24 + len(padded))
        capture += struct.pack(">IIIIII", *sizes, drops, b.T0, 999_999) + padded
    return capture


# --- all of them ---------------------------------------------------------------------


def container_seeds() -> Iterator[tuple[str, bytes]]:
    """Yield names and captures, small ones."""
    for byteorder in ("little", "big"):
        section = Section(byteorder)
        for kind in (pcapng_whole, pcapng_times, pcapng_damaged):
            for name, data in kind(section):
                yield f"pcapng_{byteorder}_{name}", data
    yield "pcapng_both_orders", both_orders()
    yield "pcapng_no_section", Section().interface() + Section().enhanced()
    ip4, ip6 = FRAME[14:], FRAME6[14:]
    yield "erf", erf() + erf(lost=2) + erf(ip4, type=ERF_IPV4) + erf(ip6, type=ERF_IPV6)
    yield "erf_extensions", erf(extensions=2) + erf(extensions=16) + erf(extensions=17)
    yield (
        "erf_kinds",
        erf(type=ERF_META)
        + erf(type=ERF_COLOR_ETH, lost=9)
        + erf(b"", type=ERF_PAD)
        + erf(type=1)
        + erf(fraction=0xFFFF_FFFF),
    )
    yield "erf_cut", (erf() + erf())[:-5]
    yield "snoop", snoop(FRAME, FRAME6, drops=4)
    yield "snoop_802_3", snoop(FRAME, datalink=0) + bytes(24)
    yield "snoop_datalink", snoop(FRAME, datalink=8)
    yield "snoop_cut", snoop(FRAME)[:-3]


def large_seeds() -> Iterator[tuple[str, bytes]]:
    """Yield captures at the limits: 262144 bytes of a packet, 1 MiB of a block."""
    s = Section()
    head, one = s.header(), s.interface(snaplen=0)
    for size in (262_144, 262_145):
        packet = FRAME.ljust(size, b"\xaa")
        for linktype in (1, 231, 249):
            classic = b.PcapBuilder(linktype=linktype, snaplen=size).add(FRAME)
            name = f"caplen_{size}_linktype_{linktype}"
            yield name, classic.add(packet).add(FRAME).build()
        yield (
            f"pcapng_caplen_{size}",
            head + s.interface(snaplen=size) + s.enhanced(packet) + s.enhanced(),
        )
        yield f"pcapng_simple_{size}", head + one + s.simple(packet) + s.enhanced()
    for size in (1 << 20, (1 << 20) + 4):
        block = s.enhanced(options=bytes(size - len(s.enhanced())))
        yield f"pcapng_block_{size}", head + one + block + s.enhanced()
    yield "pcapng_skipped", head + s.block(CUSTOM, bytes(3 << 19)) + one + s.enhanced()
    yield "pcapng_section", head + one + s.header(options=bytes(1 << 20)) + one
    yield "pcapng_interfaces", head + s.interface() * 65_537 + s.enhanced()


def foreign_seeds() -> Iterator[tuple[str, bytes]]:
    """Yield classic captures that libpcap takes in a way of its own."""
    for version in ((1, 4), (2, 0), (2, 1), (543, 0), (2, 5)):
        classic = b.PcapBuilder(version=version)
        classic.add(FRAME, swapped=version > (2, 0)).add(FRAME, wirelen=1500)
        yield f"version_{version[0]}_{version[1]}", classic.build()
    for linktype in (113, 189, 220, 239):
        # CAN behind LINUX_SLL; the header's fields are the writing host's.
        header = b"\0" * 14 + b"\0\x0c" if linktype == 113 else bytes(range(64))
        classic = b.PcapBuilder(linktype=linktype, byteorder="big")
        yield f"host_order_{linktype}", classic.add(header + FRAME).build()
    nflog = links.nflog(FRAME[14:], byteorder="big")
    classic = b.PcapBuilder(linktype=links.LINKTYPE_NFLOG, byteorder="big")
    yield "nflog", classic.add(nflog).build()
