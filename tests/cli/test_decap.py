"""`--decap`: tunnels opened, kept by a store, said when unknown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import builders as b
from command import fastflow
from fastflow.store import Store

SENDER, ENDPOINT = (bytes([203, 0, 113, 9]), bytes([192, 0, 2, 1]))
INNER = b.ipv4(b.tcp(dst_port=445), src=SENDER)
IN_GRE = b.ethernet(b.ipv4(b.gre(INNER), proto=47, src=ENDPOINT))
CUT_INSIDE = b.ethernet(b.ipv4(b.gre(INNER[:19]), proto=47, src=ENDPOINT))


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "a.pcap"
    path.write_bytes(b.capture(IN_GRE, CUT_INSIDE))
    return path


def scan(capture: Path, *options: str) -> list[dict[str, object]]:
    columns = ("--columns", "src,proto,dst_port,status")
    ran = fastflow("scan", capture, *columns, *options)
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


OUTER = {"src": "192.0.2.1", "proto": 47, "dst_port": None, "status": "ok"}


def test_the_outer_header_counts_unless_told_otherwise(capture: Path) -> None:
    assert scan(capture) == [OUTER, OUTER]
    assert scan(capture, "--decap", "vxlan,ipip") == [OUTER, OUTER]


@pytest.mark.parametrize("decap", ["gre", "vxlan,gre", "ALL"])
def test_a_tunnel_is_opened(capture: Path, decap: str) -> None:
    inner = {"src": "203.0.113.9", "proto": 6, "dst_port": 445, "status": "ok"}
    cut = OUTER | {"status": "ip_truncated"}
    assert scan(capture, "--decap", decap) == [inner, cut]


def test_an_unknown_tunnel_is_wrong_usage(capture: Path) -> None:
    ran = fastflow("scan", capture, "--decap", "gre,wireguard")
    assert ran.code == 2
    assert "'wireguard'" in ran.err
    assert "geneve" in ran.err


def test_help_names_every_tunnel() -> None:
    from fastflow.reader import TUNNELS

    said = " ".join(fastflow("scan", "--help").out.decode().split())
    assert [name for name in TUNNELS if name not in said] == []


def test_a_store_keeps_its_tunnels(capture: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    command = ("reduce", capture, "--store", store, "--sensor", "lab", "--json")
    ran = fastflow(*command, "--decap", "vxlan,gre")
    assert (ran.json["records"], ran.json["counted"]) == (2, 2)
    rows = Store(store).sql("select proto, dst_port from counts order by proto")
    assert rows.to_pylist() == [
        {"proto": 6, "dst_port": 445},
        {"proto": 47, "dst_port": None},
    ]
    assert fastflow(*command).json["inputs"][0]["status"] == "duplicate"
    assert fastflow(*command, "--decap", "gre,vxlan").code == 0
    assert fastflow(*command, "--decap", "gre").code == 2
