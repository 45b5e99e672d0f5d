"""Captures to record batches.

Workload: the loads *scan* and *scatter*, FASTFLOW_BENCH_PACKETS packets each (default
1,000,000: 83 MB), read from the page cache; every batch is dropped at once. Once with
all columns, once with four (ts, src, dst_port, tcp_window).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import jobs


@pytest.mark.parametrize(
    "columns", [None, jobs.FOUR_COLUMNS], ids=["all-columns", "four-columns"]
)
def test_scan(
    benchmark: BenchmarkFixture,
    load: Path,
    n_packets: int,
    columns: tuple[str, ...] | None,
) -> None:
    benchmark.extra_info["packets"] = n_packets
    benchmark.extra_info["bytes"] = load.stat().st_size
    assert benchmark(jobs.scan, load, columns) == n_packets
