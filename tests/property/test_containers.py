"""The compiled readers of pcapng, snoop and ERF agree with the oracle, however cut."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

import reference
import reference_containers
from container_strategies import files, parts
from fastflow.packets import read_stats
from rows import ShortReads, assert_same, fastflow_scan, reference_scan
from strategies import relaxed

#: Most of the time of a scan of few packets goes into memory for many.
FEW = {"batch_rows": 64}


@relaxed(200)
@given(files())
def test_scan_equals_the_reference(data: bytes) -> None:
    assert_same(data, **FEW)


@relaxed(80)
@given(files(), st.integers(1, 300), st.integers(1, 5))
def test_neither_block_nor_batch_size_matters(
    data: bytes, block_bytes: int, batch_rows: int
) -> None:
    assert_same(data, block_bytes=block_bytes, batch_rows=batch_rows)


@relaxed(50)
@given(files(), st.data())
def test_short_reads_do_not_matter(data: bytes, choices: st.DataObject) -> None:
    source = ShortReads(data, lambda: choices.draw(st.integers(1, 64)))
    assert fastflow_scan(source, **FEW) == reference_scan(data)


@relaxed(4)
@given(parts)
def test_every_split_in_two(whole: tuple[bytes, ...]) -> None:
    data = b"".join(whole)[:500]
    expected = reference_scan(data)
    for at in range(1, len(data) + 1):
        sizes = iter((at, len(data)))
        source = ShortReads(data, lambda sizes=sizes: next(sizes, len(data)))
        assert fastflow_scan(source, **FEW) == expected, f"split at {at}"


@relaxed(50)
@given(files())
def test_records_are_counted_or_have_a_reason(data: bytes) -> None:
    result = reference_containers.decode_capture(data)
    _, _, uncounted, records, counted = reference.tally(result)
    stats = read_stats(io.BytesIO(data))
    assert (stats.records, stats.counted) == (records, counted)
    assert stats.uncounted == uncounted
    assert records == counted + sum(uncounted.values())
    assert stats.offset is None or 0 <= stats.offset <= len(data)


@relaxed(50)
@given(parts)
def test_a_file_cut_between_records_keeps_them(whole: tuple[bytes, ...]) -> None:
    """What precedes a cut is as if nothing had followed."""
    full = reference_scan(b"".join(whole))
    for n in range(1, len(whole)):
        found = assert_same(b"".join(whole[:n]), **FEW)
        n_rows = len(found.rows)
        # The heuristic that knows ERF looks at what follows the first record.
        assert found.rows == full.rows[:n_rows] or full.reason == "unknown_magic"
