"""`fastflow reduce`: captures into a store, bad input, exit codes, the JSON."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

import builders as b
import reference
from command import fastflow
from fastflow.store import Store

SYN = b.ethernet(b.ipv4(b.tcp(dst_port=445, options=b.mss(1460))))
ARP = b.ethernet(bytes(28), ethertype=0x0806)


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    """A directory: two good captures, a cut one, no capture, an empty file."""
    directory = tmp_path / "captures"
    directory.mkdir()
    (directory / "a.pcap").write_bytes(b.capture(SYN, ARP))
    (directory / "b.pcap.gz").write_bytes(gzip.compress(b.capture(SYN, SYN, SYN)))
    (directory / "c.pcap").write_bytes(b.capture(SYN, SYN)[:-5])
    (directory / "notes.txt").write_text("no capture")
    (directory / "empty").touch()
    return directory


def total(store: Path) -> int:
    return Store(store).sql("select sum(packets) n from counts")["n"][0].as_py() or 0


def test_the_whole_way(captures: Path, tmp_path: Path) -> None:
    store = tmp_path / "counts"
    ran = fastflow("reduce", captures, "--store", store, "--sensor", "lab", "--json")
    assert ran.code == 3
    by_name = {Path(one["path"]).name: one for one in ran.json["inputs"]}
    assert {name: one["status"] for name, one in by_name.items()} == {
        "a.pcap": "complete",
        "b.pcap.gz": "complete",
        "c.pcap": "truncated",
        "empty": "skipped",
        "notes.txt": "skipped",
    }
    assert by_name["a.pcap"]["uncounted"] == {"non_ip": 1}
    assert by_name["a.pcap"]["reason"] is None
    assert by_name["c.pcap"]["reason"] == "truncated_record"
    assert by_name["c.pcap"]["offset"] == 24 + 16 + len(SYN)
    assert (ran.json["records"], ran.json["counted"]) == (6, 5)
    assert total(store) == 5
    inputs = Store(store).sql("select path, sensor from inputs order by path")
    assert inputs["sensor"].to_pylist() == ["lab"] * 3


def test_the_same_input_again_adds_nothing(captures: Path, tmp_path: Path) -> None:
    store = tmp_path / "counts"
    fastflow("reduce", captures, "--store", store, "--sensor", "lab")
    packed = tmp_path / "renamed"
    packed.write_bytes(gzip.compress((captures / "a.pcap").read_bytes()))
    args = ("--store", store, "--sensor", "other", "--json")
    ran = fastflow("reduce", captures, packed, *args)
    states = [one["status"] for one in ran.json["inputs"]]
    assert states == ["duplicate"] * 3 + ["skipped"] * 2 + ["duplicate"]
    assert ran.code == 0
    assert total(store) == 5


def test_a_copy_in_the_same_run_is_a_duplicate(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b.capture(SYN))
    args = ("--store", tmp_path / "counts", "--sensor", "lab", "--json")
    ran = fastflow("reduce", tmp_path / "one", tmp_path / "two", *args)
    assert [one["status"] for one in ran.json["inputs"]] == ["complete", "duplicate"]
    assert total(tmp_path / "counts") == 1


def test_the_directory_names_the_sensor(tmp_path: Path) -> None:
    for sensor in ("tokyo-1", "tokyo-2"):
        (tmp_path / sensor).mkdir()
        packet = b.ethernet(b.ipv4(b.tcp(window=len(sensor)), ttl=int(sensor[-1])))
        (tmp_path / sensor / "x.pcap").write_bytes(b.capture(packet))
    store = tmp_path / "counts"
    pattern = str(tmp_path / "*" / "x.pcap")
    assert (
        fastflow("reduce", pattern, "--store", store, "--sensor", "{parent}").code == 0
    )
    rows = fastflow("top", "--store", store, "--by", "sensor", "--json").json
    assert [row["key"] for row in rows] == ["tokyo-1", "tokyo-2"]


def test_counts_equal_the_reference(tmp_path: Path) -> None:
    builder = b.PcapBuilder()
    for i in range(500):
        source = bytes([11, 0, i % 7, i % 13])
        segment = b.tcp(dst_port=i % 5, window=i % 3, seq=i % 2)
        builder.add(b.ethernet(b.ipv4(segment, src=source)), sec=b.T0 + i * 60)
    path = tmp_path / "a.pcap"
    path.write_bytes(builder.build())
    store = tmp_path / "counts"
    fastflow("reduce", path, "--store", store, "--sensor", "lab")
    counts, sources, *_ = reference.tally(reference.decode_capture(builder.build()))
    sql = "select epoch_ns(hour) h, dst_port, signature s, packets, sources from counts"
    found = {
        (row["h"], row["dst_port"], row["s"]): (row["packets"], row["sources"])
        for row in Store(store).sql(sql).to_pylist()
    }
    assert found == {
        (key[0], key[2], key[6]): (cell["packets"], cell["sources"])
        for key, cell in counts.items()
    }
    n_sources = Store(store).sql("select count(*) n from sources")["n"][0].as_py()
    assert n_sources == len(sources)


def test_no_sources_is_a_setting_of_the_store(captures: Path, tmp_path: Path) -> None:
    store = tmp_path / "counts"
    args = ("--store", store, "--sensor", "lab")
    assert fastflow("reduce", captures / "a.pcap", *args, "--no-sources").code == 0
    assert fastflow("reduce", captures / "b.pcap.gz", *args).code == 0
    rows = fastflow(
        "query", "--store", store, "select count(*) n from sources", "--json"
    )
    assert rows.json == [{"n": 0}]


@pytest.mark.parametrize("name", ["notes.txt", "empty"])
def test_a_named_file_that_is_no_capture_is_rejected(
    captures: Path, tmp_path: Path, name: str
) -> None:
    args = ("--store", tmp_path / "counts", "--sensor", "lab", "--json")
    ran = fastflow("reduce", captures / name, *args)
    assert (ran.code, ran.json["inputs"][0]["status"]) == (1, "rejected")
    assert (ran.json["inputs"][0]["records"], ran.json["counted"]) == (0, 0)
    ran = fastflow("reduce", captures / name, captures / "a.pcap", *args)
    assert ran.code == 3


def test_an_unreadable_file_stops_no_other(captures: Path, tmp_path: Path) -> None:
    bad = tmp_path / "loop"
    bad.symlink_to(bad)
    args = ("--store", tmp_path / "counts", "--sensor", "lab", "--json")
    ran = fastflow("reduce", bad, captures / "a.pcap", *args)
    assert ran.code == 3
    assert ran.json["inputs"][0]["reason"] == "unreadable"
    assert f"{bad}: cannot be read" in ran.err
    assert total(tmp_path / "counts") == 1


def test_an_unwritable_store_is_said(captures: Path) -> None:
    ran = fastflow("reduce", captures, "--store", "/proc/counts", "--sensor", "lab")
    assert ran.code == 1
    assert ran.err.startswith("fastflow: /proc/counts")


def test_a_store_below_a_file_is_said(captures: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    ran = fastflow("reduce", captures, "--store", file / "s", "--sensor", "lab")
    assert ran.code == 1
    assert ran.err.startswith("fastflow: ")
    assert str(file) in ran.err


def test_a_missing_capture_is_wrong_usage(tmp_path: Path) -> None:
    args = ("--store", tmp_path / "counts", "--sensor", "lab")
    ran = fastflow("reduce", tmp_path / "missing.pcap", *args)
    assert ran.code == 2
    assert "missing.pcap: no such file" in ran.err
    assert not (tmp_path / "counts").exists()


def test_many_captures_are_committed_in_batches(tmp_path: Path) -> None:
    directory = tmp_path / "many"
    directory.mkdir()
    for i in range(300):
        packet = b.ethernet(b.ipv4(b.tcp(seq=i)))
        (directory / f"{i:03}.pcap").write_bytes(b.capture(packet))
    store = tmp_path / "counts"
    ran = fastflow("reduce", directory, "--store", store, "--sensor", "lab")
    assert ran.code == 0
    assert "300 in all" in ran.out.decode()
    assert total(store) == 300
    log = sorted((store / "_delta_log").glob("*.json"))
    assert len(log) == 3
    actions = [json.loads(line) for line in log[1].read_text().splitlines()]
    assert sum("add" in action for action in actions) == 3


def test_profile_says_where_the_time_went(captures: Path, tmp_path: Path) -> None:
    args = ("--store", tmp_path / "counts", "--sensor", "lab", "--json", "--profile")
    ran = fastflow("reduce", captures / "a.pcap", *args)
    assert ran.code == 0
    assert ran.json["counted"] == 1
    lines = {line.split()[0] for line in ran.err.splitlines()}
    assert {"phase", "read", "hash", "scan", "tally", "publish", "elapsed"} <= lines


def test_workers_are_at_least_one(captures: Path, tmp_path: Path) -> None:
    args = ("--store", tmp_path / "counts", "--sensor", "lab", "--workers", "0")
    ran = fastflow("reduce", captures / "a.pcap", *args)
    assert ran.code == 2
    assert "--workers" in ran.err
