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
_TRAFFIC = ("scan", "backscatter", "other")
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
    order, begins = _groups([*(rows[name] for name in _CELL), text["country"].indices])
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
    rows["traffic"] = _traffic(rows)
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
    order, begins = _groups([rows[name] for name in (*_CELL, "src")])
    merged = {name: values[order[begins]] for name, values in rows.items()}
    for name in ("packets", "bytes"):
        merged[name] = np.add.reduceat(rows[name][order], begins)
    for name in _SHARED:
        values_of = rows[name][order]
        low = np.minimum.reduceat(values_of, begins)
        high = np.maximum.reduceat(values_of, begins)
        merged[name] = np.where(low == high, low, EACH_ANOTHER)
    return merged


def _groups(keys: Sequence[Any]) -> tuple[Ints, Ints]:
    """Return an order in which equal keys stand together, and where groups begin."""
    order = np.lexsort(keys[::-1])
    is_new = np.zeros(len(order), np.bool_)
    is_new[:1] = True
    for key in keys:
        ordered = np.asarray(key)[order]
        is_new[1:] |= ordered[1:] != ordered[:-1]
    return order, np.flatnonzero(is_new)


def _traffic(rows: _Rows) -> Ints:
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
    ranges = sorted((first, size, code) for code, (first, size) in countries.items())
    starts = np.array([first for first, _, _ in ranges])
    sizes = np.array([size for _, size, _ in ranges])
    at = np.maximum(np.searchsorted(starts, rows["src"], "right") - 1, 0)
    country = np.where(rows["src"] - starts[at] < sizes[at], at, -1)
    src = np.empty((len(country), 16), np.uint8)
    src[:, :12] = np.frombuffer(_MAPPED, np.uint8)
    src[:, 12:] = rows["src"].astype(">u4")[:, None].view(np.uint8)
    return {
        "sensor": _named(rows["sensor"], sensors),
        "country": _named(country, [code for _, _, code in ranges]),
        "traffic": _named(rows["traffic"], _TRAFFIC),
        "signature": _named(rows["style"], [style.signature for style in styles]),
        "tool": _named(rows["tool"], _TOOLS),
        "input": _named(rows["sensor"], [f"scenario-{sensor}" for sensor in sensors]),
        "src": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), len(country), [None, pa.py_buffer(src.tobytes())]
        ).cast(pa.binary()),
    }


def _named(index: Ints, names: Sequence[str]) -> Any:
    return pa.DictionaryArray.from_arrays(
        _nullable(index.astype(np.int32), index >= 0), pa.array(names, pa.string())
    )


def _nullable(values: npt.NDArray[Any], is_there: npt.NDArray[np.bool_]) -> Any:
    return pa.array(values, mask=~is_there)


def _build(schema: pa.Schema, rows: _Rows, text: Mapping[str, Any]) -> pa.Table:
    """Return the table of a schema, out of numbers and texts."""
    is_icmp = rows["proto"] == ICMP
    columns: dict[str, Any] = {name: pa.array(values) for name, values in rows.items()}
    columns |= {
        **text,
        "hour": pa.array(rows["hour"] * _HOUR_US).cast(schema.field("hour").type),
        "dst_port": _nullable(rows["dst_port"], ~is_icmp),
        "icmp_type": _nullable(rows["icmp_type"], is_icmp),
        "ip_version": pa.array(np.full(len(is_icmp), 4)),
        # Sequence numbers that differ do so at random, but for the tools of `tool`.
        "tcp_seq_key": pa.nulls(len(is_icmp)),
        **{name: _nullable(rows[name], rows[name] >= 0) for name in _SHARED},
    }
    return pa.table(
        [columns[field.name].cast(field.type) for field in schema], schema=schema
    )
