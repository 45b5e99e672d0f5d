"""`fastflow scan` and `info`: formats, columns, bad input, exit codes."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import ipc, parquet

import builders as b
from command import fastflow
from fastflow import packets
from fastflow.cli.scan import command

SYN = b.ethernet(b.ipv4(b.tcp(dst_port=445, options=b.mss(1460))))
V6 = b.ethernet(b.ipv6(b.udp(b"x")), ethertype=b.ETHERTYPE_IPV6)
ARP = b.ethernet(bytes(28), ethertype=0x0806)


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "a.pcap"
    path.write_bytes(b.capture(SYN, V6, ARP))
    return path


def test_ndjson_is_the_default_on_stdout(capture: Path) -> None:
    ran = fastflow("scan", capture)
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert (ran.code, len(rows)) == (0, 3)
    assert rows[0]["src"] == "192.0.2.1"
    assert rows[0]["dst_port"] == 445
    assert rows[0]["tcp_options"] == "2"
    assert rows[0]["vlan"] is None
    assert rows[1]["src"] == "2001:db8::1"
    assert rows[2]["status"] == "non_ip"
    assert rows[2]["src"] is None


def test_stdin_is_read_as_it_comes(capture: Path) -> None:
    ran = fastflow("scan", "-", "--format", "ndjson", stdin=capture.read_bytes())
    assert ran.out == fastflow("scan", capture).out


def test_every_format_holds_the_same_rows(capture: Path, tmp_path: Path) -> None:
    columns = "ts,src,dst_port,tcp_options,signature,traffic,status"
    lines = fastflow("scan", capture, "--columns", columns).out.splitlines()
    expected = [json.loads(line) for line in lines]
    for ending in ("parquet", "arrow", "csv", "ndjson"):
        out = tmp_path / f"out.{ending}"
        ran = fastflow("scan", capture, "-o", out, "--columns", columns)
        assert (ran.code, ran.out) == (0, b"")
        assert list(expected[0]) == columns.split(",")
    table = parquet.read_table(tmp_path / "out.parquet")
    assert (
        ipc.open_file(tmp_path / "out.arrow")
        .read_all()
        .equals(table.cast(ipc.open_file(tmp_path / "out.arrow").schema))
    )
    assert table["dst_port"].to_pylist() == [row["dst_port"] for row in expected]
    assert table["ts"].cast(pa.int64()).to_pylist()[1] == (b.T0 + 1) * 10**9
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {name: "" if value is None else str(value) for name, value in row.items()}
        for row in expected
    ]
    assert (tmp_path / "out.ndjson").read_bytes().splitlines() == lines


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv", "ndjson"])
def test_workers_change_no_byte(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process, so that parts can be small."""
    monkeypatch.setattr(packets, "PART_BYTES", 1000)
    path = tmp_path / "a.pcap"
    path.write_bytes(b.capture(*[SYN, V6, ARP] * 40))
    written = []
    for workers in (1, 3):
        out = tmp_path / f"{workers}.{ending}"
        arguments = [str(path), "-o", str(out), "--workers", str(workers)]
        ran = CliRunner().invoke(command, arguments)
        assert (ran.exit_code, ran.output) == (0, "")
        written.append(out.read_bytes())
    assert written[0] == written[1]
    assert len(written[0]) > 1000


def test_country_is_a_column_like_any_other(tmp_path: Path) -> None:
    packet = b.ethernet(b.ipv4(b.tcp(), src=bytes([133, 11, 0, 1])))
    path = tmp_path / "jp.pcap"
    path.write_bytes(b.capture(packet))
    ran = fastflow("scan", path, "--columns", "country,src")
    assert ran.out == b'{"country":"JP","src":"133.11.0.1"}\n'


def test_what_precedes_the_damage_is_kept(capture: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(capture.read_bytes()[:-1])
    ran = fastflow("scan", cut, capture)
    assert (ran.code, len(ran.out.splitlines())) == (3, 5)
    offset = 24 + 16 + len(SYN) + 16 + len(V6)
    assert f"{cut}: " in ran.err
    assert f"truncated_record) at byte {offset}" in ran.err


def test_a_file_that_is_no_capture_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no capture at all")
    ran = fastflow("scan", path)
    assert (ran.code, ran.out) == (1, b"")
    assert f"{path}: " in ran.err
    assert "unknown_magic" in ran.err
    assert fastflow("scan", tmp_path).code == 0


def test_an_unknown_link_type_is_said(tmp_path: Path) -> None:
    path = tmp_path / "link.pcap"
    path.write_bytes(b.capture(SYN, linktype=147))
    ran = fastflow("scan", path)
    assert ran.code == 1
    assert "(147)" in ran.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--columns", "ts,nothing"], "nothing: no such packet column"),
        (["--columns", "ts,ts"], "named twice"),
        (["-o", "out.xyz"], "--format"),
        (["-o", "/nowhere/out.csv"], "/nowhere/out.csv"),
        (["--json"], "-o FILE"),
    ],
)
def test_wrong_usage_is_one_line_and_2(
    capture: Path, args: list[str], says: str
) -> None:
    ran = fastflow("scan", capture, *args)
    assert ran.code == 2
    assert says in ran.err


def test_an_unfinished_file_never_has_the_final_name(
    capture: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "closed"
    directory.mkdir()
    assert fastflow("scan", "missing.pcap", "-o", directory / "o.csv").code == 2
    assert list(directory.iterdir()) == []


def test_info_says_what_a_capture_holds(capture: Path, tmp_path: Path) -> None:
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(capture.read_bytes()))
    ran = fastflow("info", capture, packed, "--json")
    plain, zipped = ran.json["captures"]
    assert ran.code == 0
    assert plain["records"] == 3
    assert plain["counted"] == 2
    assert plain["uncounted"] == {"non_ip": 1}
    assert plain["linktype_name"] == "EN10MB"
    assert plain["first_packet"].endswith("Z")
    assert zipped | {"path": "", "compression": None} == plain | {"path": ""}
    assert zipped["compression"] == "gzip"


def test_fields_list_what_a_scan_can_yield(capture: Path) -> None:
    names = [row["name"] for row in fastflow("fields", "--json").json]
    ran = fastflow("scan", capture, "--columns", ",".join(names))
    assert list(json.loads(io.BytesIO(ran.out).readline())) == names
    reasons = {row["name"] for row in fastflow("fields", "--reasons", "--json").json}
    assert {"zero_record", "bad_ts", "l4_truncated", "len_zero"} <= reasons
