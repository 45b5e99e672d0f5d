"""The store loses nothing, doubles nothing, and any Delta reader can read it."""

import errno
import hashlib
import json
import multiprocessing
import resource
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastflow.store.publish
from fastflow.errors import ConfigError, InternalError, StoreError
from fastflow.schema import COUNTS, INPUTS, SOURCES, Reduced
from fastflow.store import Settings, Store
from fastflow.store.local import Local
from fastflow.store.table import KINDS, Table
from reduced import at, publish_all, reduced, some_input

COUNT_COLUMNS = ", ".join(COUNTS.names)


def contents(root: Path) -> dict[str, str]:
    """Return every file outside the log, by its path, as the hash of its bytes."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and "_delta_log" not in path.parts
    }


def test_new_store_answers_with_the_right_types(tmp_path):
    store = Store(tmp_path / "s", create=True)
    for kind, schema in KINDS.items():
        table = store.sql(f"select * from {kind}")
        assert table.num_rows == 0
        for field in schema:
            name = "id" if (kind, field.name) == ("inputs", "input") else field.name
            assert table.schema.field(name).type == field.type
    assert store.sql("select sum(packets) as p from counts").to_pylist() == [
        {"p": None}
    ]


def test_published_rows_come_back(tmp_path):
    store = Store(tmp_path, create=True)
    one, two = some_input(1, uncounted={"bad_ts": 3}, flags={"frag": 2}), some_input(2)
    assert store.publish([two, one]) == ["input-002", "input-001"]
    for fresh in (store, Store(tmp_path)):
        counts = fresh.sql(f"select {COUNT_COLUMNS} from counts")
        expected = pa.concat_tables([one.rows.counts, two.rows.counts])
        assert counts.cast(COUNTS).equals(expected)
        sources = fresh.sql("select * from sources").cast(SOURCES)
        assert sources.equals(pa.concat_tables([one.rows.sources, two.rows.sources]))
        rows = fresh.sql("select id, records, counted, uncounted, flags from inputs")
        assert rows.to_pylist()[0] == {
            "id": "input-001",
            "records": one.record.records,
            "counted": one.record.counted,
            "uncounted": [("bad_ts", 3)],
            "flags": [("frag", 2)],
        }
        assert fresh.is_committed("input-001")
        assert not fresh.is_committed("input-003")


def test_other_delta_readers_see_the_same(tmp_path):
    store = Store(tmp_path, create=True)
    batch = [some_input(n) for n in range(3)]
    store.publish(batch[:2])
    store.publish(batch[2:])
    delta = DeltaTable(tmp_path).to_pyarrow_table(
        filters=[("table", "=", "counts")], columns=COUNTS.names
    )
    expected = pa.concat_tables([one.rows.counts for one in batch])
    order = [(name, "ascending") for name in COUNTS.names]
    assert delta.cast(COUNTS).sort_by(order).equals(expected.sort_by(order))


def test_delta_log_has_the_statistics(tmp_path):
    Store(tmp_path, create=True).publish([some_input(1), some_input(2)])
    actions = pa.table(DeltaTable(tmp_path).get_add_actions(flatten=True)).to_pylist()
    counts = next(a for a in actions if a["partition.table"] == "counts")
    assert counts["min.hour"] == at(0)
    assert counts["max.hour"] == at(2)
    assert (counts["min.input"], counts["max.input"]) == ("input-001", "input-002")
    assert (counts["min.dst_port"], counts["max.dst_port"]) == (21, 22)
    assert counts["null_count.dst_port"] == 2
    assert counts["num_records"] == some_input(1).rows.counts.num_rows * 2


def test_files_are_verified_zstd_and_say_nothing_of_the_time(tmp_path):
    Store(tmp_path, create=True).publish([some_input(1)])
    for path in tmp_path.glob("table=*/*.parquet"):
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            file.read()
            columns = file.metadata.row_group(0)
            assert columns.column(0).compression == "ZSTD"
            assert file.metadata.metadata is None
    assert not list(tmp_path.rglob(".*")), "a temporary stayed"


def test_publishing_again_changes_nothing(tmp_path):
    store = Store(tmp_path, create=True)
    store.publish([some_input(1)])
    before = contents(tmp_path)
    assert store.publish([some_input(1)]) == []
    assert Store(tmp_path).publish([some_input(1), some_input(1)]) == []
    assert contents(tmp_path) == before
    assert len(list((tmp_path / "_delta_log").iterdir())) == 2


def test_second_copy_in_a_batch_is_left_out(tmp_path):
    store = Store(tmp_path, create=True)
    copy = some_input(1, path="/elsewhere/copy.pcap")
    assert store.publish([some_input(1), copy, some_input(2)]) == [
        "input-001",
        "input-002",
    ]
    paths = store.sql("select path from inputs order by id")["path"].to_pylist()
    assert paths == ["/captures/input-001.pcap", "/captures/input-002.pcap"]


def test_only_the_new_inputs_of_a_batch_are_stored(tmp_path):
    store = Store(tmp_path, create=True)
    store.publish([some_input(1)])
    assert store.publish([some_input(2), some_input(1)]) == ["input-002"]
    total = store.sql("select sum(packets) as p from counts")["p"].to_pylist()
    assert total == [some_input(1).record.counted + some_input(2).record.counted]


def test_empty_batch_and_empty_capture(tmp_path):
    store = Store(tmp_path, create=True)
    assert store.publish([]) == []
    assert store.publish([reduced("empty")]) == ["empty"]
    assert store.is_committed("empty")
    assert store.sql("select * from counts").num_rows == 0


def test_rejected_is_recorded_once_and_does_not_block_its_bytes(tmp_path):
    store = Store(tmp_path, create=True)
    refused = reduced("input-001", status="rejected", reason="bad_magic")
    assert store.publish([refused]) == ["input-001"]
    assert store.publish([refused]) == []
    assert (store.status("input-001"), store.is_committed("input-001")) == (
        "rejected",
        False,
    )
    assert store.publish([some_input(1)]) == ["input-001"]
    assert Store(tmp_path).publish([refused, some_input(1)]) == []
    statuses = store.sql("select status from inputs order by 1")["status"].to_pylist()
    assert statuses == ["complete", "rejected"]


@pytest.mark.parametrize("status", ["duplicate", "skipped"])
def test_what_was_not_taken_in_is_not_recorded(tmp_path, status):
    store = Store(tmp_path, create=True)
    assert store.publish([reduced("input-001", status=status)]) == []
    assert store.sql("select * from inputs").num_rows == 0


@settings(
    deadline=None,
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.permutations(range(5)), st.integers(1, 4))
def test_order_and_chunks_of_a_batch_do_not_show(tmp_path_factory, order, chunk_rows):
    plain, shuffled = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("other")
    Store(plain, create=True).publish([some_input(n) for n in range(5)])
    batch = [some_input(n) for n in order]
    for one in batch:
        rows: Any = one.rows
        rows.counts = pa.Table.from_batches(rows.counts.to_batches(chunk_rows), COUNTS)
        rows.sources = pa.Table.from_batches(
            rows.sources.to_batches(chunk_rows), SOURCES
        )
    Store(shuffled, create=True).publish(batch)
    assert contents(shuffled) == contents(plain)
    assert contents(plain)


def test_many_row_groups_keep_the_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(fastflow.store.publish, "ROW_GROUP_ROWS", 4)
    store = Store(tmp_path, create=True)
    batch = [some_input(1), some_input(2)]
    store.publish(batch)
    sources = store.sql("select * from sources").cast(SOURCES)
    assert sources.equals(pa.concat_tables([one.rows.sources for one in batch]))


def break_counts(one: Reduced) -> None:
    one.rows.counts = one.rows.counts.slice(1)


def break_sources(one: Reduced) -> None:
    one.rows.sources = one.rows.sources.slice(1)


def break_records(one: Reduced) -> None:
    one.record.records += 1


def break_uncounted(one: Reduced) -> None:
    one.record.uncounted["bad_ts"] = 1


def break_distinct(one: Reduced) -> None:
    wrong = pa.array([7] * one.rows.counts.num_rows, pa.int64())
    one.rows.counts = one.rows.counts.set_column(11, COUNTS.field("sources"), wrong)


def break_input(one: Reduced) -> None:
    one.record.input = "input-999"


def break_no_sources(one: Reduced) -> None:
    one.rows.sources = SOURCES.empty_table()


@pytest.mark.parametrize(
    "damage",
    [
        break_counts,
        break_sources,
        break_records,
        break_uncounted,
        break_distinct,
        break_input,
        break_no_sources,
    ],
)
def test_counts_that_do_not_add_up_are_refused(tmp_path, damage):
    store = Store(tmp_path, create=True)
    bad = some_input(2)
    damage(bad)
    with pytest.raises(InternalError, match=r"/captures/input-002\.pcap"):
        store.publish([some_input(1), bad])
    assert contents(tmp_path) == {}
    assert not store.is_committed("input-001")


def test_store_without_sources(tmp_path):
    store = Store(tmp_path, create=True, settings={"sources": False})
    assert store.publish([some_input(1)]) == ["input-001"]
    assert store.sql("select * from sources").num_rows == 0
    assert store.sql("select * from counts").num_rows == len(some_input(1).rows.counts)
    assert "table=sources" not in {path.name for path in tmp_path.iterdir()}


def test_settings_are_kept(tmp_path):
    named = {"filter": "tcp or udp", "min_time_s": 0}
    made = Store(tmp_path, create=True, settings=named)
    assert made.settings == Settings(filter="tcp or udp", min_time_s=0)
    assert Store(tmp_path).settings == made.settings
    assert Store(tmp_path, create=True, settings=named).settings == made.settings
    assert Store(tmp_path, settings={"sources": True}).settings == made.settings


@pytest.mark.parametrize(
    "named",
    [{"filter": "udp"}, {"filter": None}, {"sources": False}, {"max_time_s": 1}],
)
def test_other_settings_are_refused(tmp_path, named):
    Store(tmp_path, create=True, settings={"filter": "tcp"})
    with pytest.raises(ConfigError, match="the store was made with"):
        Store(tmp_path, create=True, settings=named)


def test_unknown_setting_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no setting 'colour'"):
        Store(tmp_path, create=True, settings={"colour": "tcp"})


def test_store_of_a_newer_version_is_refused(tmp_path):
    with pytest.raises(StoreError):
        Table.create(Local(tmp_path), Settings(schema_version=99))
    with pytest.raises(StoreError, match="newer fastflow made this store"):
        Store(tmp_path)


def test_directory_without_a_store(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(StoreError, match="no fastflow store here; make one with"):
            Store(path)
    assert not (tmp_path / "missing").exists()


def test_foreign_delta_table_is_refused(tmp_path):
    DeltaTable.create(tmp_path, pa.schema([("a", pa.int64())]))
    for create in (True, False):
        with pytest.raises(StoreError, match="not one of fastflow"):
            Store(tmp_path, create=create)


def test_damaged_log_is_refused(tmp_path):
    Store(tmp_path, create=True)
    (tmp_path / "_delta_log" / f"{1:020}.json").write_text('{"add":{"pa')
    with pytest.raises(StoreError, match=r"is torn.*sets it aside"):
        Store(tmp_path)


def test_damaged_settings_are_refused(tmp_path):
    Store(tmp_path, create=True)
    entry = tmp_path / "_delta_log" / f"{0:020}.json"
    lines = [json.loads(line) for line in entry.read_text().splitlines()]
    for line in lines:
        if "metaData" in line:
            line["metaData"]["configuration"]["fastflow.settings"] = "[]"
    # As another Delta writer may have put it: without a checksum.
    lines = [line for line in lines if line.keys() <= {"protocol", "metaData"}]
    entry.write_text("\n".join(json.dumps(line) for line in lines))
    with pytest.raises(StoreError, match="settings are damaged"):
        Store(tmp_path)


def test_flipped_bit_in_inputs_is_noticed(tmp_path):
    Store(tmp_path, create=True).publish([some_input(1)])
    (path,) = tmp_path.glob("table=inputs/*.parquet")
    data = bytearray(path.read_bytes())
    with pq.ParquetFile(path) as file:
        ids = file.metadata.row_group(0).column(0)
    data[ids.dictionary_page_offset + ids.total_compressed_size - 1] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match="missing or damaged"):
        Store(tmp_path).is_committed("input-001")


def test_missing_file_is_named(tmp_path):
    store = Store(tmp_path, create=True)
    store.publish([some_input(1)])
    for path in tmp_path.glob("table=*/*.parquet"):
        path.unlink()
    with pytest.raises(StoreError, match="parquet"):
        Store(tmp_path).is_committed("input-001")
    with pytest.raises(StoreError, match="parquet"):
        Store(tmp_path).sql("select * from counts")


def test_store_that_cannot_be_made_names_the_path(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "store", Path("/proc/store")):
        with pytest.raises(StoreError, match=str(path)):
            Store(path, create=True)


@pytest.mark.parametrize("call", ["open", "fsync", "link", "mkdir"])
def test_failed_write_publishes_nothing(tmp_path, monkeypatch, call):
    store = Store(tmp_path, create=True)

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"os.{call}", fail)
        with pytest.raises(StoreError, match=r"No space left on device.*check"):
            store.publish([some_input(1)])
    assert not list(tmp_path.rglob(".*")), "a temporary stayed"
    assert not store.is_committed("input-001")
    assert store.publish([some_input(1)]) == ["input-001"]


def test_full_disk_publishes_nothing(tmp_path):
    store = Store(tmp_path, create=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file may grow beyond this, as on a disk that is full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(StoreError, match="cannot write to the store"):
            store.publish([some_input(1)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.rglob(".*")), "a temporary stayed"
    assert store.publish([some_input(1)]) == ["input-001"]


def test_unwritable_log_publishes_nothing(tmp_path):
    store = Store(tmp_path, create=True)
    # A directory in the place of the next entry: as if another writer held it forever.
    (tmp_path / "_delta_log" / f"{1:020}.json").mkdir()
    with pytest.raises(StoreError, match="cannot"):
        store.publish([some_input(1)])
    (tmp_path / "_delta_log" / f"{1:020}.json").rmdir()
    assert Store(tmp_path).publish([some_input(1)]) == ["input-001"]


@pytest.mark.parametrize("url", ["s4://bucket/store", "https://example.org/"])
def test_remote_store_is_refused(url):
    with pytest.raises(ConfigError, match="local directory"):
        Store(url)


def test_path_that_deltalake_would_decode_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="two hex digits"):
        Store(tmp_path / "a%20b", create=True)


def test_odd_directory_names(tmp_path):
    root = tmp_path / "a b [x]*?#%é'\"" / "s"
    Store(f"file://{root}", create=True).publish([some_input(1)])
    store = Store(root)
    assert store.is_committed("input-001")
    assert store.sql("select * from counts").num_rows == len(some_input(1).rows.counts)


def test_two_processes_lose_and_double_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    numbers = list(range(60))
    ways = [(numbers, 3), (numbers[::-1], 2), (numbers[30:] + numbers, 4)]
    workers = [
        context.Process(target=publish_all, args=(tmp_path, *way)) for way in ways
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    store = Store(tmp_path)
    everything = [some_input(n) for n in numbers]
    ids = store.sql("select id from inputs order by id")["id"].to_pylist()
    assert ids == [one.record.input for one in everything]
    found = store.sql(
        "select input, sum(packets) as p from counts group by 1 order by 1"
    )
    assert found["p"].to_pylist() == [one.record.counted for one in everything]
    active = {
        path for kind in KINDS for path in Table.open(Local(tmp_path)).files(kind)
    }
    assert set(contents(tmp_path)) == active, "files of lost races stayed"


def test_loser_of_a_race_keeps_the_rest_of_its_batch(tmp_path, monkeypatch):
    store, other = Store(tmp_path, create=True), Store(tmp_path)
    write = fastflow.store.store.write_batch

    def write_after_the_other(*arguments):
        monkeypatch.setattr(fastflow.store.store, "write_batch", write)
        files = write(*arguments)
        assert other.publish([some_input(2), some_input(3)]) == [
            "input-002",
            "input-003",
        ]
        return files

    monkeypatch.setattr(fastflow.store.store, "write_batch", write_after_the_other)
    assert store.publish([some_input(1), some_input(2)]) == ["input-001"]
    ids = store.sql("select id from inputs order by id")["id"].to_pylist()
    assert ids == ["input-001", "input-002", "input-003"]
    assert len(contents(tmp_path)) == 2 * len(KINDS)


def test_twin_that_won_keeps_its_files(tmp_path, monkeypatch):
    store, other = Store(tmp_path, create=True), Store(tmp_path)
    write = fastflow.store.store.write_batch

    def write_after_the_twin(*arguments):
        monkeypatch.setattr(fastflow.store.store, "write_batch", write)
        files = write(*arguments)
        assert other.publish([some_input(1)]) == ["input-001"]
        return files

    monkeypatch.setattr(fastflow.store.store, "write_batch", write_after_the_twin)
    assert store.publish([some_input(1)]) == []
    assert store.sql("select * from counts").num_rows == len(some_input(1).rows.counts)


def test_sql_speaks_utc_and_plain_integers(tmp_path):
    store = Store(tmp_path, create=True)
    store.publish([some_input(1)])
    table = store.sql(
        "select hour, sum(packets) as p, hour(max(hour)) as h from counts "
        "where dst_port = ? group by 1 order by 1",
        [21],
    )
    assert table.schema.field("hour").type == pa.timestamp("us", tz="UTC")
    assert table.schema.field("p").type == pa.int64()
    assert table["h"].to_pylist() == [0, 1, 2]
    huge = store.sql("select sum(x) as x from (values (9e18::hugeint), (9e18)) t(x)")
    assert int(huge["x"][0].as_py()) == 18 * 10**18


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("selec 1", "syntax error"),
        ("select nope from counts", "nope"),
        ("select * from nowhere", "nowhere"),
        ("select 'a'::int", "INT32"),
        ("select ?", "parameters"),
        ("", "empty"),
    ],
)
def test_wrong_sql_is_told_in_one_line(tmp_path, query, message):
    store = Store(tmp_path, create=True)
    with pytest.raises(ConfigError, match=message) as caught:
        store.sql(query)
    assert "\n" not in str(caught.value)


def test_sql_sees_no_python_variables(tmp_path):
    store = Store(tmp_path, create=True)
    secret = pa.table({"a": [1]})
    assert secret.num_rows
    with pytest.raises(ConfigError, match="secret"):
        store.sql("select * from secret")


def test_files_of_other_hours_are_not_opened(tmp_path):
    store = Store(tmp_path, create=True)
    for number, hour in enumerate((0, 24, 48)):
        store.publish([reduced(f"i{number}", [{"hour": at(hour)}])])
    count = "select count(*) as n from counts"
    assert store.sql(count, hours=(at(24), at(48)))["n"].to_pylist() == [1]
    assert store.sql(count, hours=(at(23), at(49)))["n"].to_pylist() == [2]
    assert store.sql(count)["n"].to_pylist() == [3]
    assert store.sql("select * from inputs", hours=(at(0), at(1))).num_rows == 3


def test_inputs_have_the_columns_of_the_schema(tmp_path):
    store = Store(tmp_path, create=True)
    columns = store.sql("select * from inputs").column_names
    assert columns == ["id", *INPUTS.names[1:]]
