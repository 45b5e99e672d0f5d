"""Probes of the real masscan, nmap and zmap are told for what they are.

They scan from a network namespace of the test's own into another, which answers
nothing: a few hundred packets to addresses for benchmarks (RFC 2544), on a link that
leads nowhere else.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastflow

TOOLS = ("masscan", "nmap", "zmap", "tcpdump", "ip")
MISSING = [name for name in TOOLS if shutil.which(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="no right to make network namespaces"),
]

TARGETS = "198.18.5.0/26"
SCANNER, SENSOR = "10.77.0.1", "10.77.0.2"


def ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def link() -> Iterator[tuple[str, str]]:
    """Two namespaces joined by a cable; the second one answers ARP and nothing else."""
    scanner, sensor = (f"ff{os.getpid()}{end}" for end in "ab")
    try:
        for name in (scanner, sensor):
            ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no right to make network namespaces: {error.stderr}")
    try:
        ip("link", "add", "cable", "netns", scanner, "type", "veth",
           "peer", "name", "cable", "netns", sensor)  # fmt: skip
        for name, address in ((scanner, SCANNER), (sensor, SENSOR)):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
        ip("-n", scanner, "route", "add", TARGETS, "via", SENSOR)
        yield scanner, sensor
    finally:
        for name in (scanner, sensor):
            ip("netns", "delete", name)


def mac_of(namespace: str) -> str:
    shown = subprocess.run(
        ["ip", "-n", namespace, "-br", "link", "show", "cable"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return shown.stdout.split()[2]


def captured(link: tuple[str, str], path: Path, *scan: str) -> Path:
    """Run a scanner while the other end listens; return the capture."""
    scanner, sensor = link
    within = ["ip", "netns", "exec"]
    listening = subprocess.Popen(
        [*within, sensor, "tcpdump", "-i", "cable", "-U", "-Z", "root",
         "-w", str(path), f"ip and dst net {TARGETS}"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with listening:
        assert listening.stderr is not None
        while "listening on" not in listening.stderr.readline():
            assert listening.poll() is None
        ran = subprocess.run(
            [*within, scanner, *scan], check=False, capture_output=True, text=True,
            timeout=120,
        )  # fmt: skip
        time.sleep(0.5)
        listening.send_signal(signal.SIGINT)
    assert ran.returncode == 0, ran.stderr
    return path


def tools_of(capture: Path) -> Counter[str | None]:
    scan = fastflow.scan(capture, columns=["tool"])
    return Counter(tool for batch in scan for tool in batch["tool"].to_pylist())


def told(capture: Path, store: Path) -> dict[str, int]:
    """Return the tools that the store's sources are believed to have used."""
    fastflow.reduce([capture], store, "lab")
    ranks = fastflow.Store(store).top("tool")
    return {row["key"]: row["packets"] for row in ranks}


def test_masscan(link: tuple[str, str], tmp_path: Path) -> None:
    mac = mac_of(link[1])
    capture = captured(
        link, tmp_path / "masscan.pcap",
        "masscan", TARGETS, "-p", "23,80", "--rate", "200", "--wait", "0",
        "--source-ip", SCANNER, "--router-mac", mac, "-e", "cable",
    )  # fmt: skip
    found = tools_of(capture)
    assert found["masscan"] >= 100
    assert set(found) == {"masscan"}
    assert told(capture, tmp_path / "store") == {"masscan": found["masscan"]}


def test_zmap(link: tuple[str, str], tmp_path: Path) -> None:
    nothing = tmp_path / "blocklist"
    nothing.touch()
    capture = captured(
        link, tmp_path / "zmap.pcap",
        "zmap", "-p", "80", "-i", "cable", "-S", SCANNER, "-G", mac_of(link[1]),
        "-r", "200", "-c", "0", "-b", str(nothing), "-C", str(nothing),
        "-o", str(tmp_path / "out"), TARGETS,
    )  # fmt: skip
    found = tools_of(capture)
    assert found["zmap"] >= 60
    assert set(found) == {"zmap"}
    assert told(capture, tmp_path / "store") == {"zmap": found["zmap"]}


def test_nmap(link: tuple[str, str], tmp_path: Path) -> None:
    capture = captured(
        link, tmp_path / "nmap.pcap",
        "nmap", "-sS", "-Pn", "-n", "--max-retries", "2", "-T4", "-p", "22,23,80,445",
        "198.18.5.0/29",
    )  # fmt: skip
    found = tools_of(capture)
    # One packet does not tell it; one in 65,536 looks like masscan's.
    assert found[None] >= 60
    assert sum(found.values()) - found[None] <= 1
    assert told(capture, tmp_path / "store") == {"nmap": found[None]}
