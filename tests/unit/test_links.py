"""Every link type, in both decoders, with values worked out by hand."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

import builders as b
from encapsulated import ENCAPSULATED
from reference_link import LINKS
from rows import FASTFLOW, Scanned, fastflow_scan, reference_scan

Row = dict[str, Any]
Scan = Callable[[bytes], Scanned]


@pytest.fixture(
    params=[
        pytest.param(reference_scan, id="reference"),
        pytest.param(
            lambda data: fastflow_scan(io.BytesIO(data)), id="fastflow", marks=FASTFLOW
        ),
    ]
)
def scan(request: pytest.FixtureRequest) -> Scan:
    return request.param


def decode(scan: Scan, linktype: int, frame: bytes, cut: int = 0) -> Row:
    builder = b.PcapBuilder(linktype=linktype)
    (row,) = scan(builder.add(frame, wirelen=len(frame) + cut).build()).rows
    return row


IP4, IP6 = b.ipv4(b.tcp()), b.ipv6(b.tcp())
SNAP4 = b.llc_snap(IP4)
#: Bytes before IP in the frames of `on_link`; a PPP link has no framing there.
HEADER_BYTES = {
    b.LINKTYPE_ETHERNET: 14,
    b.LINKTYPE_NULL: 4,
    b.LINKTYPE_PPP: 2,
    **dict.fromkeys(b.LINKTYPES_RAW, 0),
    b.LINKTYPE_PPP_HDLC: 4,
    b.LINKTYPE_C_HDLC: 4,
    b.LINKTYPE_LOOP: 4,
    b.LINKTYPE_SLL: 16,
    b.LINKTYPE_PFLOG: 64,
    b.LINKTYPE_RADIOTAP: 9 + 24 + 8,
    b.LINKTYPE_IPV4: 0,
    b.LINKTYPE_IPV6: 0,
    b.LINKTYPE_NFLOG: 4 + 8 + 12 + 4,
    b.LINKTYPE_SLL2: 20,
}
#: NFLOG attributes end here: what is left out is the packet.
NFLOG_ENDS = (4, 4 + 8, 4 + 8 + 12)


def test_reference_and_builders_know_the_same_links() -> None:
    assert set(LINKS) == set(b.LINKTYPES) == set(HEADER_BYTES)


@pytest.mark.parametrize("packet", [IP4, IP6], ids=["4", "6"])
@pytest.mark.parametrize("linktype", b.LINKTYPES)
def test_the_packet_is_the_same_on_every_link(
    scan: Scan, linktype: int, packet: bytes
) -> None:
    row = decode(scan, linktype, b.on_link(linktype, packet))
    other = 229 if packet is IP4 else 228
    if linktype == other:
        assert (row["status"], row["src"]) == ("bad_ip_version", None)
        return
    raw = decode(scan, b.LINKTYPE_RAW, packet)
    assert row["status"] == "ok"
    for name in set(raw) - {"linktype", "caplen", "wirelen"}:
        assert row[name] == raw[name], name


@pytest.mark.parametrize("linktype", b.LINKTYPES)
def test_every_truncation_length(scan: Scan, linktype: int) -> None:
    packet = IP6 if linktype == b.LINKTYPE_IPV6 else IP4
    frame = b.on_link(linktype, packet)
    header = HEADER_BYTES[linktype]
    assert frame[header:] == packet
    ip_header = 40 if packet is IP6 else 20
    for size in range(len(frame) + 1):
        row = decode(scan, linktype, frame[:size], cut=len(frame) - size)
        if size < header:
            is_end = linktype == b.LINKTYPE_NFLOG and size in NFLOG_ENDS
            expected = "l3_truncated" if is_end else "l2_truncated"
        elif size == header:
            expected = "l3_truncated"
        elif size < header + ip_header:
            expected = "ip_truncated"
        elif size < len(frame):
            expected = "l4_truncated"
        else:
            expected = "ok"
        assert row["status"] == expected, size
        assert (row["src"] is None) == (size < header + ip_header)


@pytest.mark.parametrize(
    ("linktype", "frame"),
    [(linktype, f) for linktype, frames in ENCAPSULATED.items() for f in frames],
)
def test_ip_is_found_behind(scan: Scan, linktype: int, frame: bytes) -> None:
    row = decode(scan, linktype, frame)
    assert (row["status"], row["dst_port"], row["payload_len"]) == ("ok", 23, 0)


@pytest.mark.parametrize("family", [2, *b.AFS_INET6])
@pytest.mark.parametrize("byteorder", ["little", "big"])
@pytest.mark.parametrize("linktype", [b.LINKTYPE_NULL, b.LINKTYPE_LOOP])
def test_families_of_every_system(
    scan: Scan, linktype: int, byteorder: str, family: int
) -> None:
    packet = IP4 if family == 2 else IP6
    frame = b.null(packet, family=family, byteorder=byteorder)
    assert decode(scan, linktype, frame)["dst_port"] == 23


def _ethernet(ethertype: int, data: bytes) -> bytes:
    return b.ethernet(data, ethertype=ethertype)


def _labels(n: int) -> bytes:
    return _ethernet(b.ETHERTYPE_MPLS, b.mpls(IP4, labels=tuple(range(n))))


def _in_turn(n: int) -> bytes:
    """Ethernet, then n times a VLAN tag and SNAP: 1 + 2 n layers and that of IP."""
    data, ethertype = IP4, b.ETHERTYPE_IPV4
    for _ in range(n):
        data = b.llc_snap(data, ethertype=ethertype)
        data, ethertype = b.vlan(data, vid=1, ethertype=len(data)), b.TPID_VLAN
    return _ethernet(ethertype, data)


@pytest.mark.parametrize(
    ("frame", "status"),
    [
        (_ethernet(1501, SNAP4), "non_ip"),
        (_ethernet(1500, SNAP4), "ok"),
        (_ethernet(0, SNAP4), "ok"),
        (_ethernet(8, b"\xaa\xaa"), "l2_truncated"),
        (_ethernet(8, SNAP4[:7]), "l2_truncated"),
        (_ethernet(8, SNAP4[:8]), "l3_truncated"),
        (_ethernet(8, b"\xaa\xaa\x13" + SNAP4[3:]), "non_ip"),
        (_ethernet(8, b"\x06\x07\x03" + IP4), "non_ip"),
        (_ethernet(8, b.llc(IP6)), "bad_ip_version"),
        (_ethernet(8, b.llc_snap(IP4, oui=b"\x00\x80\xc2")), "non_ip"),
        (_ethernet(8, b.llc_snap(SNAP4, ethertype=48)), "non_ip"),
        (_ethernet(0x8847, b"\x00\x01\x00"), "l2_truncated"),
        (_ethernet(0x8847, b.mpls()), "l3_truncated"),
        (_ethernet(0x8847, b.mpls(bytes(4) + b.ethernet(IP4))), "non_ip"),
        (_labels(16), "ok"),
        (_labels(17), "too_many_layers"),
        (_ethernet(0x8864, b.pppoe(IP4)[:5]), "l2_truncated"),
        (_ethernet(0x8864, b.pppoe(IP4)[:7]), "l2_truncated"),
        (_ethernet(0x8864, b.pppoe(IP4)[:8]), "l3_truncated"),
        (_ethernet(0x8864, b.pppoe(IP4, first=0x1109)), "non_ip"),
        (_ethernet(0x8864, b.pppoe(b"\x01\x01\x00\x04", protocol=0xC021)), "non_ip"),
        (_ethernet(0x8863, b.pppoe(IP4)), "non_ip"),
        (_ethernet(0x6558, b"x" * 13), "l2_truncated"),
        (_in_turn(7), "ok"),
        (_in_turn(8), "too_many_layers"),
    ],
)
def test_between_ethernet_and_ip(scan: Scan, frame: bytes, status: str) -> None:
    row = decode(scan, b.LINKTYPE_ETHERNET, frame)
    assert (row["status"], row["dst_port"]) == (status, 23 if status == "ok" else None)


def test_the_outermost_tag_is_the_one_that_is_kept(scan: Scan) -> None:
    inside = b.tagged(IP4, vids=(6,))
    frame = b.tagged(inside, vids=(5,), ethertype=b.ETHERTYPE_ETHERNET)
    assert decode(scan, b.LINKTYPE_ETHERNET, frame)["vlan"] == 5
    frame = b.ethernet(inside, ethertype=b.ETHERTYPE_ETHERNET)
    assert decode(scan, b.LINKTYPE_ETHERNET, frame)["vlan"] == 6


def test_eight_tags_in_a_packet_wherever_they_stand(scan: Scan) -> None:
    for n_inner, status in ((4, "ok"), (5, "too_many_vlan")):
        inside = b.tagged(IP4, vids=(6,) * n_inner)
        frame = b.tagged(inside, vids=(5,) * 4, ethertype=b.ETHERTYPE_ETHERNET)
        row = decode(scan, b.LINKTYPE_ETHERNET, frame)
        assert (row["status"], row["vlan"]) == (status, 5)


def _wifi(payload: bytes = SNAP4, **fields: Any) -> bytes:
    return b.radiotap(b.ieee80211(payload, **fields))


_TLV = b.nflog_tlv(10, b"four")


@pytest.mark.parametrize(
    ("linktype", "frame", "status"),
    [
        (b.LINKTYPE_NULL, b.null(IP4, family=77), "non_ip"),
        (b.LINKTYPE_PPP, b"\xff", "l2_truncated"),
        (b.LINKTYPE_PPP, b"\x21", "l3_truncated"),
        (b.LINKTYPE_PPP, b.ppp(IP4, protocol=b.PPP_LCP), "non_ip"),
        (b.LINKTYPE_PPP, b.c_hdlc(IP4)[:3], "l2_truncated"),
        (b.LINKTYPE_C_HDLC, b.c_hdlc(bytes(18), protocol=0x8035), "non_ip"),
        (b.LINKTYPE_SLL, b.sll(bytes(16), ethertype=0, arphrd=824), "non_ip"),
        (b.LINKTYPE_SLL, b.sll(IP4, arphrd=824), "non_ip"),
        (b.LINKTYPE_SLL, b.sll(IP4, arphrd=770), "non_ip"),
        (b.LINKTYPE_SLL, b.sll(IP4, arphrd=512), "ok"),
        (b.LINKTYPE_SLL, b.sll(SNAP4, ethertype=100), "non_ip"),
        (b.LINKTYPE_SLL, b.sll(b.ethernet(IP4), ethertype=3), "ok"),
        (b.LINKTYPE_SLL2, b.sll2(IP4, arphrd=824), "non_ip"),
        (b.LINKTYPE_SLL2, b.sll2(_wifi(), ethertype=0, arphrd=803), "ok"),
        (b.LINKTYPE_PFLOG, b.pflog(IP4, family=7), "non_ip"),
        (b.LINKTYPE_PFLOG, b.pflog(IP4, length=44, size=44), "l2_truncated"),
        (b.LINKTYPE_PFLOG, b.pflog(IP4, length=255, size=64), "l2_truncated"),
        (b.LINKTYPE_NFLOG, b.nflog(IP4, byteorder="big"), "ok"),
        (b.LINKTYPE_NFLOG, b.nflog(IP4, before=b"", byteorder="big"), "ok"),
        (b.LINKTYPE_NFLOG, b.nflog(IP4, family=7), "non_ip"),
        (b.LINKTYPE_NFLOG, b.nflog(IP4, version=1), "non_ip"),
        (b.LINKTYPE_NFLOG, b.nflog(IP4, length=500), "ok"),
        (b.LINKTYPE_NFLOG, b.nflog(IP4, length=4), "l3_truncated"),
        (b.LINKTYPE_NFLOG, b.nflog(IP4, length=4 + 23), "l4_truncated"),
        (b.LINKTYPE_NFLOG, b.nflog(IP4, length=3), "l2_truncated"),
        (b.LINKTYPE_NFLOG, b.nflog(before=_TLV)[:-4], "l3_truncated"),
        (b.LINKTYPE_NFLOG, b.nflog(IP4, before=_TLV * 63), "ok"),
        (b.LINKTYPE_NFLOG, b.nflog(IP4, before=_TLV * 64), "too_many_layers"),
        (b.LINKTYPE_RADIOTAP, _wifi(kind=0, subtype=8), "non_ip"),
        (b.LINKTYPE_RADIOTAP, _wifi(kind=1), "non_ip"),
        (b.LINKTYPE_RADIOTAP, _wifi(subtype=4), "non_ip"),
        (b.LINKTYPE_RADIOTAP, _wifi(subtype=12), "non_ip"),
        (b.LINKTYPE_RADIOTAP, _wifi(version=1), "non_ip"),
        (b.LINKTYPE_RADIOTAP, _wifi(flags=0x41), "non_ip"),
        (b.LINKTYPE_RADIOTAP, _wifi(subtype=8, amsdu=True), "non_ip"),
        (b.LINKTYPE_RADIOTAP, _wifi(fragment=1), "non_ip"),
        (b.LINKTYPE_RADIOTAP, _wifi(flags=0x81), "ok"),
        (b.LINKTYPE_RADIOTAP, b.radiotap(length=7), "l2_truncated"),
        (b.LINKTYPE_RADIOTAP, b.radiotap(b"\x80"), "l2_truncated"),
        (b.LINKTYPE_RADIOTAP, b.radiotap(b"\x80\x00"), "non_ip"),
        (b.LINKTYPE_RADIOTAP, b.radiotap(more_words=(0,) * 32), "l2_truncated"),
        (b.LINKTYPE_RADIOTAP, b.radiotap(more_words=(0,), length=8), "l2_truncated"),
    ],
)
def test_other_links(scan: Scan, linktype: int, frame: bytes, status: str) -> None:
    row = decode(scan, linktype, frame)
    assert (row["status"], row["dst_port"]) == (status, 23 if status == "ok" else None)


@pytest.mark.parametrize(
    ("cut", "available"), [(0, 16), (1, 17), (3, 19), (4, 20), (90, 20)]
)
def test_a_frame_check_sequence_is_no_packet(
    scan: Scan, cut: int, available: int
) -> None:
    """IP claims more than there is; of the last four bytes, `cut` were not captured."""
    packet = b.ipv4(b"\xff" * 16, proto=255, total_length=0)
    frame = b.radiotap(b.ieee80211(b.llc_snap(packet)) + b"FCS!", flags=0x10)
    row = decode(scan, b.LINKTYPE_RADIOTAP, frame, cut=cut)
    assert (row["status"], row["payload_len"]) == ("ok", available)
