"""Every packet of the public captures, as tshark reads it.

What is not equal must be listed in `EXPLAINED`, with the reason. The captures are not
part of this repository; where they lie beside it, they are used.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import builders as b
from encapsulated import ENCAPSULATED, TUNNELLED
from reference_tunnel import TUNNELS
from rows import (
    FASTFLOW,
    Row,
    fastflow_rows,
    fastflow_scan,
    reference_rows,
    reference_scan,
)
from tshark import COLUMNS, TSHARK, Difference, compare, tshark_rows

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
FOLDERS = ("simple-scan", "libpcap", "libtrace", "gopacket", "pcapplusplus")

pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")

Decoder = Callable[[Path], list[Row]]
DECODERS = [
    pytest.param(reference_rows, id="reference"),
    pytest.param(fastflow_rows, id="fastflow", marks=FASTFLOW),
]

IP_COLUMNS = frozenset(COLUMNS) - {"ts", "caplen", "wirelen", "vlan"}


@dataclass(frozen=True)
class Explanation:
    """Where tshark may say otherwise, and why; no packets means all of the file."""

    file: str
    columns: frozenset[str]
    reason: str
    packets: frozenset[int] | None = None

    def covers(self, file: str, difference: Difference) -> bool:
        return (
            self.file == file
            and difference.column in self.columns
            and (self.packets is None or difference.packet in self.packets)
        )


PCPP_PACKETS = "pcapplusplus/Tests__Packet++Test__PacketExamples__"
PCPP_FILES = "pcapplusplus/Tests__Pcap++Test__PcapExamples__"

EXPLAINED = (
    Explanation(
        "libpcap/tests__filter__ipv6_ext_headers.pcap",
        frozenset({"proto", "src_port", "dst_port"}),
        "40 extension headers; ours stops at 16, status too_many_ext",
        frozenset({0}),
    ),
    Explanation(
        PCPP_PACKETS + "MplsPackets.pcap",
        IP_COLUMNS | {"vlan"},
        "an Ethernet frame behind MPLS labels: non_ip, tshark guesses it",
    ),
    Explanation(
        PCPP_FILES + "ip4_bad_fragment.pcap",
        IP_COLUMNS,
        "an IPv4 header that is cut within its options: ip_truncated",
        frozenset({0}),
    ),
    Explanation(
        PCPP_FILES + "null_loopback.pcap",
        IP_COLUMNS,
        "an address family of 0x8000f: tshark takes half of it for an EtherType",
        frozenset({2}),
    ),
    Explanation(
        PCPP_PACKETS + "ipv4-options.pcap",
        frozenset({"dst"}),
        "source routes: tshark names the header's address current route",
        frozenset({5, 6}),
    ),
    Explanation(
        PCPP_PACKETS + "tcp-malformed.pcap",
        frozenset({"tcp_options"}),
        "header length beyond the packet: tshark shows no options, ours null",
        frozenset({0, 1}),
    ),
)


def _is_ours(path: Path) -> bool:
    """Tell a classic capture of a supported version and link type by its header."""
    header = path.read_bytes()[:24]
    if len(header) < 24:
        return False
    for order in "<>":
        magic, major, minor = struct.unpack(order + "IHH", header[:8])
        (linktype,) = struct.unpack(order + "I", header[20:])
        if magic in b.MAGICS:
            return (major, minor) in ((2, 2), (2, 3), (2, 4)) and (
                linktype in b.LINKTYPES
            )
    return False


def _captures() -> list[object]:
    found = [
        f"{folder}/{path.name}"
        for folder in FOLDERS
        if (CORPUS / folder).is_dir()
        for path in sorted((CORPUS / folder).iterdir())
        if path.is_file() and _is_ours(path)
    ]
    if not found:
        skip = pytest.mark.skip(reason=f"no captures in {CORPUS}")
        return [pytest.param("none", marks=skip)]
    return list(found)


@pytest.fixture(scope="module")
def opinion() -> Callable[[Path], list[Row]]:
    """Ask tshark once about each capture, not once for each decoder."""
    known: dict[bytes, list[Row]] = {}

    def ask(path: Path) -> list[Row]:
        data = path.read_bytes()
        if data not in known:
            known[data] = tshark_rows(path)
        return known[data]

    return ask


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("name", _captures())
def test_capture_equals_tshark(
    name: str, decode: Decoder, opinion: Callable[[Path], list[Row]]
) -> None:
    differences = compare(decode(CORPUS / name), opinion(CORPUS / name))
    unexplained = [
        str(difference)
        for difference in differences
        if not any(known.covers(name, difference) for known in EXPLAINED)
    ]
    assert not unexplained
    for known in EXPLAINED:
        if known.file == name:
            assert any(known.covers(name, d) for d in differences), (
                f"no longer needed: {known.reason}"
            )


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("magic", b.MAGICS, ids=hex)
@pytest.mark.parametrize("byteorder", ["little", "big"])
@pytest.mark.parametrize("linktype", b.LINKTYPES)
def test_every_protocol_on_every_link_equals_tshark(
    tmp_path: Path,
    decode: Decoder,
    magic: int,
    byteorder: b.ByteOrder,
    linktype: int,
    opinion: Callable[[Path], list[Row]],
) -> None:
    builder = b.PcapBuilder(magic=magic, byteorder=byteorder, linktype=linktype)
    for number, packet in enumerate(PACKETS):
        version = packet[0] >> 4
        if (version, linktype) in ((4, b.LINKTYPE_IPV6), (6, b.LINKTYPE_IPV4)):
            continue
        frame = b.on_link(linktype, packet, byteorder=byteorder)
        # Of NFLOG tshark expects attributes in what was not captured.
        cut = 0 if linktype == b.LINKTYPE_NFLOG else 4
        wirelen = len(frame) + cut
        builder.add(frame, sec=b.T0 + number, frac=999_999, wirelen=wirelen)
    path = tmp_path / "a.pcap"
    path.write_bytes(builder.build())
    assert compare(decode(path), opinion(path)) == []


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("linktype", ENCAPSULATED)
def test_what_stands_before_ip_equals_tshark(
    tmp_path: Path,
    linktype: int,
    decode: Decoder,
    opinion: Callable[[Path], list[Row]],
) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(b.capture(*ENCAPSULATED[linktype], linktype=linktype))
    rows = decode(path)
    assert {row["dst_port"] for row in rows} == {23}
    assert compare(rows, opinion(path)) == []


TUNNEL_DECODERS = [
    pytest.param(
        lambda path: reference_scan(path.read_bytes(), TUNNELS).rows, id="reference"
    ),
    pytest.param(
        lambda path: fastflow_scan(path, decap=TUNNELS).rows,
        id="fastflow",
        marks=FASTFLOW,
    ),
]


@pytest.mark.parametrize("decode", TUNNEL_DECODERS)
def test_opened_tunnels_equal_tshark(tmp_path: Path, decode: Decoder) -> None:
    path = tmp_path / "a.pcap"
    packets = [packet for packets in TUNNELLED.values() for packet in packets]
    path.write_bytes(b.capture(*packets, linktype=b.LINKTYPE_RAW))
    rows = decode(path)
    assert {row["dst_port"] for row in rows} == {23}
    assert compare(rows, tshark_rows(path, innermost=True)) == []


OPTIONS = b.mss(1460) + b.nop() + b.wscale(8) + b.nop() * 2 + b.sack_permitted()
SEGMENTS = (
    (b.TCP, b.tcp(window=1024)),
    (b.TCP, b.tcp(options=OPTIONS, flags=b.SYN | b.ECE | b.CWR, window=8192)),
    (b.TCP, b.tcp(b"x" * 5, flags=b.PSH | b.ACK, seq=0xFFFF_FFFF, ack=0x8000_0000)),
    (b.TCP, b.tcp(options=b.timestamp(5, 6) + b.eol() + b.nop(), flags=b.RST)),
    (b.TCP, b.tcp(options=b.mss(1) + b.mss(2) + b.wscale(14) + b.eol(), flags=0)),
    (b.UDP, b.udp(b"payload", dst_port=50_000)),
    (b.UDPLITE, b.udp(b"payload", length=8)),
    (b.SCTP, b.sctp()),
    (b.GRE, bytes(4)),
    (b.NO_NEXT, b""),
    (255, b"?" * 8),
)
EXTENSIONS = (
    (b.ext_options(),),
    (b.ext_options(words=2), b.ext_routing(words=1), b.ext_options(b.DEST_OPTIONS)),
    (b.ext_fragment(offset=0, more=True),),
    (b.ext_auth(), b.ext_options(b.DEST_OPTIONS)),
    (b.ext_options(), b.ext_options()),
)
#: Stacks on which both must agree to the bit.
PACKETS = (
    *(b.ipv4(segment, proto=proto) for proto, segment in SEGMENTS),
    *(b.ipv6(segment, proto=proto) for proto, segment in SEGMENTS),
    b.ipv4(b.icmp(type=8)),
    b.ipv4(b.icmp(b.ipv4(b.udp(), proto=b.UDP), type=3, code=3), proto=b.ICMP),
    b.ipv6(b.icmp(b"data", type=128), proto=b.ICMPV6),
    b.ipv4(b.tcp(), options=b"\x94\x04\x00\x00", ttl=1, tos=0x10, ident=54_321),
    b.ipv4(b.tcp() + bytes(4), total_length=40),
    b.ipv4(b.udp(b"x" * 16, length=1000), proto=b.UDP, more_fragments=True),
    b.ipv4(b"x" * 24, proto=b.UDP, frag_offset=24, more_fragments=True),
    b.ipv4(b"x" * 4, proto=b.UDP, frag_offset=65_528),
    b.ipv4(b.tcp(), total_length=1500, dont_fragment=True),
    *(b.ipv6(b.tcp(), extensions=extensions) for extensions in EXTENSIONS),
    b.ipv6(b"x" * 8, proto=b.UDP, extensions=(b.ext_fragment(offset=800),)),
    b.ipv6(b.tcp(), traffic_class=0xB8, flow=0xABCDE, hop_limit=255),
    b.ipv6(b.tcp(), payload_length=1000),
)
