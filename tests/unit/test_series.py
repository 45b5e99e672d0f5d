"""Series in the core: what does not fit is refused, nothing is no mistake."""

from __future__ import annotations

import numpy as np
import pytest

from fastflow import _series

N_HOURS = 48


def fill(**changed: object) -> np.ndarray:
    """Fill two series of three rows."""
    values = np.full((2, N_HOURS), np.nan)
    known = {
        "begins": np.array([0, 2, 3]),
        "hours": np.array([0, 30, 5], np.int32),
        "counts": np.array([7, 9, 4], np.int32),
        "chosen": np.array([0, 1]),
        "edges": np.array([0, 24, N_HOURS]),
        "most": np.array([1.0, 0.125]),
        "least_in_hour": 50.0,
        "values": values,
    }
    _series.fill(*(known | changed).values())
    return values


def test_a_series_is_drawn_through_days_without_it() -> None:
    values = fill()
    assert values[0, [0, 30]].tolist() == [7, 9]
    assert values[0].sum() == 16
    assert values[1, 5] == 4
    assert values[1, :24].sum() == 4
    assert set(values[1, 24:]) == {0.125}  # no more than that: the mean is 4 / 24


@pytest.mark.parametrize(
    "changed",
    [
        {"hours": np.array([0, N_HOURS, 5], np.int32)},
        {"hours": np.array([0, -1, 5], np.int32)},
        {"hours": np.array([0, 30], np.int32)},
        {"counts": np.array([7, 9], np.int32)},
        {"begins": np.array([0, 2])},
        {"begins": np.array([0, 2, 4])},
        {"begins": np.array([0, 2, 1])},
        {"begins": np.array([-1, 2, 3])},
        {"chosen": np.array([0, 2])},
        {"chosen": np.array([0, -1])},
        {"chosen": np.array([0])},
        {"edges": np.array([0, 24])},
        {"edges": np.array([1, 24, N_HOURS])},
        {"edges": np.array([0, 50, 24, N_HOURS])},
        {"edges": np.array([N_HOURS])},
        {"edges": np.array([], np.int64)},
    ],
)
def test_rows_that_lie_outside_are_refused(changed: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"."):
        fill(**changed)


def test_hours_that_do_not_ascend_stay_inside() -> None:
    assert np.isfinite(fill(hours=np.array([30, 0, 5], np.int32))).all()


def expect(counts: np.ndarray, n_hours: int, n_values: int) -> None:
    values = np.empty((len(counts), n_values))
    ones = np.ones(n_hours)
    _series.expect(counts, ones, ones, 0, 1.0, 0.25, values, np.empty_like(counts))


def test_arrays_of_different_lengths_are_refused() -> None:
    counts = np.ones((2, N_HOURS))
    expect(counts, N_HOURS, N_HOURS)
    with pytest.raises(ValueError, match="hours differ"):
        expect(counts, N_HOURS + 1, N_HOURS)
    with pytest.raises(ValueError, match="in length"):
        expect(counts, N_HOURS, N_HOURS - 1)
    with pytest.raises(ValueError, match="in length"):
        _series.levels(counts[0], np.ones(3))
    with pytest.raises(ValueError, match="in length"):
        _series.rhythm(counts[0], np.ones(3), 0)


def may_rise(lengths: list[int], n_series: int = 2, n_hours: int = N_HOURS) -> list:
    counts, expected = np.full((2, N_HOURS), 100.0), np.ones((2, n_hours))
    found = np.full(n_series, 7, np.uint8)
    _series.may_rise(counts, expected, np.array(lengths, np.int64), 1.25, 5.0, found)
    return found.tolist()


def test_a_stretch_has_an_hour_at_least() -> None:
    assert may_rise([1]) == [1, 1]
    assert may_rise([N_HOURS + 1]) == [0, 0]
    assert may_rise([]) == [0, 0]
    with pytest.raises(ValueError, match="an hour"):
        may_rise([1, 0])
    with pytest.raises(ValueError, match="each series"):
        may_rise([1], n_series=3)
    with pytest.raises(ValueError, match="in length"):
        may_rise([1], n_hours=3)


def test_no_series_and_no_hours_are_no_mistake() -> None:
    expect(np.empty((0, N_HOURS)), N_HOURS, N_HOURS)
    expect(np.empty((2, 0)), 0, 0)
    assert _series.levels(np.empty(0), np.empty(0)).tolist() == []
    assert _series.rhythm(np.empty(0), np.empty(0), 0).tolist() == []
    fill(chosen=np.empty(0, np.int64), values=np.empty((0, N_HOURS)))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0])
def test_numbers_that_are_no_counts_do_no_harm(wrong: float) -> None:
    counts = np.ones((1, 24 * 40))
    counts[0, ::7] = wrong
    values, weights = np.empty_like(counts), np.empty_like(counts)
    ones = np.ones(24 * 40)
    _series.expect(counts, ones, ones, 0, 1.0, 0.25, values, weights)
    _series.may_rise(counts, values, np.array([1]), 1.25, 5.0, np.empty(1, np.uint8))
