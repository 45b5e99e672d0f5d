"""The jobs that are measured, each from a capture to the number of its packets.

`python benchmarks/jobs.py JOB CAPTURE SCRATCH WORKERS` runs one in a process of its own
and prints one JSON object: packets (unpacked_bytes, where a decompressor runs alone),
seconds and the peak memory of the process. Before the clock starts, the job is done on
a capture of one packet, so that all modules are imported (pyarrow imports pandas, where
it is installed, at its first array). SCRATCH is an empty directory on the disk that the
store is to be measured on.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastflow
import loads
from fastflow.counting import Counting
from fastflow.pipeline import reduce as reduce_captures
from fastflow.reader import Reader, new_lexicon
from fastflow.sources.stream import open_stream
from fastflow.stages.country import load_country_table
from fastflow.stages.rows import HourlyRows

if TYPE_CHECKING:
    from fastflow.stages.country import CountryTable

#: Takes a capture, the directory of a store that is not there yet, and workers.
Job = Callable[[Path, Path, int], int]

#: What a bare decompressor is asked for at a time.
READ_BYTES = 1 << 20

FOUR_COLUMNS = ("ts", "src", "dst_port", "tcp_window")


def scan(
    capture: Path, columns: tuple[str, ...] | None = None, workers: int = 1
) -> int:
    """Decode a capture to record batches, and drop them; None: all columns."""
    batches = fastflow.scan(capture, columns=columns, workers=workers)
    return sum(batch.num_rows for batch in batches)


def tally(capture: Path, table: CountryTable, workers: int = 1) -> int:
    """Count a capture: rows of `counts` and of `sources` as Arrow tables in memory."""
    with Reader(
        open_stream(capture), new_lexicon(), reads_ahead=workers == 1
    ) as reader:
        if reader.open() is not None:
            raise ValueError(f"{capture}: no capture")
        # Nobody holds what the counting took, nor the runs: the rows get their memory.
        counting = Counting(table)
        names = reader.decoding.tools.names
        runs = counting.count(reader, workers)
        rows = HourlyRows(runs, table.codes, names, "lab", "bench")
        del counting, runs
    counts, _ = rows.tables(workers)
    return int(counts["packets"].to_numpy().sum())


def on_one_core(name: str) -> Job:
    """Let a job's threads have one core: what would it do without the others?"""

    def run(capture: Path, store: Path, workers: int) -> int:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        return JOBS[name](capture, store, workers)

    return run


def reduce(capture: Path, store: Path, workers: int = 1) -> int:
    """Reduce captures to a store: hashed, written, flushed to disk, committed."""
    report = reduce_captures([capture], store=store, sensor="bench", workers=workers)
    return sum(record.counted for record in report.inputs)


def gunzip(capture: Path) -> int:
    """Decompress with the library that fastflow uses for gzip, and drop the bytes."""
    from isal import igzip

    with igzip.open(capture, "rb") as file:
        return _drain(file)


def unzstd(capture: Path) -> int:
    """Decompress with pyarrow, and drop the bytes."""
    import pyarrow as pa

    with (
        pa.OSFile(str(capture)) as packed,
        pa.CompressedInputStream(packed, "zstd") as file,
    ):
        return _drain(file)


def _drain(file: Any) -> int:
    n_bytes = 0
    while data := file.read(READ_BYTES):
        n_bytes += len(data)
    return n_bytes


#: Each takes a capture, the directory of a store that is not there yet, and workers.
JOBS: dict[str, Job] = {
    "scan-all": lambda capture, store, workers: scan(capture, None, workers),
    "scan-four": lambda capture, store, workers: scan(capture, FOUR_COLUMNS, workers),
    "tally": lambda capture, store, workers: tally(
        capture, load_country_table(), workers
    ),
    "reduce": reduce,
    "tally-core": on_one_core("tally"),
    "reduce-core": on_one_core("reduce"),
    "bare-gz": lambda capture, store, workers: gunzip(capture),
    "bare-zst": lambda capture, store, workers: unzstd(capture),
}


def warm_up(job: str, scratch: Path) -> None:
    """Do the job with a capture of one packet, into a store of its own."""
    if job.startswith("bare-"):
        return
    capture = scratch / "warm-up.pcap"
    capture.write_bytes(loads.FILE_HEADER + loads.ONE_RECORD)
    JOBS[job](capture, scratch / "warm-up", 1)


def peak_bytes() -> int:
    """Return the most memory that this process has held; ru_maxrss has its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main() -> None:
    """Run one job and print its figures."""
    name, capture, scratch = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    workers = int(sys.argv[4])
    warm_up(name, scratch)
    start = time.perf_counter()
    n = JOBS[name](capture, scratch / "counts", workers)
    seconds = time.perf_counter() - start
    unit = "unpacked_bytes" if name.startswith("bare-") else "packets"
    print(json.dumps({unit: n, "seconds": seconds, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
