"""Rows and filters for questions to a store, and what they mean in plain Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from fastflow.addresses import to_text
from reduced import source_row

PROTOCOLS = {6: "tcp", 17: "udp", 33: "dccp", 132: "sctp", 136: "udplite"}

ROW = {
    "sensor": st.sampled_from(["a", "b"]),
    "proto": st.sampled_from([1, 6, 17, 132]),
    "dst_port": st.none() | st.integers(0, 30) | st.sampled_from([445, 1433]),
    "icmp_type": st.sampled_from([None, 8]),
    "country": st.sampled_from([None, "JP", "US", "NL"]),
    "traffic": st.sampled_from(["scan", "other"]),
    "signature": st.sampled_from([None, "1024:::", "8192:2-1-3:1460:8", "é:::"]),
    "tool": st.sampled_from([None, "zmap", "masscan"]),
    "src": st.sampled_from(
        ["192.0.2.1", "192.0.2.10", "192.0.2.9", "2001:db8::1", "::ffff:192.0.2.1"]
    ),
    "packets": st.integers(1, 3),
}
WHERE = st.dictionaries(
    st.sampled_from(["country", "tool", "sensor", "proto", "dst_port"]),
    st.just("null"),
    max_size=1,
) | st.sampled_from(
    [
        {"country": "JP"},
        {"country": "JP", "proto": 6},
        {"dst_port": 445},
        {"icmp_type": 8},
        {"sensor": "a", "tool": "zmap"},
        {"window": "8192"},
        {"signature": "é:::"},
    ]
)


def key_of(by: str, row: dict) -> str | None:
    if by == "port":
        proto = PROTOCOLS.get(row["proto"])
        known = proto is not None and row["dst_port"] is not None
        return f"{row['dst_port']}/{proto}" if known else None
    if by == "source":
        return to_text(row["src"], row["ip_version"])
    if by == "window":
        return row["signature"] and row["signature"].partition(":")[0]
    return row[by]


def matching(rows: list[dict], where: dict) -> list[dict]:
    """Return whole source rows, those that match the filters."""
    rows = [row if "ip_version" in row else source_row(**row) for row in rows]
    for column, value in where.items():
        wanted = None if value == "null" else value
        rows = [
            row
            for row in rows
            if (key_of("window", row) if column == "window" else row[column]) == wanted
        ]
    return rows


def believed(by: str, rows: list[dict]) -> list[dict]:
    """Return rows as a ranking of tools sees them: one packet is not yet masscan."""
    if by != "tool":
        return rows
    masscan: dict[tuple[bytes, int], int] = defaultdict(int)
    for row in rows:
        if row["tool"] == "masscan":
            masscan[row["src"], row["ip_version"]] += row["packets"]
    return [
        row | {"tool": None}
        if row["tool"] == "masscan" and masscan[row["src"], row["ip_version"]] < 2
        else row
        for row in rows
    ]


def lies_in(period: str, hour: datetime, tz: str) -> bool:
    day = f"{hour.astimezone(ZoneInfo(tz)):%Y-%m-%d}"
    first, _, last = period.partition("..")
    return first <= day <= last if last else day.startswith(period)


def step_of(every: str, hour: datetime, tz: str) -> str:
    """Return a name of the step that an hour belongs to."""
    local = hour.astimezone(ZoneInfo(tz))
    if every == "hour":
        return hour.isoformat()
    monday = local.date() - timedelta(days=local.weekday())
    return (local.date() if every == "day" else monday).isoformat()


def packets_and_sources(
    by: str, rows: list[dict]
) -> tuple[dict[str, int], dict[str, set]]:
    """Return the packets and the distinct sources of each key."""
    packets: dict[str, int] = defaultdict(int)
    sources: dict[str, set] = defaultdict(set)
    for row in rows:
        key = key_of(by, row)
        if key is not None:
            packets[key] += row["packets"]
            sources[key].add((row["src"], row["ip_version"]))
    return packets, sources


def in_order(packets: dict[str, int], n: int) -> list[str]:
    """Return the first keys: most packets first, ties by key."""
    return sorted(packets, key=lambda key: (-packets[key], key))[:n]
