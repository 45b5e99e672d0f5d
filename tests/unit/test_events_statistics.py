"""Rises and ramps of single series, against series whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, poisson

from fastflow._series import levels
from fastflow.analysis.coverage import Coverage
from fastflow.analysis.events.baseline import LENGTHS, Clock, Expected, expect
from fastflow.analysis.events.surges import likelihood, may_rise, refine, scan
from fastflow.analysis.events.trends import Ramp, fit, monotone

N_DAYS = 90
N_HOURS = 24 * N_DAYS


def clock(on_air: np.ndarray | None = None) -> Clock:
    on_air = np.ones(N_HOURS) if on_air is None else on_air
    return Clock(24 * 18_000, on_air, {"a": 1.0}, Coverage(0, N_HOURS, {}))


def poisson_series(seed: int, rate: float | np.ndarray = 20.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.poisson(np.broadcast_to(rate, N_HOURS)).astype(float)[None]


def expected(rate: float) -> Expected:
    return Expected(np.full((1, N_HOURS), rate), np.ones((1, len(LENGTHS))))


@given(
    mean=st.floats(0.1, 1000),
    factor=st.floats(1.3, 20),
)
def test_the_likelihood_bounds_the_chance(mean: float, factor: float) -> None:
    count = np.ceil(mean * factor)
    score = likelihood(np.array([count]), np.array([mean]))
    assert poisson.sf(count - 1, mean) <= np.exp(-score[0]) * (1 + 1e-9)


def test_what_is_expected_is_no_rise() -> None:
    counts = np.full((1, N_HOURS), 20.0)
    assert list(scan(counts, expected(20.0), 5.0)) == []
    assert list(scan(poisson_series(1), expected(20.0), 25.0)) == []


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    start=st.integers(100, N_HOURS - 100),
    length=st.integers(2, 72),
)
def test_a_burst_is_found_with_its_edges(seed: int, start: int, length: int) -> None:
    counts = poisson_series(seed)
    counts[0, start : start + length] += 100
    usual = expected(20.0)
    ((row, first, after, _),) = scan(counts, usual, 25.0)
    first, after, score = refine(
        counts[0], usual.values[0], usual.dispersion[0], first, after
    )
    assert (row, first, after) == (0, start, start + length)
    assert score > 25


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), height=st.integers(0, 60))
def test_what_has_a_rise_may_rise(seed: int, height: int) -> None:
    counts = np.concatenate([poisson_series(seed + n) for n in range(4)])
    counts[1:3, 200:206] += height
    usual = Expected(np.full(counts.shape, 20.0), np.ones((4, len(LENGTHS))))
    rises = may_rise(counts, usual.values, 25.0)
    assert np.flatnonzero(rises).tolist() == [one[0] for one in scan(counts, usual, 25)]


@pytest.mark.parametrize("n_days", [1, 2, 20, 28, 29, 30, 90])
def test_a_level_is_the_middle_of_other_days(n_days: int) -> None:
    # 28 days before each, or the first ones.
    rates = np.random.default_rng(n_days).integers(0, 99, n_days)
    found = levels(np.repeat(rates, 24).astype(float), np.ones(24 * n_days))
    for day in range(n_days):
        first = max(0, day - 28)
        others = [rates[n] for n in range(first, min(n_days, first + 29)) if n != day]
        low = len(others) // 4
        middle = sorted(others)[low : len(others) - low]
        assert found[day] == pytest.approx(np.mean(middle) if middle else 0.0)


def test_the_baseline_knows_hours_and_weekdays() -> None:
    hours = np.arange(N_HOURS)
    rate = 200 * (1 + 0.5 * np.sin(2 * np.pi * hours / 24))
    rate *= np.where(hours // 24 % 7 < 2, 0.5, 1.0)
    counts = poisson_series(2, rate)
    found = expect(counts, clock(), 1.0, np.ones(N_HOURS))
    assert np.abs(found.values[0] / rate - 1).mean() < 0.1
    assert list(scan(counts, found, 25.0)) == []


def test_a_burst_does_not_move_the_baseline() -> None:
    counts = poisson_series(3)
    usual = expect(counts, clock(), 1.0, np.ones(N_HOURS)).values
    counts[0, 1000:1048] += 1000
    moved = expect(counts, clock(), 1.0, np.ones(N_HOURS)).values
    assert np.abs(moved / usual - 1).max() < 0.5
    assert np.abs(moved / usual - 1).mean() < 0.05


def test_hours_with_little_on_the_air_are_scaled_or_left_out() -> None:
    on_air = np.ones(N_HOURS)
    on_air[500:600], on_air[900:1000] = 0.5, 0.1
    counts = poisson_series(4, 20 * on_air)
    known = clock(on_air)
    found = expect(counts * known.is_known, known, 1.0, np.ones(N_HOURS))
    assert found.values[0, 900:1000].max() == 0
    assert found.values[0, 500:600].mean() == pytest.approx(10, rel=0.15)


def test_the_dispersion_is_that_of_clumps() -> None:
    rng = np.random.default_rng(5)
    clumps = rng.poisson(10, N_HOURS)
    counts = 4.0 * clumps[None]
    found = expect(counts, clock(), 1.0, np.ones(N_HOURS)).dispersion
    assert found[0, 0] == pytest.approx(4.0, rel=0.25)


def days(seed: int, level: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.poisson(level).astype(float)


def ramp(first: int, last: int, low: float, high: float) -> np.ndarray:
    part = np.clip((np.arange(N_DAYS) - first) / (last - first), 0, 1)
    return low + (high - low) * part


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    first=st.integers(7, 40),  # the level before must have been seen
    length=st.integers(30, 49),
    rises=st.booleans(),
)
def test_a_ramp_is_found_with_its_ends(
    seed: int, first: int, length: int, rises: bool
) -> None:
    low, high = (100, 400) if rises else (400, 100)
    (found,) = fit(days(seed, ramp(first, first + length, low, high))[None], 1.0)
    assert found is not None
    assert abs(found[0] - first) <= 7
    assert abs(found[1] - first - length) <= 7
    assert found[2:4] == pytest.approx((low, high), rel=0.3)


def test_short_peaks_do_not_hide_a_ramp() -> None:
    values = days(6, ramp(20, 80, 100, 400))
    values[[30, 31, 50]] *= 3
    (found,) = fit(values[None], 1.0)
    assert found is not None
    assert abs(found[0] - 20) <= 7


@pytest.mark.parametrize("last", [21, 23])
def test_a_step_is_no_ramp(last: int) -> None:
    assert fit(days(7, ramp(20, last, 100, 400))[None], 1.0) == [None]


def test_a_level_course_is_no_ramp() -> None:
    assert fit(days(8, np.full(N_DAYS, 200.0))[None], 1.0) == [None]


def test_days_that_are_not_known_do_not_matter() -> None:
    values = days(9, ramp(20, 80, 100, 400))
    values[[5, 40, 41, 42, 89]] = np.nan
    (found,) = fit(values[None], 1.0)
    assert found is not None
    assert abs(found[0] - 20) <= 7


def whole_ramp(high: float) -> Ramp:
    """Return one from 0 at the first day to a level at the last."""
    return Ramp(0, "packets", 0, N_DAYS - 1, 0.0, high, fit=1.0, score=0.0)


def test_monotone_is_the_test_of_mann_and_kendall() -> None:
    """On independent days the correction for dependence does next to nothing."""
    rng = np.random.default_rng(10)
    values = rng.normal(np.linspace(0, 1.0, N_DAYS), 1.0)
    score = monotone(values, whole_ramp(1.0))
    chance = kendalltau(np.arange(N_DAYS), values).pvalue
    assert score == pytest.approx(-np.log(chance), rel=0.3)


def test_days_that_depend_on_the_day_before_count_less() -> None:
    rng = np.random.default_rng(11)
    noise = np.zeros(N_DAYS)
    for day in range(1, N_DAYS):
        noise[day] = 0.8 * noise[day - 1] + rng.normal()
    level = np.linspace(0, 2, N_DAYS)
    chance = kendalltau(np.arange(N_DAYS), level + noise).pvalue
    assert monotone(level + noise, whole_ramp(2.0)) < -np.log(chance)
