"""Any entry of the log may be damaged or lost: no count is doubled, none is lost."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from fastflow.errors import StoreError
from fastflow.schema import Beginnings, Reduced
from fastflow.store import Store, entry, log, table
from fastflow.store.repair import Repair
from reduced import EPOCH, at, reduced

FIRST, SECOND = (EPOCH + timedelta(days=n) for n in (1, 2))


def capture(number: int, n_hours: int = 12, **named: str) -> Reduced:
    """Return a capture of three days; those of ten and more are of one that grows."""
    rows = [
        {
            "hour": at((number + 6 * n) % 72),
            "src": f"192.0.2.{n % 5}",
            "dst_port": 20 + n % 3,
            "packets": number + n_hours - n,
        }
        for n in range(n_hours)
    ]
    hours = [int(row["hour"].timestamp()) * 10**6 for row in rows]  # type: ignore[attr-defined]
    times = {"first_packet": min(hours), "last_packet": max(hours)}
    return reduced(f"input-{number:03}", rows, **times, **named)


def growing(number: int) -> Reduced:
    ids = {n: f"input-{n:03}" for n in range(10, number)}
    grown = capture(number, head="the same")
    return replace(grown, beginnings=Beginnings("the same", ids))


def captures() -> list[Reduced]:
    """Return all captures that are published, in that order."""
    made = [capture(n) if n < 10 else growing(n) for n in (1, 2, 10, 3, 11, 4, 12, 5)]
    return [*made, capture(6), reduced("input-007", status="rejected", reason="no")]


def damage_a_file(store: Store) -> None:
    """Lose a file of rows, and let it be repaired."""
    assert store.directory is not None
    (store.directory / store._table.files("counts")[-1]).unlink()
    assert Store.repair(store.directory).reopened
    republish(store, {one.record.input for one in captures()})


def republish(store: Store, ids: set[str]) -> None:
    for one in captures():
        if one.record.input in ids:
            store.publish([one])


def commits() -> Iterator[tuple[str, Callable[[Store], object]]]:
    """Yield all that a store can go through."""
    made = captures()
    yield "publish", lambda store: store.publish(made[0:3])
    yield "publish", lambda store: store.publish(made[3:4])
    yield "supersede", lambda store: store.publish(made[4:5])
    yield "compact", lambda store: store.compact()
    yield "publish", lambda store: store.publish(made[5:6])
    yield "expire", lambda store: store.expire(FIRST)
    yield "late, supersede", lambda store: store.publish(made[6:7])
    yield "compact", lambda store: store.compact()
    yield "daily", lambda store: store.expire(SECOND, daily=True)
    yield "publish", lambda store: store.publish(made[7:8])
    yield "repair", damage_a_file
    yield "compact", lambda store: store.compact()
    yield "publish", lambda store: store.publish(made[8:10])


def canonical(root: Path) -> str:
    """Return what a store holds once hours have expired (again)."""
    store = Store(root)
    store.expire(FIRST)
    store.expire(SECOND, daily=True)
    out = root.parent / "canonical.csv"
    out.unlink(missing_ok=True)
    store.export_canonical(out)
    return out.read_text()


class Life:
    """A store with a long life, to be copied; `at_checkpoint` says where it has one."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "s"
        store = Store(self.root, create=True)
        self.operations = {0: "create"}
        for name, commit in commits():
            first = store._table.version + 1
            commit(store)
            store._table.refresh()
            self.operations |= dict.fromkeys(
                range(first, store._table.version + 1), name
            )
        shutil.copytree(self.root, directory / "copy" / "s")
        self.expected = canonical(directory / "copy" / "s")
        self.properties = properties(self.root)

    def copy(self, directory: Path, checkpoint: int | None) -> Path:
        root = directory / "s"
        shutil.copytree(self.root, root)
        if checkpoint is not None:
            log.write_checkpoint(root, checkpoint)
            assert log.newest_checkpoint(root) == checkpoint
        return root


def properties(root: Path) -> dict[str, str]:
    found = DeltaTable(root).metadata().configuration
    return {key: value for key, value in found.items() if "before" in key}


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    return Life(tmp_path_factory.mktemp("life"))


#: Each of three compactions commits once for each table.
N_ENTRIES = 17 + 3 * len(table.KINDS)


def test_all_kinds_of_entries_are_there(life: Life) -> None:
    assert len(life.operations) == N_ENTRIES
    assert {*life.operations.values()} == {"create", *(name for name, _ in commits())}
    assert life.properties == {
        "fastflow.expired_before": f"{FIRST:%Y-%m-%d}",
        "fastflow.daily_before": f"{SECOND:%Y-%m-%d}",
    }
    assert Store.verify(life.root).is_good


CHECKPOINT = N_ENTRIES // 2


@pytest.mark.parametrize("checkpoint", [None, CHECKPOINT])
def test_a_flipped_bit_is_put_right(
    life: Life, tmp_path: Path, checkpoint: int | None
) -> None:
    root = life.copy(tmp_path, checkpoint)
    chance = random.Random(checkpoint)
    for version in range(N_ENTRIES):
        path = log.entry_path(root, version)
        data, actions = bytearray(path.read_bytes()), log.read_entry(root, version)
        bit = chance.randrange(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        (fault,) = Store.verify(root).log.values()
        assert "is restored" in fault
        done = Store.repair(root)
        assert (done.restored, done.lost, done.reopened) == ([path], [], {})
        assert log.read_entry(root, version)[1:] == actions[1:]
    assert properties(root) == life.properties
    assert canonical(root) == life.expected
    assert Store.verify(root).is_good


def test_every_flipped_bit_of_an_entry_can_be_put_right(life: Life) -> None:
    data = log.entry_path(life.root, 3).read_bytes()
    lines = data.partition(b"\n")[2]
    for bit in range(0, 8 * len(data), 5):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        restored = entry.restored(bytes(flipped))
        assert restored is not None, bit
        assert restored.partition(b"\n")[2] == lines
        assert entry.fault_in(restored) is None


def overwrite(path: Path) -> None:
    path.write_bytes(b"x" * (path.stat().st_size - 1) + b"\n")


def lose(root: Path, version: int, how: Callable[[Path], object]) -> Repair:
    """Lose an entry, repair the store, and reduce again what that says."""
    path = log.entry_path(root, version)
    how(path)
    assert Store.verify(root).log[str(path.relative_to(root))].endswith("is lost")
    done = Store.repair(root)
    assert done.lost == [path]
    assert Store.verify(root).is_good
    republish(Store(root, create=True), {*done.reopened})
    return done


@pytest.mark.parametrize("version", range(1, N_ENTRIES))
def test_a_lost_entry_doubles_and_loses_nothing(
    life: Life, tmp_path: Path, version: int
) -> None:
    root = life.copy(tmp_path, None)
    lose(root, version, overwrite)
    assert canonical(root) == life.expected
    assert Store.verify(root).is_good
    assert Store.repair(root) == Repair()


@pytest.mark.parametrize("checkpoint", [None, CHECKPOINT])
@pytest.mark.parametrize("version", range(CHECKPOINT + 1, N_ENTRIES - 1, 2))
def test_a_missing_entry_whose_files_were_swept(
    life: Life,
    tmp_path: Path,
    version: int,
    checkpoint: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = life.copy(tmp_path, checkpoint)
    monkeypatch.setattr(table, "_GRACE_HOURS", 0)
    Store(root).recover()
    lose(root, version, Path.unlink)
    assert canonical(root) == life.expected


def test_an_entry_that_a_checkpoint_holds_is_not_needed(
    life: Life, tmp_path: Path
) -> None:
    root = life.copy(tmp_path, CHECKPOINT)
    overwrite(log.entry_path(root, 3))
    done = Store.repair(root)
    assert (done.lost, done.reopened) == ([], {})
    assert Store.verify(root).is_good
    assert canonical(root) == life.expected


def test_a_lost_beginning_is_told_and_nothing_changed(
    life: Life, tmp_path: Path
) -> None:
    root = life.copy(tmp_path, None)
    overwrite(log.entry_path(root, 0))
    before = sorted(root.rglob("*"))
    with pytest.raises(StoreError, match="says how the store was made; restore it"):
        Store.repair(root)
    assert sorted(root.rglob("*")) == before


def test_what_may_have_come_back_is_told(life: Life, tmp_path: Path) -> None:
    root = life.copy(tmp_path, None)
    version = max(v for v, name in life.operations.items() if name == "publish")
    assert lose(root, version, overwrite).expired == {
        "expired": FIRST,
        "daily": SECOND,
    }


# --- where hours have expired, sums alone do not tell ---------------------------------


@pytest.fixture
def expired(tmp_path: Path) -> Path:
    """A store in which two captures have a third of their hours left."""
    store = Store(tmp_path / "s", create=True)
    for n in (1, 2):
        store.publish([capture(n)])
    store.expire(SECOND)
    return tmp_path / "s"


def told(root: Path) -> str:
    out = root.parent / "told.csv"
    Store(root).expire(SECOND)
    Store(root).export_canonical(out)
    return out.read_text()


def test_rows_that_are_there_twice_are_seen(expired: Path) -> None:
    store = Store(expired)
    first = store._table.version + 1
    store.compact()
    joined = range(first, store._table.version + 1)
    store.publish([capture(3)])
    store.compact()
    expected = told(expired)
    for version in joined:
        overwrite(log.entry_path(expired, version))
    done = Store.repair(expired)
    assert len(done.lost) == len(joined) == len(table.KINDS)
    assert {"input-001", "input-002"} <= done.reopened.keys()
    republish(Store(expired), {*done.reopened})
    assert told(expired) == expected


def test_rows_that_all_tables_have_lost_are_missed(expired: Path) -> None:
    expected = told(expired)
    for kind in ("counts", "sources"):
        for name in Store(expired)._table.files(kind):
            if "input-001" in pq.read_table(expired / name)["input"].to_pylist():
                (expired / name).unlink()
    assert Store.verify(expired).wrong == {
        "input-001": "rows of it may be in damaged files"
    }
    done = Store.repair(expired)
    assert [*done.reopened] == ["input-001"]
    republish(Store(expired), {*done.reopened})
    assert told(expired) == expected
