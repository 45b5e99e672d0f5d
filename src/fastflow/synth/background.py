"""The steady part of a scenario: quotas of packets, and the sources that send them.

How many packets a flow sends from a country in a quarter is a quota, not chance. They
are spread over sensors and days by weights that waver as counts of packets do, again so
that every sum over days keeps its share. Only who sends them, and when, is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastflow.synth.addresses import CountryAddresses
from fastflow.synth.cells import NO_STYLE, TCP, Cells, make_cells
from fastflow.synth.course import FIRST_DAY, FIRST_HOUR, N_DAYS, SECOND_QUARTER
from fastflow.synth.draws import (
    Floats,
    Int64s,
    Uint64s,
    bell,
    below,
    draw,
    fraction,
    quotas,
    spread,
)
from fastflow.synth.senders import SLOTS, slots, traits
from fastflow.synth.tsubame_figures import (
    ANY_PORT,
    DAYS,
    FLOWS,
    ORIGINS,
    WEEKS,
    Flow,
)

QUARTERS = (slice(0, SECOND_QUARTER), slice(SECOND_QUARTER, N_DAYS))

#: What bits are drawn for; a number stands for nothing else.
_NOISE, _SPREAD, _PACKET, _SOURCE, _LIFE, _VISIT = range(100, 106)

#: Who gets no answer asks again: so many packets that follow one another to a sensor
#: are of one source, in one hour.
_TRIES = 2
#: The first of so many sources of a flow and a country stays for good ...
_STAYS_OF = 8
#: ... and the others up to so many days.
_LONGEST_LIFE_DAYS = 8
#: How many hours after it began a visit of these may last.
_VISIT_HOURS = 3
#: Slots of a drawing table of hours.
_DAY_SLOTS = 480

#: Weights are whole numbers up to this one.
_FINE = 1 << 20
#: Keeps products of quotas within 64 bits; 10**-4 of what is added up is lost.
_COARSE = 10_000
#: Ports above those that services are usually found on.
_FIRST_HIGH_PORT, _HIGH_PORTS = 1024, 64_512


@dataclass(frozen=True)
class DayCells:
    """The cells of a day.

    Attributes
    ----------
    cells : Cells
    countries : array of int
        The country of each cell's source: an index into `ORIGINS`.
    """

    cells: Cells
    countries: npt.NDArray[np.int64]


class Background:
    """All flows from all countries.

    Parameters
    ----------
    packets : int
        In all.
    on_air : array of bool, sensors x days
        Which captures there are.
    n_addresses : sequence of int
        Of each sensor: packets are in proportion to them.
    addresses : CountryAddresses
        Of `ORIGINS`, in this order.
    seed : int
    """

    def __init__(
        self,
        packets: int,
        on_air: npt.NDArray[np.bool_],
        n_addresses: Sequence[int],
        addresses: CountryAddresses,
        seed: int,
    ) -> None:
        self._addresses = addresses
        self._seed = seed
        self._pairs = _Pairs()
        weights = self._pairs.weights()
        sums = np.stack([weights[:, days].sum(axis=1) for days in QUARTERS], axis=1)
        totals = quotas(packets, sums // _COARSE)
        places = on_air * np.asarray(n_addresses, np.int64)[:, None]
        #: Packets by flow and country, sensor, day.
        self._counts = np.zeros((len(weights), *places.shape), np.int32)
        #: Packets a day that are expected of a flow and a country.
        self._expected = np.zeros(weights.shape, np.float64)
        for pair, of_quarters in enumerate(totals.tolist()):
            for days, total in zip(QUARTERS, of_quarters, strict=True):
                if total:
                    expected = _shares(total, weights[pair, days] * places[:, days])
                    self._expected[pair, days] = _sum_of_rows(expected)
                    self._counts[pair, :, days] = self._spread(
                        pair, days.start, total, expected
                    )

    def _spread(self, pair: int, day: int, total: int, expected: Floats) -> Int64s:
        """Divide packets among sensors and days, as counts of packets waver."""
        number = np.arange(expected.size).reshape(expected.shape)
        noise = bell(draw(self._seed, _NOISE, pair, day, number))
        # A Poisson variance, of which rounding to whole packets makes a part.
        part = expected - np.floor(expected)
        wavering = expected + noise * np.sqrt(expected - part * (1 - part))
        fine = np.maximum(wavering, 0) / wavering.max() * _FINE
        begin = int(draw(self._seed, _SPREAD, pair, day)[0])
        shares = spread(total, fine.astype(np.int64).ravel(), begin)
        return shares.reshape(expected.shape)

    def day(self, day: int) -> DayCells:
        """Return the cells of a day (UTC) of the scenario, 0 for the first."""
        sensor, pair = np.nonzero(self._counts[:, :, day].T)
        counts = self._counts[pair, sensor, day].astype(np.int64)
        pair, sensor = np.repeat(pair, counts), np.repeat(sensor, counts)
        nth = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts)
        bits = draw(self._seed, _PACKET, day, pair, sensor, nth // _TRIES)
        sources = self._sources(day, pair, bits)
        visits = draw(self._seed, _VISIT, day, sources.bits)
        hours = self._pairs.hours(pair, sources.stays, visits, bits)
        _mark_ends(hours, sensor, bits)
        ports = self._pairs.ports(pair, bits)
        key = (pair * len(self._counts[0]) + sensor) * 24 + hours
        key = (key << 16 | ports) << 22 | sources.nth
        _, first, packets = np.unique(key, return_index=True, return_counts=True)
        pair, of_source = pair[first], sources.bits[first]
        countries = self._pairs.country[pair]
        columns = traits(self._pairs.sender(pair, of_source), of_source)
        is_tcp = self._pairs.proto[pair] == TCP
        cells = make_cells(
            len(first),
            hour=FIRST_HOUR + day * 24 + hours[first],
            sensor=sensor[first],
            src=self._addresses.draw(countries, draw(4, of_source)),
            proto=self._pairs.proto[pair],
            dst_port=ports[first],
            icmp_type=self._pairs.icmp_type[pair],
            packets=packets,
            **columns | {"style": np.where(is_tcp, columns["style"], NO_STYLE)},
        )
        return DayCells(cells, countries)

    def _sources(self, day: int, pair: Int64s, bits: Uint64s) -> _Sources:
        """Draw the source of each packet."""
        per_source = self._pairs.per_source[pair]
        n_sources = 1 + (self._expected[pair, day] / per_source).astype(np.int64)
        nth = (self._pairs.depth(pair, draw(1, bits)) * n_sources).astype(np.int64)
        n_stay = (n_sources + _STAYS_OF // 2) // _STAYS_OF
        stays = (nth < n_stay) & (self._pairs.tail[pair] > 1)
        life = draw(self._seed, _LIFE, pair, nth)
        days = 1 + below(life, _LONGEST_LIFE_DAYS)
        born = (day + below(draw(0, life), days)) // days
        of_source = draw(self._seed, _SOURCE, pair, nth, np.where(stays, -1, born))
        return _Sources(nth, of_source, stays)


@dataclass(frozen=True)
class _Sources:
    """The source of each packet: its rank, its bits, and whether it is always there."""

    nth: Int64s
    bits: Uint64s
    stays: npt.NDArray[np.bool_]


class _Pairs:
    """Flows and the countries that they come from, as columns."""

    def __init__(self) -> None:
        names = list(ORIGINS)
        pairs = [
            (flow, country)
            for flow in FLOWS
            for country in names
            if flow.country in ("", country)
        ]
        self._pairs = pairs
        self.country = np.array([names.index(country) for _, country in pairs])
        self.proto = np.array([flow.proto for flow, _ in pairs])
        self.icmp_type = np.array([flow.icmp_type for flow, _ in pairs])
        self.per_source = np.array([flow.per_source for flow, _ in pairs])
        self.tail = np.array(
            [1 if ORIGINS[name].is_even else flow.tail for flow, name in pairs]
        )
        self._port = np.array([flow.port for flow, _ in pairs])
        self._rhythm = np.array([flow.rhythm for flow, _ in pairs])
        self._ahead = np.array([ORIGINS[name].ahead for _, name in pairs])
        self._slots = np.array([slots(flow.senders) for flow, _ in pairs])
        self._hours = np.array(
            [
                np.repeat(np.arange(24), quotas(_DAY_SLOTS, np.repeat(day, 2)))
                for day in DAYS
            ]
        )

    def weights(self) -> Int64s:
        """Return how much is expected of each by day, in units of no meaning."""
        weekday = FIRST_DAY.weekday()
        weeks = np.array(
            [np.resize(np.roll(week, -weekday), N_DAYS) for week in WEEKS], np.int64
        )
        levels: Int64s = np.array([_weight(*pair) for pair in self._pairs])
        weights: Int64s = levels * weeks[self._rhythm]
        return weights

    def depth(self, pair: Int64s, bits: Uint64s) -> Floats:
        """Return how far down the list of sources a packet's one stands, 0 to 1."""
        even = fraction(bits)
        tail = self.tail[pair]
        squared = np.where(tail > 1, even * even, even)
        return np.where(tail > 2, squared * even, squared)

    def hours(
        self,
        pair: Int64s,
        stays: npt.NDArray[np.bool_],
        visits: Uint64s,
        bits: Uint64s,
    ) -> Int64s:
        """Return the hour (UTC) of each packet.

        A source that stays sends all day, another during a visit.
        """
        drawn = below(np.where(stays, draw(2, bits), draw(0, visits)), _DAY_SLOTS)
        later = np.where(stays, 0, below(draw(3, bits), _VISIT_HOURS))
        local = self._hours[self._rhythm[pair], drawn] + later
        hours: Int64s = (local - self._ahead[pair]) % 24
        return hours

    def ports(self, pair: Int64s, bits: Uint64s) -> Int64s:
        """Return the destination port of each packet."""
        port = self._port[pair]
        high = _FIRST_HIGH_PORT + below(draw(4, bits), _HIGH_PORTS)
        return np.where(port == ANY_PORT, high, port)

    def sender(self, pair: Int64s, sources: Uint64s) -> Int64s:
        """Return what sends each packet: an index into `SENDERS`."""
        drawn: Int64s = self._slots[pair, below(draw(6, sources), SLOTS)]
        return drawn


def _weight(flow: Flow, country: str) -> Int64s:
    """Return a flow's part from a country by day; 10**9 is a tenth of all packets."""
    of_flow = flow.level * flow.course.levels() // 10
    if flow.country:
        return of_flow * 10_000
    whole = sum(origin.share for origin in ORIGINS.values())
    origin = ORIGINS[country]
    return of_flow * (origin.share * origin.course.levels() * 10 // whole)


def _shares(total: int, weights: Int64s) -> Floats:
    """Return the exact share of each weight."""
    return weights / int(weights.sum()) * total


def _sum_of_rows(shares: Floats) -> Floats:
    """Add rows up one after the other: the order decides how a sum is rounded."""
    total = np.zeros(shares.shape[1])
    for row in shares:
        total = total + row
    return total


def _mark_ends(hours: Int64s, sensor: Int64s, bits: Uint64s) -> None:
    """Put a packet of each sensor into the first and the last hour of the day.

    A capture covers the hours from its first packet to its last one. Packets are in the
    order of sensors.
    """
    begins = np.flatnonzero(np.diff(sensor, prepend=-1))
    for begin, end in zip(begins, [*begins[1:], len(sensor)], strict=True):
        hours[begin + np.argmin(bits[begin:end])] = 0
        hours[begin + np.argmax(bits[begin:end])] = 23
