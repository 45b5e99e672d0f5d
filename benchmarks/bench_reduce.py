"""The whole reduce with one worker: hashed, written, flushed to disk, committed.

Workload: the loads *scan* and *scatter*, FASTFLOW_BENCH_PACKETS packets each (default
1,000,000: 83 MB), read from the page cache into a new store each time. The store lies
in pytest's temporary directory: where that is in memory, flushing costs nothing.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

import jobs


def test_reduce(
    benchmark: BenchmarkFixture, load: Path, n_packets: int, tmp_path: Path
) -> None:
    benchmark.extra_info["packets"] = n_packets
    benchmark.extra_info["bytes"] = load.stat().st_size
    numbers = itertools.count()

    def new_store() -> tuple[tuple[Path, Path], dict[str, object]]:
        return (load, tmp_path / str(next(numbers))), {}

    counted = benchmark.pedantic(jobs.reduce, setup=new_store, rounds=5)
    assert counted == n_packets
