"""Seeds of pcapng, ERF and snoop, and classic ones that are large or foreign."""

from __future__ import annotations

from collections.abc import Iterator

import builders as b
import erf_builders as erf
import snoop_builders as snoop
from pcapng_builders import BIG, BOTH, CUSTOM, IF_NAME, ISB, LITTLE, NRB, Blocks

FRAME = b.ethernet(b.ipv4(b.tcp(options=b.mss())))
FRAME6 = b.ethernet(b.ipv6(b.udp(b"abc"), proto=b.UDP), ethertype=b.ETHERTYPE_IPV6)
LAST_UNITS = (1 << 64) - 1


def pcapng_whole(k: Blocks) -> Iterator[tuple[str, bytes]]:
    """Yield captures in which nothing is wrong, or odd at most."""
    head, packet = k.shb() + k.idb(), k.epb(FRAME)
    yield "plain", head + packet + k.epb(FRAME6)
    yield "kinds", head + packet + k.pb(FRAME, drops=3) + k.spb(FRAME)
    skipped = k.block(NRB, bytes(8)) + k.block(CUSTOM, b"custom" * 9)
    yield "skipped", head + packet + skipped + packet
    statistics = k.isb_drops(ifdrop=5, osdrop=1 << 50) + k.isb_drops(ifdrop=9)
    yield "statistics", head + packet + statistics + k.isb(interface=7)
    options = k.option(IF_NAME, b"eth0") + k.tsresol(9) + k.end_of_options()
    comment = k.option(1, b"comment") + k.end_of_options()
    nanoseconds = k.epb(FRAME, units=b.T0 * 10**9 + 1, options=comment)
    yield "options", k.shb(comment) + k.idb(options) + nanoseconds
    raw, binary = (
        k.idb(k.tsresol(3), linktype=101),
        k.idb(k.tsresol(137) + k.tsoffset(-5)),
    )
    two = k.epb(FRAME, interface=1, units=b.T0 << 9) + k.epb(FRAME[14:])
    yield "interfaces", k.shb() + raw + binary + two
    unknown = k.idb(linktype=0xFFF0)
    yield "unsupported", head + unknown + packet + k.epb(FRAME, interface=1)
    yield "sections", head + packet + head + k.epb(FRAME6)
    yield "no_interface", k.shb() + k.shb() + k.block(CUSTOM)
    cut = k.spb(FRAME[:40], wirelen=len(FRAME))
    yield "snaplen", k.shb() + k.idb(snaplen=40) + cut + packet
    yield "simple_cut", head + k.spb(FRAME, wirelen=1500) + packet
    yield "lengths", head + k.epb(FRAME, wirelen=0) + k.epb(FRAME, wirelen=9)
    yield "late_interface", head + packet + k.idb() + k.epb(FRAME, interface=1)


def pcapng_times(k: Blocks) -> Iterator[tuple[str, bytes]]:
    """Yield a capture for each kind of resolution: a time of ours, and the last."""
    for tsresol in (0, 6, 12, 19, 0x80, 0x9F, 0xA0, 0xA8, 0xBF):
        units = b.T0 * (1 << (tsresol & 0x7F) if tsresol & 0x80 else 10**tsresol)
        head = k.shb() + k.idb(k.tsresol(tsresol))
        packets = k.epb(FRAME, units=units & LAST_UNITS) + k.epb(
            FRAME, units=LAST_UNITS
        )
        yield f"tsresol_{tsresol:02x}", head + packets
    yield "offset_far", k.shb() + k.idb(k.tsoffset(-(1 << 63))) + k.epb(FRAME)


def pcapng_damaged(k: Blocks) -> Iterator[tuple[str, bytes]]:
    """Yield captures each with something wrong."""
    head, packet = k.shb() + k.idb(), k.epb(FRAME)
    yield "resolution_twice", k.shb() + k.idb(k.tsresol(6) * 2) + packet
    yield "offset_twice", k.shb() + k.idb(k.tsoffset(1) + k.tsoffset(2)) + packet
    yield "long_end", k.shb() + k.idb(k.option(0, b"end!")) + packet
    yield "overrun", k.shb() + k.idb(k.option(IF_NAME, b"eth0", length=99))
    yield "no_such_interface", head + packet + k.epb(FRAME, interface=1)
    yield "packet_first", k.shb() + packet
    yield "short_statistics", head + packet + k.block(ISB, bytes(4)) + packet
    yield "minor_version", head + packet + k.shb(version=(1, 1)) + k.idb()
    yield "section_before_interface", k.shb() + k.shb(version=(9, 0)) + k.idb() + packet
    yield "no_multiple", head + k.block(CUSTOM, bytes(24), length=37)
    yield "trailer", head + k.epb(FRAME, trailer=4) + packet
    yield "zeros", head + packet + bytes(64)
    yield "cut", (head + packet * 2)[:-7]


def other_seeds() -> Iterator[tuple[str, bytes]]:
    """Yield ERF and snoop captures."""
    ip4, ip6 = FRAME[14:], FRAME6[14:]
    headless = erf.erf_record(ip4, kind=erf.IPV4) + erf.erf_record(ip6, kind=erf.IPV6)
    yield "erf", erf.capture(FRAME) + erf.erf_record(FRAME, lost=2) + headless
    yield (
        "erf_extensions",
        b"".join(erf.erf_record(FRAME, extensions=number) for number in (1, 2, 16, 17)),
    )
    yield (
        "erf_kinds",
        b"".join(
            erf.erf_record(FRAME, kind=kind, fraction=0xFFFF_FFFF)
            for kind in (erf.META, erf.COLOR_ETH, erf.PAD, erf.HDLC_POS, erf.AAL5)
        ),
    )
    yield "erf_cut", erf.capture(FRAME, FRAME)[:-5]
    yield "snoop", snoop.capture(FRAME, FRAME6) + snoop.snoop_record(FRAME, drops=4)
    yield "snoop_zeros", snoop.capture(FRAME, datalink=0) + bytes(24)
    yield "snoop_datalink", snoop.capture(FRAME, datalink=8)
    yield (
        "snoop_odd",
        snoop.snoop_header()
        + snoop.snoop_record(FRAME, micros=1_000_000, wirelen=0, pad=9),
    )
    yield "snoop_cut", snoop.capture(FRAME)[:-3]


def container_seeds() -> Iterator[tuple[str, bytes]]:
    """Yield names and captures, small ones."""
    for blocks in BOTH:
        for kind in (pcapng_whole, pcapng_times, pcapng_damaged):
            for name, data in kind(blocks):
                yield f"pcapng_{blocks.byteorder}_{name}", data
    yield (
        "pcapng_both_orders",
        b"".join(k.shb() + k.idb() + k.epb(FRAME) for k in (LITTLE, BIG, LITTLE)),
    )
    yield "pcapng_no_section", LITTLE.idb() + LITTLE.epb(FRAME)
    yield from other_seeds()


def large_seeds() -> Iterator[tuple[str, bytes]]:
    """Yield captures at the limits: 262144 bytes of a packet, 1 MiB of a block."""
    k = LITTLE
    head, end = k.shb() + k.idb(snaplen=0), k.epb(FRAME)
    for size in (262_144, 262_145):
        packet = FRAME.ljust(size, b"\xaa")
        for linktype in (1, 231, 249):
            classic = b.PcapBuilder(linktype=linktype, snaplen=size).add(FRAME)
            name = f"caplen_{size}_linktype_{linktype}"
            yield name, classic.add(packet).add(FRAME).build()
        limited = k.shb() + k.idb(snaplen=size)
        yield f"pcapng_caplen_{size}", limited + k.epb(packet) + end
        yield f"pcapng_simple_{size}", head + k.spb(packet) + end
    for size in (1 << 20, (1 << 20) + 4):
        block = k.epb(FRAME, options=bytes(size - len(end)))
        yield f"pcapng_block_{size}", head + block + end
    yield "pcapng_skipped", k.shb() + k.block(CUSTOM, bytes(3 << 19)) + k.idb() + end
    yield "pcapng_section", head + k.shb(bytes(1 << 20)) + k.idb()
    yield "pcapng_many", k.shb() + k.idb() * 65_537 + end


def foreign_seeds() -> Iterator[tuple[str, bytes]]:
    """Yield classic captures that libpcap takes in a way of its own."""
    for version in ((1, 4), (2, 0), (2, 1), (543, 0), (2, 5)):
        classic = b.PcapBuilder(version=version)
        classic.add(FRAME, swapped=version > (2, 0)).add(FRAME, wirelen=1500)
        yield f"version_{version[0]}_{version[1]}", classic.build()
    for linktype in (113, 189, 220):
        # CAN behind LINUX_SLL; the header's fields are the writing host's.
        header = b"\0" * 14 + b"\0\x0c" if linktype == 113 else bytes(range(64))
        classic = b.PcapBuilder(linktype=linktype, byteorder="big")
        yield f"host_order_{linktype}", classic.add(header + FRAME).build()
    classic = b.PcapBuilder(linktype=b.LINKTYPE_NFLOG, byteorder="big")
    yield "host_order_nflog", classic.add(b.nflog(FRAME[14:], byteorder="big")).build()
