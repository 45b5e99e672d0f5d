"""The load generator against the reference decoder and slow counts."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import struct
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reference
from fastflow._synth import RECORD_MAX_BYTES, LoadGenerator
from fastflow.errors import ConfigError, DataFileError
from fastflow.stages.country import CountryTable
from fastflow.synth import load
from fastflow.synth.load import make_load, read_truth

pytest_plugins = ["country_fixture"]

PACKETS = 3_000
TCP, UDP, ICMP = 6, 17, 1


def address(text: str) -> int:
    return int(ipaddress.IPv4Address(text))


@dataclass
class SmallTable:
    """Three countries; the ranges of the US are not side by side."""

    name: str = "small"
    version: str = "1"
    codes: tuple[str, ...] = ("", "JP", "US", "VA")
    ranges: tuple[tuple[str, str, int], ...] = (
        ("1.0.0.0", "1.0.255.255", 2),
        ("2.0.0.0", "2.1.255.255", 1),
        ("3.0.0.0", "3.0.0.255", 2),
        ("4.0.0.0", "4.0.0.2", 3),
        ("9.0.0.0", "9.0.255.255", 2),
    )

    def v4_ranges(self) -> tuple[Any, Any, Any]:
        starts, lasts, codes = zip(*self.ranges, strict=True)
        return (
            np.array([address(text) for text in starts], np.uint32),
            np.array([address(text) for text in lasts], np.uint32),
            np.array(codes, np.uint16),
        )

    def country(self, value: int) -> str:
        for start, last, code in self.ranges:
            if address(start) <= value <= address(last):
                return self.codes[code]
        return ""


def make(path: Path, kind: str = "scan", packets: int = PACKETS, **named: Any) -> Path:
    named = {"seed": 7, "country_table": SmallTable(), **named}
    return make_load(kind, packets, out_dir=path, **named)


def rows_of(path: Path) -> list[dict[str, Any]]:
    result = reference.decode_capture(path.read_bytes())
    assert result.status == "complete"
    assert result.flags == {}
    return [dict(row) for row in result.rows]


def source(row: dict[str, Any]) -> int:
    return int.from_bytes(row["src"][12:])


def slow_truth(rows: list[dict[str, Any]], table: SmallTable) -> dict[str, Any]:
    """Count decoded rows the way truth.json does."""
    names = {TCP: "tcp", UDP: "udp", ICMP: "icmp"}
    protocols = Counter(names[row["proto"]] for row in rows)
    hours = Counter(row["ts"] // (3600 * 10**9) * 3600 for row in rows)
    ports = Counter(
        f"{row['dst_port']}/{names[row['proto']]}"
        for row in rows
        if row["dst_port"] is not None
    )
    top = sorted(ports.items(), key=lambda item: (-item[1], item[0]))
    sources = {source(row) for row in rows}
    packets = Counter(table.country(source(row)) for row in rows)
    distinct = Counter(table.country(value) for value in sources)
    return {
        "packets": len(rows),
        "ip_bytes": sum(row["ip_len"] for row in rows),
        "protocols": {name: protocols[name] for name in ("tcp", "udp", "icmp")},
        "syn_ack_packets": sum(row["tcp_flags"] == 0x12 for row in rows),
        "sources": len(sources),
        "hours": {
            f"{datetime.fromtimestamp(hour, UTC):%Y-%m-%dT%H:%M:%SZ}": count
            for hour, count in sorted(hours.items())
        },
        "ports": dict(top[: load.TOP_PORTS]),
        "countries": {
            code: {"packets": packets[code], "sources": distinct[code]}
            for code in sorted(packets)
        },
    }


def internet_sum(data: bytes) -> int:
    """Return 0xffff for data that hold a right Internet checksum."""
    total = sum(int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize("kind", load.KINDS)
def test_truth_is_a_slow_count(tmp_path: Path, kind: str) -> None:
    path = make(tmp_path, kind, hours=3)
    rows = rows_of(path)
    truth = read_truth(path)
    assert truth == {
        "kind": kind,
        "seed": 7,
        "bytes": path.stat().st_size,
        "country_table": {"name": "small", "version": "1"},
        **slow_truth(rows, SmallTable()),
    }
    assert {row["status"] for row in rows} == {"ok"}
    assert "" not in truth["countries"]


@pytest.mark.parametrize("kind", load.KINDS)
def test_checksums_are_right(tmp_path: Path, kind: str) -> None:
    data = make(tmp_path, kind, 500).read_bytes()
    at = 24
    while at < len(data):
        caplen = int.from_bytes(data[at + 8 : at + 12], "little")
        ip = data[at + 30 : at + 16 + caplen]
        ip = ip[: int.from_bytes(ip[2:4])]
        segment = ip[20:]
        assert internet_sum(ip[:20]) == 0xFFFF
        if ip[9] != ICMP:
            pseudo = ip[12:20] + bytes([0, ip[9]]) + len(segment).to_bytes(2)
            segment = pseudo + segment
        assert internet_sum(segment + bytes(len(segment) % 2)) == 0xFFFF
        at += 16 + caplen


@pytest.mark.parametrize("kind", load.KINDS)
def test_bytes_do_not_depend_on_block_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    whole = make(tmp_path / "a", kind).read_bytes()
    monkeypatch.setattr(load, "BLOCK_BYTES", RECORD_MAX_BYTES + 100)
    assert make(tmp_path / "b", kind).read_bytes() == whole


def test_seed_decides_the_bytes(tmp_path: Path) -> None:
    first = make(tmp_path / "a").read_bytes()
    assert make(tmp_path / "b").read_bytes() == first
    assert make(tmp_path / "c", seed=8).read_bytes() != first
    assert make(tmp_path / "d", seed=2**64 - 1).stat().st_size > 0


@pytest.mark.parametrize(
    ("kind", "digest"),
    [
        ("scan", "0d897ba4084d4343"),
        ("scatter", "83dac85c942985f2"),
        ("payload", "d85fe3630bfc9c99"),
    ],
)
def test_bytes_are_the_same_on_every_machine(
    tmp_path: Path, kind: str, digest: str
) -> None:
    data = make(tmp_path, kind).read_bytes()
    assert hashlib.sha256(data).hexdigest()[:16] == digest


def test_scan_has_scanners_at_work(tmp_path: Path) -> None:
    rows = rows_of(make(tmp_path, packets=20_000))
    cells = Counter(
        (row["ts"] // (3600 * 10**9), row["src"], row["proto"], row["dst_port"])
        for row in rows
    )
    assert 15 < len(rows) / len(cells) < 20.9
    options = {row["tcp_options"] for row in rows if row["proto"] == TCP}
    assert options == {"", "2", "2-4-8-1-3", "2-1-3-1-1-4"}
    assert {row["proto"] for row in rows} == {TCP, UDP, ICMP}
    assert {row["tcp_flags"] for row in rows} == {0x02, 0x12, None}
    assert 81 < (tmp_path / "scan.pcap").stat().st_size / 20_000 < 86


def test_scan_holds_the_habits_of_tools(tmp_path: Path) -> None:
    rows = [row for row in rows_of(make(tmp_path)) if row["tcp_flags"] == 0x02]
    dst = [int.from_bytes(row["dst"][12:]) for row in rows]
    mirai = [row["tcp_seq"] == d for row, d in zip(rows, dst, strict=True)]
    masscan = [
        row["ip_id"] == (d ^ row["dst_port"] ^ row["tcp_seq"]) & 0xFFFF
        for row, d in zip(rows, dst, strict=True)
    ]
    zmap = [row["ip_id"] == 54321 for row in rows]
    assert min(sum(mirai), sum(masscan), sum(zmap)) > 0


def test_scatter_has_a_source_per_packet(tmp_path: Path) -> None:
    rows = rows_of(make(tmp_path, "scatter"))
    assert len({row["src"] for row in rows}) == PACKETS


def test_payload_frames_have_800_bytes_on_average(tmp_path: Path) -> None:
    rows = rows_of(make(tmp_path, "payload", 20_000))
    mean = sum(row["caplen"] for row in rows) / len(rows)
    assert 760 < mean < 840
    assert min(row["payload_len"] for row in rows) > 0


def test_times_are_nearly_in_order(tmp_path: Path) -> None:
    data = make(tmp_path, packets=100_000, hours=1).read_bytes()
    times_us = []
    at = 24
    while at < len(data):
        sec, usec, caplen = struct.unpack_from("<III", data, at)
        times_us.append(sec * 1_000_000 + usec)
        at += 16 + caplen
    start_us = int(load.START.timestamp()) * 1_000_000
    behind_us = np.maximum.accumulate(times_us) - np.array(times_us)
    assert 0 < behind_us.max() < 66_000
    assert 0.01 < np.count_nonzero(behind_us) / len(times_us) < 0.1
    assert start_us <= min(times_us) <= max(times_us) < start_us + 3_600_000_000


def test_destinations_are_benchmark_addresses(tmp_path: Path) -> None:
    network = ipaddress.IPv4Network("198.18.0.0/15")
    found = {ipaddress.IPv4Address(row["dst"][12:]) for row in rows_of(make(tmp_path))}
    assert all(value in network for value in found)
    assert len(found) == 64


def test_small_country_repeats_its_addresses(tmp_path: Path) -> None:
    table = SmallTable(codes=("", "VA"), ranges=(("4.0.0.0", "4.0.0.2", 1),))
    path = make(tmp_path, "scatter", 10, country_table=table)
    assert read_truth(path)["sources"] == 3
    assert {source(row) & 3 for row in rows_of(path)} == {0, 1, 2}


def test_sources_lie_in_the_country_table(
    tmp_path: Path, country_table: CountryTable
) -> None:
    path = make(tmp_path, country_table=country_table)
    rows = rows_of(path)
    raw = b"".join(row["src"] for row in rows)
    found = country_table.lookup(raw, bytes([4]) * len(rows))
    packets = Counter(country_table.codes[code] for code in found)
    truth = read_truth(path)
    assert truth["country_table"]["version"] == country_table.version
    assert packets == {
        code: counts["packets"] for code, counts in truth["countries"].items()
    }


def test_one_packet_is_a_load(tmp_path: Path) -> None:
    assert len(rows_of(make(tmp_path, packets=1))) == 1


def test_progress_ends_at_one(tmp_path: Path) -> None:
    fractions: list[float] = []
    make(tmp_path, progress=fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_nothing_is_left_of_a_failed_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fraction: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, progress=fail)
    assert list(tmp_path.iterdir()) == []


def test_truth_is_plain_json(tmp_path: Path) -> None:
    path = make(tmp_path)
    assert json.loads((tmp_path / "truth.json").read_text()) == read_truth(path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "scan.pcap",
        "truth.json",
    ]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"kind": "flood"}, "'flood' is no load; write scan"),
        ({"packets": 0}, "0 packets: at least 1"),
        ({"seed": -1}, "seed -1"),
        ({"hours": 0}, "0 hours"),
        ({"hours": 10**7}, "10000000 hours"),
    ],
)
def test_bad_parameters_are_named(
    tmp_path: Path, named: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make(tmp_path, **named)


def test_unwritable_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file/scan\.pcap: cannot be written"):
        make(tmp_path / "file")


def test_table_without_ipv4_is_refused(tmp_path: Path) -> None:
    @dataclass
    class Empty(SmallTable):
        def v4_ranges(self) -> tuple[Any, Any, Any]:
            none = np.empty(0, np.uint32)
            return none, none, none.astype(np.uint16)

    with pytest.raises(DataFileError, match="no IPv4 range"):
        make(tmp_path, country_table=Empty())


def tables(**named: Any) -> dict[str, Any]:
    slots = np.zeros(4096, np.uint16)
    return {
        "packets": 1,
        "hours": 1,
        "actors": 1,
        "start_sec": 0,
        "seed": 0,
        "country_slots": slots,
        "first_ranges": np.array([0, 1], np.uint32),
        "range_starts": np.array([1 << 24], np.uint32),
        "range_ends": np.array([256], np.uint32),
        "tcp_slots": slots,
        "udp_slots": slots,
        **named,
    }


@pytest.mark.parametrize(
    "named",
    [
        {"packets": 0},
        {"actors": 0},
        {"country_slots": np.ones(4096, np.uint16)},
        {"country_slots": np.zeros(4095, np.uint16)},
        {"tcp_slots": np.zeros(4096, np.uint32)},
        {"first_ranges": np.array([0, 2], np.uint32)},
        {"first_ranges": np.array([0, 1, 1], np.uint32)},
        {"first_ranges": np.array([0, 9, 1], np.uint32)},
        {"first_ranges": np.array([0], np.uint32)},
        {"range_ends": np.array([0], np.uint32)},
        {"range_ends": np.array([256, 512], np.uint32)},
        {"range_starts": np.array([], np.uint32)},
    ],
)
def test_generator_refuses_tables_that_do_not_fit(named: dict[str, Any]) -> None:
    LoadGenerator("scan", **tables())
    with pytest.raises(ValueError, match=r"."):
        LoadGenerator("scan", **tables(**named))


def test_generator_refuses_a_short_block() -> None:
    generator = LoadGenerator("scan", **tables())
    with pytest.raises(ValueError, match="a block needs"):
        generator.fill(bytearray(RECORD_MAX_BYTES - 1))
