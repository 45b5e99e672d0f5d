"""Remarks on the tables: who has been high since when, who rises, who moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fastflow.names import proto_name
from fastflow.report.findings import Found, Phenomena
from fastflow.report.ranks import HARDLY, Ranked, Ranks

#: Columns beside the key that an event about it may have in its slice.
_BESIDE = {"tcp_window", "signature", "traffic"}


@dataclass(frozen=True)
class Level:
    """A port or region of a table that has been high since a day.

    Attributes
    ----------
    windows : list of int
        Only packets with these windows; none: all.
    """

    key: str
    since: str
    windows: list[int]


@dataclass(frozen=True)
class Slope:
    """A port or region of a table that rises or falls slowly; levels are daily."""

    key: str
    direction: str
    start: str
    end: str
    first_packets: float | None
    last_packets: float | None
    first_sources: float | None
    last_sources: float | None


@dataclass(frozen=True)
class Moves:
    """How ranks changed.

    Attributes
    ----------
    swapped : list of str
        The first two, if they changed places.
    stayed : bool
        All ranks are what they were.
    far : list of Ranked
        Who moved by more than one place, or was not among the first ten.
    """

    swapped: list[str]
    stayed: bool
    far: list[Ranked]


@dataclass(frozen=True)
class Remarks:
    """Remarks on a table; moves are None without a period before."""

    levels: list[Level] = field(default_factory=list)
    slopes: list[Slope] = field(default_factory=list)
    moves: Moves | None = None


def remarks(table: Ranks, found: Phenomena, has_previous: bool) -> Remarks:
    """Look at what is shown in a table."""
    levels: dict[str, Level] = {}
    slopes = []
    keys = [row.key for row in table.shown]
    for key, event in _of_keys(table.by, keys, found):
        if event.kind == "trend":
            slopes.append(_slope(key, event))
        elif event.stays and not event.is_over:
            levels[key] = _joined(levels.get(key), key, event)
    return Remarks(
        [levels[key] for key in keys if key in levels],
        sorted(slopes, key=lambda one: keys.index(one.key)),
        _moves(table.shown) if has_previous and table.shown else None,
    )


def _of_keys(by: str, keys: list[str], found: Phenomena) -> Iterator[tuple[str, Found]]:
    """Yield the events that are about one of the keys, and no narrower than that."""
    for event in (e for story in found.sections for e in story.events):
        columns = event.slice.keys() - _BESIDE
        key = _key(by, event.slice)
        wanted = {"proto", "dst_port"} if by == "port" else {"country"}
        if columns == wanted and key in keys:
            yield key, event


def _key(by: str, of: dict[str, Any]) -> str:
    if by == "country":
        return str(of.get("country"))
    return f"{of.get('dst_port')}/{proto_name(of.get('proto', 0))}"


def _slope(key: str, event: Found) -> Slope:
    return Slope(
        key,
        event.direction,
        event.start,
        event.days[-1],
        event.first_packets,
        event.last_packets,
        event.first_sources,
        event.last_sources,
    )


def _joined(known: Level | None, key: str, event: Found) -> Level:
    window = event.slice.get("tcp_window")
    windows = [] if window is None else [window]
    if known is None:
        return Level(key, event.start, windows)
    is_of_all = not (known.windows and windows)
    return Level(
        key,
        min(known.since, event.start),
        [] if is_of_all else sorted({*known.windows, *windows}),
    )


def _moves(shown: list[Ranked]) -> Moves:
    first_two = shown[:2]
    is_swapped = [row.previous_rank for row in first_two] == [2, 1]
    return Moves(
        [row.key for row in first_two] if is_swapped else [],
        all(row.moved == 0 for row in shown),
        [row for row in shown if row.moved is None or abs(row.moved) > HARDLY],
    )
