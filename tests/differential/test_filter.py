"""Filters against libpcap: its interpreter, and tcpdump where it says more.

libpcap's interpreter is given the same expression, link type and packet. It is told no
length but that of the bytes, and knows loopback captures of this machine only: there
tcpdump is asked, which reads a file.
"""

from __future__ import annotations

import ipaddress
import shutil
import struct
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import pcapy
import pytest

import builders as b
from fastflow.errors import ConfigError
from fastflow.filters import DLTS, PacketFilter, compile_filter
from filter_expressions import OF_BYTES, OF_LENGTH

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
TCPDUMP = shutil.which("tcpdump")

needs_corpus = pytest.mark.skipif(
    not CORPUS.is_dir(), reason=f"no captures in {CORPUS}"
)
needs_tcpdump = pytest.mark.skipif(TCPDUMP is None, reason="tcpdump is not installed")

LINKTYPES = [number for number in DLTS if number not in (0, 108, 117, 239)]

#: A packet's bytes and its length before it was cut.
Packet = tuple[bytes, int]

RECORD_HEADER_BYTES = {b.MAGIC_USEC: 16, b.MAGIC_NSEC: 16, b.MAGIC_MODIFIED: 24}

# --- packets ------------------------------------------------------------------

RADIOTAP = bytes.fromhex("0000080000000000") + bytes.fromhex("08010000") + bytes(20)
SNAP = bytes.fromhex("aaaa03000000")

#: What stands before an IPv4 and before an IPv6 packet.
LINK_HEADERS: dict[int, tuple[bytes, bytes]] = {
    1: (bytes(12) + b"\x08\x00", bytes(12) + b"\x86\xdd"),
    9: (b"\xff\x03\x00\x21", b"\xff\x03\x00\x57"),
    50: (b"\xff\x03\x00\x21", b"\xff\x03\x00\x57"),
    104: (b"\x0f\x00\x08\x00", b"\x0f\x00\x86\xdd"),
    113: (bytes(14) + b"\x08\x00", bytes(14) + b"\x86\xdd"),
    127: (RADIOTAP + SNAP + b"\x08\x00", RADIOTAP + SNAP + b"\x86\xdd"),
    276: (b"\x08\x00" + bytes(18), b"\x86\xdd" + bytes(18)),
    **dict.fromkeys((12, 14, 101, 228, 229), (b"", b"")),
}
FAMILIES = ((2, 2), (7, 24), (2, 28), (2, 30), (10, 10))


def address(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


LOCAL = address("10.0.0.1")
NETWORK = (
    b.ipv4(b.tcp(dst_port=80, flags=b.SYN)),
    b.ipv4(b.tcp(b"x" * 9, src_port=22, flags=b.RST | b.ACK), src=LOCAL, ttl=1),
    b.ipv4(
        b.tcp(dst_port=445, options=b.mss()), options=b"\x94\x04\x00\x00", dst=LOCAL
    ),
    b.ipv4(b.udp(b"data", dst_port=53), proto=b.UDP, src=address("192.168.1.1")),
    b.ipv4(b.udp(b"data"), proto=b.UDP, frag_offset=8, more_fragments=True),
    b.ipv4(b.icmp(type=8), proto=b.ICMP, dst=address("224.0.0.9")),
    b.ipv4(b.sctp(), proto=b.SCTP),
    b.ipv4(bytes(8), proto=47),
    b.ipv6(b.tcp(dst_port=80), src=address("fe80::1"), dst=address("2001:db8::1")),
    b.ipv6(b.udp(dst_port=53), proto=b.UDP, dst=address("ff02::1")),
    b.ipv6(b.icmp(type=128), proto=b.ICMPV6),
    b.ipv6(b.tcp(), extensions=(b.ext_options(), b.ext_fragment(offset=0))),
    bytes(40),
)
LABEL = b"\x00\x01\x01\xff"
ETHERNET_ONLY = (
    *(
        b.ethernet(b.vlan(p, vid=100, ethertype=0x0800), ethertype=0x8100)
        for p in NETWORK
    ),
    b.qinq(NETWORK[0], ethertype=0x0800),
    b.ethernet(LABEL + NETWORK[0], ethertype=0x8847),
    b.ethernet(b"\x11\x00\x00\x11\x00\x2a\x00\x21" + NETWORK[0], ethertype=0x8864),
    b.ethernet(b"\x11\x09\x00\x00\x00\x00", ethertype=0x8863),
    b.ethernet(bytes(28), ethertype=0x0806),
    b"\xff" * 12 + b"\x00\x20\x42\x42\x03" + bytes(40),
)


def made_packets(linktype: int) -> list[Packet]:
    """Return packets of every kind, and each of them cut everywhere."""
    headers = LINK_HEADERS[linktype]
    frames = [headers[packet[:1] >= b"\x60"] + packet for packet in NETWORK]
    if linktype == 1:
        frames += ETHERNET_ONLY
    cuts = {
        frame[:size]: len(frame) for frame in frames for size in range(len(frame) + 1)
    }
    return list(cuts.items())


def loopback_packets(order: str) -> list[Packet]:
    """Return packets with every family, none of them cut.

    What becomes of a packet that ends within the header that is asked for depends on
    which loads an optimizer leaves out, and tcpdump's has other code to start from.
    """
    return [
        (struct.pack(f"{order}I", families[packet[0] >> 4 == 6]) + packet, len(packet))
        for families in FAMILIES
        for packet in NETWORK
    ]


@cache
def corpus_packets() -> dict[int, list[Packet]]:
    """Return the packets of all classic captures, each once, by link type."""
    found: dict[int, dict[bytes, int]] = {}
    for path in sorted(CORPUS.rglob("*")):
        if path.is_file():
            for linktype, packet, wirelen in _packets_of(path.read_bytes()):
                found.setdefault(linktype, {}).setdefault(packet, wirelen)
    return {linktype: list(packets.items()) for linktype, packets in found.items()}


def _packets_of(capture: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield what a classic capture holds, up to the first record that is not whole."""
    for order in "<>" if len(capture) >= 24 else "":
        (magic,) = struct.unpack(f"{order}I", capture[:4])
        (linktype,) = struct.unpack(f"{order}I", capture[20:24])
        begin = 24
        while magic in RECORD_HEADER_BYTES:
            data = begin + RECORD_HEADER_BYTES[magic]
            if data > len(capture):
                break
            size, wirelen = struct.unpack_from(f"{order}II", capture, begin + 8)
            begin = data + size
            if begin > len(capture):
                break
            yield linktype & 0xFFFF, capture[data:begin], wirelen


# --- libpcap's interpreter ----------------------------------------------------


@cache
def compiled(expression: str) -> PacketFilter | None:
    try:
        return compile_filter(expression)
    except ConfigError:
        return None


def test_hundreds_of_expressions_compile() -> None:
    assert len(OF_BYTES) > 600
    refused = [text for text in OF_BYTES if compiled(text) is None]
    assert len(refused) < 20
    for expression in refused:
        with pytest.raises(ConfigError, match="expression rejects all packets"):
            compile_filter(expression)


def compare(linktype: int, packets: list[Packet]) -> int:
    """Compare all answers with libpcap's; return how many."""
    n_answers = 0
    for expression in OF_BYTES:
        ours = compiled(expression)
        if ours is None or linktype not in ours.programs.linktypes:
            continue
        matches = ours.programs.matches
        dlt = DLTS[linktype]
        theirs = pcapy.compile(dlt, 65535, expression, 1, 0xFFFFFFFF).filter
        wrong = [
            packet.hex()
            for packet, wirelen in packets
            if matches(linktype, packet, wirelen) != (theirs(packet) != 0)
        ]
        assert not wrong, expression
        n_answers += len(packets)
    return n_answers


@pytest.mark.parametrize("linktype", LINKTYPES)
def test_every_expression_equals_libpcap_on_cut_packets(linktype: int) -> None:
    assert compare(linktype, made_packets(linktype)) > 100_000


@needs_corpus
@pytest.mark.parametrize("linktype", LINKTYPES)
def test_every_expression_equals_libpcap_on_the_corpus(linktype: int) -> None:
    packets = corpus_packets().get(linktype, [])
    assert compare(linktype, packets) >= 100 * len(packets)


# --- tcpdump ------------------------------------------------------------------


def packets_for_tcpdump(linktype: int) -> list[Packet]:
    """Return made packets and, where there are any, those of the corpus."""
    return made_packets(linktype) + (
        corpus_packets().get(linktype, []) if CORPUS.is_dir() else []
    )


def write_capture(
    path: Path, linktype: int, byteorder: b.ByteOrder, packets: list[Packet]
) -> None:
    builder = b.PcapBuilder(byteorder=byteorder, linktype=linktype)
    for packet, wirelen in packets:
        builder.add(packet, wirelen=max(wirelen, len(packet)))
    path.write_bytes(builder.build())


def tcpdump_count(path: Path, expression: str) -> int | None:
    """Return how many packets tcpdump finds; None where it refuses the expression."""
    assert TCPDUMP is not None
    done = subprocess.run(
        [TCPDUMP, "-r", str(path), "--count", "--", expression],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return int(done.stdout.split()[0]) if done.returncode == 0 else None


def compare_counts(
    path: Path, linktype: int, packets: list[Packet], expressions: Iterator[str]
) -> int:
    """Compare counts with tcpdump's; return how many could be compared."""
    n_counts = 0
    for expression in expressions:
        ours = compiled(expression)
        if ours is None or linktype not in ours.programs.linktypes:
            continue
        theirs = tcpdump_count(path, expression)
        if theirs is None:
            continue
        n_counts += 1
        matches = ours.programs.matches
        count = sum(matches(linktype, p, max(n, len(p))) for p, n in packets)
        assert count == theirs, expression
    return n_counts


@needs_tcpdump
@pytest.mark.parametrize(
    ("linktype", "byteorder", "program"),
    [(0, "little", 0), (0, "big", 108), (108, "little", 108), (108, "big", 108)],
    ids=["little-null", "big-null", "little-loop", "big-loop"],
)
def test_loopback_captures_equal_tcpdump(
    tmp_path: Path, linktype: int, byteorder: b.ByteOrder, program: int
) -> None:
    """NULL's family has the file's byte order, LOOP's always that of the network."""
    packets = loopback_packets("<") + loopback_packets(">")
    if CORPUS.is_dir():
        packets += corpus_packets().get(0, [])
    path = tmp_path / "loopback.pcap"
    write_capture(path, linktype, byteorder, packets)
    expressions = islice(OF_BYTES, 0, None, 4)
    assert compare_counts(path, program, packets, expressions) > 100


@needs_tcpdump
@pytest.mark.parametrize("linktype", [n for n in LINKTYPES if n not in (12, 14)])
def test_lengths_of_cut_packets_equal_tcpdump(tmp_path: Path, linktype: int) -> None:
    packets = packets_for_tcpdump(linktype)
    path = tmp_path / "cut.pcap"
    write_capture(path, linktype, "little", packets)
    n_counts = compare_counts(path, linktype, packets, iter(OF_LENGTH))
    assert n_counts > 15
