"""The oracle's attacks: packets of one victim, taken one after the other.

Time goes in bins of ten seconds. A victim's packets are parted where 30 bins or more
are empty between two; of what is left together an attack is what has 25 packets or
more, a last bin that is at least six behind the first, and 30 packets or more in some
six bins that follow one another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

BIN_NS = 10 * 10**9


@dataclass(frozen=True, order=True)
class Attack:
    """Times in seconds since 1970."""

    victim: tuple[bytes, int]
    start: int
    end: int
    packets: int
    peak: int


def attacks(packets: Iterable[tuple[bytes, int, int]]) -> list[Attack]:
    """Return the attacks that packets (victim, IP version, time in ns) tell."""
    bins: dict[tuple[bytes, int], Counter[int]] = {}
    for victim, version, ts in packets:
        bins.setdefault((victim, version), Counter())[ts // BIN_NS] += 1
    found = []
    for victim, counts in bins.items():
        for part in _parts(sorted(counts)):
            total = sum(counts[n] for n in part)
            first, last = part[0], part[-1]
            peak = max(
                sum(counts[n] for n in range(begin, begin + 6))
                for begin in range(first, last + 1)
            )
            if total >= 25 and last - first >= 6 and peak >= 30:
                start, end = first * 10, (last + 1) * 10
                found.append(Attack(victim, start, end, total, peak))
    return sorted(found)


def _parts(bins: list[int]) -> list[list[int]]:
    parts = [[bins[0]]]
    for n in bins[1:]:
        if n - parts[-1][-1] - 1 >= 30:
            parts.append([])
        parts[-1].append(n)
    return parts
