"""Stores of other versions: an older one is read and added to, a newer one refused."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from fastflow.errors import StoreError
from fastflow.schema import COUNTS, Reduced
from fastflow.store import Store, log
from fastflow.store.settings import SCHEMA_VERSION
from fastflow.store.table import KINDS, union_schema
from old_store import of_version, without_columns
from reduced import EPOCH, publish_all, reduced, some_input, some_rows

#: Stores of each schema version, made by fastflow 0.1.0 of two captures; never changed.
#: That of version 2 has been compacted, and its hours added up to days; that of
#: version 3 has the backscatter of an attack.
FROZEN = Path(__file__).parents[1] / "data"

#: Nullable columns, any of which a later version might have added.
_FIELDS = [field for schema in KINDS.values() for field in schema]
LATER = sorted(
    {field.name for field in _FIELDS}
    - {field.name for field in _FIELDS if not field.nullable}
    - {"dst_port"}  # has file statistics
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store whose files lack every column that may be null."""
    Store(tmp_path, create=True).publish([some_input(1), some_input(2)])
    without_columns(tmp_path, LATER)
    return tmp_path


def test_columns_that_an_older_store_lacks_are_null(old: Path) -> None:
    store = Store(old)
    for kind, schema in KINDS.items():
        table = store.sql(f"select * from {kind}")
        assert table.num_rows > 0
        for field in schema:
            if field.name in LATER:
                column = table[field.name]
                assert column.null_count == table.num_rows, field.name
                assert column.type == field.type
    expected = some_input(1).record.counted + some_input(2).record.counted
    total = store.sql("select sum(packets) n from counts")["n"].to_pylist()
    assert total == [expected]


def test_an_older_store_knows_its_inputs(old: Path) -> None:
    store = Store(old)
    assert store.is_committed("input-001")
    assert store.publish([some_input(2)]) == []


def test_old_and_new_files_are_read_together(old: Path) -> None:
    store = Store(old)
    assert store.publish([some_input(3)]) == ["input-003"]
    rows = Store(old).sql(
        "select input, max(country) c from counts group by 1 order by 1"
    )
    assert rows["c"].to_pylist() == [None, None, "JP"]
    # Any reader of Delta Lake finds the new columns as well.
    filters = [("table", "=", "counts")]
    table = DeltaTable(old).to_pyarrow_table(filters=filters, columns=COUNTS.names)
    order = [(name, "ascending") for name in COUNTS.names]
    expected = store.sql("select * from counts").select(COUNTS.names).sort_by(order)
    assert table.cast(expected.schema).sort_by(order) == expected


def metadata_actions(root: Path) -> dict[int, dict[str, Any]]:
    found = {}
    for version in log.entry_versions(root):
        for action in log.read_entry(root, version):
            if "metaData" in action:
                found[version] = action["metaData"]
    return found


def test_the_commit_that_adds_columns_tells_of_them_once(old: Path) -> None:
    """Nothing else of what the table says of itself changes."""
    assert not set(LATER).intersection(columns_of(old))
    Store(old).compact()
    Store(old).publish([some_input(3)])
    Store(old).publish([some_input(4)])
    first, second = metadata_actions(old).values()
    fields = json.loads(second.pop("schemaString"))["fields"]
    old_fields = json.loads(first.pop("schemaString"))["fields"]
    assert fields[: len(old_fields)] == old_fields
    assert {f["name"] for f in fields[len(old_fields) :] if f["nullable"]} == {*LATER}
    assert second == {key: value for key, value in first.items() if value is not None}


def columns_of(root: Path) -> set[str]:
    return {field.name for field in DeltaTable(root).schema().fields}


def test_two_writers_add_columns_and_raise_the_version_at_once(old: Path) -> None:
    of_version(old, 2)
    stores = [Store(old) for _ in range(2)]
    writer = multiprocessing.get_context("spawn")
    processes = [
        writer.Process(target=publish_all, args=(old, [*range(n, n + 6)], 1))
        for n in (10, 20)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert set(LATER) <= columns_of(old)
    assert len(metadata_actions(old)) == 2
    assert Store(old).settings.schema_version == SCHEMA_VERSION
    for store in stores:
        assert store.sql("select count(*) n from inputs")["n"].to_pylist() == [14]
    assert Store(old).publish([some_input(12), some_input(23)]) == []


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_a_frozen_store_gains_columns(tmp_path: Path, version: int) -> None:
    root = tmp_path / "store"
    shutil.copytree(FROZEN / f"store-v{version}", root)
    Store(root).publish([some_input(3, head="its beginning")])
    assert columns_of(root) == set(union_schema().names)
    columns = ["input", "head", "part_of", "records"]
    expected = Store(root).sql("select id as input, head, part_of, records from inputs")
    table = DeltaTable(root).to_pyarrow_table(
        filters=[("table", "=", "inputs")], columns=columns
    )
    assert table.cast(expected.schema).sort_by("input") == expected.sort_by("input")
    assert "its beginning" in table["head"].to_pylist()


def test_an_older_store_is_exported(old: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    store = Store(old)
    for table in KINDS:
        n_rows = store.sql(f"select * from {table}").num_rows
        assert store.export(out / f"{table}.parquet", table) == n_rows
    assert store.export_canonical(out / "all.csv") > 0


def assert_same_rows(path: Path, frozen: Path) -> None:
    """Compare a canonical form with an older one; columns that came since are empty."""
    found, expected = (
        list(csv.DictReader(io.StringIO(one.read_text()))) for one in (path, frozen)
    )
    assert len(found) == len(expected) > 0
    for row, old in zip(found, expected, strict=True):
        assert {name: row.pop(name) for name in old} == old
        assert not any(row.values())


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_a_frozen_store_is_read_as_it_was(tmp_path: Path, version: int) -> None:
    """Raise the version, and freeze a store of the new one too: all must be read."""
    root = tmp_path / "store"
    shutil.copytree(FROZEN / f"store-v{version}", root)
    store = Store(root)
    assert store.settings.schema_version == version
    out = tmp_path / "all.csv"
    store.export_canonical(out)
    assert_same_rows(out, FROZEN / f"store-v{version}.csv")
    assert store.is_committed("input-001")
    assert store.publish([some_input(1), some_input(3)]) == ["input-003"]


def test_the_frozen_attack_is_found() -> None:
    (attack,) = Store(FROZEN / "store-v3").sql("select * from attacks").to_pylist()
    assert (attack["start"], attack["packets"], attack["peak"]) == (EPOCH, 104, 64)
    assert attack["src_ports"] == [21, 53, 80]


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    Store(tmp_path, create=True)
    of_version(tmp_path, SCHEMA_VERSION + 1)
    with pytest.raises(StoreError, match="install a newer fastflow"):
        Store(tmp_path)


# --- what an older fastflow must know -------------------------------------------------


def without_victims(number: int) -> Reduced:
    rows = [row for row in some_rows(number) if row["src"] not in VICTIMS]
    return reduced(f"input-{number:03}", rows)


VICTIMS = [f"192.0.2.{n}" for n in range(0, 256, 3)]


def versions(root: Path) -> dict[int, int]:
    """Return which schema version which entry of the log gave."""
    return {
        entry: json.loads(action["configuration"]["fastflow.settings"])[
            "schema_version"
        ]
        for entry, action in metadata_actions(root).items()
    }


def test_a_new_store_is_of_the_newest_version(tmp_path: Path) -> None:
    Store(tmp_path, create=True).publish([some_input(1)])
    assert versions(tmp_path) == {0: SCHEMA_VERSION}


def test_the_version_rises_in_the_commit_that_needs_it(tmp_path: Path) -> None:
    store = Store(tmp_path, create=True)
    of_version(tmp_path, 1)
    store = Store(tmp_path)
    store.publish([without_victims(1)])
    store.publish([without_victims(2)])
    store.compact()
    store.expire(EPOCH)
    assert set(versions(tmp_path).values()) == {1}
    store.expire(EPOCH + timedelta(days=1), daily=True)
    assert store.settings.schema_version == 2
    assert list(versions(tmp_path).values())[-1] == 2
    store.publish([without_victims(3)])
    assert store.settings.schema_version == 2
    store.publish([some_input(4)])
    assert store.settings.schema_version == 3
    last, version = max(versions(tmp_path).items())
    assert version == 3
    added = [a["add"]["path"] for a in log.read_entry(tmp_path, last) if "add" in a]
    assert any(path.startswith("table=backscatter/") for path in added)
    store.publish([some_input(5)])
    store.compact()
    assert max(versions(tmp_path)) == last


def test_an_older_fastflow_is_refused_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that has the store open."""
    Store(tmp_path, create=True)
    of_version(tmp_path, 2)
    older = Store(tmp_path)
    older.publish([without_victims(1)])
    Store(tmp_path).publish([some_input(2)])
    monkeypatch.setattr("fastflow.store.settings.SCHEMA_VERSION", 2)
    with pytest.raises(StoreError, match="a newer fastflow made this store"):
        older.publish([without_victims(3)])
    with pytest.raises(StoreError, match="a newer fastflow made this store"):
        Store(tmp_path)


def test_a_version_that_a_lost_entry_gave_rises_again(tmp_path: Path) -> None:
    store = Store(tmp_path, create=True)
    store.publish([some_input(1)])
    of_version(tmp_path, 2)
    Store(tmp_path).publish([without_victims(2)])
    assert Store(tmp_path).settings.schema_version == 3


def test_an_input_of_an_older_fastflow_has_nothing_in_backscatter(
    tmp_path: Path,
) -> None:
    root = tmp_path / "store"
    shutil.copytree(FROZEN / "store-v2", root)
    assert Store(root).sql("select * from backscatter").num_rows == 0
    assert Store(root).sql("select * from attacks").num_rows == 0
    assert Store.verify(root).is_good
    Store(root).publish([some_input(3)])
    Store(root).compact()
    assert Store.verify(root).is_good
    found = Store(root).sql("select id, backscatter b from inputs order by id")
    expected = some_input(3).rows.backscatter["packets"].to_pylist()
    assert found["b"].to_pylist() == [None, None, sum(expected)]
