"""Scans in parts so small that their bounds fall everywhere, as bytes to compare."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

import builders as b
import fastflow
import reference
from fastflow.outcome import ScanStats

COLUMNS = tuple(reference.COLUMNS)


@dataclass
class InParts:
    """A scan's batches as Arrow IPC streams, and what it says of the capture."""

    batches: list[bytes]
    stats: ScanStats


def scan_in_parts(source: Path | BinaryIO, part_bytes: int, **options: Any) -> InParts:
    """Scan with parts of another size than the usual one."""
    options = {"columns": COLUMNS, "strict": False, "batch_rows": 512} | options
    scan = fastflow.scan(source, **options)
    scan._part_bytes = part_bytes
    batches = [ipc(batch) for batch in scan]
    assert scan.stats is not None
    return InParts(batches, scan.stats)


def ipc(batch: pa.RecordBatch) -> bytes:
    """Return a batch with its dictionaries as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def assert_workers_do_not_matter(
    path: Path, part_bytes: int, **options: Any
) -> InParts:
    """Scan with one worker and with three; both must say the same, byte for byte."""
    one = scan_in_parts(path, part_bytes, workers=1, **options)
    three = scan_in_parts(path, part_bytes, workers=3, **options)
    assert three.batches == one.batches
    assert three.stats == one.stats
    return one


def fake_chain(n_records: int = 12, *, sec: int = b.T0) -> bytes:
    """Records that are as plausible as any, to be hidden in a packet."""
    return b"".join(
        b.pcap_record(bytes([n & 255]) * 30, sec=sec) for n in range(n_records)
    )


def raw_header(*words: int) -> bytes:
    """Four words where a record header stands: seconds, fraction and two lengths."""
    return struct.pack("<4I", *words)
