"""Write seeds: `python tests/fuzz/make_seeds.py DIRECTORY KIND`.

A seed of `scan` is a small capture. Together they have every container, byte order,
link type, tunnel, protocol and option that the decoder knows, and a few things that are
wrong. `cuts` are packets cut after each of their bytes: where the last byte of a
capture is, a reader that wants one more is found out. `large` are captures at the
limits, too large for a fuzzer. The others are seeds of the targets of that name.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from container_seeds import container_seeds, foreign_seeds, large_seeds

import builders as b
from encapsulated import ENCAPSULATED, TUNNELLED


def packets() -> dict[str, bytes]:
    """Return IP packets by what they show."""
    options = b.mss() + b.nop() + b.wscale() + b.nop() + b.nop() + b.timestamp()
    options += b.sack_permitted()
    tcp6 = b.tcp(options=b.mss(), flags=b.SYN | b.ACK)
    return {
        "syn": b.ipv4(b.tcp()),
        "syn_options": b.ipv4(b.tcp(options=options + b.eol() * 2)),
        "mss_cut": b.ipv4(b.tcp(options=b.nop() + b"\x02\x04\x05")),
        "wscale_cut": b.ipv4(b.tcp(options=b.nop() * 2 + b"\x03\x03")),
        "syn_bad_option": b.ipv4(b.tcp(options=b.option(2, b"\0\0", length=1))),
        "syn_ack": b.ipv4(b.tcp(flags=b.SYN | b.ACK, ack=2)),
        "rst": b.ipv4(b.tcp(flags=b.RST)),
        "doff_too_long": b.ipv4(b.tcp(doff=15)),
        "ip_options": b.ipv4(b.tcp(), options=b"\x07\x07\x04\0\0\0\0"),
        "ip_length_zero": b.ipv4(b.tcp(b"data"), total_length=0),
        "first_fragment": b.ipv4(b.tcp(), more_fragments=True),
        "later_fragment": b.ipv4(b.tcp(), frag_offset=1480),
        "udp": b.ipv4(b.udp(b"abc"), proto=b.UDP),
        "udp_bad_length": b.ipv4(b.udp(length=3), proto=b.UDP),
        "udplite": b.ipv4(b.udp(), proto=b.UDPLITE),
        "icmp": b.ipv4(b.icmp(), proto=b.ICMP),
        "sctp": b.ipv4(b.sctp(), proto=b.SCTP),
        "dccp": b.ipv4(b.dccp(), proto=b.DCCP),
        "gre": b.ipv4(bytes(8), proto=b.GRE),
        "cut_ip": b.ipv4(b.tcp())[:19],
        "cut_tcp": b.ipv4(b.tcp())[:33],
        "tcp6": b.ipv6(tcp6),
        "icmp6": b.ipv6(b.icmp(type=128), proto=b.ICMPV6),
        "extensions": b.ipv6(
            tcp6,
            extensions=(
                b.ext_options(),
                b.ext_routing(),
                b.ext_options(b.DEST_OPTIONS, words=1),
                b.ext_auth(),
                b.ext_fragment(more=True),
            ),
        ),
        "fragment6": b.ipv6(tcp6, extensions=(b.ext_fragment(offset=1232),)),
        "many_extensions": b.ipv6(tcp6, extensions=(b.ext_options(),) * 17),
        "jumbo": b.ipv6(tcp6, payload_length=0),
    }


def crowded() -> bytes:
    """Return a capture of enough cells in an hour that they are not sorted by hand."""
    builder = b.PcapBuilder(linktype=b.LINKTYPE_RAW)
    for number in range(48):
        segment = b.tcp(dst_port=number % 7, window=number % 5, options=b.mss(number))
        host = bytes([number * 37 % 64])
        if number % 3:
            packet = b.ipv4(segment, src=b.SRC4[:3] + host)
        else:
            packet = b.ipv6(segment, src=b.SRC6[:15] + host)
        builder.add(packet, sec=b.T0 + 3600 * (number % 8 == 0))
    return builder.build()


def seeds() -> Iterator[tuple[str, bytes]]:
    """Yield names and captures."""
    known = packets()
    for linktype in b.LINKTYPES:
        builder = b.PcapBuilder(linktype=linktype)
        for number, packet in enumerate(known.values()):
            builder.add(b.on_link(linktype, packet), sec=b.T0 + 1800 * number)
        yield f"linktype_{linktype}", builder.build()
    for linktype, some in ENCAPSULATED.items():
        yield f"encapsulated_{linktype}", b.capture(*some, linktype=linktype)
    for kind, some in TUNNELLED.items():
        yield f"tunnels_{kind}", b.capture(*some, linktype=b.LINKTYPE_RAW)
    for name, packet in known.items():
        yield name, b.capture(b.on_link(b.LINKTYPE_ETHERNET, packet))
    frame = b.ethernet(known["syn_options"])
    for magic in b.MAGICS:
        for byteorder in ("little", "big"):
            for version in ((2, 2), (2, 3), (2, 4)):
                builder = b.PcapBuilder(
                    magic=magic, byteorder=byteorder, version=version
                )
                builder.add(frame, frac=999_999).add(frame, wirelen=1500)
                name = f"{magic:08x}_{byteorder}_{version[1]}"
                yield name, builder.build()
    yield "crowded", crowded()
    yield "vlan_cut", b.capture(b.ethernet(b"\0\5", ethertype=b.TPID_VLAN))
    yield "vlan", b.capture(b.tagged(known["syn"], vids=(5, 6)))
    yield "qinq", b.capture(b.qinq(known["udp"]))
    yield "too_many_vlan", b.capture(b.tagged(known["syn"], vids=(1,) * 9))
    yield "padded", b.capture(b.ethernet(known["syn"], pad=True))
    yield "arp", b.capture(b.ethernet(bytes(28), ethertype=b.ETHERTYPE_ARP))
    yield "fcs", b.PcapBuilder(fcs_words=2).add(frame + bytes(4)).build()
    yield "bad_ts", b.PcapBuilder().add(frame, sec=1).add(frame).build()
    yield "zero_record", b.capture(frame) + bytes(64)
    yield "joined", b.capture(frame) + b.capture(frame)
    yield "caplen_over_max", b.capture(frame) + b.pcap_record(caplen=1 << 20)
    yield "truncated", b.capture(frame)[:-3]
    yield "hidden", b.capture(*[b.capture(*[bytes([n])] * 12) for n in range(6)])
    yield "header_only", b.pcap_header()
    yield "empty", b""
    yield from container_seeds()


def whole_frames() -> Iterator[tuple[str, int, bytes]]:
    """Yield names, link types and frames: what every header and tunnel looks like."""
    for name, packet in packets().items():
        yield name, b.LINKTYPE_ETHERNET, b.on_link(b.LINKTYPE_ETHERNET, packet)
    yield "vlan", b.LINKTYPE_ETHERNET, b.tagged(packets()["syn"], vids=(5, 6))
    for linktype in b.LINKTYPES:
        yield "link", linktype, b.on_link(linktype, packets()["syn"])
    for linktype, frames in ENCAPSULATED.items():
        for number, frame in enumerate(frames):
            yield f"encapsulated{number}", linktype, frame
    for kind, tunnels in TUNNELLED.items():
        for number, packet in enumerate(tunnels):
            yield f"{kind}{number}", b.LINKTYPE_RAW, packet


def cuts() -> Iterator[tuple[str, bytes]]:
    """Yield every frame, cut after each of its bytes, as the end of a capture."""
    for name, linktype, frame in whole_frames():
        for size in range(len(frame)):
            cut = b.pcap_record(frame[:size], wirelen=len(frame))
            header = b.pcap_header(linktype=linktype)
            yield f"{name}_{linktype}_{size:03}", header + cut


def packet_seeds() -> Iterator[tuple[str, bytes]]:
    """Yield link type, tunnels to open, number of bytes not captured, and a frame."""

    def seed(linktype: int, frame: bytes, tunnels: int = 0, more: int = 0) -> bytes:
        return struct.pack("<HHH", linktype, tunnels, more) + frame

    for name, packet in packets().items():
        for linktype in b.LINKTYPES:
            yield f"{name}_{linktype}", seed(linktype, b.on_link(linktype, packet))
    for name, linktype, frame in whole_frames():
        yield f"{name}_{linktype}_opened", seed(linktype, frame, tunnels=0xFFFF, more=4)


def filter_seeds() -> Iterator[tuple[str, bytes]]:
    """Yield the number of instructions, mended or not, wire length, code, packet."""
    ret, load_length = (0x06, 0, 0, 1), (0x80, 0, 0, 0)
    programs = {
        "everything": (ret,),
        "tcp": ((0x30, 0, 0, 23), (0x15, 0, 1, 6), ret, (0x06, 0, 0, 0)),
        "port": ((0xB1, 0, 0, 14), (0x48, 0, 0, 16), (0x25, 0, 1, 1023), ret, ret),
        "arithmetic": (load_length, (0x07, 0, 0, 0), (0x3C, 0, 0, 0), (0x16, 0, 0, 0)),
        "scratch": (load_length, (0x02, 0, 0, 15), (0x60, 0, 0, 15), (0x16, 0, 0, 0)),
    }
    frame = b.ethernet(b.ipv4(b.tcp(), options=bytes(8)))
    for name, program in programs.items():
        code = b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
        for is_mended in (0, 1):
            head = struct.pack("<BBI", len(program), is_mended, 1500)
            yield f"{name}_{is_mended}", head + code + frame


def compression_seeds() -> Iterator[tuple[str, bytes]]:
    """Yield small files of every format: whole, joined, cut and spoiled."""
    from packers import LONG, PACKERS, SHORT, skippable

    yield "plain", SHORT
    yield "nothing", b""
    for name, pack in PACKERS.items():
        short = pack(SHORT)
        spoiled = bytearray(short)
        spoiled[len(short) // 2] ^= 4
        yield f"{name}_nothing", pack(b"")
        yield f"{name}_short", short
        yield f"{name}_long", pack(LONG[:20_000])
        yield f"{name}_two", short + pack(b"second")
        yield f"{name}_padded", short + bytes(8)
        yield f"{name}_garbage", short + b"garbage"
        yield f"{name}_skippable", skippable(b"skipped") + short + skippable(b"")
        yield f"{name}_cut", short[:-3]
        yield f"{name}_spoiled", bytes(spoiled)
        yield f"{name}_bomb", pack(bytes(1 << 18))


#: What is written, by what is asked for.
KINDS = {
    "scan": (seeds,),
    "tally": (seeds,),
    "cuts": (cuts,),
    "large": (large_seeds, foreign_seeds),
    "packet": (packet_seeds,),
    "filter": (filter_seeds,),
    "compression": (compression_seeds,),
}


def main(directory: Path, kind: str) -> None:
    """Write every seed as a file of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    for make in KINDS[kind]:
        for name, data in make():
            (directory / name).write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
