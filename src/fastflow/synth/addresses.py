"""Addresses of sources, drawn from a country table; addresses of sensors."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastflow.errors import DataFileError
from fastflow.synth.draws import Int64s, Uint64s

#: Of benchmarks (RFC 2544): no network has them, and no country.
_SENSOR_NETWORK = ipaddress.IPv4Network("198.18.0.0/15")
#: Each sensor has a /24 of it.
_SENSOR_STEP = 256

Addresses = npt.NDArray[np.uint32]


class CountryRanges(Protocol):
    """The part of a country table that is needed here."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def codes(self) -> Sequence[str]: ...  # noqa: D102

    def v4_ranges(
        self,
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.uint16]]:
        """Return first addresses, last addresses and indices into `codes`."""
        ...


class CountryAddresses:
    """The IPv4 addresses of some countries.

    Parameters
    ----------
    table : CountryRanges
        Says which they are, as it will when captures are reduced.
    countries : iterable of str
        ISO 3166-1 alpha-2. Sources are drawn by indices into this list.

    Raises
    ------
    DataFileError
        The table has no IPv4 address of one of them.
    """

    def __init__(self, table: CountryRanges, countries: Iterable[str]) -> None:
        self.countries = list(countries)
        starts, lasts, codes = table.v4_ranges()
        lengths = lasts.astype(np.int64) - starts.astype(np.int64) + 1
        parts = [
            np.flatnonzero(codes == _code(table, country)) for country in self.countries
        ]
        order = np.concatenate([np.empty(0, np.int64), *parts])
        self._starts = starts[order].astype(np.int64)
        self._ends = np.cumsum(lengths[order])
        self._begins = self._ends - lengths[order]
        #: Addresses of each country, and where they begin, all countries side by side.
        self.sizes = np.array([int(lengths[part].sum()) for part in parts], np.int64)
        self._firsts = np.cumsum(self.sizes) - self.sizes
        if missing := sorted(np.array(self.countries)[self.sizes == 0].tolist()):
            raise DataFileError(
                f"{table.name} {table.version}: no IPv4 address of {missing[0]}, which "
                "the captures need; name another country table (--geo)"
            )

    def draw(self, countries: int | npt.NDArray[Any], bits: Uint64s) -> Addresses:
        """Return an address of each country, any of them as likely as another.

        Parameters
        ----------
        countries : int, or array of int
            Indices into the list.
        bits : array of uint64
            See `fastflow.synth.draws.draw`.
        """
        sizes = self.sizes[countries].astype(np.uint64)
        return self._at(self._firsts[countries] + (bits % sizes).astype(np.int64))

    def networks(self, country: str, prefix: int, n: int) -> list[int]:
        """Return the first addresses of `n` networks of a country, far from each other.

        Parameters
        ----------
        prefix : int
            Length, e.g. 24; all addresses of a network are the country's.

        Raises
        ------
        DataFileError
            There are not so many.
        """
        index = self.countries.index(country)
        size = 1 << (32 - prefix)
        begin, end = self._firsts[index], self._firsts[index] + self.sizes[index]
        mine = (self._begins >= begin) & (self._begins < end)
        firsts = -(-self._starts[mine] // size) * size
        afters = self._starts[mine] + (self._ends - self._begins)[mine]
        ends = np.cumsum(np.maximum(0, (afters - firsts) // size))
        if ends[-1] < n:
            raise DataFileError(
                f"the country table has not {n} networks /{prefix} of {country}, which "
                "the captures need; name another (--geo)"
            )
        found = []
        for number in range(1, n + 1):
            nth = int(ends[-1]) * number // (n + 1)
            at = int(np.searchsorted(ends, nth, side="right"))
            before = int(ends[at - 1]) if at else 0
            found.append(int(firsts[at]) + (nth - before) * size)
        return found

    def _at(self, positions: Int64s) -> Addresses:
        ranges = np.searchsorted(self._ends, positions, side="right")
        found: Int64s = self._starts[ranges] + positions - self._begins[ranges]
        return found.astype(np.uint32)


def _code(table: CountryRanges, country: str) -> int:
    return list(table.codes).index(country) if country in table.codes else -1


@dataclass(frozen=True)
class Station:
    """A sensor of a scenario.

    Attributes
    ----------
    name : str
        Of the directory that its captures lie in.
    country : str
        Where it stands, ISO 3166-1 alpha-2.
    first_address : int
        Its addresses follow one another.
    addresses : int
        How many.
    """

    name: str
    country: str
    first_address: int
    addresses: int


def stations(places: Iterable[tuple[str, str, int]]) -> list[Station]:
    """Return sensors, each with a network of its own.

    Parameters
    ----------
    places : iterable of (str, str, int)
        Name, country, number of addresses: 1 to 254.
    """
    first = int(_SENSOR_NETWORK.network_address) + 1
    return [
        Station(name, country, first + number * _SENSOR_STEP, addresses)
        for number, (name, country, addresses) in enumerate(places)
    ]
