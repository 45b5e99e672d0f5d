"""What victims of attacks answered: packets, victims and attacks, day by day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastflow.analysis.distinct import distinct_sources
from fastflow.analysis.events.attacks import read_attacks
from fastflow.analysis.selection import Selection
from fastflow.report.steps import Counts, Course, Steps
from fastflow.store import attacks
from fastflow.zones import hour_number


@dataclass(frozen=True)
class BackscatterDay:
    """A day; victims are None where the store keeps no sources."""

    day: str
    packets: int
    victims: int | None
    attacks: int


@dataclass(frozen=True)
class Backscatter:
    """Backscatter of a period.

    Attributes
    ----------
    packets : int
        All of it.
    share : float or None
        Of all packets; None: there are none.
    victims : int or None
        Distinct addresses that it came from, or that ICMP errors quote as sent to.
    attacks, attacked : int
        Attacks by the definition, and how many addresses were under these.
    days : list of BackscatterDay
    course : Course
        The same packets, as a line; `victims` likewise.
    """

    packets: int
    share: float | None
    victims: int | None
    attacks: int
    attacked: int
    days: list[BackscatterDay]
    course: Course
    victims_course: Course | None


#: What makes an attack, for whoever prints the definition.
DEFINITION = {
    "packets": attacks.MIN_PACKETS,
    "seconds": attacks.MIN_SECONDS,
    "window_packets": attacks.MIN_WINDOW_PACKETS,
    "window_seconds": attacks.WINDOW_SECONDS,
    "slide_seconds": attacks.BIN_SECONDS,
    "silence_seconds": attacks.SILENCE_SECONDS,
}


def backscatter(selection: Selection, days: Steps, all_packets: int) -> Backscatter:
    """Count what was answered by victims on each day."""
    packets = _packets(selection, days)
    by_day, in_all = _victims(selection, days)
    begun, attacked = _attacks(selection, days)
    rows = [
        BackscatterDay(
            day[: len("2020-08-27")],
            int(n),
            None if by_day is None else int(by_day[nth]),
            int(begun[nth]),
        )
        for nth, (day, n) in enumerate(zip(days.times, packets, strict=True))
    ]
    of = {"traffic": "backscatter"}
    total = int(packets.sum())
    return Backscatter(
        packets=total,
        share=total / all_packets if all_packets else None,
        victims=in_all,
        attacks=int(begun.sum()),
        attacked=attacked,
        days=rows,
        course=days.course("packets", [("backscatter", of, packets)]),
        victims_course=None
        if by_day is None
        else days.course("sources", [("victims", of, by_day)]),
    )


def _packets(selection: Selection, days: Steps) -> Counts:
    conditions = selection.conditions(days.hours)
    found = selection.ask(
        f"select {days.number}::int as day, sum(packets)::bigint as n from counts "
        f"where {conditions} and traffic = 'backscatter' group by day",
        conditions.params,
    )
    packets = np.zeros(len(days), np.int64)
    packets[found["day"].to_numpy()] = found["n"].to_numpy()
    return packets


def _victims(selection: Selection, days: Steps) -> tuple[Counts | None, int | None]:
    """Return the victims of each day, and of all days."""
    if not selection.store.settings.sources:
        return None, None
    conditions = selection.conditions(days.hours)
    rows = f"backscatter where {conditions}"
    params = conditions.params
    by_day = distinct_sources(selection, days.number, len(days), rows, params)
    (in_all,) = distinct_sources(selection, "0", 1, rows, params).tolist()
    return by_day, in_all


def _attacks(selection: Selection, days: Steps) -> tuple[Counts, int]:
    """Return the attacks that began on each day, and the addresses under attack."""
    first, after = map(hour_number, days.hours)
    begun = np.zeros(len(days), np.int64)
    victims = set()
    starts = np.array([start.timestamp() for start in days.buckets.starts])
    for row in read_attacks(selection, first, after):
        day = int(np.searchsorted(starts, row["start"].timestamp(), "right")) - 1
        # One that began before the period is of its first day.
        begun[max(day, 0)] += 1
        victims.add((row["src"], row["ip_version"]))
    return begun, len(victims)
