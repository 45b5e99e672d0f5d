"""Stores of other versions: an older one is read and added to, a newer one refused."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from fastflow.errors import StoreError
from fastflow.schema import COUNTS, INPUTS, SOURCES
from fastflow.store import Store, log
from fastflow.store.settings import SCHEMA_VERSION
from fastflow.store.table import union_schema
from old_store import of_version, without_columns
from reduced import publish_all, some_input

#: Stores of each schema version, made by fastflow 0.1.0 of two captures; never changed.
#: That of version 2 has been compacted, and its hours added up to days.
FROZEN = Path(__file__).parents[1] / "data"

#: Nullable columns, any of which a later version might have added.
LATER = sorted(
    {field.name for schema in (COUNTS, SOURCES, INPUTS) for field in schema}
    - {field.name for schema in (COUNTS, SOURCES, INPUTS) for field in schema
       if not field.nullable}
    - {"dst_port"}  # has file statistics
)  # fmt: skip


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store whose files lack every column that may be null."""
    Store(tmp_path, create=True).publish([some_input(1), some_input(2)])
    without_columns(tmp_path, LATER)
    return tmp_path


def test_columns_that_an_older_store_lacks_are_null(old: Path) -> None:
    store = Store(old)
    for kind, schema in (("counts", COUNTS), ("sources", SOURCES), ("inputs", INPUTS)):
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


def test_two_writers_add_columns_at_once(old: Path) -> None:
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
    for table in ("counts", "sources", "inputs"):
        n_rows = store.sql(f"select * from {table}").num_rows
        assert store.export(out / f"{table}.parquet", table) == n_rows
    assert store.export_canonical(out / "all.csv") > 0


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_a_frozen_store_is_read_as_it_was(tmp_path: Path, version: int) -> None:
    """Raise the version, and freeze a store of the new one too: all must be read."""
    root = tmp_path / "store"
    shutil.copytree(FROZEN / f"store-v{version}", root)
    store = Store(root)
    assert store.settings.schema_version == version
    out = tmp_path / "all.csv"
    store.export_canonical(out)
    assert out.read_text() == (FROZEN / f"store-v{version}.csv").read_text()
    assert store.is_committed("input-001")
    assert store.publish([some_input(1), some_input(3)]) == ["input-003"]


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    Store(tmp_path, create=True)
    of_version(tmp_path, SCHEMA_VERSION + 1)
    with pytest.raises(StoreError, match="install a newer fastflow"):
        Store(tmp_path)
