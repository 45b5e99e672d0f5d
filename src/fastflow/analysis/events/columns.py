"""The columns that tell rows apart, and the values that dimensions have there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastflow.addresses import last_words
from fastflow.analysis.events.codes import Small
from fastflow.analysis.events.slices import Value

#: What rows of each table are told apart by, and the stored columns it is made of.
COLUMNS = {
    "counts": {
        "service": ("proto", "dst_port", "icmp_type"),
        "country": ("country",),
        "traffic": ("traffic",),
        "tool": ("tool",),
        "signature": ("signature",),
    },
    "sources": {
        "country": ("country",),
        "src_port": ("src_port",),
        "tcp_seq": ("tcp_seq",),
        "network": ("src", "ip_version"),
    },
}
#: Of a column without one of these there is the dimension of its name.
DIMENSIONS_OF = {"signature": ("window", "signature")}


def column_of(rows: pa.Table, name: str, parts: Sequence[str]) -> pa.ChunkedArray:
    """Return one column of those that are stored."""
    if name not in _MADE:
        return rows[name]
    pieces = [_MADE[name](*one.columns) for one in rows.select(parts).to_batches()]
    return pa.chunked_array([pa.array([], pa.int64()), *pieces])


def _services(*parts: pa.Array) -> pa.Array:
    """Return protocol, port and ICMP type as one number."""
    proto, port, icmp_type = (
        pc.fill_null(pc.add(part.cast(pa.int64()), 1), 0).to_numpy() for part in parts
    )
    return pa.array((proto - 1) << 34 | port << 17 | icmp_type)


def _networks(source: pa.Array, ip_version: pa.Array) -> pa.Array:
    """Return the /24 of each address of IPv4, by its number; null for IPv6."""
    numbers = (last_words(source) >> 8).astype(np.int64)
    return pa.array(numbers, mask=ip_version.to_numpy() != 4)


#: Columns that are made of stored ones.
_MADE = {"service": _services, "network": _networks}


def numbers_of(dimension: str, column: str, values: pa.Array) -> Small:
    """Return which value of a dimension each value of a column has; -1: none.

    Values are numbered from 0 on.
    """
    if dimension == "window":
        parts = pc.extract_regex(values, "^(?P<window>[0-9]+):")
        heads = pc.struct_field(parts, "window").cast(pa.int64())
        found: Small = heads.dictionary_encode().indices.fill_null(-1).to_numpy()
        return found
    numbers = np.arange(len(values), dtype=np.int32)
    if column == "service":
        numbers[values.to_numpy() & (1 << 34) - 1 == 0] = -1
    return numbers


def value_of(dimension: str, value: Any) -> Value:
    """Return the value of a dimension that a column's value has."""
    if dimension == "service":
        port, icmp_type = value >> 17 & 0x1FFFF, value & 0x1FFFF
        parts = (part - 1 if part else None for part in (port, icmp_type))
        return value >> 34, *parts
    if dimension in ("window", "signature"):
        window = value.partition(":")[0]
        number = int(window) if window.isdecimal() else None
        return (number,) if dimension == "window" else (number, value)
    return (value,)
