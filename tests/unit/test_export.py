"""Exports: the rows as they are, and the same bytes for the same captures."""

from __future__ import annotations

import csv
import gzip
import io
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import builders as b
import fastflow as ff
from fastflow.errors import ConfigError, FastflowError, StoreError
from fastflow.schema import COUNTS, INPUTS
from fastflow.store import Store
from fastflow.store.export import OF_THE_RUN
from fastflow.store.table import KINDS
from reduced import at, growing_input, reduced, some_input
from strategies import relaxed

#: Of `inputs`, what is a property of the capture; the rest must be OF_THE_RUN.
OF_THE_CAPTURE = {
    "input",
    "sensor",
    "status",
    "reason",
    "offset",
    "first_packet",
    "last_packet",
    "records",
    "counted",
    "uncounted",
    "flags",
    "dropped",
    "backscatter",
}
TABLES = tuple(KINDS)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with what is hard to write: quotes, nulls, IPv6, maps, several files."""
    store = Store(tmp_path / "store", create=True)
    odd = {
        "path": '/captures/a, "b"\n.pcap',
        "sensor": 'to,kyo "1"',
        "uncounted": {"bad_ts": 3},
        "flags": {"frag": 1, "arp": 2},
        "first_packet": at_us(30),
        "last_packet": at_us(31),
    }
    rows = [
        {"src": "2001:db8::1", "sensor": odd["sensor"], "hour": at(30)},
        {"src": "::ffff:1.2.3.4", "ip_version": 6, "sensor": odd["sensor"]},
    ]
    store.publish([some_input(1), reduced("input-odd", rows, **odd)])
    store.publish([some_input(2)])
    return store


def at_us(hours: int) -> int:
    return int(at(hours).timestamp()) * 1_000_000


def read(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    with pa.OSFile(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_a_table_comes_out_as_it_is(
    store: Store, tmp_path: Path, table: str, ending: str
) -> None:
    expected = store.sql(f"select * from {table}")
    out = tmp_path / f"out.{ending}"
    assert store.export(out, table) == expected.num_rows > 0
    assert read(out).cast(expected.schema).equals(expected)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [out.name]


def test_csv_has_texts_for_addresses_times_and_maps(
    store: Store, tmp_path: Path
) -> None:
    def lines(table: str) -> list[dict[str, str]]:
        store.export(tmp_path / "out.csv", table)
        text = (tmp_path / "out.csv").read_text()
        return list(csv.DictReader(io.StringIO(text, newline="")))

    sources = lines("sources")
    assert {"2001:db8::1", "::ffff:1.2.3.4", "192.0.2.1"} <= {r["src"] for r in sources}
    assert "2020-08-27T06:00:00Z" in {row["hour"] for row in sources}
    (odd,) = (row for row in lines("inputs") if row["id"] == "input-odd")
    assert odd["path"] == '/captures/a, "b"\n.pcap'
    assert odd["sensor"] == 'to,kyo "1"'
    assert odd["flags"] == '{"arp": 2, "frag": 1}'
    assert odd["first_packet"] == "2020-08-27T06:00:00.000000Z"
    assert odd["reason"] == ""
    assert len(lines("counts")) == store.sql("select * from counts").num_rows
    victims = lines("backscatter")
    assert {row["src"] for row in victims} == {"192.0.2.3", "192.0.2.6"}
    (row,) = (r for r in victims if r["src"] == "192.0.2.3" and r["packets"] == "4")
    assert row["bins"] == "159840000 159840001 159840002 159840003"
    assert (row["bin_packets"], row["ports"]) == ("1 1 1 1", "21")


def test_a_period_chooses_rows_and_captures(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    assert store.export(out, "counts", period="2020-08-27") == 1
    assert read(out)["hour"].to_pylist() == [at(30)]
    assert store.export(out, "inputs", period="2020-08-27") == 1
    assert store.export(out, "inputs", period="2020-08-28") == 0
    assert read(out).schema.names == ["id", *INPUTS.names[1:]]


def test_an_export_of_nothing_has_the_columns(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", create=True)
    assert store.export(tmp_path / "out.parquet") == 0
    assert read(tmp_path / "out.parquet").schema.names == COUNTS.names
    assert store.export(tmp_path / "out.csv") == 0
    assert (tmp_path / "out.csv").read_text() == ",".join(COUNTS.names) + "\n"


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"output": "out.txt"}, "no format has this ending"),
        ({"output": "out.csv", "file_format": "xls"}, "no such format"),
        ({"output": "out.csv", "file_format": "ndjson"}, "no such format"),
        ({"output": "out.csv", "table": "attacks"}, "no such table"),
        ({"output": "out.csv", "period": "2020-Q5"}, "no period"),
        ({"output": "/proc/nowhere/out.csv"}, "cannot be written"),
    ],
)
def test_a_wrong_export_is_told(
    store: Store, named: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        store.export(**named)


def test_a_directory_in_the_place_of_the_file_is_told(
    store: Store, tmp_path: Path
) -> None:
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(FastflowError, match=r"out\.csv: cannot be written"):
        store.export(tmp_path / "out.csv")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("table", TABLES)
def test_a_damaged_store_leaves_no_file(
    store: Store, tmp_path: Path, table: str
) -> None:
    path = sorted(Path(store.url).glob(f"table={table}/*.parquet"))[-1]
    data = path.read_bytes()
    path.write_bytes(data[:100] + bytes(len(data) - 120) + data[-20:])
    (tmp_path / "out.csv").write_text("what was there")
    with pytest.raises(StoreError, match="cannot read the store"):
        store.export(tmp_path / "out.csv", table)
    with pytest.raises(StoreError, match="cannot read the store"):
        store.export_canonical(tmp_path / "out.csv")
    path.unlink()
    with pytest.raises(StoreError, match="parquet"):
        store.export(tmp_path / "out.csv", table)
    assert (tmp_path / "out.csv").read_text() == "what was there"
    assert not list(tmp_path.glob(".*"))


# --- the canonical form --------------------------------------------------------------


def canonical(store: Store | Path) -> str:
    store = store if isinstance(store, Store) else Store(store)
    out = Path(f"{store.url}.csv")
    store.export_canonical(out)
    return out.read_text()


def test_every_column_of_inputs_is_of_the_capture_or_of_the_run() -> None:
    """Whoever adds a column decides whether the same capture always has it."""
    assert set(INPUTS.names) == OF_THE_CAPTURE | OF_THE_RUN
    assert not OF_THE_CAPTURE & OF_THE_RUN


def test_the_canonical_form_is_this_text(tmp_path: Path) -> None:
    """A library that quotes or sorts in another way is noticed here."""
    store = Store(tmp_path / "s", create=True)
    rows = [
        {"src": "2001:db8::1", "sensor": 'a,"b"', "packets": 2, "tcp_seq": 7},
        {"src": "192.0.2.1", "sensor": 'a,"b"', "country": None, "ip_ttl": 64},
        {"src": "192.0.2.3", "sensor": 'a,"b"', "packets": 2},
    ]
    odd = {"sensor": 'a,"b"', "flags": {"frag": 1, "zero_padding": 5}, "offset": 9}
    times = {"first_packet": 1_598_443_200_000_001, "last_packet": None}
    store.publish([reduced("one", rows, **times, **odd)])
    head = (
        "table,hour,sensor,proto,dst_port,icmp_type,country,traffic,signature,tool,"
        "packets,bytes,sources,input,src,ip_version,src_port,tcp_seq,ip_ttl,"
        "tcp_seq_key,bins,bin_packets,ports,tcp_window,status,reason,offset,"
        "first_packet,last_packet,records,counted,uncounted,flags,dropped,backscatter"
    )
    at_sensor = '"2020-08-26T00:00:00Z","a,""b"""'
    cell = f"{at_sensor},6,445,,"
    assert canonical(store).splitlines() == [
        head,
        f'"counts",{cell},"scan","1024:::",,1,40,1,"one"{"," * 21}',
        f'"counts",{cell}"JP","scan","1024:::",,4,160,2,"one"{"," * 21}',
        f'"sources",{cell},"scan","1024:::",,1,40,,"one","192.0.2.1",4,,,64{"," * 16}',
        f'"sources",{cell}"JP","scan","1024:::",,2,80,,"one","192.0.2.3",4{"," * 19}',
        f'"sources",{cell}"JP","scan","1024:::",,2,80,,"one","2001:db8::1",6,,7'
        f"{',' * 17}",
        f'"backscatter",{at_sensor},,,,"JP",,,,2,,,"one","192.0.2.3",4,,,,,'
        f'"159840000 159840001","1 1","445"{"," * 12}',
        f'"inputs",,"a,""b"""{"," * 11}"one"{"," * 11}"complete",,9,'
        '"2020-08-26T12:00:00.000001Z",,5,5,"{}","{""frag"": 1}",,2',
    ]


@settings(
    relaxed(15),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.permutations(range(6)), st.lists(st.integers(1, 3), min_size=6, max_size=6))
def test_order_batches_and_repetition_do_not_show(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], sizes: list[int]
) -> None:
    plain = Store(tmp_path_factory.mktemp("plain"), create=True)
    plain.publish([some_input(n) for n in range(6)])
    other = Store(tmp_path_factory.mktemp("other"), create=True)
    for start, size in zip(range(6), sizes, strict=True):
        # Batches overlap: what is in one already is a duplicate in the next.
        batch = (order + order)[start : start + size]
        elsewhere = {"path": f"/{start}", "mtime_ns": start, "version": str(size)}
        other.publish([some_input(n, **elsewhere) for n in batch])
    assert canonical(other) == canonical(plain)


def test_refusals_and_empty_captures_do_not_show(tmp_path: Path) -> None:
    plain = Store(tmp_path / "plain", create=True)
    plain.publish([some_input(1)])
    other = Store(tmp_path / "other", create=True)
    other.publish([reduced("input-001", status="rejected", reason="bad_magic")])
    other.publish([reduced("empty-here"), some_input(1)])
    assert canonical(other) == canonical(plain)


@pytest.mark.parametrize("batches", [[[1], [2], [3]], [[1, 2], [3]], [[3, 1, 2]]])
def test_what_was_superseded_does_not_show(
    tmp_path: Path, batches: list[list[int]]
) -> None:
    plain = Store(tmp_path / "plain", create=True)
    plain.publish([growing_input(3)])
    other = Store(tmp_path / "other", create=True)
    for batch in batches:
        other.publish([growing_input(number) for number in batch])
    assert other.sql("select * from inputs").num_rows == 3
    assert canonical(other) == canonical(plain)


def test_the_way_captures_were_reduced_does_not_show(tmp_path: Path) -> None:
    """Renamed, compressed, in another order, by more workers, twice, in many runs."""
    files = []
    for number in range(4):
        capture = random_capture(number)
        path = tmp_path / f"{number}.pcap"
        path.write_bytes(capture[:-5] if number == 3 else capture)
        files.append(path)
    ff.reduce(files, tmp_path / "plain", "lab", workers=1)

    (tmp_path / "moved").mkdir()
    for path in reversed(files):
        packed = tmp_path / "moved" / f"{path.stem}.gz"
        # Zeros behind the stream, as tapes leave them, belong to the file.
        packed.write_bytes(gzip.compress(path.read_bytes()) + bytes(512))
        ff.reduce([packed], tmp_path / "other", "lab", workers=2)
    ff.reduce(files, tmp_path / "other", "lab")
    assert canonical(tmp_path / "other") == canonical(tmp_path / "plain")
    assert canonical(tmp_path / "plain").count('"inputs"') == 4


def random_capture(seed: int) -> bytes:
    rng = random.Random(seed)
    builder = b.PcapBuilder()
    for _ in range(300):
        source = bytes([11, 0, rng.randrange(4), rng.randrange(9)])
        segment = b.tcp(dst_port=rng.randrange(5), seq=rng.randrange(2))
        packet = b.ethernet(b.ipv4(segment, src=source))
        builder.add(packet, sec=b.T0 + rng.randrange(7200))
    return builder.build()


@pytest.mark.parametrize("named", [{"file_format": "parquet"}, {"output": "a.arrow"}])
def test_the_canonical_form_is_text(
    store: Store, tmp_path: Path, named: dict[str, Any]
) -> None:
    output = tmp_path / named.get("output", "out.csv")
    with pytest.raises(ConfigError, match="the canonical form is CSV"):
        store.export_canonical(output, file_format=named.get("file_format"))
    assert store.export_canonical(tmp_path / "any.name") > 0


def test_times_are_utc(store: Store, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    store.export(tmp_path / "out.parquet", period="2020-08-27")
    found = read(tmp_path / "out.parquet")["hour"].to_pylist()
    assert found == [datetime(2020, 8, 27, 6, tzinfo=UTC)]
