"""`fastflow store export`, and stores that only a newer fastflow can read."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pytest

import builders as b
from command import fastflow
from fastflow.store import Store
from fastflow.store.settings import SCHEMA_VERSION
from old_store import of_version
from reduced import reduced

NOW = ("--now", "2020-10-01T00:00:00Z")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the captures of three sensors."""
    root = tmp_path_factory.mktemp("cli") / "counts"
    batch = [
        reduced(f"of-{n}", [{"sensor": f"s{n}", "packets": 4, "src": f"192.0.2.{n}"}])
        for n in range(3)
    ]
    Store(root, create=True).publish(batch)
    return root


def test_a_table_to_a_file_or_to_stdout(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    args = ("store", "export", "--store", store, "--table", "sources")
    ran = fastflow(*args, "-o", out)
    assert (ran.code, ran.out, ran.err) == (0, b"", "")
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["src"] for row in rows] == ["192.0.2.0", "192.0.2.1", "192.0.2.2"]
    assert fastflow(*args, "-o", "-").out == out.read_bytes()
    ran = fastflow(*args, "-o", "-", "--format", "arrow")
    assert pa.ipc.open_file(ran.out).read_all().num_rows == 3
    assert fastflow(*args, "-o", out, "--json").json == {"rows": 3}


def test_the_canonical_form_to_stdout_and_to_a_file(
    store: Path, tmp_path: Path
) -> None:
    args = ("store", "export", "--store", store, "--canonical", "-o")
    ran = fastflow(*args, "-")
    assert ran.code == 0
    assert ran.out.startswith(b"table,hour,sensor,")
    assert fastflow(*args, tmp_path / "all.txt", "--json").json == {"rows": 10}
    assert (tmp_path / "all.txt").read_bytes() == ran.out


def test_shared_says_what_became_of_the_packets(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    args = ("store", "export", "--store", store, "--shared", "-o", out)
    ran = fastflow(*args, "--json", *NOW)
    assert ran.json == {
        "rows": 1,
        "published": 12,
        "other": 0,
        "withheld": 0,
        "recent": 0,
        "sensors": 3,
    }
    assert out.read_text().splitlines() == [
        "hour,proto,dst_port,icmp_type,country,traffic,signature,tool,other,packets,sources",
        '"2020-08-26T00:00:00Z",6,445,,"JP","scan","1024:::",,,12,3',
    ]
    ran = fastflow(*args, "--delay", "900d", *NOW)
    assert ran.code == 0
    assert "12 packets are too recent" in ran.err
    ran = fastflow(*args, "--min-packets", 13, *NOW)
    assert "12 packets are withheld: fewer than 13 packets or 3 sensors" in ran.err
    assert "only" not in ran.err


def test_too_few_sensors_are_told(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    args = ("store", "export", "--store", store, "--shared", "-o", out, *NOW)
    ran = fastflow(*args, "--min-sensors", 5)
    assert ran.code == 0
    assert "only 3 sensors saw anything in this time" in ran.err
    assert "nothing is shared; --min-sensors 3 shares it" in ran.err
    assert out.read_text().count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        ["-o", "out.txt"],
        ["-o", "out.csv", "--format", "ndjson"],
        ["-o", "-", "--json"],
        ["-o", "out.csv", "--table", "attacks"],
        ["-o", "out.csv", "--period", "2020-Q5"],
        ["-o", "out.csv", "--every", "day"],
        ["-o", "out.csv", "--min-packets", "1"],
        ["-o", "out.csv", "--shared", "--min-packets", "0"],
        ["-o", "out.csv", "--shared", "--delay", "7"],
        ["-o", "out.csv", "--shared", "--table", "inputs"],
        ["-o", "out.csv", "--shared", "--canonical"],
        ["-o", "out.csv", "--canonical", "--period", "2020"],
        ["-o", "out.csv", "--canonical", "--table", "counts"],
        ["-o", "out.parquet", "--canonical"],
    ],
    ids=" ".join,
)
def test_wrong_usage_writes_nothing(
    store: Path, tmp_path: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = fastflow("store", "export", "--store", store, *options)
    assert (ran.code, ran.out) == (2, b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "args",
    [
        ("reduce", "a.pcap", "--sensor", "lab"),
        ("query", "select 1"),
        ("top", "--by", "port"),
        ("store", "export", "-o", "out.csv"),
        ("store", "export", "-o", "out.csv", "--canonical"),
        ("store", "export", "-o", "out.csv", "--shared"),
    ],
    ids=" ".join,
)
def test_a_newer_store_is_refused_by_every_command(
    tmp_path: Path, args: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.pcap").write_bytes(b.capture(b.ethernet(b.ipv4(b.tcp()))))
    Store("counts", create=True)
    of_version(Path("counts"), SCHEMA_VERSION + 1)
    before = sorted(tmp_path.rglob("*"))
    ran = fastflow(*args, "--store", "counts")
    assert (ran.code, ran.out) == (1, b"")
    assert ran.err == (
        f"fastflow: {tmp_path / 'counts'}: a newer fastflow made this store (schema "
        f"version {SCHEMA_VERSION + 1}, this one knows {SCHEMA_VERSION}); install a "
        "newer fastflow\n"
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_a_store_without_sources_exports_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(b.capture(b.ethernet(b.ipv4(b.tcp()))))
    counts = tmp_path / "counts"
    args = ("--store", counts, "--sensor", "lab", "--no-sources")
    assert fastflow("reduce", path, *args).code == 0
    args = ("store", "export", "--store", counts)
    ran = fastflow(*args, "-o", tmp_path / "a.arrow", "--table", "sources", "--json")
    assert json.loads(ran.out) == {"rows": 0}
    ran = fastflow(*args, "-o", "-", "--shared", "--min-sensors", 1, "--min-packets", 1)
    assert ran.out.decode().splitlines()[1].endswith(",1,")
