"""What is publicly known of ports, windows and tools: possible readings of traffic."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Reading:
    """What is known of some traffic, with its source; never a verdict on it.

    Attributes
    ----------
    id : str
        Names it, once and for all.
    of : mapping of str to tuple
        Packet columns, and the values that each may have.
    about : tuple of str
        Vulnerabilities, malware, attack tools.
    text : str
        What it may be, as part of a sentence.
    years : (int, int or None)
        The first year in which it was seen, and the last one, if it ended.
    source : str
        Who says so.
    """

    id: str
    of: Mapping[str, tuple[Any, ...]]
    about: tuple[str, ...]
    text: str
    years: tuple[int, int | None]
    source: str

    def speaks_of(self, traffic: Mapping[str, Any]) -> bool:
        """Return whether traffic that has these columns in common is meant."""
        return all(traffic.get(name) in values for name, values in self.of.items())


def readings(traffic: Mapping[str, Any]) -> list[Reading]:
    """Return what is known of traffic, what speaks of most of its columns first.

    Parameters
    ----------
    traffic : mapping
        Packet columns that are the same in all of it: `{"proto": 6, "dst_port": 445}`.
    """
    found = [one for one in known() if one.speaks_of(traffic)]
    return sorted(found, key=lambda one: -len(one.of))


@cache
def known() -> tuple[Reading, ...]:
    """Return all that is known, in the order of the file."""
    text = (
        resources.files("fastflow.data").joinpath("knowledge.toml").read_text("utf-8")
    )
    return tuple(_reading(table) for table in tomllib.loads(text)["known"])


def _reading(table: Mapping[str, Any]) -> Reading:
    first, last = table["years"]
    return Reading(
        id=table["id"],
        of={
            name: tuple(value) if isinstance(value, list) else (value,)
            for name, value in table["of"].items()
        },
        about=tuple(table["about"]),
        text=table["text"],
        years=(first, last or None),
        source=table["source"],
    )
