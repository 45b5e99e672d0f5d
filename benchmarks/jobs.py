"""The jobs that are measured, each from a capture to the number of its packets.

`python benchmarks/jobs.py JOB CAPTURE SCRATCH` runs one in a process of its own and
prints one JSON object: packets, seconds and the peak memory of the process. Before the
clock starts, the job is done with a capture of one packet, so that all modules are
imported (pyarrow imports pandas, where it is installed, at its first array). SCRATCH is
an empty directory on the disk that the store is to be measured on.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import fastflow
from fastflow.pipeline import reduce as reduce_captures
from fastflow.reader import Reader
from fastflow.sources.stream import open_stream
from fastflow.stages.country import load_country_table
from fastflow.stages.spill import Memory
from fastflow.stages.tally import HourlyTally

if TYPE_CHECKING:
    from fastflow.stages.country import CountryTable

FOUR_COLUMNS = ("ts", "src", "dst_port", "tcp_window")


def scan(capture: Path, columns: tuple[str, ...] | None = None) -> int:
    """Decode a capture to record batches, and drop them; None: all columns."""
    return sum(batch.num_rows for batch in fastflow.scan(capture, columns=columns))


def tally(capture: Path, table: CountryTable) -> int:
    """Count a capture in memory: rows of `counts` and of `sources` as Arrow tables."""
    hourly = HourlyTally(table, memory=Memory(max_cells=1 << 24))
    stream = open_stream(capture)
    try:
        reader = Reader(stream, hourly.lexicon)
        if reader.open() is not None:
            raise ValueError(f"{capture}: no capture")
        hourly.add(reader)
    finally:
        stream.close()
    rows = hourly.rows("bench", "bench")
    counts, _ = rows.table("counts"), rows.table("sources")
    return int(counts["packets"].to_numpy().sum())


def reduce(capture: Path, store: Path) -> int:
    """Reduce a capture with one worker: hashed, written, flushed to disk, committed."""
    report = reduce_captures([capture], store=store, sensor="bench", workers=1)
    return sum(record.counted for record in report.inputs)


#: Each takes a capture and the directory of a store that is not there yet.
JOBS: dict[str, Callable[[Path, Path], int]] = {
    "scan-all": lambda capture, store: scan(capture),
    "scan-four": lambda capture, store: scan(capture, FOUR_COLUMNS),
    "tally": lambda capture, store: tally(capture, load_country_table()),
    "reduce": reduce,
}


def first_packet(capture: Path, scratch: Path) -> Path:
    """Copy the first packet of a little-endian capture to one of its own."""
    with capture.open("rb") as file:
        data = file.read(40)
        data += file.read(int.from_bytes(data[32:36], "little"))
    copy = scratch / "first.pcap"
    copy.write_bytes(data)
    return copy


def main() -> None:
    """Run one job and print its figures."""
    job = JOBS[sys.argv[1]]
    capture, scratch = Path(sys.argv[2]), Path(sys.argv[3])
    job(first_packet(capture, scratch), scratch / "first")
    start = time.perf_counter()
    packets = job(capture, scratch / "counts")
    seconds = time.perf_counter() - start
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures = {"packets": packets, "seconds": seconds, "peak_bytes": peak_bytes}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
