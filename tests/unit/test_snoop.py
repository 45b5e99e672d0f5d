"""Snoop (RFC 1761): the header, records, and every way in which they can be wrong.

Expected values are written by hand; `assert_same` asks the oracle, too.
"""

from __future__ import annotations

from typing import Any

import pytest

import builders as b
import snoop_builders as sn
from rows import Scanned, assert_same

FRAME = b.ethernet(b.ipv4(b.tcp()))
GOOD = sn.capture(FRAME)
#: Header, then 24 bytes and 54 padded to 56.
N_BYTES = 16 + 80


def stops(data: bytes, reason: str, status: str = "damaged") -> Scanned:
    """A capture of one packet, and then something is wrong."""
    scanned = assert_same(GOOD + data)
    assert (scanned.status, scanned.reason) == (status, reason)
    assert (scanned.offset, scanned.records) == (N_BYTES, 1)
    return scanned


def test_a_packet() -> None:
    record = sn.snoop_record(FRAME, micros=999_999, wirelen=1514)
    scanned = assert_same(sn.snoop_header() + record)
    assert (scanned.status, scanned.flags, scanned.dropped) == (
        "complete",
        {},
        0,
    )
    (row,) = scanned.rows
    assert row["ts"] == b.T0 * 10**9 + 999_999_000
    assert (row["caplen"], row["wirelen"], row["linktype"]) == (54, 1514, 1)
    assert (row["src"][12:], row["dst_port"], row["status"]) == (b.SRC4, 23, "ok")


@pytest.mark.parametrize("datalink", [0, 4])
def test_both_kinds_of_ethernet(datalink: int) -> None:
    scanned = assert_same(sn.capture(FRAME, datalink=datalink))
    assert [row["linktype"] for row in scanned.rows] == [1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (GOOD[:3], "short_magic"),
        (GOOD[:4], "short_magic"),
        (GOOD[:7], "short_magic"),
        (GOOD[:6] + b"\1", "unknown_magic"),
        (GOOD[:8], "short_header"),
        (GOOD[:15], "short_header"),
        (sn.snoop_header(version=1), "snoop_version"),
        (sn.snoop_header(version=3), "snoop_version"),
        (sn.snoop_header(version=2 << 24), "snoop_version"),
        (sn.snoop_header(datalink=1), "unsupported_linktype"),
        (sn.snoop_header(datalink=8), "unsupported_linktype"),
        (sn.snoop_header(version=9, datalink=9), "snoop_version"),
    ],
)
def test_a_bad_header_rejects_the_file(data: bytes, reason: str) -> None:
    scanned = assert_same(data)
    assert (scanned.status, scanned.reason, scanned.offset) == ("rejected", reason, 0)
    assert scanned.dropped is None


def test_a_header_alone_says_nothing_of_losses() -> None:
    scanned = assert_same(sn.snoop_header())
    assert (scanned.status, scanned.records, scanned.dropped) == ("complete", 0, None)


@pytest.mark.parametrize(
    ("data", "reason", "status"),
    [
        (b"\1", "truncated_record_header", "truncated"),
        (bytes(23), "truncated_record_header", "truncated"),
        (bytes(24), "zero_record", "damaged"),
        (bytes(4096), "zero_record", "damaged"),
        (sn.snoop_record(FRAME, caplen=262_145), "caplen_over_max", "damaged"),
        (sn.snoop_record(FRAME, caplen=0xFFFF_FFFF), "caplen_over_max", "damaged"),
        (sn.snoop_record(FRAME, length=0), "record_too_short", "damaged"),
        (sn.snoop_record(FRAME, length=77), "record_too_short", "damaged"),
        (sn.snoop_record(FRAME, caplen=57), "record_too_short", "damaged"),
        (sn.snoop_record(FRAME, length=78 + 65_537), "bad_record", "damaged"),
        (sn.snoop_record(FRAME, length=0xFFFF_FFFF), "bad_record", "damaged"),
        (sn.snoop_record(FRAME, length=78 + 65_536), "truncated_record", "truncated"),
        (sn.snoop_record(FRAME)[:-1], "truncated_record", "truncated"),
        (sn.snoop_record(FRAME, caplen=262_144), "record_too_short", "damaged"),
    ],
)
def test_a_bad_record(data: bytes, reason: str, status: str) -> None:
    assert stops(data, reason, status).flags == {}


@pytest.mark.parametrize("pad", [0, 1, 3, 8, 65_536])
def test_padding_is_passed_over(pad: int) -> None:
    padded = sn.snoop_record(FRAME, pad=pad)
    scanned = assert_same(sn.snoop_header() + padded * 2)
    assert [row["caplen"] for row in scanned.rows] == [54, 54]


def test_the_longest_packet() -> None:
    record = sn.snoop_record(FRAME.ljust(262_144, b"\0"))
    assert assert_same(sn.snoop_header() + record).rows[0]["caplen"] == 262_144


@pytest.mark.parametrize(
    ("changes", "ts"),
    [
        ({"sec": 0xFFFF_FFFF}, 4_294_967_295 * 10**9),
        ({"sec": 0}, 0),
        ({"sec": 5, "micros": 1_000_000}, 6 * 10**9),
        ({"sec": 5, "micros": 0xFFFF_FFFF}, 4_299_967_295_000),
    ],
)
def test_time_is_unsigned_and_carried(changes: dict[str, Any], ts: int) -> None:
    scanned = assert_same(sn.snoop_header() + sn.snoop_record(FRAME, **changes))
    assert scanned.rows[0]["ts"] == ts
    assert scanned.flags == ({"subsec_out_of_range": 1} if "micros" in changes else {})


def test_flags_of_lengths() -> None:
    no_length = sn.snoop_record(FRAME, wirelen=0)
    shorter = sn.snoop_record(FRAME, wirelen=20)
    scanned = assert_same(sn.snoop_header() + no_length + shorter)
    assert [row["wirelen"] for row in scanned.rows] == [54, 20]
    assert scanned.flags == {"len_zero": 1, "len_lt_caplen": 1}


def test_losses_are_cumulative() -> None:
    records = [sn.snoop_record(FRAME, drops=n) for n in (3, 9, 9, 0, 5)]
    assert assert_same(sn.snoop_header() + b"".join(records)).dropped == 9
    most = sn.snoop_record(FRAME, drops=0xFFFF_FFFF)
    assert assert_same(sn.snoop_header() + most).dropped == 0xFFFF_FFFF
    cut = records[0] + records[1][:-1]
    assert assert_same(sn.snoop_header() + cut).dropped == 3
