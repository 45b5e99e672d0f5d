"""Notable phenomena: events, those of one story put together."""

from __future__ import annotations

from fastflow.analysis.events.event import Event
from fastflow.analysis.events.find import find_events
from fastflow.analysis.events.pool import stored_hours
from fastflow.analysis.selection import Selection
from fastflow.report.findings import Phenomena
from fastflow.report.steps import Steps
from fastflow.report.stories import Holders, Story, lasts, to_found
from fastflow.zones import hour_number

#: So many events are looked at, and so many phenomena get sections of their own.
MOST_EVENTS = 40
MOST_SECTIONS = 10
#: Attacks on one address are counted by day, and only the largest told by themselves.
MOST_VICTIMS = 3
#: What stays, and began and ended within so many hours, may be one story.
SAME_START = 48
_BURSTS = ("fixed", "attack")


def phenomena(
    selection: Selection, days: Steps, min_packets: int, holders: Holders | None
) -> Phenomena:
    """Find events, and put together those of one story.

    Parameters
    ----------
    days : Steps
        Of the period.
    min_packets : int
        Sources with fewer packets on a day are not listed for it.
    holders : Holders or None
        Who is asked for organisations.
    """
    stories: list[list[Event]] = []
    for event in find_events(selection, MOST_EVENTS, MOST_VICTIMS):
        story = next((s for s in stories if _is_one_story(s, event)), None)
        if story is None:
            stories.append([event])
        else:
            story.append(event)
    told, more = stories[:MOST_SECTIONS], stories[MOST_SECTIONS:]
    last = _last_hour(selection, days)
    makers = [Story(selection, days, story, last) for story in told]
    ids = _unique([maker.id for maker in makers])
    return Phenomena(
        [
            maker.phenomenon(section_id, min_packets, holders)
            for section_id, maker in zip(ids, makers, strict=True)
        ],
        [to_found(selection, event, last) for story in more for event in story],
    )


def _last_hour(selection: Selection, days: Steps) -> int:
    """Return the first hour after the period, or after what is stored of it."""
    _, stored = stored_hours(selection) or (0, 0)
    return min(hour_number(days.hours[1]), stored)


def _is_one_story(story: list[Event], event: Event) -> bool:
    """Return whether an event is of the same country and days, or port and start."""
    other = story[0]
    if {event.kind, other.kind} <= set(_BURSTS):
        mine, theirs = (_hour_days(one) for one in (event, other))
        return (
            "country" in event.slice
            and event.slice["country"] == other.slice.get("country")
            and 2 * len(mine & theirs) > len(mine | theirs)
        )
    return (
        event.kind == other.kind == "surge"
        and lasts(event)
        and lasts(other)
        and "service" in event.slice
        and event.slice["service"] == other.slice.get("service")
        and event.slice.get("country") == other.slice.get("country")
        and abs(event.start - other.start) <= SAME_START
        and abs(event.end - other.end) <= SAME_START
    )


def _hour_days(event: Event) -> set[int]:
    return {h // 24 for first, after in event.pieces for h in range(first, after)}


def _unique(ids: list[str]) -> list[str]:
    """Return identifiers with a number behind those that are there already."""
    seen: dict[str, int] = {}
    found = []
    for one in ids:
        seen[one] = seen.get(one, 0) + 1
        found.append(one if seen[one] == 1 else f"{one}-{seen[one]}")
    return found
