"""What is committed is whole and durable; what dead runs left goes away."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from deltalake import DeltaTable

from fastflow.errors import StoreError
from fastflow.store import Store, log, table
from fastflow.store.durable import NewFile, is_held, remove_orphans
from reduced import some_input


def entry(root: Path, version: int) -> Path:
    return root / "_delta_log" / f"{version:020}.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = Store(tmp_path / "s", create=True)
    for n in range(3):
        store.publish([some_input(n)])
    return tmp_path / "s"


def committed(root: Path) -> list[str]:
    return Store(root).sql("select id from inputs order by 1")["id"].to_pylist()


# --- entries --------------------------------------------------------------------------


def test_an_entry_ends_with_its_mark(root: Path) -> None:
    for version in range(4):
        last = json.loads(entry(root, version).read_text().splitlines()[-1])
        assert last["txn"]["version"] == version
    assert DeltaTable(root).version() == 3


def test_every_cut_of_an_entry_is_seen(root: Path) -> None:
    data = entry(root, 3).read_bytes()
    for end in [*range(0, len(data) - 1, 7), len(data) - 2]:
        entry(root, 3).write_bytes(data[:end])
        fault = log.fault_of(root, 3)
        assert fault is not None, end
        assert fault.is_torn, end
    for end in (0, 100, len(data) - 5):
        entry(root, 3).write_bytes(data[:end].ljust(len(data), b"\0"))
        fault = log.fault_of(root, 3)
        assert fault is not None, end
        assert fault.is_torn, end


def test_a_flipped_bit_in_the_middle_is_no_torn_end(root: Path) -> None:
    data = bytearray(entry(root, 3).read_bytes())
    data[data.index(b'"add"')] ^= 1
    entry(root, 3).write_bytes(data)
    with pytest.raises(StoreError, match=r"is damaged \(line 2 is damaged\)"):
        Store(root, create=True)


def test_every_flipped_bit_of_an_entry_is_seen(root: Path) -> None:
    data = entry(root, 3).read_bytes()
    for bit in range(0, 8 * len(data), 5):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        entry(root, 3).write_bytes(flipped)
        fault = log.fault_of(root, 3)
        assert fault is not None, bit
        # But for the last byte: a torn end would be set aside without a question.
        assert not fault.is_torn or bit // 8 == len(data) - 1, bit


def test_a_torn_end_is_set_aside_by_who_writes(root: Path) -> None:
    torn = entry(root, 3)
    torn.write_bytes(torn.read_bytes()[:200])
    with pytest.raises(StoreError, match="the next `fastflow reduce`"):
        Store(root)
    store = Store(root, create=True)
    store.recover()
    assert (root / "_aside" / torn.name).exists()
    assert committed(root) == ["input-000", "input-001"]
    assert store.publish([some_input(2)]) == ["input-002"]
    assert committed(root) == ["input-000", "input-001", "input-002"]


def test_an_entry_of_another_writer_is_whole_without_a_mark(root: Path) -> None:
    delta = DeltaTable(root)
    delta.alter.set_table_properties({"custom.note": "x"}, raise_if_not_exists=False)
    assert log.fault_of(root, 4) is None
    assert Store(root).settings.sources


def test_a_number_that_is_taken_is_not_written_over(root: Path) -> None:
    before = entry(root, 3).read_bytes()
    with pytest.raises(FileExistsError):
        log.write_entry(root, 3, "WRITE", [])
    assert entry(root, 3).read_bytes() == before
    assert not list(root.rglob(".*"))


# --- checkpoints ----------------------------------------------------------------------


def test_a_checkpoint_changes_nothing(root: Path, monkeypatch) -> None:
    monkeypatch.setattr(table, "CHECKPOINT_ENTRIES", 4)
    store = Store(root)
    for n in range(3, 12):
        store.publish([some_input(n)])
        store.checkpoint()
    assert log.newest_checkpoint(root) == 12
    assert [path.suffix for path in root.rglob(".*")] == [".blake3"] * 3
    assert log.faulty_checkpoints(root) == []
    for version in range(12):
        entry(root, version).unlink()
    assert committed(root) == [f"input-{n:03}" for n in range(12)]
    assert Store(root).publish([some_input(5)]) == []


def test_another_run_makes_up_for_a_checkpoint(root: Path, monkeypatch) -> None:
    monkeypatch.setattr(table, "CHECKPOINT_ENTRIES", 2)
    Store(root).publish([some_input(3)])
    assert log.newest_checkpoint(root) == -1
    first, second = Store(root), Store(root)
    first.recover()
    assert log.newest_checkpoint(root) == 4
    # Two at once: one of them writes it.
    monkeypatch.setattr(second._table.place, "newest_checkpoint", lambda: -1)
    second.recover()
    assert log.faulty_checkpoints(root) == []
    assert committed(root) == [f"input-{n:03}" for n in range(4)]


def test_a_checkpoint_that_a_dead_run_began_is_none(root: Path, monkeypatch) -> None:
    monkeypatch.setattr(table, "CHECKPOINT_ENTRIES", 2)
    link, n_links = os.link, 0

    def fails(source: Path, to: Path) -> None:
        nonlocal n_links
        n_links += to.parent == root / "_delta_log"
        if n_links == 2:
            raise OSError("the hash is there, the checkpoint is not")
        link(source, to)

    monkeypatch.setattr(os, "link", fails)
    Store(root).recover()
    assert log.newest_checkpoint(root) == -1
    monkeypatch.setattr(os, "link", link)
    assert Store.verify(root).is_good
    store = Store(root)
    store.publish([some_input(4)])
    store.recover()
    assert log.newest_checkpoint(root) == 4
    assert Store.verify(root).is_good


# --- what dead runs leave -------------------------------------------------------------


def leftovers(root: Path) -> list[Path]:
    """Files as runs leave them that were killed at several moments."""
    paths = [
        root / "table=counts" / ".0123456789abcdef.tmp",
        root / "table=sources" / f"{5:032x}-{7:016x}.parquet",
        root / "_delta_log" / ".fedcba9876543210.tmp",
    ]
    for path in paths:
        path.write_bytes(b"rest")
    directory = root / ".aaaaaaaaaaaaaaaa.tmp"
    (directory / "_delta_log").mkdir(parents=True)
    return [*paths, directory]


def test_leftovers_of_dead_runs_are_removed(root: Path) -> None:
    paths = leftovers(root)
    Store(root).recover()
    assert not any(path.exists() for path in paths)
    assert committed(root) == ["input-000", "input-001", "input-002"]


def test_what_a_live_run_holds_stays(root: Path) -> None:
    paths = leftovers(root)
    held = [os.open(path, os.O_RDONLY) for path in paths]
    for descriptor in held:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    assert all(map(is_held, paths))
    Store(root).recover()
    assert all(path.exists() for path in paths)
    for descriptor in held:
        os.close(descriptor)
    assert not any(map(is_held, paths))


def test_what_was_committed_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"")
    assert remove_orphans([path], lambda: {path}) == []
    assert remove_orphans([path]) == [path]
    assert remove_orphans([path]) == []


def test_replaced_files_stay_for_a_day(root: Path, monkeypatch) -> None:
    store = Store(root)
    delta = DeltaTable(root)
    (path, *_) = store._table.files("counts")
    store._table.commit([], [path])
    Store(root).recover()
    assert (root / path).exists()
    monkeypatch.setattr(table, "_GRACE_HOURS", 0)
    Store(root).recover()
    assert not (root / path).exists()
    assert delta.version() == 3


# --- files that are made twice --------------------------------------------------------


def test_an_equal_file_is_adopted_and_held(tmp_path: Path) -> None:
    with NewFile(tmp_path) as one:
        with NewFile(tmp_path) as two:
            for new in (one, two):
                with new.writing() as file:
                    file.write(b"same")
                new.show("name")
            assert one.path.samefile(two.path)
        assert is_held(tmp_path / "name")
    assert not is_held(tmp_path / "name")
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


def test_a_damaged_file_of_the_name_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "name").write_bytes(b"sam\0")
    with NewFile(tmp_path) as new:
        with new.writing() as file:
            file.write(b"same")
        new.show("name")
    assert (tmp_path / "name").read_bytes() == b"same"
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


def test_a_file_without_a_name_is_gone(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), NewFile(tmp_path) as new, new.writing():
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
