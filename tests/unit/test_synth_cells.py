"""Cells, and the captures made of them, read by the reference decoder and tshark."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
import tshark
from fastflow.errors import DataFileError
from fastflow.synth.addresses import CountryAddresses, Station, stations
from fastflow.synth.captures import write_day
from fastflow.synth.cells import (
    CELL,
    ICMP,
    ID_OF_MASSCAN,
    SEQ_OF_MIRAI,
    TCP,
    UDP,
    Style,
    ip_lengths,
    make_cells,
)
from fastflow.synth.draws import draw
from quarter import small_table

SIGNATURES = [
    "8192:2-1-3-1-1-4:1460:8",
    "1024:::",
    "29200:2-4-8-1-3:1460:7",
    "65535:2-1-1-4:1414:",
    "100:1-1-1-0::",
]
STYLES = [Style.parse(signature) for signature in SIGNATURES]
STATIONS = [Station("a", "JP", 0xC6120001, 3), Station("b", "US", 0xC6120101, 1)]
HOUR = 442_224  # 2020-06-13 00:00 UTC


def decoded(path: Path) -> list[dict[str, Any]]:
    result = reference.decode_capture(path.read_bytes())
    assert result.status == "complete"
    assert result.flags == {}
    return [dict(row) for row in result.rows]


@st.composite
def some_cells(draw_: st.DrawFn) -> np.ndarray:
    cells = make_cells(draw_(st.integers(1, 8)))
    for cell in cells:
        proto = draw_(st.sampled_from([TCP, TCP, UDP, ICMP]))
        begin_s = draw_(st.integers(0, 3599))
        values = {
            "hour": HOUR + draw_(st.integers(0, 23)),
            "sensor": draw_(st.integers(0, 1)),
            "src": draw_(st.integers(1 << 24, (1 << 32) - 1)),
            "proto": proto,
            "packets": draw_(st.integers(1, 4)),
            "begin_s": begin_s,
            "end_s": draw_(st.integers(begin_s + 1, 3600)),
            "ip_ttl": draw_(st.integers(0, 255)),
            "src_port": draw_(st.integers(-1, 65_535)),
            "ip_id": draw_(st.integers(-1, 65_535)),
        }
        if proto == ICMP:
            values["icmp_type"] = draw_(st.integers(0, 255))
        else:
            values["dst_port"] = draw_(st.integers(0, 65_535))
        if proto == TCP:
            values["tcp_flags"] = draw_(st.integers(0, 255))
            values["style"] = draw_(st.integers(0, len(STYLES) - 1))
            values["tcp_seq"] = draw_(st.integers(SEQ_OF_MIRAI, (1 << 32) - 1))
            values["ip_id"] = draw_(st.integers(ID_OF_MASSCAN, 65_535))
        for name, value in values.items():
            cell[name] = value
    return cells


def fits(row: dict[str, Any], cell: Any, sensor: str) -> bool:
    """Say whether a decoded packet can be one of a cell."""
    begin_ns = (int(cell["hour"]) * 3600 + int(cell["begin_s"])) * 10**9
    end_ns = (int(cell["hour"]) * 3600 + int(cell["end_s"])) * 10**9
    dst = int.from_bytes(row["dst"][12:])
    equal = {
        "src": int.from_bytes(row["src"][12:]),
        "proto": row["proto"],
        "ip_ttl": row["ip_ttl"],
    }
    if cell["proto"] == ICMP:
        equal["icmp_type"] = row["icmp_type"]
    else:
        equal["dst_port"] = row["dst_port"]
        equal["src_port"] = row["src_port"] if cell["src_port"] >= 0 else -1
    if cell["proto"] == TCP:
        equal["tcp_flags"] = row["tcp_flags"]
        equal["tcp_seq"] = row["tcp_seq"] if cell["tcp_seq"] >= 0 else cell["tcp_seq"]
    wanted_id = {
        ID_OF_MASSCAN: (dst ^ (row["dst_port"] or 0) ^ (row["tcp_seq"] or 0)) & 0xFFFF,
        -1: row["ip_id"],
    }.get(int(cell["ip_id"]), int(cell["ip_id"]))
    station = STATIONS[cell["sensor"]]
    style = STYLES[cell["style"]].signature if cell["proto"] == TCP else None
    return (
        begin_ns <= row["ts"] < end_ns
        and all(cell[name] == value for name, value in equal.items())
        and row["ip_id"] == wanted_id
        and (cell["tcp_seq"] != SEQ_OF_MIRAI or row["tcp_seq"] == dst)
        and sensor == station.name
        and 0 <= dst - station.first_address < station.addresses
        and row["signature"] == style
        and row["ip_len"] == ip_lengths(np.array([cell], CELL), STYLES)[0]
        and row["status"] == "ok"
    )


@settings(deadline=None, max_examples=60)
@given(some_cells(), st.integers(0, 2**64 - 1))
def test_every_packet_is_one_of_a_cell(
    tmp_path_factory: pytest.TempPathFactory, cells: np.ndarray, seed: int
) -> None:
    out = tmp_path_factory.mktemp("cells")
    assert write_day(cells, STYLES, STATIONS, out, seed) == cells["packets"].sum()
    rows = [
        (station.name, row)
        for station in STATIONS
        for row in (
            decoded(out / station.name / "2020-06-13.pcap")
            if (out / station.name).exists()
            else []
        )
    ]
    assert len(rows) == cells["packets"].sum()
    found = [any(fits(row, cell, name) for cell in cells) for name, row in rows]
    assert all(found)
    # Each source is another, or cells of one could not be told apart.
    if len(set(cells["src"].tolist())) == len(cells):
        packets = Counter(int.from_bytes(row["src"][12:]) for _, row in rows)
        expected = zip(cells["src"].tolist(), cells["packets"].tolist(), strict=True)
        assert packets == dict(expected)
    for station in STATIONS:
        times = [row["ts"] for name, row in rows if name == station.name]
        assert times == sorted(times)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture with all protocols, ICMP errors among them."""
    out = tmp_path_factory.mktemp("mixed")
    cells = make_cells(
        400,
        hour=HOUR + np.arange(400) % 24,
        src=draw(0, np.arange(400)) >> np.uint64(33),
        proto=np.resize([TCP, UDP, ICMP, TCP], 400),
        # No port of a protocol that tshark would find broken.
        dst_port=9,
        src_port=9,
        icmp_type=np.resize([8, 0, 3, 11, 5], 400),
        style=np.resize([0, 1, 2, 3], 400),
        packets=2,
    )
    write_day(cells, STYLES, STATIONS, out, 3)
    return out / "a" / "2020-06-13.pcap"


@pytest.mark.skipif(tshark.TSHARK is None, reason="no tshark")
def test_tshark_finds_nothing_wrong(mixed: Path) -> None:
    fields = ["ip", "tcp", "udp", "icmp"]
    command = [str(tshark.TSHARK), "-r", str(mixed), "-n", "-T", "fields"]
    for name in fields[:3]:
        command += ["-o", f"{name}.check_checksum:TRUE"]
    for name in fields:
        command += ["-e", f"{name}.checksum.status"]
    command += ["-e", "_ws.malformed", "-e", "icmp.code"]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    found = Counter(line.rstrip() for line in done.stdout.splitlines())
    assert found == {
        "1\t1": 400,
        "1\t\t1": 200,
        # Of an error also the quoted header.
        "1\t\t\t1\t\t0": 80,
        "1,1\t\t\t1\t\t1": 120,
    }


def test_icmp_errors_quote_a_packet_that_seems_to_come_from_the_sensor(
    mixed: Path,
) -> None:
    data = mixed.read_bytes()
    at, quotes = 24, 0
    while at < len(data):
        caplen = int.from_bytes(data[at + 8 : at + 12], "little")
        ip = data[at + 30 : at + 16 + caplen]
        if ip[9] == ICMP and ip[20] in (3, 11, 5):
            quoted = ip[28:]
            assert (quoted[12:16], quoted[16:20]) == (ip[16:20], ip[12:16])
            assert quoted[9] == TCP
            quotes += 1
        at += 16 + caplen
    assert quotes == 120


@pytest.mark.parametrize("signature", SIGNATURES)
def test_a_style_has_the_signature_it_was_made_of(signature: str) -> None:
    assert Style.parse(signature).signature == signature


@pytest.mark.parametrize(
    ("options", "signature"),
    [
        (bytes.fromhex("020405b4"), "5:2:1460:"),
        # Options of a strange length are listed, and give no value.
        (bytes.fromhex("02030500"), "5:2-0::"),
        # The last one wins; what follows an end of list is padding.
        (bytes.fromhex("02040001 02040002 00ffffff"), "5:2-2-0:2:"),
    ],
)
def test_signature_of_options_on_the_wire(
    tmp_path: Path, options: bytes, signature: str
) -> None:
    style = Style(5, options)
    write_day(make_cells(1, hour=HOUR), [style], STATIONS, tmp_path, 0)
    (row,) = decoded(tmp_path / "a" / "2020-06-13.pcap")
    assert style.signature == row["signature"] == signature


@pytest.mark.parametrize(
    ("options", "problem"),
    [(b"\x01", "1 bytes"), (bytes(44), "44 bytes"), (b"\x01\x01\x02\x04", "is cut")],
)
def test_options_that_do_not_fit_are_refused(options: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Style(1, options)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"hour": [HOUR, HOUR + 24]}, "cells from 2020-06-13 to 2020-06-14"),
        ({"proto": [TCP, 47]}, "cell 1: proto 47"),
        ({"style": [0, 99]}, "cell 1: style 99"),
        ({"style": [-1, 0]}, "cell 0: style -1"),
        ({"sensor": [0, 2]}, "cell 1: sensor 2"),
        ({"begin_s": [0, 3600]}, "cell 1: end_s 3600"),
        ({"end_s": [3601, 9]}, "cell 0: end_s 3601"),
        ({"proto": [TCP, UDP], "ip_id": [-1, ID_OF_MASSCAN]}, "cell 1: ip_id -2"),
    ],
)
def test_cells_that_cannot_be_written_are_refused(
    tmp_path: Path, columns: dict[str, list[int]], problem: str
) -> None:
    cells = make_cells(2, **{"hour": HOUR, **columns})
    with pytest.raises(ValueError, match=problem):
        write_day(cells, STYLES, STATIONS, tmp_path, 0)
    assert list(tmp_path.iterdir()) == []


def test_no_cells_make_no_captures(tmp_path: Path) -> None:
    assert write_day(make_cells(0), STYLES, STATIONS, tmp_path, 0) == 0
    assert list(tmp_path.iterdir()) == []


def test_sources_lie_in_their_country() -> None:
    table = small_table()
    addresses = CountryAddresses(table, ["JP", "US", "NZ"])
    numbers = np.arange(3000) % 3
    found = addresses.draw(numbers, draw(5, np.arange(3000)))
    raw = b"".join(b"\0" * 10 + b"\xff\xff" + int(one).to_bytes(4) for one in found)
    codes = table.lookup(raw, bytes([4]) * 3000)
    assert [table.codes[code] for code in codes] == ["JP", "US", "NZ"] * 1000
    assert len(set(found.tolist())) > 2950


class Scattered:
    """A table with one country in ranges of odd sizes, among others."""

    name = "scattered"
    version = "1"
    codes = ("", "AA", "BB")

    def v4_ranges(self) -> tuple[Any, Any, Any]:
        return (
            np.array([100, 1000, 5000], np.uint32),
            np.array([102, 1999, 5000], np.uint32),
            np.array([2, 1, 2], np.uint16),
        )


def test_all_addresses_of_a_country_are_drawn() -> None:
    addresses = CountryAddresses(Scattered(), ["BB"])
    found = addresses.draw(0, draw(0, np.arange(100)))
    assert set(found.tolist()) == {100, 101, 102, 5000}


def test_networks_are_the_countrys_alone() -> None:
    addresses = CountryAddresses(Scattered(), ["BB", "AA"])
    assert addresses.networks("AA", 24, 2) == [1280, 1536]
    with pytest.raises(DataFileError, match="not 1 networks /24 of BB"):
        addresses.networks("BB", 24, 1)


def test_a_country_without_addresses_is_told() -> None:
    with pytest.raises(DataFileError, match=r"scattered 1: no IPv4 address of ZZ"):
        CountryAddresses(Scattered(), ["AA", "ZZ"])


def test_each_sensor_has_a_network_of_its_own() -> None:
    first, second = stations([("a", "JP", 16), ("b", "US", 8)])
    assert first == Station("a", "JP", (198 << 24) + (18 << 16) + 1, 16)
    assert second.first_address - first.first_address == 256
