"""The compiled decoder and the oracle agree, whatever the file, however it is cut."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders as b
import reference
from reference_tunnel import TUNNELS
from rows import FASTFLOW, ShortReads, assert_same, fastflow_scan, reference_scan
from strategies import Capture, capture_parts, captures, maybe, relaxed, stacks

pytestmark = FASTFLOW


@relaxed(500)
@given(captures())
def test_scan_equals_the_reference(data: bytes) -> None:
    assert_same(data)


decaps = st.just(TUNNELS) | st.lists(st.sampled_from(TUNNELS), unique=True)


@relaxed(1_000)
@given(
    st.sampled_from(b.LINKTYPES).flatmap(
        lambda linktype: st.tuples(
            st.just(linktype), st.lists(stacks(linktype), min_size=10, max_size=10)
        )
    ),
    decaps,
    maybe(st.integers(0, 8)),
)
def test_any_stack_of_layers_equals_the_reference(
    frames: tuple[int, list[bytes]], decap: list[str], cut: int | None
) -> None:
    """10,000 combinations of link headers, tags and tunnels, cut anywhere."""
    linktype, stacked = frames
    builder = b.PcapBuilder(linktype=linktype)
    for frame in stacked:
        builder.add(frame, wirelen=len(frame) + (cut or 0))
    assert_same(builder.build(), decap=decap)


@relaxed()
@given(captures(), decaps)
def test_a_scan_that_opens_tunnels_equals_the_reference(
    data: bytes, decap: list[str]
) -> None:
    assert_same(data, decap=decap)


@relaxed()
@given(captures(), st.integers(1, 5))
def test_batch_size_does_not_matter(data: bytes, batch_rows: int) -> None:
    assert_same(data, batch_rows=batch_rows)


@relaxed()
@given(captures(), st.integers(1, 300))
def test_block_size_does_not_matter(data: bytes, block_bytes: int) -> None:
    assert_same(data, block_bytes=block_bytes)


@relaxed()
@given(captures(), st.data())
def test_short_reads_do_not_matter(data: bytes, choices: st.DataObject) -> None:
    """A pipe hands out what it has, not what was asked for."""
    source = ShortReads(data, lambda: choices.draw(st.integers(1, 64)))
    assert fastflow_scan(source) == reference_scan(data)


@relaxed(15)
@given(capture_parts(max_records=3))
def test_every_split_in_two(capture: Capture) -> None:
    data = capture.data[:500]
    expected = reference_scan(data)
    for at in range(len(data) + 1):
        sizes = iter((at, len(data)) if at else (len(data),))
        source = ShortReads(data, lambda sizes=sizes: next(sizes, len(data)))
        assert fastflow_scan(source) == expected, f"split at {at}"


@relaxed(15)
@given(capture_parts(max_records=3))
def test_every_truncation_length(capture: Capture) -> None:
    for size in range(min(len(capture.data), 400) + 1):
        assert_same(capture.data[:size])


@relaxed(15)
@given(capture_parts(max_records=3))
def test_every_block_size(capture: Capture) -> None:
    for block_bytes in range(1, min(len(capture.data), 400) + 1):
        assert_same(capture.data, block_bytes=block_bytes)


@relaxed()
@given(
    captures(), st.lists(st.sampled_from(reference.COLUMNS), min_size=1, unique=True)
)
def test_any_columns_are_those_columns_of_a_full_scan(
    data: bytes, columns: list[str]
) -> None:
    full = fastflow_scan(io.BytesIO(data))
    some = fastflow_scan(io.BytesIO(data), columns=columns)
    assert some.rows == [{name: row[name] for name in columns} for row in full.rows]
    assert (some.status, some.reason, some.offset) == (
        full.status,
        full.reason,
        full.offset,
    )
    assert some.records == full.records
    # What it did not have to look at, it may not know: flags of deeper layers.
    assert some.flags.items() <= full.flags.items()


@relaxed()
@given(captures())
def test_a_second_scan_gives_the_same(data: bytes) -> None:
    assert fastflow_scan(io.BytesIO(data)) == fastflow_scan(io.BytesIO(data))


@relaxed(20)
@given(capture_parts(max_records=3))
def test_a_path_and_a_file_object_give_the_same(
    tmp_path_factory: pytest.TempPathFactory, capture: Capture
) -> None:
    path: Path = tmp_path_factory.mktemp("scan") / "a.pcap"
    path.write_bytes(capture.data)
    assert fastflow_scan(path) == fastflow_scan(io.BytesIO(capture.data))


@relaxed()
@given(captures())
def test_records_are_counted_or_have_a_reason(data: bytes) -> None:
    result = reference.decode_capture(data)
    counts, sources, uncounted, records, counted = reference.tally(result)
    assert records == fastflow_scan(io.BytesIO(data)).records
    assert records == counted + sum(uncounted.values())
    assert counted == sum(cell["packets"] for cell in counts.values())
    assert counted == sum(source["packets"] or 0 for source in sources.values())


def test_a_file_larger_than_a_block() -> None:
    """Enough packets for several batches and blocks of the default sizes."""
    builder = b.PcapBuilder()
    for number in range(70_000):
        port = number & 0xFFFF
        segment = b.tcp(dst_port=port, seq=number, options=b.mss(port))
        builder.add(b.ethernet(b.ipv4(segment)), sec=b.T0 + number // 100, frac=number)
    assert_same(builder.build())
