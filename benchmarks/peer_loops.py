"""The peers that are Python libraries, each doing the nearest thing to our job.

`python benchmarks/peer_loops.py PEER CAPTURE SCRATCH` runs one in a process of its own
and prints one JSON object: packets and seconds. The clock starts once the library is
imported and what it is given is prepared.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: What the group-bys are given, and the cells that they count.
COLUMNS = ("ts", "proto", "dst_port", "signature", "src", "wirelen")

Loop = Callable[[], int]


def dpkt_loop(capture: Path) -> Loop:
    """Count packets by hour, port and window."""
    import dpkt

    def loop() -> int:
        counts: Counter[tuple[int, int, int]] = Counter()
        with capture.open("rb") as file:
            for ts, frame in dpkt.pcap.Reader(file):
                segment = dpkt.ethernet.Ethernet(frame).data.data
                port, window = getattr(segment, "dport", 0), getattr(segment, "win", 0)
                counts[int(ts) // 3600, port, window] += 1
        return counts.total()

    return loop


def scapy_loop(capture: Path) -> Loop:
    """Count packets by hour, port and window."""
    from scapy.all import IP, TCP, UDP, PcapReader

    def loop() -> int:
        counts: Counter[tuple[int, int, int]] = Counter()
        with PcapReader(str(capture)) as packets:
            for packet in packets:
                port = window = 0
                if TCP in packet:
                    port, window = packet[TCP].dport, packet[TCP].window
                elif UDP in packet and IP in packet:
                    port = packet[UDP].dport
                counts[int(packet.time) // 3600, port, window] += 1
        return counts.total()

    return loop


def nfstream_loop(capture: Path) -> Loop:
    """Make flows of the packets."""
    from nfstream import NFStreamer

    def loop() -> int:
        flows = NFStreamer(source=str(capture), n_dissections=0, n_meters=1)
        return sum(flow.bidirectional_packets for flow in flows)

    return loop


def decoded(capture: Path) -> Any:
    """Return the packets' columns as an Arrow table in memory."""
    import pyarrow as pa

    import fastflow

    scan = fastflow.scan(capture, columns=COLUMNS)
    return pa.Table.from_batches(list(scan), scan.schema).unify_dictionaries()


def duckdb_loop(capture: Path) -> Loop:
    """Count packets, bytes and sources by hour, protocol, port and signature."""
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    connection.register("packets", decoded(capture))
    query = """
        with cells as (
            select date_trunc('hour', ts) as hour, proto, dst_port, signature, src,
                count(*) as packets, sum(wirelen) as bytes
            from packets group by all)
        select hour, proto, dst_port, signature, sum(packets) as packets,
            sum(bytes) as bytes, count(*) as sources
        from cells group by all"""
    return lambda: int(
        connection.sql(query).to_arrow_table()["packets"].to_numpy().sum()
    )


def polars_loop(capture: Path) -> Loop:
    """Count packets, bytes and sources by hour, protocol, port and signature."""
    # Read once, when Polars is imported.
    os.environ["POLARS_MAX_THREADS"] = "1"
    import polars as pl

    packets = pl.DataFrame(decoded(capture))

    def loop() -> int:
        keys = ["hour", "proto", "dst_port", "signature"]
        cells = (
            packets.lazy()
            .with_columns(pl.col("ts").dt.truncate("1h").alias("hour"))
            .group_by(*keys, "src")
            .agg(pl.len().alias("packets"), pl.col("wirelen").sum().alias("bytes"))
        )
        counts = cells.group_by(keys).agg(
            pl.col("packets").sum(), pl.col("bytes").sum(), pl.len().alias("sources")
        )
        return int(counts.collect()["packets"].sum())

    return loop


LOOPS: dict[str, Callable[[Path], Loop]] = {
    "dpkt": dpkt_loop,
    "duckdb": duckdb_loop,
    "nfstream": nfstream_loop,
    "polars": polars_loop,
    "scapy": scapy_loop,
}


def main() -> None:
    """Run one peer's loop and print its figures."""
    loop = LOOPS[sys.argv[1]](Path(sys.argv[2]))
    start = time.perf_counter()
    packets = loop()
    seconds = time.perf_counter() - start
    print(json.dumps({"packets": packets, "seconds": seconds}))


if __name__ == "__main__":
    main()
