"""A store in a bucket: as a directory, whatever becomes of endpoints and processes."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pytest
from deltalake import DeltaTable

import builders as b
import mmdb
from bucket import BUCKET, SECRET, Endpoint, Gate, environment, localbucket, moto
from command import Ran, fastflow
from fastflow.errors import ConfigError, StoreError
from fastflow.pipeline import reduce
from fastflow.schema import COUNTS
from fastflow.store import Store
from fastflow.store import cache as cache_module
from fastflow.store import objects as objects_module
from fastflow.store import store as store_module
from fastflow.store import table as table_module
from fastflow.store.objects import Objects
from fastflow.store.settings import Settings
from fastflow.store.table import union_schema
from fastflow.store.verify import verify
from reduced import EPOCH, growing_input, publish_all, reduced, some_input

SYN = b.ethernet(b.ipv4(b.tcp(dst_port=445, options=b.mss(1460))))
TELNET = b.ethernet(b.ipv4(b.tcp(dst_port=23, options=b.mss(1460))))


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the endpoint of `endpoint` keeps its objects."""
    return tmp_path_factory.mktemp("endpoint")


@pytest.fixture(scope="module")
def endpoint(disk: Path) -> Iterator[Endpoint]:
    found = localbucket(disk)
    yield found
    found.kill()


@pytest.fixture(scope="module")
def in_memory() -> Iterator[Endpoint]:
    found = moto()
    yield found
    found.kill()


@pytest.fixture(scope="module")
def geo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A country table that is built in no time: each test has a cache of its own."""
    path = tmp_path_factory.mktemp("geo") / "countries.mmdb"
    path.write_bytes(mmdb.make_mmdb({"192.0.2.0/24": {"country_code": "JP"}}))
    return path


@pytest.fixture
def url(in_memory: Endpoint, tmp_path: Path, monkeypatch) -> str:
    """A prefix that is empty, and an environment that leads to it."""
    return use(in_memory.port, tmp_path, monkeypatch)


@pytest.fixture
def disk_url(endpoint: Endpoint, tmp_path: Path, monkeypatch) -> str:
    """The same, of an endpoint whose files can be got at."""
    return use(endpoint.port, tmp_path, monkeypatch)


@pytest.fixture(params=["url", "disk_url"])
def any_url(request) -> str:
    """The same, of each endpoint."""
    return request.getfixturevalue(request.param)


def use(port: int, tmp_path: Path, monkeypatch: Any) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, value in environment(port).items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{tmp_path.name}/counts"


def canonical(url: str | Path, tmp_path: Path) -> str:
    out = tmp_path / "canonical.csv"
    Store(url).export_canonical(out)
    return out.read_text()


def objects(url: str) -> list[str]:
    store = objects_module._object_store(url, objects_module._options())
    return [one["path"] for page in obstore.list(store) for one in page]


def data_files(url: str) -> list[str]:
    return [name for name in objects(url) if name.startswith("table=")]


def ids(store: Store) -> list[str]:
    return store.sql("select id from inputs order by id")["id"].to_pylist()


def forget_copies(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "cache")


# --- as a directory -------------------------------------------------------------------


def test_a_bucket_holds_what_a_directory_does(any_url: str, tmp_path: Path) -> None:
    local = Store(tmp_path / "local", create=True)
    store = Store(any_url, create=True)
    assert store.url == any_url
    for batch in ([some_input(1), some_input(2)], [some_input(2), some_input(3)]):
        assert store.publish(batch) == local.publish(batch)
    assert canonical(any_url, tmp_path) == canonical(local.url, tmp_path)
    again = Store(any_url, create=True)
    assert again.publish([some_input(3)]) == []
    assert again.top("port") == local.top("port")
    table = "select * from sources order by all"
    assert again.sql(table).equals(local.sql(table))


def test_reduce_top_and_again(url: str, geo: Path, tmp_path: Path) -> None:
    capture = tmp_path / "a.pcap"
    capture.write_bytes(b.capture(SYN, TELNET))
    args = ("--store", url, "--json")
    ran = fastflow("reduce", capture, "--sensor", "lab", "--geo", geo, *args)
    assert (ran.code, ran.json["counted"]) == (0, 2)
    ran = fastflow("reduce", capture, "--sensor", "lab", "--geo", geo, *args)
    assert [one["status"] for one in ran.json["inputs"]] == ["duplicate"]
    rows = fastflow("top", "--by", "port", *args).json
    assert [(row["key"], row["packets"]) for row in rows] == [
        ("23/tcp", 1),
        ("445/tcp", 1),
    ]


def test_a_longer_version_takes_the_place(url: str, geo: Path, tmp_path: Path) -> None:
    capture = tmp_path / "a.pcap"
    for packets in ([SYN], [SYN, SYN, TELNET]):
        capture.write_bytes(b.capture(*packets))
        assert reduce([capture], url, "lab", geo=geo).exit_code == 0
    store = Store(url)
    assert store.sql("select sum(packets) n from counts")["n"].to_pylist() == [3]
    rows = store.sql("select id, supersedes from inputs order by counted").to_pylist()
    assert rows[1]["supersedes"] == rows[0]["id"]
    assert verify(Objects(url)).is_good


def test_a_file_of_several_inputs_is_written_again(url: str, tmp_path: Path) -> None:
    local = Store(tmp_path / "local", create=True)
    for store in (Store(url, create=True), local):
        store.publish([growing_input(1), some_input(7)])
        assert store.publish([growing_input(2)]) == ["input-002"]
    assert canonical(url, tmp_path) == canonical(local.url, tmp_path)


def test_other_delta_readers_see_the_same(any_url: str) -> None:
    store = Store(any_url, create=True)
    batch = [some_input(n) for n in range(2)]
    store.publish(batch)
    options = objects_module._options()
    delta = DeltaTable(any_url, storage_options=options).to_pyarrow_table(
        filters=[("table", "=", "counts")], columns=COUNTS.names
    )
    expected = pa.concat_tables([one.rows.counts for one in batch])
    order = [(name, "ascending") for name in COUNTS.names]
    assert delta.cast(COUNTS).sort_by(order).equals(expected.sort_by(order))


def test_checkpoints_change_nothing(url: str, monkeypatch) -> None:
    monkeypatch.setattr(table_module, "CHECKPOINT_ENTRIES", 2)
    store = Store(url, create=True)
    for n in range(5):
        store.publish([some_input(n)])
        store.checkpoint()
    assert [name for name in objects(url) if name.endswith("4.checkpoint.parquet")]
    assert ids(Store(url)) == [f"input-{n:03}" for n in range(5)]
    assert Store(url).publish([some_input(1), some_input(9)]) == ["input-009"]


def test_hours_expire(url: str, tmp_path: Path) -> None:
    for where in (url, tmp_path / "s"):
        store = Store(where, create=True)
        store.publish([some_input(1), some_input(2)])
        store.expire(EPOCH + timedelta(days=1), daily=True)
        store.export_canonical(tmp_path / f"{len(str(where))}.csv")
        assert store._table.before("daily") == EPOCH + timedelta(days=1)
        assert verify(store._table.place).is_good
    one, other = (path.read_text() for path in tmp_path.glob("*.csv"))
    assert one == other


def test_an_older_store_gains_columns(url: str, monkeypatch) -> None:
    fields = table_module._FIELDS
    with monkeypatch.context() as older:
        older.setattr(table_module, "union_schema", _without_head)
        Store(url, create=True).publish([some_input(1)])
    options = {"allow_http": "true"}
    Store(url).publish([some_input(2, head="its beginning")])
    delta = DeltaTable(url, storage_options=options)
    assert [field.name for field in delta.schema().fields][-1] == "head"
    assert len(delta.schema().fields) == len(fields)
    rows = delta.to_pyarrow_table(
        filters=[("table", "=", "inputs")], columns=["input", "head"]
    )
    assert "its beginning" in rows["head"].to_pylist()


def test_a_store_with_backscatter_is_of_a_newer_version(url: str) -> None:
    place = store_module._place(url)
    table_module.Table.create(place, Settings(schema_version=2))
    opened = Store(url)
    Store(url).publish([reduced("input-000", [{"src": "192.0.2.1"}])])
    assert Store(url).settings.schema_version == 2
    Store(url).publish([some_input(1)])
    assert Store(url).settings.schema_version == 3
    assert opened.publish([some_input(2)]) == ["input-002"]
    assert opened.settings.schema_version == 3
    assert len(opened.sql("select distinct src from backscatter")) == 2


def _without_head() -> pa.Schema:
    schema = union_schema()
    return schema.remove(schema.get_field_index("head"))


# --- several writers ------------------------------------------------------------------


def test_two_processes_lose_and_double_nothing(any_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    ways = [(list(range(30)), 3), (list(range(40, 9, -1)), 2)]
    workers = [context.Process(target=publish_all, args=(any_url, *w)) for w in ways]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    store = Store(any_url)
    assert ids(store) == [f"input-{n:03}" for n in range(41)]
    found = store.sql(
        "select input, sum(packets) n from counts group by 1 order by 1"
    ).to_pylist()
    assert [row["n"] for row in found] == [
        some_input(n).record.counted for n in range(41)
    ]
    active = [n for kind in table_module.KINDS for n in store._table.files(kind)]
    assert sorted(active) == sorted(data_files(any_url)), "files of lost races stayed"


def test_the_loser_of_a_race_leaves_nothing(url: str, monkeypatch) -> None:
    store, other = Store(url, create=True), Store(url)
    write = store_module.write_batch

    def write_after_the_twin(*arguments):
        monkeypatch.setattr(store_module, "write_batch", write)
        write(*arguments)
        assert other.publish([some_input(1)]) == ["input-001"]

    monkeypatch.setattr(store_module, "write_batch", write_after_the_twin)
    assert store.publish([some_input(1)]) == []
    assert len(data_files(url)) == len(table_module.KINDS)
    assert ids(store) == ["input-001"]


# --- endpoints that die ---------------------------------------------------------------


def is_upload(method: str, path: str) -> bool:
    return method in ("PUT", "POST") and "table%3D" in path


def is_commit(method: str, path: str) -> bool:
    return method == "PUT" and path.endswith(f"{1:020}.json")


def start(
    port: int, url: str, geo: Path, captures: list[Path]
) -> subprocess.Popen[bytes]:
    """Begin to reduce in a process that talks to another port than this one."""
    command = ["reduce", *captures, "--store", url, "--sensor", "lab", "--json"]
    return subprocess.Popen(
        [sys.executable, "-m", "fastflow", *map(str, command), "--geo", str(geo)],
        env=os.environ | environment(port),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(port: int, url: str, geo: Path, captures: list[Path]) -> Ran:
    process = start(port, url, geo, captures)
    out, err = (text.decode() for text in process.communicate())
    assert "Traceback" not in err
    assert SECRET not in err
    return Ran(process.returncode, out.encode(), err)


@pytest.fixture
def captures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.pcap", tmp_path / "b.pcap"]
    paths[0].write_bytes(b.capture(SYN, TELNET))
    paths[1].write_bytes(b.capture(TELNET, TELNET, SYN))
    return paths


@pytest.mark.parametrize(
    ("at", "is_before", "is_committed"),
    [
        (is_upload, True, False),
        (is_commit, True, False),
        (is_commit, False, True),
    ],
    ids=["upload", "before the commit", "after the commit"],
)
def test_an_endpoint_that_dies(
    captures, geo, tmp_path, monkeypatch, at, is_before, is_committed
) -> None:
    """Killed within a request; started again on the same port, with the same data."""
    dying = localbucket(tmp_path / "endpoint")
    url = use(dying.port, tmp_path, monkeypatch)
    Store(url, create=True)

    def kill(method: str, path: str) -> bool:
        if at(method, path):
            dying.kill()
            return False
        return True

    with Gate(dying.port, **{"before" if is_before else "after": kill}) as gate:
        ran = run(gate.port, url, geo, captures)
    try:
        assert (ran.code, ran.out) == (1, b"")
        assert (
            f"{url}: the endpoint at 127.0.0.1:{gate.port} does not answer" in ran.err
        )
        assert ("the same command again" in ran.err) == (at is is_commit)
        dying.start()
        assert len(ids(Store(url))) == (2 if is_committed else 0)
        ran = run(dying.port, url, geo, captures)
        assert ran.code == 0
        states = {one["status"] for one in ran.json["inputs"]}
        assert states == ({"duplicate"} if is_committed else {"complete"})
        reduce(captures, tmp_path / "local", "lab", geo=geo)
        assert canonical(url, tmp_path) == canonical(tmp_path / "local", tmp_path)
    finally:
        dying.kill()


def test_a_lost_answer_to_a_commit_is_found_out(
    disk_url: str, endpoint: Endpoint, geo: Path, captures: list[Path]
) -> None:
    """The commit was made: the inputs are stored once, and called stored."""
    Store(disk_url, create=True)
    lost = []

    def lose(method: str, path: str) -> bool:
        if is_commit(method, path) and not lost:
            lost.append(path)
            return False
        return True

    with Gate(endpoint.port, after=lose) as gate:
        ran = run(gate.port, disk_url, geo, captures)
    assert lost
    assert ran.code == 0
    assert [one["status"] for one in ran.json["inputs"]] == ["complete"] * 2
    total = Store(disk_url).sql("select sum(packets) n from counts")
    assert total["n"].to_pylist() == [5]


def test_what_was_committed_stays_where_nothing_more_can_be_read(
    disk_url: str, endpoint: Endpoint, geo: Path, captures: list[Path]
) -> None:
    """The run fails behind its commit; it must not take back the files of that."""
    Store(disk_url, create=True)
    committed = []

    def note(method: str, path: str) -> bool:
        committed.extend([path] if is_commit(method, path) else [])
        return True

    def refuse(method: str, path: str) -> bool:
        return not committed or method != "HEAD"

    with Gate(endpoint.port, before=refuse, after=note) as gate:
        ran = run(gate.port, disk_url, geo, captures)
    assert ran.code == 1
    assert verify(Objects(disk_url)).is_good
    assert len(ids(Store(disk_url))) == 2


def test_a_run_that_is_killed(
    disk_url: str, endpoint: Endpoint, geo: Path, captures: list[Path], tmp_path: Path
) -> None:
    """Between its uploads and its commit: the next run does not trip over them."""
    Store(disk_url, create=True)
    killed: list[subprocess.Popen[bytes]] = []

    def kill(method: str, path: str) -> bool:
        if is_commit(method, path):
            killed[0].kill()
        return not is_commit(method, path)

    with (
        Gate(endpoint.port, before=kill) as gate,
        start(gate.port, disk_url, geo, captures) as process,
    ):
        killed.append(process)
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert ids(Store(disk_url)) == []
    assert len(data_files(disk_url)) == 3
    assert reduce(captures, disk_url, "lab", geo=geo).exit_code == 0
    reduce(captures, tmp_path / "local", "lab", geo=geo)
    assert canonical(disk_url, tmp_path) == canonical(tmp_path / "local", tmp_path)


# --- what is refused ------------------------------------------------------------------


def test_an_endpoint_that_does_not_answer(url: str, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for create in (True, False):
        with pytest.raises(StoreError, match=r"s3://.* 127\.0\.0\.1:9 does not answer"):
            Store(url, create=create)


def test_a_bucket_that_is_not_there(any_url: str) -> None:
    for create in (True, False):
        with pytest.raises(
            StoreError, match=r"s3://nothing/x: there is no such bucket"
        ):
            Store("s3://nothing/x", create=create)


def test_a_prefix_without_a_store(any_url: str) -> None:
    with pytest.raises(StoreError, match=r"no fastflow store here; make one with"):
        Store(any_url)


@pytest.mark.parametrize("url", ["s3://", "s3://b/x?y", "s3://bucket//x", "s3://b c/x"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ConfigError, match="not a bucket's address"):
        Store(url)


def test_an_endpoint_without_conditional_writes(
    disk_url: str, endpoint: Endpoint, geo: Path, captures: list[Path]
) -> None:
    with Gate(endpoint.port, without="if-none-match") as gate:
        ran = run(gate.port, disk_url, geo, captures)
    assert ran.code == 1
    assert "commits could be lost; take another endpoint" in ran.err
    assert objects(disk_url) == []


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (f"403 Forbidden: <Code>InvalidAccessKeyId</Code>{SECRET}", "refuses the keys"),
        (
            f"503 Service Unavailable: <Code>SlowDown</Code>{SECRET}",
            "Unavailable, Slow",
        ),
        (f"Received redirect without LOCATION {SECRET}", "set AWS_REGION"),
        (f"PUT http://169.254.169.254/latest {SECRET}", "there are no keys"),
        (f"something new <x>{SECRET}</x>", r"something new\)"),
    ],
)
def test_errors_have_a_remedy_and_repeat_no_key(url, text: str, remedy: str) -> None:
    with pytest.raises(StoreError, match=remedy) as caught, Objects(url).errors():
        raise OSError(text)
    assert SECRET not in str(caught.value)
    assert str(caught.value).startswith(url)


@pytest.mark.parametrize("call", ["open", "fsync", "mkdir"])
def test_a_full_disk_here_publishes_nothing(url: str, monkeypatch, call: str) -> None:
    store = Store(url, create=True)

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"os.{call}", fail)
        with pytest.raises(StoreError, match="No space left on device"):
            Store(url).publish([some_input(1)])
    assert objects(url) == [f"_delta_log/{0:020}.json"]
    assert store.publish([some_input(1)]) == ["input-001"]


# --- what dead runs leave -------------------------------------------------------------


def test_orphans_go_after_a_day(url: str, monkeypatch) -> None:
    Store(url, create=True).publish([some_input(1)])
    kept = data_files(url)
    orphan = f"table=counts/{5:032x}-{7:016x}.{9:016x}.parquet"
    foreign = "table=counts/notes.txt"
    bucket = objects_module._object_store(url, objects_module._options())
    for name in (orphan, foreign):
        obstore.put(bucket, name, b"rest")
    Store(url).recover()
    assert orphan in objects(url), "it may be of a run that is alive"
    assert verify(Objects(url)).foreign == [foreign]
    assert verify(Objects(url)).orphans == []
    monkeypatch.setattr(objects_module, "GRACE", timedelta(0))
    assert verify(Objects(url)).orphans == [orphan]
    Store(url).recover()
    assert sorted(data_files(url)) == sorted([*kept, foreign])
    assert not [name for name in objects(url) if name.startswith(".")]


# --- copies ---------------------------------------------------------------------------


def test_files_are_fetched_once(disk_url: str, disk: Path, tmp_path: Path) -> None:
    Store(disk_url, create=True).publish([some_input(1)])
    count = "select sum(packets) n from counts"
    expected = Store(disk_url).sql(count)
    (path,) = (disk / BUCKET / tmp_path.name).glob("counts/table=counts/*")
    path.unlink()
    assert Store(disk_url).sql(count).equals(expected), "a copy was there"
    forget_copies(tmp_path)
    with pytest.raises(StoreError, match=rf"{disk_url}/.*is missing"):
        Store(disk_url).sql(count)
    assert verify(Objects(disk_url)).missing == [f"table=counts/{path.name}"]


def test_only_files_that_are_asked_for_are_fetched(url: str, tmp_path: Path) -> None:
    Store(url, create=True).publish([some_input(1)])
    forget_copies(tmp_path)
    assert Store(url).sql("select * from counts").num_rows
    assert len(list((tmp_path / "cache/fastflow/store").glob("*.parquet"))) == 1


def test_a_damaged_file_is_refused(disk_url: str, disk: Path, tmp_path: Path) -> None:
    Store(disk_url, create=True).publish([some_input(1)])
    forget_copies(tmp_path)
    (path,) = (disk / BUCKET / tmp_path.name).glob("counts/table=counts/*")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match=rf"{path.name}: .* is damaged"):
        Store(disk_url).sql("select * from counts")
    assert verify(Objects(disk_url)).damaged == [f"table=counts/{path.name}"]


def test_copies_are_bounded_and_stay_for_who_uses_them(
    url: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(cache_module, "MAX_BYTES", 0)
    store = Store(url, create=True)
    store.publish([some_input(1)])
    total = store.sql("select sum(packets) n from counts")
    assert list((tmp_path / "cache/fastflow/store").glob("*.parquet")) == []
    assert store.sql("select sum(packets) n from counts").equals(total)


def test_nothing_stays_of_a_process_that_ended(url: str, tmp_path: Path) -> None:
    Store(url, create=True).publish([some_input(1)])
    cache = tmp_path / "cache/fastflow/store"
    assert cache.stat().st_mode & 0o077 == 0, "copies hold source addresses"
    assert list(cache.iterdir()) == []
