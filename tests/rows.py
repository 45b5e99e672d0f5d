"""The same rows from either decoder, in plain Python values."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pytest

import reference
import reference_containers
import reference_tool

try:
    import fastflow
except ImportError:  # the oracle's own tests need no build
    fastflow = None

Row = dict[str, Any]

HAS_SCAN = hasattr(fastflow, "scan")
FASTFLOW = pytest.mark.skipif(not HAS_SCAN, reason="fastflow.scan is not there yet")


@dataclass
class Scanned:
    """What a scan says of a capture: its rows, and what became of it."""

    rows: list[Row] = field(default_factory=list)
    status: str = "complete"
    reason: str | None = None
    offset: int | None = None
    records: int = 0
    flags: dict[str, int] = field(default_factory=dict)
    dropped: int | None = None


def reference_scan(data: bytes, decap: Iterable[str] = ()) -> Scanned:
    result = reference_containers.decode_capture(data, frozenset(decap))
    for row in result.rows:
        row["tool"] = reference_tool.tool(row)
    return Scanned(
        rows=result.rows,
        status=result.status,
        reason=result.reason,
        offset=result.offset,
        records=result.records,
        flags=result.flags,
        dropped=result.dropped,
    )


def fastflow_scan(source: Path | IO[bytes], **options: Any) -> Scanned:
    """Scan with the package; damage ends the rows instead of raising."""
    options.setdefault("columns", list(reference.COLUMNS))
    # No result depends on it, and a small scan is mostly the allocation of its batch.
    options.setdefault("batch_rows", 512)
    if "strict" in _scan_parameters():
        options["strict"] = False
    scan = fastflow.scan(str(source) if isinstance(source, Path) else source, **options)
    rows = [row for batch in scan for row in batch_rows(batch)]
    stats = scan.stats
    return Scanned(
        rows=rows,
        status=stats.status,
        reason=stats.reason,
        offset=stats.offset,
        records=stats.records,
        flags={name: n for name, n in dict(stats.flags).items() if n},
        dropped=stats.dropped,
    )


def assert_same(data: bytes, **options: Any) -> Scanned:
    """Scan `data` with both, compare all that they say, return what they said."""
    expected = reference_scan(data, options.get("decap", ()))
    found = fastflow_scan(io.BytesIO(data), **options)
    for index, (ours, theirs) in enumerate(
        zip(found.rows, expected.rows, strict=False)
    ):
        assert ours == theirs, f"packet {index}"
    assert found == expected
    return found


def batch_rows(batch: pa.RecordBatch) -> list[Row]:
    """Return a batch as dicts; times stay whole nanoseconds, which datetime has not."""
    if "ts" in batch.schema.names:
        index = batch.schema.get_field_index("ts")
        batch = batch.set_column(index, "ts", batch.column(index).cast(pa.int64()))
    return batch.to_pylist()


@cache
def _scan_parameters() -> frozenset[str]:
    return frozenset(inspect.signature(fastflow.scan).parameters)


class ShortReads(io.RawIOBase):
    """A stream that gives fewer bytes than it is asked for."""

    def __init__(self, data: bytes, size: Callable[[], int]) -> None:
        self._data = io.BytesIO(data)
        self._size = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._data.read(min(len(buffer), self._size()))
        buffer[: len(data)] = data
        return len(data)
