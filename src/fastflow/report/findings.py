"""What is told of events: found, put together as phenomena, and whose they were."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastflow.knowledge import Reading
from fastflow.report.steps import Course


@dataclass(frozen=True)
class Found:
    """An event, with all that is told of it.

    Attributes
    ----------
    start, end : str
        First hour, and first hour after it, ISO 8601.
    stays : bool
        It was there for two weeks or more.
    is_over : bool
        It ended days before the period, or what is stored of it.
    direction : str
        rose or fell.
    per_hour, expected_per_hour : float
        Packets in its hours, and those that were expected.
    first_packets, last_packets, first_sources, last_sources : float or None
        Levels a day at both ends of a trend.
    slope : float or None
        Of sources a day, each day (Theil and Sen).
    peaks : list of (str, str)
        Short rises on top of a trend.
    others : str or None
        The dimension (window, country, service) whose other values stayed level.
    attacks, peak : int or None
        Of attacks: how many, and the most packets in a minute.
    """

    kind: str
    start: str
    end: str
    days: list[str]
    slice: dict[str, Any]
    fixed: dict[str, Any]
    packets: int
    sources: int | None
    baseline: float
    confidence: float
    stays: bool
    is_over: bool
    direction: str
    per_hour: float
    expected_per_hour: float
    first_packets: float | None = None
    last_packets: float | None = None
    first_sources: float | None = None
    last_sources: float | None = None
    slope: float | None = None
    peaks: list[tuple[str, str]] = field(default_factory=list)
    others: str | None = None
    attacks: int | None = None
    peak: int | None = None
    sources_by_day: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Holder:
    """An organisation, and how many of some addresses it holds; None: not known."""

    organisation: str | None
    sources: int


@dataclass(frozen=True)
class FrequentDay:
    """The sources of a day with at least so many packets that day."""

    day: str
    sources: int
    packets: int
    holders: list[Holder]


@dataclass(frozen=True)
class Phenomenon:
    """Events of one story.

    Attributes
    ----------
    id : str
        Made of what it is; names its section.
    common : dict
        The packet columns that its events have in common.
    packets, sources : Course or None
        How it went; sources is None where the store keeps none.
    frequent : list of FrequentDay or None
        None: it went on for too many days.
    readings : list of Reading
        What is publicly known of such traffic.
    """

    id: str
    common: dict[str, Any]
    events: list[Found]
    packets: Course
    sources: Course | None
    frequent: list[FrequentDay] | None
    readings: list[Reading]


@dataclass(frozen=True)
class Phenomena:
    """What is told in sections, and what else was found."""

    sections: list[Phenomenon]
    more: list[Found]
