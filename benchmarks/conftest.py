"""The loads that the benchmarks read, made once a session."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from fastflow.stages.country import CountryTable, load_country_table
from fastflow.synth.load import make_load

# pytest's importlib mode adds no directory; the benchmarks share `jobs`.
sys.path.insert(0, str(Path(__file__).parent))

N_PACKETS = int(os.environ.get("FASTFLOW_BENCH_PACKETS", "1000000"))


@pytest.fixture(scope="session")
def table() -> CountryTable:
    return load_country_table()


@pytest.fixture(scope="session", params=["scan", "scatter"])
def load(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    table: CountryTable,
) -> Path:
    """A load capture of N_PACKETS packets, in the page cache."""
    kind = request.param
    return make_load(kind, N_PACKETS, 0, tmp_path_factory.mktemp(kind), table)


@pytest.fixture(scope="session")
def scan_load(tmp_path_factory: pytest.TempPathFactory, table: CountryTable) -> Path:
    """The load *scan* alone, for what need not be measured on both."""
    return make_load("scan", N_PACKETS, 0, tmp_path_factory.mktemp("alone"), table)


@pytest.fixture
def n_packets() -> int:
    return N_PACKETS
