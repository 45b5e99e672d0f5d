"""pcapng: sections, blocks, and every way in which their structure can be wrong.

Expected values are written by hand; `assert_same` asks the oracle, too.
"""

from __future__ import annotations

import io
from typing import Any

import pytest

import builders as b
import fastflow
import pcapng_builders as ng
from pcapng_builders import BIG, LITTLE, Blocks
from rows import Scanned, assert_same

FRAME = b.ethernet(b.ipv4(b.tcp()))
OTHER = b.ethernet(b.ipv4(b.udp(), proto=b.UDP))
#: A frame takes 54 bytes, its block 32 + 56.
EPB_BYTES = 88
#: Section header and interface description without options.
HEAD_BYTES = 28 + 20

orders = pytest.mark.parametrize("k", ng.BOTH, ids=lambda k: k.byteorder)


def head(k: Blocks = LITTLE) -> bytes:
    return k.shb() + k.idb()


def said(scanned: Scanned) -> tuple[str, str | None, int | None, int]:
    return scanned.status, scanned.reason, scanned.offset, scanned.records


def complete(data: bytes, **options: Any) -> Scanned:
    scanned = assert_same(data, **options)
    assert said(scanned)[:3] == ("complete", None, None)
    return scanned


def stops(data: bytes, reason: str, offset: int, status: str = "damaged") -> Scanned:
    """A capture of one packet, and then something is wrong."""
    scanned = assert_same(data)
    assert said(scanned) == (status, reason, offset, 1)
    return scanned


# --- whole files ---------------------------------------------------------------------


@orders
def test_packets_of_either_byte_order(k: Blocks) -> None:
    epb = k.epb(FRAME, units=b.T0 * 1_000_000 + 7, wirelen=1514)
    (row,) = complete(head(k) + epb).rows
    assert row["ts"] == b.T0 * 10**9 + 7000
    assert (row["caplen"], row["wirelen"], row["linktype"]) == (54, 1514, 1)
    assert (row["src"][12:], row["dst_port"], row["status"]) == (b.SRC4, 23, "ok")


def test_packets_without_bytes() -> None:
    (row,) = complete(head() + LITTLE.epb(b"", wirelen=60)).rows
    assert (row["caplen"], row["wirelen"], row["status"]) == (0, 60, "l2_truncated")


def test_a_file_without_interfaces_says_so() -> None:
    scanned = complete(LITTLE.shb() + LITTLE.block(ng.NRB, bytes(4)))
    assert scanned.flags == {"no_interface": 1, "skipped_block": 1}
    assert complete(head()).flags == {}


def test_a_section_has_its_own_byte_order_and_interfaces() -> None:
    first = head() + LITTLE.epb(FRAME)
    idb = BIG.idb(linktype=101, snaplen=20)
    second = BIG.shb() + idb + BIG.epb(b.ipv4(b.tcp()))
    scanned = complete(first + second + first)
    assert [row["linktype"] for row in scanned.rows] == [1, 101, 1]
    assert scanned.flags == {"caplen_gt_snaplen": 1}


def test_a_section_forgets_the_interfaces_of_the_one_before() -> None:
    data = head() + LITTLE.epb(FRAME) + LITTLE.shb()
    stops(data + LITTLE.epb(FRAME), "interface_id", len(data))


def test_the_length_of_a_section_is_not_looked_at() -> None:
    for section in (-1, 0, 4, 1 << 40):
        data = LITTLE.shb(section=section) + LITTLE.idb() + LITTLE.epb(FRAME)
        assert complete(data).records == 1


@pytest.mark.parametrize("version", [(1, 0), (1, 2)])
def test_known_versions(version: tuple[int, int]) -> None:
    assert complete(LITTLE.shb(version=version) + head()).records == 0


@pytest.mark.parametrize("kind", [0, 4, 7, 10, ng.CUSTOM, ng.CUSTOM_NO_COPY, 2**31])
def test_blocks_of_other_types_are_passed_over_and_counted(kind: int) -> None:
    skipped = LITTLE.block(kind, b"\xff" * 20)
    scanned = complete(head() + skipped + LITTLE.epb(FRAME) + skipped)
    assert (scanned.records, scanned.flags) == (1, {"skipped_block": 2})


# --- the first section header --------------------------------------------------------

GOOD = LITTLE.shb() + LITTLE.idb()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (GOOD[:2], "short_magic"),
        *((GOOD[:size], "short_header") for size in (4, 8, 12, 24, 27)),
        (LITTLE.shb(magic=0x1A2B3C4E), "bad_byte_order_magic"),
        (LITTLE.shb(length=24), "shb_length"),
        (LITTLE.shb(length=0), "shb_length"),
        (LITTLE.shb(length=ng.MAX_BLOCK + 4), "shb_length"),
        (LITTLE.shb(length=ng.MAX_BLOCK + 1), "shb_length"),
        (LITTLE.shb(length=0xFFFF_FFFF), "shb_length"),
        (LITTLE.shb(length=30), "block_not_multiple_of_4"),
        (LITTLE.shb(version=(1, 1)), "pcapng_version"),
        (LITTLE.shb(version=(2, 0)), "pcapng_version"),
        (LITTLE.shb(length=ng.MAX_BLOCK), "short_header"),
        (LITTLE.shb(length=32), "short_header"),
        (LITTLE.shb(trailer=32), "trailer_mismatch"),
        # The first of several faults is named.
        (LITTLE.shb(magic=0, length=8, version=(9, 9)), "bad_byte_order_magic"),
        (LITTLE.shb(length=8, version=(9, 9)), "shb_length"),
        (LITTLE.shb(length=30, version=(9, 9)), "block_not_multiple_of_4"),
        (LITTLE.shb(length=400, version=(9, 9)), "pcapng_version"),
    ],
)
def test_a_bad_first_section_header_rejects_the_file(data: bytes, reason: str) -> None:
    scanned = assert_same(data)
    assert said(scanned) == ("rejected", reason, 0, 0)


@pytest.mark.parametrize("kind", range(1, 7))
@orders
def test_blocks_without_a_section_header(k: Blocks, kind: int) -> None:
    for length in (12, 20, ng.MAX_BLOCK):
        scanned = assert_same(k.block(kind, bytes(8), length=length))
        assert said(scanned) == ("rejected", "no_section_header", 0, 0)


@pytest.mark.parametrize(("kind", "length"), [(7, 12), (1, 8), (1, 13), (1, 2**20 + 4)])
def test_what_only_resembles_a_block(kind: int, length: int) -> None:
    data = LITTLE.block(kind, bytes(8), length=length)
    assert said(assert_same(data)) == ("rejected", "unknown_magic", 0, 0)


def test_a_section_header_of_a_mebibyte() -> None:
    options = bytes(ng.MAX_BLOCK - 28)
    data = LITTLE.shb(options) + LITTLE.idb() + LITTLE.epb(FRAME)
    assert complete(data).records == 1


# --- later blocks --------------------------------------------------------------------

ONE = GOOD + LITTLE.epb(FRAME)


@pytest.mark.parametrize(
    ("data", "reason", "status"),
    [
        (LITTLE.shb(magic=5), "bad_byte_order_magic", "damaged"),
        (LITTLE.shb(length=24), "shb_length", "damaged"),
        (LITTLE.shb(length=ng.MAX_BLOCK + 4), "shb_length", "damaged"),
        (LITTLE.shb(length=30), "block_not_multiple_of_4", "damaged"),
        (LITTLE.shb(version=(1, 1)), "pcapng_version", "damaged"),
        (LITTLE.shb(length=400), "truncated_block", "truncated"),
        (LITTLE.shb(trailer=32), "trailer_mismatch", "damaged"),
        (LITTLE.shb()[:11], "truncated_block", "truncated"),
        (LITTLE.shb()[:12], "truncated_block", "truncated"),
        (LITTLE.shb(magic=5)[:12], "bad_byte_order_magic", "damaged"),
        (LITTLE.shb(length=24)[:12], "shb_length", "damaged"),
        (LITTLE.shb(version=(1, 1))[:27], "truncated_block", "truncated"),
    ],
)
def test_a_bad_later_section_header(data: bytes, reason: str, status: str) -> None:
    stops(ONE + data, reason, len(ONE), status)


@pytest.mark.parametrize("size", range(1, 8))
def test_fewer_bytes_than_a_block_begins_with(size: int) -> None:
    for data in (bytes(7), b"\xff" * 7):
        stops(ONE + data[:size], "truncated_block", len(ONE), "truncated")


@pytest.mark.parametrize(
    ("data", "reason", "status"),
    [
        (bytes(8), "zero_record", "damaged"),
        (bytes(4096), "zero_record", "damaged"),
        (LITTLE.block(ng.EPB, length=0), "block_too_short", "damaged"),
        (LITTLE.block(77, length=8), "block_too_short", "damaged"),
        (LITTLE.block(0, length=4), "block_too_short", "damaged"),
        (LITTLE.block(77, length=13), "block_not_multiple_of_4", "damaged"),
        (LITTLE.block(77, length=16), "truncated_block", "truncated"),
        (LITTLE.block(77, length=0xFFFF_FFFC), "truncated_block", "truncated"),
        (LITTLE.block(77, bytes(8), trailer=24), "trailer_mismatch", "damaged"),
        (LITTLE.block(ng.EPB, length=2**20 + 4), "block_over_max", "damaged"),
        (LITTLE.block(ng.EPB, length=2**20), "truncated_block", "truncated"),
        (LITTLE.epb(FRAME, trailer=84), "trailer_mismatch", "damaged"),
        (LITTLE.epb(FRAME)[:-1], "truncated_block", "truncated"),
    ],
)
def test_a_bad_block(data: bytes, reason: str, status: str) -> None:
    scanned = stops(ONE + data, reason, len(ONE), status)
    assert scanned.flags == {}


@pytest.mark.parametrize(
    ("kind", "least"),
    [(ng.IDB, 20), (ng.PB, 32), (ng.SPB, 16), (ng.ISB, 24), (ng.EPB, 32)],
)
def test_a_known_block_has_a_least_and_a_greatest_length(kind: int, least: int) -> None:
    short = LITTLE.block(kind, bytes(least - 12 - 4))
    stops(ONE + short, "block_too_short", len(ONE))
    assert assert_same(ONE + LITTLE.block(kind, bytes(least - 12))).reason is None
    long = LITTLE.block(kind, length=ng.MAX_BLOCK + 4)
    stops(ONE + long, "block_over_max", len(ONE))


def test_every_cut_keeps_the_blocks_before_it() -> None:
    blocks = [
        LITTLE.shb(),
        LITTLE.idb(LITTLE.tsresol(6)),
        LITTLE.epb(FRAME),
        LITTLE.block(ng.NRB, bytes(12)),
        LITTLE.pb(OTHER),
        LITTLE.shb(),
    ]
    data = b"".join(blocks)
    ends = [len(b"".join(blocks[: n + 1])) for n in range(len(blocks))]
    for size in range(len(data)):
        begin = max((end for end in ends if end <= size), default=0)
        scanned = assert_same(data[:size])
        assert scanned.records == sum(end <= size for end in (ends[2], ends[4]))
        if size in ends:
            assert scanned.status == "complete"
        elif size < ends[0]:
            assert scanned.status == "rejected"
        else:
            assert said(scanned)[:3] == ("truncated", "truncated_block", begin)


# --- blocks larger than any buffer ---------------------------------------------------


class Generated(io.RawIOBase):
    """A stream of given bytes, then as many of another, then given ones again."""

    def __init__(self, before: bytes, n_between: int, after: bytes) -> None:
        self._parts = [(before, 1), (b"\xa5" * 65_536, n_between // 65_536), (after, 1)]
        self.n_given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._parts and self._parts[0][1] == 0:
            self._parts.pop(0)
        if not self._parts:
            return 0
        data, times = self._parts[0]
        piece = data[: len(buffer)]
        buffer[: len(piece)] = piece
        rest = data[len(piece) :]
        self._parts[0] = (data, times - 1)
        if rest:
            self._parts.insert(0, (rest, 1))
        self.n_given += len(piece)
        return len(piece)


def generated(n_bytes: int, trailer: int | None = None) -> Generated:
    """A block of n bytes of an unknown type, and a packet behind it."""
    length = n_bytes + 12
    before = GOOD + LITTLE.pack("II", 77, length)
    end = LITTLE.pack("I", length if trailer is None else trailer)
    return Generated(before, n_bytes, end + LITTLE.epb(FRAME))


def test_an_unknown_block_of_64_mb_is_passed_over_as_it_comes() -> None:
    source = generated(1 << 26)
    scan = fastflow.scan(source, ["dst_port"])  # type: ignore[arg-type]
    assert [batch["dst_port"].to_pylist() for batch in scan] == [[23]]
    assert scan.stats is not None
    assert scan.stats.flags["skipped_block"] == 1
    assert source.n_given == HEAD_BYTES + (1 << 26) + 12 + EPB_BYTES


def test_the_trailer_of_a_large_block_is_compared() -> None:
    scan = fastflow.scan(generated(1 << 21, trailer=4), strict=False)  # type: ignore[arg-type]
    assert list(scan) == []
    assert scan.stats is not None
    assert (scan.stats.reason, scan.stats.offset) == ("trailer_mismatch", HEAD_BYTES)
    assert scan.stats.flags.get("skipped_block", 0) == 0


@pytest.mark.parametrize("block_bytes", [1, 3, 7, 64, 1000])
def test_a_block_longer_than_what_is_read_at_a_time(block_bytes: int) -> None:
    data = GOOD + LITTLE.block(77, bytes(5000)) + LITTLE.epb(FRAME)
    assert complete(data, block_bytes=block_bytes).records == 1
    for size in (len(GOOD) + 8, len(GOOD) + 100, len(GOOD) + 5011):
        scanned = assert_same(data[:size], block_bytes=block_bytes)
        assert said(scanned) == ("truncated", "truncated_block", len(GOOD), 0)
