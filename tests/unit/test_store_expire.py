"""Old hours go, or become days; what is left adds up, and is told by the table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

import fastflow.store.expire
from fastflow.errors import ConfigError, InternalError, StoreError
from fastflow.schema import ROW_TABLES, Reduced
from fastflow.store import Store, table
from fastflow.store.expire import Total
from fastflow.store.local import Local
from fastflow.store.query import Query
from fastflow.store.table import KINDS, Table
from reduced import EPOCH, at, reduced, some_input

DAYS = [EPOCH + timedelta(days=n) for n in range(5)]


def rows(seed: int, floored: datetime | None = None) -> list[dict[str, Any]]:
    """Return rows of three days; those before a day with the hour of midnight."""
    found = []
    for n in range(24):
        hour = at(3 * n + seed % 3)
        if floored is not None and hour < floored:
            hour = hour.replace(hour=0)
        found.append(
            {
                "hour": hour,
                "src": f"192.0.2.{n % 5}",
                "dst_port": None if n % 6 == 0 else 20,
                "packets": n + seed,
                "country": [None, "JP"][n % 5 % 2],
                "tool": "zmap" if n == 7 else None,
            }
        )
    return found


def some(seed: int, floored: datetime | None = None) -> Reduced:
    # As if it had been counted by days; when its packets came stays the same.
    hours = [row["hour"] for row in rows(seed)]
    first, last = (int(f(hours).timestamp()) * 10**6 for f in (min, max))
    named = {"first_packet": first, "last_packet": last}
    one = reduced(f"input-{seed:03}", rows(seed, floored), **named)
    by_hour = reduced(f"input-{seed:03}", rows(seed)).rows
    one.rows.backscatter = by_hour.backscatter  # is never added up
    return one


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = Store(tmp_path / "s", create=True)
    store.publish([some(1), some(2)])
    store.publish([some(3)])
    return tmp_path / "s"


def text_of(root: Path) -> str:
    out = root.parent / "canonical.csv"
    Store(root).export_canonical(out)
    return out.read_text()


def totals(root: Path, hours: str = "true") -> Mapping[str, Any]:
    found = {}
    for kind, schema in ROW_TABLES.items():
        n_bytes = "sum(bytes)" if "bytes" in schema.names else "0"
        sql = f"select sum(packets) p, {n_bytes} b from {kind} where {hours}"
        found[kind] = Store(root).sql(sql).to_pylist()
    return found


def test_hours_before_a_day_go(root: Path) -> None:
    left = totals(root, "hour >= '2020-08-27'")
    old = totals(root, "hour < '2020-08-27'")
    done = Store(root).expire(DAYS[1])
    assert {k: [{"p": t.packets, "b": t.bytes}] for k, t in done.gone.items()} == old
    assert done.days == {}
    assert totals(root) == left
    assert Store.verify(root).is_good
    again = Store(root).expire(DAYS[1])
    assert again.gone == dict.fromkeys(ROW_TABLES, Total())


def test_a_dry_run_says_the_same_and_changes_nothing(root: Path) -> None:
    before, version = text_of(root), Table.open(Local(root)).version
    for daily in (True, False):
        told = Store(root).expire(DAYS[2], daily=daily, dry_run=True)
        assert all(total.packets > 0 for total in told.gone.values())
        assert ("backscatter" in told.gone) != daily
        assert (text_of(root), Table.open(Local(root)).version) == (before, version)
    assert Store(root).expire(DAYS[2]).gone == told.gone


def test_days_are_what_counting_by_days_would_have_given(
    root: Path, tmp_path: Path
) -> None:
    sums = totals(root)
    done = Store(root).expire(DAYS[2], daily=True)
    plain = Store(tmp_path / "plain", create=True)
    plain.publish([some(n, floored=DAYS[2]) for n in (1, 2, 3)])
    assert text_of(root) == text_of(plain.directory)
    assert totals(root) == sums
    for kind in ("counts", "sources"):
        gone, days = done.gone[kind], done.days[kind]
        assert (gone.packets, gone.bytes) == (days.packets, days.bytes)
        assert gone.rows > days.rows > 0
    assert Store.verify(root).is_good


def test_days_are_added_up_once(root: Path) -> None:
    Store(root).expire(DAYS[1], daily=True)
    before = text_of(root)
    for _ in range(2):
        version = Table.open(Local(root)).version
        done = Store(root).expire(DAYS[1], daily=True)
        assert done.gone == {"counts": Total(), "sources": Total()}
        assert Table.open(Local(root)).version == version
        Store(root).compact()
    assert text_of(root) == before


def test_days_can_go_later_and_be_added_up_further(root: Path, tmp_path: Path) -> None:
    for day in (1, 2, 3):
        Store(root).expire(DAYS[day], daily=True)
    plain = Store(tmp_path / "plain", create=True)
    plain.publish([some(n, floored=DAYS[3]) for n in (1, 2, 3)])
    assert text_of(root) == text_of(plain.directory)
    for store in (Store(root), plain):
        store.expire(DAYS[2])
    assert text_of(root) == text_of(plain.directory)
    assert Store.verify(root).is_good


def test_what_all_packets_of_a_day_share_stays(tmp_path: Path) -> None:
    same = {"src": "192.0.2.1", "src_port": 7, "tcp_seq": 1, "ip_ttl": 64}
    store = Store(tmp_path / "s", create=True)
    store.publish(
        [
            reduced(
                "i",
                [
                    same,
                    same | {"hour": at(1), "tcp_seq": 2},
                    same | {"hour": at(2), "ip_ttl": None},
                ],
            )
        ]
    )
    store.expire(DAYS[1], daily=True)
    found = store.sql("select src_port, tcp_seq, ip_ttl, packets from sources")
    assert found.to_pylist() == [
        {"src_port": 7, "tcp_seq": None, "ip_ttl": None, "packets": 3}
    ]


def test_an_input_of_one_hour_keeps_its_counts_beside_others(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", create=True)
    alone = reduced("i-1", [{"src": "192.0.2.1"}, {"src": "192.0.2.2"}])
    store.publish([alone])
    store.publish([some(3)])
    # Its counts share a file with those of another, its sources do not.
    monkey = pytest.MonkeyPatch()
    monkey.setattr("fastflow.store.compact.KINDS", {"counts": None})
    store.compact()
    monkey.undo()
    before = store.sql("select * from counts where input = 'i-1'").to_pylist()
    store.expire(DAYS[1], daily=True)
    assert store.sql("select * from counts where input = 'i-1'").to_pylist() == before
    assert len(store.sql("select * from sources where input = 'i-1'")) == 2
    assert Store.verify(store.directory).is_good


def test_the_table_says_what_has_expired(root: Path) -> None:
    schema = DeltaTable(root).schema().to_json()
    assert Store(root)._table.before("expired") is None
    store = Store(root)
    Store(root).expire(DAYS[2])
    Store(root).expire(DAYS[1])
    store._table.refresh()
    assert store._table.before("expired") == DAYS[2]
    Store(root).expire(DAYS[3], daily=True)
    assert Store(root)._table.before("daily") == DAYS[3]
    assert DeltaTable(root).schema().to_json() == schema
    assert Store(root).publish([some(4)]) == ["input-004"]


def test_expired_captures_are_duplicates_and_new_ones_are_counted(root: Path) -> None:
    store = Store(root)
    store.expire(DAYS[4])
    assert store.sql("select * from counts").num_rows == 0
    assert store.publish([some(1), some(5)]) == ["input-005"]
    assert totals(root)["counts"][0]["p"] == some(5).record.counted
    assert Store.verify(root).is_good
    assert store.expire(DAYS[4]).gone["counts"].packets == some(5).record.counted


def test_what_is_lost_otherwise_is_still_seen(root: Path) -> None:
    store = Store(root)
    store.publish([some_input(7)])
    store.expire(DAYS[1])
    (path, *_) = store._table.files("sources")
    store._table.commit([], [path])
    assert Store.verify(root).wrong


def test_stores_without_sources(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", create=True, settings={"sources": False})
    store.publish([some(1)])
    with pytest.raises(ConfigError, match="keeps no sources"):
        store.expire(DAYS[1], daily=True)
    assert store.expire(DAYS[1]).gone["counts"].rows > 0
    assert Store.verify(store.directory).is_good


@pytest.mark.parametrize(
    "before", [at(1), datetime.now(UTC).replace(hour=0) + timedelta(days=2)]
)
def test_days_that_are_none_or_have_not_been(root: Path, before: datetime) -> None:
    with pytest.raises(ConfigError, match=r"midnight|has been"):
        Store(root).expire(before)


def test_what_does_not_add_up_is_not_committed(root: Path, monkeypatch) -> None:
    before = text_of(root)
    stream = Query.stream

    def short(self: Query, *args: Any) -> Any:
        return [batch.slice(1) for batch in stream(self, *args)]

    monkeypatch.setattr(Query, "stream", short)
    with pytest.raises(InternalError, match="would add up to"):
        Store(root).expire(DAYS[2], daily=True)
    monkeypatch.undo()
    assert text_of(root) == before
    assert Store.verify(root).orphans == []


def test_a_damaged_file_is_named(root: Path) -> None:
    (path, *_) = Table.open(Local(root)).files("sources")
    data = bytearray((root / path).read_bytes())
    data[200] ^= 1
    (root / path).write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        Store(root).expire(DAYS[2], daily=True)


@pytest.mark.parametrize("daily", [False, True])
def test_what_others_do_meanwhile_is_not_undone(
    root: Path, monkeypatch, daily: bool
) -> None:
    other = Store(root)
    check = fastflow.store.expire._Change.check
    meanwhile = [lambda: other.publish([some(8)]), other.compact]

    def first(self: Any, done: Any) -> None:
        if meanwhile:
            meanwhile.pop(0)()
        check(self, done)

    monkeypatch.setattr(fastflow.store.expire._Change, "check", first)
    Store(root).expire(DAYS[1], daily=daily)
    assert Store.verify(root).is_good
    # Taken in after the files were listed: its hours are there until the next time.
    assert Store(root).is_committed("input-008")
    Store(root).expire(DAYS[1], daily=daily)
    Store(root).expire(DAYS[1], daily=daily)
    rest = Store(root).sql("select count(*) n from counts where hour < '2020-08-27'")
    assert (rest["n"].to_pylist() != [0]) == daily
    assert Store.verify(root).is_good


def test_files_stay_for_a_day(root: Path, monkeypatch) -> None:
    store = Store(root)
    before = {kind: store._files(kind, None) for kind in KINDS}
    Store(root).expire(DAYS[4])
    Store(root, create=True).recover()
    assert all(path.exists() for kind in before for path in before[kind])
    monkeypatch.setattr(table, "_GRACE_HOURS", 0)
    Store(root, create=True).recover()
    assert not any(path.exists() for path in before["counts"] + before["sources"])
