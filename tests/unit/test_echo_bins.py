"""Bins of victims' hours, out of the cells that the core counted them in."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastflow._rollup import echo_bins

SKETCH_BYTES = 24

#: Slot, bits of a sketch, packets.
Cell = tuple[int, int, int]

cells_of_row = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 1), st.integers(0, 2**180 - 1), st.just(0)),
        st.tuples(st.integers(2, 361), st.just(0), st.integers(1, 2**40)),
        st.tuples(st.integers(65536, 131071), st.just(0), st.just(1)),
    ),
    max_size=6,
)


def slow_bins(cells: list[Cell], first_bin: int) -> dict[int, int]:
    bins: Counter[int] = Counter()
    for slot, sketch, packets in cells:
        if slot < 2:
            drawn = (bit for bit in range(180) if sketch >> bit & 1)
            bins.update(first_bin + 180 * slot + bit for bit in drawn)
        elif slot < 65536:
            bins[first_bin + slot - 2] += packets
    return dict(sorted(bins.items()))


def columns(
    rows: list[list[Cell]],
) -> tuple[npt.NDArray[np.int32], bytes, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    cells = [cell for row in rows for cell in row]
    starts = np.cumsum([0, *(len(row) for row in rows[:-1])], dtype=np.int64)
    return (
        np.array([slot for slot, _, _ in cells], np.int32),
        b"".join(sketch.to_bytes(SKETCH_BYTES, "little") for _, sketch, _ in cells),
        np.array([packets for _, _, packets in cells], np.int64),
        starts[: len(rows)],
    )


@settings(deadline=None)
@given(st.lists(st.tuples(cells_of_row, st.integers(0, 2**30)), max_size=5))
def test_bins_add_up(rows: list[tuple[list[Cell], int]]) -> None:
    slots, sketches, packets, starts = columns([cells for cells, _ in rows])
    firsts = np.array([first for _, first in rows], np.int32)
    offsets = np.empty(len(rows) + 1, np.int32)
    found = echo_bins(
        slots.data, sketches, packets.data, starts.data, firsts.data, offsets.data
    )
    bins, sums = np.frombuffer(found[0], np.int32), np.frombuffer(found[1], np.int64)
    for row, (cells, first) in enumerate(rows):
        own = slice(offsets[row], offsets[row + 1])
        pairs = zip(bins[own].tolist(), sums[own].tolist(), strict=True)
        assert list(pairs) == list(slow_bins(cells, first).items())


def ask(
    slots: list[int], starts: list[int], n_sketch_bytes: int, n_offsets: int
) -> None:
    echo_bins(
        np.array(slots, np.int32).data,
        bytes(n_sketch_bytes),
        np.ones(len(slots), np.int64).data,
        np.array(starts, np.int64).data,
        np.zeros(len(starts), np.int32).data,
        np.empty(n_offsets, np.int32).data,
    )


@pytest.mark.parametrize(
    ("slots", "starts", "n_sketch_bytes", "n_offsets", "message"),
    [
        ([2, 3], [0, 1], 24, 3, "differ in length"),
        ([2, 3], [0, 1], 48, 2, "differ in length"),
        ([2, 3], [0, 3], 48, 3, "not in order"),
        ([2, 3], [1, 0], 48, 3, "not in order"),
        ([2, 3], [-1, 1], 48, 3, "not in order"),
    ],
)
def test_columns_that_do_not_fit_are_refused(
    slots: list[int],
    starts: list[int],
    n_sketch_bytes: int,
    n_offsets: int,
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        ask(slots, starts, n_sketch_bytes, n_offsets)


def test_slots_that_no_cell_has_are_no_bins() -> None:
    slots, sketches, packets, starts = columns([[(400, 0, 7), (361, 0, 1)]])
    offsets = np.empty(2, np.int32)
    first = np.zeros(1, np.int32)
    bins, _ = echo_bins(
        slots.data, sketches, packets.data, starts.data, first.data, offsets.data
    )
    assert offsets.tolist() == [0, 1]
    assert np.frombuffer(bins, np.int32)[0] == 359
