"""Parts of a capture: where they begin, and what a wrong guess costs."""

from __future__ import annotations

import bz2
import gzip
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import builders as b
import fastflow
from fastflow import _core
from fastflow.reader import PLAUSIBLE_NS, Reader
from fastflow.sources.stream import open_stream
from fastflow.split import in_parts
from in_parts import (
    assert_workers_do_not_matter,
    fake_chain,
    ipc,
    raw_header,
    scan_in_parts,
)

FRAME = b.ethernet(b.ipv4(b.tcp(dst_port=445)))
N_RECORD = 16 + len(FRAME)
PART = 40 * N_RECORD


def capture(n_packets: int = 1000) -> bytes:
    builder = b.PcapBuilder()
    for n in range(n_packets):
        frame = b.ethernet(b.ipv4(b.tcp(dst_port=n, options=b.mss(n % 7))))
        builder.add(frame, sec=b.T0 + n, frac=n)
    return builder.build()


def scanner(data: bytes) -> _core.Scanner:
    opened = _core.Scanner(_core.Lexicon(0), *PLAUSIBLE_NS)
    opened.open(data)
    return opened


# --- guessing -------------------------------------------------------------------------

DIALECTS: dict[str, dict[str, Any]] = {
    "usual": {},
    "nanoseconds": {"magic": b.MAGIC_NSEC},
    "modified": {"magic": b.MAGIC_MODIFIED},
    "big-endian": {"byteorder": "big"},
    "2.3": {"version": (2, 3)},
    "2.2": {"version": (2, 2)},
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_record_is_found_from_every_offset(dialect: str) -> None:
    builder = b.PcapBuilder(**DIALECTS[dialect])
    for n in range(20):
        builder.add(FRAME + bytes(n), sec=b.T0 + n, frac=n, wirelen=len(FRAME) + 40)
    data = builder.build()
    begins = [24]
    for record in builder.body:
        begins.append(begins[-1] + len(record))
    opened = scanner(data)
    for at in range(24, begins[-2] + 1):
        expected = min(begin for begin in begins if begin >= at)
        assert opened.find_record(data[at:]) == expected - at, at


@pytest.mark.parametrize(
    "header",
    [
        (0, 0, 0, 0),
        (b.T0 + 40_000_000, 0, 60, 60),
        (b.T0 - 40_000_000, 0, 60, 60),
        (b.T0, 1_000_000, 60, 60),
        (b.T0, 0, 262_145, 262_145),
        (b.T0, 0, 61, 60),
        (b.T0, 0, 65_536, 65_536),
    ],
)
def test_an_implausible_record_is_passed_over(header: tuple[int, ...]) -> None:
    block = raw_header(*header) + bytes(60) + fake_chain()
    assert scanner(capture(1)).find_record(block) == 76


def test_seven_records_in_a_row_are_not_enough_unless_the_bytes_end() -> None:
    opened = scanner(capture(1))
    chain = fake_chain(7)
    assert opened.find_record(chain) == 0
    assert opened.find_record(chain + b"\xff" * 16) is None
    assert opened.find_record(fake_chain(8) + b"\xff" * 16) == 0


@pytest.mark.parametrize("n_bytes", [0, 1, 15, 16, 1000])
def test_nothing_is_found_in_zeros(n_bytes: int) -> None:
    assert scanner(capture(1)).find_record(bytes(n_bytes)) is None


def test_looking_takes_linear_time() -> None:
    """Chains of seven from every fourth byte on: each offset costs all that it can."""
    opened = scanner(capture(1))
    block = raw_header(b.T0, 0, 0, 0) * (1 << 15)
    hostile = memoryview(block + b"\xff" * 16)[1:]
    start = time.perf_counter()
    assert opened.find_record(hostile) is not None
    # A header that leads on to where nothing is, over and over.
    step = raw_header(b.T0, 0, 64, 64) + b"\xff" * 64
    assert opened.find_record(step * 7 + b"\xff" * (1 << 19)) is None
    assert time.perf_counter() - start < 5


def test_only_a_classic_pcap_has_parts() -> None:
    opened = scanner(b"\x0a\x0d\x0d\x0a" + bytes(24))
    assert not opened.can_part
    with pytest.raises(fastflow.InternalError):
        opened.find_record(b"")
    with pytest.raises(fastflow.InternalError):
        opened.part(_core.Lexicon(0), 24)


def test_parts_are_joined_end_to_end_only() -> None:
    opened = scanner(capture(1))
    part = opened.part(_core.Lexicon(0), 100)
    with pytest.raises(fastflow.InternalError):
        opened.join(part, 100)


# --- scanning -------------------------------------------------------------------------


def hidden(n_packets: int) -> bytes:
    """Packets that are whole captures."""
    return b.capture(*[b.capture(*[bytes([n])] * 40) for n in range(n_packets)])


HOSTILE: dict[str, Callable[[], bytes]] = {
    "captures within packets": lambda: hidden(30),
    "a chain that leads elsewhere": lambda: b.capture(*[fake_chain(20)[7:]] * 60),
    "zeros in packets": lambda: b.capture(*[bytes(3000)] * 20),
    "zeros instead of records": lambda: capture()[:5000] + bytes(30_000),
    "one packet of many parts": lambda: b.capture(FRAME, bytes(65_000), *[FRAME] * 99),
    "damage in a part": lambda: capture()[:9990] + b"\xff" * 40 + capture()[10_030:],
    "another file joined": lambda: capture(300) + capture(300),
    "cut in a packet": lambda: capture()[:-7],
    "cut in a header": lambda: capture(300) + bytes(5),
    "a clock that was set": lambda: capture(300) + fake_chain(400, sec=1),
    "nothing but a header": lambda: b.capture(),
    "times out of order": lambda: b.capture(FRAME) + fake_chain(900, sec=0x7FFF_FFFF),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("part_bytes", [PART, 1000, 5000])
def test_a_wrong_guess_only_costs_time(
    name: str, part_bytes: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(HOSTILE[name]())
    found = assert_workers_do_not_matter(path, part_bytes)
    whole = scan_in_parts(path, 1 << 40)
    assert found.stats == whole.stats


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_a_compressed_copy_gives_the_same_batches(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    plain, packed = tmp_path / "a.pcap", tmp_path / "b"
    plain.write_bytes(capture())
    packed.write_bytes(pack(capture()))
    found = scan_in_parts(plain, PART, batch_rows=30, workers=2)
    assert scan_in_parts(packed, PART, batch_rows=30).batches == found.batches
    with plain.open("rb") as file:
        assert scan_in_parts(file, PART, batch_rows=30).batches == found.batches


def test_a_batch_ends_with_its_part_and_begins_its_dictionaries_anew(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(capture())
    scan = fastflow.scan(path, ["dst_port", "tcp_options"], batch_rows=30, workers=2)
    scan._part_bytes = PART
    batches = list(scan)
    assert [batch.num_rows for batch in batches[:4]] == [30, 8, 30, 8]
    assert {len(batch["tcp_options"].dictionary) for batch in batches} == {1}


def test_a_filter_and_tunnels_hold_in_every_part(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(capture())
    found = assert_workers_do_not_matter(
        path, PART, filter="tcp dst portrange 100-700", decap="all"
    )
    assert (found.stats.counted, found.stats.records) == (601, 1000)


def test_a_country_is_found_in_every_part(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(capture(200))
    assert_workers_do_not_matter(path, PART, columns=["country", "dst_port"])


def test_progress_is_told_of_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(capture())
    for workers in (1, 2):
        steps: list[tuple[int, int]] = []
        scan_in_parts(
            path,
            PART,
            workers=workers,
            block_bytes=999,
            progress=lambda n_bytes, n_packets, to=steps: to.append(
                (n_bytes, n_packets)
            ),
        )
        assert sum(n_bytes for n_bytes, _ in steps) == path.stat().st_size
        assert min(n_bytes for n_bytes, _ in steps) > 0
        assert min(n_packets for _, n_packets in steps) >= 0


def test_there_is_at_least_one_worker() -> None:
    with pytest.raises(ValueError, match="one worker"):
        fastflow.scan("a.pcap", workers=0)


# --- ends -----------------------------------------------------------------------------


def threads() -> set[str]:
    return {t.name for t in threading.enumerate() if t.name.startswith("fastflow")}


def test_who_stops_early_leaves_no_thread_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(capture())
    scan = fastflow.scan(path, ["ts"], workers=3)
    scan._part_bytes = PART
    batches = iter(scan)
    next(batches)
    assert threads()
    batches.close()  # type: ignore[attr-defined]
    assert not threads()
    assert scan.stats is None


def opened(path: Path) -> Reader:
    reader = Reader(open_stream(path), _core.Lexicon(0))
    assert reader.open() is None
    return reader


def count(reader: Reader) -> Iterator[int]:
    """Count records, as any work might."""
    before = reader.scanner.n_records
    reader.scanner.bind(bytearray(1), {}, {}, 1 << 62)
    for block in reader.blocks():
        reader.use_up(reader.scanner.read(block)[0])
    yield reader.scanner.n_records - before


def test_work_of_any_kind_is_done_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(capture())
    found = []
    for workers in (1, 3):
        with opened(path) as reader:
            found.append(list(in_parts(reader, count, workers, PART)))
            assert reader.stats().records == 1000
    assert found[0] == found[1]
    assert sum(found[0]) == 1000


def test_every_guess_is_right_in_a_good_capture(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(capture())
    workers: list[str] = []

    def work(reader: Reader) -> Iterator[int]:
        workers.append(threading.current_thread().name)
        yield from count(reader)

    with opened(path) as reader:
        n_parts = len(list(in_parts(reader, work, 3, PART)))
    assert len(workers) == n_parts == path.stat().st_size // PART + 1
    assert all(name.startswith("fastflow-part") for name in workers)


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), MemoryError()])
def test_an_error_is_raised_behind_what_precedes_it(
    error: Exception, tmp_path: Path
) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(capture())

    def work(reader: Reader) -> Iterator[int]:
        begin = reader.scanner.consumed_bytes
        yield from count(reader)
        if begin > 10 * PART:
            raise error

    found: list[int] = []
    with opened(path) as reader, pytest.raises(type(error)):
        found += in_parts(reader, work, 3, PART)
    assert len(found) == 11
    assert not threads()


def test_an_error_of_a_guess_alone_is_nobodys(tmp_path: Path) -> None:
    """It may come of what lies behind the capture's end, or of memory that is short."""
    path = tmp_path / "a.pcap"
    path.write_bytes(capture())

    def work(reader: Reader) -> Iterator[int]:
        if threading.current_thread() is not threading.main_thread():
            raise MemoryError
        yield from count(reader)

    with opened(path) as reader:
        assert sum(in_parts(reader, work, 3, PART)) == 1000


@pytest.mark.parametrize("workers", [1, 3])
def test_a_file_that_shrinks_ends_where_it_ends(workers: int, tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(capture())
    scan = fastflow.scan(
        path, ["dst_port"], workers=workers, block_bytes=N_RECORD, strict=False
    )
    scan._part_bytes = PART
    found: list[int] = []
    for batch in scan:
        if not found:
            os.truncate(path, 24 + 700 * 74 + 7)
        found += batch["dst_port"].to_pylist()
    assert found == list(range(700))
    assert scan.stats is not None
    assert (scan.stats.reason, scan.stats.offset) == (
        "truncated_record_header",
        24 + 700 * 74,
    )
    assert scan.stats.bytes_not_read == 7


@pytest.mark.parametrize("workers", [1, 3])
def test_a_file_that_grows_is_read_to_its_end(workers: int, tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(capture())
    scan = fastflow.scan(path, ["dst_port"], workers=workers, block_bytes=N_RECORD)
    scan._part_bytes = PART
    found: list[int] = []
    for batch in scan:
        if not found:
            with path.open("ab") as file:
                file.write(capture()[24:])
        found += batch["dst_port"].to_pylist()
    assert found == 2 * list(range(1000))


def test_a_large_capture_is_split_by_itself(tmp_path: Path) -> None:
    """Parts of the usual size, and enough packets for some of them."""
    from fastflow.split import PART_BYTES

    path = tmp_path / "a.pcap"
    records = b"".join(
        b.pcap_record(FRAME, sec=b.T0 + n // 1000, frac=n % 1000) for n in range(1000)
    )
    n_copies = 2 * PART_BYTES // len(records) + 2
    path.write_bytes(b.pcap_header() + records * n_copies)
    one, two = (
        [ipc(batch) for batch in fastflow.scan(path, ["ts", "src"], workers=workers)]
        for workers in (1, 2)
    )
    assert one == two
    assert len(one) > 2
