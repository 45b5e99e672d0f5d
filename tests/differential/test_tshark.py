"""Captures of every container, link type, tunnel and protocol, as tshark reads them."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import cache

import pytest

import builders as b
from encapsulated import ENCAPSULATED, TUNNELLED
from reference_tunnel import TUNNELS
from rows import FASTFLOW, Row, fastflow_scan, reference_scan
from tshark import TSHARK, Opinion, ask_tshark
from tshark_rules import explain

pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")

#: A decoder of captures, which may open all tunnels.
Decoder = Callable[[bytes, bool], list[Row]]


def _reference(data: bytes, opened: bool) -> list[Row]:
    return reference_scan(data, TUNNELS if opened else ()).rows


def _fastflow(data: bytes, opened: bool) -> list[Row]:
    return fastflow_scan(io.BytesIO(data), decap=TUNNELS if opened else ()).rows


DECODERS = [
    pytest.param(_reference, id="reference"),
    pytest.param(_fastflow, id="fastflow", marks=FASTFLOW),
]


@pytest.fixture(scope="module")
def opinion(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], Opinion]:
    """Ask tshark once about each capture, not once for each decoder."""
    path = tmp_path_factory.mktemp("captures") / "capture"

    @cache
    def ask(data: bytes) -> Opinion:
        path.write_bytes(data)
        return ask_tshark(path)

    return ask


def _capture(packets: Sequence[bytes], builder: b.PcapBuilder) -> bytes:
    # tshark looks for IP in NFLOG only when all attributes are there.
    cut_bytes = 0 if builder.linktype == b.LINKTYPE_NFLOG else 4
    for second, packet in enumerate(packets):
        frame = b.on_link(builder.linktype, packet, byteorder=builder.byteorder)
        wirelen = len(frame) + cut_bytes
        builder.add(frame, sec=b.T0 + second, frac=999_999, wirelen=wirelen)
    return builder.build()


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("magic", b.MAGICS, ids=hex)
@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_every_protocol_in_every_container_equals_tshark(
    decode: Decoder,
    magic: int,
    byteorder: b.ByteOrder,
    opinion: Callable[[bytes], Opinion],
) -> None:
    builder = b.PcapBuilder(magic=magic, byteorder=byteorder)
    data = _capture(PACKETS, builder)
    assert explain(decode(data, False), opinion(data).packets) == (EXPLAINED, [])


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("linktype", b.LINKTYPES)
def test_every_protocol_on_every_link_equals_tshark(
    decode: Decoder, linktype: int, opinion: Callable[[bytes], Opinion]
) -> None:
    versions = {b.LINKTYPE_IPV4: (4,), b.LINKTYPE_IPV6: (6,)}.get(linktype, (4, 6))
    packets = [packet for packet in PACKETS if packet[0] >> 4 in versions]
    data = _capture(packets, b.PcapBuilder(linktype=linktype))
    used, unexplained = explain(decode(data, False), opinion(data).packets)
    assert not unexplained
    assert used <= EXPLAINED


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("linktype", ENCAPSULATED)
def test_what_stands_before_ip_equals_tshark(
    decode: Decoder, linktype: int, opinion: Callable[[bytes], Opinion]
) -> None:
    data = b.capture(*ENCAPSULATED[linktype], linktype=linktype)
    rows = decode(data, False)
    assert {row["dst_port"] for row in rows} == {23}
    assert explain(rows, opinion(data).packets) == (set(), [])


@pytest.mark.parametrize("decode", DECODERS)
def test_opened_tunnels_equal_tshark(
    decode: Decoder, opinion: Callable[[bytes], Opinion]
) -> None:
    packets = [packet for packets in TUNNELLED.values() for packet in packets]
    data = b.capture(*packets, linktype=b.LINKTYPE_RAW)
    rows = decode(data, True)
    assert {row["dst_port"] for row in rows} == {23}
    assert explain(rows, opinion(data).packets, opened=True) == (set(), [])


#: A first fragment's UDP length goes beyond its packet.
EXPLAINED = {"payload_by_ip_length"}
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
