"""Cells of a scenario to rows of `backscatter`, without captures between.

The packets that a capture would have of these cells are drawn, and no others; their
victims, bins and ports make the rows that a reduce of the captures would give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fastflow.schema import BACKSCATTER
from fastflow.synth.cells import ICMP, SEQ_OF_MIRAI, TCP, Cells, Style, by_day
from fastflow.synth.frames import ERRORS, QUOTED_PORT
from fastflow.synth.packets import Drawn
from fastflow.synth.tallies import (
    TRAFFIC,
    Ints,
    addresses_of,
    countries_of,
    groups,
    named,
    nullable,
    traffic_of,
)

_BIN_US, _HOUR_US = 10_000_000, 3_600_000_000
#: Ports of a victim that a row keeps (`fastflow.stages.echoes.N_PORTS`).
_N_PORTS = 16
#: Instead of a value: the packet has none.
_NONE = -1
_KEY = ("hour", "sensor", "src")
_SHARED = ("src_port", "tcp_seq", "ip_ttl", "tcp_window")


def tally_echoes(
    cells: Cells,
    *,
    seed: int,
    sensors: Sequence[str],
    styles: Sequence[Style],
    countries: Mapping[str, tuple[int, int]],
) -> pa.Table:
    """Return the rows of `backscatter`, in the order of hours, sensors and victims.

    Parameters
    ----------
    seed : int
        That of the captures; the others are those of `fastflow.synth.tallies.tally`.
    """
    days = [_echoes(day, seed, styles) for day in by_day(cells)]
    packets = {name: np.concatenate([day[name] for day in days]) for name in days[0]}
    order, begins = groups([packets[name] for name in _KEY])
    packets = {name: values[order] for name, values in packets.items()}
    row = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(order)))
    firsts = {name: packets[name][begins] for name in _KEY}
    shared = {name: _shared(packets[name], begins) for name in _SHARED}
    columns = {
        "hour": pa.array(firsts["hour"] * _HOUR_US),
        "sensor": named(firsts["sensor"], sensors),
        "country": countries_of(firsts["src"], countries),
        "src": addresses_of(firsts["src"]),
        "ip_version": pa.array(np.full(len(begins), 4)),
        "packets": pa.array(np.bincount(row, minlength=len(begins))),
        **_bins(row, packets["bin"], len(begins)),
        "ports": _ports(row, packets["src_port"], len(begins)),
        **{name: nullable(one, one != _NONE) for name, one in shared.items()},
        "input": named(firsts["sensor"], [f"scenario-{name}" for name in sensors]),
    }
    return pa.table(
        [columns[field.name].cast(field.type) for field in BACKSCATTER],
        schema=BACKSCATTER,
    )


def _echoes(day: Cells, seed: int, styles: Sequence[Style]) -> dict[str, Ints]:
    """Return the packets of backscatter of a day's cells, as columns."""
    is_answer = traffic_of({n: day[n] for n in day.dtype.names or ()})
    chosen = np.flatnonzero(is_answer == TRAFFIC.index("backscatter"))
    drawn = Drawn.of(day, chosen, seed)
    cells = drawn.cells
    is_tcp = cells["proto"] == TCP
    is_error = (cells["proto"] == ICMP) & np.isin(cells["icmp_type"], ERRORS)
    windows = np.array([style.window for style in styles] + [_NONE])
    # A sequence number that is the destination is not told.
    has_seq = is_tcp & (cells["tcp_seq"] != SEQ_OF_MIRAI)
    seqs = drawn.seqs(np.zeros(len(cells), np.uint32)).astype(np.int64)
    port_of_others = np.where(is_error, QUOTED_PORT, _NONE)
    return {
        **{name: cells[name].astype(np.int64) for name in (*_KEY, "ip_ttl")},
        "bin": drawn.times_us() // _BIN_US,
        "src_port": np.where(is_tcp, drawn.src_ports(), port_of_others),
        "tcp_seq": np.where(has_seq, seqs, _NONE),
        "tcp_window": np.where(is_tcp, windows[cells["style"]], _NONE),
    }


def _shared(values: Ints, begins: Ints) -> Ints:
    """Return the value that the packets of each row share; `_NONE`: they differ."""
    if not len(begins):
        return values
    low = np.minimum.reduceat(values, begins)
    high = np.maximum.reduceat(values, begins)
    found: Ints = np.where(low == high, low, _NONE)
    return found


def _bins(row: Ints, bins: Ints, n_rows: int) -> dict[str, pa.Array]:
    """Return the bins of each row in order, and how many packets each has."""
    keys, packets = np.unique(np.stack([row, bins]), axis=1, return_counts=True)
    return {
        "bins": _lists(keys[0], keys[1], n_rows),
        "bin_packets": _lists(keys[0], packets, n_rows),
    }


def _ports(row: Ints, ports: Ints, n_rows: int) -> pa.Array:
    """Return the least ports of each row, in order."""
    has_port = ports != _NONE
    rows, found = np.unique(np.stack([row, ports])[:, has_port], axis=1)
    place = np.arange(len(rows)) - np.searchsorted(rows, np.arange(n_rows))[rows]
    kept = place < _N_PORTS
    return _lists(rows[kept], found[kept], n_rows)


def _lists(row: Ints, values: npt.NDArray[np.int64], n_rows: int) -> pa.Array:
    offsets = np.append(0, np.cumsum(np.bincount(row, minlength=n_rows)))
    return pa.ListArray.from_arrays(
        pa.array(offsets.astype(np.int32)), pa.array(values)
    )
