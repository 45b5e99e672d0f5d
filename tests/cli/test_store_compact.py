"""`fastflow store compact`, and what reduce compacts by itself."""

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
    return store.path


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
