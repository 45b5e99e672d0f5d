"""Malformed captures: each comes to its verdict, by every way of reading it."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import builders as b
from fastflow import _core
from fastflow.packets import read_stats
from fastflow.pipeline import reduce
from fastflow.reader import TUNNELS, Decoding, tunnels
from hostile_cases import CASES, Case, verdict_of
from hostile_verdicts import FRAME, Verdict
from rows import Scanned, assert_same, fastflow_scan

#: Malformed captures that are no part of the repository.
COLLECTION = Path(__file__).parents[3] / "shared" / "hostile" / "cases"

DECAP = ("gre", "ipip", "6in4", "4in6", "6in6", "vxlan", "geneve", "gtpu", "erspan")
OPENED = [case for case in CASES if case.decapped is not None]

cases = pytest.mark.parametrize("case", CASES, ids=str)


def collection() -> list[Any]:
    if not COLLECTION.is_dir():
        skip = pytest.mark.skip(reason=f"no captures in {COLLECTION}")
        return [pytest.param(COLLECTION, marks=skip)]
    return sorted(COLLECTION.iterdir())


files = pytest.mark.parametrize("path", collection(), ids=lambda path: path.name)


def name_of(path: Path) -> str:
    return path.name.split(".")[0]


def as_collected(verdict: Verdict) -> Verdict:
    """Leave out what differs: the collection has other addresses, times and lengths."""
    columns = {
        name: value
        for name, value in verdict.columns.items()
        if value is None or name not in ("src", "ts", "wirelen")
    }
    return dataclasses.replace(verdict, columns=columns)


def packet_in_question(scanned: Scanned, verdict: Verdict) -> dict[str, Any]:
    if not verdict.columns:
        return {}
    row = scanned.rows[len(scanned.rows) // 2]
    return {column: row[column] for column in verdict.columns}


def assert_verdict(path: Path, verdict: Verdict, decap: tuple[str, ...] = ()) -> None:
    """Compare all that the verdict says, and that nothing is lost from sight."""
    stats = read_stats(path, Decoding(decap=tunnels(decap)))
    scanned = fastflow_scan(path, decap=decap)
    found = Verdict(
        status=stats.status,
        reason=stats.reason,
        offset=stats.offset,
        records=stats.records,
        uncounted=stats.uncounted,
        flags=stats.flags,
        columns=packet_in_question(scanned, verdict),
    )
    assert found == verdict
    assert (scanned.status, scanned.records) == (stats.status, len(scanned.rows))
    assert stats.records == stats.counted + sum(stats.uncounted.values())
    if stats.compression is None and stats.offset is not None:
        assert stats.bytes_not_read == path.stat().st_size - stats.offset >= 0


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Case], Path]:
    def write(case: Case) -> Path:
        path = tmp_path / case.name
        path.write_bytes(case.data)
        return path

    return write


@cases
def test_a_malformed_capture_comes_to_its_verdict(
    case: Case, written: Callable[[Case], Path]
) -> None:
    assert_verdict(written(case), case.verdict)


@pytest.mark.parametrize("case", OPENED, ids=str)
def test_a_malformed_tunnel_comes_to_its_verdict_when_opened(
    case: Case, written: Callable[[Case], Path]
) -> None:
    assert case.decapped is not None
    assert_verdict(written(case), case.decapped, DECAP)


@cases
def test_the_oracle_says_the_same(case: Case) -> None:
    if read_stats(io.BytesIO(case.data)).compression is None:
        assert_same(case.data)
        assert_same(case.data, decap=DECAP)


@cases
def test_small_blocks_change_nothing(case: Case) -> None:
    if len(case.data) < 20_000:
        small = fastflow_scan(io.BytesIO(case.data), block_bytes=7)
        assert small == fastflow_scan(io.BytesIO(case.data))


@files
def test_a_collected_capture_comes_to_its_verdict(path: Path) -> None:
    assert_verdict(path, as_collected(verdict_of(name_of(path))))


@files
def test_a_collected_tunnel_comes_to_its_verdict_when_opened(path: Path) -> None:
    for case in OPENED:
        if case.name == name_of(path) and case.decapped is not None:
            assert_verdict(path, as_collected(case.decapped), DECAP)


def test_one_reduce_of_all_of_them(
    tmp_path: Path, written: Callable[[Case], Path]
) -> None:
    """None stops another, and every record is in a cell or has a reason."""
    named = {str(written(case)): case for case in CASES}
    good = tmp_path / "~good"
    good.write_bytes(b.capture(*[FRAME] * 7))
    report = reduce([*named, good], tmp_path / "store", "lab")
    assert [line for line in report.messages if "cannot be read" in line] == []
    assert report.inputs[-1].status == "complete"
    for record in report.inputs[:-1]:
        verdict = named[record.path].verdict
        # Some differ from others in nothing but their names.
        assert record.status in (verdict.status, "duplicate")
        assert (record.reason, record.offset) == (verdict.reason, verdict.offset)
        assert (record.records, record.uncounted, record.flags) == (
            verdict.records,
            verdict.uncounted,
            verdict.flags,
        )
        assert record.records == record.counted + sum(record.uncounted.values())


def test_there_is_a_case_for_every_name() -> None:
    seen = {case.verdict.reason for case in CASES}
    reasons = {name for name, _, _ in _core.FAULTS} - {"none"}
    # This one needs a filter.
    assert reasons - seen == {"filter_linktype"}

    states = {case.verdict.columns.get("status") for case in CASES}
    states |= {case.decapped.columns.get("status") for case in OPENED if case.decapped}
    states |= {reason for case in CASES for reason in case.verdict.uncounted}
    assert {name for name, _, _ in _core.STATES} - states == set()

    flags = {flag for case in CASES for flag in case.verdict.flags}
    assert {name for name, _, _ in _core.FLAGS} - flags == {"filter_unsuited"}


def test_the_tunnels_that_are_opened_are_all_there_are() -> None:
    assert set(DECAP) == set(TUNNELS)


def test_names_of_cases_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
