"""The sensors of a report: what they saw, when they were off, and how that changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastflow.analysis.distinct import distinct_sources
from fastflow.analysis.network import gaps, sensors
from fastflow.analysis.selection import Selection


@dataclass(frozen=True)
class Rate:
    """Packets, and what that is per sensor address and day on the air.

    Attributes
    ----------
    per_address_day : float or None
        None: sensors.toml does not say how many addresses there are.
    previous : float or None
        The same in the period before.
    change : float or None
        Relative: 0.1 is ten per cent more.
    """

    packets: int
    per_address_day: float | None
    previous: float | None
    change: float | None


@dataclass(frozen=True)
class SensorRow:
    """A sensor; what only sensors.toml can tell is None where it does not."""

    sensor: str
    country: str | None
    addresses: int | None
    hours_on_air: int | None
    hours_covered: int
    gap_hours: int | None
    rate: Rate


@dataclass(frozen=True)
class Gap:
    """Hours of a sensor that are missing: ISO 8601, the second exclusive."""

    sensor: str
    start: str
    until: str
    hours: int


@dataclass(frozen=True)
class Overview:
    """What was looked at, and how much it is.

    Attributes
    ----------
    addresses : int or None
        Of all sensors together, at their most.
    sources : int or None
        Distinct addresses; None: the store keeps none.
    others : Rate or None
        Of the sensors that serve comparison.
    n_others : int
        How many there are.
    """

    sensors: list[SensorRow]
    gaps: list[Gap]
    addresses: int | None
    rate: Rate
    previous_packets: int | None
    packets_change: float | None
    sources: int | None
    others: Rate | None
    n_others: int
    traffic: dict[str, int]


def overview(
    selection: Selection, earlier: Selection | None, others: Selection | None
) -> Overview:
    """Look at the sensors of a selection, and at them in the period before."""
    now, before = _Seen(selection), _Seen(earlier)
    theirs = earlier and others and earlier.of_sensors(others.sensor_names)
    rate = _rate(now, before)
    return Overview(
        sensors=[
            SensorRow(
                row["sensor"],
                row["country"],
                row["addresses"],
                row["hours_on_air"],
                row["hours_covered"],
                row["gap_hours"],
                _rate(now, before, row["sensor"]),
            )
            for row in now.rows
        ],
        gaps=_gaps(selection),
        addresses=_sum([row["addresses"] for row in now.rows]),
        rate=rate,
        previous_packets=before.packets() if earlier else None,
        packets_change=_change(rate.packets, before.packets() if earlier else None),
        sources=_n_sources(selection),
        others=_rate(_Seen(others), _Seen(theirs)) if others else None,
        n_others=len(others.sensor_names) if others else 0,
        traffic=_traffic(selection),
    )


class _Seen:
    """What sensors saw in a period; None: the store has nothing of it."""

    def __init__(self, selection: Selection | None) -> None:
        self._selection = selection
        self.rows = [] if selection is None else sensors(selection)

    def _of(self, sensor: str | None) -> list[dict[str, Any]]:
        return [row for row in self.rows if sensor in (None, row["sensor"])]

    def packets(self, sensor: str | None = None) -> int:
        """Return the packets of one sensor; None: of all."""
        return sum(row["packets"] for row in self._of(sensor))

    def per_address_day(self, sensor: str | None = None) -> float | None:
        """Return packets per address and day on the air; None: not known."""
        rows = self._of(sensor)
        if self._selection is None or any(row["addresses"] is None for row in rows):
            return None
        names = [row["sensor"] for row in rows]
        (days,) = self._selection.coverage.address_days(sensors=names).tolist()
        return self.packets(sensor) / days if days else None


def _rate(now: _Seen, before: _Seen, sensor: str | None = None) -> Rate:
    mine, theirs = now.per_address_day(sensor), before.per_address_day(sensor)
    return Rate(now.packets(sensor), mine, theirs, _change(mine, theirs))


def _change(now: float | None, before: float | None) -> float | None:
    return None if now is None or not before else now / before - 1


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if values and len(known) == len(values) else None


def _gaps(selection: Selection) -> list[Gap]:
    if selection.network is None:
        return []
    return [
        Gap(row["sensor"], row["from"], row["until"], row["hours"])
        for row in gaps(selection)
    ]


def _n_sources(selection: Selection) -> int | None:
    if not selection.store.settings.sources:
        return None
    conditions = selection.conditions(selection.period_hours)
    rows = f"sources where {conditions}"
    return int(distinct_sources(selection, "0", 1, rows, conditions.params)[0])


def _traffic(selection: Selection) -> dict[str, int]:
    conditions = selection.conditions(selection.period_hours)
    found = selection.ask(
        "select traffic, sum(packets)::bigint as n from counts "
        f"where {conditions} group by traffic order by traffic",
        conditions.params,
    )
    return {row["traffic"]: row["n"] for row in found.to_pylist()}
