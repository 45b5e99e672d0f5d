"""Parts of the way, each by itself.

Workload: 65,536 random addresses for the country table; a load *scan* of
FASTFLOW_BENCH_PACKETS packets (default 1,000,000: 83 MB) in the page cache for what
reads packets; its store for queries; its first 8 MB, compressed, for decompression.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import zstandard
from pytest_benchmark.fixture import BenchmarkFixture

import fastflow
import jobs
from fastflow.sources.stream import open_stream
from fastflow.stages.country import CountryTable

LOOKUPS = 1 << 16
PLAIN_BYTES = 8 << 20
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": zstandard.ZstdCompressor().compress,
    "lz4": lz4.frame.compress,
    "bz2": bz2.compress,
    "xz": lambda data: lzma.compress(data, preset=1),
}


@pytest.fixture(scope="module")
def store(scan_load: Path, tmp_path_factory: pytest.TempPathFactory) -> fastflow.Store:
    path = tmp_path_factory.mktemp("micro") / "counts"
    jobs.reduce(scan_load, path)
    return fastflow.Store(path)


@pytest.mark.parametrize("version", [4, 6])
def test_country_lookup(
    benchmark: BenchmarkFixture, table: CountryTable, version: int
) -> None:
    random = np.random.default_rng(0)
    addresses = random.integers(0, 256, (LOOKUPS, 16), np.uint8)
    if version == 4:
        addresses[:, :10], addresses[:, 10:12] = 0, 255
    else:
        addresses[:, 0] = 0x20  # where addresses are given out: 2000::/3
    versions = np.full(LOOKUPS, version, np.uint8)
    assert (
        len(benchmark(table.lookup, addresses.ravel().data, versions.data)) == LOOKUPS
    )


@pytest.mark.parametrize("column", ["tcp_options", "signature", "traffic", "country"])
def test_derived_column(
    benchmark: BenchmarkFixture, scan_load: Path, n_packets: int, column: str
) -> None:
    assert benchmark(jobs.scan, scan_load, (column,)) == n_packets


@pytest.mark.parametrize(
    "text",
    ["tcp", "tcp dst port 445 and not src net 10.0.0.0/8"],
    ids=["short", "long"],
)
def test_filter(benchmark: BenchmarkFixture, scan_load: Path, text: str) -> None:
    def matching() -> int:
        scan = fastflow.scan(scan_load, columns=["dst_port"], filter=text)
        return sum(batch.num_rows for batch in scan)

    assert benchmark(matching) > 0


@pytest.mark.parametrize("by", ["port", "country", "signature", "source"])
def test_top(benchmark: BenchmarkFixture, store: fastflow.Store, by: str) -> None:
    assert len(benchmark(store.top, by)) == 10


def test_sql(
    benchmark: BenchmarkFixture, store: fastflow.Store, n_packets: int
) -> None:
    query = "select hour, sum(packets) as packets from counts group by hour"
    rows = benchmark(store.sql, query)
    assert sum(rows["packets"].to_pylist()) == n_packets


@pytest.mark.parametrize("ending", list(COMPRESSORS))
def test_decompression(
    benchmark: BenchmarkFixture, scan_load: Path, tmp_path: Path, ending: str
) -> None:
    with scan_load.open("rb") as file:
        plain = file.read(PLAIN_BYTES)
    packed = tmp_path / f"scan.pcap.{ending}"
    packed.write_bytes(COMPRESSORS[ending](plain))
    benchmark.extra_info["bytes"] = len(plain)
    assert benchmark(unpack, packed) == len(plain)


def unpack(path: Path) -> int:
    """Read a compressed capture to its end; return its plain bytes."""
    stream = open_stream(path)
    buffer = memoryview(bytearray(1 << 20))
    n_bytes = 0
    try:
        while n_new := stream.readinto(buffer):
            n_bytes += n_new
    finally:
        stream.close()
    return n_bytes
