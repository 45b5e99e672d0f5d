"""Cells of a scenario to rows of `counts` and `sources`, without captures between.

The rows are those that a reduce of the scenario's captures would give: the same cells,
merged where they have the same key, and the value that all packets of a row share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fastflow.schema import COUNTS, SOURCES

#: What a field of a cell says where its packets have no common value: each another, or
#: the destination's address (`tcp_seq`), or masscan's formula (`ip_id`).
VARIES, OF_DESTINATION = -1, -2
_TCP, _UDP, _ICMP = 6, 17, 1
_PORT_PROTOCOLS = (6, 17, 132, 136, 33)
_SYN, _RST, _ACK, _FIN = 2, 4, 16, 1
_ICMP_BACKSCATTER = (0, 3, 4, 5, 11, 12, 14, 16, 18)
_ICMP_ECHO = 8
_TRAFFIC = ("scan", "backscatter", "other")
_ZMAP_ID, _ZMAP_WINDOW = 54321, 65535
_TOOLS = ("mirai", "masscan", "zmap")
_HOUR_US = 3_600_000_000
#: An IPv4 packet with a TCP header of no options, the least that a cell's packets have.
_HEADER_BYTES = {_TCP: 40, _UDP: 28, _ICMP: 28}
#: IPv4 addresses as the store has them: in 16 bytes, the IPv4-mapped form.
_MAPPED = b"\0" * 10 + b"\xff\xff"
_GROUP = ("hour", "sensor", "proto", "dst_port", "icmp_type", "traffic", "style")

Cells = Mapping[str, npt.NDArray[np.generic]]


def tally(
    cells: Cells,
    *,
    sensors: Sequence[str],
    styles: Sequence[tuple[int, str]],
    countries: Mapping[str, tuple[int, int]],
) -> tuple[pa.Table, pa.Table]:
    """Return the rows of `counts` and `sources`; the input is named by the sensor.

    Parameters
    ----------
    cells : mapping of str to array
        The columns of the table of cells.
    sensors : sequence of str
        Names, by the index that cells have.
    styles : sequence of (int, str)
        TCP window and signature of each style.
    countries : mapping of str to (int, int)
        The range of addresses of each country: the first, and how many. Others have
        none.
    """
    rows = _source_rows(cells, styles)
    text = _texts(rows, sensors, styles, countries)
    sources = _build(SOURCES, rows, text)
    key = [rows[name] for name in (*_GROUP, "country", "tool")]
    order, begins = _groups(key)
    first = order[begins]
    counts = {name: values[first] for name, values in rows.items()}
    for name in ("packets", "bytes"):
        counts[name] = np.add.reduceat(rows[name][order], begins)
    counts["sources"] = np.diff(np.append(begins, len(order)))
    text = {name: array.take(pa.array(first)) for name, array in text.items()}
    return _build(COUNTS, counts, text), sources


def _source_rows(
    cells: Cells, styles: Sequence[tuple[int, str]]
) -> dict[str, npt.NDArray[np.int64]]:
    """Return one row per cell of the tally and source, as numbers, in order."""
    rows = {name: values.astype(np.int64) for name, values in cells.items()}
    is_tcp = rows["proto"] == _TCP
    rows["style"] = np.where(is_tcp, rows["style"], -1)
    rows["traffic"] = _traffic(rows)
    windows = np.array([window for window, _ in styles] + [-1])
    rows["tool"] = _tool(rows, windows[rows["style"]])
    rows["bytes"] = rows["packets"] * np.select(
        [rows["proto"] == proto for proto in _HEADER_BYTES], _HEADER_BYTES.values(), 20
    )
    single = rows["packets"] == 1
    noise = _numbers(len(is_tcp))
    for name, most, is_there in (
        ("src_port", 0xFFFF, rows["proto"] != _ICMP),
        ("tcp_seq", 0xFFFFFFFF, is_tcp),
    ):
        # A single packet shares its value with itself, whatever it is.
        alone = np.where(single & (rows[name] == VARIES), noise & most, rows[name])
        rows[name] = np.where(is_there & (alone >= 0), alone, -1)
    rows["country"] = np.zeros_like(rows["src"])  # follows from src
    order, begins = _groups([rows[name] for name in (*_GROUP, "tool", "src")])
    merged = {name: values[order[begins]] for name, values in rows.items()}
    for name in ("packets", "bytes"):
        merged[name] = np.add.reduceat(rows[name][order], begins)
    for name in ("src_port", "tcp_seq", "ip_ttl"):
        values = rows[name][order]
        low, high = (of.reduceat(values, begins) for of in (np.minimum, np.maximum))
        merged[name] = np.where(low == high, low, -1)
    return merged


def _groups(
    keys: Sequence[npt.NDArray[np.int64]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return an order in which equal keys stand together, and where groups begin."""
    order = np.lexsort(keys[::-1])
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = False
    for key in keys:
        ordered = key[order]
        is_new[1:] |= ordered[1:] != ordered[:-1]
    return order, np.flatnonzero(is_new)


def _traffic(rows: Cells) -> npt.NDArray[np.int64]:
    flags, proto, icmp = rows["tcp_flags"], rows["proto"], rows["icmp_type"]
    answers = (flags & _RST != 0) | (flags & (_SYN | _ACK) == _SYN | _ACK)
    starts = flags & (_SYN | _ACK | _RST | _FIN) == _SYN
    is_icmp = proto == _ICMP
    scan = np.select([proto == _TCP, is_icmp], [starts, icmp == _ICMP_ECHO], True)
    backscatter = np.select(
        [proto == _TCP, is_icmp], [answers, np.isin(icmp, _ICMP_BACKSCATTER)], False
    )
    return np.where(backscatter, 1, np.where(scan, 0, 2))


def _tool(rows: Cells, windows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the number of the tool, whose formula holds for a SYN; -1: none."""
    is_syn = (rows["proto"] == _TCP) & (rows["traffic"] == 0)
    zmap = (rows["ip_id"] == _ZMAP_ID) & (windows == _ZMAP_WINDOW)
    found = [rows["tcp_seq"] == OF_DESTINATION, rows["ip_id"] == OF_DESTINATION, zmap]
    return np.select([is_syn & one for one in found], [0, 1, 2], -1)


def _texts(
    rows: Cells,
    sensors: Sequence[str],
    styles: Sequence[tuple[int, str]],
    countries: Mapping[str, tuple[int, int]],
) -> dict[str, pa.Array]:
    """Return the columns that are no numbers; `country` of `rows` is set as well."""
    ranges = sorted((first, size, code) for code, (first, size) in countries.items())
    starts = np.array([first for first, _, _ in ranges])
    sizes = np.array([size for _, size, _ in ranges])
    at = np.maximum(np.searchsorted(starts, rows["src"], "right") - 1, 0)
    country = np.where(rows["src"] - starts[at] < sizes[at], at, -1)
    rows["country"][:] = country
    src = np.empty((len(country), 16), np.uint8)
    src[:, :12] = np.frombuffer(_MAPPED, np.uint8)
    src[:, 12:] = rows["src"].astype(">u4")[:, None].view(np.uint8)
    names = [f"scenario-{sensor}" for sensor in sensors]
    return {
        "sensor": _named(rows["sensor"], sensors),
        "country": _named(country, [code for _, _, code in ranges]),
        "traffic": _named(rows["traffic"], _TRAFFIC),
        "signature": _named(rows["style"], [text for _, text in styles]),
        "tool": _named(rows["tool"], _TOOLS),
        "input": _named(rows["sensor"], names),
        "src": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), len(country), [None, pa.py_buffer(src.tobytes())]
        ).cast(pa.binary()),
    }


def _named(index: npt.NDArray[np.int64], names: Sequence[str]) -> pa.Array:
    return pa.array(names, pa.string()).take(_nullable(index, index >= 0))


def _nullable(
    values: npt.NDArray[np.int64], is_there: npt.NDArray[np.bool_]
) -> pa.Array:
    return pa.array(values, mask=~is_there)


def _build(
    schema: pa.Schema,
    rows: Cells,
    text: Mapping[str, pa.Array],
) -> pa.Table:
    """Return the table of a schema, out of numbers and texts."""
    has_ports = np.isin(rows["proto"], _PORT_PROTOCOLS)
    columns: dict[str, pa.Array] = {
        **text,
        "hour": pa.array(rows["hour"] * _HOUR_US).cast(schema.field("hour").type),
        "dst_port": _nullable(rows["dst_port"], has_ports),
        "icmp_type": _nullable(rows["icmp_type"], rows["proto"] == _ICMP),
        "ip_version": pa.array(np.full(len(has_ports), 4)),
    }
    for name in ("src_port", "tcp_seq"):
        columns[name] = _nullable(rows[name], rows[name] >= 0)
    columns["ip_ttl"] = _nullable(rows["ip_ttl"], rows["ip_ttl"] >= 0)
    return pa.table(
        [
            columns.get(
                field.name, pa.array(rows[field.name]) if field.name in rows else None
            ).cast(field.type)
            for field in schema
        ],
        schema=schema,
    )


def _numbers(n: int) -> npt.NDArray[np.int64]:
    """Return numbers that look random, the same on every machine (splitmix64)."""
    z = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z >> np.uint64(32)).astype(np.int64)
