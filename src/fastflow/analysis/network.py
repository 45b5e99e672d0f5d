"""What the store has of each sensor, beside what sensors.toml says of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastflow.analysis.coverage import spans
from fastflow.analysis.selection import Selection
from fastflow.analysis.sensors import EXAMPLE
from fastflow.zones import hour_at, iso_local

#: So many sensors, or times, are named in a line that tells of gaps.
_NAMED = 3


def sensors(selection: Selection) -> list[dict[str, Any]]:
    """Return a row for each sensor of the selection, sorted by name.

    Returns
    -------
    list of dict
        `sensor`, `country`, `addresses` (the most it had in the period),
        `hours_on_air`, `hours_covered` (see `coverage`), `gap_hours` (on the air, and
        not covered), `packets`, `per_address_day` (packets per address and day on the
        air).
        What only sensors.toml can tell is None where it does not.
    """
    packets = _packets(selection)
    return [
        _row(selection, name, packets.get(name, 0)) for name in selection.sensor_names
    ]


def gaps(selection: Selection) -> list[dict[str, Any]]:
    """Return the gaps of each sensor of the selection, sorted by name and time.

    Returns
    -------
    list of dict
        `sensor`, `from`, `until` (the first hour that is no gap, ISO 8601 in the
        selection's zone), `hours`.

    Raises
    ------
    ConfigError
        There is no sensors.toml.
    """
    selection.need_network("gaps need")
    return [gap for name in selection.sensor_names for gap in _gaps(selection, name)]


def remarks(selection: Selection) -> list[str]:
    """Return what has to be said beside an answer: gaps, and sensors not known."""
    if selection.network is None:
        return []
    missing = _missing(selection)
    return [*([missing] if missing else []), *strangers(selection)]


def strangers(selection: Selection) -> list[str]:
    """Return lines that tell of sensors of which only one side knows."""
    network = selection.network
    if network is None:
        return [
            "gaps, and rates per address, are not known: no "
            f"{selection.network_place}; make it with a line for each sensor: "
            f"{EXAMPLE}"
        ]
    selected, stored = set(selection.sensor_names), set(selection.stored_sensors)
    unknown = ", ".join(sorted(selected & stored - network.sensors.keys()))
    silent = ", ".join(sorted(selected & network.sensors.keys() - stored))
    lines = []
    if unknown:
        lines.append(f"{network.path}: does not name sensor {unknown} of the store")
    if silent:
        lines.append(f"{network.path}: the store has no input of sensor {silent}")
    return lines


def _missing(selection: Selection) -> str | None:
    """Return the line that tells of gaps; None: there are none."""
    sensors = selection.coverage.sensors
    missing = {name: hours for name, hours in sensors.items() if hours.is_gap.any()}
    if not missing:
        return None
    told = [
        f"{name} has no data for {hours.is_gap.sum():,} of "
        f"{hours.is_on_air.sum():,} hours"
        for name, hours in list(missing.items())[:_NAMED]
    ]
    if len(missing) == 1:
        found = _gaps(selection, *missing)
        times = [f"{gap['from']}..{gap['until']}" for gap in found]
        told[0] += f": {_listed(times, len(times))}"
    return f"sensor {_listed(told, len(missing))}; `fastflow sensors --gaps` lists them"


def _listed(texts: Sequence[str], n_all: int) -> str:
    more = n_all - _NAMED
    return ", ".join(texts[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _gaps(selection: Selection, name: str) -> list[dict[str, Any]]:
    coverage = selection.coverage
    return [
        {
            "sensor": name,
            "from": iso_local(hour_at(first), selection.zone),
            "until": iso_local(hour_at(after), selection.zone),
            "hours": after - first,
        }
        for first, after in spans(coverage.sensors[name].is_gap, coverage.start)
    ]


def _packets(selection: Selection) -> dict[str, int]:
    conditions = selection.conditions(selection.hours)
    found = selection.ask(
        f"select sensor, sum(packets) as packets from counts where {conditions} "
        "group by sensor",
        conditions.params,
    )
    return dict(zip(*(column.to_pylist() for column in found.columns), strict=True))


def _row(selection: Selection, name: str, packets: int) -> dict[str, Any]:
    hours = selection.coverage.sensors[name]
    sensor = selection.network.sensors.get(name) if selection.network else None
    row: dict[str, Any] = {
        "sensor": name,
        "country": sensor and sensor.country,
        "addresses": None,
        "hours_on_air": None,
        "hours_covered": int(hours.is_covered.sum()),
        "gap_hours": None,
        "packets": packets,
        "per_address_day": None,
    }
    if sensor:
        days = hours.addresses.sum() / 24
        row |= {
            "addresses": int(hours.addresses.max(initial=0)),
            "hours_on_air": int(hours.is_on_air.sum()),
            "gap_hours": int(hours.is_gap.sum()),
            "per_address_day": float(packets / days) if days else None,
        }
    return row
