"""`fastflow store compact` and `store expire`, and what reduce compacts by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
import fastflow as ff
from command import fastflow
from fastflow.errors import StoreError
from fastflow.store import Store
from reduced import at, reduced


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = Store(tmp_path / "counts", create=True)
    for n in range(3):
        rows = [{"hour": at(24 * day + n + 1), "packets": 5} for day in range(3)]
        store.publish([reduced(f"input-{n:03}", rows)])
    return store.directory


def n_files(root: Path) -> int:
    return len(Store(root)._table.files("counts"))


def test_compact_says_what_it_joined(root: Path) -> None:
    ran = fastflow("store", "compact", "--store", root)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.decode() == "9 files joined to 3: 21 rows\n"
    ran = fastflow("store", "compact", "--store", root)
    assert ran.out.decode() == "there are no small files to join\n"
    ran = fastflow("store", "compact", "--store", root, "--json")
    assert ran.json == {"files": 0, "packs": 0, "rows": 0}


def test_expire_says_what_went(root: Path) -> None:
    args = ("store", "expire", "--store", root, "--before", "2020-08-27")
    would = fastflow(*args, "--dry-run")
    assert "rows that would go" in would.out.decode()
    assert Store(root).sql("select count(*) n from counts")["n"].to_pylist() == [9]
    ran = fastflow(*args, "--keep", "daily", "--json")
    three = {"rows": 3, "packets": 15, "bytes": 600}
    tables = {"counts": three, "sources": three}
    assert ran.json == {"before": "2020-08-27", "gone": tables, "days": tables}
    ran = fastflow(*args)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.decode().splitlines()[1].split() == ["counts", "3", "15", "0"]
    assert Store(root).sql("select count(*) n from counts")["n"].to_pylist() == [6]
    assert fastflow("store", "verify", "--store", root).code == 0


def test_expire_takes_an_age(root: Path) -> None:
    ran = fastflow("store", "expire", "--store", root, "--before", "1d", "--json")
    assert ran.json["gone"]["counts"]["rows"] == 9


@pytest.mark.parametrize("day", ["2099-01-01", "2020-13-01", "yesterday", "-1d"])
def test_expire_refuses_what_is_no_day_that_has_been(root: Path, day: str) -> None:
    ran = fastflow("store", "expire", "--store", root, "--before", day)
    assert ran.code == 2
    assert day in ran.err


def capture(directory: Path, n: int) -> Path:
    path = directory / f"{n}.pcap"
    path.write_bytes(b.capture(b.ethernet(b.ipv4(b.tcp(dst_port=n)))))
    return path


def test_reduce_compacts_what_is_too_many(root: Path, monkeypatch) -> None:
    for n, compact, left in ((1, True, 4), (2, False, 5), (3, True, 1)):
        monkeypatch.setattr("fastflow.pipeline._SMALL_FILES", 4 if n < 3 else 5)
        ff.reduce([capture(root.parent, n)], root, "lab", compact=compact)
        assert n_files(root) == left
    assert Store.verify(root).is_good


def test_a_compaction_that_fails_is_told_and_loses_nothing(
    root: Path, monkeypatch
) -> None:
    def fail(self: Store, more_than: int) -> None:
        raise StoreError("no room")

    monkeypatch.setattr(Store, "compact", fail)
    report = ff.reduce([capture(root.parent, 1)], root, "lab")
    assert report.messages == ["small files were not joined: no room"]
    assert report.exit_code == 0
    assert n_files(root) == 4


def test_reduce_has_a_switch(tmp_path: Path) -> None:
    args = ("--store", tmp_path / "s", "--sensor", "lab", "--no-compact")
    assert fastflow("reduce", capture(tmp_path, 1), *args).code == 0
