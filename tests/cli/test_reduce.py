"""`fastflow reduce`: captures into a store, bad input, exit codes, the JSON."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import builders as b
import reference
from command import fastflow
from fastflow.pipeline import reduce
from fastflow.store import Store

SYN = b.ethernet(b.ipv4(b.tcp(dst_port=445, options=b.mss(1460))))
TELNET = b.ethernet(b.ipv4(b.tcp(dst_port=23, options=b.mss(1460))))
ARP = b.ethernet(bytes(28), ethertype=0x0806)


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    """A directory: two good captures, a cut one, no capture, an empty file."""
    directory = tmp_path / "captures"
    directory.mkdir()
    (directory / "a.pcap").write_bytes(b.capture(SYN, ARP))
    (directory / "b.pcap.gz").write_bytes(gzip.compress(b.capture(SYN, SYN, SYN)))
    (directory / "c.pcap").write_bytes(b.capture(TELNET, SYN)[:-5])
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


# --- captures that grow ---------------------------------------------------------------

GROWING = [b.ethernet(b.ipv4(b.tcp(dst_port=port))) for port in range(1, 8)]


def grown(n_packets: int) -> bytes:
    return b.capture(*GROWING[:n_packets])


def ports(store: Path) -> list[int]:
    found = Store(store).sql(
        "select dst_port, sum(packets) n from counts group by 1 order by 1"
    )
    assert set(found["n"].to_pylist()) == {1}, "a packet counts once"
    return found["dst_port"].to_pylist()


def reduce_to(store: Path, *captures: Path, **options: object) -> list[dict[str, Any]]:
    named = [f"--{name}={value}" for name, value in options.items()]
    ran = fastflow(
        "reduce", *captures, "--store", store, "--sensor=lab", "--json", *named
    )
    assert ran.code in (0, 3), ran.err
    return list(ran.json["inputs"])


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("cut", [0, 9])
def test_a_grown_capture_takes_the_place_of_its_beginning(
    tmp_path: Path, pack: Callable[[bytes], bytes], cut: int
) -> None:
    store, capture = tmp_path / "counts", tmp_path / "a.pcap"
    ids = []
    for n_packets in (3, 5, 7):
        data = grown(n_packets)
        capture.write_bytes(pack(data[: len(data) - cut]))
        (one,) = reduce_to(store, capture)
        ids.append(one["id"])
    assert ports(store) == list(range(1, 8 if not cut else 7))
    rows = Store(store).sql("select id, supersedes from inputs order by records")
    assert rows["id"].to_pylist() == ids
    assert rows["supersedes"].to_pylist() == [None, *ids[:2]]
    (again,) = reduce_to(store, capture)
    assert again["status"] == "duplicate"


@pytest.mark.parametrize("order", [(3, 5, 7), (7, 5, 3), (5, 3, 7), (5, 7, 3)])
@pytest.mark.parametrize("runs", [1, 3])
def test_versions_of_a_capture_count_once_in_any_order(
    tmp_path: Path, order: tuple[int, ...], runs: int
) -> None:
    store = tmp_path / "counts"
    captures = [tmp_path / f"{n}.pcap" for n in order]
    for capture, n_packets in zip(captures, order, strict=True):
        capture.write_bytes(grown(n_packets))
    if runs == 1:
        reduce_to(store, *captures)
    else:
        for capture in captures:
            reduce_to(store, capture)
    assert ports(store) == list(range(1, 8))


def test_a_shorter_version_is_recorded_and_adds_nothing(tmp_path: Path) -> None:
    store, long, short = (tmp_path / name for name in ("s", "long.pcap", "short.pcap"))
    for capture, n_packets in ((long, 5), (short, 3)):
        capture.write_bytes(grown(n_packets))
    (whole,) = reduce_to(store, long)
    (part,) = reduce_to(store, short)
    assert (part["status"], part["counted"]) == ("complete", 3)
    assert ports(store) == list(range(1, 6))
    rows = Store(store).sql("select part_of from inputs order by records")
    assert rows["part_of"].to_pylist() == [whole["id"], None]
    assert Store.verify(store).is_good
    long.unlink()
    (again,) = reduce_to(store, short)
    assert again["status"] == "duplicate"
    assert ports(store) == list(range(1, 6))


def test_what_stands_in_one_file_with_a_grown_capture_stays(tmp_path: Path) -> None:
    store, growing, other = (tmp_path / name for name in ("s", "a.pcap", "b.pcap"))
    growing.write_bytes(grown(3))
    other.write_bytes(b.capture(*GROWING[5:]))
    reduce_to(store, growing, other)
    growing.write_bytes(grown(5))
    reduce_to(store, growing)
    assert ports(store) == list(range(1, 8))


def test_a_capture_that_does_not_go_on_is_another_one(tmp_path: Path) -> None:
    store, capture = tmp_path / "counts", tmp_path / "a.pcap"
    capture.write_bytes(b.capture(GROWING[0], GROWING[1]))
    reduce_to(store, capture)
    capture.write_bytes(b.capture(GROWING[0], GROWING[2], GROWING[3]))
    ran = fastflow("reduce", capture, "--store", store, "--sensor=lab")
    assert total(store) == 5
    assert "other content than when it was taken in as input" in ran.err


def test_a_longer_version_that_is_gone_is_told(tmp_path: Path) -> None:
    store, long, short = (tmp_path / name for name in ("s", "long.pcap", "short.pcap"))
    long.write_bytes(grown(5))
    reduce_to(store, long)
    long.unlink()
    short.write_bytes(grown(3))
    ran = fastflow("reduce", short, "--store", store, "--sensor=lab")
    assert total(store) == 8
    assert "cannot be read any more; both are counted" in ran.err


def test_growth_is_seen_behind_the_first_bytes(tmp_path: Path) -> None:
    store, capture = tmp_path / "counts", tmp_path / "a.pcap"
    big = b.capture(*[b.ethernet(b.ipv4(b.tcp(dst_port=9) + bytes(1400)))] * 1000)
    for n_bytes in (600_000, 800_000, len(big)):
        capture.write_bytes(big[:n_bytes])
        reduce_to(store, capture, workers=2)
    assert total(store) == 1000


# --- resume ---------------------------------------------------------------------------


def test_resume_passes_over_what_is_recorded_as_it_lies_there(tmp_path: Path) -> None:
    store = tmp_path / "counts"
    captures = [tmp_path / f"{n}.pcap" for n in range(3)]
    for n, capture in enumerate(captures):
        capture.write_bytes(b.capture(GROWING[n]))
    reduce_to(store, *captures)
    captures[0].write_bytes(b.capture(GROWING[4]))
    seen = captures[1].stat()
    captures[1].write_bytes(b"unreadable".ljust(seen.st_size))
    os.utime(captures[1], ns=(seen.st_atime_ns, seen.st_mtime_ns))
    ran = fastflow(
        "reduce", *captures, "--store", store, "--sensor=lab", "--resume", "--json"
    )
    states = {Path(one["path"]).name: one["status"] for one in ran.json["inputs"]}
    assert states == {
        "0.pcap": "complete",
        "1.pcap": "duplicate",
        "2.pcap": "duplicate",
    }
    assert total(store) == 4


def test_resume_reads_every_pipe(tmp_path: Path) -> None:
    store = tmp_path / "counts"
    for n, packet in enumerate((SYN, TELNET), start=1):
        args = ("reduce", "-", "--store", store, "--sensor=lab", "--resume", "--json")
        ran = fastflow(*args, stdin=b.capture(packet))
        assert [one["status"] for one in ran.json["inputs"]] == ["complete"]
        assert total(store) == n


def test_resume_goes_on_behind_what_cannot_be_looked_at(tmp_path: Path) -> None:
    captures = tmp_path / "captures"
    captures.mkdir()
    (captures / "a.pcap").symlink_to("gone")
    (captures / "b.pcap").write_bytes(b.capture(SYN))
    for status, code in (("complete", 3), ("duplicate", 3)):
        ran = fastflow(
            *("reduce", captures, "--store", tmp_path / "s", "--sensor=lab"),
            *("--resume", "--json"),
        )
        states = {Path(i["path"]).name: i["status"] for i in ran.json["inputs"]}
        assert states == {"a.pcap": "rejected", "b.pcap": status}
        assert ran.code == code


def test_what_is_passed_over_is_told_as_what_is_read(tmp_path: Path) -> None:
    captures = [tmp_path / f"sensor-{n}" / "a.pcap" for n in range(3)]
    for n, capture in enumerate(captures):
        capture.parent.mkdir()
        capture.write_bytes(b.capture(GROWING[n]))
    named = ("--store", tmp_path / "s", "--sensor", "{parent}")
    first = fastflow("reduce", *captures[:2], *named, "--json").json["inputs"]
    said = [one | {"status": "duplicate", "records": 0, "counted": 0} for one in first]
    again = fastflow("reduce", *captures, *named, "--resume", "--json").json
    assert again["inputs"][:2] == said
    assert [one["sensor"] for one in again["inputs"]] == [
        p.parent.name for p in captures
    ]
    assert (again["records"], again["counted"]) == (1, 1)
    report = reduce(captures, tmp_path / "s", "{parent}", resume=True)
    assert [record.to_json() for record in report.inputs] == report.to_json()["inputs"]
    assert json.loads("".join(report.json_text())) == report.to_json()
    assert (len(report), report.exit_code) == (3, 0)


def test_a_name_that_is_no_text_stops_nothing(tmp_path: Path) -> None:
    captures = tmp_path / "captures"
    captures.mkdir()
    (captures / os.fsdecode(b"\xff.pcap")).write_bytes(b.capture(SYN))
    (captures / "\u00e9.pcap").write_bytes(b.capture(TELNET)[:-1])
    args = ("reduce", captures, "--store", tmp_path / "s", "--sensor=lab", "--json")
    for statuses in (["truncated", "complete"], ["duplicate", "duplicate"]):
        ran = fastflow(*args, "--resume")
        names = [Path(one["path"]).name for one in ran.json["inputs"]]
        assert names == ["\u00e9.pcap", r"\xff.pcap"]
        assert [one["status"] for one in ran.json["inputs"]] == statuses
