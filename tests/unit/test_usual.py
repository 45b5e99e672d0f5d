"""Usual packets take a short way; it says what the general one says, at every edge."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import builders as b
import reference
from harness import NEEDS_COMPILER, build, run
from rows import FASTFLOW, Scanned, assert_same, fastflow_scan

#: In two orders of bytes and two units: the swapped ones take the general way.
DIALECTS = [
    (magic, order, scale)
    for magic, scale in ((b.MAGIC_USEC, 1), (b.MAGIC_NSEC, 1000))
    for order in ("little", "big")
]
SOME_COLUMNS = ["ts", "src", "dst_port", "tcp_window", "payload_len", "traffic"]
SNAPLEN = 1000
MIXED = b.mss(1460) + b.sack_permitted() + b.timestamp() + b.nop() + b.wscale(7)


@dataclass(frozen=True)
class Case:
    """A frame and what its record says otherwise."""

    frame: bytes
    record: dict[str, int] = field(default_factory=dict)


def tcp(options: bytes = MIXED, **ip: Any) -> bytes:
    return b.ethernet(b.ipv4(b.tcp(options=options), **ip))


def segment(length: int, **wrong: Any) -> bytes:
    """A TCP header that stands in an IP packet of another length."""
    return b.ethernet(b.ipv4(b.tcp(**wrong).ljust(60, b"\0"), total_length=length))


def datagram(length: int, payload: bytes = b"12345678") -> bytes:
    return b.ethernet(b.ipv4(b.udp(payload, length=length), proto=b.UDP))


def changed(frame: bytes, at: int, byte: int) -> bytes:
    return frame[:at] + bytes([byte]) + frame[at + 1 :]


BARE = tcp(b"")
CASES = {
    "tcp": Case(tcp()),
    "no options": Case(BARE),
    "forty bytes of options": Case(tcp(b.nop() * 40)),
    "thirty-six bytes of options": Case(tcp(b.nop() * 32 + b.mss())),
    "options with an end": Case(tcp(b.mss() + b.eol() + b"\1\2\3")),
    "a malformed option": Case(tcp(b.option(2, b"\5", length=1) + b.nop())),
    "an MSS of three bytes": Case(tcp(b.option(2, b"\5") + b.nop())),
    "no shift in a scale": Case(tcp(b.option(3) + b.nop() * 2)),
    "udp": Case(datagram(16)),
    "icmp": Case(b.ethernet(b.ipv4(b.icmp(b"ping"), proto=b.ICMP))),
    "icmp answers": Case(b.ethernet(b.ipv4(b.icmp(type=3), proto=b.ICMP))),
    "icmp of 7 bytes": Case(b.ethernet(b.ipv4(b.icmp()[:7], proto=b.ICMP))),
    "icmp6 in ipv4": Case(b.ethernet(b.ipv4(b.icmp(b"ping"), proto=b.ICMPV6))),
    "sctp": Case(b.ethernet(b.ipv4(b.sctp(), proto=b.SCTP))),
    "ipv6": Case(b.ethernet(b.ipv6(b.tcp()), ethertype=0x86DD)),
    "arp": Case(changed(BARE, 13, 6)),
    "another high byte of the type": Case(changed(BARE, 12, 9)),
    "version 5": Case(tcp(version=5)),
    "an ip header of 24 bytes": Case(b.ethernet(b.ipv4(b.tcp(), options=b"\1" * 4))),
    "an ip header of 16 bytes": Case(tcp(ihl=4)),
    "do not fragment": Case(tcp(dont_fragment=True)),
    "reserved bit": Case(changed(BARE, 20, 0x80)),
    "more fragments": Case(tcp(more_fragments=True)),
    "a later fragment": Case(tcp(frag_offset=8)),
    "a far fragment": Case(tcp(frag_offset=8 * 256)),
    "tos and id": Case(tcp(tos=255, ident=65535, ttl=255)),
    "padding": Case(BARE + bytes(6)),
    "a packet cut by one byte": Case(BARE[:-1], {"wirelen": len(BARE)}),
    "a payload cut": Case(segment(81), {"wirelen": 95}),
    "a payload that just fits": Case(segment(80), {"wirelen": 95}),
    "an ip length of 0": Case(segment(0)),
    "an ip length of 19": Case(segment(19)),
    "an ip length of 20": Case(segment(20)),
    "an ip length of 39": Case(segment(39)),
    "an ip length of 40": Case(segment(40)),
    "a data offset of 4": Case(segment(80, doff=4)),
    "a data offset of 15": Case(segment(80, doff=15)),
    "a data offset beyond the packet": Case(segment(79, doff=15)),
    "a udp length of 0": Case(datagram(0)),
    "a udp length of 7": Case(datagram(7)),
    "a udp length of 8": Case(datagram(8)),
    "a udp length beyond the packet": Case(datagram(17)),
    "a udp header cut": Case(b.ethernet(b.ipv4(b.udp()[:7], proto=b.UDP))),
    "wire length of 0": Case(BARE, {"wirelen": 0}),
    "wire length below": Case(BARE, {"wirelen": len(BARE) - 1}),
    "wire length above": Case(BARE, {"wirelen": len(BARE) + 1}),
    "as many bytes as the snaplen": Case(BARE.ljust(SNAPLEN, b"\0")),
    "more bytes than the snaplen": Case(BARE.ljust(SNAPLEN + 1, b"\0")),
    "the last fraction": Case(BARE, {"frac": 999_999}),
    "a second of fractions": Case(BARE, {"frac": 1_000_000}),
    "1970": Case(BARE, {"sec": 1}),
    "long ago": Case(BARE, {"sec": 900_000_000}),
    "long from now": Case(BARE, {"sec": 0xFFFF_FFFF}),
    "the second before a magic number": Case(BARE, {"sec": 0xA1B1_FFFF}),
    "half a magic number": Case(BARE, {"sec": 0xA1B2_0000}),
    "half a swapped magic number": Case(BARE, {"sec": 0x5E6A_B2A1}),
}


def captured(dialect: tuple[Any, ...], *cases: Case, tail: bool = True) -> bytes:
    """Return the packets; a tail keeps the block's end away from them."""
    magic, order, scale = dialect
    builder = b.PcapBuilder(magic=magic, byteorder=order, snaplen=SNAPLEN)
    for case in (*cases, *[Case(datagram(208, bytes(200)))] * tail):
        frac = case.record.get("frac", 7) * scale
        builder.add(case.frame, **case.record | {"frac": frac})
    return builder.build()


def both(data: bytes) -> Scanned:
    """Compare with the oracle: as views, as rows, and a column at a time."""
    found = assert_same(data)
    for columns in (reference.PACKET_COLUMNS, SOME_COLUMNS):
        some = fastflow_scan(io.BytesIO(data), columns=list(columns))
        assert some.rows == [
            {name: row[name] for name in columns} for row in found.rows
        ]
        assert some.records == found.records
        assert some.flags == found.flags
    return found


@FASTFLOW
@pytest.mark.parametrize("name", CASES)
def test_an_edge_is_read_as_the_oracle_reads_it(name: str) -> None:
    usual, case = CASES["tcp"], CASES[name]
    for dialect in DIALECTS:
        both(captured(dialect, usual, case, case, usual, case))


@FASTFLOW
def test_each_column_alone_is_that_of_all() -> None:
    data = captured(DIALECTS[0], *CASES.values())
    rows = assert_same(data).rows
    for name in reference.COLUMNS:
        alone = fastflow_scan(io.BytesIO(data), columns=[name]).rows
        assert alone == [{name: row[name]} for row in rows], name


@FASTFLOW
def test_any_flags() -> None:
    frames = [b.ethernet(b.ipv4(b.tcp(flags=flags))) for flags in range(256)]
    both(captured(DIALECTS[0], *map(Case, frames)))


@FASTFLOW
def test_no_way_depends_on_the_bytes_behind_a_packet() -> None:
    """The last packet of a block is read as any other."""
    for name in ("tcp", "no options", "forty bytes of options", "udp", "icmp"):
        for n_more in range(120):
            padded = Case(CASES[name].frame + bytes(n_more))
            both(captured(DIALECTS[0], padded, tail=False))


@FASTFLOW
def test_ways_that_take_turns() -> None:
    """Stretches of both kinds, beyond what a chunk holds."""
    usual, other = CASES["tcp"], CASES["ipv6"]
    for n_usual, n_other in ((1, 1), (7, 3), (255, 1), (1, 300), (300, 300)):
        data = captured(DIALECTS[0], *([usual] * n_usual + [other] * n_other) * 3)
        both(data)
        assert_same(data, batch_rows=100, block_bytes=5000)


@NEEDS_COMPILER[0]
@NEEDS_COMPILER[1]
def test_changed_bytes_change_both_ways_alike(tmp_path: Path) -> None:
    program = build(Path(__file__).with_name("usual.c"), tmp_path)
    done = run(program)
    assert done.returncode == 0, done.stderr
