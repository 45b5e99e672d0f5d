"""Cells of a scenario to rows of `counts` and `sources`, without captures between.

The rows are those that a reduce of the scenario's captures would give: the same cells,
merged where they have the same key, and the value that all packets of a row share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fastflow.schema import COUNTS, SOURCES
from fastflow.synth.cells import (
    ACK,
    EACH_ANOTHER,
    ICMP,
    ID_OF_MASSCAN,
    NO_STYLE,
    RST,
    SEQ_OF_MIRAI,
    SYN,
    TCP,
    UDP,
    Cells,
    Style,
    ip_lengths,
)
from fastflow.synth.draws import draw

_FIN = 1
_ICMP_ECHO = 8
_ICMP_BACKSCATTER = (0, 3, 4, 5, 11, 12, 14, 16, 18)
TRAFFIC = ("scan", "backscatter", "other")
_ZMAP_ID, _ZMAP_WINDOW = 54321, 65535
_TOOLS = ("mirai", "masscan", "zmap")
_HOUR_US = 3_600_000_000
#: IPv4 addresses as the store has them: in 16 bytes, the IPv4-mapped form.
_MAPPED = b"\0" * 10 + b"\xff\xff"
_CELL = ("hour", "sensor", "proto", "dst_port", "icmp_type", "traffic", "style", "tool")
#: Fields of which a row has the value that all of its packets share.
_SHARED = ("src_port", "tcp_seq", "ip_ttl")

Ints = npt.NDArray[np.int64]
_Rows = dict[str, Ints]


def tally(
    cells: Cells,
    *,
    sensors: Sequence[str],
    styles: Sequence[Style],
    countries: Mapping[str, tuple[int, int]],
) -> tuple[pa.Table, pa.Table]:
    """Return the rows of `counts` and `sources`, in the order of hours and sensors.

    Parameters
    ----------
    cells : Cells
        See `fastflow.synth.cells`.
    sensors, styles : sequence
        What cells have indices into; `input` is named by the sensor.
    countries : mapping of str to (int, int)
        The range of addresses of each country: the first, and how many. Others have
        none.
    """
    rows = _source_rows(cells, styles)
    text = _texts(rows, sensors, styles, countries)
    sources = _build(SOURCES, rows, text)
    order, begins = groups([*(rows[name] for name in _CELL), text["country"].indices])
    counts = {name: values[order[begins]] for name, values in rows.items()}
    for name in ("packets", "bytes"):
        counts[name] = np.add.reduceat(rows[name][order], begins)
    counts["sources"] = np.diff(np.append(begins, len(order)))
    first = pa.array(order[begins])
    return _build(COUNTS, counts, {n: one.take(first) for n, one in text.items()}), (
        sources
    )


def _source_rows(cells: Cells, styles: Sequence[Style]) -> _Rows:
    """Return one row per cell of the tally and source, as numbers, in order."""
    rows = {name: cells[name].astype(np.int64) for name in cells.dtype.names or ()}
    is_tcp = rows["proto"] == TCP
    rows["style"] = np.where(is_tcp, rows["style"], NO_STYLE)
    rows["traffic"] = traffic_of(rows)
    rows["tool"] = _tool(rows, np.array([one.window for one in styles] + [-1]))
    rows["bytes"] = rows["packets"] * ip_lengths(cells, styles)
    rows["src_port"] = np.where(rows["proto"] == ICMP, EACH_ANOTHER, rows["src_port"])
    rows["tcp_seq"] = np.where(is_tcp, rows["tcp_seq"], SEQ_OF_MIRAI)
    # A single packet shares its value with itself, whatever it is.
    bits = draw(0, np.arange(len(cells)))
    alone = rows["packets"] == 1
    values = {"src_port": bits % 0xFFFF, "tcp_seq": bits % 0xFFFFFFFF}
    for name, value in values.items():
        is_any = alone & (rows[name] == EACH_ANOTHER)
        if name == "src_port":
            is_any &= rows["proto"] != ICMP
        rows[name] = np.where(is_any, value.astype(np.int64), rows[name])
    order, begins = groups([rows[name] for name in (*_CELL, "src")])
    merged = {name: values[order[begins]] for name, values in rows.items()}
    for name in ("packets", "bytes"):
        merged[name] = np.add.reduceat(rows[name][order], begins)
    for name in _SHARED:
        values_of = rows[name][order]
        low = np.minimum.reduceat(values_of, begins)
        high = np.maximum.reduceat(values_of, begins)
        merged[name] = np.where(low == high, low, EACH_ANOTHER)
    return merged


def groups(keys: Sequence[Any]) -> tuple[Ints, Ints]:
    """Return an order in which equal keys stand together, and where groups begin."""
    order = np.lexsort(keys[::-1])
    is_new = np.zeros(len(order), np.bool_)
    is_new[:1] = True
    for key in keys:
        ordered = np.asarray(key)[order]
        is_new[1:] |= ordered[1:] != ordered[:-1]
    return order, np.flatnonzero(is_new)


def traffic_of(rows: Mapping[str, Any]) -> Ints:
    """Return the number of each cell's traffic in `TRAFFIC`."""
    flags, is_icmp, is_tcp = (
        rows["tcp_flags"],
        rows["proto"] == ICMP,
        rows["proto"] == TCP,
    )
    answers = (flags & RST != 0) | (flags & (SYN | ACK) == SYN | ACK)
    asks = flags & (SYN | ACK | RST | _FIN) == SYN
    icmp_answers = np.isin(rows["icmp_type"], _ICMP_BACKSCATTER)
    is_back = (is_tcp & answers) | (is_icmp & icmp_answers)
    is_scan = (is_tcp & asks) | (is_icmp & (rows["icmp_type"] == _ICMP_ECHO))
    is_scan |= rows["proto"] == UDP
    found: Ints = np.where(is_back, 1, np.where(is_scan, 0, 2))
    return found


def _tool(rows: _Rows, windows: Ints) -> Ints:
    """Return the number of the tool, whose formula holds for a SYN; -1: none."""
    is_syn = (rows["proto"] == TCP) & (rows["traffic"] == 0)
    zmap = (rows["ip_id"] == _ZMAP_ID) & (windows[rows["style"]] == _ZMAP_WINDOW)
    found: Ints = np.select(
        [
            is_syn & (rows["tcp_seq"] == SEQ_OF_MIRAI),
            is_syn & (rows["ip_id"] == ID_OF_MASSCAN),
            is_syn & zmap,
        ],
        [0, 1, 2],
        -1,
    )
    return found


def _texts(
    rows: _Rows,
    sensors: Sequence[str],
    styles: Sequence[Style],
    countries: Mapping[str, tuple[int, int]],
) -> dict[str, Any]:
    """Return the columns that are no numbers, as dictionaries."""
    return {
        "sensor": named(rows["sensor"], sensors),
        "country": countries_of(rows["src"], countries),
        "traffic": named(rows["traffic"], TRAFFIC),
        "signature": named(rows["style"], [style.signature for style in styles]),
        "tool": named(rows["tool"], _TOOLS),
        "input": named(rows["sensor"], [f"scenario-{sensor}" for sensor in sensors]),
        "src": addresses_of(rows["src"]),
    }


def countries_of(src: Ints, countries: Mapping[str, tuple[int, int]]) -> Any:
    """Return the countries of addresses, by their ranges; null: in none."""
    ranges = sorted((first, size, code) for code, (first, size) in countries.items())
    starts = np.array([first for first, _, _ in ranges])
    sizes = np.array([size for _, size, _ in ranges])
    at = np.maximum(np.searchsorted(starts, src, "right") - 1, 0)
    country = np.where(src - starts[at] < sizes[at], at, -1)
    return named(country, [code for _, _, code in ranges])


def addresses_of(src: Ints) -> Any:
    """Return IPv4 addresses as the store has them."""
    data = np.empty((len(src), 16), np.uint8)
    data[:, :12] = np.frombuffer(_MAPPED, np.uint8)
    data[:, 12:] = src.astype(">u4")[:, None].view(np.uint8)
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(src), [None, pa.py_buffer(data.tobytes())]
    ).cast(pa.binary())


def named(index: Ints, names: Sequence[str]) -> Any:
    """Return names by number; null below 0."""
    return pa.DictionaryArray.from_arrays(
        nullable(index.astype(np.int32), index >= 0), pa.array(names, pa.string())
    )


def nullable(values: npt.NDArray[Any], is_there: npt.NDArray[np.bool_]) -> Any:
    """Return values, null where they are not there."""
    return pa.array(values, mask=~is_there)


def _build(schema: pa.Schema, rows: _Rows, text: Mapping[str, Any]) -> pa.Table:
    """Return the table of a schema, out of numbers and texts."""
    is_icmp = rows["proto"] == ICMP
    columns: dict[str, Any] = {name: pa.array(values) for name, values in rows.items()}
    columns |= {
        **text,
        "hour": pa.array(rows["hour"] * _HOUR_US).cast(schema.field("hour").type),
        "dst_port": nullable(rows["dst_port"], ~is_icmp),
        "icmp_type": nullable(rows["icmp_type"], is_icmp),
        "ip_version": pa.array(np.full(len(is_icmp), 4)),
        # Sequence numbers that differ do so at random, but for the tools of `tool`.
        "tcp_seq_key": pa.nulls(len(is_icmp)),
        **{name: nullable(rows[name], rows[name] >= 0) for name in _SHARED},
    }
    return pa.table(
        [columns[field.name].cast(field.type) for field in schema], schema=schema
    )
