"""What the store has of each sensor, beside what sensors.toml says of it."""

from __future__ import annotations

from typing import Any

from fastflow.analysis.coverage import spans
from fastflow.analysis.selection import Selection
from fastflow.zones import hour_at, iso_local


def sensors(selection: Selection) -> list[dict[str, Any]]:
    """Return a row for each sensor of the selection, sorted by name.

    Returns
    -------
    list of dict
        `sensor`, `country`, `addresses` (the most it had in the period),
        `hours_on_air`, `hours_covered` (by inputs), `gap_hours` (on the air, and not
        covered), `packets`, `per_address_day` (packets per address and day on the air).
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
    coverage = selection.coverage
    if coverage is None:
        return []
    return [
        {
            "sensor": name,
            "from": iso_local(hour_at(first), selection.zone),
            "until": iso_local(hour_at(after), selection.zone),
            "hours": after - first,
        }
        for name, hours in coverage.sensors.items()
        for first, after in spans(hours.is_gap, coverage.start)
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
    hours = selection.coverage.sensors[name] if selection.coverage else None
    sensor = selection.network.sensors.get(name) if selection.network else None
    row: dict[str, Any] = {
        "sensor": name,
        "country": sensor and sensor.country,
        "addresses": None,
        "hours_on_air": None,
        "hours_covered": int(hours.is_covered.sum()) if hours else 0,
        "gap_hours": None,
        "packets": packets,
        "per_address_day": None,
    }
    if sensor and hours:
        days = hours.addresses.sum() / 24
        row |= {
            "addresses": int(hours.addresses.max()),
            "hours_on_air": int(hours.is_on_air.sum()),
            "gap_hours": int(hours.is_gap.sum()),
            "per_address_day": float(packets / days) if days else None,
        }
    return row
