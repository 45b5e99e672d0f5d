"""Every flipped bit is found, and what was damaged can be reduced again."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fastflow.schema import ROW_TABLES, Reduced
from fastflow.store import Store, log, table
from fastflow.store.local import Local
from fastflow.store.repair import Repair
from reduced import growing_input, some_input

Damage = Callable[[Path], object]


def batches() -> list[list[Reduced]]:
    """Inputs of their own, and one that grew twice."""
    return [
        [some_input(4), growing_input(1), some_input(5)],
        [growing_input(2)],
        [some_input(6), growing_input(3)],
    ]


def publish(root: Path) -> Store:
    store = Store(root, create=True)
    for batch in batches():
        store.publish(batch)
        store.checkpoint()
    return store


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(table, "CHECKPOINT_ENTRIES", 2)
    publish(tmp_path / "s")
    return tmp_path / "s"


def canonical(root: Path, tmp_path: Path) -> str:
    out = tmp_path / "canonical.csv"
    out.unlink(missing_ok=True)
    Store(root).export_canonical(out)
    return out.read_text()


def active(root: Path, kinds: Iterable[str] = table.KINDS) -> list[Path]:
    opened = table.Table.open(Local(root))
    return [root / path for kind in kinds for path in opened.files(kind)]


def test_a_store_is_as_it_was_committed(root: Path) -> None:
    verdict = Store.verify(root)
    assert verdict.is_good
    assert (verdict.files, verdict.inputs) == (len(active(root)), 4)
    assert verdict.foreign == verdict.orphans == []


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def test_every_flipped_bit_is_found(root: Path) -> None:
    rng = random.Random(0)
    log_files = [path for path in (root / "_delta_log").iterdir() if path.is_file()]
    assert len(log_files) == 4 + 2, "entries, a checkpoint and its hash"
    for path in [*active(root), *log_files]:
        whole = path.read_bytes()
        for _ in range(6):
            flip(path, rng.randrange(8 * len(whole)))
            assert not Store.verify(root).is_good, path
            path.write_bytes(whole)
    assert Store.verify(root).is_good


def test_missing_foreign_and_left_files_are_told_apart(root: Path) -> None:
    missing = active(root)[0]
    missing.unlink()
    foreign = root / "table=counts" / "mine.parquet"
    left = root / "table=counts" / ".0123456789abcdef.tmp"
    for path in (foreign, left):
        path.write_bytes(b"")
    verdict = Store.verify(root)
    assert (verdict.missing, verdict.foreign, verdict.orphans) == (
        [str(missing.relative_to(root))],
        [str(foreign.relative_to(root))],
        [str(left.relative_to(root))],
    )
    assert not verdict.is_good
    Store(root).recover()
    assert foreign.exists()
    assert not left.exists()


def test_what_a_dead_run_left_is_no_fault(root: Path) -> None:
    (root / "table=counts" / ".0123456789abcdef.tmp").write_bytes(b"")
    assert Store.verify(root).is_good


def test_rows_that_are_not_there_are_missed(root: Path) -> None:
    store = Store(root)
    (path, *_) = store._table.files("sources")
    store._table.commit([], [path])
    verdict = Store.verify(root)
    assert not verdict.damaged
    assert verdict.wrong
    assert all("0 packets in sources" in what for what in verdict.wrong.values())
    assert verdict.paths.keys() >= verdict.wrong.keys()


def delete(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_in_the_middle(path: Path) -> None:
    flip(path, 4 * path.stat().st_size)


@pytest.mark.parametrize("damage", [delete, cut, flip_in_the_middle])
@pytest.mark.parametrize("kind", [*table.KINDS])
@pytest.mark.parametrize("number", [0, -1])
def test_a_repaired_store_converges(
    root: Path, tmp_path: Path, damage: Damage, kind: str, number: int
) -> None:
    expected = canonical(root, tmp_path)
    damage(active(root, [kind])[number])
    done = Store.repair(root)
    assert done.reopened
    assert len(done.aside) == (damage is not delete)
    assert all(path.exists() for path in done.aside)
    verdict = Store.verify(root)
    assert verdict.is_good
    assert verdict.damaged == verdict.missing == verdict.orphans == []
    publish(root)
    assert canonical(root, tmp_path) == expected
    assert Store.verify(root).is_good


@pytest.mark.parametrize("damage", [cut, flip_in_the_middle])
@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("has_checkpoint", [True, False])
def test_a_store_with_a_damaged_entry_converges(
    root: Path, tmp_path: Path, damage: Damage, version: int, has_checkpoint: bool
) -> None:
    expected = canonical(root, tmp_path)
    if not has_checkpoint:
        for path in root.glob("_delta_log/*checkpoint*"):
            path.unlink()
    damage(log.entry_path(root, version))
    assert not Store.verify(root).is_good
    done = Store.repair(root)
    assert log.entry_path(root, version).name in {path.name for path in done.aside}
    assert Store.verify(root).is_good
    publish(root)
    assert canonical(root, tmp_path) == expected


def test_a_damaged_checkpoint_is_set_aside(root: Path, tmp_path: Path) -> None:
    expected = canonical(root, tmp_path)
    (path, *_) = sorted((root / "_delta_log").glob("*.checkpoint.parquet"))
    cut(path)
    done = Store.repair(root)
    assert [aside.name for aside in done.aside] == [path.name]
    assert not done.reopened
    assert canonical(root, tmp_path) == expected


def test_repairing_what_is_good_changes_nothing(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    done = Store.repair(root)
    assert done == Repair()
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_a_lost_record_takes_its_rows_along(root: Path) -> None:
    """Of rows whose capture is not known any more nobody could say what they are."""
    (path,) = [
        p for p in active(root, ["inputs"]) if some_input(6).record.input in ids(p)
    ]
    path.unlink()
    done = Store.repair(root)
    assert done.reopened[some_input(6).record.input] is None
    left = Store(root).sql("select distinct input from counts")["input"].to_pylist()
    assert some_input(6).record.input not in left


def test_what_a_damaged_record_says_is_listed(root: Path) -> None:
    """All files of a commit are damaged, and of one that records inputs one column."""
    (inputs,) = [p for p in active(root, ["inputs"]) if "input-006" in ids(p)]
    for path in [p for k in ROW_TABLES for p in active(root, [k])]:
        if "input-006" in ids(path):
            path.unlink()
    column = pq.ParquetFile(inputs).metadata.row_group(0).column(21)
    assert column.path_in_schema == "country_date"
    flip(inputs, 8 * (column.data_page_offset + column.total_compressed_size - 1))
    done = Store.repair(root)
    assert done.reopened["input-006"] == some_input(6).record.path
    assert done.unlisted == []


def test_a_record_of_which_nothing_can_be_told(root: Path, tmp_path: Path) -> None:
    expected = canonical(root, tmp_path)
    (inputs,) = [p for p in active(root, ["inputs"]) if "input-006" in ids(p)]
    inputs.unlink()
    assert Store.repair(root).unlisted == [str(inputs.relative_to(root))]
    publish(root)
    assert canonical(root, tmp_path) == expected


def ids(path: Path) -> set[str]:
    return set(pq.read_table(path, columns=["input"])["input"].to_pylist())


def test_a_copy_of_a_store_is_as_good(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    assert Store.verify(copy).is_good
