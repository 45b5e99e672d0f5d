"""Sources that behave as files do on a bad day: short reads, signals, growth, errors.

The cases S3 to S6 and S9 of the reliability rules.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

import builders as b
import fastflow
from command import fastflow as run
from fastflow.packets import read_stats
from fastflow.phases import Phases
from fastflow.pipeline import reduce

FRAME = b.ethernet(b.ipv4(b.tcp(dst_port=445)))
N_PACKETS = 30
DATA = b.capture(*[FRAME] * N_PACKETS)
N_RECORD = 16 + len(FRAME)


def ports(source: BinaryIO | Path | str, **named: object) -> list[int]:
    batches = fastflow.scan(source, columns=["dst_port"], **named)  # type: ignore[arg-type]
    return [port for batch in batches for port in batch["dst_port"].to_pylist()]


class Trickle(io.RawIOBase):
    """Gives a few bytes at a time, and an error in place of some."""

    def __init__(self, data: bytes, step: int, fails_at: int | None = None) -> None:
        self._data = io.BytesIO(data)
        self._step = step
        self._fails_at = fails_at

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._fails_at is not None and self._data.tell() >= self._fails_at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self._data.readinto(memoryview(buffer)[: self._step])


@contextmanager
def written(fd: int, pieces: Iterator[bytes]) -> Iterator[None]:
    """Write into a descriptor from a thread, and close it."""

    def write() -> None:
        for piece in pieces:
            os.write(fd, piece)
        os.close(fd)

    thread = threading.Thread(target=write)
    thread.start()
    yield
    thread.join()


@contextmanager
def without_privileges() -> Iterator[None]:
    """Be nobody for a while: root may read everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def pieces(step: int) -> Iterator[bytes]:
    for at in range(0, len(DATA), step):
        yield DATA[at : at + step]


# --- S3: short reads, signals, descriptors that do not wait ---------------------------


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_short_reads_change_nothing(step: int) -> None:
    assert ports(io.BufferedReader(Trickle(DATA, step))) == [445] * N_PACKETS
    assert ports(Trickle(DATA, step)) == [445] * N_PACKETS  # type: ignore[arg-type]


@pytest.mark.parametrize("step", [1, 3])
def test_a_pipe_of_few_bytes_at_a_time(step: int) -> None:
    reading, writing = os.pipe()
    with written(writing, pieces(step)), os.fdopen(reading, "rb", buffering=0) as file:
        assert ports(file) == [445] * N_PACKETS


def test_a_socket() -> None:
    ours, theirs = socket.socketpair()
    with written(theirs.detach(), pieces(100)), ours, ours.makefile("rb") as file:
        assert ports(file) == [445] * N_PACKETS


def test_a_signal_in_the_middle_of_a_read() -> None:
    reading, writing = os.pipe()
    n_signals = 0

    def count(*_: object) -> None:
        nonlocal n_signals
        n_signals += 1

    def slowly() -> Iterator[bytes]:
        yield DATA[:50]
        time.sleep(0.2)
        yield DATA[50:]

    before = signal.signal(signal.SIGALRM, count)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        with written(writing, slowly()), os.fdopen(reading, "rb", buffering=0) as file:
            assert ports(file) == [445] * N_PACKETS
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert n_signals > 0


@pytest.mark.parametrize("pack", [bytes, None])
def test_a_descriptor_that_does_not_wait_is_waited_for(
    pack: Callable[[bytes], bytes] | None,
) -> None:
    import gzip

    data = gzip.compress(DATA) if pack is None else DATA
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    def slowly() -> Iterator[bytes]:
        for at in range(0, len(data), max(len(data) // 4, 1)):
            time.sleep(0.05)
            yield data[at : at + max(len(data) // 4, 1)]

    with written(writing, slowly()), os.fdopen(reading, "rb", buffering=0) as file:
        assert ports(file) == [445] * N_PACKETS


# --- S4, S5: files that change while they are read ------------------------------------


def grown(path: Path, change: Callable[[], object], block_bytes: int) -> list[int]:
    """Scan in small blocks; change the file after the first batch."""
    scan = fastflow.scan(
        path, ["dst_port"], batch_rows=1, block_bytes=block_bytes, strict=False
    )
    found: list[int] = []
    for batch in scan:
        if not found:
            change()
        found += batch["dst_port"].to_pylist()
    assert scan.stats is not None
    assert scan.stats.status in ("complete", "truncated")
    return found


def test_a_file_that_grows_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(DATA)

    def grow() -> None:
        with path.open("ab") as file:
            file.write(DATA[24:])

    assert len(grown(path, grow, N_RECORD)) >= N_PACKETS


def test_a_file_that_shrinks_ends_early_and_crashes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(DATA)
    found = grown(path, lambda: os.truncate(path, 24 + 10 * N_RECORD + 7), N_RECORD)
    assert len(found) == 10


def test_a_file_that_is_replaced_is_read_as_it_was(tmp_path: Path) -> None:
    path, other = tmp_path / "a.pcap", tmp_path / "b.pcap"
    path.write_bytes(DATA)
    other.write_bytes(b"something else")
    assert len(grown(path, lambda: other.replace(path), N_RECORD)) == N_PACKETS


# --- S6: names and kinds of files -----------------------------------------------------


@pytest.mark.parametrize(
    "name", [b"a\nb.pcap", b"\xff\xfe.pcap", b"-rf.pcap", b" .pcap"]
)
def test_a_name_of_any_bytes(name: bytes, tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118
    Path(os.fsdecode(path)).write_bytes(DATA)
    assert ports(os.fsdecode(path)) == [445] * N_PACKETS
    shown = subprocess.run(
        [sys.executable, "-m", "fastflow", "info", "--json", path],
        capture_output=True,
        check=True,
    )
    assert b'"records": 30' in shown.stdout


def test_a_name_with_nul_is_refused(tmp_path: Path) -> None:
    with pytest.raises((ValueError, OSError)):
        ports(f"{tmp_path}/a\0.pcap")


def test_a_loop_of_links_is_refused_by_name(tmp_path: Path) -> None:
    loop = tmp_path / "loop.pcap"
    loop.symlink_to(loop)
    ran = run("scan", loop)
    assert ran.code == 1
    assert "loop.pcap" in ran.err


def test_a_directory_that_holds_a_link_to_itself_is_searched_once(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.pcap").write_bytes(DATA)
    (tmp_path / "again").symlink_to(tmp_path)
    ran = run("info", tmp_path, "--json")
    assert [one["records"] for one in ran.json["captures"]] == [N_PACKETS]


def test_a_device_is_read_as_a_file() -> None:
    assert read_stats("/dev/null").reason == "empty_file"
    stats = read_stats("/dev/zero")
    assert (stats.status, stats.reason) == ("rejected", "unknown_magic")


def test_a_file_that_may_not_be_read_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(DATA)
    path.chmod(0)
    with without_privileges(), pytest.raises(PermissionError) as caught:
        read_stats(path)
    assert str(caught.value.filename) == str(path)


# --- S9: errors of the medium ---------------------------------------------------------


@pytest.mark.parametrize("fails_at", [0, 10, 24, 1000])
def test_an_error_in_the_middle_is_the_callers_to_handle(fails_at: int) -> None:
    scan = fastflow.scan(Trickle(DATA, 100, fails_at), columns=["ts"])  # type: ignore[arg-type]
    with pytest.raises(OSError, match="Input/output error"):
        list(scan)


def test_an_unreadable_capture_stops_no_other_and_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = tmp_path / "a.pcap", tmp_path / "b.pcap"
    good.write_bytes(DATA)
    bad.write_bytes(DATA + DATA[24:])
    from fastflow import pipeline
    from fastflow.sources.stream import ByteStream, open_stream

    def opened(path: str, phases: Phases) -> ByteStream:
        if path == str(bad):
            return open_stream(Trickle(bad.read_bytes(), 100, 500))  # type: ignore[arg-type]
        return open_stream(path)

    monkeypatch.setattr(pipeline, "open_stream", opened)
    report = reduce([bad, good], tmp_path / "store", "lab")
    assert [record.status for record in report.inputs] == ["rejected", "complete"]
    assert report.inputs[0].reason == "unreadable"
    assert report.messages == [f"{bad}: cannot be read: Input/output error"]
    assert report.exit_code == 3
    monkeypatch.undo()
    again = reduce([bad, good], tmp_path / "store", "lab")
    assert [record.status for record in again.inputs] == ["complete", "duplicate"]
