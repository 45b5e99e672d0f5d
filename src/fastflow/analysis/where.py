"""Filters `column=value` and hours as SQL conditions with parameters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from fastflow.addresses import from_text
from fastflow.analysis.keys import PORT_PROTOCOLS, WINDOW
from fastflow.errors import ConfigError
from fastflow.names import proto_name

#: First hour, and first hour after the last one.
Hours = tuple[datetime, datetime]

#: Protocol numbers by name, and by their own digits.
_PROTOCOLS = {
    "icmpv6": 58,
    **{str(number): number for number in range(256)},
    **{proto_name(number): number for number in range(256)},
}


@dataclass
class Conditions:
    """SQL conditions, joined by `and`, and the values of their `?` in order."""

    terms: list[str] = field(default_factory=list)
    params: list[Any] = field(default_factory=list)
    needs_sources: bool = False

    @classmethod
    def of(cls, where: Mapping[str, Any] | None, hours: Hours | None) -> Self:
        """Build the conditions of filters and hours.

        Parameters
        ----------
        where : mapping or None
            Column to value; the value None or `null` matches null.
        hours : two datetimes or None
            Those of the rows, the second exclusive; None: all.

        Raises
        ------
        ConfigError
            No column has this name, or the value is none of its kind.
        """
        conditions = cls()
        for column, value in (where or {}).items():
            conditions.add_filter(column, value)
        if hours is not None:
            conditions.add("hour >= ? and hour < ?", *hours)
        return conditions

    def add(self, term: str, *params: Any) -> None:
        """Add one condition and the values of its `?`."""
        self.terms.append(term)
        self.params.extend(params)

    def add_one_of(self, column: str, values: Collection[Any]) -> None:
        """Add the condition that a column has one of these values."""
        self.add(f"{column} in ({', '.join('?' * len(values))})", *values)

    def add_filter(self, column: str, value: Any) -> None:
        """Add the condition that a column has a value."""
        if column not in _FILTERS:
            raise ConfigError(
                f"no column {column!r} to filter by; there are {', '.join(_FILTERS)}"
            )
        sql_columns, convert = _FILTERS[column]
        self.needs_sources |= "src" in sql_columns
        if value is None or value == "null":
            self.add(f"{sql_columns[0]} is null")
            return
        try:
            values = convert(value)
        except ValueError as error:
            raise ConfigError(f"{column}={value}: {error}") from error
        for name, converted in zip(sql_columns, values, strict=True):
            self.add(f"{name} = ?", converted)

    def __str__(self) -> str:
        """Return the SQL text that follows `where`."""
        return " and ".join(self.terms) or "true"


def parse_port(text: str) -> tuple[int, int]:
    """Return port and protocol number of a key such as `445/tcp`."""
    port, _, proto = text.partition("/")
    if proto not in PORT_PROTOCOLS.values():
        raise ValueError(
            f"write PORT/PROTOCOL, with one of {', '.join(PORT_PROTOCOLS.values())}"
        )
    return _integer(port), _PROTOCOLS[proto]


def _text(value: Any) -> tuple[str]:
    return (str(value),)


def _country(value: Any) -> tuple[str]:
    return (str(value).upper(),)


def _window(value: Any) -> tuple[str]:
    return (str(_integer(value)),)


def _number(value: Any) -> tuple[int]:
    return (_integer(value),)


def _proto(value: Any) -> tuple[int]:
    text = str(value).lower()
    if text not in _PROTOCOLS:
        raise ValueError("write a protocol's name, such as tcp, or its number")
    return (_PROTOCOLS[text],)


def _port(value: Any) -> tuple[int, int]:
    return parse_port(str(value).lower())


def _source(value: Any) -> tuple[bytes, int]:
    return from_text(str(value))


def _integer(value: Any) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and int(text) <= 0xFFFF):
        raise ValueError("write a number in 0..65535")
    return int(text)


#: Filter to its columns in SQL, the first of which may be null, and to their values.
_FILTERS: dict[str, tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]] = {
    "sensor": (("sensor",), _text),
    "proto": (("proto",), _proto),
    "port": (("dst_port", "proto"), _port),
    "dst_port": (("dst_port",), _number),
    "icmp_type": (("icmp_type",), _number),
    "country": (("country",), _country),
    "traffic": (("traffic",), _text),
    "signature": (("signature",), _text),
    "window": ((WINDOW,), _window),
    "tool": (("tool",), _text),
    "src": (("src", "ip_version"), _source),
    "input": (("input",), _text),
}
