"""`backscatter` on its way through a store: as whole and as single as counts are."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import builders as b
import fastflow
from command import fastflow as command
from fastflow.addresses import from_text
from fastflow.errors import InternalError
from fastflow.schema import BACKSCATTER, Reduced
from fastflow.store import Sharing, Store, compact
from reduced import EPOCH, at, growing_input, reduced, some_input

VICTIM = "192.0.2.3"
BIN = int(EPOCH.timestamp()) // 10
DAY = timedelta(days=1)


def without_victims(number: int) -> Reduced:
    return reduced(f"quiet-{number:03}", [{"src": "192.0.2.1", "dst_port": number}])


def attacked(name: str, bins: Sequence[int], n_packets: int, hour: int = 0) -> Reduced:
    """Return an input with an answer in each packet, so many in each bin."""
    total = n_packets * len(bins)
    row = {"hour": at(hour), "src": VICTIM, "packets": total, "src_port": 80}
    one = reduced(name, [row])
    (echo,) = one.rows.backscatter.to_pylist()
    first = BIN + 360 * hour
    echo |= {"bins": [first + n for n in bins], "bin_packets": [n_packets] * len(bins)}
    one.rows.backscatter = pa.Table.from_pylist([echo], BACKSCATTER)
    return one


def packets(store: Store) -> dict[str, int]:
    """Return the packets in `backscatter` by input."""
    table = store.sql("select input, sum(packets) n from backscatter group by 1")
    return {row["input"]: row["n"] for row in table.to_pylist()}


def expected(*reduced: Reduced) -> dict[str, int]:
    sums = {
        one.record.input: sum(one.rows.backscatter["packets"].to_pylist())
        for one in reduced
    }
    return {input_id: n for input_id, n in sums.items() if n}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of an attack, and of inputs with victims and without."""
    store = Store(tmp_path / "s", create=True)
    store.publish([some_input(1), without_victims(1)])
    store.publish([attacked("attacked", range(9), 6)])
    store.publish([without_victims(2)])
    return store


# --- what is written ------------------------------------------------------------------


def test_a_batch_without_victims_makes_no_file(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", create=True)
    store.publish([without_victims(1), without_victims(2)])
    store.publish([reduced("empty")])
    assert not (tmp_path / "s" / "table=backscatter").exists() or not list(
        (tmp_path / "s" / "table=backscatter").iterdir()
    )
    assert store.sql("select count(*) n from backscatter")["n"].to_pylist() == [0]
    found = store.sql("select id, backscatter b from inputs order by id").to_pylist()
    names = ["empty", "quiet-001", "quiet-002"]
    assert found == [{"id": name, "b": 0} for name in names]
    assert Store.verify(tmp_path / "s").is_good


def test_each_input_says_how_many_packets_are_there(store: Store) -> None:
    sums = expected(some_input(1), attacked("attacked", range(9), 6))
    assert packets(store) == sums
    found = store.sql("select id, backscatter b from inputs").to_pylist()
    assert {row["id"]: row["b"] for row in found} == sums | {
        "quiet-001": 0,
        "quiet-002": 0,
    }


def test_a_store_without_sources_has_no_victims(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", create=True, settings={"sources": False})
    store.publish([some_input(1)])
    assert store.sql("select * from backscatter").num_rows == 0
    assert store.sql("select backscatter b from inputs")["b"].to_pylist() == [None]
    assert Store.verify(tmp_path / "s").is_good


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"packets": 55, "bin_packets": [55]}, "packets in backscatter: 55"),
        ({"bin_packets": [4]}, "packets in bins: 4, expected 5"),
        ({"bin_packets": [3, 3]}, "packets in bins: 6, expected 5"),
        ({"input": "other"}, "inputs of its rows"),
    ],
)
def test_what_does_not_add_up_is_not_stored(
    store: Store, change: dict[str, Any], message: str
) -> None:
    one = attacked("wrong", [0], 5)
    (echo,) = one.rows.backscatter.to_pylist()
    one.rows.backscatter = pa.Table.from_pylist([echo | change], BACKSCATTER)
    before = store._table.version
    with pytest.raises(InternalError, match=message):
        store.publish([without_victims(3), one])
    assert store._table.version == before
    assert not store.is_committed("quiet-003")
    assert Store.verify(store.directory).orphans == []


def test_rows_are_the_same_however_many_are_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = b.PcapBuilder()
    for number in range(400):
        victim = bytes([203, 0, 113, number * 7 % 61])
        segment = b.tcp(src_port=number % 90, flags=b.SYN | b.ACK)
        frame = b.ethernet(b.ipv4(segment, src=victim))
        builder.add(frame, sec=b.T0 + number * number % 9000)
    (tmp_path / "a.pcap").write_bytes(builder.build())
    tables = []
    for name, rows in (("whole", 1 << 18), ("seven", 7), ("one", 1)):
        monkeypatch.setattr("fastflow.store.publish.ROW_GROUP_ROWS", rows)
        fastflow.reduce([tmp_path / "a.pcap"], tmp_path / name, "lab")
        tables.append(Store(tmp_path / name).sql("select * from backscatter"))
    assert tables[0].num_rows > 100
    assert tables[0] == tables[1] == tables[2]


# --- what becomes of it ---------------------------------------------------------------


def test_rows_of_a_superseded_input_go(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", create=True)
    for one in (growing_input(1), some_input(5), without_victims(1)):
        store.publish([one])
    store.compact()
    store.publish([growing_input(2)])
    assert packets(store) == expected(growing_input(2), some_input(5))
    assert Store.verify(tmp_path / "s").is_good


def test_a_file_whose_rows_all_go_leaves_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", create=True)
    store.publish([growing_input(1)])
    store.expire(EPOCH + DAY)
    assert store._table.files("backscatter") == []
    assert Store.verify(tmp_path / "s").is_good


@pytest.mark.parametrize("column", ["bins", "bin_packets", "ports"])
def test_a_compaction_that_loses_what_is_in_a_list_is_noticed(
    store: Store, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    store.publish([attacked("again", range(3), 2)])
    in_order = compact._in_order

    def with_a_list_cut(tables: Any) -> Any:
        for rows in in_order(tables):
            index = rows.schema.get_field_index(column)
            values = [one[1:] for one in rows[column].to_pylist()]
            cut = pa.array(values, rows.schema.field(index).type)
            yield rows.set_column(index, column, cut)

    monkeypatch.setattr(compact, "KINDS", {"backscatter": None})
    monkeypatch.setattr(compact, "_in_order", with_a_list_cut)
    with pytest.raises(InternalError, match="backscatter would hold"):
        store.compact()


def test_attacks_are_found_however_the_store_was_kept(tmp_path: Path) -> None:
    """Its packets are in two inputs; one is compacted, and days are added up."""
    store = Store(tmp_path / "s", create=True)
    store.publish([attacked("a", range(0, 9, 2), 8)])
    store.publish([attacked("b", range(1, 9, 2), 7)])
    (attack,) = store.sql("select * from attacks").to_pylist()
    assert (attack["src"], attack["packets"]) == (from_text(VICTIM)[0], 5 * 8 + 4 * 7)
    assert (attack["start"], attack["end"]) == (EPOCH, EPOCH + timedelta(seconds=90))
    store.compact()
    assert store.sql("select * from attacks").to_pylist() == [attack]
    store.expire(EPOCH + DAY, daily=True)
    assert store.sql("select * from attacks").to_pylist() == [attack]
    hours = store.sql("select distinct hour from backscatter")["hour"].to_pylist()
    assert hours == [EPOCH]
    assert Store.verify(tmp_path / "s").is_good
    assert store.expire(EPOCH + DAY).gone["backscatter"].packets == 68
    assert store.sql("select * from attacks").num_rows == 0
    assert Store.verify(tmp_path / "s").is_good


def test_days_keep_their_backscatter_by_hour(store: Store) -> None:
    before = store.sql("select * from backscatter order by all")
    done = store.expire(EPOCH + DAY, daily=True)
    assert done.gone.keys() == done.days.keys() == {"counts", "sources"}
    assert store.sql("select * from backscatter order by all") == before
    assert Store.verify(store.directory).is_good


# --- what is noticed ------------------------------------------------------------------


def test_rows_that_are_not_there_are_missed(store: Store) -> None:
    store._table.commit([], store._table.files("backscatter")[:1])
    verdict = Store.verify(store.directory)
    assert not verdict.damaged
    (what,) = verdict.wrong.values()
    assert what.startswith("0 packets in backscatter, ")


@pytest.mark.parametrize("has_expired", [False, True])
def test_rows_that_are_there_twice_are_seen(store: Store, has_expired: bool) -> None:
    """Also of an input that may have fewer, since it began before hours expired."""
    if has_expired:
        store.publish([attacked("old", [0, 1], 5), attacked("two", [0], 2)])
        store.expire(EPOCH)
        store._table.commit([], before={"expired": EPOCH + 20 * DAY})
    files = store._table.files("backscatter")
    store.compact()
    pack = store._table.files("backscatter")
    entry = store._table.version
    actions = [a for a in _added(store, range(entry + 1)) if a["path"] in files]
    store._table.place.commit(
        store._table._delta, "WRITE", [{"add": one} for one in actions]
    )
    assert len(Store(store.directory)._table.files("backscatter")) > len(pack)
    wrong = Store.verify(store.directory).wrong
    assert "attacked" in wrong
    Store.repair(store.directory)
    assert Store.verify(store.directory).is_good


def _added(store: Store, entries: range) -> list[dict[str, Any]]:
    log = store.directory / "_delta_log"
    lines = [
        line
        for entry in entries
        for line in (log / f"{entry:020}.json").read_text().splitlines()
    ]
    return [a["add"] for a in map(json.loads, lines) if "add" in a]


def test_a_damaged_file_opens_inputs_whose_old_hours_have_gone(store: Store) -> None:
    """Their sums may be anything up to what was counted, and do not tell."""
    late = [{"hour": at(h), "src": VICTIM, "packets": 3} for h in (0, 30)]
    store.publish([reduced("late", late)])
    store.expire(EPOCH + DAY)
    assert packets(store)["late"] == 3
    (path,) = (p for p in store._table.files("backscatter") if _has(store, p, "late"))
    (store.directory / path).unlink()
    done = Store.repair(store.directory)
    assert "late" in done.reopened
    assert Store.verify(store.directory).is_good
    assert not Store(store.directory).is_committed("late")


def _has(store: Store, path: str, input_id: str) -> bool:
    inputs = pq.read_table(store.directory / path, columns=["input"])["input"]
    return input_id in inputs.to_pylist()


# --- what comes out -------------------------------------------------------------------


def test_a_partner_gets_nothing_of_it(store: Store, tmp_path: Path) -> None:
    """Not a file of it is opened."""
    sharing = Sharing(min_packets=1, min_sensors=1, now=EPOCH + 30 * DAY)
    store.export_shared(tmp_path / "whole.csv", sharing)
    for path in store._table.files("backscatter"):
        (store.directory / path).unlink()
    store.export_shared(tmp_path / "without.csv", sharing)
    text = (tmp_path / "whole.csv").read_text()
    assert (tmp_path / "without.csv").read_text() == text
    assert VICTIM not in text
    assert not {"bins", "ports", "src"}.intersection(text.splitlines()[0].split(","))


def test_the_command_exports_it(store: Store, tmp_path: Path) -> None:
    args = ("store", "export", "--store", store.url, "--table", "backscatter")
    rows = store.sql("select * from backscatter").to_pylist()
    ran = command(*args, "-o", tmp_path / "out.parquet", "--json")
    assert ran.json == {"rows": len(rows)}
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == rows
    ran = command(*args, "-o", "-")
    found = list(csv.DictReader(io.StringIO(ran.out.decode())))
    assert len(found) == len(rows)
    assert found[-1]["src"] == VICTIM
    assert found[-1]["bin_packets"] == "6 6 6 6 6 6 6 6 6"
    ran = command(*args, "-o", tmp_path / "a.csv", "--period", "2020-08-27", "--json")
    assert ran.json == {"rows": 0}


def test_a_query_shows_lists(store: Store, tmp_path: Path) -> None:
    sql = (
        "select src, bins, bin_packets, ports from backscatter where input = 'attacked'"
    )
    args = ("query", "--store", store.url, sql)
    bins = [BIN + n for n in range(9)]
    row = {"src": VICTIM, "bins": bins, "bin_packets": [6] * 9, "ports": [445]}
    assert command(*args, "--json").json == [row]
    (line,) = csv.DictReader(io.StringIO(command(*args, "--csv").out.decode()))
    assert {name: line[name] for name in ("src", "ports")} == {
        "src": VICTIM,
        "ports": "[445]",
    }
    assert json.loads(line["bins"]) == bins
    assert str(bins) in command(*args).out.decode()
    for ending in ("parquet", "arrow", "ndjson", "csv"):
        assert command(*args, "-o", tmp_path / f"out.{ending}").code == 0
    (found,) = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert found == row | {"src": from_text(VICTIM)[0]}
    with pa.OSFile(str(tmp_path / "out.arrow")) as file:
        assert pa.ipc.open_file(file).read_all().to_pylist() == [found]
    assert json.loads((tmp_path / "out.ndjson").read_text()) == row
    ran = command("query", "--store", store.url, "select * from attacks", "--json")
    (attack,) = ran.json
    assert (attack["src"], attack["src_ports"]) == (VICTIM, [21, 445])
