"""What a researcher types: dataframe libraries take the scan object as it is."""

from __future__ import annotations

import io
import os
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import builders as b
import fastflow as ff
from packers import PACKERS, Pack

SYN = b.ethernet(b.ipv4(b.tcp(dst_port=445, options=b.mss(1460))))
GOOD = b.capture(SYN, SYN, b.ethernet(b.ipv4(b.udp(dst_port=53), proto=b.UDP)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.pcap"
    path.write_bytes(GOOD)
    return path


def test_batches_have_the_columns_asked_for_in_order(path: Path) -> None:
    scan = ff.scan(path, columns=["dst_port", "ts"])
    batches = list(scan)
    assert [batch.schema.names for batch in batches] == [["dst_port", "ts"]]
    assert batches[0].schema == scan.schema
    assert batches[0]["dst_port"].to_pylist() == [445, 445, 53]
    assert scan.stats is not None
    assert scan.stats.records == 3


def test_every_library_takes_the_scan_object(path: Path) -> None:
    scan = ff.scan(path, columns=["src", "dst_port", "tcp_options"])
    ports = [445, 445, 53]
    assert pa.table(scan)["dst_port"].to_pylist() == ports
    assert pl.DataFrame(scan)["dst_port"].to_list() == ports
    assert pl.DataFrame(scan)["tcp_options"].to_list() == ["2", "2", None]
    assert duckdb.sql("select sum(dst_port) from scan").fetchall() == [(943,)]
    assert pd.DataFrame.from_arrow(scan)["dst_port"].tolist() == ports


@pytest.mark.parametrize("pack", [bytes, *PACKERS.values()])
def test_a_live_capture_is_not_held_back(tmp_path: Path, pack: Pack) -> None:
    """Packets of a pipe come out when the pipe pauses, not when it ends."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writing = os.open(fifo, os.O_RDWR)
    os.write(writing, pack(GOOD))
    batches = iter(ff.scan(fifo, columns=["dst_port"]))
    assert next(batches)["dst_port"].to_pylist() == [445, 445, 53]
    os.write(writing, pack(GOOD[24:]))
    assert next(batches)["dst_port"].to_pylist() == [445, 445, 53]
    os.close(writing)
    assert list(batches) == []


def test_a_scan_can_be_iterated_again(path: Path) -> None:
    scan = ff.scan(path)
    assert [batch.num_rows for batch in scan] == [3]
    assert [batch.num_rows for batch in scan] == [3]


def test_rows_before_damage_come_first_then_the_error(path: Path) -> None:
    path.write_bytes(GOOD[:-3])
    batches = iter(ff.scan(path))
    assert next(batches).num_rows == 2
    with pytest.raises(ff.TruncatedCaptureError, match="truncated_record") as caught:
        next(batches)
    assert caught.value.offset_bytes == 24 + 2 * (16 + len(SYN))
    assert caught.value.path == str(path)
    with pytest.raises(pa.ArrowInvalid, match="truncated_record"):
        pa.table(ff.scan(path))


def test_dictionaries_begin_anew_when_they_are_full() -> None:
    """More option lists than a dictionary holds: batches differ, values do not."""
    builder = b.PcapBuilder()
    expected = []
    for i in range(80_000):
        kinds = [20 + i % 40, 60 + i // 40 % 40, 100 + i // 1600 % 50]
        options = b"".join(b.option(kind) for kind in kinds) + b.nop() * 2
        builder.add(b.ethernet(b.ipv4(b.tcp(options=options))))
        expected.append("-".join(map(str, [*kinds, 1, 1])))
    scan = ff.scan(io.BytesIO(builder.build()), ["tcp_options"], batch_rows=1000)
    found = [value for batch in scan for value in batch["tcp_options"].to_pylist()]
    assert found == expected


def test_reduce_and_store_are_one_call_each(path: Path, tmp_path: Path) -> None:
    report = ff.reduce([path], store=tmp_path / "counts", sensor="lab", workers=2)
    assert [record.status for record in report.inputs] == ["complete"]
    store = ff.Store(tmp_path / "counts")
    top = store.top("port", where={"proto": "tcp"})
    assert [(row["key"], row["packets"]) for row in top] == [("445/tcp", 2)]
    assert store.sql("select sum(packets) n from counts")["n"].to_pylist() == [3]


def test_a_capture_that_grows_meanwhile_is_not_recorded_as_the_grown_one(
    path: Path, tmp_path: Path
) -> None:
    """Size and time are those from before the reading: they must never look done."""
    size = path.stat().st_size

    def grow(n_bytes: int, n_packets: int) -> None:
        path.write_bytes(GOOD + bytes(1))

    report = ff.reduce([path], tmp_path / "counts", "lab", progress=grow)
    assert [record.size for record in report.inputs] == [size]
