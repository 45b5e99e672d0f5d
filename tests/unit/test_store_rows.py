"""Rows of a store, straight from its files: the same as SQL finds, in fewer steps."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fastflow.analysis.events.baseline import natural_clump
from fastflow.analysis.events.columns import COLUMNS
from fastflow.analysis.events.pool import read_pool
from fastflow.analysis.events.rollup import Cells
from fastflow.analysis.events.slices import DIMENSIONS, ROLLUPS
from fastflow.analysis.selection import Selection
from fastflow.errors import ConfigError, StoreError
from fastflow.schema import COUNTS, SOURCES
from fastflow.store import Store
from fastflow.store import parquet as parquet_files
from fastflow.zones import hour_number
from reduced import EPOCH, reduced

HOUR = timedelta(hours=1)
ALL = (datetime.min.replace(tzinfo=EPOCH.tzinfo), EPOCH + timedelta(days=9))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store of three files; texts and numbers are null here and there."""
    made = Store(tmp_path_factory.mktemp("rows") / "store", create=True)
    rng = np.random.default_rng(3)
    for number in range(3):
        rows = [
            {
                "hour": EPOCH + int(rng.integers(0, 30)) * HOUR,
                "sensor": f"sensor-{number}",
                "country": [None, "JP", "NL"][rng.integers(0, 3)],
                "src": ["192.0.2.7", "203.0.113.9", "2001:db8::1"][rng.integers(0, 3)],
                "packets": int(rng.integers(1, 9)),
                **[
                    {"proto": 6, "dst_port": int(rng.integers(0, 3))},
                    {"proto": 1, "dst_port": None, "icmp_type": 0, "signature": None},
                    {"proto": 47, "dst_port": None, "signature": None},
                ][rng.integers(0, 3)],
                "src_port": [None, 0, 443][rng.integers(0, 3)],
            }
            for _ in range(200)
        ]
        made.publish([reduced(f"input-{number}", rows, sensor=f"sensor-{number}")])
    return made


def as_set(table: pa.Table) -> list[str]:
    return sorted(str(row) for row in table.to_pylist())


@pytest.mark.parametrize("kind", ["counts", "sources"])
@pytest.mark.parametrize(("first", "after"), [(0, 40), (3, 4), (0, 0), (90, 99)])
def test_rows_are_those_that_sql_finds(
    store: Store, kind: str, first: int, after: int
) -> None:
    hours = EPOCH + first * HOUR, EPOCH + after * HOUR
    names = (COUNTS if kind == "counts" else SOURCES).names
    found = pa.concat_tables(store.rows(kind, names, hours))
    expected = store.sql(
        f"select {', '.join(names)} from {kind} where hour >= ? and hour < ?", hours
    )
    assert as_set(found) == as_set(expected)
    assert pa.types.is_dictionary(found.schema.field("country").type)


def test_the_hour_need_not_be_asked_for(store: Store) -> None:
    found = pa.concat_tables(store.rows("counts", ["packets"], (EPOCH, EPOCH + HOUR)))
    (row,) = store.sql(
        "select sum(packets) as n from counts where hour = ?", [EPOCH]
    ).to_pylist()
    assert found.column_names == ["packets"]
    assert sum(found["packets"].to_pylist()) == row["n"]


def test_row_groups_of_other_hours_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_files, "ROW_GROUP_ROWS", 4)
    rows = [{"hour": EPOCH + hour * HOUR, "packets": hour + 1} for hour in range(20)]
    made = Store(tmp_path / "store", create=True)
    made.publish([reduced("input-1", rows)])
    (name,) = made._table.files("counts")
    read: list[list[int]] = []
    whole = parquet_files.pq.ParquetFile.read_row_groups

    def spy(file: object, groups: list[int], *args: object, **named: object) -> object:
        read.append(groups)
        return whole(file, groups, *args, **named)

    monkeypatch.setattr(parquet_files.pq.ParquetFile, "read_row_groups", spy)
    hours = EPOCH + 9 * HOUR, EPOCH + 13 * HOUR
    found = parquet_files.read_hours(Path(made.url) / name, COUNTS, hours)
    assert found["packets"].to_pylist() == [10, 11, 12, 13]
    assert read == [[2, 3]]


def test_a_file_that_is_gone_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere\.parquet"):
        parquet_files.read_hours(tmp_path / "nowhere.parquet", COUNTS, ALL)


def test_filters_and_sensors_give_the_rows_that_match(store: Store) -> None:
    hours = EPOCH, EPOCH + 40 * HOUR
    names = ["hour", "packets", "sources", "country"]
    whole = as_set(pa.concat_tables(Selection(store).rows("counts", names, hours)))
    all_three = ["sensor-0", "sensor-1", "sensor-2"]
    chosen = Selection(store, sensors=all_three).rows("counts", names, hours)
    assert as_set(pa.concat_tables(chosen)) == whole
    (japan,) = Selection(store, where={"country": "JP"}).rows("counts", names, hours)
    assert as_set(japan) == [one for one in whole if "'JP'" in one]
    (one,) = Selection(store, where={"src": "192.0.2.7"}).rows("counts", names, hours)
    assert set(one["sources"].to_pylist()) == {1}
    with pytest.raises(ConfigError):
        Selection(store, where={"port": "x"}).rows("counts", names, hours)


def test_a_pool_is_the_same_from_files_and_from_sql(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastflow.analysis.events import rollup

    for name in ("_LEAST_IN_HOUR", "_LEAST_PER_DAY"):
        monkeypatch.setattr(rollup, name, 1)
    start = hour_number(EPOCH)
    pools = []
    for sensors in (None, ["sensor-0", "sensor-1", "sensor-2"]):
        selection = Selection(store, sensors=sensors)
        pools.append(read_pool(selection, start, start + 48, natural_clump(selection)))
    files, sql = pools
    assert files.keys == sql.keys
    assert len(files.keys) > 20
    for name in ("begins", "hours", "packets", "sources"):
        np.testing.assert_array_equal(getattr(files, name), getattr(sql, name))


def test_services_and_networks_are_those_of_sql(store: Store) -> None:
    start, hours = hour_number(EPOCH), (EPOCH, EPOCH + 48 * HOUR)
    for kind, name in (("counts", "service"), ("sources", "network")):
        parts = COLUMNS[kind][name]
        numbers = ["hour", "packets", *(["sources"] if kind == "counts" else [])]
        others = [part for parts in COLUMNS[kind].values() for part in parts]
        rows = pa.concat_tables(store.rows(kind, [*numbers, *others], hours))
        cells = Cells(kind, rows, start, 48, 1e-9)
        cells.least_in_hour = 0.0
        series = cells.roll_up((name,))
        columns = DIMENSIONS[name].columns.items()
        shown = ", ".join(f"{sql} as {column}" for column, sql in columns)
        expected = store.sql(
            f"select {shown}, sum(packets) as packets from {kind} group by all "
            f"having {DIMENSIONS[name].is_there}"
        ).to_pylist()
        ends = np.cumsum(series.lengths)
        found = {
            key.values[0]: int(series.packets[end - length : end].sum())
            for key, end, length in zip(series.keys, ends, series.lengths, strict=True)
        }
        wanted = {tuple(row.values())[:-1]: row["packets"] for row in expected}
        assert found == wanted, parts


@pytest.mark.parametrize("kind", ["counts", "sources"])
def test_hours_without_rows_have_no_series(store: Store, kind: str) -> None:
    selection = Selection(store)
    columns = [part for parts in COLUMNS[kind].values() for part in parts]
    hours = EPOCH + 90 * HOUR, EPOCH + 99 * HOUR
    rows = pa.concat_tables(selection.rows(kind, ["hour", "packets", *columns], hours))
    cells = Cells(kind, rows, hour_number(hours[0]), 9, 1.0)
    assert [cells.roll_up(one).keys for one in ROLLUPS[kind]] == [[]] * len(
        ROLLUPS[kind]
    )
