"""Hourly series in plain Python: what `fastflow/ff_series.h` does, slowly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Base:
    """What series are compared with."""

    on_air: Sequence[float]
    shared: Sequence[float]
    start: int
    clump: float
    least: float


def fill(
    rows: Sequence[tuple[int, int]],
    edges: Sequence[int],
    most: float,
    least_in_hour: float,
) -> list[float]:
    """Return a series by hour; rows are (hour, count)."""
    values = [0.0] * edges[-1]
    for hour, count in rows:
        values[hour] = float(count)
    stretches = [range(first, end) for first, end in pairwise(edges)]
    is_in = [any(hour in stretch for hour, _ in rows) for stretch in stretches]
    quiet = [
        values[hour]
        for stretch, is_there in zip(stretches, is_in, strict=True)
        if is_there
        for hour in stretch
        if values[hour] < least_in_hour
    ]
    usual = min(most, sum(quiet) / len(quiet)) if quiet else min(most, 0.0)
    for stretch, is_there in zip(stretches, is_in, strict=True):
        if not is_there:
            for hour in stretch:
                values[hour] = usual
    return values


def days_of(values: Sequence[float]) -> list[float]:
    return [
        math.fsum(values[first : first + 24]) for first in range(0, len(values), 24)
    ]


def levels(counts: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the level of each day: the middle half of 28 others."""
    seen, usual = days_of(counts), days_of(weights)
    found = []
    for day in range(len(seen)):
        first = max(0, day - 28)
        others = [n for n in range(first, len(seen)) if n != day][:28]
        rates = sorted(seen[n] / usual[n] for n in others if usual[n] >= 6)
        low = len(rates) // 4
        middle = rates[low : len(rates) - low]
        found.append(math.fsum(middle) / len(middle) if middle else 0.0)
    return found


def rhythm(counts: Sequence[float], usual: Sequence[float], start: int) -> list[float]:
    """Return a factor for each hour: of its hour of the day, and of its weekday."""
    factors = [1.0] * len(counts)
    for phase in (lambda hour: hour % 24, lambda hour: hour // 24 % 7):
        groups: dict[int, list[int]] = {}
        for hour in range(len(counts)):
            groups.setdefault(phase(start + hour), []).append(hour)
        for group in groups.values():
            seen = math.fsum(counts[hour] for hour in group)
            expected = math.fsum(usual[hour] * factors[hour] for hour in group)
            for hour in group:
                factors[hour] *= (seen + 200) / (expected + 200)
    return factors


def expect(counts: Sequence[float], base: Base) -> tuple[list[float], list[float]]:
    """Return what a series is expected to be, and its rhythm on the air."""
    hours = range(len(counts))
    weights = [base.on_air[hour] * base.shared[hour] for hour in hours]
    level = levels(counts, weights)
    usual = [level[hour // 24] * weights[hour] for hour in hours]
    clipped = [
        min(count, one + 4 * math.sqrt(base.clump * one) + base.clump)
        for count, one in zip(counts, usual, strict=True)
    ]
    factors = rhythm(clipped, usual, base.start)
    weights = [weights[hour] * factors[hour] for hour in hours]
    level = levels(counts, weights)
    values = [
        max(level[hour // 24] * weights[hour], base.least * base.on_air[hour])
        for hour in hours
    ]
    return values, weights


def may_rise(
    counts: Sequence[float],
    expected: Sequence[float],
    lengths: Sequence[int],
    least_factor: float,
    least: float,
) -> bool:
    """Whether the likelihood ratio of any stretch is above some."""
    seen, usual = running(counts), running(expected)
    for length in lengths:
        for start in range(len(counts) - length + 1):
            count = seen[start + length] - seen[start]
            mean = max(usual[start + length] - usual[start], 1e-9)
            if count < least_factor * mean:
                continue
            if count * math.log(count / mean) - (count - mean) > least:
                return True
    return False


def running(values: Sequence[float]) -> list[float]:
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    return sums
