"""Cells into captures: `SENSOR/DAY.pcap`, their packets in the order of time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

import numpy as np

from fastflow.complete_file import complete_file
from fastflow.synth.addresses import Station
from fastflow.synth.cells import (
    ICMP,
    ID_OF_MASSCAN,
    TCP,
    UDP,
    Cells,
    Style,
)
from fastflow.synth.frames import Packets, file_header, records
from fastflow.synth.packets import make_packets
from fastflow.zones import hour_at

#: So many packets are bytes at a time: 16 MB of them, at most.
_PIECE_PACKETS = 1 << 16


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
    packets = make_packets(cells, stations, seed)
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
