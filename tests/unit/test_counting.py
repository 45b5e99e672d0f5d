"""However many workers count, however captures are shared: the store is the same."""

from __future__ import annotations

import gzip
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import fastflow
import fastflow.counting
from fastflow.identity import DigestBeside
from fastflow.phases import PHASES, Phases
from fastflow.pool import in_order, large_ones
from fastflow.reader import Reader, new_lexicon
from fastflow.sources.stream import open_stream
from fastflow.split import PART_BYTES
from fastflow.stages.country import CountryTable
from fastflow.stages.spill import Memory
from fastflow.stages.tally import HourlyTally
from fastflow.store import Store
from fastflow.synth.load import make_load

pytest_plugins = ["country_fixture"]

#: Reduces captures; returns the store's files by name, and what was said of each.
Reduce = Callable[..., Any]


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory, country_table: CountryTable) -> bytes:
    """A capture of several parts: two workers share it."""
    out = tmp_path_factory.mktemp("big")
    data = make_load("scan", 250_000, 7, out, country_table, hours=5).read_bytes()
    assert len(data) > 2 * PART_BYTES
    return data


@pytest.fixture
def store_of(country_table: CountryTable) -> Reduce:
    def reduce(out: Path, captures: list[Path], workers: int, **options: Any) -> Any:
        report = fastflow.reduce(
            captures, out, "lab", geo=country_table, workers=workers, **options
        )
        files = {p.name: p.read_bytes() for p in out.glob("table=[cs]*/*.parquet")}
        return files, report.to_json(), report.messages

    return reduce


def cut(data: bytes) -> bytes:
    return data[:-7]


def damaged(data: bytes) -> bytes:
    """Zeros from the second part on, as a preallocated file has."""
    at = PART_BYTES + PART_BYTES // 3
    return data[:at] + bytes(len(data) - at)


def damaged_early(data: bytes) -> bytes:
    return data[:999] + bytes(20_000_000)


def whole(data: bytes) -> bytes:
    return data


@pytest.mark.parametrize("change", [whole, cut, damaged, damaged_early])
def test_workers_do_not_show(
    big: bytes,
    store_of: Reduce,
    tmp_path: Path,
    change: Callable[[bytes], bytes],
) -> None:
    capture = tmp_path / "a.pcap"
    capture.write_bytes(change(big))
    one = store_of(tmp_path / "one", [capture], 1)
    assert store_of(tmp_path / "two", [capture], 2) == one
    assert store_of(tmp_path / "five", [capture], 5) == one
    assert not [t for t in threading.enumerate() if t.name.startswith("fastflow")]


def test_compressing_does_not_show(
    big: bytes, store_of: Reduce, tmp_path: Path
) -> None:
    plain, packed = tmp_path / "a.pcap", tmp_path / "a.pcap.gz"
    plain.write_bytes(big)
    packed.write_bytes(gzip.compress(big, 1))
    files, *_ = store_of(tmp_path / "plain", [plain], 2)
    again, *_ = store_of(tmp_path / "packed", [packed], 2)
    assert again == files


def test_a_file_that_changes_meanwhile_is_read_once_more(
    big: bytes, store_of: Reduce, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = tmp_path / "a.pcap"
    capture.write_bytes(big)
    begin = DigestBeside.__init__

    def begin_when_it_has_grown(*arguments: Any) -> None:
        with capture.open("ab") as file:
            file.write(big[24:1000])
        begin(*arguments)

    monkeypatch.setattr(DigestBeside, "__init__", begin_when_it_has_grown)
    files, report, _ = store_of(tmp_path / "two", [capture], 2)
    monkeypatch.undo()
    grown, expected, _ = store_of(tmp_path / "one", [capture], 1)
    assert (files, report) == (grown, expected)


def test_a_file_that_is_overwritten_meanwhile_is_read_once_more(
    big: bytes, store_of: Reduce, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = big[: len(big) // 2].replace(b"\x00\x17", b"\x00\x16")
    other += big[len(other) :]
    assert other != big
    assert len(other) == len(big)
    capture = tmp_path / "a.pcap"
    capture.write_bytes(big)
    os.utime(capture, ns=(1, 1))
    begin = DigestBeside.__init__

    def overwrite_what_was_hashed(self: DigestBeside, *arguments: Any) -> None:
        begin(self, *arguments)
        self.finish()
        capture.write_bytes(other)

    monkeypatch.setattr(DigestBeside, "__init__", overwrite_what_was_hashed)
    files, report, _ = store_of(tmp_path / "two", [capture], 2)
    monkeypatch.undo()
    expected = store_of(tmp_path / "one", [capture], 1)
    assert (files, report) == expected[:2]


@pytest.mark.parametrize("grain", ["counts", "sources"])
def test_row_groups_that_are_just_full_do_not_show_how_rows_were_counted(
    big: bytes,
    store_of: Reduce,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    grain: str,
) -> None:
    capture = tmp_path / "a.pcap"
    capture.write_bytes(big[: len(big) // 20])
    store_of(tmp_path / "first", [capture], 1)
    n_rows = Store(tmp_path / "first").sql(f"select * from {grain}").num_rows
    monkeypatch.setattr("fastflow.store.publish.ROW_GROUP_ROWS", n_rows)
    expected = store_of(tmp_path / "kept", [capture], 1)
    small = partial(HourlyTally, arena_cells=900)
    monkeypatch.setattr(fastflow.counting, "HourlyTally", small)
    assert store_of(tmp_path / "runs", [capture], 1) == expected


def test_nothing_is_read_ahead_before_it_is_known_who_reads(
    big: bytes, tmp_path: Path
) -> None:
    capture = tmp_path / "a.pcap"
    capture.write_bytes(big)
    hashed: list[int] = []
    stream = open_stream(capture)
    with Reader(stream, new_lexicon(), on_bytes=lambda b: hashed.append(len(b))) as r:
        assert r.open() is None
        n_read = stream.n_read_bytes
        time.sleep(0.05)
        assert stream.n_read_bytes == n_read == sum(hashed)


def test_captures_of_very_different_sizes(
    big: bytes, store_of: Reduce, tmp_path: Path
) -> None:
    captures = []
    for number in range(12):
        captures.append(tmp_path / f"{number:02}.pcap")
        size = len(big) if number == 10 else 24 + 200 * number
        captures[-1].write_bytes(big[:size])
    one = store_of(tmp_path / "one", captures, 1)
    assert store_of(tmp_path / "three", captures, 3) == one
    assert [c["path"] for c in one[1]["inputs"]] == [str(path) for path in captures]


def test_spilling_does_not_show(
    big: bytes, store_of: Reduce, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = tmp_path / "a.pcap"
    capture.write_bytes(big)
    expected = store_of(tmp_path / "kept", [capture], 1)
    small = partial(HourlyTally, arena_cells=1000)
    monkeypatch.setattr(fastflow.counting, "HourlyTally", small)
    monkeypatch.setattr(fastflow.counting, "Memory", partial(Memory, 0))
    assert store_of(tmp_path / "spilled", [capture], 2) == expected


def test_phases_are_measured(big: bytes, store_of: Reduce, tmp_path: Path) -> None:
    capture = tmp_path / "a.pcap.gz"
    capture.write_bytes(gzip.compress(big, 1))
    phases = Phases()
    store_of(tmp_path / "counts", [capture], 1, phases=phases)
    assert list(phases.seconds) == list(PHASES)
    assert min(phases.seconds.values()) > 0


# --- the pool -------------------------------------------------------------------------


def test_large_jobs_are_few_and_those_that_hold_up_the_others() -> None:
    assert large_ones([10], 2) == {0}
    assert large_ones([1] * 10, 2) == set()
    assert large_ones([1, 1, 50, 1], 2) == {2}
    assert len(large_ones([5] * 3 + [1] * 3, 2)) <= 4
    assert large_ones([0, 0], 2) == set()


def test_results_come_in_order_and_large_jobs_begin_first() -> None:
    begun: list[tuple[int, int]] = []

    def work(number: int, workers: int) -> int:
        begun.append((number, workers))
        return number * number

    sizes = [1] * 30 + [100] + [1] * 5
    assert list(in_order(work, sizes, 2)) == [n * n for n in range(36)]
    assert begun[0] == (30, 2)
    assert {workers for _, workers in begun[1:]} == {1}


def test_an_error_ends_the_work() -> None:
    def work(number: int, workers: int) -> int:
        if number == 3:
            raise ValueError(number)
        return number

    with pytest.raises(ValueError, match="3"):
        list(in_order(work, [1] * 100, 2))
