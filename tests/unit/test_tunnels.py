"""Tunnels, in both decoders: opened where asked for, and plain packets where not."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import builders as b
import reference
from encapsulated import TUNNELLED
from reference_packet import IP_COLUMNS
from reference_tunnel import TUNNELS
from rows import FASTFLOW, Scanned, fastflow_scan, reference_scan

Row = dict[str, Any]
Scan = Callable[[bytes, Sequence[str]], Scanned]


def _fastflow(data: bytes, decap: Sequence[str]) -> Scanned:
    return fastflow_scan(io.BytesIO(data), decap=decap)


@pytest.fixture(
    params=[
        pytest.param(reference_scan, id="reference"),
        pytest.param(_fastflow, id="fastflow", marks=FASTFLOW),
    ]
)
def scan(request: pytest.FixtureRequest) -> Scan:
    return request.param


IP4, IP6 = b.ipv4(b.tcp()), b.ipv6(b.tcp())
FROM_IP_ON = (*IP_COLUMNS, "signature", "traffic")


def scanned(scan: Scan, packet: bytes, decap: Sequence[str] = TUNNELS) -> Scanned:
    return scan(b.capture(packet, linktype=b.LINKTYPE_RAW), decap)


def decode(scan: Scan, packet: bytes, decap: Sequence[str] = TUNNELS) -> Row:
    (row,) = scanned(scan, packet, decap).rows
    return row


def from_ip_on(row: Row) -> Row:
    return {name: row[name] for name in FROM_IP_ON}


def gre(payload: bytes, **fields: Any) -> bytes:
    return b.ipv4(b.gre(payload, **fields), proto=b.GRE)


def udp(port: int, payload: bytes) -> bytes:
    return b.ipv4(b.udp(payload, dst_port=port), proto=b.UDP)


CASES = [(kind, packet) for kind, packets in TUNNELLED.items() for packet in packets]


def inner_of(packet: bytes) -> bytes:
    return next(inner for inner in (IP4, IP6) if packet.endswith(inner))


def test_every_tunnel_has_a_case() -> None:
    assert tuple(TUNNELLED) == TUNNELS


@FASTFLOW
def test_the_package_knows_the_same_tunnels() -> None:
    from fastflow.reader import TUNNELS as NATIVE

    assert tuple(NATIVE) == TUNNELS


@pytest.mark.parametrize(("kind", "packet"), CASES)
def test_an_opened_tunnel_gives_the_inner_packet(
    scan: Scan, kind: str, packet: bytes
) -> None:
    row = decode(scan, packet, [kind])
    inner = decode(scan, inner_of(packet), [])
    assert from_ip_on(row) == from_ip_on(inner)
    assert (row["status"], row["vlan"], row["caplen"]) == ("ok", None, len(packet))


@pytest.mark.parametrize(("kind", "packet"), CASES)
def test_a_tunnel_that_is_not_asked_for_stays_closed(
    scan: Scan, kind: str, packet: bytes
) -> None:
    others = [other for other in TUNNELS if other != kind]
    row = decode(scan, packet, others)
    assert row == decode(scan, packet, [])
    assert row["status"] == "ok"
    assert row["proto"] in (b.IPIP, b.IPV6_IN, b.GRE, b.UDP)
    assert row["dst_port"] != 23


@pytest.mark.parametrize(("kind", "packet"), CASES)
def test_every_truncation_length_has_a_source(
    scan: Scan, kind: str, packet: bytes
) -> None:
    """The outer one until the inner header is there; counted in either case."""
    outer_header = 40 if packet[0] >> 4 == 6 else 20
    inner = inner_of(packet)
    inner_header = 40 if inner is IP6 else 20
    for size in range(outer_header, len(packet)):
        builder = b.PcapBuilder(linktype=b.LINKTYPE_RAW)
        data = builder.add(packet[:size], wirelen=len(packet)).build()
        (row,) = scan(data, [kind]).rows
        assert row["status"] != "ok", size
        assert reference.uncounted_reason(row) is None
        is_inner = size >= len(packet) - len(inner) + inner_header
        assert (row["proto"] == b.TCP) == is_inner, size


@pytest.mark.parametrize(
    ("packet", "status"),
    [
        (gre(b"")[:-2], "l4_truncated"),
        (gre(b"", key=True)[:-1], "l4_truncated"),
        (gre(b""), "l3_truncated"),
        (gre(b"\x65"), "bad_ip_version"),
        (gre(IP4[:19]), "ip_truncated"),
        (gre(b.ipv4(ihl=4)), "ip_bad_ihl"),
        (gre(b.ethernet(bytes(28), ethertype=0x0806), protocol=0x6558), "non_ip"),
        (gre(b"", protocol=0x6558), "l2_truncated"),
        (gre(b.mpls(b"\x00"), protocol=0x8847), "non_ip"),
        (b.ipv4(b"", proto=b.IPIP), "l3_truncated"),
        (b.ipv4(IP4[:12], proto=b.IPIP), "ip_truncated"),
        (b.ipv4(b.erspan(b"", kind=2)[:-1], proto=b.GRE), "l4_truncated"),
        (b.ipv4(b.erspan(b"", kind=3)[:-1], proto=b.GRE), "l4_truncated"),
        (
            b.ipv4(b.erspan(b"", kind=3, subheader=True)[:-1], proto=b.GRE),
            "l4_truncated",
        ),
        (udp(4789, b""), "l4_truncated"),
        (udp(4789, b.vxlan()[:-1]), "l4_truncated"),
        (udp(4789, b.vxlan(b.ethernet(bytes(28), ethertype=0x0806))), "non_ip"),
        (udp(6081, b.geneve(options=bytes(8))[:-1]), "l4_truncated"),
        (udp(2152, b.gtpu()), "l3_truncated"),
        (udp(2152, b.gtpu(b"\x00\x01")), "non_ip"),
        (udp(2152, b.gtpu(optional=True)[:-1]), "l4_truncated"),
        (udp(2152, b.gtpu(extensions=(b"\x00\x00",))[:-1]), "l4_truncated"),
        (
            udp(2152, b.gtpu(first=0x34) + b"\x00\x00\x00\x01" + bytes(8)),
            "l4_truncated",
        ),
        (udp(2152, b.gtpu(IP4, extensions=(b"\x00\x00",) * 17)), "too_many_layers"),
    ],
)
def test_a_fault_inside_leaves_the_outer_columns(
    scan: Scan, packet: bytes, status: str
) -> None:
    row = decode(scan, packet)
    assert row["status"] == status
    assert from_ip_on(row) == from_ip_on(decode(scan, packet, []))
    assert reference.uncounted_reason(row) is None


@pytest.mark.parametrize(
    "packet",
    [
        gre(IP4, flags=1),
        gre(IP4, flags=0x4000),
        gre(bytes(8), protocol=0x880B),
        b.ipv4(b.erspan(IP4, kind=3, frame_type=2), proto=b.GRE),
        udp(4789, b.vxlan(b.ethernet(IP4), flags=0)),
        udp(6081, b.geneve(b.ethernet(IP4), version=1)),
        udp(6081, b.geneve(b"x", protocol=0x1234)),
        udp(2152, b.gtpu(IP4, message=1)),
        udp(2152, b.gtpu(IP4, first=0x20)),
        udp(2152, b.gtpu(IP4, first=0x50)),
        udp(4790, b.vxlan(b.ethernet(IP4))),
        b.ipv4(b.udp(b.gtpu(IP4), src_port=2152), proto=b.UDP),
        b.ipv4(b.gre(IP4), proto=b.GRE, frag_offset=8),
        b.ipv6(IP4, proto=b.IPIP, extensions=(b.ext_fragment(offset=8),)),
    ],
)
def test_what_is_no_tunnel_stays_as_it_is(scan: Scan, packet: bytes) -> None:
    assert decode(scan, packet) == decode(scan, packet, [])
    assert decode(scan, packet)["status"] == "ok"


def test_a_first_fragment_is_opened(scan: Scan) -> None:
    packet = b.ipv4(b.gre(IP4), proto=b.GRE, more_fragments=True)
    assert decode(scan, packet)["dst_port"] == 23


def test_nothing_is_opened_behind_a_fault(scan: Scan) -> None:
    packet = b.ipv4(b.udp(b.gtpu(IP4), dst_port=2152, length=4), proto=b.UDP)
    row = decode(scan, packet)
    assert (row["status"], row["dst_port"]) == ("udp_bad_length", 2152)


@pytest.mark.parametrize("wrap", [gre, lambda p: b.ipv4(p, proto=b.IPIP)])
def test_four_tunnels_are_opened_and_a_fifth_is_too_many(
    scan: Scan, wrap: Callable[[bytes], bytes]
) -> None:
    packet = IP4
    for n_tunnels in range(1, 8):
        packet = wrap(packet)
        row = decode(scan, packet)
        is_ok = n_tunnels <= 4
        assert row["status"] == ("ok" if is_ok else "too_many_layers")
        assert (row["proto"] == b.TCP) == is_ok


def test_five_hundred_tunnels_are_too_many(scan: Scan) -> None:
    packet = IP4
    for _ in range(500):
        packet = gre(packet)
    row = decode(scan, packet)
    assert (row["status"], row["proto"]) == ("too_many_layers", b.GRE)


def test_sixteen_layers_are_followed_and_a_seventeenth_is_too_many(scan: Scan) -> None:
    """Raw link, IP; per VXLAN: tunnel, Ethernet, tags, IP. 2 + 3 * 4 = 14, and more."""
    for n_more, status in ((2, "ok"), (3, "too_many_layers")):
        packet = {
            2: b.ipv4(IP4, proto=b.IPIP),
            3: gre(b.mpls(IP4), protocol=b.ETHERTYPE_MPLS),
        }[n_more]
        for _ in range(3):
            packet = udp(4789, b.vxlan(b.tagged(packet)))
        row = decode(scan, packet)
        assert row["status"] == status
        assert (row["proto"] == b.TCP) == (status == "ok")


def test_tags_inside_of_a_tunnel_are_not_the_packets(scan: Scan) -> None:
    packet = udp(4789, b.vxlan(b.tagged(IP4, vids=(6,))))
    assert decode(scan, packet)["vlan"] is None
    data = b.capture(b.tagged(packet, vids=(5,)))
    assert scan(data, TUNNELS).rows[0]["vlan"] == 5


def test_flags_count_once_a_packet(scan: Scan) -> None:
    inner = b.ipv4(b.tcp(), total_length=0, more_fragments=True)
    packet = b.ipv4(b.gre(inner), proto=b.GRE, total_length=0, more_fragments=True)
    assert scanned(scan, packet).flags == {"frag": 1, "ip_len_zero": 1}


def test_columns_of_the_outer_packet_are_forgotten(scan: Scan) -> None:
    """UDP ports outside, ICMP inside; IPv4 outside, IPv6 inside."""
    inner = b.ipv6(b.icmp(type=128), proto=b.ICMPV6)
    row = decode(scan, udp(2152, b.gtpu(inner)))
    assert from_ip_on(row) == from_ip_on(decode(scan, inner, []))
    assert (row["src_port"], row["ip_id"], row["icmp_type"]) == (None, None, 128)


@FASTFLOW
def test_all_opens_every_tunnel() -> None:
    data = b.capture(*(packet for _, packet in CASES), linktype=b.LINKTYPE_RAW)
    assert _fastflow(data, ["all"]) == _fastflow(data, TUNNELS)


@FASTFLOW
def test_an_unknown_tunnel_is_refused_with_the_known_ones() -> None:
    from fastflow.errors import ConfigError

    with pytest.raises(
        ConfigError, match=r"no tunnel is called .ipsec.; there are gre, .*all"
    ):
        _fastflow(b.capture(IP4), ["gre", "ipsec"])
