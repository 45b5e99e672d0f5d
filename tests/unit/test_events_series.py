"""A pool's series by hour."""

from __future__ import annotations

import numpy as np
import pytest

from fastflow.analysis.events.series import Key, Pool

#: A slice of each table, and one that is there all the time.
KEYS = [
    Key((), ()),
    Key(("service",), ((6, 23, None),)),
    Key(("network",), (("192.0.2.0/24",),)),
]


def pool(least: dict[str, float]) -> Pool:
    hours = [*range(72), 0, 1, 30, 31]
    packets = [*[100] * 72, 40, 8, 60, 12]
    small = (np.array(column, np.int32) for column in (hours, packets, packets))
    stretches = [(0, 24), (24, 48), (48, 72)]
    begins = np.array([0, 72, 74, 76])
    return Pool(0, 72, KEYS, begins, *small, stretches, least)


def test_a_slice_is_drawn_through_days_in_which_it_was_dropped() -> None:
    found = pool({"counts": 30.0, "sources": 30.0, "hour": 50.0})
    total, port, network = found.dense("packets", np.arange(3))
    assert set(total) == {100}
    # What it had in an hour of days on which it was there: busy hours left out.
    assert port[:2].tolist() == [40, 8]
    assert set(port[2:24]) == {0}
    assert port[24:].tolist() == pytest.approx([48 / 24] * 48)
    assert network[48:].tolist() == pytest.approx([12 / 23] * 24)


def test_it_had_less_there_than_what_keeps_a_slice() -> None:
    found = pool({"counts": 0.5, "sources": 0.25, "hour": 50.0})
    values = found.dense("packets", np.array([2, 1]))
    assert set(values[0, 48:]) == {0.25}
    assert set(values[1, 24:]) == {0.5}
