"""Records of pcapng, snoop and ERF files: tshark's times and lengths are ours."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import builders as b
import erf_builders as erf
import pcapng_builders as ng
import snoop_builders as sn
from pcapng_builders import Blocks
from rows import Row, assert_same, fastflow_scan
from tshark import TSHARK

pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
COLLECTIONS = (
    "pcapng-test-generator/*.pcapng",
    "libtrace/*.erf.gz",
    "pcapplusplus/*interfaces*.pcapng",
    "pcapplusplus/*PcapExamples__pcapng-example.pcapng",
)
FIELDS = ("frame.time_epoch", "frame.cap_len", "frame.len", "frame.encap_type")
INT64_MAX = 2**63 - 1

#: Time in nanoseconds, captured and wire length.
Record = tuple[int | None, int, int]

FRAME = b.ethernet(b.ipv4(b.tcp()))


def tshark_records(path: Path) -> list[Record]:
    assert TSHARK is not None
    command = [TSHARK, "-r", str(path), "-n", "-T", "fields"]
    for field in FIELDS:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [
        (_nanoseconds(time), int(caplen), int(wirelen))
        for time, caplen, wirelen, encapsulation in (
            line.split("\t") for line in done.stdout.splitlines()
        )
        # A custom block is a line of its own, of no link.
        if encapsulation
    ]


def _nanoseconds(text: str) -> int | None:
    """Return a time, unless it is one that int64 does not hold."""
    if not text:
        return None
    seconds, _, fraction = text.lstrip("-").partition(".")
    ns = int(seconds) * 10**9 + int(fraction.ljust(9, "0"))
    ns = -ns if text.startswith("-") else ns
    return ns if ns <= INT64_MAX else None


def records(rows: list[Row]) -> list[Record]:
    return [(row["ts"], row["caplen"], row["wirelen"]) for row in rows]


def corpus() -> list[object]:
    found = [path for pattern in COLLECTIONS for path in sorted(CORPUS.glob(pattern))]
    if not found:
        skip = pytest.mark.skip(reason=f"no captures in {CORPUS}")
        return [pytest.param(CORPUS, marks=skip)]
    return list(found)


@pytest.mark.parametrize("path", corpus(), ids=lambda path: path.name)
def test_records_of_a_capture_equal_tshark(path: Path) -> None:
    scanned = fastflow_scan(path)
    assert records(scanned.rows) == tshark_records(path)


def timed(k: Blocks) -> Iterator[bytes]:
    """Interfaces of every kind of time, and packets on them."""
    yield k.shb()
    options = (
        b"",
        k.tsresol(9),
        k.tsresol(3),
        k.tsresol(0x80 + 20),
        k.tsresol(9) + k.tsoffset(1_000_000_000),
        k.tsoffset(-1_000),
    )
    per_second = (10**6, 10**9, 10**3, 2**20, 10**9, 10**6)
    offsets = (0, 0, 0, 0, 1_000_000_000, -1_000)
    for option in options:
        yield k.idb(option)
    for number, (rate, offset) in enumerate(zip(per_second, offsets, strict=True)):
        for part in (0, rate // 3, rate - 1):
            units = (b.T0 - offset) * rate + part
            yield k.epb(FRAME, interface=number, units=units, wirelen=60 + number)
    yield k.pb(FRAME, drops=1)
    yield k.block(0x7777, b"unknown")


BUILT = {
    "pcapng": b"".join(timed(ng.LITTLE)),
    "pcapng, big-endian": b"".join(timed(ng.BIG)),
    "pcapng, both": b"".join(timed(ng.LITTLE)) + b"".join(timed(ng.BIG)),
    "snoop": sn.snoop_header()
    + sn.snoop_record(FRAME, micros=999_999, wirelen=1514)
    + sn.snoop_record(FRAME[:33], pad=5, wirelen=54),
    "erf": b"".join(
        erf.erf_record(FRAME, fraction=fraction, wirelen=58, extensions=n % 3)
        for n, fraction in enumerate((0, 1 << 31, 0x1234_5678, 0xFEDC_BA98))
    ),
}


@pytest.mark.parametrize("name", BUILT)
def test_records_that_were_built_equal_tshark(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(BUILT[name])
    scanned = assert_same(BUILT[name])
    assert scanned.status == "complete"
    assert records(scanned.rows) == tshark_records(path)
