"""What partners may see of source rows: the slow, obvious twin of `store.shared`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from reduced import CELL, source_row

Row = dict[str, Any]
STEPS: tuple[list[str], ...] = (
    [],
    ["signature", "tool"],
    ["country"],
    ["dst_port", "icmp_type"],
    ["proto", "traffic"],
    ["hour"],
)
COLUMNS = [name for name in CELL if name != "sensor"]


def shared(
    rows: Iterable[Mapping[str, Any]],
    *,
    every: str,
    min_packets: int,
    min_sensors: int,
    end: datetime,
) -> tuple[list[Row], int]:
    """Return the rows that are published, in no order, and the packets withheld."""
    rest = [source_row(**row) for row in rows]
    rest = [row for row in rest if row["hour"] < end]
    if every == "day":
        rest = [row | {"hour": row["hour"].replace(hour=0)} for row in rest]
    published: list[Row] = []
    folded: list[str] = []
    for step in STEPS:
        folded += step
        groups = defaultdict(list)
        for row in rest:
            key = tuple(None if n in folded else row[n] for n in COLUMNS)
            groups[key].append(row)
        rest = []
        for key, members in groups.items():
            packets = sum(row["packets"] for row in members)
            sensors = {row["sensor"] for row in members}
            if packets < min_packets or len(sensors) < min_sensors:
                rest += members
                continue
            published.append(
                dict(zip(COLUMNS, key, strict=True))
                | {
                    "other": "+".join(folded) or None,
                    "packets": packets,
                    "sources": len({(r["src"], r["ip_version"]) for r in members}),
                }
            )
    return published, sum(row["packets"] for row in rest)
