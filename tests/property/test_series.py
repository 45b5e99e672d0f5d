"""Series in the core are what plain Python makes of them, hostile ones too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import reference_series as slow
from fastflow import _series

LENGTHS = (1, 2, 3, 6, 12, 24, 48, 72)

Floats = npt.NDArray[np.float64]

#: Shorter than a day, than what makes one, than a level's days; no whole days.
hours = st.one_of(
    st.sampled_from([1, 5, 6, 7, 23, 24, 25, 30, 48, 28 * 24, 29 * 24, 30 * 24 + 7]),
    st.integers(1, 24 * 35),
)
scales = st.sampled_from([0.0, 0.02, 1.0, 30.0, 1e4, 1e13])


@dataclass(frozen=True)
class Question:
    counts: Floats
    base: slow.Base

    def answer(self, counts: Floats) -> tuple[Floats, Floats]:
        values, weights = np.empty_like(counts), np.empty_like(counts)
        base = self.base
        _series.expect(
            counts, np.array(base.on_air), np.array(base.shared), base.start,
            base.clump, base.least, values, weights,
        )  # fmt: skip
        return values, weights


def network(rng: np.random.Generator, n_hours: int, kind: str) -> Floats:
    """Return what is on the air: all, nothing, or some of it, with hours unknown."""
    if kind == "gaps":
        some = rng.uniform(0.25, 1, n_hours)
        return np.where(rng.random(n_hours) < 0.3, 0.0, some)
    return np.full(n_hours, {"all": 1.0, "nothing": 0.0}[kind])


@st.composite
def questions(draw: st.DrawFn) -> Question:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_hours = draw(hours)
    on_air = network(rng, n_hours, draw(st.sampled_from(["all", "gaps", "nothing"])))
    flat = draw(st.booleans())
    shared = np.ones(n_hours) if flat else rng.uniform(0.3, 2, n_hours)
    rates = draw(st.lists(scales, min_size=1, max_size=3))
    counts = np.array([rng.poisson(rate * on_air * shared) for rate in rates], float)
    for at, height in draw(st.lists(st.tuples(hours, scales), max_size=3)):
        counts[:, at : at + 5] += height * on_air[at : at + 5]
    base = slow.Base(
        on_air.tolist(),
        shared.tolist(),
        draw(st.integers(0, 500_000)),
        draw(st.floats(1, 50)),
        draw(st.sampled_from([0.25, 0.0, 3.0])),
    )
    return Question(counts, base)


@settings(deadline=None)
@given(questions())
def test_what_is_expected(question: Question) -> None:
    found = question.answer(question.counts)
    for row, counts in enumerate(question.counts.tolist()):
        values, weights = slow.expect(counts, question.base)
        # What makes a day is a threshold: rounding decides which side of it one is on.
        assume(not np.isclose(slow.days_of(weights), 6, rtol=1e-9).any())
        np.testing.assert_allclose(found[0][row], values, rtol=1e-9)
        np.testing.assert_allclose(found[1][row], weights, rtol=1e-9)


@settings(deadline=None)
@given(questions(), st.floats(0, 60), st.sampled_from([1.25, 1.0, 2.0]))
def test_what_may_rise(question: Question, least: float, factor: float) -> None:
    counts = question.counts
    values, _ = question.answer(counts)
    found = np.empty(len(counts), np.uint8)
    _series.may_rise(counts, values, np.array(LENGTHS), factor, least, found)
    assert found.tolist() == [
        slow.may_rise(mine, usual, LENGTHS, factor, least)
        for mine, usual in zip(counts.tolist(), values.tolist(), strict=True)
    ]


@settings(deadline=None)
@given(questions())
def test_series_do_not_depend_on_each_other(question: Question) -> None:
    values, weights = question.answer(question.counts)
    rises = np.empty(len(values), np.uint8)
    lengths = np.array(LENGTHS)
    _series.may_rise(question.counts, values, lengths, 1.25, 5.0, rises)
    for row in range(len(values)):
        one = slice(row, row + 1)
        mine = question.counts[one].copy()
        alone = question.answer(mine)
        assert np.array_equal(alone[0], values[one])
        assert np.array_equal(alone[1], weights[one])
        rise = np.empty(1, np.uint8)
        _series.may_rise(mine, alone[0], lengths, 1.25, 5.0, rise)
        assert rise[0] == rises[row]


@settings(deadline=None)
@given(questions())
def test_a_level_and_a_rhythm_by_themselves(question: Question) -> None:
    counts, base = question.counts[0], question.base
    assume(not np.isclose(slow.days_of(base.on_air), 6, rtol=1e-9).any())
    found = _series.levels(counts, np.array(base.on_air))
    expected = slow.levels(counts.tolist(), base.on_air)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    usual = np.repeat(found, 24)[: len(counts)] * base.on_air
    np.testing.assert_allclose(
        _series.rhythm(counts, usual, base.start),
        slow.rhythm(counts.tolist(), usual.tolist(), base.start),
        rtol=1e-9,
    )


@st.composite
def stretched(
    draw: st.DrawFn,
) -> tuple[list[int], list[list[tuple[int, int]]], list[float], float]:
    """Return edges, series as rows, most of each where it was dropped, a busy hour."""
    cuts = draw(st.lists(st.integers(1, 200), min_size=1, max_size=6))
    edges = [0, *sorted(cuts)]
    counts = st.one_of(st.integers(1, 50), st.integers(1, 2**31 - 1))
    hour = st.integers(0, edges[-1] - 1)
    series = draw(st.lists(st.dictionaries(hour, counts, max_size=12), max_size=4))
    most = [draw(st.floats(0, 30)) for _ in series]
    rows = [sorted(one.items()) for one in series]
    return edges, rows, most, draw(st.floats(0, 60))


@settings(deadline=None)
@given(stretched(), st.randoms(use_true_random=False))
def test_series_are_drawn_through_stretches(pool, random) -> None:
    edges, series, most, least_in_hour = pool
    rows = [row for one in series for row in one]
    begins = np.cumsum([0, *(len(one) for one in series)])
    chosen = [random.randrange(len(series)) for _ in series]
    values = np.full((len(chosen), edges[-1]), np.nan)
    _series.fill(
        begins,
        np.array([hour for hour, _ in rows], np.int32),
        np.array([count for _, count in rows], np.int32),
        np.array(chosen, np.int64),
        np.array(edges),
        np.array(most, float),
        least_in_hour,
        values,
    )
    expected = [slow.fill(series[n], edges, most[n], least_in_hour) for n in chosen]
    assert values.tolist() == [pytest.approx(one, rel=1e-12) for one in expected]
