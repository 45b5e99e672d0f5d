"""The bursts from New Zealand, end of August 2020: answers of victims, and probes.

They keep a size that can be seen however few packets the rest of the scenario has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastflow.synth.addresses import CountryAddresses
from fastflow.synth.cells import Cells, make_cells
from fastflow.synth.course import FIRST_HOUR, day_number
from fastflow.synth.draws import Int64s, below, draw, quotas
from fastflow.synth.senders import BURST_ANSWER, BURST_TELNET, Sender

COUNTRY = "NZ"
TELNET = 23
#: Length of the holders' networks.
NETWORK_PREFIX = 24


@dataclass(frozen=True)
class Burst:
    """What some addresses send on one day.

    Attributes
    ----------
    day : str
        ISO 8601; the same one in UTC and in Tokyo, by the hours below.
    holder : int
        Index into `HOLDERS`.
    hosts : tuple of int
        The addresses within the holder's network.
    """

    day: str
    holder: int
    hosts: tuple[int, ...]


#: Who holds the addresses; two networks of the country table stand in for theirs.
HOLDERS = ("stock exchange", "bank")
BURSTS = (
    Burst("2020-08-27", 0, (17, 18, 33, 34)),
    Burst("2020-08-30", 0, (65,)),
    Burst("2020-08-31", 1, (9, 10, 11, 24, 25, 40, 41)),
)

#: UTC: 11 and 13 o'clock in Tokyo.
_ANSWERS_AT, _TELNET_AT = 2, 4
#: Packets of an address at scale 1, and the fewest.
_ANSWERS, _FEWEST_ANSWERS = 600, 100
_TELNETS, _FEWEST_TELNETS = 150, 70
#: From one address to the next.
_APART_S = 240
#: An answer each 0.72 s, or a probe each 3 s. The fewest answers take over a minute,
#: and more than 30 a minute reach the sensors in Japan: enough for an attack.
_ANSWER_MS, _TELNET_MS = 720, 3000
_LONGEST_S = 1800
_HOPS = 14
_FIRST_HIGH_PORT, _HIGH_PORTS = 1024, 64_512


class Bursts:
    """The cells of the bursts.

    Parameters
    ----------
    scale : float
        Of the scenario.
    n_addresses : sequence of int
        Of each sensor: packets are in proportion to them.
    addresses : CountryAddresses
        Of countries, New Zealand among them.
    """

    def __init__(
        self, scale: float, n_addresses: Sequence[int], addresses: CountryAddresses
    ) -> None:
        self.networks = addresses.networks(COUNTRY, NETWORK_PREFIX, len(HOLDERS))
        answers = max(_FEWEST_ANSWERS, int(_ANSWERS * scale))
        telnets = max(_FEWEST_TELNETS, int(_TELNETS * scale))
        self._answers = quotas(answers, n_addresses)
        self._telnets = quotas(telnets, n_addresses)
        #: In all.
        self.packets = (answers + telnets) * sum(len(one.hosts) for one in BURSTS)

    def day(self, day: int) -> Cells:
        """Return the cells of a day (UTC) of the scenario, 0 for the first."""
        return np.concatenate([make_cells(0), *self._day(day)])

    def _day(self, day: int) -> Iterator[Cells]:
        for burst in BURSTS:
            if day_number(burst.day) == day:
                for nth, host in enumerate(burst.hosts):
                    src = self.networks[burst.holder] + host
                    begin_s = 60 + nth * _APART_S
                    yield _answers(day, src, begin_s, self._answers)
                    yield _telnets(day, src, begin_s, self._telnets)


def _answers(day: int, src: int, begin_s: int, packets: Int64s) -> Cells:
    """Return what a victim answers to forged packets: each has come from a port."""
    sensor = np.repeat(np.arange(len(packets)), packets)
    bits = draw(src, day, np.arange(len(sensor)))
    ports = _FIRST_HIGH_PORT + below(bits, _HIGH_PORTS)
    cells = _cells(BURST_ANSWER, src, day * 24 + _ANSWERS_AT, sensor)
    cells["dst_port"] = ports
    return _timed(cells, begin_s, len(sensor) * _ANSWER_MS)


def _telnets(day: int, src: int, begin_s: int, packets: Int64s) -> Cells:
    sensor = np.flatnonzero(packets)
    cells = _cells(BURST_TELNET, src, day * 24 + _TELNET_AT, sensor)
    cells["dst_port"] = TELNET
    cells["packets"] = packets[sensor]
    return _timed(cells, begin_s, int(packets.sum()) * _TELNET_MS)


def _cells(sender: Sender, src: int, hour: int, sensor: npt.NDArray[np.int64]) -> Cells:
    return make_cells(
        len(sensor),
        hour=FIRST_HOUR + hour,
        sensor=sensor,
        src=src,
        style=sender.first_style,
        tcp_flags=sender.flags,
        tcp_seq=sender.seq,
        src_port=sender.src_ports[0],
        ip_ttl=sender.ttl - _HOPS,
    )


def _timed(cells: Cells, begin_s: int, span_ms: int) -> Cells:
    cells["begin_s"] = begin_s
    cells["end_s"] = begin_s + min(span_ms // 1000, _LONGEST_S)
    return cells
