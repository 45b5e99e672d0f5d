"""What a scenario holds, counted from its cells while they are made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from fastflow.synth.addresses import Station
from fastflow.synth.background import DayCells
from fastflow.synth.cells import TCP, UDP, Cells, Style, ip_lengths
from fastflow.synth.course import FIRST_HOUR, N_DAYS, SECOND_QUARTER, day_at
from fastflow.synth.phenomena import Phenomenon

#: Of the report.
HOME = "JP"
RANKS = 10
#: Zones whose days make up the quarters, and how many hours they are ahead of UTC.
ZONES = {"UTC": 0, "Asia/Tokyo": 9}
PERIODS = ("2020-Q2", "2020-Q3")
#: A source that is seen so often on a day is one that the report counts.
OFTEN = 25

_PORTS = 1 << 16
_PROTOS = {TCP: "tcp", UDP: "udp"}

_Mask = npt.NDArray[np.bool_]


class Truth:
    """Counts of a scenario's cells, day by day.

    Parameters
    ----------
    stations : sequence of Station
    styles : sequence of Style
    countries : sequence of str
        What the cells' countries are indices into.
    phenomena : sequence of Phenomenon
    often_from : str
        Country whose sources that are seen often are counted.
    """

    def __init__(
        self,
        stations: Sequence[Station],
        styles: Sequence[Style],
        countries: Sequence[str],
        phenomena: Sequence[Phenomenon],
        often_from: str,
    ) -> None:
        self._stations = stations
        self._styles = styles
        self._windows = np.array([style.window for style in styles] + [-1])
        self._countries = list(countries)
        self._often_from = often_from
        self._is_home = np.array([one.country == HOME for one in stations])
        shape = (len(ZONES), len(PERIODS), 2)
        self._ports = np.zeros((*shape, len(_PROTOS) * _PORTS), np.int64)
        self._origins = np.zeros((*shape, len(countries)), np.int64)
        self._packets = np.zeros(shape, np.int64)
        self._of_station = np.zeros(len(stations), np.int64)
        self._bytes = 0
        self._often: dict[str, int] = {}
        self._phenomena = phenomena
        self._daily: list[dict[str, list[int]]] = [{} for _ in phenomena]

    def add(self, day: int, made: DayCells) -> None:
        """Count the cells of a day."""
        cells = made.cells
        packets = cells["packets"].astype(np.int64)
        self._bytes += int((packets * ip_lengths(cells, self._styles)).sum())
        self._of_station += _sums(cells["sensor"], packets, len(self._stations))
        self._rank(made, packets)
        name = day_at(day).isoformat()
        for daily, phenomenon in zip(self._daily, self._phenomena, strict=True):
            mine = self._matches(made, {**phenomenon.slice, **phenomenon.fixed})
            if mine.any():
                daily[name] = [int(packets[mine].sum()), _distinct(cells[mine])]
        mine = self._matches(made, {"country": self._often_from})
        _, numbers = np.unique(cells["src"][mine], return_inverse=True)
        often = int((_sums(numbers, packets[mine]) >= OFTEN).sum())
        if often:
            self._often[name] = often

    def _rank(self, made: DayCells, packets: npt.NDArray[np.int64]) -> None:
        cells = made.cells
        ports = np.full(len(cells), -1)
        for number, proto in enumerate(_PROTOS):
            mine = cells["proto"] == proto
            ports[mine] = number * _PORTS + cells["dst_port"][mine].astype(np.int64)
        hours = cells["hour"] - FIRST_HOUR
        at_home = self._is_home[cells["sensor"]]
        for zone, ahead in enumerate(ZONES.values()):
            local = (hours + ahead) // 24
            periods = (local >= SECOND_QUARTER) * 1 + (local >= N_DAYS)
            for period in range(len(PERIODS)):
                for home in (0, 1):
                    mine = (periods == period) & (at_home | (home == 0))
                    place = (zone, period, home)
                    self._packets[place] += packets[mine].sum()
                    self._origins[place] += _sums(
                        made.countries[mine], packets[mine], len(self._countries)
                    )
                    mine &= ports >= 0
                    self._ports[place] += _sums(
                        ports[mine], packets[mine], self._ports.shape[-1]
                    )

    def _matches(self, made: DayCells, values: Mapping[str, str | int]) -> _Mask:
        """Return which cells have all of these values in their packets' columns."""
        found = np.ones(len(made.cells), np.bool_)
        for column, value in values.items():
            match column:
                case "country":
                    found &= made.countries == self._countries.index(str(value))
                case "sensor":
                    names = [station.name for station in self._stations]
                    found &= made.cells["sensor"] == names.index(str(value))
                case "tcp_window":
                    found &= self._windows[made.cells["style"]] == value
                case _:
                    found &= made.cells[column] == value
        return found

    def document(self) -> dict[str, Any]:
        """Return what was counted, as `truth.json` has it."""
        return {
            "packets": int(self._of_station.sum()),
            "ip_bytes": self._bytes,
            "sensors": [
                {
                    "sensor": station.name,
                    "country": station.country,
                    "addresses": station.addresses,
                    "packets": int(packets),
                }
                for station, packets in zip(
                    self._stations, self._of_station, strict=True
                )
            ],
            "rankings": [
                {
                    "period": text,
                    "tz": name,
                    "sensors": HOME if home else "all",
                    "packets": int(self._packets[zone, period, home]),
                    "port": self._top_ports(zone, period, home),
                    "country": self._top_countries(zone, period, home),
                }
                for zone, name in enumerate(ZONES)
                for period, text in enumerate(PERIODS)
                for home in (0, 1)
            ],
            "phenomena": [
                asdict(one)
                | {
                    "packets": sum(
                        packets
                        for day, (packets, _) in daily.items()
                        if one.start <= day < one.end
                    ),
                    "daily": daily,
                }
                for one, daily in zip(self._phenomena, self._daily, strict=True)
            ],
            "often": {
                "country": self._often_from,
                "packets_at_least": OFTEN,
                "sources": self._often,
            },
        }

    def _top_ports(self, *place: int) -> list[list[Any]]:
        names = list(_PROTOS.values())
        found = self._ports[place]
        return _first(
            {
                f"{number % _PORTS}/{names[number // _PORTS]}": int(found[number])
                for number in np.flatnonzero(found).tolist()
            }
        )

    def _top_countries(self, *place: int) -> list[list[Any]]:
        found = self._origins[place].tolist()
        return _first(dict(zip(self._countries, found, strict=True)))


def as_text(document: Mapping[str, Any]) -> str:
    """Return a truth as JSON, a line for each entry."""
    lines = []
    for key, value in document.items():
        if isinstance(value, list):
            entries = ",\n  ".join(json.dumps(entry) for entry in value)
            lines.append(f" {json.dumps(key)}: [\n  {entries}\n ]")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _first(counts: Mapping[str, int]) -> list[list[Any]]:
    """Return the first keys and their packets, ties by key."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [[key, packets] for key, packets in ranked[:RANKS]]


def _sums(
    index: npt.NDArray[Any], packets: npt.NDArray[np.int64], n: int = 0
) -> npt.NDArray[np.int64]:
    """Add packets up by index; they are few enough for floats to hold them exactly."""
    return np.bincount(index, packets, n).astype(np.int64)


def _distinct(cells: Cells) -> int:
    return len(np.unique(cells["src"]))
