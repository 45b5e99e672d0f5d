"""The noise of the Internet, as cells: what random phenomena are planted in.

Rates follow the hour and the weekday, differ from day to day by noise that lasts for
some days, and are made up of sources whose packets have a heavy tail. Sensors differ in
size, have gaps, come late or go early.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastflow.synth.cells import (
    ACK,
    EACH_ANOTHER,
    ICMP,
    ID_OF_MASSCAN,
    RST,
    SEQ_OF_MIRAI,
    SYN,
    TCP,
    UDP,
    Style,
)

#: Columns of cells, while they are made.
Columns = dict[str, npt.NDArray[np.int64]]

SYN_ACK = SYN | ACK
#: 2020-07-01 00:00 UTC, a Wednesday, in hours since 1970.
FIRST_HOUR = 442_656
N_DAYS = 90
N_HOURS = 24 * N_DAYS
COUNTRIES = [
    "US",
    "RU",
    "CN",
    "NL",
    "DE",
    "JP",
    "BR",
    "IN",
    "VN",
    "TW",
    "KR",
    "GB",
    "UA",
    "FR",
    "ID",
    "TR",
    "IR",
    "SG",
    "RO",
    "BG",
    "IT",
    "PL",
    "TH",
    "AR",
    "MX",
]
#: Never in the background: these can be newcomers.
ABSENT_COUNTRIES = ("NZ", "KE", "UY", "ZA")
STYLES = tuple(
    Style.parse(text)
    for text in (
        "1024:::",
        "1024:2:1460:",
        "65535:::",
        "65535:2-4-8-1-3:1460:7",
        "8192:2-1-3-1-1-4:1460:8",
        "8192:2-1-1-4:1460:",
        "29200:2-4-8-1-3:1460:7",
        "14600:2-4-8-1-3:1460:4",
        "64240:2-4-8-1-3:1460:7",
        "64240:2-1-3-1-1-4:1460:8",
        "5840:2-4-8-1-3:1460:2",
        "16384:2-1-1-4:1440:",
    )
)
PORTS = (
    (TCP, 445, 9.0), (TCP, 23, 8.0), (TCP, 1433, 4.0), (TCP, 22, 4.0), (TCP, 80, 3.0),
    (TCP, 3389, 2.5), (TCP, 8080, 2.0), (TCP, 443, 1.5), (TCP, 5555, 1.2),
    (TCP, 81, 1.0), (TCP, 2323, 1.0), (TCP, 6379, 0.8), (TCP, 8443, 0.7),
    (TCP, 37215, 0.6), (TCP, 25, 0.5), (TCP, 3306, 0.5), (TCP, 5900, 0.4),
    (UDP, 53, 1.5), (UDP, 123, 1.2), (UDP, 1900, 1.0), (UDP, 5060, 1.5), (UDP, 161, .6),
)  # fmt: skip
_N_HOSTS = 3000
#: Sources a host's hour has packets of: a lognormal tail, cut off.
_MOST_PACKETS = 24


@dataclass(frozen=True)
class Sensors:
    """Where and when something is seen.

    Attributes
    ----------
    names : list of str
    sizes : array of float
        Shares of what arrives; they add up to 1.
    is_on : array of bool, by sensor and hour
        It was listening.
    """

    names: list[str]
    sizes: npt.NDArray[np.float64]
    is_on: npt.NDArray[np.bool_]


def make_sensors(rng: np.random.Generator, n: int | None = None) -> Sensors:
    """Return sensors with gaps, some not there all the time; None: 4 to 8 of them."""
    n = int(rng.integers(4, 9)) if n is None else n
    is_on = np.ones((n, N_HOURS), np.bool_)
    for sensor in range(n):
        for _ in range(rng.integers(0, 4)):
            at = int(rng.integers(0, N_HOURS))
            is_on[sensor, at : at + int(rng.integers(3, 96))] = False
    if rng.random() < 0.4:
        is_on[0, : int(rng.integers(10, 60)) * 24] = False
    if rng.random() < 0.3:
        is_on[1, int(rng.integers(30, 80)) * 24 :] = False
    sizes = rng.lognormal(0, 0.4, n)
    names = [f"sensor-{number + 1}" for number in range(n)]
    return Sensors(names, sizes / sizes.sum(), is_on)


#: Addresses that a country has in a scenario.
RANGE = 1 << 16
#: Of all countries, those that can be newcomers included.
CODES = (*COUNTRIES, *ABSENT_COUNTRIES)
#: First addresses of countries' ranges, where no country table gives others.
FIRST_ADDRESSES = tuple((number + 11) << 24 for number in range(len(CODES)))


class Hosts:
    """The addresses of countries.

    Parameters
    ----------
    firsts : sequence of int
        The first of each country's range of `RANGE`, in the order of `CODES`.
    """

    def __init__(self, firsts: Sequence[int]) -> None:
        self.firsts = np.array(firsts, np.int64)

    def draw(
        self, rng: np.random.Generator, country: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Draw an address for each country number, some of them more often."""
        rank = (_N_HOSTS * rng.random(len(country)) ** 1.5).astype(np.int64)
        # Spread over the range, so that no network holds many of them.
        return self.at(country, rank * 40_503 % RANGE)

    def at(
        self, country: npt.NDArray[np.int64] | int, place: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return the address at a place of a country's range."""
        found: npt.NDArray[np.int64] = self.firsts[country] + place
        return found


def rhythm(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return a rate of mean 1 by hour, with days, weeks, and noise that lasts."""
    hours = np.arange(N_HOURS)
    day = 1 + rng.uniform(0.05, 0.35) * np.cos(
        2 * np.pi * (hours % 24 - rng.uniform(0, 24)) / 24
    )
    is_weekend = (hours // 24 + 2) % 7 >= 5
    week = np.where(is_weekend, rng.uniform(0.7, 1.05), 1.0)
    noise = np.empty(N_DAYS)
    step = rng.normal(0, rng.uniform(0.02, 0.06), N_DAYS)
    value = 0.0
    for number in range(N_DAYS):
        value = noise[number] = 0.6 * value + step[number]
    rate: npt.NDArray[np.float64] = day * week * np.exp(np.repeat(noise, 24))
    rate /= rate.mean()
    return rate


def packet_counts(
    rng: np.random.Generator, n: int, typical: float
) -> npt.NDArray[np.int64]:
    """Draw how many packets each source sends in an hour: heavy-tailed, 1 at least."""
    drawn = rng.lognormal(np.log(typical), 0.9, n)
    return np.clip(drawn, 1, _MOST_PACKETS).astype(np.int64)


def make_background(
    rng: np.random.Generator, sensors: Sensors, hosts: Hosts, per_hour: float
) -> Columns:
    """Return cells of ordinary traffic: so many sources an hour, over all sensors.

    `country` is the number of each cell's country in `CODES`.
    """
    shares = 1 / np.arange(1, len(COUNTRIES) + 1) ** 0.9
    weights = np.array([weight for _, _, weight in PORTS])
    weights *= rng.lognormal(0, 0.25, len(weights))
    parts = []
    for (proto, port, _), weight in zip(PORTS, weights, strict=True):
        rate = 0.8 * per_hour * weight / weights.sum()
        parts.append(
            _activity(rng, sensors, hosts, rate, shares, proto=proto, dst_port=port)
        )
    scattered = [
        (TCP, 0.07, SYN),
        (UDP, 0.03, 0),
        (TCP, 0.06, SYN_ACK),
        (TCP, 0.01, RST),
    ]
    for proto, share, flags in scattered:
        part = _activity(rng, sensors, hosts, share * per_hour, shares, proto=proto)
        n = len(part["hour"])
        part["dst_port"] = rng.integers(1024, 65536, n)
        part["tcp_flags"] = np.full(n, flags)
        if flags != SYN and proto == TCP:
            part["src_port"] = rng.choice([80, 443, 22, 53, 8080], n)
        parts.append(part)
    parts.append(
        _activity(rng, sensors, hosts, 0.03 * per_hour, shares, proto=ICMP, icmp_type=8)
    )
    return join(parts)


def _activity(
    rng: np.random.Generator,
    sensors: Sensors,
    hosts: Hosts,
    rate: float,
    shares: npt.NDArray[np.float64],
    *,
    proto: int,
    dst_port: int = 0,
    icmp_type: int = 0,
) -> Columns:
    """Return one kind of traffic, with its own countries, styles, and rhythm."""
    mine = shares * rng.lognormal(0, 0.6, len(shares))
    parts = []
    for number in range(len(COUNTRIES)):
        share = mine[number] / mine.sum()
        course = rate * share * rhythm(rng)
        expected = course[None, :] * sensors.sizes[:, None] * sensors.is_on
        n_sources = rng.poisson(expected)
        sensor, hour = np.nonzero(n_sources)
        times = n_sources[sensor, hour]
        parts.append((np.repeat(sensor, times), np.repeat(hour, times)))
    n_each = [len(part[0]) for part in parts]
    n = sum(n_each)
    country = np.repeat(np.arange(len(COUNTRIES)), n_each)
    popular = rng.dirichlet(np.full(len(STYLES), 0.7))
    typical = rng.uniform(1, 3)
    cells = blank(n)
    cells["hour"] = np.concatenate([part[1] for part in parts]) + FIRST_HOUR
    cells["sensor"] = np.concatenate([part[0] for part in parts])
    cells["country"] = country
    cells["src"] = hosts.draw(rng, country)
    cells["proto"][:] = proto
    cells["dst_port"][:] = dst_port
    cells["icmp_type"][:] = icmp_type
    if proto == TCP:
        cells["tcp_flags"][:] = SYN
        # A host keeps its operating system, mostly.
        draw = (cells["src"] * 7919 % 1000) / 1000 * 0.8 + rng.random(n) * 0.2
        cells["style"] = np.searchsorted(np.cumsum(popular)[:-1], draw)
        is_mirai = (dst_port in (23, 2323)) & (rng.random(n) < 0.5)
        cells["tcp_seq"][is_mirai] = SEQ_OF_MIRAI
        cells["ip_id"][(cells["style"] == 0) & (rng.random(n) < 0.5)] = ID_OF_MASSCAN
    fixed_port = rng.random(n) < 0.3
    cells["src_port"][fixed_port] = rng.integers(1024, 65536, int(fixed_port.sum()))
    cells["ip_ttl"] = 40 + cells["src"] * 31 % 80
    cells["packets"] = packet_counts(rng, n, typical)
    return cells


def blank(n: int) -> Columns:
    """Return n cells of which nothing is known."""
    zeros = {
        name: np.zeros(n, np.int64)
        for name in (
            "hour", "sensor", "src", "proto", "dst_port", "icmp_type", "tcp_flags",
            "style", "ip_ttl", "begin_s", "country",
        )
    }  # fmt: skip
    varying = {
        name: np.full(n, EACH_ANOTHER, np.int64)
        for name in ("src_port", "tcp_seq", "ip_id")
    }
    return {
        **zeros,
        **varying,
        "packets": np.ones(n, np.int64),
        "end_s": np.full(n, 3600, np.int64),
    }


def join(parts: Sequence[Columns]) -> Columns:
    """Return the cells of all parts, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
