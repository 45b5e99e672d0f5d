"""The course of an event's own traffic: when else it was there, and how much it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastflow.analysis.events.baseline import Clock, Expected, Floats
from fastflow.analysis.events.event import DAYS_BETWEEN, STAYING_HOURS
from fastflow.analysis.events.slices import Slice, add_conditions
from fastflow.analysis.events.surges import refine, scan
from fastflow.analysis.selection import Selection
from fastflow.zones import hour_at

#: A further burst of a known event is one at a chance of one in three million.
LEAST_SCORE = 15.0
#: By how much hours may differ, by chance, from the first weeks of what stays.
_SETTLED_FACTOR = 1.1
#: Hours with less than this part of what is typical of a burst may be between two.
_LEAST_PART = 0.2
#: Bursts are one where no more hours than these are between them.
_HOURS_BETWEEN = 6


@dataclass(frozen=True)
class Course:
    """An event's traffic, hour by hour.

    Attributes
    ----------
    counts : mapping of measure to array
        From the store's first hour on, without what is of other events.
    known : mapping of measure to array
        What is of other events.
    expected : mapping of measure to float
        An hour, the whole network on the air.
    pieces : list of (int, int)
        Hours in which it was there, from the store's first one on.
    """

    counts: dict[str, Floats]
    known: dict[str, Floats]
    expected: dict[str, float]
    pieces: list[tuple[int, int]]

    def excess(self, clock: Clock) -> dict[str, Floats]:
        """Return what was there beyond what was expected, in the event's hours.

        Of one that stays, no more than at its beginning: what comes on top of that is
        another event.
        """
        inside = np.zeros(len(clock.on_air), np.bool_)
        for first, after in self.pieces:
            inside[first:after] = True
        found = {}
        for measure, counts in self.counts.items():
            rise = np.maximum(counts - self.expected[measure] * clock.on_air, 0.0)
            rise *= inside
            for first, after in self.pieces:
                settled = first + STAYING_HOURS
                if settled < after:
                    on_air = clock.on_air[first:after]
                    level = rise[first:settled].sum() / max(
                        clock.on_air[first:settled].sum(), 1e-9
                    )
                    rise[first:after] = np.minimum(
                        rise[first:after], _SETTLED_FACTOR * level * on_air
                    )
            found[measure] = rise
        return found


def read_counts(
    selection: Selection, clock: Clock, chosen: Slice, hours: tuple[int, int]
) -> dict[str, Floats]:
    """Return packets and sources of a slice, hour by hour; 0 outside of some hours."""
    needs_sources = any(
        name in chosen
        for name in ("source", "src_port", "tcp_seq", "ip_ttl", "network")
    )
    table = selection.table(needs_sources)
    first, after = (hour_at(clock.start + hour) for hour in hours)
    conditions = selection.conditions((first, after))
    add_conditions(conditions, chosen)
    sources = "count(*)" if table == "sources" else "sum(sources)"
    first_of, params = "", conditions.params
    if "source" in chosen:
        # Few rows are of one address: what else is asked for is read of these only.
        first_of = f"with few as materialized (from {table} where src = ?) "
        table, params = "few", [chosen["source"][0], *params]
    found = selection.ask(
        f"{first_of}select epoch_us(hour) // 3600000000 - {clock.start} as hour, "
        f"sum(packets)::double as packets, {sources}::double as sources "
        f"from {table} where {conditions} group by all order by 1",
        params,
        (first, after),
    )
    series = {}
    for measure in ("packets", "sources"):
        values = np.zeros(len(clock.on_air))
        values[found["hour"].to_numpy()] = found[measure].to_numpy()
        series[measure] = values * clock.is_known
    return series


def follow(
    counts: dict[str, Floats],
    known: dict[str, Floats],
    expected: dict[str, float],
    clock: Clock,
    found: tuple[int, int],
    usual: Expected,
    measure: str,
    least_strength: float,
) -> Course:
    """Return all bursts of the same traffic, each within a week of another.

    Parameters
    ----------
    found : (int, int)
        The hours of one.
    usual : Expected
        What the traffic is in an hour without them; one row.
    least_strength : float
        What others rise at least, relative to the one found.
    """
    left = counts[measure][None].copy()
    first, after = found
    values, dispersion = usual.values[0], usual.dispersion[0]
    strength = _strength(left[0], values, first, after)
    left[:, first:after] = 0
    pieces = [found]
    while (more := next(scan(left, usual, LEAST_SCORE), None)) is not None:
        start, end, _ = refine(left[0], values, dispersion, more[1], more[2])
        if _strength(left[0], values, start, end) >= least_strength * strength:
            pieces.append((start, end))
        left[:, start:end] = 0
    rise = np.maximum(counts[measure] - values, 0.0)
    bursts = [
        burst
        for piece in _connected(joined(pieces), found)
        for burst in _bursts(rise, *piece)
    ]
    return Course(counts, known, expected, bursts)


def _bursts(rise: Floats, first: int, after: int) -> list[tuple[int, int]]:
    """Return the parts of a piece without the hours in which next to nothing was."""
    part = rise[first:after]
    typical = (part @ part) / max(part.sum(), 1e-9)
    inside = first + np.flatnonzero(part >= _LEAST_PART * typical)
    if not len(inside):
        return [(first, after)]
    found = joined([(hour, hour + 1) for hour in inside.tolist()])
    # The edges were found with more care than the hours between them.
    found[0] = first, found[0][1]
    found[-1] = found[-1][0], after
    return found


def _strength(counts: Floats, usual: Floats, start: int, end: int) -> float:
    """Return the excess an hour, as most of the excess has it."""
    rise = np.maximum(counts[start:end] - usual[start:end], 0.0)
    return float((rise @ rise) / max(rise.sum(), 1e-9))


def joined(pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return pieces in order, those with next to nothing between them as one."""
    found: list[tuple[int, int]] = []
    for first, after in sorted(pieces):
        if found and first - found[-1][1] <= _HOURS_BETWEEN:
            found[-1] = found[-1][0], max(after, found[-1][1])
        else:
            found.append((first, after))
    return found


def _connected(
    pieces: list[tuple[int, int]], found: tuple[int, int]
) -> list[tuple[int, int]]:
    """Return the pieces that reach the one found by steps of no more than a week."""
    groups: list[list[tuple[int, int]]] = []
    for piece in pieces:
        if groups and piece[0] - groups[-1][-1][1] <= 24 * DAYS_BETWEEN:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return next(
        group
        for group in groups
        if group[0][0] <= found[0] and found[1] <= group[-1][1]
    )
