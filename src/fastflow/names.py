"""Names of ports, protocols and countries, for people.

The tables are generated; `fastflow/data/` holds them and the scripts that made them.
"""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import takewhile

from fastflow.errors import ConfigError

#: IP protocol numbers that get a name; the others are printed as they are.
_PROTOCOLS = {
    1: "icmp",
    6: "tcp",
    17: "udp",
    33: "dccp",
    58: "ipv6-icmp",
    132: "sctp",
    136: "udplite",
}

#: What a code is called that no table lists.
_UNKNOWN_COUNTRY = {"en": "Unknown", "ja": "不明"}


def service_name(port: int, proto: str) -> str | None:
    """Return IANA's name of a port.

    Parameters
    ----------
    port : int
    proto : str
        As `proto_name` gives it. UDP-Lite shares the ports of UDP (RFC 3828, 6).
    """
    return _services().get((port, "udp" if proto == "udplite" else proto))


@dataclass(frozen=True)
class KnownAs:
    """What is commonly found on a port, beside what IANA calls it, and who says so."""

    name: str
    source: str


def known_as(port: int, proto: str) -> KnownAs | None:
    """Return what scanners look for on a port that IANA has no or another name for.

    Parameters
    ----------
    port : int
    proto : str
        As `proto_name` gives it.
    """
    return _overlay()[1].get((port, proto))


def overlay_date() -> str:
    """Return the day that the names beside IANA's are of, ISO 8601."""
    return _overlay()[0]


def country_name(code: str, lang: str = "en") -> str:
    """Return the name of a country; an unknown code is said to be unknown.

    Parameters
    ----------
    code : str
        ISO 3166-1 alpha-2, or a registry's own, as "EU" (Europe, unspecified).
    lang : str
        "en" or "ja".

    Raises
    ------
    ConfigError
        There are no names in this language.
    """
    if lang not in _UNKNOWN_COUNTRY:
        raise ConfigError(f"no country names in language {lang!r}: use en or ja")
    return _countries(lang).get(code) or f"{_UNKNOWN_COUNTRY[lang]} ({code})"


def proto_name(number: int) -> str:
    """Return the name of an IP protocol, or its number as text."""
    return _PROTOCOLS.get(number, str(number))


def source_of(name: str) -> str:
    """Return where a table of `fastflow/data/` is from, as its header says."""
    text = files("fastflow.data").joinpath(name).read_text(encoding="utf-8")
    lines = takewhile(lambda line: line.startswith("#"), text.splitlines())
    said = " ".join(line.removeprefix("#").strip() for line in lines)
    return said.partition("Source: ")[2].partition(" Made by ")[0].rstrip(".")


@lru_cache(maxsize=1)
def _services() -> dict[tuple[int, str], str]:
    return {
        (int(row["port"]), row["proto"]): row["name"] for row in _rows("services.csv")
    }


@lru_cache(maxsize=1)
def _overlay() -> tuple[str, dict[tuple[int, str], KnownAs]]:
    text = files("fastflow.data").joinpath("services_overlay.toml").read_text("utf-8")
    document = tomllib.loads(text)
    return document["date"].isoformat(), {
        (one["port"], one["proto"]): KnownAs(one["name"], one["source"])
        for one in document["known"]
    }


@lru_cache(maxsize=len(_UNKNOWN_COUNTRY))
def _countries(lang: str) -> dict[str, str]:
    return {row["code"]: row[lang] for row in _rows("countries.csv")}


def _rows(name: str) -> list[dict[str, str]]:
    """Read a table of `fastflow/data/`; its header comment is skipped."""
    text = files("fastflow.data").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(x for x in text.splitlines() if not x.startswith("#")))
