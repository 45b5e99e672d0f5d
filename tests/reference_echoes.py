"""The oracle's backscatter: packets of one victim in one hour, by bins of ten seconds.

The victim sent the packet. In ICMP 3, 4, 5, 11 and 12 and ICMPv6 1 to 4 it is the
destination of the packet that is quoted, of the IP version that carried the error; a
quote that is too short for an IP header (IPv4: 20 bytes, IPv6: 40), of another version,
with another source than the destination of the error, or with that as its destination,
names none. The victim's port is the source
port; in a quote of UDP or TCP the destination port, if it is there: not in a later
fragment, and not behind extension headers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from reference_link import Row

HOUR = 3600 * 10**9
BIN = 10 * 10**9

QUOTING = {1: (3, 4, 5, 11, 12), 58: (1, 2, 3, 4)}


def victim(row: Row) -> tuple[bytes, int | None] | None:
    """Return address (16 bytes) and port of a packet's victim; None: it names none."""
    if row["icmp_type"] not in QUOTING.get(row["proto"], ()):
        return row["src"], row["src_port"]
    quote = row.quote
    if row["ip_version"] == 4:
        if len(quote) < 20 or quote[0] >> 4 != 4 or quote[0] % 16 < 5:
            return None
        mapped = bytes(10) + b"\xff\xff"
        sender, address = mapped + quote[12:16], mapped + quote[16:20]
        size, proto = quote[0] % 16 * 4, quote[9]
        is_first = (quote[6] % 32) * 256 + quote[7] == 0
    else:
        if len(quote) < 40 or quote[0] >> 4 != 6:
            return None
        sender, address = quote[8:24], quote[24:40]
        size, proto, is_first = 40, quote[6], True
    if sender != row["dst"] or address == row["dst"]:
        return None
    ports = quote[size : size + 4]
    has_port = proto in (6, 17) and is_first and len(ports) == 4
    return address, int.from_bytes(ports[2:], "big") if has_port else None


def backscatter(
    rows: list[Row],
    country: Callable[[bytes, int], str | None],
    told_seq: Callable[[Row], int | None],
    shared: Callable[[list[Any]], Any],
) -> list[dict[str, Any]]:
    """Return the rows of `backscatter` that counted packets make; hours in ns."""
    found: dict[tuple[int, bytes, int], list[tuple[Row, int | None]]] = {}
    for row in rows:
        named = victim(row) if row["traffic"] == "backscatter" else None
        if named is None:
            continue
        key = (row["ts"] // HOUR * HOUR, named[0], row["ip_version"])
        found.setdefault(key, []).append((row, named[1]))
    return [
        {
            "hour": hour,
            "country": country(address, version),
            "src": address,
            "ip_version": version,
            "packets": len(packets),
            **_bins([row for row, _ in packets]),
            "ports": sorted({port for _, port in packets if port is not None})[:16],
            "src_port": shared([port for _, port in packets]),
            "tcp_seq": shared([told_seq(row) for row, _ in packets]),
            "ip_ttl": shared([row["ip_ttl"] for row, _ in packets]),
            "tcp_window": shared([row["tcp_window"] for row, _ in packets]),
        }
        for (hour, address, version), packets in found.items()
    ]


def _bins(rows: list[Row]) -> dict[str, list[int]]:
    bins = sorted(Counter(row["ts"] // BIN for row in rows).items())
    return {"bins": [n for n, _ in bins], "bin_packets": [n for _, n in bins]}
