"""What a user's type checker may rely on; checked by `make typecheck`, never run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, assert_type

import fastflow as ff
from fastflow.outcome import ScanStats
from fastflow.packets import Scan
from fastflow.reduce_report import ReduceReport
from fastflow.schema import InputRecord
from fastflow.store import Compaction, Expiry, Settings, SharedReport, Sharing, Store


def scanning() -> None:
    assert_type(ff.scan("a.pcap"), Scan)
    assert_type(ff.scan(Path("a.pcap.gz"), columns=["ts", "src"]), Scan)
    with Path("a.pcap").open("rb") as file:
        assert_type(ff.scan(file, strict=False, batch_rows=1000), Scan)
    scan = ff.scan("-", workers=2)
    assert_type(scan.stats, ScanStats | None)
    assert_type(iter(scan), Iterator[Any])
    assert_type(scan.__arrow_c_stream__(), object)


def reducing() -> None:
    report = ff.reduce(["a.pcap", Path("b.pcap")], store="counts/", sensor="tokyo-1")
    assert_type(report, ReduceReport)
    assert_type(report.inputs, list[InputRecord])
    assert_type(report.exit_code, int)
    assert_type(report.to_json(), dict[str, Any])
    ff.reduce("a.pcap", store=Store("counts/"), sensor="{parent}", workers=2)


def asking() -> None:
    store = ff.Store("counts/")
    assert_type(store, Store)
    assert_type(store.url, str)
    assert_type(store.settings, Settings)
    assert_type(
        store.top("port", "2020-Q3", where={"country": "JP"}), list[dict[str, Any]]
    )
    assert_type(
        store.top("window", "2020-Q3", tz="Asia/Tokyo", sensors=["JP"]),
        list[dict[str, Any]],
    )
    store.trend("port", "2020-Q3", every="week", measure="sources").to_pylist()
    store.inputs("2020-08-27", where={"proto": 6}, statuses=["damaged"]).to_pylist()
    assert_type(store.is_committed("id"), bool)
    assert_type(store.compact(), Compaction)
    assert_type(store.expire(datetime(2020, 1, 1, tzinfo=UTC), daily=True), Expiry)
    assert_type(store.export("counts.parquet", period="2020-Q3"), int)
    assert_type(store.export_canonical(Path("all.csv")), int)
    assert_type(store.export_shared("a.csv", Sharing(min_packets=20)), SharedReport)


def failing() -> None:
    try:
        list(ff.scan("a.pcap"))
    except ff.CaptureError as error:
        assert_type(error.path, str)
        assert_type(error.offset_bytes, int)
        assert_type(error.reason, str)
    assert_type(ff.__version__, str)
