"""The oracle itself, against vectors that were worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import builders as b
from reference import (
    COLUMNS,
    MAGICS,
    PACKET_COLUMNS,
    CaptureResult,
    Row,
    decode_capture,
    tally,
    uncounted_reason,
)
from reference_packet import tcp_options
from strategies import capture_parts, captures

SECOND = 1_000_000_000
#: Faults that may come before any IP header.
UNCOUNTED = {
    "l2_truncated",
    "l3_truncated",
    "too_many_vlan",
    "too_many_layers",
    "non_ip",
    "bad_ip_version",
    "ip_truncated",
    "ip_bad_ihl",
    "ip_bad_length",
}
GOOD = b.ethernet(b.ipv4(b.tcp()))
SYN_OPTIONS = b.mss(1460) + b.nop() + b.wscale(8) + b.nop() * 2 + b.sack_permitted()


def mapped(address: bytes) -> bytes:
    return bytes(10) + b"\xff\xff" + address


def decode(frame: bytes, linktype: int = b.LINKTYPE_ETHERNET) -> Row:
    """Decode one frame between two good ones, which must not suffer."""
    good = b.on_link(linktype, b.ipv4(b.tcp()))
    if linktype == b.LINKTYPE_IPV6:
        good = b.ipv6(b.tcp())
    result = decode_capture(b.capture(good, frame, good, linktype=linktype))
    assert (result.status, result.records) == ("complete", 3)
    assert [result.rows[i]["status"] for i in (0, 2)] == ["ok", "ok"]
    return result.rows[1]


def flags_of(frame: bytes, linktype: int = b.LINKTYPE_ETHERNET) -> dict[str, int]:
    return decode_capture(b.capture(frame, linktype=linktype)).flags


def ip4(payload: bytes = b"", **fields: Any) -> Row:
    return decode(b.ethernet(b.ipv4(payload, **fields)))


def ip6(payload: bytes = b"", **fields: Any) -> Row:
    return decode(b.ethernet(b.ipv6(payload, **fields), ethertype=0x86DD))


def present(row: Row) -> set[str]:
    return {name for name, value in row.items() if value is not None}


RECORD = {"ts", "caplen", "wirelen", "linktype", "status"}
NETWORK = {"ip_version", "src", "dst", "proto", "ip_ttl", "ip_tos", "ip_len", "ip_frag"}
NETWORK |= {"traffic"}
NETWORK4 = NETWORK | {"ip_id"}
PORTS = {"src_port", "dst_port"}
TCP_FIXED = {"tcp_flags", "tcp_seq", "tcp_ack", "tcp_window"}


# --- a vector in bytes, so that builder and oracle cannot be wrong together ----------


def test_a_capture_written_out_in_hexadecimal() -> None:
    data = bytes.fromhex(
        "d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000"
        "40516546 40e20100 42000000 42000000"  # 1181045056.123456
        "020000000002 020000000001 0800"
        "45000034 d431 4000 7a06 0000 c0000201 c6336402"
        "c350 01bd deadbeef 00000000 80c2 2000 0000 0000"
        "020405b4 0103 0308 01010402"
    )
    result = decode_capture(data)
    assert (result.status, result.reason, result.offset) == ("complete", None, None)
    assert result.flags == {}
    assert result.rows == [
        {
            "ts": 0x46655140 * SECOND + 123_456_000,
            "caplen": 66,
            "wirelen": 66,
            "linktype": 1,
            "vlan": None,
            "ip_version": 4,
            "src": mapped(bytes([192, 0, 2, 1])),
            "dst": mapped(bytes([198, 51, 100, 2])),
            "proto": 6,
            "ip_ttl": 122,
            "ip_tos": 0,
            "ip_id": 0xD431,
            "ip_len": 52,
            "ip_frag": 0,
            "src_port": 50_000,
            "dst_port": 445,
            "tcp_flags": 0xC2,
            "tcp_seq": 0xDEADBEEF,
            "tcp_ack": 0,
            "tcp_window": 8192,
            "tcp_options": "2-1-3-1-1-4",
            "tcp_mss": 1460,
            "tcp_wscale": 8,
            "icmp_type": None,
            "icmp_code": None,
            "payload_len": 0,
            "status": "ok",
            "signature": "8192:2-1-3-1-1-4:1460:8",
            "tool": None,
            "traffic": "scan",
        }
    ]


def test_columns_are_the_columns_of_a_row() -> None:
    assert tuple(decode(GOOD)) == COLUMNS
    assert COLUMNS[: len(PACKET_COLUMNS)] == PACKET_COLUMNS


# --- file header ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty_file"),
        (b"\xd4", "short_magic"),
        (b"\xd4\xc3\xb2", "short_magic"),
        (b"\xd4\xc3\xb2\xa1", "short_header"),
        (b.pcap_header()[:23], "short_header"),
        (b"\x0a\x0d\x0d\x0a", "unknown_magic"),
        (b"just some text, no capture at all", "unknown_magic"),
        (b.pcap_header(version=(2, 5)), "pcap_version"),
        (b.pcap_header(version=(2, 1)), "pcap_version"),
        (b.pcap_header(version=(3, 0)), "pcap_version"),
        (b.pcap_header(version=(1, 4)), "pcap_version"),
        (b.pcap_header(linktype=0x0001_0001), "reserved_linktype_bits"),
        (b.pcap_header(linktype=0x0200_0001), "reserved_linktype_bits"),
        (b.pcap_header(linktype=0x0001_0000 | 999), "reserved_linktype_bits"),
        (b.pcap_header(linktype=999), "unsupported_linktype"),
        (b.pcap_header(linktype=999, version=(9, 9)), "pcap_version"),
    ],
)
def test_rejected(data: bytes, reason: str) -> None:
    result = decode_capture(data)
    assert result == CaptureResult([], "rejected", reason, 0, {})
    assert tally(result) == ({}, {}, {}, 0, 0)


@pytest.mark.parametrize("linktype", b.LINKTYPES)
@pytest.mark.parametrize("byteorder", ["little", "big"])
@pytest.mark.parametrize("magic", b.MAGICS, ids=hex)
def test_every_dialect(magic: int, byteorder: b.ByteOrder, linktype: int) -> None:
    builder = b.PcapBuilder(magic=magic, byteorder=byteorder, linktype=linktype)
    packet = b.ipv6(b.tcp()) if linktype == b.LINKTYPE_IPV6 else b.ipv4(b.tcp())
    builder.add(b.on_link(linktype, packet), sec=5, frac=7).add(
        b.on_link(linktype, packet), sec=6, frac=8, wirelen=9000
    )
    result = decode_capture(builder.build())
    unit = 1 if magic == b.MAGIC_NSEC else 1000
    assert result.status == "complete"
    assert [row["ts"] for row in result.rows] == [
        5 * SECOND + 7 * unit,
        6 * SECOND + 8 * unit,
    ]
    assert [row["status"] for row in result.rows] == ["ok", "ok"]
    assert {row["linktype"] for row in result.rows} == {linktype}
    assert {row["dst_port"] for row in result.rows} == {23}
    assert result.rows[1]["wirelen"] == 9000


def test_header_without_records_is_complete() -> None:
    assert decode_capture(b.pcap_header()) == CaptureResult()


def test_the_high_bits_without_the_fcs_bit_mean_nothing() -> None:
    result = decode_capture(
        b.pcap_header(linktype=0xF800_0001) + b.pcap_record(GOOD, wirelen=len(GOOD))
    )
    assert result.rows[0]["status"] == "ok"


# --- records -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tail", "status", "reason"),
    [
        (b"\x01", "truncated", "truncated_record_header"),
        (b"\x00", "truncated", "truncated_record_header"),
        (bytes(15), "truncated", "truncated_record_header"),
        (bytes(16), "damaged", "zero_record"),
        (bytes(4096), "damaged", "zero_record"),
        (b.pcap_record(GOOD)[:15], "truncated", "truncated_record_header"),
        (b.pcap_record(GOOD)[:16], "truncated", "truncated_record"),
        (b.pcap_record(GOOD)[:-1], "truncated", "truncated_record"),
        (b.pcap_record(caplen=262_145), "damaged", "caplen_over_max"),
        (b.pcap_record(caplen=0xFFFF_FFFF), "damaged", "caplen_over_max"),
        (b.pcap_record(caplen=262_144), "truncated", "truncated_record"),
        (b.capture(GOOD), "damaged", "bad_record"),
        (b.pcap_header(byteorder="big"), "damaged", "bad_record"),
        (b.pcap_header(magic=b.MAGIC_NSEC), "damaged", "bad_record"),
        (b.pcap_header(magic=b.MAGIC_MODIFIED), "damaged", "bad_record"),
        (b.pcap_header(version=(2, 9)), "damaged", "bad_record"),
        (b.pcap_header()[:15], "truncated", "truncated_record_header"),
    ],
)
def test_damage_after_a_record(tail: bytes, status: str, reason: str) -> None:
    start = b.capture(GOOD)
    result = decode_capture(start + tail)
    assert (result.status, result.reason) == (status, reason)
    assert result.offset == len(start)
    assert result.records == 1


def test_a_record_of_the_year_2055_is_no_file_header() -> None:
    """Its seconds are a magic number, but no version follows."""
    builder = b.PcapBuilder().add(GOOD, sec=b.MAGIC_USEC, frac=123_456)
    result = decode_capture(builder.build())
    assert (result.status, result.records) == ("complete", 1)


def test_a_record_of_no_bytes_that_has_a_time() -> None:
    result = decode_capture(b.PcapBuilder().add(b"", sec=1).build())
    assert (result.status, result.flags) == ("complete", {})
    assert result.rows[0]["status"] == "l2_truncated"


def test_the_largest_record() -> None:
    packet = GOOD + bytes(262_144 - len(GOOD))
    result = decode_capture(b.PcapBuilder(snaplen=262_144).add(packet).build())
    assert (result.status, result.flags) == ("complete", {})
    assert result.rows[0]["caplen"] == 262_144


@pytest.mark.parametrize(
    ("version", "swapped", "wirelen", "expected"),
    [
        ((2, 4), False, 9000, 9000),
        ((2, 3), False, 9000, 9000),
        ((2, 3), True, 9000, 9000),
        ((2, 3), False, None, 54),
        ((2, 2), True, 9000, 9000),
    ],
)
def test_old_versions_swap_the_lengths(
    version: tuple[int, int], swapped: bool, wirelen: int | None, expected: int
) -> None:
    builder = b.PcapBuilder(version=version)
    builder.add(GOOD, wirelen=wirelen, swapped=swapped).add(GOOD, swapped=swapped)
    result = decode_capture(builder.build())
    assert (result.status, result.records, result.flags) == ("complete", 2, {})
    assert (result.rows[0]["caplen"], result.rows[0]["wirelen"]) == (54, expected)


def test_version_2_2_swaps_whatever_is_greater() -> None:
    builder = b.PcapBuilder(version=(2, 2)).add(GOOD, wirelen=40)
    result = decode_capture(builder.build())
    assert (result.rows[0]["caplen"], result.rows[0]["wirelen"]) == (54, 40)
    assert result.flags == {"len_lt_caplen": 1}


def test_flags_of_the_record() -> None:
    builder = b.PcapBuilder(snaplen=50)
    builder.add(GOOD).add(GOOD, wirelen=0).add(GOOD, wirelen=10)
    builder.add(GOOD[:50], frac=1_000_000).add(GOOD[:50], frac=0xFFFF_FFFF)
    result = decode_capture(builder.build())
    assert result.flags == {
        "caplen_gt_snaplen": 3,
        "len_zero": 1,
        "len_lt_caplen": 1,
        "subsec_out_of_range": 2,
        "snap_truncated": 2,
    }
    assert [row["wirelen"] for row in result.rows] == [54, 54, 10, 50, 50]
    assert result.rows[3]["ts"] == (b.T0 + 1) * SECOND
    assert result.rows[4]["ts"] == b.T0 * SECOND + 0xFFFF_FFFF * 1000


def test_flags_come_only_from_whole_records() -> None:
    data = b.PcapBuilder(snaplen=10).add(GOOD, wirelen=0, frac=0xFFFF_FFFF).build()
    assert decode_capture(data[:-1]).flags == {}


def test_snaplen_zero_says_nothing() -> None:
    assert decode_capture(b.PcapBuilder(snaplen=0).add(GOOD).build()).flags == {}


def test_nanoseconds_carry_at_a_second() -> None:
    builder = b.PcapBuilder(magic=b.MAGIC_NSEC).add(GOOD, frac=SECOND)
    result = decode_capture(builder.add(GOOD, frac=SECOND - 1).build())
    assert result.rows[0]["ts"] == (b.T0 + 1) * SECOND
    assert result.rows[1]["ts"] == (b.T0 + 1) * SECOND - 1
    assert result.flags == {"subsec_out_of_range": 1}


@pytest.mark.parametrize(
    ("fcs_words", "wirelen", "payload", "flags"),
    [
        (None, 58, 4, {}),
        (2, 58, 0, {"snap_truncated": 1}),  # the last four bytes are the check
        (2, 62, 4, {}),  # it was not captured
        (2, 60, 2, {"snap_truncated": 1}),
        (2, 0, 0, {"len_zero": 1, "snap_truncated": 1}),
        (15, 20, 4, {"len_lt_caplen": 1}),  # longer than the packet: no check there
    ],
)
def test_frame_check_sequence(
    fcs_words: int | None, wirelen: int, payload: int, flags: dict[str, int]
) -> None:
    """The IP length claims four bytes more than TCP: are they there?"""
    frame = b.ethernet(b.ipv4(b.udp(b"\xaa" * 16, length=24), proto=b.UDP))
    assert len(frame) == 58
    builder = b.PcapBuilder(fcs_words=fcs_words).add(frame, wirelen=wirelen)
    result = decode_capture(builder.build())
    assert result.flags == flags
    row = result.rows[0]
    assert row["caplen"] == 58
    assert row["wirelen"] == (wirelen or 58)
    assert (row["status"], row["payload_len"]) == ("ok", 16)


def test_frame_check_sequence_is_no_header() -> None:
    """Bytes of the check never become ports."""
    frame = b.ethernet(b.ipv4(b"", total_length=60)) + b"\xff\xff\xff\xff"
    row = decode_capture(b.PcapBuilder(fcs_words=2).add(frame).build()).rows[0]
    assert (row["status"], row["dst_port"]) == ("l4_truncated", None)


# --- link layer ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "status", "vlan"),
    [
        (b"", "l2_truncated", None),
        (GOOD[:13], "l2_truncated", None),
        (GOOD[:14], "l3_truncated", None),
        (b.ethernet(b"", ethertype=b.ETHERTYPE_ARP), "non_ip", None),
        (b.ethernet(b.ipv4(b.tcp()), ethertype=46), "non_ip", None),
        (b.ethernet(b.ipv4(b.tcp()), ethertype=0x88E5), "non_ip", None),
        (b.ethernet(b"\x00\x05\x08", ethertype=0x8100), "l2_truncated", None),
        (b.ethernet(b"\xe0\x05\x81\x00", ethertype=0x8100), "l2_truncated", 5),
        (b.ethernet(b"\xe0\x05\x08\x00", ethertype=0x8100), "l3_truncated", 5),
        (b.ethernet(b"\xe0\x05\x08\x06", ethertype=0x8100), "non_ip", 5),
        (b.qinq(b.ipv4(b.tcp()), outer=4095, inner=6), "ok", 4095),
        (b.tagged(b.ipv4(b.tcp()), vids=(7,), tpid=b.TPID_OLD_QINQ), "ok", 7),
        (b.tagged(b.ipv4(b.tcp()), vids=tuple(range(1, 9))), "ok", 1),
        (b.tagged(b.ipv4(b.tcp()), vids=tuple(range(1, 10))), "too_many_vlan", 1),
        (b.tagged(b.ipv4(b.tcp()), vids=(3,) * 9)[:46], "too_many_vlan", 3),
        (b.tagged(b.ipv4(b.tcp()), vids=(3,) * 9)[:45], "l2_truncated", 3),
        (b.ethernet(b.ipv6(b.tcp())), "bad_ip_version", None),
        (b.ethernet(b.ipv4(b.tcp()), ethertype=0x86DD), "bad_ip_version", None),
    ],
)
def test_ethernet(frame: bytes, status: str, vlan: int | None) -> None:
    row = decode(frame)
    assert (row["status"], row["vlan"]) == (status, vlan)
    assert (row["dst_port"] == 23) == (status == "ok")
    if status != "ok":
        assert present(row) - {"vlan"} == RECORD


@pytest.mark.parametrize(
    ("linktype", "frame", "status"),
    [
        (101, b"", "l3_truncated"),
        (101, b"\x50", "bad_ip_version"),
        (101, b"\x00" * 40, "bad_ip_version"),
        (12, b.ipv6(b.tcp()), "ok"),
        (14, b.ipv4(b.tcp()), "ok"),
        (228, b"", "l3_truncated"),
        (228, b.ipv4(b.tcp()), "ok"),
        (228, b.ipv6(b.tcp()), "bad_ip_version"),
        (229, b.ipv6(b.tcp()), "ok"),
        (229, b.ipv4(b.tcp()), "bad_ip_version"),
        (113, b.sll()[:15], "l2_truncated"),
        (113, b.sll(), "l3_truncated"),
        (113, b.sll(b"", ethertype=1), "non_ip"),
        (113, b.sll(b.ipv6(b.tcp()), ethertype=0x86DD), "ok"),
        (
            113,
            b.sll(b.vlan(b.ipv4(b.tcp()), vid=9, ethertype=0x800), ethertype=0x8100),
            "ok",
        ),
        (113, b.sll(b"\x00\x09\x08", ethertype=0x8100), "l2_truncated"),
    ],
)
def test_other_links(linktype: int, frame: bytes, status: str) -> None:
    row = decode(frame, linktype)
    assert (row["status"], row["dst_port"]) == (status, 23 if status == "ok" else None)
    assert row["linktype"] == linktype


# --- IPv4 ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("packet", "status"),
    [
        (b"\x45", "ip_truncated"),
        (b"\x65", "bad_ip_version"),
        (b.ipv4()[:19], "ip_truncated"),
        (b.ipv4(b.tcp(), version=6)[:1], "bad_ip_version"),
        (b.ipv4(b.tcp(), ihl=4), "ip_bad_ihl"),
        (b.ipv4(b.tcp(), ihl=0), "ip_bad_ihl"),
        (b.ipv4(b.tcp(), ihl=4, total_length=3), "ip_bad_ihl"),
        (b.ipv4(b.tcp(), ihl=15, total_length=40), "ip_bad_length"),
        (b.ipv4(b.tcp(), total_length=19), "ip_bad_length"),
        (b.ipv4(b.tcp(), total_length=1), "ip_bad_length"),
        (b.ipv4(b.tcp(), ihl=15, total_length=100), "ip_truncated"),
        (b.ipv4(b"", ihl=6, total_length=0), "ip_truncated"),
    ],
)
def test_bad_ipv4_is_no_ip(packet: bytes, status: str) -> None:
    row = decode(b.ethernet(packet))
    assert row["status"] == status
    assert present(row) == RECORD
    assert uncounted_reason(row) == status
    assert flags_of(b.ethernet(packet)) == {}


def test_ipv4_fields() -> None:
    row = ip4(
        b"",
        proto=255,
        ttl=3,
        tos=0xB8,
        ident=0xFFFE,
        src=b"\1\2\3\4",
        dst=b"\5\6\7\x08",
    )
    assert present(row) == RECORD | NETWORK4 | {"payload_len"}
    assert row["src"].hex() == "00000000000000000000ffff01020304"
    assert row["dst"].hex() == "00000000000000000000ffff05060708"
    assert [row[name] for name in ("ip_version", "proto", "ip_ttl", "ip_tos")] == [
        4,
        255,
        3,
        0xB8,
    ]
    assert [row[name] for name in ("ip_id", "ip_len", "ip_frag", "payload_len")] == [
        0xFFFE,
        20,
        0,
        0,
    ]
    assert (row["status"], row["traffic"]) == ("ok", "other")


def test_ipv4_options_are_stepped_over() -> None:
    row = ip4(b.tcp(b"abc"), options=b"\x07\xff\x00" + b"\x01" * 37)
    assert (row["dst_port"], row["ip_len"], row["payload_len"]) == (23, 83, 3)


def test_ethernet_padding_is_no_payload() -> None:
    row = decode(b.ethernet(b.ipv4(b.tcp()), pad=True))
    assert (row["caplen"], row["ip_len"], row["payload_len"]) == (60, 40, 0)


def test_ethernet_padding_is_no_header() -> None:
    row = decode(b.ethernet(b.ipv4(b.udp()[:4], proto=b.UDP), pad=True))
    assert (row["status"], row["dst_port"]) == ("l4_truncated", 53)
    assert row["payload_len"] is None


def test_total_length_zero_is_what_was_captured() -> None:
    frame = b.ethernet(b.ipv4(b.tcp(b"abcd"), total_length=0))
    row = decode(frame)
    assert (row["status"], row["ip_len"], row["payload_len"]) == ("ok", 44, 4)
    assert flags_of(frame) == {"ip_len_zero": 1}


@pytest.mark.parametrize(
    ("offset", "more", "frag", "ports", "payload"),
    [
        (0, False, False, True, 4),
        (0, True, True, True, 4),
        (8, False, True, False, None),
        (65_528, True, True, False, None),
    ],
)
def test_ipv4_fragments(
    offset: int, more: bool, frag: bool, ports: bool, payload: int | None
) -> None:
    frame = b.ethernet(b.ipv4(b.tcp(b"abcd"), frag_offset=offset, more_fragments=more))
    row = decode(frame)
    assert (row["status"], row["ip_frag"], row["proto"]) == ("ok", offset, 6)
    assert (row["src_port"] is not None) == ports
    assert row["payload_len"] == payload
    assert flags_of(frame) == ({"frag": 1} if frag else {})


# --- IPv6 ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("packet", "status"),
    [
        (b"\x60", "ip_truncated"),
        (b"\x40", "bad_ip_version"),
        (b.ipv6(b.tcp())[:39], "ip_truncated"),
        (b.ipv6(b.tcp(), version=4), "bad_ip_version"),
    ],
)
def test_bad_ipv6_is_no_ip(packet: bytes, status: str) -> None:
    row = decode(b.ethernet(packet, ethertype=0x86DD))
    assert row["status"] == status
    assert present(row) == RECORD


def test_ipv6_fields() -> None:
    row = ip6(b.tcp(b"ab"), traffic_class=0xA5, flow=0xFFFFF, hop_limit=9)
    expected = NETWORK | PORTS | TCP_FIXED | {"tcp_options", "payload_len", "signature"}
    assert present(row) == RECORD | expected
    assert (row["ip_tos"], row["ip_ttl"], row["ip_len"]) == (0xA5, 9, 62)
    assert (row["src"], row["dst"], row["ip_version"]) == (b.SRC6, b.DST6, 6)
    assert (row["ip_id"], row["ip_frag"], row["payload_len"]) == (None, 0, 2)


OPTS, DEST = b.ext_options(), b.ext_options(b.DEST_OPTIONS)


@pytest.mark.parametrize(
    ("extensions", "in_order"),
    [
        ((OPTS,), True),
        ((OPTS, DEST, b.ext_routing(), DEST), True),
        ((b.ext_options(words=3), b.ext_routing(words=2)), True),
        ((b.ext_auth(), DEST), True),
        ((b.ext_auth(icv=b""),), True),
        ((b.ext_options(135), b.ext_options(139), b.ext_options(140)), True),
        ((b.ext_fragment(),), True),
        ((OPTS, OPTS), False),
        ((DEST, OPTS), False),
        ((DEST, DEST, DEST), False),
        ((b.ext_routing(), b.ext_routing()), False),
        ((DEST,) * 16, False),
    ],
)
def test_ipv6_extension_headers(extensions: tuple[b.Ext, ...], in_order: bool) -> None:
    packet = b.ipv6(b.tcp(b"ab"), extensions=extensions)
    row = decode(packet, 101)
    assert (row["status"], row["proto"], row["dst_port"]) == ("ok", 6, 23)
    assert (row["ip_len"], row["payload_len"]) == (len(packet), 2)
    assert flags_of(packet, 101) == ({} if in_order else {"ip6_ext_order": 1})


@pytest.mark.parametrize(
    ("packet", "status", "proto"),
    [
        (b.ipv6(b.tcp(), extensions=(DEST,) * 17), "too_many_ext", 60),
        (b.ipv6(b"", proto=0), "ip6_ext_truncated", 0),
        (b.ipv6(b"\x06", proto=43), "ip6_ext_truncated", 43),
        (b.ipv6(b"\x06" + bytes(6), proto=44), "ip6_ext_truncated", 44),
        (b.ipv6(b"\x06\x01" + bytes(13), proto=60), "ip6_ext_truncated", 60),
        (b.ipv6(b"\x06\x01" + bytes(9), proto=51), "ip6_ext_truncated", 51),
        (b.ipv6(b"", extensions=(OPTS,), proto=51), "ip6_ext_truncated", 51),
        (
            b.ipv6(b.tcp(), extensions=(OPTS, b.ext_routing(length=200))),
            "ip6_ext_truncated",
            43,
        ),
        # All there, but beyond what the length says.
        (
            b.ipv6(b.tcp(), extensions=(OPTS,), payload_length=7),
            "ip6_ext_truncated",
            0,
        ),
    ],
)
def test_broken_chains_are_counted(packet: bytes, status: str, proto: int) -> None:
    row = decode(packet, 101)
    assert (row["status"], row["proto"]) == (status, proto)
    assert present(row) == RECORD | NETWORK
    assert uncounted_reason(row) is None


@pytest.mark.parametrize(
    ("offset", "more", "frag"),
    [(0, False, False), (0, True, True), (8, False, True), (65_528, True, True)],
)
def test_ipv6_fragments(offset: int, more: bool, frag: bool) -> None:
    packet = b.ipv6(
        b.tcp(b"ab"), extensions=(OPTS, b.ext_fragment(offset=offset, more=more))
    )
    row = decode(packet, 101)
    first = offset == 0
    assert (row["status"], row["proto"], row["ip_frag"]) == ("ok", 6, offset)
    assert (row["dst_port"], row["payload_len"]) == ((23, 2) if first else (None, None))
    assert flags_of(packet, 101) == ({"frag": 1} if frag else {})


def test_a_later_fragment_ends_the_chain() -> None:
    """What follows is the middle of something, even where it says otherwise."""
    row = ip6(b.tcp(), extensions=(b.ext_fragment(offset=8), DEST))
    assert (row["status"], row["proto"]) == ("ok", 60)
    assert present(row) == RECORD | NETWORK


@pytest.mark.parametrize(
    ("payload", "proto", "ip_len", "flags"),
    [
        (b.tcp(b"abc"), 6, 63, {"ip_len_zero": 1}),
        (b"", 6, 40, {}),
        (b"padding", 59, 40, {}),
    ],
)
def test_ipv6_payload_length_zero(
    payload: bytes, proto: int, ip_len: int, flags: dict[str, int]
) -> None:
    packet = b.ipv6(payload, proto=proto, payload_length=0)
    row = decode(packet, 101)
    assert row["ip_len"] == ip_len
    assert flags_of(packet, 101) == flags
    assert row["status"] == ("l4_truncated" if not payload else "ok")
    assert row["payload_len"] == {b"": None, b"padding": 0}.get(payload, 3)


# --- TCP -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "columns"),
    [(0, set()), (3, set()), (4, PORTS), (8, PORTS), (19, PORTS)],
)
@pytest.mark.parametrize("by", ["capture", "ip_length", "fragment"])
def test_tcp_header_cut(size: int, columns: set[str], by: str) -> None:
    segment = b.tcp(b"payload")[:size]
    row = ip4(
        segment,
        total_length=47 if by == "capture" else None,
        more_fragments=by == "fragment",
    )
    assert row["status"] == "l4_truncated"
    assert present(row) == RECORD | NETWORK4 | columns
    assert row["traffic"] == "other"


@pytest.mark.parametrize(
    ("packet", "status", "payload"),
    [
        (b.ipv4(b.tcp(doff=0)), "tcp_bad_doff", None),
        (b.ipv4(b.tcp(doff=4)), "tcp_bad_doff", None),
        (b.ipv4(b.tcp(doff=15)), "tcp_bad_doff", None),
        (b.ipv4(b.tcp(doff=6)), "tcp_bad_doff", None),
        (b.ipv4(b.tcp(doff=15), total_length=60), "tcp_bad_doff", None),
        (b.ipv4(b.tcp(doff=15), total_length=79), "tcp_bad_doff", None),
        (b.ipv4(b.tcp(doff=15), total_length=80), "l4_truncated", 0),
        (b.ipv4(b.tcp(doff=6), total_length=100), "l4_truncated", 56),
        (b.ipv4(b.tcp(doff=6), more_fragments=True), "l4_truncated", None),
        (b.ipv4(b.tcp(doff=4), more_fragments=True), "tcp_bad_doff", None),
        (b.ipv4(b.tcp(options=b"\x02\x04\x05", doff=6)), "tcp_bad_doff", None),
        (b.ipv4(b.tcp(options=b"\x02\x01\x05\xb4")), "tcp_bad_option", 0),
        (b.ipv4(b.tcp(options=b"\x02\x00\x05\xb4")), "tcp_bad_option", 0),
        (b.ipv4(b.tcp(options=b"\x01\x02\x04\x05")), "tcp_bad_option", 0),
        (b.ipv4(b.tcp(b"xy", options=b"\x01\x01\x01\x08")), "tcp_bad_option", 2),
    ],
)
def test_tcp_bad_header_keeps_the_fixed_fields(
    packet: bytes, status: str, payload: int | None
) -> None:
    row = decode(packet, 101)
    known = {"payload_len"} if payload is not None else set()
    assert row["status"] == status
    assert present(row) == RECORD | NETWORK4 | PORTS | TCP_FIXED | known
    assert row["payload_len"] == payload
    assert row["traffic"] == "scan"


@pytest.mark.parametrize(
    ("options", "kinds", "mss", "wscale"),
    [
        (b"", [], None, None),
        (SYN_OPTIONS, [2, 1, 3, 1, 1, 4], 1460, 8),
        (b.eol() * 4, [0], None, None),
        (b.nop() + b.eol() + b.mss(5), [1, 0], None, None),
        (b.nop() * 40, [1] * 40, None, None),
        (b.mss(1) + b.mss(2), [2, 2], 2, None),
        (b.mss(9) + b.option(2, b"\x01"), [2, 2], 9, None),
        (b.option(2) + b.option(3), [2, 3], None, None),
        (b.wscale(255) + b.wscale(0), [3, 3], None, 0),
        (b.option(3, b"\x01\x02"), [3], None, None),
        (b.timestamp() + b.option(254, b"\xf9\x89"), [8, 254], None, None),
    ],
)
def test_tcp_options(
    options: bytes, kinds: list[int], mss: int | None, wscale: int | None
) -> None:
    assert tcp_options(options) == (kinds, mss, wscale)


@pytest.mark.parametrize(
    ("segment", "signature"),
    [
        (b.tcp(window=1024), "1024:::"),
        (b.tcp(window=0, flags=b.RST), "0:::"),
        (b.tcp(window=65_535, options=b.mss(0)), "65535:2:0:"),
        (b.tcp(window=64_240, options=SYN_OPTIONS), "64240:2-1-3-1-1-4:1460:8"),
        (b.tcp(options=b.nop() + b.wscale(0)), "1024:1-3::0"),
        (b.tcp(options=b.eol() * 4), "1024:0::"),
        (b.tcp(doff=4), None),
        (b.tcp(options=b"\x02\x05\x05\xb4"), None),
    ],
)
def test_signature(segment: bytes, signature: str | None) -> None:
    assert ip4(segment)["signature"] == signature


# --- the other transports ------------------------------------------------------------


@pytest.mark.parametrize(
    ("proto", "size"), [(b.UDP, 8), (b.UDPLITE, 8), (b.SCTP, 12), (b.DCCP, 12)]
)
def test_ports_need_four_bytes_and_a_length_the_header(proto: int, size: int) -> None:
    header = b.udp(length=0).ljust(size, b"\x00")
    for n_bytes in range(size + 3):
        row = ip4((header + b"abc")[:n_bytes], proto=proto)
        whole = n_bytes >= size
        assert row["status"] == ("ok" if whole else "l4_truncated")
        assert row["dst_port"] == (53 if n_bytes >= 4 else None)
        assert row["payload_len"] == (n_bytes - size if whole else None)
        assert present(row) - PORTS - {"payload_len"} == RECORD | NETWORK4


@pytest.mark.parametrize(
    ("packet", "status", "payload"),
    [
        (b.ipv4(b.udp(b"abcd"), proto=17), "ok", 4),
        (b.ipv4(b.udp(b"abcd", length=0), proto=17), "ok", 4),
        (b.ipv4(b.udp(b"abcd", length=8), proto=17), "ok", 4),
        (b.ipv4(b.udp(b"abcd", length=7), proto=17), "udp_bad_length", 4),
        (b.ipv4(b.udp(b"abcd", length=1), proto=17), "udp_bad_length", 4),
        (b.ipv4(b.udp(b"abcd", length=13), proto=17), "udp_bad_length", 4),
        (b.ipv4(b.udp(b"abcd", length=13), proto=136), "ok", 4),
        (b.ipv4(b.udp(length=32), proto=17, total_length=52), "ok", 24),
        (b.ipv4(b.udp(length=33), proto=17, total_length=52), "udp_bad_length", 24),
        (b.ipv4(b.udp(length=5000), proto=17, more_fragments=True), "ok", 0),
        (b.ipv4(b.udp(length=7), proto=17, more_fragments=True), "udp_bad_length", 0),
    ],
)
def test_udp_length(packet: bytes, status: str, payload: int) -> None:
    row = decode(packet, 101)
    assert (row["status"], row["payload_len"]) == (status, payload)
    assert (row["dst_port"], row["traffic"]) == (
        53,
        "scan" if packet[9] == 17 else "other",
    )


@pytest.mark.parametrize("proto", [b.ICMP, b.ICMPV6])
@pytest.mark.parametrize("build", [ip4, ip6])
@pytest.mark.parametrize(
    ("size", "status", "type", "code", "payload"),
    [
        (0, "l4_truncated", None, None, None),
        (1, "l4_truncated", 3, None, None),
        (2, "l4_truncated", 3, 13, None),
        (3, "l4_truncated", 3, 13, None),
        (4, "ok", 3, 13, None),
        (7, "ok", 3, 13, None),
        (8, "ok", 3, 13, 0),
        (11, "ok", 3, 13, 3),
    ],
)
def test_icmp(
    build: Callable[..., Row],
    proto: int,
    size: int,
    status: str,
    type: int | None,
    code: int | None,
    payload: int | None,
) -> None:
    row = build(b.icmp(b"abc", type=3, code=13)[:size], proto=proto)
    assert (row["status"], row["payload_len"]) == (status, payload)
    assert (row["icmp_type"], row["icmp_code"]) == (type, code)
    assert row["src_port"] is None


def test_icmp_cut_by_the_capture_has_its_length() -> None:
    row = ip4(b.icmp()[:2], proto=b.ICMP, total_length=100)
    assert (row["status"], row["payload_len"]) == ("l4_truncated", 72)


@pytest.mark.parametrize("proto", [0, 4, 41, b.GRE, 50, b.AUTH, b.NO_NEXT, 60, 255])
def test_any_other_protocol_is_payload(proto: int) -> None:
    """Extension headers of IPv6 are nothing in IPv4; tunnels stay closed."""
    row = ip4(b.ipv4(b.tcp()), proto=proto)
    assert (row["status"], row["proto"], row["payload_len"]) == ("ok", proto, 40)
    assert present(row) == RECORD | NETWORK4 | {"payload_len"}


# --- traffic -------------------------------------------------------------------------

FIN, SYN, RST, ACK = b.FIN, b.SYN, b.RST, b.ACK


@pytest.mark.parametrize(
    ("flags", "traffic"),
    [
        (SYN, "scan"),
        (SYN | b.ECE | b.CWR, "scan"),
        (SYN | b.PSH | b.URG, "scan"),
        (SYN | ACK, "backscatter"),
        (SYN | ACK | FIN, "backscatter"),
        (RST, "backscatter"),
        (RST | ACK, "backscatter"),
        (RST | SYN, "backscatter"),
        (SYN | FIN, "other"),
        (FIN, "other"),
        (ACK, "other"),
        (FIN | ACK, "other"),
        (0, "other"),
        (FIN | b.PSH | b.URG, "other"),
    ],
)
def test_traffic_of_tcp(flags: int, traffic: str) -> None:
    assert ip4(b.tcp(flags=flags))["traffic"] == traffic


@pytest.mark.parametrize(
    ("proto", "backscatter", "scan"),
    [
        (b.ICMP, {0, 3, 4, 5, 11, 12, 14, 16, 18}, {8}),
        (b.ICMPV6, {1, 2, 3, 4, 129}, {128}),
    ],
)
@pytest.mark.parametrize("build", [ip4, ip6])
def test_traffic_of_icmp(
    build: Callable[..., Row], proto: int, backscatter: set[int], scan: set[int]
) -> None:
    for number in range(256):
        row = build(b.icmp(type=number), proto=proto)
        expected = "backscatter" if number in backscatter else "other"
        assert row["traffic"] == ("scan" if number in scan else expected)


@pytest.mark.parametrize(
    ("row", "traffic"),
    [
        (ip4(b.udp(), proto=b.UDP), "scan"),
        (ip4(b"xxxx", proto=b.UDP, frag_offset=8), "scan"),
        (ip4(b"", proto=b.UDP), "scan"),
        (ip4(b.udp(), proto=b.UDPLITE), "other"),
        (ip4(b"x" * 20, frag_offset=8), "other"),
        (ip4(b"", proto=b.ICMP), "other"),
        (decode(b.ethernet(ethertype=0x0806)), None),
    ],
)
def test_traffic_of_the_rest(row: Row, traffic: str | None) -> None:
    assert row["traffic"] == traffic


# --- counting ------------------------------------------------------------------------

HOUR = b.T0 * SECOND


def count(*packets: bytes, seconds: tuple[int, ...] | None = None) -> Any:
    builder = b.PcapBuilder(linktype=101)
    for index, packet in enumerate(packets):
        builder.add(packet, sec=seconds[index] if seconds else b.T0)
    return tally(decode_capture(builder.build()))


def test_counts_and_sources_of_a_cell() -> None:
    other = bytes([203, 0, 113, 9])
    counts, sources, uncounted, records, counted = count(
        b.ipv4(b.tcp(src_port=1, seq=7), ttl=50),
        b.ipv4(b.tcp(b"abc", src_port=1, seq=8), ttl=50),
        b.ipv4(b.tcp(src_port=1, seq=9), ttl=60, src=other),
    )
    cell = (HOUR, 6, 23, None, None, "scan", "1024:::", None)
    assert counts == {cell: {"packets": 3, "bytes": 123, "sources": 2}}
    assert sources == {
        (*cell, mapped(b.SRC4), 4): {
            "packets": 2,
            "bytes": 83,
            "src_port": 1,
            "tcp_seq": None,
            "ip_ttl": 50,
            "tcp_seq_key": None,
        },
        (*cell, mapped(other), 4): {
            "packets": 1,
            "bytes": 40,
            "src_port": 1,
            "tcp_seq": 9,
            "ip_ttl": 60,
            "tcp_seq_key": None,
        },
    }
    assert (uncounted, records, counted) == ({}, 3, 3)


def test_hours_and_implausible_times() -> None:
    start, end = 631_152_000, 4_102_444_800
    seconds = (0, start - 1, start, start + 3599, start + 3600, end - 1, end)
    counts, _, uncounted, records, counted = count(
        *[b.ipv4(b.tcp())] * 7, seconds=seconds
    )
    assert {key[0] // SECOND: cell["packets"] for key, cell in counts.items()} == {
        start: 2,
        start + 3600: 1,
        end - 3600: 1,
    }
    assert uncounted == {"bad_ts": 3}
    assert (records, counted) == (7, 4)


def test_a_bad_time_comes_before_a_bad_packet() -> None:
    _, _, uncounted, _, _ = count(b"\x00", b"\x00", seconds=(1, b.T0))
    assert uncounted == {"bad_ts": 1, "bad_ip_version": 1}


def test_the_sensor_address_is_not_told_by_a_sequence_number() -> None:
    """Absent for one packet of two means null for both."""
    dst = bytes([198, 51, 100, 2])
    told = [int.from_bytes(dst, order) for order in ("big", "little")]
    for seq in told:
        _, sources, _, _, _ = count(b.ipv4(b.tcp(seq=seq), dst=dst))
        assert next(iter(sources.values()))["tcp_seq"] is None
        _, sources, _, _, _ = count(
            b.ipv4(b.tcp(seq=seq), dst=dst), b.ipv4(b.tcp(seq=seq), dst=b.SRC4)
        )
        assert next(iter(sources.values()))["tcp_seq"] is None
    _, sources, _, _, _ = count(*[b.ipv4(b.tcp(seq=told[0]), dst=b.SRC4)] * 2)
    assert next(iter(sources.values()))["tcp_seq"] == told[0]


def test_one_sixteen_bytes_two_sources() -> None:
    """A mapped address on IPv6 is another source, and never of a country."""
    packets = (
        b.ipv4(b.tcp(), src=b.SRC4),
        b.ipv6(b.tcp(), src=mapped(b.SRC4)),
        b.ipv6(b.tcp(), src=b.SRC6),
    )
    result = decode_capture(b.capture(*packets, linktype=101))
    counts, sources, *_ = tally(result)
    assert len(sources) == 3
    assert [cell["sources"] for cell in counts.values()] == [3]
    counts, *_ = tally(result, country=lambda _: "JP")
    assert {key[4]: cell["sources"] for key, cell in counts.items()} == {
        "JP": 2,
        None: 1,
    }


@settings(deadline=None)
@given(captures())
def test_conservation(data: bytes) -> None:
    result = decode_capture(data)
    counts, sources, uncounted, records, counted = tally(result)
    assert records == len(result.rows) == counted + sum(uncounted.values())
    assert counted == sum(cell["packets"] for cell in counts.values())
    assert counted == sum(source["packets"] or 0 for source in sources.values())
    assert sum(cell["sources"] for cell in counts.values()) == len(sources)
    assert set(uncounted) <= {"bad_ts", *UNCOUNTED}
    assert (result.offset is None) == (result.status == "complete")


@settings(deadline=None)
@given(capture_parts(max_records=4), st.data())
def test_a_cut_capture_is_a_beginning(capture: Any, data: st.DataObject) -> None:
    whole = decode_capture(capture.data)
    size = data.draw(st.integers(24, len(capture.data)))
    part = decode_capture(capture.data[:size])
    if whole.status != "rejected":
        assert part.rows == whole.rows[: part.records]
        assert part.status in ("complete", "truncated", whole.status)


def test_magics_are_those_of_the_builders() -> None:
    assert set(MAGICS) == set(b.MAGICS)
