"""Names of what is wrong: each is unique, and each fault has its exception."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest

import builders as b
import fastflow
import pcapng_builders as ng
import snoop_builders
from fastflow import _core, errors
from fastflow.outcome import ScanStats, capture_error, fault_message
from fastflow.schema import Status, names_of_trouble

FAULTS = {name: (status, text) for name, status, text in _core.FAULTS}
STOPPING = sorted(set(FAULTS) - {"none"})

CLASS_OF_STATUS = {
    "rejected": errors.NotACaptureError,
    "truncated": errors.TruncatedCaptureError,
    "damaged": errors.CorruptCaptureError,
}

FRAME = b.ethernet(b.ipv4(b.tcp()))
GOOD = b.capture(FRAME)
NG = ng.capture(FRAME)
SNOOP = snoop_builders.capture(FRAME)
K = ng.LITTLE
SECTION = K.shb()


def described(options: bytes) -> tuple[bytes, int]:
    """Return a capture whose interface has these options, and where it is described."""
    return SECTION + K.idb(options), len(SECTION)


ZIPPED = gzip.compress(GOOD, mtime=0)

#: A capture for every fault, and where the fault lies.
SHOWN_BY = {
    "empty_file": (b"", 0),
    "short_magic": (GOOD[:3], 0),
    "short_header": (GOOD[:23], 0),
    "unknown_magic": (b"MZ" + GOOD[2:], 0),
    "pcap_version": (b.pcap_header(version=(2, 5)), 0),
    "reserved_linktype_bits": (b.pcap_header(linktype=0x10001), 0),
    "unsupported_linktype": (b.pcap_header(linktype=105), 0),
    "truncated_record_header": (GOOD + bytes(1), len(GOOD)),
    "truncated_record": (GOOD[:-1], 24),
    "zero_record": (GOOD + bytes(16), len(GOOD)),
    "bad_record": (GOOD + GOOD, len(GOOD)),
    "caplen_over_max": (GOOD + b.pcap_record(caplen=262_145), len(GOOD)),
    "snoop_version": (snoop_builders.snoop_header(version=3), 0),
    "record_too_short": (
        SNOOP + snoop_builders.snoop_record(length=23),
        len(SNOOP),
    ),
    "pcapng_version": (K.shb(version=(1, 1)), 0),
    "shb_length": (K.shb(length=24), 0),
    "bad_byte_order_magic": (K.shb(magic=1), 0),
    "no_section_header": (K.idb(), 0),
    "truncated_block": (NG + K.epb(FRAME)[:-1], len(NG)),
    "block_too_short": (NG + K.block(7, length=8), len(NG)),
    "block_not_multiple_of_4": (NG + K.block(7, length=14), len(NG)),
    "block_over_max": (NG + K.epb(FRAME, length=ng.MAX_BLOCK + 4), len(NG)),
    "trailer_mismatch": (NG + K.epb(FRAME, trailer=4), len(NG)),
    "caplen_over_block": (NG + K.epb(FRAME, caplen=200), len(NG)),
    "packet_before_idb": (SECTION + K.epb(FRAME), len(SECTION)),
    "interface_id": (NG + K.epb(FRAME, interface=1), len(NG)),
    "too_many_interfaces": (
        SECTION + K.idb() * 65_537,
        len(SECTION) + 65_536 * len(K.idb()),
    ),
    "tsresol": described(K.tsresol(20)),
    "option_length": described(K.option(ng.IF_TSRESOL)),
    "option_overrun": described(K.option(ng.IF_NAME, length=9)),
    "filter_linktype": (b.capture(b.ipv4(b.tcp()), linktype=101), 0),
    "compressed_truncated": (ZIPPED[:-9], None),
    "compressed_corrupt": (ZIPPED[:-8] + b"????" + ZIPPED[-4:], None),
    "trailing_garbage": (ZIPPED + b"garbage", len(GOOD)),
}


#: Where faults lie that are shown behind one good packet.
AFTER_A_PACKET = {len(GOOD), len(NG), len(SNOOP)}


def stats_of(fault: str, **named: Any) -> ScanStats:
    values: dict[str, Any] = {
        "status": FAULTS[fault][0],
        "reason": fault,
        "offset": 4711,
        "records": 0,
        "counted": 0,
        "uncounted": {},
        "flags": {},
        "first_ts_ns": None,
        "last_ts_ns": None,
        "compression": None,
    }
    return ScanStats(**{**values, **named})


@pytest.mark.parametrize("reason", STOPPING)
def test_fault_has_an_exception_with_path_and_offset(reason: str) -> None:
    error = capture_error("dir/a.pcap", stats_of(reason))
    expected = CLASS_OF_STATUS[FAULTS[reason][0]]
    if reason == "unsupported_linktype":
        expected = errors.UnsupportedLinkTypeError
    assert type(error) is expected
    assert (error.path, error.offset_bytes, error.reason) == (
        "dir/a.pcap",
        4711,
        reason,
    )
    assert error.exit_code == 1


@pytest.mark.parametrize("reason", STOPPING)
def test_message_is_one_line_with_path_text_and_offset(reason: str) -> None:
    message = fault_message("dir/a.pcap", stats_of(reason, records=1234))
    assert message.startswith(f"dir/a.pcap: {FAULTS[reason][1]}")
    assert f"({reason}) at byte 4711; what follows was not read; " in message
    assert message.endswith("1,234 packets before it kept")
    assert "\n" not in message


def test_every_fault_is_shown_by_a_capture() -> None:
    assert sorted(SHOWN_BY) == STOPPING


@pytest.mark.parametrize("reason", STOPPING)
def test_scan_raises_after_the_packets_before_the_fault(
    reason: str, tmp_path: Path
) -> None:
    data, offset = SHOWN_BY[reason]
    path = tmp_path / "a.pcap"
    path.write_bytes(data)
    filter = "vlan 5" if reason == "filter_linktype" else None
    scan = fastflow.scan(path, columns=["dst_port"], filter=filter)
    ports: list[int] = []
    with pytest.raises(errors.CaptureError) as caught:
        ports.extend(port for batch in scan for port in batch["dst_port"].to_pylist())
    assert caught.value.reason == reason
    assert caught.value.path == str(path)
    if offset is not None:
        assert caught.value.offset_bytes == offset
        assert ports == [23] * (offset in AFTER_A_PACKET)
    assert scan.stats is not None
    assert scan.stats.records == len(ports)


def test_complete_capture_has_no_exception() -> None:
    complete = stats_of("truncated_record", reason=None)
    with pytest.raises(errors.InternalError):
        fault_message("a.pcap", complete)
    assert sum(batch.num_rows for batch in fastflow.scan(io.BytesIO(GOOD))) == 1


def test_statuses_are_those_of_the_schema() -> None:
    assert {status for status, _ in FAULTS.values()} <= set(get_args(Status))
    assert {group for _, group, _ in _core.STATES} == {"counted", "uncounted"}


def test_a_name_stands_in_one_list_only() -> None:
    names = Counter(
        name for names in names_of_trouble().values() for name, _, _ in names
    )
    # Of a whole pcap file, or of a pcapng interface and thus of its packets.
    assert [name for name, n in names.items() if n > 1] == ["unsupported_linktype"]


def test_every_name_is_explained_in_one_line() -> None:
    for names in names_of_trouble().values():
        for name, _, text in names:
            assert name == name.lower()
            assert text
            assert text.isascii()
            assert "\n" not in text


def test_every_exception_is_public() -> None:
    classes = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.FastflowError)
    ]
    assert [name for name in classes if getattr(fastflow, name, None) is None] == []
    assert set(classes) <= set(fastflow.__all__)


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([], 0),
        (["complete"], 0),
        (["complete", "duplicate", "skipped"], 0),
        (["complete", "truncated"], 3),
        (["damaged"], 3),
        (["complete", "rejected"], 3),
        (["duplicate", "rejected"], 3),
        (["rejected"], 1),
        (["rejected", "skipped"], 1),
    ],
)
def test_exit_code(statuses: list[str], code: int) -> None:
    assert errors.exit_code(statuses) == code
