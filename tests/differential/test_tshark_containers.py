"""Times of every resolution, lengths of every container, as tshark reads them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import builders as b
import erf_builders as erf
import pcapng_builders as ng
import snoop_builders as sn
from pcapng_builders import Blocks
from rows import Row, assert_same
from tshark import ENVIRONMENT, TSHARK

pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")

FIELDS = ("frame.time_epoch", "frame.cap_len", "frame.len")
#: Time in nanoseconds, captured and wire length.
Record = tuple[int, int, int]

FRAME = b.ethernet(b.ipv4(b.tcp()))


def tshark_records(path: Path) -> list[Record]:
    assert TSHARK is not None
    command = [TSHARK, "-r", str(path), "-n", "-T", "fields"]
    for field in FIELDS:
        command += ["-e", field]
    environment = os.environ | ENVIRONMENT
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return [
        (_nanoseconds(time), int(caplen), int(wirelen))
        for time, caplen, wirelen in (
            line.split("\t") for line in done.stdout.splitlines()
        )
    ]


def _nanoseconds(text: str) -> int:
    seconds, _, fraction = text.partition(".")
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))


def records(rows: list[Row]) -> list[Record]:
    return [(row["ts"], row["caplen"], row["wirelen"]) for row in rows]


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
