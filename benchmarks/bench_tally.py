"""Captures to exact hourly counts and sources, in memory, on one thread.

Workload: the loads *scan* and *scatter*, FASTFLOW_BENCH_PACKETS packets each (default
1,000,000: 83 MB), read from the page cache. A million packets of *scan* make 57,000
source cells, of *scatter* a million. The country table is loaded beforehand.
"""

from __future__ import annotations

from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

import jobs
from fastflow.stages.country import CountryTable


def test_tally(
    benchmark: BenchmarkFixture, load: Path, n_packets: int, table: CountryTable
) -> None:
    benchmark.extra_info["packets"] = n_packets
    benchmark.extra_info["bytes"] = load.stat().st_size
    assert benchmark(jobs.tally, load, table) == n_packets
