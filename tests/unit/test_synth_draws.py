"""Drawn numbers against plain Python; quotas against what they promise."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow.synth.draws import (
    bell,
    below,
    draw,
    fraction,
    quotas,
    spread,
)

MASK = (1 << 64) - 1
WEIGHTS = st.lists(st.integers(0, 1 << 20), min_size=1, max_size=60).filter(any)
TOTALS = st.integers(0, 1 << 22)
BITS = st.integers(0, MASK)


def slow_draw(seed: int, *keys: int) -> int:
    """SplitMix64's finalizer on integers without bounds."""
    bits = seed
    for key in keys:
        bits = ((bits ^ (key & MASK)) + 0x9E3779B97F4A7C15) & MASK
        bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 & MASK
        bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB & MASK
        bits ^= bits >> 31
    return bits


@given(BITS, st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, 1000))
def test_bits_are_those_of_plain_integers(seed: int, key: int, other: int) -> None:
    drawn = draw(seed, np.array([key, 0]), other)
    assert drawn.tolist() == [slow_draw(seed, one, other) for one in (key, 0)]


def test_the_generator_is_the_published_one() -> None:
    """The first numbers of SplitMix64 from state 0, as Java's SplittableRandom."""
    states = (np.arange(3).astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    assert [hex(one) for one in draw(0, states).tolist()] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]


@given(BITS, st.integers(1, 1 << 32))
def test_numbers_below_a_limit(bits: int, limit: int) -> None:
    found = below(np.array([bits], np.uint64), limit)
    assert found.tolist() == [(bits >> 32) * limit >> 32]


def test_drawn_numbers_are_spread_as_they_should() -> None:
    bits = draw(1, np.arange(100_000))
    assert abs(fraction(bits).mean() - 0.5) < 0.005
    assert 0 <= fraction(bits).min() < fraction(bits).max() < 1
    assert abs(bell(bits).mean()) < 0.01
    assert abs(bell(bits).var() - 1) < 0.02
    assert np.abs(bell(bits)).max() < 3.5


@given(TOTALS, WEIGHTS)
def test_quotas_add_up_and_largest_remainders_come_first(
    total: int, weights: list[int]
) -> None:
    shares = quotas(total, weights).tolist()
    exact = [Fraction(total * weight, sum(weights)) for weight in weights]
    assert sum(shares) == total
    extra = [share - int(one) for share, one in zip(shares, exact, strict=True)]
    assert set(extra) <= {0, 1}
    got = [one % 1 for one, more in zip(exact, extra, strict=True) if more]
    others = [one % 1 for one, more in zip(exact, extra, strict=True) if not more]
    assert min(got, default=Fraction(1)) >= max(others, default=Fraction(0))


@given(TOTALS, WEIGHTS, BITS, st.data())
def test_every_run_of_a_spread_has_its_share(
    total: int, weights: list[int], bits: int, data: st.DataObject
) -> None:
    shares = spread(total, weights, bits).tolist()
    begin = data.draw(st.integers(0, len(weights)))
    end = data.draw(st.integers(begin, len(weights)))
    exact = Fraction(total * sum(weights[begin:end]), sum(weights))
    assert sum(shares) == total
    assert min(shares) >= 0
    assert abs(sum(shares[begin:end]) - exact) < 1


def test_a_spread_is_right_on_average() -> None:
    weights = [1, 2, 7, 10]
    shares = [spread(3, weights, bits) for bits in draw(0, np.arange(4000)).tolist()]
    assert np.mean(shares, axis=0) == pytest.approx([0.15, 0.3, 1.05, 1.5], abs=0.03)
