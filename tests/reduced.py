"""Reduced captures made by hand: source rows in, counts rolled up in plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from fastflow.addresses import from_text
from fastflow.schema import (
    BACKSCATTER,
    COUNTS,
    SOURCES,
    Beginnings,
    InputRecord,
    Reduced,
    row_schema,
)
from fastflow.store import Store

EPOCH = datetime(2020, 8, 26, tzinfo=UTC)
CELL = [
    "hour",
    "sensor",
    "proto",
    "dst_port",
    "icmp_type",
    "country",
    "traffic",
    "signature",
    "tool",
]
_DEFAULTS: dict[str, Any] = {
    "hour": EPOCH,
    "sensor": "tokyo-1",
    "proto": 6,
    "dst_port": 445,
    "icmp_type": None,
    "country": "JP",
    "traffic": "scan",
    "signature": "1024:::",
    "tool": None,
    "src": "192.0.2.1",
    "packets": 1,
    "src_port": None,
    "tcp_seq": None,
    "ip_ttl": None,
    "tcp_seq_key": None,
}


class TableRows:
    """Rows that were made by hand."""

    def __init__(
        self, counts: pa.Table, sources: pa.Table, backscatter: pa.Table
    ) -> None:
        self.counts, self.sources, self.backscatter = counts, sources, backscatter

    @property
    def n_cells(self) -> int:
        return max(len(self.counts), len(self.sources))

    def read(self, table: str) -> TableReader:
        return TableReader(getattr(self, table), row_schema(table))

    def close(self) -> None:
        """Nothing is held."""


class TableReader:
    def __init__(self, table: pa.Table, schema: pa.Schema) -> None:
        self._table, self._schema = table, schema

    @property
    def is_at_end(self) -> bool:
        return len(self._table) == 0

    def read(self, rows: int) -> pa.RecordBatch:
        piece, self._table = self._table.slice(0, rows), self._table.slice(rows)
        encoded = [
            column.combine_chunks().dictionary_encode()
            if pa.types.is_dictionary(kind)
            else column.combine_chunks()
            for column, kind in zip(piece.columns, self._schema.types, strict=True)
        ]
        return pa.RecordBatch.from_arrays(encoded, schema=self._schema)


def at(hours: int) -> datetime:
    """Return the time so many hours after `EPOCH`."""
    return EPOCH + timedelta(hours=hours)


def source_row(**named: Any) -> dict[str, Any]:
    """Return one row of `sources`, with what was not named made up."""
    row = _DEFAULTS | named
    packed, version = from_text(row["src"])
    row.setdefault("bytes", 40 * row["packets"])
    return row | {"src": packed, "ip_version": row.get("ip_version", version)}


def reduced(
    input_id: str,
    rows: Iterable[Mapping[str, Any]] = (),
    uncounted: Mapping[str, int] | None = None,
    **record: Any,
) -> Reduced:
    """Return a reduced capture of these source rows (see `source_row`)."""
    merged = _merge([source_row(**row) | {"input": input_id} for row in rows])
    counted = sum(row["packets"] for row in merged)
    times = [int(row["hour"].timestamp()) * 1_000_000 for row in merged]
    refused = dict(uncounted or {})
    fields = {
        "path": f"/captures/{input_id}.pcap",
        "sensor": "tokyo-1",
        "status": "complete",
        "version": "0.0.0",
        "records": counted + sum(refused.values()),
        "counted": counted,
        "uncounted": refused,
        "first_packet": min(times, default=None),
        "last_packet": max(times, default=None),
    }
    return Reduced(
        InputRecord(input=input_id, **(fields | record)),
        TableRows(
            _counts(merged),
            pa.Table.from_pylist(merged, SOURCES),
            _backscatter(merged),
        ),
    )


def some_rows(seed: int) -> list[dict[str, Any]]:
    """Return rows with nulls in several hours, that differ by seed."""
    return [
        {
            "hour": at(n % 3),
            "dst_port": None if n % 5 == 0 else 20 + seed,
            "src": f"192.0.2.{n}",
            "packets": n + seed,
            "country": None if n % 4 == 0 else "JP",
        }
        for n in range(1, 8)
    ]


def some_input(number: int, **named: Any) -> Reduced:
    """Return the input `input-<number>` of `some_rows`."""
    return reduced(f"input-{number:03}", some_rows(number), **named)


def growing_input(number: int) -> Reduced:
    """Return an input that goes on where those of lower numbers, from 1 on, ended."""
    grown = some_input(number, head="the same")
    ids = {n: f"input-{n:03}" for n in range(1, number)}
    return replace(grown, beginnings=Beginnings("the same", ids))


def publish_all(root: Path, numbers: list[int], batch: int) -> None:
    """Publish inputs in batches: a process of its own, so at the top of a module."""
    store = Store(root, create=True)
    for start in range(0, len(numbers), batch):
        store.publish([some_input(n) for n in numbers[start : start + batch]])


def _order(row: Mapping[str, Any], names: list[str]) -> list[Any]:
    return [(row[name] is not None, row[name]) for name in names]


def _merge(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per cell and source, sorted."""
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    names = [*CELL, "src", "ip_version"]
    for row in rows:
        key = tuple(row[name] for name in names)
        if key in merged:
            merged[key]["packets"] += row["packets"]
            merged[key]["bytes"] += row["bytes"]
        else:
            merged[key] = dict(row)
    return sorted(merged.values(), key=lambda row: _order(row, names))


def _backscatter(rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows of `backscatter` for some sources, whatever traffic theirs is.

    Each packet of a victim's hour is in the next bin, the last ones in the last.
    """
    hours: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["src"][-1] % 3 == 0:
            hours[row["hour"], row["ip_version"], row["src"]].append(row)
    echoes = []
    for (hour, _, _), cells in sorted(hours.items()):
        n_packets = sum(cell["packets"] for cell in cells)
        first = int(hour.timestamp()) // 10
        bins = range(first, first + min(n_packets, 360))
        ports = sorted({cell["dst_port"] for cell in cells} - {None})[:16]
        echo = {
            "packets": n_packets,
            "bins": [*bins],
            "bin_packets": [1] * (len(bins) - 1) + [n_packets - len(bins) + 1],
            "ports": ports,
            "tcp_window": None,
        }
        shared = {
            name: cells[0][name] if len({cell[name] for cell in cells}) == 1 else None
            for name in ("src_port", "tcp_seq", "ip_ttl")
        }
        echoes.append(cells[0] | echo | shared)
    return pa.Table.from_pylist(echoes, BACKSCATTER)


def _counts(rows: list[dict[str, Any]]) -> pa.Table:
    cells: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        cells[tuple(row[name] for name in CELL)].append(row)
    counts = [
        dict(zip(CELL, cell, strict=True))
        | {
            "packets": sum(row["packets"] for row in members),
            "bytes": sum(row["bytes"] for row in members),
            "sources": len(members),
            "input": members[0]["input"],
        }
        for cell, members in cells.items()
    ]
    return pa.Table.from_pylist(counts, COUNTS)
