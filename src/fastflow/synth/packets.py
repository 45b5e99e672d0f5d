"""Cells into packets: what a packet has of its own is drawn from cell and number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from fastflow.synth.addresses import Station
from fastflow.synth.cells import ACK, EACH_ANOTHER, ID_OF_MASSCAN, SEQ_OF_MIRAI, Cells
from fastflow.synth.draws import Uint64s, below, draw
from fastflow.synth.frames import Packets

_HOUR_US = 3_600_000_000
#: Source ports of systems that choose another one for each connection.
_FIRST_PORT, _PORTS = 1024, 64_512


@dataclass(frozen=True)
class Drawn:
    """Packets of a day, in the order of their cells.

    Attributes
    ----------
    cell : array of int
        Which cell of the day each is of.
    cells : Cells
        That cell, packet by packet.
    bits : array of uint64
        What looks random of each.
    """

    cell: npt.NDArray[np.int64]
    cells: Cells
    bits: Uint64s

    @classmethod
    def of(cls, cells: Cells, chosen: npt.NDArray[np.int64], seed: int) -> Self:
        """Draw the packets of some cells of a day; others of the day change nothing."""
        counts = cells["packets"][chosen].astype(np.int64)
        cell = np.repeat(chosen, counts)
        nth = np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts)
        day = int(cells["hour"][0]) // 24
        return cls(cell, cells[cell], draw(seed, day, cell, nth))

    def take(self, order: npt.NDArray[np.int64]) -> Drawn:
        """Return some packets, in another order."""
        return Drawn(self.cell[order], self.cells[order], self.bits[order])

    def times_us(self) -> npt.NDArray[np.int64]:
        """Return when each packet is seen, in microseconds since 1970."""
        begins_us = self.cells["hour"].astype(np.int64) * _HOUR_US
        begins_us += self.cells["begin_s"].astype(np.int64) * 1_000_000
        spans_us = self.cells["end_s"].astype(np.int64) - self.cells["begin_s"]
        return begins_us + below(draw(0, self.bits), spans_us * 1_000_000)

    def destinations(self, stations: Sequence[Station]) -> npt.NDArray[np.uint32]:
        """Return the address of its sensor that each goes to."""
        sensor = self.cells["sensor"]
        firsts = np.array([station.first_address for station in stations])
        sizes = np.array([station.addresses for station in stations])
        places = below(draw(1, self.bits), sizes[sensor])
        found: npt.NDArray[np.uint32] = (firsts[sensor] + places).astype(np.uint32)
        return found

    def seqs(self, dst: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        """Return sequence numbers; Mirai's are destinations."""
        wanted = self.cells["tcp_seq"]
        others = np.where(wanted == SEQ_OF_MIRAI, dst, wanted)
        bits = draw(2, self.bits).astype(np.uint32)
        return np.where(wanted == EACH_ANOTHER, bits, others).astype(np.uint32)

    def acks(self) -> npt.NDArray[np.uint32]:
        """Return acknowledgement numbers, 0 where there are none."""
        bits = draw(3, self.bits).astype(np.uint32)
        has_ack = self.cells["tcp_flags"] & ACK != 0
        return np.where(has_ack, bits, 0).astype(np.uint32)

    def src_ports(self) -> npt.NDArray[np.int64]:
        """Return source ports."""
        wanted = self.cells["src_port"]
        drawn = _FIRST_PORT + below(draw(4, self.bits), _PORTS)
        return np.where(wanted == EACH_ANOTHER, drawn, wanted)

    def ip_ids(
        self, dst: npt.NDArray[np.uint32], seq: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.uint16]:
        """Return the identifiers of IP headers; masscan's are of the other fields."""
        of_masscan = dst ^ self.cells["dst_port"] ^ seq
        wanted = self.cells["ip_id"]
        others = np.where(wanted == ID_OF_MASSCAN, of_masscan, wanted)
        bits = draw(5, self.bits).astype(np.uint16)
        found = np.where(wanted == EACH_ANOTHER, bits, others)
        return (found & 0xFFFF).astype(np.uint16)


#: Columns of packets that are those of their cells.
_OF_CELLS = (
    "sensor",
    "src",
    "proto",
    "dst_port",
    "icmp_type",
    "tcp_flags",
    "style",
    "ip_ttl",
)


def make_packets(cells: Cells, stations: Sequence[Station], seed: int) -> Packets:
    """Return the packets of a day's cells as columns, by sensor and time."""
    drawn = Drawn.of(cells, np.arange(len(cells)), seed)
    drawn = drawn.take(np.lexsort((drawn.times_us(), drawn.cells["sensor"])))
    dst = drawn.destinations(stations)
    seq = drawn.seqs(dst)
    return {
        "ts_us": drawn.times_us(),
        "dst": dst,
        "tcp_seq": seq,
        "tcp_ack": drawn.acks(),
        "src_port": drawn.src_ports(),
        "ip_id": drawn.ip_ids(dst, seq),
        **{name: drawn.cells[name] for name in _OF_CELLS},
    }
