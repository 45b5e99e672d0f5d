"""pcapng: how many packets were lost, by the statistics and the obsolete packet blocks.

Expected values are written by hand; `assert_same` asks the oracle, too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
import pcapng_builders as ng
from fastflow.pipeline import reduce
from fastflow.store import Store
from pcapng_builders import LITTLE
from rows import Scanned, assert_same

FRAME = b.ethernet(b.ipv4(b.tcp()))
INT64_MAX = 2**63 - 1
IDB = LITTLE.idb()
drops = LITTLE.isb_drops


def complete(*parts: bytes) -> Scanned:
    scanned = assert_same(LITTLE.shb() + b"".join(parts))
    assert (scanned.status, scanned.reason) == ("complete", None)
    return scanned


def dropped(*parts: bytes, ignored: int = 0) -> int | None:
    scanned = complete(*parts)
    assert scanned.flags == ({"isb_ignored": ignored} if ignored else {})
    return scanned.dropped


def test_nobody_says_how_many_packets_were_lost() -> None:
    assert dropped(IDB) is None
    assert dropped(IDB, LITTLE.isb()) is None
    assert dropped(IDB, LITTLE.isb(LITTLE.counter(ng.ISB_IFRECV, 5))) is None
    assert dropped(IDB, LITTLE.pb(FRAME, drops=0xFFFF)) is None


@pytest.mark.parametrize(
    ("parts", "n"),
    [
        ([drops(ifdrop=0)], 0),
        ([drops(ifdrop=3)], 3),
        ([drops(osdrop=4)], 4),
        ([drops(ifdrop=3, osdrop=4)], 7),
        ([drops(ifdrop=3, osdrop=4), drops(ifdrop=5)], 5),
        ([drops(ifdrop=9), drops(ifdrop=5)], 5),
        ([drops(ifdrop=9), LITTLE.isb()], 9),
        ([drops(ifdrop=9), IDB, drops(interface=1, ifdrop=5)], 14),
        ([drops(ifdrop=9), LITTLE.shb(), IDB, drops(ifdrop=5)], 14),
        ([drops(ifdrop=2**48 - 1)], 2**48 - 1),
        ([LITTLE.isb(LITTLE.counter(5, 3) + LITTLE.counter(5, 4))], 4),
        ([LITTLE.isb(LITTLE.end_of_options() + LITTLE.counter(5, 3))], None),
        ([LITTLE.pb(FRAME, drops=3), LITTLE.pb(FRAME, drops=4)], 7),
        ([LITTLE.pb(FRAME, drops=0xFFFF), LITTLE.pb(FRAME, drops=0)], 0),
        ([LITTLE.pb(FRAME, drops=3), drops(ifdrop=9)], 12),
        # The counters of enhanced packet blocks are of their queue, and not added.
        ([LITTLE.epb(FRAME, options=LITTLE.counter(ng.EPB_DROPCOUNT, 5))], None),
    ],
)
def test_losses(parts: list[bytes], n: int | None) -> None:
    assert dropped(IDB, *parts) == n


@pytest.mark.parametrize(
    ("isb", "n"),
    [
        (drops(interface=1, ifdrop=5), None),
        (drops(interface=0xFFFF_FFFF, ifdrop=5), None),
        (LITTLE.isb(LITTLE.counter(5, 3) + LITTLE.option(4, length=9)), None),
        (LITTLE.isb(LITTLE.option(5, bytes(4))), None),
        (LITTLE.isb(LITTLE.option(5, bytes(4)) + LITTLE.option(7)), None),
        (LITTLE.isb(LITTLE.option(5, bytes(4)) + LITTLE.counter(7, 2)), 2),
        (drops(ifdrop=2**48), None),
        (drops(ifdrop=2**64 - 1, osdrop=1), 1),
    ],
)
def test_statistics_that_make_no_sense_are_ignored(isb: bytes, n: int | None) -> None:
    assert dropped(IDB, isb, ignored=1) == n


def test_statistics_before_any_interface_are_ignored() -> None:
    scanned = complete(drops(ifdrop=5))
    assert scanned.flags == {"isb_ignored": 1, "no_interface": 1}


def test_losses_that_add_up_to_more_than_int64_holds(tmp_path: Path) -> None:
    """They must not end the reduce of this capture, nor of others."""
    section = LITTLE.shb() + IDB * 9_000
    blocks = [
        drops(interface=i, ifdrop=2**48 - 1, osdrop=2**48 - 1) for i in range(9_000)
    ]
    data = (section + b"".join(blocks)) * 2 + LITTLE.epb(FRAME)
    assert assert_same(data).dropped == INT64_MAX
    for name, content in (("a.pcapng", data), ("b.pcap", b.capture(FRAME))):
        (tmp_path / name).write_bytes(content)
    report = reduce(sorted(tmp_path.iterdir()), tmp_path / "store", "lab")
    assert [record.status for record in report.inputs] == ["complete", "complete"]
    found = Store(tmp_path / "store").sql("select dropped from inputs order by path")
    assert found["dropped"].to_pylist() == [INT64_MAX, None]
