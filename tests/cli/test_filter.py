"""`--filter`: tcpdump's language on files and stdin; a store keeps it."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import pytest

import builders as b
from command import fastflow
from fastflow.store import Store

SYN_445 = b.ethernet(b.ipv4(b.tcp(dst_port=445)))
SYN_23 = b.ethernet(b.ipv4(b.tcp(dst_port=23)))
ARP = b.ethernet(bytes(28), ethertype=0x0806)
PORT_445 = "tcp dst port 445"


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "a.pcap"
    path.write_bytes(b.capture(SYN_445, SYN_23, ARP, SYN_445, SYN_23[:40]))
    return path


def reduce(capture: Path, store: Path, *options: str) -> tuple[int, dict[str, int]]:
    ran = fastflow(
        "reduce", capture, "--store", store, "--sensor", "lab", "--json", *options
    )
    assert ran.code == 0, ran.err
    (one,) = ran.json["inputs"]
    assert one["records"] == one["counted"] + sum(one["uncounted"].values())
    return one["counted"], one["uncounted"]


def test_scan_writes_only_what_matches(capture: Path) -> None:
    ran = fastflow("scan", capture, "--filter", PORT_445, "--columns", "dst_port")
    assert ran.code == 0
    assert [json.loads(line) for line in ran.out.splitlines()] == [
        {"dst_port": 445}
    ] * 2


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_stdin_is_filtered(capture: Path, pack: type[bytes]) -> None:
    ran = fastflow(
        "scan",
        "-",
        "--filter",
        "arp",
        "--columns",
        "status",
        stdin=pack(capture.read_bytes()),
    )
    assert ran.out == b'{"status":"non_ip"}\n'


def test_every_record_is_accounted_for(capture: Path, tmp_path: Path) -> None:
    # The cut packet still has the 4 bytes of ports that the filter looks at.
    assert reduce(capture, tmp_path / "s", "--filter", "tcp port 23") == (
        2,
        {"filtered": 3},
    )


def test_a_bad_time_is_the_reason_before_the_filter(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    builder = b.PcapBuilder().add(SYN_23, sec=0, frac=1).add(SYN_23).add(SYN_445)
    path.write_bytes(builder.build())
    assert reduce(path, tmp_path / "s", "--filter", PORT_445) == (
        1,
        {"bad_ts": 1, "filtered": 1},
    )


def test_what_does_not_compile_is_wrong_usage_with_a_caret(
    capture: Path, tmp_path: Path
) -> None:
    for command in (
        ("scan", capture),
        ("reduce", capture, "--store", tmp_path / "s", "--sensor", "x"),
    ):
        ran = fastflow(*command, "--filter", "tcp dst prot 445")
        assert ran.code == 2
        assert ran.out == b""
        expression, caret = ran.err.splitlines()[1:3]
        assert expression.strip() == "tcp dst prot 445"
        assert caret.index("^") == expression.index("prot")
    assert not (tmp_path / "s").exists()


def test_a_filter_without_meaning_for_the_link_type_rejects_the_capture(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(b.capture(b.ipv4(b.tcp()), linktype=101))
    ran = fastflow("scan", path, "--filter", "vlan 5")
    assert ran.code == 1
    assert "(filter_linktype)" in ran.err
    assert "no VLAN support" in ran.err


def test_a_store_keeps_its_filter(capture: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    assert reduce(capture, store, "--filter", f"  {PORT_445} ")[0] == 2
    other = tmp_path / "b.pcap"
    other.write_bytes(b.capture(SYN_23, SYN_445))
    assert reduce(other, store) == (1, {"filtered": 1})
    ran = fastflow(
        "reduce", other, "--store", store, "--sensor", "x", "--filter", "udp"
    )
    assert ran.code == 2
    assert PORT_445 in ran.err


def test_a_filter_that_names_addresses_leaves_none_in_the_store(
    capture: Path, tmp_path: Path
) -> None:
    store, expression = tmp_path / "s", "dst host 198.51.100.77 or port 445"
    assert reduce(capture, store, "--filter", expression)[0] == 2
    for path in store.rglob("*"):
        assert not path.is_file() or b"198.51.100.77" not in path.read_bytes(), path
    command = ("reduce", capture, "--store", store, "--sensor", "x")
    unnamed = fastflow(*command)
    assert (unnamed.code, "say the same --filter again" in unnamed.err) == (2, True)
    other = fastflow(*command, "--filter", "dst host 198.51.100.78 or port 445")
    assert (other.code, "another filter" in other.err) == (2, True)
    assert "198.51.100" not in other.err
    assert Store(store).settings.filter != expression
    again = fastflow(*command, "--filter", expression, "--json")
    assert again.json["inputs"][0]["status"] == "duplicate"


def test_the_filter_matches_what_tcpdump_prints(capture: Path) -> None:
    for expression in ("tcp[tcpflags] & tcp-syn != 0", "less 60", "ip[8] > 1", ""):
        ran = fastflow("scan", capture, "--filter", expression, "--columns", "ts")
        try:
            said = subprocess.run(
                ["tcpdump", "-nn", "-r", capture, expression],
                capture_output=True,
                check=True,
            )
        except FileNotFoundError:
            pytest.skip("tcpdump is not installed")
        assert len(ran.out.splitlines()) == len(said.stdout.splitlines())
