"""The native tally equals the slow counter; merging it is a law."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import builders as b
import reference
from fastflow.errors import FastflowError
from fastflow.reader import Reader, new_lexicon
from fastflow.sources.stream import open_stream
from fastflow.stages.spill import Memory
from fastflow.stages.tally import HourlyTally
from fastflow.tools import known_tools
from strategies import Capture, capture_parts, captures

Rows = list[dict[str, Any]]

RELAXED = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
MAPPED = np.frombuffer(bytes(10) + b"\xff\xff", np.uint8)
CELL = (
    "hour",
    "proto",
    "dst_port",
    "icmp_type",
    "country",
    "traffic",
    "signature",
    "tool",
)
TABLES = ("counts", "sources", "backscatter")


def code_of(address: bytes) -> str:
    """Put addresses into two countries by their last bit."""
    return "JP" if address[15] & 1 else "NZ"


class TwoCountries:
    """Stands in for a country table; agrees with `code_of`."""

    codes = ("", "JP", "NZ")

    def lookup(self, addresses: Any, versions: Any) -> Any:
        rows = np.frombuffer(addresses, np.uint8).reshape(-1, 16)
        versions = np.frombuffer(versions, np.uint8)
        codes = (2 - (rows[:, 15] & 1)).astype(np.uint16)
        codes[(rows[:, :12] == MAPPED).all(axis=1) & (versions == 6)] = 0
        return codes


def new_tally(**options: Any) -> HourlyTally:
    table: Any = TwoCountries()
    return HourlyTally(table, tools=known_tools().names, **options)


def tally_of(data: bytes, block_bytes: int = 1 << 16, **options: Any) -> HourlyTally:
    tally = new_tally(**options)
    add(tally, data, block_bytes)
    return tally


def add(tally: HourlyTally, data: bytes, block_bytes: int = 1 << 16) -> None:
    stream = open_stream(io.BytesIO(data))
    reader = Reader(stream, new_lexicon(), block_bytes=block_bytes)
    if reader.open() is None:
        tally.add(reader)


def tables_of(tally: HourlyTally) -> list[pa.Table]:
    rows = tally.rows("lab", "id")
    tables = [rows.table(name) for name in TABLES]
    for table in tables:
        table.validate(full=True)
    return tables


def same(left: HourlyTally, right: HourlyTally) -> bool:
    """Whether two tallies give the same rows in the same order, and dictionaries."""
    pairs = zip(tables_of(left), tables_of(right), strict=True)
    return all(bytes_of(ours) == bytes_of(theirs) for ours, theirs in pairs)


def bytes_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def plain(table: pa.Table) -> Rows:
    hours = table["hour"].cast(pa.int64())
    return table.set_column(0, "hour", hours).to_pylist()


def expected(data: bytes) -> list[Rows]:
    """What the reference counts, as rows of the store's columns, by `TABLES`."""
    result = reference.decode_capture(data)
    counts, sources, *_ = reference.tally(result, country=code_of)
    constant = {"sensor": "lab", "input": "id"}

    def row(key: tuple[Any, ...], value: dict[str, Any]) -> dict[str, Any]:
        cell = dict(zip((*CELL, "src", "ip_version"), key, strict=False))
        return {**cell, "hour": cell["hour"] // 1000, **constant, **value}

    echoes = reference.backscatter(result, country=code_of)
    return [
        [row(key, value) for key, value in counts.items()],
        [row(key, value) for key, value in sources.items()],
        [{**echo, "hour": echo["hour"] // 1000, **constant} for echo in echoes],
    ]


def unordered(rows: Rows) -> list[str]:
    return sorted(repr(sorted(row.items())) for row in rows)


@RELAXED
@given(captures(), st.integers(1, 400))
def test_tally_equals_the_reference(data: bytes, block_bytes: int) -> None:
    tables = tables_of(tally_of(data, block_bytes))
    for ours, theirs in zip(tables, expected(data), strict=True):
        assert unordered(plain(ours)) == unordered(theirs)


@RELAXED
@given(capture_parts(), st.data())
def test_merging_any_split_in_any_order_changes_nothing(
    capture: Capture, data: st.DataObject
) -> None:
    # Where a record's lengths mislead the reader, a later part begins afresh.
    prefixes = [reference.decode_capture(capture.data[:at]) for at in capture.offsets]
    assume([whole.records for whole in prefixes] == list(range(len(prefixes))))
    assume(all(whole.status == "complete" for whole in prefixes))
    parts = split(capture, data.draw(st.integers(0, 2)))
    parts = data.draw(st.permutations(parts))
    merged = new_tally()
    for part in parts:
        merged.merge(tally_of(part))
    assert same(merged, tally_of(capture.data))


@RELAXED
@given(captures(), captures(), captures())
def test_merge_is_associative_and_commutative(
    one: bytes, two: bytes, three: bytes
) -> None:
    left = tally_of(one)
    left.merge(tally_of(two))
    left.merge(tally_of(three))
    inner = tally_of(three)
    inner.merge(tally_of(two))
    right = new_tally()
    right.merge(inner)
    right.merge(tally_of(one))
    assert same(left, right)


def split(capture: Capture, n_cuts: int) -> list[bytes]:
    """Cut a capture between records into captures of their own."""
    ends = [*capture.offsets[1:], len(capture.data)]
    records = [capture.data[a:b] for a, b in zip(capture.offsets, ends, strict=False)]
    header = capture.data[:24]
    step = len(records) // (n_cuts + 1) + 1
    groups = [records[i : i + step] for i in range(0, len(records), step)]
    return [header + b"".join(group) for group in groups] or [header]


def many_cells(n_packets: int, n_hours: int) -> bytes:
    """A capture of more cells than the index begins with, its hours interleaved."""
    builder = b.PcapBuilder()
    for i in range(n_packets):
        source = (0x0B000000 + i * 7919 % 9973).to_bytes(4, "big")
        options = [b"", b.mss(), b.mss() + b.nop() + b.wscale(i % 5)][i % 3]
        segment = b.tcp(src_port=1024 + i % 3, dst_port=i % 50, options=options)
        frame = b.ethernet(b.ipv4(segment, src=source))
        hour = i * n_hours // n_packets if i % 11 else i % n_hours
        builder.add(frame, sec=1_600_000_000 + 3600 * hour)
    return builder.build()


def test_growing_tables_and_hours_out_of_order_change_nothing() -> None:
    data = many_cells(30_000, 5)
    counts, sources, _ = tables_of(tally_of(data))
    expected_counts, expected_sources, _ = expected(data)
    assert unordered(plain(counts)) == unordered(expected_counts)
    assert unordered(plain(sources)) == unordered(expected_sources)
    assert sources["packets"].to_numpy().sum() == 30_000


@pytest.mark.parametrize("max_cells", [0, 700, 1 << 20])
def test_small_arenas_and_spilled_runs_change_nothing(
    max_cells: int, tmp_path: Path
) -> None:
    data = many_cells(5_000, 4)
    memory = Memory(max_cells, tmp_path)
    small = tally_of(data, memory=memory, arena_cells=768)
    other = tally_of(b.PcapBuilder().build(), memory=memory)
    other.merge(small)
    assert same(other, tally_of(data))
    assert list(tmp_path.iterdir()) == [], "the file of spilled runs has a name"


@pytest.mark.parametrize("n_packets", [20, 200, 900, 5_000])
def test_memory_that_was_taken_is_given_back(n_packets: int) -> None:
    memory = Memory(1000)
    runs = tally_of(
        many_cells(n_packets, 4), memory=memory, arena_cells=768
    ).take_runs()
    assert not memory.take(1000), "the runs count"
    del runs
    assert memory.take(1000), "nothing is held any more"
    assert not memory.take(1), "more came back than was taken"


def test_a_tally_goes_on_after_its_arena_became_a_run() -> None:
    tally, all_of_it = new_tally(arena_cells=768), new_tally()
    for n_packets in (900, 20, 900):
        add(tally, many_cells(n_packets, 4))
        all_of_it.merge(tally)
    counts, _, _ = tables_of(all_of_it)
    assert counts["packets"].to_numpy().sum() == 1820


def test_rows_are_read_any_number_at_a_time() -> None:
    data = many_cells(2_000, 3)
    whole = tally_of(data).rows("lab", "id")
    rows = tally_of(data, arena_cells=900).rows("lab", "id")
    for grain in ("counts", "sources"):
        reader, pieces = rows.read(grain), []
        while not reader.is_at_end:
            pieces.append(reader.read(77))
            pieces[-1].validate(full=True)
        assert reader.read(77).num_rows == 0
        joined = pa.Table.from_batches(pieces).unify_dictionaries().combine_chunks()
        assert bytes_of(joined) == bytes_of(whole.table(grain).combine_chunks())


def test_a_disk_that_is_full_is_told(tmp_path: Path) -> None:
    missing = tmp_path / "gone"
    with pytest.raises(FastflowError, match=f"{missing}: cannot put cells aside"):
        tally_of(many_cells(2_000, 2), memory=Memory(0, missing), arena_cells=768)


def test_rows_are_sorted_by_the_cell() -> None:
    _, sources, _ = tables_of(tally_of(many_cells(3_000, 3)))
    keys = [
        (row["hour"], row["proto"], row["traffic"], row["dst_port"] or -1)
        for row in plain(sources)
    ]
    assert keys == sorted(keys)
