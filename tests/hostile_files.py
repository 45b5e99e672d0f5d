"""Malformed captures, the file around the packets: classic pcap, gzip, snoop, ERF."""

from __future__ import annotations

import gzip
import struct
import zlib

import builders as b
import erf_builders as erf
import snoop_builders as sn
from hostile_verdicts import (
    FRAME,
    RECORD_BYTES,
    Case,
    Verdict,
    complete,
    counted,
    reject,
    stop,
)

HEADER = b.pcap_header()
RECORD = b.pcap_record(FRAME)
GOOD = b.capture(FRAME)
#: Where the second record begins.
SECOND = 24 + RECORD_BYTES
T1990, T2100 = 631_152_000, 4_102_444_800


def record(**changes: int) -> bytes:
    """Return a capture whose middle record has something changed."""
    return GOOD + b.pcap_record(FRAME, **changes) + RECORD


def long(n_bytes: int) -> bytes:
    """Return a capture whose middle record is so long."""
    builder = b.PcapBuilder(snaplen=262_144).add(FRAME)
    return builder.add(FRAME.ljust(n_bytes, b"\0")).add(FRAME).build()


def nano(frac: int) -> bytes:
    builder = b.PcapBuilder(magic=b.MAGIC_NSEC).add(FRAME)
    return builder.add(FRAME, frac=frac).build()


PCAP = [
    Case("P01_empty", b"", reject("empty_file")),
    Case("P02_short_magic", GOOD[:2], reject("short_magic")),
    Case("P_short_magic_3", GOOD[:3], reject("short_magic")),
    Case("P_short_header_4", GOOD[:4], reject("short_header")),
    Case("P_short_header_23", GOOD[:23], reject("short_header")),
    Case("P04_hdr_only", HEADER, complete(0)),
    Case("P05_bad_magic", b"\xde\xad\xbe\xef" + GOOD[4:], reject("unknown_magic")),
    Case("P06_ver_2_5", b.pcap_header(version=(2, 5)) + RECORD, reject("pcap_version")),
    Case("P07_ver_3_0", b.pcap_header(version=(3, 0)) + RECORD, reject("pcap_version")),
    Case("P_ver_2_1", b.pcap_header(version=(2, 1)) + RECORD, reject("pcap_version")),
    Case(
        "P08_ver_2_2_swappedlen",
        b.PcapBuilder(version=(2, 2)).add(FRAME, wirelen=70).build(),
        counted(records=1, caplen=54, wirelen=70),
    ),
    Case(
        "P_ver_2_3_swappedlen",
        b.PcapBuilder(version=(2, 3)).add(FRAME, wirelen=70, swapped=True).build(),
        counted(records=1, caplen=54, wirelen=70),
    ),
    Case(
        "P10_snaplen_ffffffff",
        b.PcapBuilder(snaplen=0xFFFF_FFFF).add(FRAME).add(FRAME).build(),
        complete(2),
    ),
    Case("P_snaplen_0", b.PcapBuilder(snaplen=0).add(FRAME).build(), complete(1)),
    Case(
        "P11_snaplen_lt_caplen",
        b.PcapBuilder(snaplen=40).add(FRAME).add(FRAME).add(FRAME).build(),
        complete(3, caplen_gt_snaplen=3),
    ),
    Case(
        "P15_caplen_262145",
        record(caplen=262_145),
        stop("caplen_over_max", SECOND),
    ),
    Case(
        "P16_caplen_ffffffff",
        record(caplen=0xFFFF_FFFF),
        stop("caplen_over_max", SECOND),
    ),
    Case(
        "P17_caplen_262145_full",
        long(262_145),
        stop("caplen_over_max", SECOND),
    ),
    Case(
        "P18_caplen_262144_full",
        long(262_144),
        counted(caplen=262_144),
    ),
    Case("P_caplen_gt_len", record(wirelen=20), counted(flag="len_lt_caplen")),
    Case(
        "P_caplen_0",
        GOOD + b.pcap_record(b"", wirelen=54),
        complete(2, uncounted={"l2_truncated": 1}),
    ),
    Case("P21_len0", record(wirelen=0), counted(flag="len_zero", wirelen=54)),
    Case("P_len_ffffffff", record(wirelen=0xFFFF_FFFF), counted(wirelen=0xFFFF_FFFF)),
    Case(
        "P22_rechdr_trunc",
        GOOD + RECORD[:7],
        stop("truncated_record_header", SECOND),
    ),
    Case("P_body_trunc", GOOD + RECORD[:-1], stop("truncated_record", SECOND)),
    Case("P_body_missing", GOOD + RECORD[:16], stop("truncated_record", SECOND)),
    Case(
        "P25_trailing_garbage1",
        GOOD + b"x",
        stop("truncated_record_header", SECOND),
    ),
    Case("P26_trailing_zeros", GOOD + bytes(64), stop("zero_record", SECOND)),
    Case("P_all_zeros", bytes(4096), reject("unknown_magic")),
    Case("P_zeros_after_header", HEADER + bytes(16), stop("zero_record", 24, 0)),
    Case("P27_usec_1e6", record(frac=1_000_000), counted(flag="subsec_out_of_range")),
    Case(
        "P28_usec_ffffffff",
        record(frac=0xFFFF_FFFF),
        counted(flag="subsec_out_of_range"),
    ),
    Case("P29_nsec_1e9", nano(1_000_000_000), complete(2, subsec_out_of_range=1)),
    Case(
        "P30_sec_ffffffff",
        record(sec=0xFFFF_FFFF),
        complete(3, uncounted={"bad_ts": 1}),
    ),
    Case("P31_sec0", record(sec=0), complete(3, uncounted={"bad_ts": 1})),
    Case("P_sec_1989", record(sec=T1990 - 1), complete(3, uncounted={"bad_ts": 1})),
    Case("P_sec_1990", record(sec=T1990), complete(3)),
    Case("P_sec_2099", record(sec=T2100 - 1), complete(3)),
    Case("P_sec_2100", record(sec=T2100), complete(3, uncounted={"bad_ts": 1})),
    Case("P34_concat_two_pcaps", GOOD + GOOD, stop("bad_record", SECOND)),
    Case(
        "P_concat_other_byte_order",
        GOOD + b.pcap_header(byteorder="big", magic=b.MAGIC_NSEC),
        stop("bad_record", SECOND),
    ),
    Case("P37_text_file", b"time,source,port\n" * 20, reject("unknown_magic")),
    Case("P_html_file", b"<!DOCTYPE html>" * 20, reject("unknown_magic")),
    Case(
        "P40_hole_4096_zeros_mid",
        GOOD + bytes(4096) + RECORD,
        stop("zero_record", SECOND),
    ),
    Case(
        "P_unsupported_linktype",
        b.pcap_header(linktype=147) + RECORD,
        reject("unsupported_linktype"),
    ),
    Case(
        "P_reserved_linktype_bits",
        b.pcap_header(linktype=0x0001_0001) + RECORD,
        reject("reserved_linktype_bits"),
    ),
    Case(
        "P_fcs_of_4_bytes",
        b.PcapBuilder(fcs_words=2).add(FRAME).build(),
        complete(1, snap_truncated=1),
    ),
]

# --- gzip ----------------------------------------------------------------------------

FIFTY = b.capture(*[FRAME] * 50)
ZIPPED = gzip.compress(FIFTY, mtime=0)
END = len(FIFTY)


def stored(data: bytes) -> bytes:
    """Return a gzip member that is not compressed, so that damage stays where it is."""
    packed = zlib.compressobj(0, zlib.DEFLATED, 31)
    return packed.compress(data) + packed.flush()


GZIP = [
    Case("Z01_good", ZIPPED, complete(50)),
    Case("Z02_trunc", ZIPPED[:-8], stop("compressed_truncated", END, 50)),
    Case(
        "Z_trunc_in_a_record",
        stored(FIFTY)[: 15 + SECOND + 20],
        stop("compressed_truncated", SECOND),
    ),
    Case(
        "Z_trunc_in_the_header",
        ZIPPED[:9],
        Verdict("truncated", "compressed_truncated", 0),
    ),
    Case(
        "Z05_two_members",
        gzip.compress(FIFTY[:1000]) + gzip.compress(FIFTY[1000:]),
        complete(50),
    ),
    Case(
        "Z06_trailing_garbage",
        ZIPPED + bytes(100),
        complete(50, zero_padding=100),
    ),
    Case("Z_trailing_garbage", ZIPPED + b"garbage", stop("trailing_garbage", END, 50)),
    Case(
        "Z07_corrupt_mid",
        ZIPPED[:-8] + struct.pack("<I", 0) + ZIPPED[-4:],
        stop("compressed_corrupt", END, 50),
    ),
    Case("Z09_empty_member", gzip.compress(b""), reject("empty_file")),
    Case("Z_empty_member_first", gzip.compress(b"") + ZIPPED, complete(50)),
    Case("Z10_not_gz_ext", FIFTY, complete(50)),
    Case(
        "Z13_zero_bomb_16MB",
        gzip.compress(GOOD + bytes(1 << 24), mtime=0),
        stop("zero_record", SECOND),
    ),
    Case("Z_zipped_twice", gzip.compress(ZIPPED), reject("unknown_magic")),
]

# --- snoop, ERF ----------------------------------------------------------------------

SNOOP, ERF = sn.capture(FRAME), erf.capture(FRAME)

OTHERS = [
    Case("S_good", SNOOP, complete(1)),
    Case("S_header_trunc", SNOOP[:15], reject("short_header")),
    Case("S_version", sn.snoop_header(version=1), reject("snoop_version")),
    Case("S_linktype", sn.snoop_header(datalink=9), reject("unsupported_linktype")),
    Case("S_zeros", SNOOP + bytes(64), stop("zero_record", 96)),
    Case(
        "S_record_len",
        SNOOP + sn.snoop_record(FRAME, length=20),
        stop("record_too_short", 96),
    ),
    Case(
        "S_record_len_huge",
        SNOOP + sn.snoop_record(FRAME, length=2**32 - 1),
        stop("bad_record", 96),
    ),
    Case("E_good", ERF, complete(1)),
    Case(
        "E_rlen_0",
        ERF * 2 + erf.erf_record(FRAME, length=0),
        stop("record_too_short", 144, 2),
    ),
    Case("E_zeros", ERF * 2 + bytes(64), stop("zero_record", 144, 2)),
    Case("E_trunc", (ERF * 3)[:-1], stop("truncated_record", 144, 2)),
    Case(
        "E_ext_endless",
        ERF * 2 + erf.erf_record(bytes(4096), extensions=500, kind=erf.IPV4),
        stop("record_too_short", 144, 2),
    ),
    Case(
        "E_meta_only",
        erf.erf_record(bytes(8), kind=erf.META) * 3,
        complete(0, skipped_block=3),
    ),
    Case(
        "E_other_type",
        ERF * 2 + erf.erf_record(FRAME, kind=erf.ATM),
        complete(3, uncounted={"unsupported_linktype": 1}),
    ),
]

FILES = [*PCAP, *GZIP, *OTHERS]
