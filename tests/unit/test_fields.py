"""One golden vector for each packet column, from packets written byte by byte.

A new row in ff_fields.h fails here until it has a vector: a packet whose bytes show the
column's value, and a packet where it is null.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
import pytest

import fastflow
from fastflow.schema import COUNTRY, FIELDS, PACKET_COLUMNS, packet_schema

# Little-endian, microseconds, version 2.4, snaplen 65535; the link type follows.
FILE_HEADER = "d4c3b2a1 0200 0400 00000000 00000000 ffff0000"

#: Link type, record header, packet.
PACKETS = {
    # A SYN to port 445 in VLAN 100; the last byte on the wire was not captured.
    "syn": (
        "01000000",
        # 2020-08-26 12:00:00.000123 UTC, 70 bytes of 71
        "c04e465f 7b000000 46000000 47000000",
        "020000000002 020000000001 8100 2064 0800"
        # IPv4, 5 words, DSCP 46 ECN 0, 53 bytes, id 7238, DF, TTL 113, TCP
        "45 b8 0035 1c46 4000 71 06 0000 cb007105 c6120001"
        # port 54321 -> 445, 8 words, SYN ECE CWR, window 8192
        "d431 01bd 11223344 99aabbcc 80 c2 2000 0000 0000"
        # MSS 1460, NOP, window scale 8, NOP, NOP, SACK permitted
        "020405b4 01 030308 01 01 0402",
    ),
    # The last piece of a fragmented ICMP packet: no ICMP header here.
    "fragment": (
        "65000000",
        "c04e465f 00000000 18000000 18000000",
        # more than 20 bytes, fragment offset 185 words of 8 bytes
        "45 00 0018 0001 00b9 40 01 0000 cb007105 c6120001 00000000",
    ),
    # Port unreachable, with what it is about.
    "unreachable": (
        "65000000",
        "c04e465f 00000000 20000000 20000000",
        "45 00 0020 0001 0000 40 01 0000 cb007105 c612000103 03 0000 00000000 45000000",
    ),
    # IPv6 SYN+ACK behind a hop-by-hop header, without options.
    "syn_ack6": (
        "65000000",
        "c04e465f 00000000 44000000 44000000",
        # traffic class 0xa3, flow 0, 28 bytes, hop-by-hop, hop limit 57
        "6a300000 001c 00 39 20010db8000000000000000000000005 "
        "20010db8000000000000000000000009"
        "06 00 0104 00000000"
        "0050 d431 00000001 00000002 50 12 7210 0000 0000",
    ),
    # ARP: nothing above the link layer.
    "arp": (
        "01000000",
        "c04e465f 00000000 0e000000 0e000000",
        "ffffffffffff 020000000001 0806",
    ),
    # A SYN to port 23 whose sequence number is its destination.
    "mirai": (
        "65000000",
        "c04e465f 00000000 28000000 28000000",
        "45 00 0028 0001 0000 40 06 0000 cb007105 c6120001"
        "d431 0017 c6120001 00000000 50 02 0400 0000 0000",
    ),
    # TCP with a data offset of four words: options unknown.
    "bad_doff": (
        "65000000",
        "c04e465f 00000000 28000000 28000000",
        "45 00 0028 0001 0000 40 06 0000 cb007105 c6120001"
        "d431 0017 00000001 00000000 40 02 0400 0000 0000",
    ),
}


@dataclass(frozen=True)
class Vector:
    """A column's value in one packet, and a packet where it is null.

    Attributes
    ----------
    absent : str or None
        None: no packet lacks it.
    """

    packet: str
    value: Any
    kind: pa.DataType
    absent: str | None = None


TEXT = pa.dictionary(pa.int32(), pa.string())
ADDRESS = pa.binary(16)

VECTORS = {
    # No packet of a classic pcap lacks its time.
    "ts": Vector("syn", 1_598_443_200_000_123_000, pa.timestamp("ns", "UTC")),
    "caplen": Vector("syn", 70, pa.uint32()),
    "wirelen": Vector("syn", 71, pa.uint32()),
    "linktype": Vector("syn_ack6", 101, pa.uint16()),
    "vlan": Vector("syn", 100, pa.uint16(), "arp"),
    "ip_version": Vector("syn_ack6", 6, pa.uint8(), "arp"),
    "src": Vector(
        "syn", bytes.fromhex("00000000000000000000ffffcb007105"), ADDRESS, "arp"
    ),
    "dst": Vector(
        "syn_ack6", bytes.fromhex("20010db8000000000000000000000009"), ADDRESS, "arp"
    ),
    "proto": Vector("syn_ack6", 6, pa.uint8(), "arp"),
    "ip_ttl": Vector("syn", 113, pa.uint8(), "arp"),
    "ip_tos": Vector("syn_ack6", 0xA3, pa.uint8(), "arp"),
    "ip_id": Vector("syn", 7238, pa.uint16(), "syn_ack6"),
    "ip_len": Vector("syn_ack6", 68, pa.uint32(), "arp"),
    "ip_frag": Vector("fragment", 1480, pa.uint16(), "arp"),
    "src_port": Vector("syn", 54321, pa.uint16(), "unreachable"),
    "dst_port": Vector("syn", 445, pa.uint16(), "unreachable"),
    "tcp_flags": Vector("syn", 2 + 64 + 128, pa.uint8(), "fragment"),
    "tcp_seq": Vector("syn", 0x11223344, pa.uint32(), "fragment"),
    "tcp_ack": Vector("syn", 0x99AABBCC, pa.uint32(), "fragment"),
    "tcp_window": Vector("syn", 8192, pa.uint16(), "fragment"),
    "tcp_options": Vector("syn", "2-1-3-1-1-4", TEXT, "bad_doff"),
    "tcp_mss": Vector("syn", 1460, pa.uint16(), "syn_ack6"),
    "tcp_wscale": Vector("syn", 8, pa.uint8(), "syn_ack6"),
    "icmp_type": Vector("unreachable", 3, pa.uint8(), "fragment"),
    "icmp_code": Vector("unreachable", 3, pa.uint8(), "fragment"),
    "payload_len": Vector("unreachable", 4, pa.uint32(), "bad_doff"),
    "status": Vector("bad_doff", "tcp_bad_doff", TEXT),
    "traffic": Vector("syn_ack6", "backscatter", TEXT, "arp"),
    "signature": Vector("syn", "8192:2-1-3-1-1-4:1460:8", TEXT, "bad_doff"),
    "tool": Vector("mirai", "mirai", TEXT, "syn"),
}


@cache
def decoded(name: str) -> dict[str, Any]:
    """Return the row of a packet, times as whole nanoseconds."""
    linktype, record, packet = map(bytes.fromhex, PACKETS[name])
    data = bytes.fromhex(FILE_HEADER) + linktype + record + packet
    batches = list(fastflow.scan(io.BytesIO(data), columns=list(FIELDS)))
    table = pa.Table.from_batches(batches)
    ts = table.schema.get_field_index("ts")
    (row,) = table.set_column(ts, "ts", table["ts"].cast(pa.int64())).to_pylist()
    return dict(row)


def test_every_column_has_a_vector() -> None:
    missing = [name for name in FIELDS if name not in VECTORS]
    assert missing == [], "add a golden vector for each of these columns"
    assert list(VECTORS) == list(FIELDS)


@pytest.mark.parametrize("name", VECTORS)
def test_value(name: str) -> None:
    assert decoded(VECTORS[name].packet)[name] == VECTORS[name].value


@pytest.mark.parametrize("name", VECTORS)
def test_type(name: str) -> None:
    assert packet_schema([name]).field(name).type == VECTORS[name].kind


@pytest.mark.parametrize("name", VECTORS)
def test_null(name: str) -> None:
    absent = VECTORS[name].absent
    if absent is not None:
        assert decoded(absent)[name] is None
    assert packet_schema([name]).field(name).nullable == (
        absent is not None or name == "ts"
    )


def test_empty_option_list_is_not_null() -> None:
    row = decoded("syn_ack6")
    assert row["tcp_options"] == ""
    assert row["signature"] == "29200:::"


def test_country_is_the_only_column_that_is_not_native() -> None:
    assert set(PACKET_COLUMNS) - set(FIELDS) == {COUNTRY.name}


@pytest.mark.parametrize("name", FIELDS)
def test_unit_and_source_are_said(name: str) -> None:
    field = FIELDS[name]
    assert field["unit"]
    assert field["source"]
