"""Events of one story: their traffic over time, and its sources day by day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from fastflow.addresses import to_text
from fastflow.analysis.distinct import distinct_sources
from fastflow.analysis.events.event import STAYING_HOURS, Event
from fastflow.analysis.events.slices import (
    DIMENSIONS,
    Value,
    add_conditions,
    as_columns,
)
from fastflow.analysis.selection import Selection
from fastflow.analysis.where import Conditions, Hours
from fastflow.knowledge import Reading, readings
from fastflow.names import proto_name
from fastflow.report.findings import Found, FrequentDay, Holder, Phenomenon
from fastflow.report.steps import Counts, Course, Steps
from fastflow.zones import HOUR, hour_at, iso_local, start_of_day

#: Sources are listed by day where there are no more days than these.
MOST_DAYS = 10
#: Around a burst, so many days are shown before and after it.
_BEFORE, _AFTER = timedelta(days=1), timedelta(days=2)
#: What ended no more hours before the end may go on.
_HOURS_TO_END = 48
#: Only `sources` has these.
_OF_SOURCES = {name for name, one in DIMENSIONS.items() if one.of_sources}


class Holders(Protocol):
    """Who holds addresses: a table, or answers of registries."""

    @property
    def sources(self) -> list[str]:
        """Name and date of each that is asked."""
        ...

    def names(self, addresses: Sequence[str]) -> Mapping[str, str | None]:
        """Return the organisation that holds each address; None: not known."""
        ...


def lasts(event: Event) -> bool:
    """Return whether it was there for two weeks or more, all its bursts together."""
    return sum(after - first for first, after in event.pieces) >= STAYING_HOURS


class Story:
    """Events of one story, and the rows that they are of."""

    def __init__(
        self, selection: Selection, days: Steps, story: list[Event], last: int
    ) -> None:
        self._selection = selection
        self._last = last
        self._days = days
        self._story = story
        first = story[0]
        self.common = {
            name: value
            for name, value in first.slice.items()
            if all(one.slice.get(name) == value for one in story)
            and not (len(story) == 1 and name in ("window", "signature"))
        }
        self._needs_sources = any(one.whole.keys() & _OF_SOURCES for one in story)

    @property
    def id(self) -> str:
        """What it is, in lower case, digits and hyphens."""
        parts: dict[str, None] = {}
        for event in self._story:
            parts |= dict.fromkeys(_words(event.slice))
        return "-".join(parts) or "all-traffic"

    def phenomenon(
        self, section_id: str, min_packets: int, holders: Holders | None
    ) -> Phenomenon:
        """Return all that is told."""
        selection = self._selection
        steps = self._steps()
        packets, sources = self._courses(steps)
        known: dict[str, Reading] = {}
        for event in self._story:
            for reading in readings(as_columns(event.whole))[:1]:
                known[reading.text] = reading
        return Phenomenon(
            id=section_id,
            common=_named(self.common),
            events=[to_found(selection, event, self._last) for event in self._story],
            packets=packets,
            sources=sources,
            frequent=self._frequent(min_packets, holders),
            readings=list(known.values()),
        )

    @cached_property
    def _event_days(self) -> set[str]:
        return {day for one in self._story for day in one.days(self._selection.zone)}

    def _is_short(self) -> bool:
        return len(self._event_days) <= MOST_DAYS and not any(map(lasts, self._story))

    def _steps(self) -> Steps:
        """Return the days of the period; of what was short, hours around it."""
        if not self._is_short():
            return self._days
        hours = self._around()
        # Where days were added up, there is nothing finer.
        is_coarse = self._selection.days.are_cut([hours[0] + HOUR])
        return Steps(self._selection, "day" if is_coarse else "hour", hours)

    def _around(self) -> Hours:
        zone = self._selection.zone
        first = hour_at(min(one.start for one in self._story)).astimezone(zone)
        last = (hour_at(max(one.end for one in self._story)) - HOUR).astimezone(zone)
        return (
            start_of_day(first.date() - _BEFORE, zone),
            start_of_day(last.date() + _AFTER + timedelta(days=1), zone),
        )

    def _rows(self, hours: Hours, table: str) -> tuple[str, list[Any], int]:
        """Return rows with their line as `nth`: SQL, its values, the number of lines.

        Each event is a line; all else of what they have in common is another.
        """
        whens, params = [], []
        for nth, event in enumerate(self._story):
            mine = Conditions()
            add_conditions(mine, event.whole)
            whens.append(f"when {mine} then {nth}")
            params += mine.params
        around = self._selection.conditions(hours)
        add_conditions(around, self.common)
        columns = "hour, packets" + (", src, ip_version" if table == "sources" else "")
        sql = (
            f"(select {columns}, case {' '.join(whens)} else {len(whens)} end as nth "
            f"from {table} where {around}) as story where true"
        )
        return sql, [*params, *around.params], len(whens) + self._has_rest

    @property
    def _has_rest(self) -> bool:
        # What is not of anything in common is the rest of all traffic, and no line.
        return bool(self.common) and any(
            one.whole != self.common for one in self._story
        )

    def _courses(self, steps: Steps) -> tuple[Course, Course | None]:
        selection, hours = self._selection, steps.hours
        table = "sources" if self._needs_sources else "counts"
        rows, params, n_lines = self._rows(hours, table)
        sums = selection.ask(
            f"select {steps.number}::int as step, nth, sum(packets)::bigint as n "
            f"from {rows} group by all",
            params,
            hours,
        )
        counts = np.zeros((len(steps), len(self._story) + 1), np.int64)
        counts[sums["step"].to_numpy(), sums["nth"].to_numpy()] = sums["n"].to_numpy()
        packets = steps.course("packets", self._lines(counts, n_lines))
        if not selection.store.settings.sources:
            return packets, None
        rows, params, n_lines = self._rows(hours, "sources")
        cell = f"({steps.number} * {len(self._story) + 1} + nth)"
        found = distinct_sources(selection, cell, counts.size, rows, params)
        lines = self._lines(found.reshape(counts.shape), n_lines)
        return packets, steps.course("sources", lines)

    def _lines(
        self, counts: Counts, n_lines: int
    ) -> list[tuple[str, dict[str, Any], Counts]]:
        lines = []
        for nth, event in enumerate(self._story):
            own = {
                name: value
                for name, value in event.whole.items()
                if self.common.get(name) != value
            }
            key = "-".join(_words(own)) or "-".join(_words(event.slice)) or "all"
            lines.append((key, _named(own or event.slice), counts[:, nth]))
        if n_lines > len(self._story):
            names = sorted({name for _, of, _ in lines for name in of})
            lines.append(("rest", {"rest": names}, counts[:, -1]))
        return lines

    def _frequent(
        self, min_packets: int, holders: Holders | None
    ) -> list[FrequentDay] | None:
        selection = self._selection
        if not (self._is_short() and selection.store.settings.sources):
            return None
        steps = Steps(selection, "day", self._around())
        rows, params, _ = self._rows(steps.hours, "sources")
        found = selection.ask(
            f"select {steps.number}::int as day, src, ip_version, "
            f"sum(packets)::bigint as n from {rows} and nth < {len(self._story)} "
            "group by all having n >= ? order by day, src, ip_version",
            [*params, min_packets],
            steps.hours,
        )
        by_day: dict[str, dict[str, int]] = {}
        for row in found.to_pylist():
            day = steps.times[row["day"]][: len("2020-08-27")]
            if day in self._event_days:
                source = to_text(row["src"], row["ip_version"])
                by_day.setdefault(day, {})[source] = row["n"]
        asked = {source: None for sources in by_day.values() for source in sources}
        names = holders.names(list(asked)) if holders else {}
        return [
            FrequentDay(
                day,
                len(sources),
                sum(sources.values()),
                _holders(names.get(source) for source in sources) if holders else [],
            )
            for day, sources in by_day.items()
        ]


def _holders(organisations: Iterable[str | None]) -> list[Holder]:
    """Return how many addresses each holds, the most first, those not known last."""
    counts: dict[str | None, int] = {}
    for one in organisations:
        counts[one] = counts.get(one, 0) + 1
    order = sorted(counts.items(), key=lambda one: (one[0] is None, -one[1], one[0]))
    return [Holder(name, n) for name, n in order]


def to_found(selection: Selection, event: Event, last: int) -> Found:
    """Return what is told of an event.

    Parameters
    ----------
    last : int
        The first hour after the period, or after what is stored of it.
    """
    zone, details = selection.zone, event.details
    row = event.to_row(zone, 0, "", [])
    hours = max(1, details.get("hours", 1))
    ramp = details.get("ramp")
    return Found(
        kind=event.kind,
        start=row["start"],
        end=row["end"],
        days=row["days"],
        slice=_named(event.slice),
        fixed=row["fixed"],
        packets=event.packets,
        sources=event.sources,
        baseline=row["baseline"],
        confidence=row["confidence"],
        stays=lasts(event),
        is_over=event.end + _HOURS_TO_END < last,
        direction="fell" if ramp and ramp.high < ramp.low else "rose",
        per_hour=event.packets / hours,
        expected_per_hour=event.baseline / hours,
        first_packets=details.get("first_packets"),
        last_packets=details.get("last_packets"),
        first_sources=details.get("first_sources"),
        last_sources=details.get("last_sources"),
        slope=details.get("slope"),
        peaks=[
            (iso_local(hour_at(first), zone), iso_local(hour_at(after), zone))
            for first, after in sorted(details.get("peaks", []))
        ],
        others=details.get("others"),
        attacks=details.get("attacks"),
        peak=details.get("peak"),
        sources_by_day=details.get("sources_by_day", {}),
    )


def _named(chosen: Mapping[str, Value]) -> dict[str, Any]:
    """Return a slice as packet columns; whose address it is, is said to nobody."""
    named = as_columns(chosen)
    named.pop("ip_version", None)
    if named.pop("src", None) is not None:
        named["one_source"] = True
    return named


def _words(chosen: Mapping[str, Value]) -> list[str]:
    """Return what names a slice in an identifier."""
    words = []
    for name, value in chosen.items():
        match name:
            case "service":
                proto, port, icmp_type = value
                number = icmp_type if port is None else port
                words.append(f"{number}-{proto_name(proto)}")
            case "country" | "traffic" | "tool" | "sensor":
                words.append(_plain(str(value[0])))
            case "window" | "signature":
                words.append(f"window-{value[0]}")
            case "src_port" | "tcp_seq" | "ip_ttl":
                words.append(f"{name.replace('_', '-')}-{value[0]}")
            case "source":
                words.append("one-source")
            case _:
                words.append(name)
    return words


def _plain(text: str) -> str:
    """Return a name as lower case letters, digits and hyphens."""
    letters = [c if c.isascii() and c.isalnum() else "-" for c in text.lower()]
    return "".join(letters).strip("-") or "unnamed"
