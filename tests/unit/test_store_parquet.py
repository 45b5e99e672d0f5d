"""Row groups of `sources`: how they lie in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastflow.schema import row_schema
from fastflow.store.durable import NewFile
from fastflow.store.parquet import conformed, encoded, write_rows

SCHEMA = row_schema("sources")
HOUR_US = 3_600_000_000


def sources(rows: list[tuple[int, int, int]]) -> pa.Table:
    """Return rows of (input, hour, address), each with packets that tell it apart."""
    hours = [hour * HOUR_US for _, hour, _ in rows]
    addresses = [bytes(10) + b"\xff\xff" + a.to_bytes(4, "big") for _, _, a in rows]
    table = pa.table(
        {
            "hour": pa.array(hours, pa.int64()).cast(SCHEMA.field("hour").type),
            "src": pa.array(addresses, pa.binary()),
            "packets": pa.array(range(len(rows)), pa.int64()),
            "bytes": pa.array(range(len(rows)), pa.int64()),
            "sensor": pa.array(["s"] * len(rows), pa.string()),
            "traffic": pa.array(["scan"] * len(rows), pa.string()),
            "proto": pa.array([6] * len(rows), pa.int16()),
            "ip_version": pa.array([4] * len(rows), pa.int16()),
            "input": pa.array([f"{number:04}" for number, _, _ in rows], pa.string()),
        }
    )
    plain = pa.schema([f.with_type(_plain(f.type)) for f in SCHEMA])
    return encoded(conformed(table, plain), "sources")


def _plain(dtype: pa.DataType) -> pa.DataType:
    return dtype.value_type if pa.types.is_dictionary(dtype) else dtype


def written(directory: Path, rows: list[tuple[int, int, int]]) -> pa.Table:
    with NewFile(directory) as new:
        write_rows(new, "sources", [sources(rows)])
        return pq.read_table(new.path)


def test_sources_that_come_back_lie_side_by_side(tmp_path: Path) -> None:
    rows = [(0, hour, address) for hour in range(5) for address in (9, 3, 7)]
    found = written(tmp_path, rows)
    assert found["packets"].to_pylist() == [
        *(1, 4, 7, 10, 13),
        *(2, 5, 8, 11, 14),
        *(0, 3, 6, 9, 12),
    ]


def test_sources_that_do_not_come_back_stay_in_order(tmp_path: Path) -> None:
    rows = [(0, hour, 100 - hour) for hour in range(40)]
    assert written(tmp_path, rows)["packets"].to_pylist() == list(range(40))


def test_addresses_are_told_apart_by_their_end(tmp_path: Path) -> None:
    """IPv6 has its interface there, and 4 bytes do for an order."""
    rows = [(0, hour, a << 24 | 5) for hour in range(4) for a in (2, 1)]
    found = written(tmp_path, rows)
    assert found["packets"].to_pylist() == [1, 3, 5, 7, 0, 2, 4, 6]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 5)),
        max_size=60,
    )
)
def test_inputs_stay_whole_and_no_row_is_lost(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int]]
) -> None:
    rows.sort(key=lambda row: row[0])
    found = written(tmp_path_factory.mktemp("rows"), rows)
    packets = found["packets"].to_numpy()
    assert sorted(packets.tolist()) == list(range(len(rows)))
    back = found.take(pa.array(np.argsort(packets)))
    assert back["hour"].cast(pa.int64()).to_pylist() == [
        h * HOUR_US for _, h, _ in rows
    ]
    inputs = found["input"].to_pylist()
    assert inputs == sorted(inputs)
    assert pc.count_distinct(found["input"]).as_py() == len({i for i, _, _ in rows})
