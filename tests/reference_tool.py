"""The oracle's tools: formulas over the columns of one packet, and over two.

A rule asks TCP SYNs (traffic `scan`) over IPv4. Mirai: the sequence number is the
destination. masscan: the identification is the lower half of destination ^ destination
port ^ sequence number. ZMap: identification 54321 and window 65535. The first that
holds, in this order, at a time from the day on that the tool has been known.

The sequence key of a SYN whose sequence number may be kept: what Nmap (signature
1024:2:1460:) or unicornscan (any other) keep the same while sequence numbers change. A
row shows it where its packets share it, and differ in their sequence numbers.
"""

from __future__ import annotations

from datetime import UTC, datetime

from reference_link import Row

NMAP_SIGNATURE = "1024:2:1460:"


def _ns(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 10**9


def tool(row: Row) -> str | None:
    """Return the tool that a packet's headers tell, or None."""
    if not _is_asked(row):
        return None
    dst = int.from_bytes(row["dst"][12:], "big")
    masscan = (dst ^ row["dst_port"] ^ row["tcp_seq"]) & 0xFFFF
    ts = row["ts"] or 0
    if row["tcp_seq"] == dst and ts >= _ns(2016, 8, 1):
        return "mirai"
    if row["ip_id"] == masscan and ts >= _ns(2013, 9, 14):
        return "masscan"
    is_zmap = row["ip_id"] == 54321 and row["tcp_window"] == 65535
    return "zmap" if is_zmap and ts >= _ns(2013, 8, 16) else None


def seq_key(row: Row, seq: int | None) -> int | None:
    """Return the key of a packet of which this sequence number may be kept, if any."""
    if seq is None or not _is_asked(row):
        return None
    if row["signature"] == NMAP_SIGNATURE:
        return (seq >> 16) ^ (seq & 0xFFFF)
    ports = row["dst_port"] * 65536 + row["src_port"]
    keys = set()
    for order in ("big", "little"):
        k = seq ^ int.from_bytes(row["dst"][12:], order) ^ ports
        mirrored = int.from_bytes(k.to_bytes(4, "big"), "little")
        keys.add((k ^ mirrored) >> 16)
    (key,) = keys  # the order of the destination's bytes must not matter
    return key


def _is_asked(row: Row) -> bool:
    return row["proto"] == 6 and row["ip_version"] == 4 and row["traffic"] == "scan"
