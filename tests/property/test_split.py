"""However a capture is split, and however many threads work, the bytes are the same."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders as b
from in_parts import (
    assert_workers_do_not_matter,
    fake_chain,
    raw_header,
    scan_in_parts,
)
from rows import reference_scan
from strategies import Capture, capture_parts, captures, packets, relaxed, weighted


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("split") / "a.pcap"


part_sizes = st.integers(1, 400)


@relaxed(300)
@given(captures(20), part_sizes, st.integers(1, 300), st.integers(1, 20))
def test_neither_workers_nor_blocks_matter(
    path: Path, data: bytes, part_bytes: int, block_bytes: int, batch_rows: int
) -> None:
    path.write_bytes(data)
    found = assert_workers_do_not_matter(
        path, part_bytes, block_bytes=block_bytes, batch_rows=batch_rows
    )
    stream = scan_in_parts(io.BytesIO(data), part_bytes, batch_rows=batch_rows)
    assert stream.batches == found.batches


@relaxed(200)
@given(captures(20), part_sizes)
def test_parts_equal_the_reference(path: Path, data: bytes, part_bytes: int) -> None:
    path.write_bytes(data)
    stats = scan_in_parts(path, part_bytes, workers=3).stats
    expected = reference_scan(data)
    assert (stats.status, stats.reason, stats.offset, stats.records, stats.flags) == (
        expected.status,
        expected.reason,
        expected.offset,
        expected.records,
        expected.flags,
    )


@relaxed(10)
@given(capture_parts(max_records=5))
def test_every_part_size(path: Path, capture: Capture) -> None:
    path.write_bytes(capture.data)
    for part_bytes in range(1, min(len(capture.data), 300) + 2):
        assert_workers_do_not_matter(path, part_bytes)


#: What a guess may fall for, or stumble over.
traps = weighted(
    (3, packets()),
    (2, st.integers(8, 20).map(fake_chain)),
    (1, st.integers(0, 40).map(lambda n: b.capture(*[bytes(n)] * 12))),
    (1, st.integers(0, 400).map(bytes)),
    # A chain that leads out of its packet, anywhere.
    (1, st.integers(0, 400).map(lambda n: raw_header(b.T0, 0, n, n))),
)


@relaxed(200)
@given(
    st.lists(traps, max_size=20),
    st.none() | st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=8)),
    part_sizes,
)
def test_captures_within_captures_and_damage_anywhere(
    path: Path, frames: list[bytes], damage: tuple[int, bytes] | None, part_bytes: int
) -> None:
    data = b.capture(*frames)
    if damage is not None:
        at, new = damage
        data = data[:at] + new + data[at + len(new) :]
    path.write_bytes(data)
    found = assert_workers_do_not_matter(path, part_bytes)
    expected = reference_scan(path.read_bytes())
    assert (found.stats.records, found.stats.offset) == (
        expected.records,
        expected.offset,
    )
