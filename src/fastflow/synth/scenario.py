"""Random phenomena planted in a background, with the truth of what was planted.

Each is drawn independently of how `events` looks for it: a slice, a time, a course, and
a size from barely visible to overwhelming. The truth names the slice by the rule of
docs/events.md, applied to the cells that were planted; and it says by how many robust
standard deviations of its slice's hours (a trend: days) the slice was lifted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Address
from typing import Any

import numpy as np
import numpy.typing as npt

from fastflow.synth.cells import SYN, TCP, Cells, Style, make_cells
from fastflow.synth.noise import (
    ABSENT_COUNTRIES,
    CODES,
    COUNTRIES,
    FIRST_ADDRESSES,
    FIRST_HOUR,
    N_DAYS,
    N_HOURS,
    PORTS,
    RANGE,
    STYLES,
    SYN_ACK,
    Columns,
    Hosts,
    Sensors,
    blank,
    join,
    make_background,
    make_sensors,
)

#: Windows of tools that nobody else uses, added to the styles of the background.
RARE_STYLES = tuple(
    Style(w) for w in (512, 2048, 3072, 4128, 5792, 9000, 16000, 32120, 44000, 60352)
)
ALL_STYLES = (*STYLES, *RARE_STYLES)
#: Ports of which the background has next to nothing.
QUIET_PORTS = (9530, 7547, 60001, 11211, 2375, 5038, 8291, 49152, 4567, 34567)
#: What is needed before something can be new, and before a rise can be seen as one.
_DAYS_BEFORE = 21
#: A signature tells something where no more of its window's packets have it.
_NARROWING = 0.75
#: What is under attack answers with so many packets a minute, for so many seconds.
_PER_MINUTE, _LEAST_SECONDS, _MOST_SECONDS = (60, 400), 120, 1200
KINDS = ("surge", "surge", "trend", "fixed", "fixed", "newcomer", "attack")


@dataclass
class Phenomenon:
    """What was planted.

    Attributes
    ----------
    start, end : int
        Hours since 1970 UTC, the second exclusive.
    lift : float
        Packets, in robust standard deviations of its slice without it.
    per_hour : float
        Packets an hour that it adds while it lasts.
    usual : float
        Median packets an hour of its slice without it.
    hours : list of int
        The hours with packets of it.
    """

    kind: str
    start: int
    end: int
    slice: dict[str, Any]
    fixed: dict[str, int] = field(default_factory=dict)
    packets: int = 0
    sources: int = 0
    lift: float = 0.0
    per_hour: float = 0.0
    usual: float = 0.0

    @property
    def must_be_found(self) -> bool:
        """It is large enough that not finding it is a fault."""
        return self.lift >= 5 or (self.usual == 0 and self.per_hour >= 30)


@dataclass
class Scenario:
    """Cells, and what they hold.

    Attributes
    ----------
    first_addresses : sequence of int
        Of the countries' ranges, in the order of `noise.CODES`.
    seed : int
        That packets are drawn with, where the cells become packets.
    """

    sensors: Sensors
    first_addresses: Sequence[int]
    cells: Cells
    truth: list[Phenomenon]
    seed: int = 0

    def tally_arguments(self) -> dict[str, Any]:
        """Return what tallies need besides cells (see `fastflow.synth.tallies`)."""
        return {
            "sensors": self.sensors.names,
            "styles": ALL_STYLES,
            "countries": {
                code: (first, RANGE)
                for code, first in zip(CODES, self.first_addresses, strict=True)
            },
        }

    def truth_rows(self) -> list[dict[str, Any]]:
        """Return the truth for a JSON file."""
        return [
            asdict(one) | {"must_be_found": one.must_be_found} for one in self.truth
        ]


def make_scenario(
    seed: int,
    *,
    scale: float = 1.0,
    quiet: bool = False,
    first_addresses: Sequence[int] = FIRST_ADDRESSES,
    sensors: Sensors | None = None,
) -> Scenario:
    """Return a random scenario of 90 days; the same seed gives the same cells.

    Parameters
    ----------
    scale : float
        Volume of the background; 1: 150 sources an hour, over all sensors.
    quiet : bool
        Plant nothing.
    first_addresses : sequence of int
        Of the range of `noise.RANGE` addresses that each of `noise.CODES` has.
    sensors : Sensors or None
        None: random ones.
    """
    rng = np.random.default_rng([20200701, seed])
    sensors = sensors or make_sensors(rng)
    hosts = Hosts(first_addresses)
    parts = [make_background(rng, sensors, hosts, 150 * scale)]
    truth = []
    if not quiet:
        planter = _Planter(rng, sensors, hosts, parts[0])
        for _ in range(rng.integers(1, 9)):
            planted, part = planter.plant()
            truth.append(planted)
            parts.append(part)
    columns = join(parts)
    del columns["country"]
    cells = make_cells(len(columns["hour"]), **columns)
    return Scenario(sensors, first_addresses, cells, truth, seed)


class _Planter:
    """Plants one phenomenon after the other, in slices of their own."""

    def __init__(
        self,
        rng: np.random.Generator,
        sensors: Sensors,
        hosts: Hosts,
        background: Columns,
    ) -> None:
        self._rng, self._sensors, self._hosts = rng, sensors, hosts
        self._background = background
        self._windows = np.array([style.window for style in ALL_STYLES])
        self._free_ports = list(rng.permutation(len(PORTS)))
        self._free_quiet = [int(port) for port in rng.permutation(QUIET_PORTS)]
        self._free_countries = [int(c) for c in rng.permutation(len(COUNTRIES))]
        self._free_absent = list(rng.permutation(len(ABSENT_COUNTRIES)))
        self._free_rare = [
            int(n) for n in len(STYLES) + rng.permutation(len(RARE_STYLES))
        ]

    def plant(self) -> tuple[Phenomenon, Columns]:
        """Return what was planted, and its cells."""
        plants = {
            "surge": self._surge,
            "trend": self._trend,
            "fixed": self._fixed,
            "newcomer": self._newcomer,
            "attack": self._attack,
        }
        return plants[str(self._rng.choice(KINDS))]()

    def _size(self, usual_sd: float) -> float:
        """Draw packets an hour: of a slice that is empty, or in deviations."""
        if usual_sd == 0:
            return float(np.exp(self._rng.uniform(np.log(8), np.log(500))))
        return usual_sd * float(np.exp(self._rng.uniform(np.log(2), np.log(60))))

    def _surge(self) -> tuple[Phenomenon, Columns]:
        rng = self._rng
        proto, port = self._port()
        by_country, by_style = rng.random(2) < (0.6, 0.5)
        cells = self._group(proto, port, by_country, by_style and proto == TCP)
        start = int(rng.integers(24 * _DAYS_BEFORE, N_HOURS - 73))
        duration = int(np.exp(rng.uniform(np.log(2), np.log(72))))
        return self._burst("surge", cells, [(start, start + duration)])

    def _fixed(self, kind: str = "fixed") -> tuple[Phenomenon, Columns]:
        rng = self._rng
        country = self._free_countries.pop()
        n_sources = int(rng.choice([1, 1, 4, 7]))
        answers = kind == "attack" or rng.random() < 0.5
        style = self._free_rare.pop()
        group: dict[str, Any] = {
            "country": [country], "style": [style], "n_hosts": n_sources, "proto": TCP,
            "ttl": int(rng.integers(30, 120)),
        }  # fmt: skip
        if answers:
            group |= {"flags": SYN_ACK, "src_port": int(rng.choice([80, 443, 22]))}
            group["scattered"] = True
            if rng.random() < 0.7 and kind == "fixed":
                group["tcp_seq"] = int(rng.integers(1, 2**32))
            if kind == "attack":
                group |= self._minutes(n_sources)
        else:
            _, port = self._port(tcp=True)
            group |= {"dst_port": port, "flags": SYN}
            if rng.random() < 0.4:
                group["src_port"] = int(rng.integers(1024, 65536))
        start = int(rng.integers(24 * _DAYS_BEFORE, N_HOURS - 24 * 7))
        bursts = []
        for day in sorted(rng.choice(6, int(rng.integers(1, 4)), replace=False)):
            at = start + 24 * int(day) + int(rng.integers(0, 6))
            bursts.append((at, at + int(rng.integers(2, 6))))
        return self._burst(kind, group, bursts)

    def _attack(self) -> tuple[Phenomenon, Columns]:
        return self._fixed("attack")

    def _minutes(self, n_victims: int) -> dict[str, Any]:
        """Return minutes of the hours of an attack, and its packets in such an hour.

        Each victim answers to enough sensors a minute for an attack, even while some
        do not listen (`fastflow.store.attacks`).
        """
        begin_s = int(self._rng.integers(0, 3600 - _LEAST_SECONDS))
        log_seconds = self._rng.uniform(np.log(_LEAST_SECONDS), np.log(_MOST_SECONDS))
        end_s = min(3600, begin_s + int(np.exp(log_seconds)))
        per_minute = np.exp(self._rng.uniform(*np.log(_PER_MINUTE)))
        per_hour = n_victims * per_minute * (end_s - begin_s) / 60
        return {"begin_s": begin_s, "end_s": end_s, "per_hour": per_hour}

    def _newcomer(self) -> tuple[Phenomenon, Columns]:
        rng = self._rng
        what = str(rng.choice(["port", "country", "signature"]))
        if what == "country" and self._free_absent:
            country = len(COUNTRIES) + int(self._free_absent.pop())
            group = {"country": [country], "scattered": True, "proto": TCP}
        elif what == "signature" and self._free_rare:
            style = [self._free_rare.pop()]
            group = {"style": style, "proto": TCP, "scattered": True}
        else:
            group = {"dst_port": self._free_quiet.pop(), "proto": TCP}
        start = int(rng.integers(24 * 28, N_HOURS - 24 * 14))
        return self._burst("newcomer", {"flags": SYN} | group, [(start, N_HOURS)])

    def _trend(self) -> tuple[Phenomenon, Columns]:
        rng = self._rng
        proto, port = self._port()
        by_country, by_style = rng.random(2) < (0.7, 0.6)
        group = self._group(proto, port, by_country, by_style and proto == TCP)
        first = int(rng.integers(0, 40))
        last = int(rng.integers(first + 35, N_DAYS + 1))
        falls = rng.random() < 0.2
        hours = np.arange(N_HOURS)
        course = np.clip((hours - 24 * first) / (24 * (last - first)), 0, 1)
        course = 1 - course if falls else course
        if rng.random() < 0.4 and not falls:
            at = int(rng.integers(24 * first, 24 * last))
            course[at : at + int(rng.integers(6, 48))] *= 1.5
        usual, sd = self._usual(group, daily=True)
        # Packets of the slice change by this many a day, from end to end.
        change = 24 * self._size(sd / 24)
        cells = self._cells(group, course * change / 24)
        truth = self._truth("trend", group, cells, usual)
        truth.start, truth.end = FIRST_HOUR + 24 * first, FIRST_HOUR + 24 * last
        truth.lift = change / sd if sd else 0.0
        truth.per_hour = change / 24
        return truth, cells

    def _burst(
        self, kind: str, group: dict[str, Any], bursts: list[tuple[int, int]]
    ) -> tuple[Phenomenon, Columns]:
        usual, sd = self._usual(group)
        course = np.zeros(N_HOURS)
        size = group.get("per_hour") or self._size(sd)
        for start, end in bursts:
            course[start:end] = size
        cells = self._cells(group, course)
        truth = self._truth(kind, group, cells, usual)
        n_hours = max(1, len(np.unique(cells["hour"])))
        truth.per_hour = truth.packets / n_hours
        truth.lift = truth.per_hour / sd if sd else 0.0
        return truth, cells

    def _port(self, tcp: bool = False) -> tuple[int, int]:
        """Return a port that nothing was planted on; of the usual ones, mostly."""
        while self._free_ports and self._rng.random() < 0.75:
            proto, port, _ = PORTS[self._free_ports.pop()]
            if proto == TCP or not tcp:
                return proto, port
        return TCP, self._free_quiet.pop()

    def _group(
        self, proto: int, port: int, by_country: bool, by_style: bool
    ) -> dict[str, Any]:
        group: dict[str, Any] = {"proto": proto, "dst_port": port}
        group["flags"] = SYN if proto == TCP else 0
        if by_country:
            group["country"] = [self._free_countries.pop()]
        if by_style:
            group["style"] = [int(self._rng.integers(len(STYLES)))]
        if self._rng.random() < 0.12:
            group["sensor"] = self._always_on()
        return group

    def _always_on(self) -> int:
        return int(np.argmax(self._sensors.is_on.sum(axis=1)))

    def _members(self, group: dict[str, Any], cells: Columns) -> npt.NDArray[np.bool_]:
        """Return which cells of the background are in the slice of a group."""
        found = np.ones(len(cells["hour"]), np.bool_)
        if group["proto"] == TCP and "dst_port" not in group:
            found &= cells["proto"] == TCP
        if "dst_port" in group:
            found &= cells["proto"] == group["proto"]
            found &= cells["dst_port"] == group["dst_port"]
        if "country" in group:
            found &= np.isin(cells["country"], group["country"])
        if "style" in group:
            found &= cells["style"] == group["style"][0]
        if "sensor" in group:
            found &= cells["sensor"] == group["sensor"]
        if group.get("flags") == SYN_ACK:
            found &= cells["tcp_flags"] == SYN_ACK
        return found

    def _usual(self, group: dict[str, Any], daily: bool = False) -> tuple[float, float]:
        """Return the median packets of the slice's hours, and their deviation."""
        inside = self._members(group, self._background)
        by_hour = np.bincount(
            self._background["hour"][inside] - FIRST_HOUR,
            weights=self._background["packets"][inside],
            minlength=N_HOURS,
        )
        values = by_hour.reshape(-1, 24).sum(axis=1) if daily else by_hour
        median, high = np.quantile(values, [0.5, 0.8413]).tolist()
        # Counts have a tail upwards, of which the median of deviations knows nothing.
        spread = 1.4826 * float(np.median(np.abs(values - median)))
        deviation = max(spread, high - median)
        return median, deviation if median > 0 else 0.0

    def _cells(
        self, group: dict[str, Any], per_hour: npt.NDArray[np.float64]
    ) -> Columns:
        """Return cells with so many packets an hour, each source with a few."""
        rng, sensors = self._rng, self._sensors
        n_hosts = group.get("n_hosts")
        sizes, is_on = sensors.sizes.copy(), sensors.is_on
        if "sensor" in group:
            sizes = np.eye(len(sizes))[group["sensor"]]
        expected = per_hour[None, :] * sizes[:, None] * is_on
        # Two packets of a source, on average, or as many as there are for few hosts.
        n = (expected > 0) * n_hosts if n_hosts else rng.poisson(expected / 2)
        sensor, hour = np.nonzero(n)
        times = n[sensor, hour]
        sensor, hour = np.repeat(sensor, times), np.repeat(hour, times)
        cells = blank(len(hour))
        cells["hour"], cells["sensor"] = hour + FIRST_HOUR, sensor
        cells["proto"][:] = group["proto"]
        cells["tcp_flags"][:] = group["flags"]
        if n_hosts is None:
            cells["packets"] = rng.integers(1, 4, len(hour))
            countries = group.get("country") or list(range(len(COUNTRIES)))
            country = rng.choice(countries, len(hour))
            rank = rng.integers(0, 4000, len(hour))
            cells["src"] = self._hosts.at(country, 77 + rank * 16)
            cells["ip_ttl"] = 40 + cells["src"] * 31 % 80
        else:
            cells["packets"] = rng.poisson(expected[sensor, hour] / n_hosts)
            places = 259 * (_nth(times) + 1)
            cells["src"] = self._hosts.at(group["country"][0], places)
            cells["ip_ttl"][:] = group["ttl"]
        if "scattered" in group:
            cells["dst_port"] = rng.integers(1024, 65536, len(hour))
        else:
            cells["dst_port"][:] = group["dst_port"]
        if group["proto"] == TCP:
            styles = group.get("style") or list(range(len(STYLES)))
            cells["style"] = rng.choice(styles, len(hour))
        for name in ("src_port", "tcp_seq", "begin_s", "end_s"):
            if name in group:
                cells[name][:] = group[name]
        kept = cells["packets"] > 0
        cells = {name: values[kept] for name, values in cells.items()}
        return _spread(rng, cells) if "scattered" in group and n_hosts else cells

    def _truth(
        self, kind: str, group: dict[str, Any], cells: Columns, usual: float
    ) -> Phenomenon:
        """Return what was planted, named by the columns that tell it apart."""
        named: dict[str, Any] = {}
        fixed: dict[str, int] = {}
        fixed |= {
            name: group[name] for name in ("src_port", "tcp_seq") if name in group
        }
        if "dst_port" in group:
            named |= {"proto": group["proto"], "dst_port": group["dst_port"]}
        if "country" in group:
            named["country"] = CODES[group["country"][0]]
        if "style" in group:
            style = ALL_STYLES[group["style"][0]]
            named["tcp_window"] = style.window
            same = self._windows == style.window
            times = np.bincount(
                self._background["style"][self._background["proto"] == TCP],
                minlength=len(same),
            )
            if times[group["style"][0]] < _NARROWING * times[same].sum():
                named["signature"] = style.signature
        if group.get("flags") == SYN_ACK:
            named["traffic"] = "backscatter"
        if "sensor" in group:
            named["sensor"] = self._sensors.names[group["sensor"]]
        if kind in ("fixed", "attack"):
            fixed["tcp_window"] = named.pop("tcp_window")
            named.pop("signature", None)
            fixed["ip_ttl"] = group["ttl"]
        addresses = np.unique(cells["src"])
        if len(addresses) == 1:
            named["src"] = str(IPv4Address(int(addresses[0])))
        hours = cells["hour"]
        start = int(hours.min()) if len(hours) else FIRST_HOUR
        end = int(hours.max()) + 1 if len(hours) else FIRST_HOUR
        return Phenomenon(
            kind,
            start,
            end,
            named,
            fixed,
            packets=int(cells["packets"].sum()),
            sources=len(addresses),
            usual=usual,
        )


def _nth(times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return 0, 1, … for each repetition."""
    ends = np.cumsum(times)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - times, times)


def _spread(rng: np.random.Generator, cells: Columns) -> Columns:
    """Spread the packets of each cell over random ports, each with a few."""
    pieces = np.maximum(1, cells["packets"] // 2)
    spread = {name: np.repeat(values, pieces) for name, values in cells.items()}
    rest = spread["packets"] // np.repeat(pieces, pieces)
    extra = _nth(pieces) < np.repeat(cells["packets"] % pieces, pieces)
    spread["packets"] = rest + extra
    spread["dst_port"] = rng.integers(1024, 65536, len(rest))
    return spread
