"""`sensors.toml`: each sensor's country, addresses, and when it was on the air."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fastflow.errors import ConfigError
from fastflow.zones import hour_at, hour_number

FILE_NAME = "sensors.toml"

#: One line of a file, for whoever has to write one.
EXAMPLE = (
    'tokyo-1 = { country = "JP", addresses = 16, on_air = [{ from = 2020-04-01 }] }'
)

_FOREVER = 1 << 62
#: More would not add up in 64 bits.
_MOST_ADDRESSES = 1 << 40
_COUNTRY = re.compile("[A-Z]{2}", re.ASCII)


class _WrongError(ValueError):
    """What is wrong with a value, to be told with its place."""


@dataclass(frozen=True)
class OnAir:
    """A time on the air.

    Attributes
    ----------
    start, end : int
        Hours since 1970 UTC, the second exclusive.
    addresses : int
        How many addresses the sensor listened on.
    """

    start: int
    end: int
    addresses: int


@dataclass(frozen=True)
class Sensor:
    """A sensor of the network.

    Attributes
    ----------
    country : str
        Where it stands, ISO 3166-1 alpha-2.
    on_air : tuple of OnAir
        In the order of time; none overlap.
    """

    name: str
    country: str
    on_air: tuple[OnAir, ...]

    def addresses(self, start: int, end: int) -> npt.NDArray[np.int64]:
        """Return the addresses in each hour from `start` to `end`; 0: off the air.

        Parameters
        ----------
        start, end : int
            Hours since 1970 UTC, the second exclusive.
        """
        found = np.zeros(max(end - start, 0), np.int64)
        for span in self.on_air:
            first, after = max(span.start, start), min(span.end, end)
            if first < after:
                found[first - start : after - start] = span.addresses
        return found


@dataclass(frozen=True)
class Network:
    """All sensors of a `sensors.toml`, by name."""

    path: Path
    sensors: Mapping[str, Sensor]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file.

        Raises
        ------
        ConfigError
            It cannot be read, or says something that it must not.
        """
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except ValueError as error:  # of TOML, and of UTF-8
            raise ConfigError(f"{path}: no TOML: {error}") from error
        sensors = {}
        for name, table in document.items():
            try:
                sensors[name] = _sensor(name, table)
            except _WrongError as error:
                raise ConfigError(f"{path}: {name}: {error}") from error
        return cls(path, sensors)

    def in_country(self, country: str) -> list[str]:
        """Return the names of a country's sensors."""
        return [one.name for one in self.sensors.values() if one.country == country]


def chosen(
    wanted: Sequence[str], network: Network | None, stored: Iterable[str]
) -> list[str]:
    """Return the sensors that names and countries stand for, each once.

    Parameters
    ----------
    wanted : sequence of str
        Names of sensors, and countries of those in the network.
    network : Network or None
        What is known of sensors.
    stored : iterable of str
        The sensors of the store.

    Raises
    ------
    ConfigError
        No sensor has this name, and none stands in a country of this name.
    """
    known = {*stored, *(network.sensors if network else ())}
    found: dict[str, None] = {}
    for text in wanted:
        names = [text] if text in known else []
        if not names and network:
            names = network.in_country(text.upper())
        if not names:
            hint = "" if network else f" (countries need a {FILE_NAME})"
            raise ConfigError(
                f"{text!r} is no sensor and no sensor's country{hint}; "
                f"there are {', '.join(sorted(known)) or 'none'}"
            )
        found.update(dict.fromkeys(names))
    return list(found)


def _sensor(name: str, table: Any) -> Sensor:
    """Return one sensor from its table in the file."""
    if not isinstance(table, dict):
        raise _WrongError(f"is no table; write {EXAMPLE}")
    _check_keys(table, {"country", "addresses", "on_air"})
    country = table.get("country")
    if not isinstance(country, str) or not _COUNTRY.fullmatch(country):
        raise _WrongError('country: write two capital letters, as in country = "JP"')
    times = table.get("on_air")
    if not isinstance(times, list) or not times:
        raise _WrongError("on_air: write on_air = [{ from = 2020-04-01 }]")
    on_air = [_on_air(one, table.get("addresses")) for one in times]
    on_air.sort(key=lambda span: span.start)
    if any(before.end > after.start for before, after in pairwise(on_air)):
        raise _WrongError("on_air: two times overlap")
    return Sensor(name, country, tuple(on_air))


def _on_air(span: Any, addresses: Any) -> OnAir:
    if not isinstance(span, dict) or "from" not in span:
        raise _WrongError("on_air: write each time as { from = 2020-04-01 }")
    _check_keys(span, {"from", "until", "addresses"})
    start = _hour("from", span["from"])
    end = _hour("until", span["until"]) if "until" in span else _FOREVER
    if end <= start:
        raise _WrongError(
            "on_air: until is the first moment off the air; it must be after from"
        )
    addresses = span.get("addresses", addresses)
    if type(addresses) is not int or not 1 <= addresses <= _MOST_ADDRESSES:
        raise _WrongError("addresses: write how many there are, as in addresses = 16")
    return OnAir(start, end, addresses)


def _hour(key: str, value: Any) -> int:
    """Return the hour that a TOML date or time begins."""
    if type(value) is date:
        value = datetime.combine(value, time(), UTC)
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise _WrongError(
            f"on_air: {key}: write a day (UTC) or a time with its offset, "
            "without quotes, as 2020-04-01 or 2020-04-01T09:00:00+09:00"
        )
    if hour_at(hour_number(value)) != value:
        raise _WrongError(f"on_air: {key}: counts are hourly; write a whole hour")
    return hour_number(value)


def _check_keys(table: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(table.keys() - known):
        raise _WrongError(
            f"{unknown[0]}: no such key; there are {', '.join(sorted(known))}"
        )
