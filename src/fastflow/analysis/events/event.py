"""An event, as it is found and as it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from fastflow.addresses import to_text
from fastflow.analysis.events.slices import Value, as_columns
from fastflow.zones import hour_at, iso_local

#: Days between two bursts of one event, at most.
DAYS_BETWEEN = 7
#: A burst of so many hours is a level that changed.
STAYING_HOURS = 14 * 24


@dataclass
class Event:
    """Something that changed in the traffic.

    Attributes
    ----------
    kind : str
        surge, trend, fixed, newcomer or attack.
    pieces : list of (int, int)
        The hours of its bursts, since 1970, the second exclusive, in order.
    slice, fixed : dict
        The traffic that explains it, and header fields that stay the same in it, by
        dimension.
    score : float
        Minus the logarithm of the chance that it is none, uncorrected.
    packets, sources : int or None
        Of the slice, in the hours of its pieces; sources are distinct addresses (None:
        the store keeps none).
    baseline : float
        Packets that were expected there.
    details : dict
        What the text tells besides.
    confidence : float
        One minus the false discovery rate at which it is one.
    """

    kind: str
    pieces: list[tuple[int, int]]
    slice: dict[str, Value]
    fixed: dict[str, Value]
    score: float
    packets: int = 0
    sources: int | None = None
    baseline: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)
    confidence: float = 1.0

    @property
    def start(self) -> int:
        """First hour."""
        return self.pieces[0][0]

    @property
    def end(self) -> int:
        """First hour after it."""
        return self.pieces[-1][1]

    @property
    def whole(self) -> dict[str, Value]:
        """The slice with the fixed fields as further conditions."""
        return {**self.slice, **self.fixed}

    def is_same_trend(self, other: Event) -> bool:
        """Whether both are slow changes of the same traffic at the same time."""
        return (
            (self.kind, other.kind) == ("trend", "trend")
            and self.slice == other.slice
            and self.start < other.end
            and other.start < self.end
        )

    def is_part_of(self, other: Event) -> bool:
        """Whether it is of narrower traffic in the same hours.

        On top of what stays there may be others.
        """
        return (
            other.whole.items() <= self.whole.items()
            and self.kind != "trend"
            and other.start < self.end
            and self.start < other.end
            and (other.kind == "trend" or not other.stays)
        )

    @property
    def is_of_one_victim(self) -> bool:
        """Whether it is attacks on one address, of which there may be very many."""
        return self.kind == "attack" and "source" in self.slice

    @property
    def stays(self) -> bool:
        """Whether a burst of it goes on for two weeks."""
        return any(after - first > STAYING_HOURS for first, after in self.pieces)

    def is_same(self, other: Event) -> bool:
        """Whether both are of the same traffic, no more than a week apart."""
        gap = max(self.start, other.start) - min(self.end, other.end)
        return (
            (self.kind, self.slice, self.fixed)
            == (other.kind, other.slice, other.fixed)
            and self.kind != "trend"
            and gap <= 24 * DAYS_BETWEEN
        )

    def days(self, zone: tzinfo) -> list[str]:
        """Return the days of its pieces."""
        found = {
            f"{hour_at(hour).astimezone(zone):%Y-%m-%d}"
            for first, after in self.pieces
            for hour in range(first, after)
        }
        return sorted(found)

    def to_row(
        self, zone: tzinfo, rank: int, text: str, evidence: list[str]
    ) -> dict[str, Any]:
        """Return the event as values for JSON."""
        named = as_columns(self.slice)
        version = named.pop("ip_version", 4)
        if "src" in named:
            named["src"] = to_text(named["src"], version)
        end = hour_at(self.end)
        return {
            "rank": rank,
            "kind": self.kind,
            "start": iso_local(hour_at(self.start), zone),
            "end": iso_local(end, zone),
            "days": self.days(zone),
            "slice": named,
            "fixed": as_columns(self.fixed),
            "packets": self.packets,
            "sources": self.sources,
            "baseline": round(self.baseline, 1),
            "confidence": round(self.confidence, 6),
            "text": text,
            "evidence": evidence,
        }
