"""ERF: how it is known, its records, and every way in which they can be wrong.

Expected values are written by hand; `assert_same` asks the oracle, too.
"""

from __future__ import annotations

import pytest

import builders as b
import erf_builders as erf
from rows import Scanned, assert_same

FRAME = b.ethernet(b.ipv4(b.tcp()))
GOOD = erf.capture(FRAME)
#: 16 bytes, 2 of padding, 54, to a multiple of 8.
N_BYTES = 72
T1990, T2100 = 631_152_000, 4_102_444_800


def stops(data: bytes, reason: str, status: str = "damaged") -> Scanned:
    """A capture of two packets, and then something is wrong."""
    scanned = assert_same(GOOD * 2 + data)
    assert (scanned.status, scanned.reason) == (status, reason)
    assert (scanned.offset, scanned.records) == (2 * N_BYTES, 2)
    return scanned


def complete(data: bytes) -> Scanned:
    scanned = assert_same(data)
    assert (scanned.status, scanned.reason) == ("complete", None)
    return scanned


def unknown(data: bytes, reason: str = "unknown_magic") -> None:
    scanned = assert_same(data)
    assert (scanned.status, scanned.reason, scanned.offset) == ("rejected", reason, 0)


# --- packets -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", erf.ETHERNET_TYPES)
def test_ethernet_records(kind: int) -> None:
    record = erf.erf_record(FRAME, kind=kind, fraction=1 << 31, wirelen=58)
    (row,) = complete(record).rows
    assert row["ts"] == b.T0 * 10**9 + 500_000_000
    assert (row["caplen"], row["wirelen"], row["linktype"]) == (54, 58, 1)
    assert (row["src"][12:], row["dst_port"], row["status"]) == (b.SRC4, 23, "ok")


@pytest.mark.parametrize(
    ("kind", "packet", "linktype"),
    [(erf.IPV4, b.ipv4(b.tcp()), 228), (erf.IPV6, b.ipv6(b.tcp()), 229)],
)
def test_ip_records(kind: int, packet: bytes, linktype: int) -> None:
    (row,) = complete(erf.erf_record(packet, kind=kind)).rows
    assert (row["linktype"], row["caplen"]) == (linktype, len(packet))
    assert (row["dst_port"], row["status"]) == (23, "ok")


def test_captured_is_what_is_left_of_the_record_up_to_the_wire_length() -> None:
    def lengths(**changes: int) -> tuple[int, int]:
        (row,) = complete(erf.erf_record(FRAME, **changes)).rows
        return row["caplen"], row["wirelen"]

    assert lengths(pad=0) == (54, 54)
    assert lengths(pad=6, wirelen=60) == (60, 60)
    assert lengths(pad=6, wirelen=1514) == (60, 1514)
    assert lengths(wirelen=20) == (20, 20)
    assert lengths(wirelen=0) == (0, 0)


def test_wire_lengths_raise_no_flag() -> None:
    records = erf.erf_record(FRAME, wirelen=0) + erf.erf_record(FRAME, wirelen=20)
    assert complete(records).flags == {}


@pytest.mark.parametrize("extensions", [1, 2, 16])
def test_extension_headers_are_passed_over(extensions: int) -> None:
    record = erf.erf_record(FRAME, extensions=extensions)
    (row,) = complete(record).rows
    assert (row["caplen"], row["dst_port"]) == (54, 23)


@pytest.mark.parametrize("kind", [erf.PAD, erf.META])
def test_records_without_a_packet_are_passed_over_and_counted(kind: int) -> None:
    other = erf.erf_record(bytes(24), kind=kind)
    scanned = complete(other + GOOD + other)
    assert (scanned.records, scanned.flags) == (1, {"skipped_block": 2})


@pytest.mark.parametrize("kind", [0, 1, 3, 4, 10, 21, 24, 25, 49, 127])
def test_a_type_that_is_not_decoded_is_a_row(kind: int) -> None:
    scanned = complete(GOOD * 2 + erf.erf_record(FRAME, kind=kind, wirelen=60))
    row = scanned.rows[-1]
    assert (row["linktype"], row["status"]) == (197, "unsupported_linktype")
    assert (row["ts"], row["caplen"], row["wirelen"]) == (b.T0 * 10**9, 56, 60)
    others = set(row) - {"ts", "caplen", "wirelen", "linktype", "status"}
    assert {row[name] for name in others} == {None}


@pytest.mark.parametrize(
    ("sec", "fraction", "ns"),
    [
        (0, 0, 0),
        (0, 1, 0),
        (0, 2, 0),
        (0, 3, 1),  # 0.698 ns
        (0, 6, 1),  # 1.397 ns
        (0, 1 << 31, 500_000_000),
        (0, 0xFFFF_FFFF, 1_000_000_000),  # 999,999,999.77 ns
        (5, 0xFFFF_FFFD, 5_999_999_999),
        (0xFFFF_FFFF, 0xFFFF_FFFF, 4_294_967_296_000_000_000),
    ],
)
def test_time_is_rounded_to_the_nearest_nanosecond(
    sec: int, fraction: int, ns: int
) -> None:
    record = erf.erf_record(FRAME, sec=sec, fraction=fraction)
    assert complete(GOOD * 2 + record).rows[-1]["ts"] == ns


@pytest.mark.parametrize(
    ("kinds", "n"),
    [
        ([erf.ETH], 3),
        ([erf.ETH, erf.ETH], 6),
        ([erf.ETH, erf.COLOR_ETH], 3),
        ([erf.IPV4, erf.IPV6], 6),
        ([erf.COLOR_ETH, erf.DSM_COLOR_ETH, erf.COLOR_HASH_ETH], None),
        ([erf.PAD, erf.META], None),
    ],
)
def test_losses_are_added_up_where_there_is_a_counter(
    kinds: list[int], n: int | None
) -> None:
    records = [erf.erf_record(FRAME, kind=kind, lost=3) for kind in kinds]
    assert complete(b"".join(records)).dropped == n


def test_no_loss_is_something_said() -> None:
    assert complete(GOOD).dropped == 0


# --- how it is known -----------------------------------------------------------------


@pytest.mark.parametrize("kind", erf.FIRST_TYPES)
def test_what_a_file_may_begin_with(kind: int) -> None:
    assert complete(erf.erf_record(FRAME, kind=kind)).status == "complete"


@pytest.mark.parametrize("kind", [0, 1, 3, 21, 24, 47, 49, 127])
def test_what_a_file_may_not_begin_with(kind: int) -> None:
    unknown(erf.erf_record(FRAME, kind=kind))


@pytest.mark.parametrize("sec", [T1990, T2100 - 1])
def test_plausible_times(sec: int) -> None:
    assert complete(erf.erf_record(FRAME, sec=sec) * 2).records == 2


@pytest.mark.parametrize("sec", [0, T1990 - 1, T2100, 0xFFFF_FFFF])
def test_implausible_times(sec: int) -> None:
    unknown(erf.erf_record(FRAME, sec=sec))
    unknown(GOOD + erf.erf_record(FRAME, sec=sec))


@pytest.mark.parametrize(
    "record",
    [
        erf.erf_record(FRAME, length=15),
        erf.erf_record(length=17, pad=0),
        erf.erf_record(FRAME, length=N_BYTES + 1),
        erf.erf_record(kind=erf.IPV4, extensions=1, length=23, pad=0),
        erf.erf_record(kind=erf.ETH, extensions=1, length=25, pad=0),
        erf.erf_record(FRAME, extensions=17),
        erf.erf_record(bytes(200), extensions=16, more=True),
        GOOD[:15],
        GOOD[:-1],
    ],
)
def test_a_first_record_that_does_not_fit(record: bytes) -> None:
    unknown(record)


def test_the_second_header_counts_as_far_as_it_is_there() -> None:
    for size in range(1, 16):
        scanned = assert_same(GOOD + bytes(size))
        assert scanned.reason == "truncated_record_header"
    unknown(GOOD + bytes(16))
    unknown(GOOD + erf.erf_record(FRAME, kind=0))
    unknown(GOOD + erf.erf_record(FRAME, kind=49))
    unknown(GOOD + erf.erf_record(FRAME, length=15))
    assert complete(GOOD + erf.erf_record(FRAME, kind=47)).records == 2


def test_a_record_that_resembles_a_pcapng_block_is_a_record() -> None:
    """Its time reads as a block type of 6 and a length of 23,644, big-endian."""
    record = erf.erf_record(FRAME, sec=0x5C5C_0000, fraction=0x0600_0000)
    assert record[:8] == b"\0\0\0\6\0\0\x5c\x5c"
    assert complete(record).records == 1


# --- damage --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason", "status"),
    [
        (b"\1", "truncated_record_header", "truncated"),
        (bytes(15), "truncated_record_header", "truncated"),
        (bytes(16), "zero_record", "damaged"),
        (bytes(4096), "zero_record", "damaged"),
        (erf.erf_record(FRAME, length=15), "record_too_short", "damaged"),
        (erf.erf_record(FRAME, length=0), "record_too_short", "damaged"),
        (GOOD[:-1], "truncated_record", "truncated"),
        (erf.erf_record(FRAME, length=0xFFFF), "truncated_record", "truncated"),
        (erf.erf_record(pad=0, length=17), "record_too_short", "damaged"),
        (erf.erf_record(extensions=1, length=25), "record_too_short", "damaged"),
        (
            erf.erf_record(kind=erf.IPV4, extensions=2, length=31),
            "record_too_short",
            "damaged",
        ),
        (erf.erf_record(FRAME, extensions=17), "record_too_short", "damaged"),
        (erf.erf_record(kind=erf.PAD, more=True, pad=0), "record_too_short", "damaged"),
    ],
)
def test_a_bad_record(data: bytes, reason: str, status: str) -> None:
    scanned = stops(data, reason, status)
    assert (scanned.flags, scanned.dropped) == ({}, 0)


def test_records_without_anything_behind_their_header() -> None:
    assert complete(GOOD + erf.erf_record(kind=erf.IPV4, pad=0)).records == 2
    (_, row) = complete(GOOD + erf.erf_record(pad=0)).rows
    assert (row["caplen"], row["status"]) == (0, "l2_truncated")


def test_the_longest_record() -> None:
    packet = FRAME.ljust(65_535 - 18, b"\0")
    (row,) = complete(erf.erf_record(packet, pad=0)).rows
    assert (row["caplen"], row["wirelen"]) == (65_517, 65_517)
