"""Compaction changes files and no row; whoever reads or writes meanwhile goes on."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

import fastflow.store.store
from fastflow.errors import InternalError, StoreError
from fastflow.schema import ROW_TABLES
from fastflow.store import Compaction, Store, compact, log, table
from fastflow.store.local import Local
from fastflow.store.query import Query
from fastflow.store.table import KINDS, Table
from reduced import at, growing_input, publish_all, reduced, some_input


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store of small files."""
    publish_all(tmp_path / "s", list(range(1, 9)), batch=2)
    return tmp_path / "s"


def text_of(root: Path) -> str:
    out = root.parent / "canonical.csv"
    Store(root).export_canonical(out)
    return out.read_text()


def n_files(root: Path) -> dict[str, int]:
    return {kind: len(Table.open(Local(root)).files(kind)) for kind in KINDS}


def sums(root: Path, version: int) -> dict[str, tuple[int, int]]:
    """Return packets and rows by input and table, as plain deltalake reads them."""
    delta = DeltaTable(root, version=version)
    rows = delta.to_pyarrow_table(columns=["table", "input", "packets"])
    found: dict[str, tuple[int, int]] = {}
    for row in rows.to_pylist():
        key = f"{row['table']} {row['input']}"
        packets, n = found.get(key, (0, 0))
        found[key] = packets + (row["packets"] or 0), n + 1
    return found


def in_place_of(monkeypatch: Any, target: Any, name: str, first: Callable[[], object]):
    """Let something happen before the next call of a function, once."""
    original = getattr(target, name)

    def call(*args: Any, **named: Any) -> Any:
        monkeypatch.setattr(target, name, original)
        first()
        return original(*args, **named)

    monkeypatch.setattr(target, name, call)


def test_small_files_become_one_of_each_kind(root: Path) -> None:
    before = text_of(root)
    n_rows = sum(Table.open(Local(root)).sizes(kind)[p] for kind in KINDS
                 for p in Table.open(Local(root)).files(kind))  # fmt: skip
    assert n_files(root) == dict.fromkeys(KINDS, 4)
    n_kinds = len(KINDS)
    assert Store(root).compact() == Compaction(4 * n_kinds, n_kinds, rows=n_rows)
    assert n_files(root) == dict.fromkeys(KINDS, 1)
    assert text_of(root) == before
    assert Store.verify(root).is_good
    assert not list(root.rglob(".*")), "a temporary stayed"


def test_a_second_compaction_does_nothing(root: Path) -> None:
    store = Store(root)
    store.compact()
    version = store._table.version
    assert store.compact() == Store(root).compact() == Compaction()
    assert Store(root)._table.version == version
    store.publish([some_input(9)])
    assert store.compact().files == 2 * len(KINDS)


def test_packs_depend_on_the_inputs_alone(tmp_path: Path) -> None:
    packs = []
    for name, batch in (("a", 1), ("b", 3), ("c", 4)):
        root = tmp_path / name
        publish_all(root, list(range(1, 9)), batch)
        Store(root).compact()
        files = [
            root / path
            for kind in KINDS
            for path in Table.open(Local(root)).files(kind)
        ]
        packs.append({path.name: path.read_bytes() for path in files})
    assert packs[0] == packs[1] == packs[2]


def test_every_version_can_be_read_and_adds_up(root: Path) -> None:
    first = Table.open(Local(root)).version
    Store(root).compact()
    last = Table.open(Local(root)).version
    assert last == first + len(KINDS)
    expected = sums(root, first)
    for version in range(first, last + 1):
        assert sums(root, version) == expected
    for version in range(first + 1, last + 1):
        info, *actions = log.read_entry(root, version)
        assert info["commitInfo"]["operation"] == "OPTIMIZE"
        files = [a.get("add") or a.get("remove") for a in actions if "txn" not in a]
        assert [file["dataChange"] for file in files] == [False] * 5


def test_rows_of_an_input_stay_together_and_in_order(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("fastflow.store.parquet.ROW_GROUP_ROWS", 4)
    store = Store(tmp_path / "s", create=True)
    for n, hour in ((1, 48), (2, 0), (3, 24), (4, 24)):
        rows = [{"hour": at(hour + h), "src": f"192.0.2.{h}"} for h in range(3)]
        store.publish([reduced(f"i{n}", rows)])
    store.compact()
    (path,) = store._table.files("sources")
    with pq.ParquetFile(tmp_path / "s" / path, page_checksum_verification=True) as file:
        inputs = file.read(["input"])["input"].to_pylist()
        hours = [file.metadata.row_group(n).column(0).statistics for n in range(3)]
    assert inputs == [i for i in ("i2", "i3", "i4", "i1") for _ in range(3)]
    bounds = [(at(0), at(24)), (at(24), at(26)), (at(26), at(50))]
    assert [(h.min, h.max) for h in hours] == bounds


def test_packs_are_full_and_near_in_time(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(compact, "PACK_ROWS", 30)
    store = Store(tmp_path / "s", create=True)
    for day in (7, 3, 9, 1, 5, 8, 2, 6, 4):
        rows = [{"hour": at(24 * day), "src": f"192.0.2.{n}"} for n in range(9)]
        store.publish([reduced(f"i{day}", rows)])
    done = store.compact()
    files = store._table._active()
    files = files.filter(pa.compute.equal(files["partition.table"], "sources"))
    spans = sorted(
        zip(*(files[n].to_pylist() for n in ("min.hour", "max.hour")), strict=True)
    )
    assert spans == [(at(24 * d), at(24 * (d + 2))) for d in (1, 4, 7)]
    assert done.packs == 3 + (len(KINDS) - 1)
    assert store.compact() == Compaction()


def test_large_files_are_left_alone(root: Path, monkeypatch) -> None:
    monkeypatch.setattr(compact, "PACK_ROWS", 4)
    assert Store(root).compact() == Compaction()


def test_few_small_files_are_left_alone(root: Path) -> None:
    assert Store(root).compact(more_than=4) == Compaction()
    assert Store(root).compact(more_than=3).packs == len(KINDS)


def test_refused_and_taken_in_rows_of_one_input_both_stay(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", create=True)
    store.publish([reduced("input-001", status="rejected", reason="bad_magic")])
    store.publish([some_input(1)])
    store.compact()
    rows = Store(tmp_path / "s").sql("select id, status from inputs")
    assert rows["status"].to_pylist() == ["rejected", "complete"]
    assert Store(tmp_path / "s").is_committed("input-001")


def test_an_empty_store_has_nothing_to_join(tmp_path: Path) -> None:
    assert Store(tmp_path / "s", create=True).compact() == Compaction()


def test_a_store_without_sources_is_compacted(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", create=True, settings={"sources": False})
    for n in range(3):
        store.publish([some_input(n)])
    assert store.compact().packs == 2
    assert Store.verify(tmp_path / "s").is_good


# --- what is committed before and after -----------------------------------------------


def test_known_inputs_stay_known(root: Path) -> None:
    store = Store(root)
    assert store.is_committed("input-003")
    Store(root).compact()
    assert store.is_committed("input-003")
    assert store.publish([some_input(n) for n in range(1, 10)]) == ["input-009"]
    assert Store(root).publish([some_input(3)]) == []
    assert Store.verify(root).is_good


def test_an_input_in_a_pack_is_superseded(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", create=True)
    for one in (growing_input(1), some_input(5), some_input(6)):
        store.publish([one])
    store.compact()
    assert store.publish([growing_input(2)]) == ["input-002"]
    live = store.sql("select distinct input from counts order by 1")["input"]
    assert live.to_pylist() == ["input-002", "input-005", "input-006"]
    assert Store.verify(tmp_path / "s").is_good
    store.compact()
    assert store.publish([growing_input(3)]) == ["input-003"]
    live = store.sql("select distinct input from sources order by 1")["input"]
    assert live.to_pylist() == ["input-003", "input-005", "input-006"]
    assert Store.verify(tmp_path / "s").is_good


def test_packs_of_other_hours_are_not_opened_to_supersede(
    tmp_path: Path, monkeypatch
) -> None:
    store = Store(tmp_path / "s", create=True)
    store.publish([growing_input(1)])
    store.publish([reduced("input-000", [{"hour": at(240)}])])
    store.publish([reduced("input-009", [{"hour": at(240)}])])
    opened = []
    inputs_of = fastflow.store.rewrite._inputs_of

    def noted(path: Path) -> set[str]:
        opened.append(path)
        return inputs_of(path)

    monkeypatch.setattr("fastflow.store.rewrite._inputs_of", noted)
    assert store._ledger.hours(["input-001"]) == (
        at(0).replace(hour=0),
        at(2).replace(microsecond=1),
    )
    store.publish([growing_input(2)])
    assert len(opened) == len(ROW_TABLES)
    assert store._ledger.hours(["unknown"]) is None


def test_readers_go_on_with_the_files_that_they_began_with(
    root: Path, monkeypatch
) -> None:
    before = Store(root)
    query = Query()
    query.show({kind: before._files(kind, None) for kind in KINDS})
    total = before.sql("select sum(packets) n, count(*) r from sources").to_pylist()
    Store(root).compact()
    Store(root).recover()
    again = query.run("select sum(packets) n, count(*) r from sources").to_pylist()
    assert again == total
    assert before.sql("select sum(packets) n, count(*) r from sources").to_pylist() == (
        total
    )
    monkeypatch.setattr(table, "_GRACE_HOURS", 0)
    Store(root).recover()
    files = list(root.glob("table=*/*"))
    assert len(files) == len(KINDS)
    assert Store.verify(root).is_good


# --- races ----------------------------------------------------------------------------


def test_a_publish_meanwhile_loses_nothing(root: Path, monkeypatch) -> None:
    other = Store(root)
    in_place_of(monkeypatch, compact, "_check", lambda: other.publish([some_input(20)]))
    assert Store(root).compact().packs == len(KINDS)
    assert Store.verify(root).is_good
    assert Store(root).is_committed("input-020")
    assert n_files(root) == dict.fromkeys(KINDS, 2)


def test_a_superseded_input_does_not_come_back(tmp_path: Path, monkeypatch) -> None:
    root = tmp_path / "s"
    other = Store(root, create=True)
    for one in (growing_input(1), some_input(5)):
        other.publish([one])
    # Its rows have been read and written into a pack, which is not committed yet.
    in_place_of(
        monkeypatch, compact, "_check", lambda: other.publish([growing_input(2)])
    )
    Store(root).compact()
    for kind in ROW_TABLES:
        live = Store(root).sql(f"select distinct input from {kind} order by 1")
        assert live["input"].to_pylist() == ["input-002", "input-005"]
    assert Store.verify(root).is_good


def test_a_pack_that_came_meanwhile_is_what_a_successor_is_taken_from(
    tmp_path: Path, monkeypatch
) -> None:
    root = tmp_path / "s"
    store, other = Store(root, create=True), Store(root)
    for one in (growing_input(1), some_input(5)):
        store.publish([one])
    in_place_of(monkeypatch, fastflow.store.store, "take_out", other.compact)
    assert store.publish([growing_input(2)]) == ["input-002"]
    live = Store(root).sql("select distinct input from counts order by 1")["input"]
    assert live.to_pylist() == ["input-002", "input-005"]
    assert Store.verify(root).is_good


def test_of_two_compactions_one_wins(root: Path, monkeypatch) -> None:
    before, other = text_of(root), Store(root)
    in_place_of(monkeypatch, compact, "_check", other.compact)
    assert Store(root).compact() == Compaction()
    assert text_of(root) == before
    assert n_files(root) == dict.fromkeys(KINDS, 1)
    assert Store.verify(root).orphans == []


def compact_often(root: Path, times: int) -> None:
    store = Store(root, create=True)
    for _ in range(times):
        store.compact()


def grow(root: Path, last: int) -> None:
    store = Store(root, create=True)
    for n in range(1, last + 1):
        store.publish([growing_input(n)])


def test_processes_that_publish_supersede_and_compact(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    numbers = list(range(40, 80))
    jobs = [
        (publish_all, (tmp_path / "s", numbers, 2)),
        (grow, (tmp_path / "s", 15)),
        (compact_often, (tmp_path / "s", 25)),
        (compact_often, (tmp_path / "s", 25)),
    ]
    workers = [context.Process(target=job, args=args) for job, args in jobs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    plain = tmp_path / "plain"
    publish_all(plain, numbers, 40)
    grow(plain, 15)
    assert text_of(tmp_path / "s") == text_of(plain)
    assert Store.verify(tmp_path / "s").is_good
    assert Store.verify(tmp_path / "s").orphans == []


# --- what goes wrong ------------------------------------------------------------------


def die(*args: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def compact_and_die(root: Path, name: str) -> None:
    """Compact, and be killed where a function is called the second time."""
    module, _, attribute = name.rpartition(".")
    target = __import__(module, fromlist=[attribute])
    original = getattr(target, attribute)

    def later(*args: Any, **named: Any) -> Any:
        setattr(target, attribute, die)
        return original(*args, **named)

    setattr(target, attribute, later)
    Store(root).compact()


@pytest.mark.parametrize(
    "name",
    [
        "fastflow.store.compact._check",
        "fastflow.store.compact.write_rows",
        "fastflow.store.draft.hash_of",
        "fastflow.store.log.write_entry",
        "os.link",
    ],
)
def test_a_killed_compaction_leaves_orphans_only(root: Path, name: str) -> None:
    before = text_of(root)
    worker = multiprocessing.get_context("spawn").Process(
        target=compact_and_die, args=(root, name)
    )
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    verdict = Store.verify(root)
    assert verdict.is_good
    assert text_of(root) == before
    Store(root, create=True).recover()
    assert Store.verify(root).orphans == []
    Store(root).compact()
    assert text_of(root) == before
    assert n_files(root) == dict.fromkeys(KINDS, 1)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_pack_that_does_not_add_up_is_not_committed(
    root: Path, monkeypatch, kind: str
) -> None:
    before, version = text_of(root), Table.open(Local(root)).version
    in_order, ordered = compact._in_order, compact._sorted
    monkeypatch.setattr(compact, "KINDS", {kind: KINDS[kind]})
    monkeypatch.setattr(compact, "_in_order", lambda rows: [*in_order(rows)][1:])
    monkeypatch.setattr(compact, "_sorted", lambda rows: ordered(rows).slice(1))
    with pytest.raises(InternalError, match=rf"{kind} would hold"):
        Store(root).compact()
    assert (text_of(root), Table.open(Local(root)).version) == (before, version)
    assert Store.verify(root).orphans == []


def test_a_damaged_file_is_named_and_stays(root: Path) -> None:
    (path, *_) = Table.open(Local(root)).files("sources")
    data = bytearray((root / path).read_bytes())
    with pq.ParquetFile(root / path) as file:
        chunk = file.metadata.row_group(0).column(10)
    data[chunk.data_page_offset + chunk.total_compressed_size - 1] ^= 1
    (root / path).write_bytes(data)
    with pytest.raises(StoreError, match=rf"{path}.*damaged"):
        Store(root).compact()
    assert path in Table.open(Local(root)).files("sources")
