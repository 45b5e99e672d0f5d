"""Malformed pcapng captures."""

from __future__ import annotations

import builders as b
import pcapng_builders as ng
from hostile_verdicts import (
    EPB_BYTES,
    FRAME,
    Case,
    Verdict,
    complete,
    counted,
    reject,
    stop,
)
from pcapng_builders import BIG, LITTLE

HEAD = LITTLE.shb() + LITTLE.idb()
EPB = LITTLE.epb(FRAME)
#: Where the second packet's block begins.
SECOND = len(HEAD) + EPB_BYTES
RAW = b.ipv4(b.tcp())


def first(shb: bytes) -> bytes:
    """Return a capture with that section header."""
    return shb + LITTLE.idb() + EPB


def middle(block: bytes) -> bytes:
    """Return a capture of three blocks, the second of which is not right."""
    return HEAD + EPB + block + EPB


def described(options: bytes, *, units: int = b.T0 * 10**6) -> bytes:
    """Return a capture of one packet on an interface with options."""
    return LITTLE.shb() + LITTLE.idb(options) + LITTLE.epb(FRAME, units=units)


def stopped(reason: str) -> Verdict:
    """The second block is at fault."""
    return stop(reason, SECOND)


def idb_stop(reason: str) -> Verdict:
    """The interface description is at fault."""
    return stop(reason, 28, 0)


BAD_TS = complete(1, uncounted={"bad_ts": 1})
OVERRUN = LITTLE.option(2, b"eth0", length=400)
IF_64K = LITTLE.idb() * 65_536

PCAPNG = [
    Case("N01_good", HEAD + EPB * 2, complete(2)),
    Case("N02_shb_only", LITTLE.shb(), complete(0, no_interface=1)),
    Case("N03_no_idb_epb", LITTLE.shb() + EPB, stop("packet_before_idb", 28, 0)),
    Case("N04_shb_len_small", first(LITTLE.shb(length=20)), reject("shb_length")),
    Case("N05_shb_len_huge", first(LITTLE.shb(length=2**31 - 1)), reject("shb_length")),
    Case("N06_shb_bad_bom", first(LITTLE.shb(magic=7)), reject("bad_byte_order_magic")),
    Case("N07_shb_major2", first(LITTLE.shb(version=(2, 0))), reject("pcapng_version")),
    Case("N08_shb_minor1", first(LITTLE.shb(version=(1, 1))), reject("pcapng_version")),
    Case("N09_shb_minor2", first(LITTLE.shb(version=(1, 2))), complete(1)),
    Case("N_shb_trunc", LITTLE.shb()[:27], reject("short_header")),
    Case("N_shb_len_odd", LITTLE.shb(length=29), reject("block_not_multiple_of_4")),
    Case("N_shb_trailer", first(LITTLE.shb(trailer=32)), reject("trailer_mismatch")),
    Case("N10_blk_len0", middle(LITTLE.block(6, length=0)), stopped("block_too_short")),
    Case("N11_blk_len8", middle(LITTLE.block(6, length=8)), stopped("block_too_short")),
    Case(
        "N12_unknown_len0",
        middle(LITTLE.block(77, length=0)),
        stopped("block_too_short"),
    ),
    Case(
        "N13_blk_len_odd",
        middle(LITTLE.epb(FRAME, length=89)),
        stopped("block_not_multiple_of_4"),
    ),
    Case(
        "N14_trailer_mismatch",
        middle(LITTLE.epb(FRAME, trailer=92)),
        stopped("trailer_mismatch"),
    ),
    Case(
        "N15_blk_len_4GB",
        middle(LITTLE.epb(FRAME, length=2**32 - 4)),
        stopped("block_over_max"),
    ),
    Case(
        "N16_blk_len_64MB_unknown",
        HEAD + EPB + LITTLE.block(0xABCD, bytes(996), length=1 << 26),
        stopped("truncated_block"),
    ),
    Case(
        "N17_epb_cap_gt_block",
        middle(LITTLE.epb(FRAME, caplen=57)),
        stopped("caplen_over_block"),
    ),
    Case(
        "N18_epb_cap_ffffffff",
        middle(LITTLE.epb(FRAME, caplen=2**32 - 1)),
        stopped("caplen_over_max"),
    ),
    Case(
        "N19_epb_cap_gt_len",
        middle(LITTLE.epb(FRAME, wirelen=20)),
        counted(flag="len_lt_caplen"),
    ),
    Case(
        "N20_epb_cap_gt_snaplen",
        LITTLE.shb() + LITTLE.idb(snaplen=40) + EPB * 2,
        complete(2, caplen_gt_snaplen=2),
    ),
    Case(
        "N21_epb_ifid_oob",
        middle(LITTLE.epb(FRAME, interface=1)),
        stopped("interface_id"),
    ),
    Case(
        "N22_epb_ifid_ffffffff",
        middle(LITTLE.epb(FRAME, interface=2**32 - 1)),
        stopped("interface_id"),
    ),
    Case(
        "N23_epb_too_short",
        middle(LITTLE.block(ng.EPB, bytes(8))),
        stopped("block_too_short"),
    ),
    Case(
        "N24_idb_too_short",
        LITTLE.shb() + LITTLE.block(ng.IDB, bytes(4)) + EPB,
        idb_stop("block_too_short"),
    ),
    Case("N25_tsresol_20", described(LITTLE.tsresol(20)), idb_stop("tsresol")),
    Case("N26_tsresol_2pow64", described(LITTLE.tsresol(0xC0)), idb_stop("tsresol")),
    Case(
        "N27_tsresol_2pow31",
        described(LITTLE.tsresol(0x9F), units=b.T0 << 31),
        counted(records=1, ts=b.T0 * 10**9),
    ),
    Case("N28_tsresol_twice", described(LITTLE.tsresol(6) * 2), idb_stop("tsresol")),
    Case(
        "N29_tsresol_0",
        described(LITTLE.tsresol(0), units=b.T0),
        counted(records=1, ts=b.T0 * 10**9),
    ),
    Case("N30_tsresol_len0", described(LITTLE.option(9)), idb_stop("option_length")),
    Case(
        "N31_tsresol_differs",
        described(LITTLE.tsresol(6) + LITTLE.tsresol(9)),
        idb_stop("tsresol"),
    ),
    Case("N32_tsoffset_neg", described(LITTLE.tsoffset(-2 * b.T0)), BAD_TS),
    Case("N33_tsoffset_max", described(LITTLE.tsoffset(2**63 - 1)), BAD_TS),
    Case("N_tsoffset_min", described(LITTLE.tsoffset(-(2**63))), BAD_TS),
    Case(
        "N_tsoffset_len4",
        described(LITTLE.option(14, bytes(4))),
        idb_stop("option_length"),
    ),
    Case("N34_opt_overrun", described(OVERRUN), idb_stop("option_overrun")),
    Case(
        "N35_opt_len_ffff",
        described(LITTLE.option(2, length=0xFFFF)),
        idb_stop("option_overrun"),
    ),
    Case("N36_opt_hdr_trunc", described(LITTLE.option(2)), complete(1)),
    Case("N37_opt_no_eoo", described(LITTLE.option(2, b"eth0")), complete(1)),
    Case("N39_many_zero_opts", described(LITTLE.option(2) * 1000), complete(1)),
    Case("N_opt_behind_end", described(LITTLE.end_of_options() + OVERRUN), complete(1)),
    Case(
        "N41_two_sections_diff_endian",
        HEAD + EPB + BIG.shb() + BIG.idb() + BIG.epb(FRAME),
        complete(2),
    ),
    Case("N42_two_sections_same", (HEAD + EPB) * 2, complete(2)),
    Case(
        "N43_section2_no_idb",
        HEAD + EPB + LITTLE.shb() + EPB,
        stop("interface_id", SECOND + 28),
    ),
    Case(
        "N_section2_bad",
        HEAD + EPB + LITTLE.shb(magic=7),
        stopped("bad_byte_order_magic"),
    ),
    Case(
        "N44_idb_diff_linktype",
        HEAD + LITTLE.idb(linktype=101) + EPB + LITTLE.epb(RAW, interface=1),
        complete(2),
    ),
    Case(
        "N45_idb_diff_snaplen",
        HEAD + LITTLE.idb(snaplen=96) + EPB + LITTLE.epb(FRAME, interface=1),
        complete(2),
    ),
    Case(
        "N46_idb_two_raw",
        LITTLE.shb()
        + LITTLE.idb(linktype=101) * 2
        + LITTLE.epb(RAW)
        + LITTLE.epb(RAW, interface=1),
        complete(2),
    ),
    Case(
        "N_idb_unsupported",
        HEAD + LITTLE.idb(linktype=147) + EPB + LITTLE.epb(FRAME, interface=1) + EPB,
        complete(3, uncounted={"unsupported_linktype": 1}),
    ),
    Case(
        "N47_spb", HEAD + EPB + LITTLE.spb(FRAME), complete(2, uncounted={"bad_ts": 1})
    ),
    Case(
        "N48_spb_gt_snaplen",
        LITTLE.shb() + LITTLE.idb(snaplen=40) + LITTLE.spb(FRAME),
        complete(1, uncounted={"bad_ts": 1}, snap_truncated=1),
    ),
    Case("N49_obsolete_pb", HEAD + LITTLE.pb(FRAME) * 2, complete(2)),
    Case(
        "N50_pb_ifid_oob",
        middle(LITTLE.pb(FRAME, interface=9)),
        stopped("interface_id"),
    ),
    Case("N51_trunc_block_body", HEAD + EPB + EPB[:-10], stopped("truncated_block")),
    Case("N52_trunc_block_header", HEAD + EPB + EPB[:7], stopped("truncated_block")),
    Case("N_trailing_zeros", HEAD + EPB + bytes(64), stopped("zero_record")),
    Case("N53_idb_10000", LITTLE.shb() + LITTLE.idb() * 10_000 + EPB, complete(1)),
    Case(
        "N54_idb_65537",
        LITTLE.shb() + IF_64K + LITTLE.idb() + EPB,
        stop("too_many_interfaces", 28 + len(IF_64K), 0),
    ),
    Case(
        "N55_isb_ifid_oob",
        HEAD + EPB + LITTLE.isb_drops(interface=3, ifdrop=1) + EPB,
        complete(2, isb_ignored=1),
    ),
    Case(
        "N56_nrb_bad_len",
        HEAD + EPB + LITTLE.block(ng.NRB, b"\1\0\xff\xff") + EPB,
        complete(2, skipped_block=1),
    ),
    Case(
        "N57_epb_opt_overrun",
        middle(LITTLE.epb(FRAME, options=LITTLE.option(1, length=999))),
        complete(3),
    ),
    Case("N58_leading_idb", LITTLE.idb() + EPB, reject("no_section_header")),
    Case(
        "N_secrets_and_custom",
        HEAD
        + LITTLE.block(ng.DSB, bytes(100))
        + LITTLE.block(ng.CUSTOM, bytes(4))
        + EPB,
        complete(1, skipped_block=2),
    ),
]
