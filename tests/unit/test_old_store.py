"""Stores of other versions: an older one is read and added to, a newer one refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from deltalake import DeltaTable

from fastflow.errors import StoreError
from fastflow.schema import COUNTS, INPUTS, SOURCES
from fastflow.store import Store
from fastflow.store.settings import SCHEMA_VERSION
from old_store import of_version, without_columns
from reduced import some_input

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
    # Any Delta reader reads it still, without the new column.
    table = DeltaTable(old).to_pyarrow_table(filters=[("table", "=", "counts")])
    assert table.num_rows == store.sql("select * from counts").num_rows


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
