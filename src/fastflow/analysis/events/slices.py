"""Slices of the traffic: the dimensions they are cut along, and the cuts looked at.

A slice is a mapping of dimensions to values, each a tuple of the dimension's columns;
`{}` is all traffic. Order of dimensions is that of `DIMENSIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastflow.analysis.keys import WINDOW
from fastflow.analysis.where import Conditions

Value = tuple[Any, ...]
Slice = Mapping[str, Value]


@dataclass(frozen=True)
class Dimension:
    """One way to tell packets apart.

    Attributes
    ----------
    columns : mapping of str to str
        Packet columns, and what they are in SQL over the store's tables.
    is_there : str
        SQL: a row has a value.
    of_sources : bool
        Only `sources` has it.
    """

    columns: Mapping[str, str]
    is_there: str
    of_sources: bool = False


def _plain(name: str, of_sources: bool = False) -> Dimension:
    return Dimension({name: name}, f"{name} is not null", of_sources)


_WINDOW = f"try_cast({WINDOW} as integer)"
#: A /24 of IPv4, by its number; networks of IPv6 are left out.
_NETWORK = (
    "case ip_version when 4 then ((src::uuid::uhugeint & 4294967295) >> 8)::bigint end"
)

DIMENSIONS = {
    "service": Dimension(
        {"proto": "proto", "dst_port": "dst_port", "icmp_type": "icmp_type"},
        "coalesce(dst_port, icmp_type) is not null",
    ),
    "country": _plain("country"),
    "traffic": _plain("traffic"),
    "tool": _plain("tool"),
    "window": Dimension({"tcp_window": _WINDOW}, "tcp_window is not null"),
    "signature": Dimension(
        {"tcp_window": _WINDOW, "signature": "signature"}, "signature is not null"
    ),
    "sensor": _plain("sensor"),
    "source": Dimension({"src": "src", "ip_version": "ip_version"}, "true", True),
    "src_port": _plain("src_port", of_sources=True),
    "tcp_seq": _plain("tcp_seq", of_sources=True),
    "ip_ttl": _plain("ip_ttl", of_sources=True),
    "network": Dimension({"network": _NETWORK}, "network is not null", True),
}

#: What an event may be named by, from what people ask first.
NAMEABLE = (
    "service",
    "country",
    "traffic",
    "window",
    "tool",
    "signature",
    "sensor",
    "source",
)
#: Header fields that may be constant.
FIELDS = ("window", "tcp_seq", "src_port", "ip_ttl")

#: The cuts whose series are looked at. What is between them is found by narrowing.
ROLLUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "counts": (
        (),
        ("service",),
        ("country",),
        ("traffic",),
        ("tool",),
        ("window",),
        ("signature",),
        ("service", "country"),
        ("service", "window"),
        ("country", "window"),
        ("country", "traffic"),
        ("service", "country", "window"),
        ("country", "traffic", "window"),
    ),
    # Groups with a header field in common, and networks.
    "sources": (("country", "src_port"), ("country", "tcp_seq"), ("network",)),
}


def columns_of(dimensions: tuple[str, ...]) -> dict[str, str]:
    """Return the columns of dimensions, each once, and their SQL."""
    return {
        name: sql
        for dimension in dimensions
        for name, sql in DIMENSIONS[dimension].columns.items()
    }


def add_conditions(conditions: Conditions, chosen: Slice) -> None:
    """Add the condition that rows lie in a slice.

    Windows are not taken out of each row's signature: that takes longer than all else.
    """
    for dimension, value in chosen.items():
        columns = DIMENSIONS[dimension].columns
        if dimension == "window" and value != (None,):
            conditions.add("starts_with(signature, ?)", f"{value[0]}:")
            continue
        for name, part in zip(columns, value, strict=True):
            if dimension == "signature" and name == "tcp_window":
                continue  # the signature says it
            if part is None:
                conditions.add(f"{columns[name]} is null")
            else:
                conditions.add(f"{columns[name]} = ?", part)


def as_columns(chosen: Slice) -> dict[str, Any]:
    """Return a slice as packet columns, those without a value left out."""
    return {
        name: part
        for dimension in DIMENSIONS
        if dimension in chosen
        for name, part in zip(
            DIMENSIONS[dimension].columns, chosen[dimension], strict=True
        )
        if part is not None
    }


def in_order(chosen: Slice) -> dict[str, Value]:
    """Return the slice with its dimensions in the order of `DIMENSIONS`."""
    return {name: chosen[name] for name in DIMENSIONS if name in chosen}
