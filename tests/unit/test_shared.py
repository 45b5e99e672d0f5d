"""What partners get: exact sums, no small cell, and nothing beside the rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reference_shared
from fastflow.errors import ConfigError
from fastflow.store import SharedReport, Sharing, Store
from fastflow.store.shared import CELL, FOLDS, SHARED
from reduced import EPOCH, at, reduced
from strategies import relaxed

NOW = EPOCH + timedelta(days=30)
DAY = timedelta(days=1)

Row = dict[str, Any]


def publish(root: Path, rows: list[Row], **settings: Any) -> Store:
    """Publish rows, each sensor's as an input of its own."""
    store = Store(root, create=True, settings=settings)
    sensors = sorted({row["sensor"] for row in rows})
    store.publish(
        [
            reduced(f"of-{sensor}", [r for r in rows if r["sensor"] == sensor])
            for sensor in sensors
        ]
    )
    return store


def export(store: Store, **named: Any) -> tuple[list[Row], SharedReport]:
    sharing = Sharing(**({"now": NOW} | named))
    out = Path(store.url).with_suffix(".parquet")
    report = store.export_shared(out, sharing)
    table = pq.read_table(out)
    assert table.num_rows == report.rows
    return table.to_pylist(), report


def seen_by(n_sensors: int, packets: int = 1, **named: Any) -> list[Row]:
    """Return rows of one cell, with `packets` and one source at each sensor."""
    return [
        {"sensor": f"s{n}", "src": f"192.0.2.{n}", "packets": packets} | named
        for n in range(n_sensors)
    ]


def order(row: Row) -> list[tuple[bool, Any]]:
    return [(row[name] is not None, row[name]) for name in (*CELL, "other")]


@st.composite
def source_rows(draw: st.DrawFn) -> list[Row]:
    row = st.fixed_dictionaries(
        {
            "hour": st.sampled_from([at(0), at(1), at(26)]),
            "sensor": st.sampled_from(["a", "b", "c", "d"]),
            "proto": st.sampled_from([6, 17]),
            "dst_port": st.sampled_from([None, 23, 445]),
            "icmp_type": st.sampled_from([None, 8]),
            "country": st.sampled_from([None, "JP", "NL"]),
            "traffic": st.sampled_from(["scan", "other"]),
            "signature": st.sampled_from([None, "1:::", "2:::"]),
            "tool": st.sampled_from([None, "zmap"]),
            "src": st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
            "packets": st.integers(1, 6),
        }
    )
    return draw(st.lists(row, min_size=1, max_size=40))


@settings(
    relaxed(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=source_rows(),
    every=st.sampled_from(["hour", "day"]),
    min_packets=st.integers(1, 12),
    min_sensors=st.integers(1, 4),
    now=st.sampled_from([NOW, at(27) + 7 * DAY, at(1) + 7 * DAY]),
)
def test_rows_are_those_of_the_slow_twin(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Row],
    every: str,
    min_packets: int,
    min_sensors: int,
    now: datetime,
) -> None:
    store = publish(tmp_path_factory.mktemp("shared") / "s", rows)
    rules: Row = {"min_packets": min_packets, "min_sensors": min_sensors}
    found, report = export(store, every=every, now=now, **rules)
    end = now - 7 * DAY
    if every == "day":
        end = end.replace(hour=0)
    expected, withheld = reference_shared.shared(rows, every=every, end=end, **rules)
    assert found == sorted(expected, key=order)
    everything = store.sql("select sum(packets) n from counts")["n"][0].as_py()
    assert report.published == sum(row["packets"] for row in found)
    assert report.withheld == withheld
    assert report.published + report.withheld + report.recent == everything
    assert all(row["packets"] >= min_packets for row in found)


def test_a_cell_that_is_enough_is_a_row(tmp_path: Path) -> None:
    (row,), report = export(publish(tmp_path / "s", seen_by(3, packets=4)))
    assert row == {
        "hour": at(0),
        "proto": 6,
        "dst_port": 445,
        "icmp_type": None,
        "country": "JP",
        "traffic": "scan",
        "signature": "1024:::",
        "tool": None,
        "other": None,
        "packets": 12,
        "sources": 3,
    }
    assert report == SharedReport(1, 12, 0, 0, 0, 3)


def test_small_cells_are_added_up_over_what_splits_finest(tmp_path: Path) -> None:
    """A mark in the signature, one for each sensor, does not come back."""
    rows = [
        row | {"signature": f"{number}:::"}
        for number, row in enumerate(seen_by(5, packets=4))
    ]
    (row,), report = export(publish(tmp_path / "s", rows))
    assert (row["other"], row["signature"]) == ("signature+tool", None)
    assert (row["dst_port"], row["country"], row["packets"]) == (445, "JP", 20)
    assert (report.published, report.other, report.withheld) == (20, 20, 0)


@pytest.mark.parametrize(
    ("column", "values", "other"),
    [
        ("country", ["JP", "NL"], "signature+tool+country"),
        ("dst_port", [1, 2], "signature+tool+country+dst_port+icmp_type"),
        ("proto", [6, 17], "+".join(sum(FOLDS[:5], ()))),
        ("hour", [at(0), at(1)], "+".join(sum(FOLDS, ()))),
    ],
)
def test_the_remainder_goes_further_up_until_it_is_enough(
    tmp_path: Path, column: str, values: list[Any], other: str
) -> None:
    rows = [r | {column: values[0]} for r in seen_by(2, packets=9)]
    rows += [r | {column: values[1]} for r in seen_by(3)[2:]]
    (row,), report = export(publish(tmp_path / "s", rows))
    assert (row["other"], row["packets"], row["sources"]) == (other, 19, 3)
    assert row[column] is None
    assert report.withheld == 0


def test_a_remainder_that_is_too_small_is_withheld(tmp_path: Path) -> None:
    rows = seen_by(3, packets=4) + seen_by(2, packets=50, dst_port=7777)
    (row,), report = export(publish(tmp_path / "s", rows))
    assert (row["dst_port"], row["packets"]) == (445, 12)
    assert (report.published, report.withheld) == (12, 100)


def test_a_source_in_several_small_cells_counts_once(tmp_path: Path) -> None:
    rows = [
        {"sensor": f"s{n}", "src": "192.0.2.1", "signature": f"{n}:::", "packets": 5}
        for n in range(3)
    ]
    (row,), _ = export(publish(tmp_path / "s", rows))
    assert row["sources"] == 1


def test_fewer_sensors_than_wanted_share_nothing(tmp_path: Path) -> None:
    rows, report = export(publish(tmp_path / "s", seen_by(2, packets=1000)))
    assert rows == []
    assert (report.published, report.withheld, report.sensors) == (0, 2000, 2)
    rows, report = export(Store(tmp_path / "s"), min_sensors=2)
    assert (len(rows), report.withheld) == (1, 0)


@pytest.mark.parametrize(
    ("every", "now", "hours"),
    [
        ("hour", at(2), 2),  # hours 0 and 1 have ended
        ("hour", at(2) - timedelta(microseconds=1), 1),
        ("day", at(23), 0),
        ("day", at(24), 3),
        # A day is one of UTC, wherever the clock hangs.
        ("day", at(23).astimezone(timezone(timedelta(hours=9))), 0),
    ],
)
def test_what_ended_less_than_the_delay_ago_is_left_out(
    tmp_path: Path, every: str, now: datetime, hours: int
) -> None:
    rows = [row for n in range(3) for row in seen_by(3, packets=5, hour=at(n))]
    _, report = export(publish(tmp_path / "s", rows), every=every, now=now + 7 * DAY)
    assert (report.published, report.recent) == (15 * hours, 45 - 15 * hours)
    _, report = export(Store(tmp_path / "s"), delay=timedelta(0), now=now)
    assert report.published + report.recent == 45


def test_the_clock_decides_where_no_time_is_given(tmp_path: Path) -> None:
    today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rows = seen_by(3, packets=4, hour=today - 6 * DAY)
    rows += seen_by(3, packets=4, hour=today - 8 * DAY)
    _, report = export(publish(tmp_path / "s", rows), now=None)
    assert (report.published, report.recent) == (12, 12)


def test_a_period(tmp_path: Path) -> None:
    store = publish(tmp_path / "s", seen_by(3, packets=4) + seen_by(3, hour=at(30)))
    rows = [{"hour": at(31), "packets": 7, "sensor": "s0"}]
    store.publish([reduced("another", rows)])
    out = tmp_path / "out.csv"
    sharing = Sharing(now=NOW, min_packets=1, min_sensors=1)
    report = store.export_shared(out, sharing, period="2020-08-27")
    assert report.published == 3 + 7
    assert "2020-08-26" not in out.read_text()


def test_without_sources_their_number_is_null(tmp_path: Path) -> None:
    (row,), _ = export(publish(tmp_path / "s", seen_by(3, packets=4), sources=False))
    assert (row["packets"], row["sources"]) == (12, None)


def test_where_sources_are_gone_their_number_is_null(tmp_path: Path) -> None:
    """A number that lacks some of the sources is worse than none."""
    store = publish(tmp_path / "s", seen_by(3, packets=4))
    store.publish([reduced("more", seen_by(1, packets=5))])
    store._table.files = without_the_newest_sources(store)  # type: ignore[method-assign]
    (row,), _ = export(store)
    assert (row["packets"], row["sources"]) == (17, None)


def without_the_newest_sources(store: Store) -> Any:
    files = store._table.files

    def fewer(kind: str, hours: Any = None) -> list[str]:
        return files(kind, hours)[: 1 if kind == "sources" else None]

    return fewer


@pytest.mark.parametrize(
    "named",
    [
        {"every": "week"},
        {"min_packets": 0},
        {"min_sensors": 0},
        {"delay": timedelta(-1)},
    ],
)
def test_rules_that_make_no_sense_are_refused(named: Row) -> None:
    with pytest.raises(ConfigError):
        Sharing(**named)


def test_a_parquet_file_tells_nothing_beside_its_rows(tmp_path: Path) -> None:
    store = publish(tmp_path / "s", seen_by(3, packets=4))
    out = tmp_path / "out.parquet"
    store.export_shared(out, Sharing(now=NOW))
    metadata = pq.read_metadata(out)
    # The names and types of the columns, for Arrow.
    assert set(metadata.metadata or {}) == {b"ARROW:schema"}
    assert pq.read_schema(out).metadata is None
    assert metadata.created_by.startswith("parquet-cpp-arrow version ")
    for index, name in enumerate(SHARED.names):
        statistics = metadata.row_group(0).column(index).statistics
        values = set(pq.read_table(out)[name].to_pylist())
        if statistics.has_min_max:
            assert {statistics.min, statistics.max} <= values


def test_an_arrow_file_tells_nothing_beside_its_rows(tmp_path: Path) -> None:
    """What lies under a null in memory is a value of another row, or of a sensor."""
    rows = seen_by(3, packets=4, dst_port=None) + seen_by(3, packets=4)
    rows += seen_by(3, packets=4, country=None)
    store = publish(tmp_path / "s", rows)
    out = tmp_path / "out.arrow"
    store.export_shared(out, Sharing(now=NOW))
    with pa.OSFile(str(out)) as file:
        reader = pa.ipc.open_file(file)
        table = reader.read_all()
        assert reader.schema.metadata is None
    assert table.schema.equals(SHARED, check_metadata=True)
    for column in table.columns:
        for chunk in column.chunks:
            if pa.types.is_string(chunk.type):
                n_bytes = sum(len(text or "") for text in chunk.to_pylist())
                texts = chunk.buffers()[2]
                assert len(texts or b"") == n_bytes
            else:
                filled = chunk.fill_null(0).to_numpy(zero_copy_only=False)
                width = chunk.type.bit_width // 8
                data = chunk.buffers()[1].to_pybytes()[: width * len(chunk)]
                assert data == filled.astype(f"i{width}").tobytes()
