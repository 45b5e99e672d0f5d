"""Cells into captures: `SENSOR/DAY.pcap`, their packets in the order of time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fastflow.complete_file import complete_file
from fastflow.synth.addresses import Station
from fastflow.synth.cells import (
    ACK,
    EACH_ANOTHER,
    ICMP,
    ID_OF_MASSCAN,
    SEQ_OF_MIRAI,
    TCP,
    UDP,
    Cells,
    Style,
)
from fastflow.synth.draws import Uint64s, below, draw
from fastflow.synth.frames import Packets, file_header, records
from fastflow.zones import hour_at

_HOUR_US = 3_600_000_000
#: So many packets are bytes at a time: 16 MB of them, at most.
_PIECE_PACKETS = 1 << 16
#: Source ports of systems that choose another one for each connection.
_FIRST_PORT, _PORTS = 1024, 64_512


def write_day(
    cells: Cells,
    styles: Sequence[Style],
    stations: Sequence[Station],
    out_dir: str | os.PathLike[str],
    seed: int,
) -> int:
    """Write the captures of a day (UTC), one for each sensor that has cells.

    Parameters
    ----------
    cells : Cells
        All of the day's; see `fastflow.synth.cells`.
    styles, stations : sequence
        What `style` and `sensor` are indices into.
    out_dir : path
        Gets `<name of the sensor>/<day>.pcap`.
    seed : int
        The same seed and cells, in the same order, give the same bytes.

    Returns
    -------
    int
        Packets written.

    Raises
    ------
    ValueError
        The cells are of several days, or one cannot be written.
    ConfigError, FastflowError
        A file cannot be made, or not be written to its end.
    """
    if not len(cells):
        return 0
    _check(cells, len(styles), len(stations))
    packets = _packets(cells, stations, seed)
    name = f"{hour_at(int(cells['hour'][0])):%Y-%m-%d}.pcap"
    for sensor, pieces in groupby(_pieces(packets, styles), key=itemgetter(0)):
        path = Path(out_dir) / stations[sensor].name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with complete_file(path) as file:
            file.write(file_header())
            for _, piece in pieces:
                file.write(piece)
    return len(packets["src"])


def _pieces(
    packets: Packets, styles: Sequence[Style]
) -> Iterator[tuple[int, memoryview]]:
    """Yield records of packets, and the sensor that each piece is of."""
    for start in range(0, len(packets["src"]), _PIECE_PACKETS):
        piece = slice(start, start + _PIECE_PACKETS)
        chosen = {name: column[piece] for name, column in packets.items()}
        data, ends = records(chosen, styles)
        sensors, firsts = np.unique(chosen["sensor"], return_index=True)
        offsets = np.append(0, ends)[np.append(firsts, len(ends))].tolist()
        for sensor, (begin, end) in zip(
            sensors.tolist(), pairwise(offsets), strict=True
        ):
            yield sensor, memoryview(data)[begin:end]


def _check(cells: Cells, n_styles: int, n_stations: int) -> None:
    days = cells["hour"] // 24
    if days.min() != days.max():
        first, last = (hour_at(24 * int(day)) for day in (days.min(), days.max()))
        raise ValueError(f"cells from {first:%Y-%m-%d} to {last:%Y-%m-%d}: one day")
    is_tcp = cells["proto"] == TCP
    wrong = {
        "proto": ~np.isin(cells["proto"], (ICMP, TCP, UDP)),
        "style": is_tcp & ((cells["style"] < 0) | (cells["style"] >= n_styles)),
        "sensor": (cells["sensor"] < 0) | (cells["sensor"] >= n_stations),
        "end_s": (cells["end_s"] <= cells["begin_s"]) | (cells["end_s"] > 3600),
        "ip_id": (cells["ip_id"] == ID_OF_MASSCAN) & ~is_tcp,
    }
    for name, is_wrong in wrong.items():
        if is_wrong.any():
            at = int(np.flatnonzero(is_wrong)[0])
            raise ValueError(f"cell {at}: {name} {cells[name][at]} cannot be written")


def _packets(cells: Cells, stations: Sequence[Station], seed: int) -> Packets:
    """Return the packets of cells as columns, by sensor and time."""
    counts = cells["packets"].astype(np.int64)
    cell = np.repeat(np.arange(len(cells)), counts)
    nth = np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts)
    bits = draw(seed, int(cells["hour"][0]) // 24, cell, nth)
    times_us = _times_us(cells, cell, draw(0, bits))
    order = np.lexsort((times_us, cells["sensor"][cell]))
    cell, bits = cell[order], bits[order]
    chosen = cells[cell]
    dst = _destinations(chosen["sensor"], stations, draw(1, bits))
    seq = _seqs(chosen["tcp_seq"], dst, draw(2, bits))
    acks = draw(3, bits).astype(np.uint32)
    return {
        "ts_us": times_us[order],
        "dst": dst,
        "tcp_seq": seq,
        "tcp_ack": np.where(chosen["tcp_flags"] & ACK, acks, 0),
        "src_port": _src_ports(chosen["src_port"], draw(4, bits)),
        "ip_id": _ip_ids(chosen, dst, seq, draw(5, bits)),
        **{
            name: chosen[name]
            for name in (
                "sensor",
                "src",
                "proto",
                "dst_port",
                "icmp_type",
                "tcp_flags",
                "style",
                "ip_ttl",
            )
        },
    }


def _times_us(
    cells: Cells, cell: npt.NDArray[np.int64], bits: Uint64s
) -> npt.NDArray[np.int64]:
    """Return the time of each packet of these cells, in microseconds since 1970."""
    begins_us = cells["hour"].astype(np.int64) * _HOUR_US
    begins_us += cells["begin_s"].astype(np.int64) * 1_000_000
    spans_us = (cells["end_s"].astype(np.int64) - cells["begin_s"]) * 1_000_000
    return begins_us[cell] + below(bits, spans_us[cell])


def _destinations(
    sensor: npt.NDArray[np.int16], stations: Sequence[Station], bits: Uint64s
) -> npt.NDArray[np.uint32]:
    firsts = np.array([station.first_address for station in stations])
    sizes = np.array([station.addresses for station in stations])
    return (firsts[sensor] + below(bits, sizes[sensor])).astype(np.uint32)


def _seqs(
    wanted: npt.NDArray[np.int64], dst: npt.NDArray[np.uint32], bits: Uint64s
) -> npt.NDArray[np.uint32]:
    others = np.where(wanted == SEQ_OF_MIRAI, dst, wanted)
    found = np.where(wanted == EACH_ANOTHER, bits.astype(np.uint32), others)
    return found.astype(np.uint32)


def _src_ports(wanted: npt.NDArray[np.int32], bits: Uint64s) -> npt.NDArray[np.int64]:
    return np.where(wanted == EACH_ANOTHER, _FIRST_PORT + below(bits, _PORTS), wanted)


def _ip_ids(
    cells: Cells,
    dst: npt.NDArray[np.uint32],
    seq: npt.NDArray[np.uint32],
    bits: Uint64s,
) -> npt.NDArray[np.uint16]:
    of_masscan = dst ^ cells["dst_port"] ^ seq
    wanted = cells["ip_id"]
    others = np.where(wanted == ID_OF_MASSCAN, of_masscan, wanted)
    found = np.where(wanted == EACH_ANOTHER, bits.astype(np.uint16), others)
    return (found & 0xFFFF).astype(np.uint16)
