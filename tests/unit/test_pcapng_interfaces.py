"""pcapng: what an interface says, and what becomes of packets by it.

Expected values are written by hand; `assert_same` asks the oracle, too.
"""

from __future__ import annotations

from typing import Any

import pytest

import builders as b
import pcapng_builders as ng
from pcapng_builders import LITTLE, Blocks
from rows import Row, Scanned, assert_same

FRAME = b.ethernet(b.ipv4(b.tcp()))
SECOND = 10**9
MAX64 = 2**64 - 1
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

orders = pytest.mark.parametrize("k", ng.BOTH, ids=lambda k: k.byteorder)


def complete(*parts: bytes) -> Scanned:
    scanned = assert_same(LITTLE.shb() + b"".join(parts))
    assert (scanned.status, scanned.reason) == ("complete", None)
    return scanned


def stops(*parts: bytes, reason: str) -> Scanned:
    """The last part is at fault."""
    before = LITTLE.shb() + b"".join(parts[:-1])
    scanned = assert_same(before + parts[-1])
    assert (scanned.status, scanned.reason) == ("damaged", reason)
    assert scanned.offset == len(before)
    return scanned


def time_of(k: Blocks, units: int, options: bytes = b"") -> int | None:
    data = k.shb() + k.idb(options) + k.epb(FRAME, units=units)
    (row,) = assert_same(data).rows
    ts: int | None = row["ts"]
    return ts


# --- time ----------------------------------------------------------------------------


@orders
@pytest.mark.parametrize(
    ("resolution", "units", "ns"),
    [
        (None, 1_598_443_200_123_456, 1_598_443_200_123_456_000),
        (0, 1_598_443_200, 1_598_443_200 * SECOND),
        (1, 15_984_432_007, 1_598_443_200_700_000_000),
        (3, 1_598_443_200_001, 1_598_443_200_001_000_000),
        (6, 0, 0),
        (6, 2**32, 4_294_967_296_000),
        (9, 1_598_443_200_000_000_001, 1_598_443_200_000_000_001),
        (9, INT64_MAX, INT64_MAX),
        (9, INT64_MAX + 1, None),
        # Finer than nanoseconds: what is left over is dropped, never rounded up.
        (10, 19, 1),
        (12, 1_999, 1),
        (19, MAX64, 1_844_674_407),
        (19, 10**19 - 1, SECOND - 1),
        (6, MAX64, None),
        (0, 9_223_372_036, 9_223_372_036 * SECOND),
        (0, 9_223_372_037, None),
        (0, MAX64, None),
        (0x80, 77, 77 * SECOND),
        (0x81, 3, 1_500_000_000),
        (0x80 + 20, 1, 953),
        (0x80 + 31, 1_598_443_200 * 2**31 + 2**30, 1_598_443_200_500_000_000),
        (0x80 + 32, 2**32 + 1, SECOND),
        (0x80 + 63, 2**63 - 1, 999_999_999),
        (0x80 + 63, MAX64, 1_999_999_999),
    ],
)
def test_time_is_exact_down_to_the_nanosecond(
    k: Blocks, resolution: int | None, units: int, ns: int | None
) -> None:
    options = b"" if resolution is None else k.tsresol(resolution)
    assert time_of(k, units, options) == ns


@pytest.mark.parametrize("exponent", range(20))
def test_every_decimal_resolution(exponent: int) -> None:
    for units in (0, 1, 10**exponent - 1, 10**exponent, 10**exponent * 1_844, 2**63):
        units = min(units, MAX64)
        ns = units * SECOND // 10**exponent
        expected = ns if ns <= INT64_MAX else None
        assert time_of(LITTLE, units, LITTLE.tsresol(exponent)) == expected


@pytest.mark.parametrize("exponent", range(64))
def test_every_binary_resolution(exponent: int) -> None:
    for units in (1, 2**exponent - 1, 2**exponent, MAX64):
        ns = units * SECOND >> exponent
        expected = ns if ns <= INT64_MAX else None
        assert time_of(LITTLE, units, LITTLE.tsresol(0x80 + exponent)) == expected


@pytest.mark.parametrize("value", [20, 21, 127, 0x80 + 64, 0xFF])
def test_a_resolution_that_64_bits_do_not_hold(value: int) -> None:
    stops(LITTLE.idb(LITTLE.tsresol(value)), reason="tsresol")


@orders
@pytest.mark.parametrize(
    ("offset", "units", "ns"),
    [
        (1, 5_000_000, 6 * SECOND),
        (-1, 5_000_001, 4_000_001_000),
        (-10, 5_000_001, -4_999_999_000),
        (1_598_443_200, 999_999, 1_598_443_200_999_999_000),
        (-(2**63), 0, None),
        (2**63 - 1, MAX64, None),
        # The limits of int64 nanoseconds, to the nanosecond below.
        (9_223_372_036, 854_775, 9_223_372_036_854_775_000),
        (9_223_372_036, 854_776, None),
        (-9_223_372_037, 145_225, -9_223_372_036_854_775_000),
        (-9_223_372_037, 145_224, None),
        # Seconds that fit only once the offset is added.
        (-18_446_744_073_709, MAX64, 551_615_000),
    ],
)
def test_an_offset_of_any_size_is_added(
    k: Blocks, offset: int, units: int, ns: int | None
) -> None:
    assert time_of(k, units, k.tsoffset(offset)) == ns


def test_the_limits_of_time_with_nanoseconds() -> None:
    nano = LITTLE.tsresol(9)
    low = nano + LITTLE.tsoffset(-9_223_372_037)
    assert time_of(LITTLE, 145_224_192, low) == INT64_MIN
    assert time_of(LITTLE, 145_224_191, low) is None
    high = nano + LITTLE.tsoffset(9_223_372_036)
    assert time_of(LITTLE, 854_775_807, high) == INT64_MAX
    assert time_of(LITTLE, 854_775_808, high) is None


def test_no_time_is_a_bad_time() -> None:
    idb = LITTLE.idb(LITTLE.tsoffset(2**62))
    scanned = complete(idb, LITTLE.epb(FRAME))
    assert [row["ts"] for row in scanned.rows] == [None]


# --- options -------------------------------------------------------------------------

TSRESOL = LITTLE.tsresol(9)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (LITTLE.option(9), "option_length"),
        (LITTLE.option(9, b"\6\6"), "option_length"),
        (LITTLE.option(14, bytes(4)), "option_length"),
        (LITTLE.option(14, bytes(12)), "option_length"),
        (TSRESOL + TSRESOL, "tsresol"),
        (TSRESOL + LITTLE.option(9), "option_length"),
        (LITTLE.option(2, b"eth0", length=5), "option_overrun"),
        (LITTLE.option(2, length=0xFFFF), "option_overrun"),
        (LITTLE.option(9, length=1), "option_overrun"),
        # The first of several faults is named.
        (LITTLE.option(9) + LITTLE.option(2, length=9), "option_length"),
        (LITTLE.option(2, length=9) + LITTLE.option(9), "option_overrun"),
    ],
)
def test_a_bad_option(options: bytes, reason: str) -> None:
    stops(LITTLE.idb(options), reason=reason)


@pytest.mark.parametrize(
    "options",
    [
        b"",
        LITTLE.end_of_options(),
        LITTLE.option(2, b"eth0"),
        LITTLE.option(2) + LITTLE.option(3),
        LITTLE.option(2) * 20_000,
        LITTLE.option(1, b"a comment") * 3,
        LITTLE.option(1, bytes(65_535)),
        # Behind the end of options anything may stand.
        LITTLE.end_of_options() + LITTLE.option(9) + LITTLE.option(2, length=99),
        LITTLE.option(0, length=99),
    ],
)
def test_options_that_change_nothing(options: bytes) -> None:
    (row,) = complete(LITTLE.idb(options), LITTLE.epb(FRAME)).rows
    assert row["ts"] == b.T0 * SECOND


def test_the_last_offset_holds() -> None:
    options = LITTLE.tsoffset(5) + LITTLE.tsoffset(7)
    assert time_of(LITTLE, 0, options) == 7 * SECOND


def test_options_of_packets_are_not_looked_at() -> None:
    for options in (LITTLE.option(1, length=999), b"\xff" * 8, LITTLE.option(4)):
        scanned = complete(LITTLE.idb(), LITTLE.epb(FRAME, options=options))
        assert scanned.records == 1


# --- packets -------------------------------------------------------------------------


def only_row(*parts: bytes) -> Row:
    (row,) = complete(*parts).rows
    return row


def test_a_packet_before_any_interface() -> None:
    for packet in (LITTLE.epb(FRAME), LITTLE.spb(FRAME), LITTLE.pb(FRAME)):
        stops(packet, reason="packet_before_idb")


@pytest.mark.parametrize("number", [1, 2, 0xFFFF])
def test_an_interface_that_is_not_described(number: int) -> None:
    stops(LITTLE.idb(), LITTLE.epb(FRAME, interface=number), reason="interface_id")
    stops(LITTLE.idb(), LITTLE.pb(FRAME, interface=number), reason="interface_id")


def test_the_greatest_interface_number() -> None:
    packet = LITTLE.epb(FRAME, interface=0xFFFF_FFFF)
    stops(LITTLE.idb(), packet, reason="interface_id")


def test_interfaces_have_link_types_and_snaplens_of_their_own() -> None:
    described = LITTLE.idb() + LITTLE.idb(linktype=101, snaplen=10) + LITTLE.idb()
    raw = LITTLE.epb(b.ipv4(b.tcp()), interface=1)
    scanned = complete(described, raw, LITTLE.epb(FRAME, interface=2))
    assert [row["linktype"] for row in scanned.rows] == [101, 1]
    assert [row["dst_port"] for row in scanned.rows] == [23, 23]
    assert scanned.flags == {"caplen_gt_snaplen": 1}


def test_a_link_type_that_is_not_decoded() -> None:
    described = LITTLE.idb(linktype=147) + LITTLE.idb()
    scanned = complete(described, LITTLE.epb(FRAME), LITTLE.epb(FRAME, interface=1))
    row = scanned.rows[0]
    assert (row["linktype"], row["status"]) == (147, "unsupported_linktype")
    assert (row["caplen"], row["ts"]) == (54, b.T0 * SECOND)
    others = set(row) - {"ts", "caplen", "wirelen", "linktype", "status"}
    assert {row[name] for name in others} == {None}
    assert scanned.rows[1]["status"] == "ok"


def test_65_536_interfaces_and_no_more() -> None:
    described = LITTLE.idb() * 65_536
    row = only_row(described, LITTLE.epb(FRAME, interface=65_535))
    assert row["status"] == "ok"
    stops(described, LITTLE.idb(), reason="too_many_interfaces")
    again = described + LITTLE.shb() + LITTLE.idb()
    assert complete(again, LITTLE.epb(FRAME)).records == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"caplen": 262_145}, "caplen_over_max"),
        ({"caplen": 0xFFFF_FFFF}, "caplen_over_max"),
        ({"caplen": 262_144}, "caplen_over_block"),
        ({"caplen": 57}, "caplen_over_block"),
        ({"caplen": 0xFFFF_FFFF, "interface": 9}, "interface_id"),
    ],
)
def test_a_captured_length_that_cannot_be(changes: dict[str, Any], reason: str) -> None:
    stops(LITTLE.idb(), LITTLE.epb(FRAME, **changes), reason=reason)
    stops(LITTLE.idb(), LITTLE.pb(FRAME, **changes), reason=reason)


def test_the_longest_packet() -> None:
    packet = FRAME.ljust(262_144, b"\0")
    row = only_row(LITTLE.idb(snaplen=0), LITTLE.epb(packet))
    assert (row["caplen"], row["status"]) == (262_144, "ok")
    longer = LITTLE.epb(FRAME.ljust(262_145, b"\0"))
    stops(LITTLE.idb(snaplen=0), longer, reason="caplen_over_max")


def test_padding_may_be_claimed() -> None:
    """Two bytes of padding follow the frame: nothing tells them from packet bytes."""
    row = only_row(LITTLE.idb(), LITTLE.epb(FRAME, caplen=56))
    assert (row["caplen"], row["wirelen"], row["status"]) == (56, 54, "ok")


def test_flags_of_lengths() -> None:
    no_length = LITTLE.epb(FRAME, wirelen=0)
    shorter = LITTLE.epb(FRAME, wirelen=20)
    scanned = complete(LITTLE.idb(snaplen=40), no_length, shorter)
    assert [row["wirelen"] for row in scanned.rows] == [54, 20]
    assert scanned.flags == {
        "caplen_gt_snaplen": 2,
        "len_zero": 1,
        "len_lt_caplen": 1,
    }


@orders
def test_a_simple_packet_has_no_time_and_the_length_that_fits(k: Blocks) -> None:
    def caplen(snaplen: int, wirelen: int) -> int:
        data = k.shb() + k.idb(snaplen=snaplen) + k.spb(FRAME, wirelen=wirelen)
        (row,) = assert_same(data).rows
        assert (row["ts"], row["wirelen"]) == (None, wirelen)
        return int(row["caplen"])

    assert caplen(snaplen=0, wirelen=54) == 54
    assert caplen(snaplen=65_535, wirelen=1514) == 56  # no more room in the block
    assert caplen(snaplen=40, wirelen=1514) == 40
    assert caplen(snaplen=65_535, wirelen=20) == 20
    assert caplen(snaplen=0xFFFF_FFFF, wirelen=0) == 0


def test_a_simple_packet_that_is_too_long() -> None:
    data = bytes(262_148)
    stops(LITTLE.idb(snaplen=0), LITTLE.spb(data), reason="caplen_over_max")
    row = only_row(LITTLE.idb(snaplen=262_144), LITTLE.spb(data))
    assert row["caplen"] == 262_144


@orders
def test_the_obsolete_packet_block(k: Blocks) -> None:
    packet = k.pb(FRAME, interface=1, units=b.T0 * 10**6 + 1, wirelen=60)
    (row,) = assert_same(k.shb() + k.idb(linktype=147) + k.idb() + packet).rows
    assert (row["ts"], row["caplen"], row["wirelen"], row["status"]) == (
        b.T0 * SECOND + 1000,
        54,
        60,
        "ok",
    )
