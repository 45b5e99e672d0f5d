"""What `fastflow top` and `fastflow query` print, and their exit codes."""

import csv
import io
import json
import re
import subprocess
import sys
from itertools import combinations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from fastflow.addresses import from_text
from fastflow.cli.query import command as query
from fastflow.cli.top import command as top
from fastflow.errors import ConfigError
from fastflow.store import Store
from reduced import at, reduced

CANONICAL = (
    "select hour, dst_port, country, signature, sum(packets) from counts "
    "group by all order by 5 desc limit 20"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The path of a store with two sources on two days."""
    root = tmp_path_factory.mktemp("cli") / "counts"
    rows = [
        {"packets": 3, "src_port": 6000},
        {"hour": at(25), "packets": 5, "src": "2001:db8::1", "country": None},
        {"hour": at(25), "dst_port": 23, "packets": 2, "tool": "zmap"},
    ]
    made = Store(root, create=True)
    made.publish([reduced("one", rows, uncounted={"bad_ts": 2})])
    return str(root)


def run(command, *arguments, **named):
    return CliRunner().invoke(
        command, arguments, catch_exceptions=False, standalone_mode=True, **named
    )


def run_json(command, *arguments):
    result = run(command, *arguments, "--json")
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_top_json(store):
    rows = run_json(top, "--store", store, "--by", "port", "--period", "2020-08-27")
    assert rows[0] | {"name": None} == {
        "rank": 1,
        "key": "445/tcp",
        "name": None,
        "packets": 5,
        "sources": 1,
        "share": 5 / 7,
        "previous_rank": 1,
    }
    assert [row["key"] for row in rows] == ["445/tcp", "23/tcp"]


def test_top_where_and_limit(store):
    options = ["--store", store, "--by", "country", "--where", "port=445/tcp"]
    rows = run_json(top, *options, "--where", "traffic=scan", "-n", "1")
    assert [(row["key"], row["packets"], row["share"]) for row in rows] == [
        ("JP", 3, 3 / 8)
    ]


def test_top_table(store):
    result = run(top, "--store", store, "--by", "source", "--where", "country=null")
    assert result.exit_code == 0
    heading, row = result.stdout.splitlines()
    names = ["rank", "source", "name", "packets", "sources", "share", "previous"]
    assert heading.split() == names
    assert row.split() == ["1", "2001:db8::1", "-", "5", "1", "100.0%", "-"]


@pytest.mark.parametrize(
    "options",
    [
        ["--by", "colour"],
        ["--by", "port", "--where", "country"],
        ["--by", "port", "--where", "country=JP", "--where", "country=US"],
        ["--by", "port", "-n", "0"],
        [],
    ],
)
def test_top_wrong_usage(store, options):
    assert run(top, "--store", store, *options).exit_code == 2


def test_query_json_is_as_promised(store):
    rows = run_json(query, "--store", store, CANONICAL)
    assert rows[0] == {
        "hour": "2020-08-27T01:00:00Z",
        "dst_port": 445,
        "country": None,
        "signature": "1024:::",
        "sum(packets)": 5,
    }
    assert type(rows[0]["sum(packets)"]) is int


def test_query_shows_addresses(store):
    sql = "select src, src_port, 'x'::blob as b from sources order by packets"
    rows = run_json(query, "--store", store, sql)
    assert [row["src"] for row in rows] == ["192.0.2.1", "192.0.2.1", "2001:db8::1"]
    assert [row["src_port"] for row in rows] == [None, 6000, None]
    assert rows[0]["b"] == "78"
    assert run_json(
        query, "--store", store, "select 'ab'::blob as src, null::blob as b"
    ) == [{"src": "6162", "b": None}]


def test_query_values_are_json(store):
    sql = """select uncounted, [1.5, 'nan'::float] as l, {'t': date '2020-08-27'} as s,
        timestamp '2020-08-27 01:02:03.5' as t, 1.25::decimal(9, 2) as d, true as b,
        9223372036854775808::hugeint as h, time '01:02' as clock from inputs"""
    (row,) = run_json(query, "--store", store, sql)
    assert row == {
        "uncounted": {"bad_ts": 2},
        "l": [1.5, None],
        "s": {"t": "2020-08-27"},
        "t": "2020-08-27T01:02:03.500000Z",
        "d": 1.25,
        "b": True,
        "h": 9223372036854775808,
        "clock": "01:02:00",
    }


def test_query_csv(store):
    sql = "select src, country, hour, uncounted from sources, inputs order by packets"
    result = run(query, "--store", store, sql, "--csv")
    rows = list(csv.reader(io.StringIO(result.stdout)))
    assert rows[0] == ["src", "country", "hour", "uncounted"]
    assert rows[3] == ["2001:db8::1", "", "2020-08-27T01:00:00Z", '{"bad_ts": 2}']
    assert "\r" not in result.stdout


def test_query_table_and_stdin(store):
    result = run(query, "--store", store, "-", input="select src from sources limit 1")
    assert result.stdout.split() == ["src", "192.0.2.1"]


def test_query_without_rows(store):
    assert run_json(query, "--store", store, "select * from counts where false") == []


def test_csv_json_and_a_file_exclude_each_other(store, tmp_path):
    options = ["--csv", "--json", f"-o{tmp_path / 'a.csv'}"]
    for pair in combinations(options, 2):
        result = run(query, "--store", store, "select 1", *pair)
        assert result.exit_code == 2
        assert "exclude each other" in result.stderr


def test_query_csv_writes_true_as_json_does(store):
    result = run(query, "--store", store, "select true as a, false as b", "--csv")
    assert result.stdout == "a,b\ntrue,false\n"


READ = {
    "parquet": lambda path: pq.read_table(path).to_pylist(),
    "arrow": lambda path: pa.ipc.open_file(path).read_all().to_pylist(),
    "csv": lambda path: list(csv.DictReader(path.read_text().splitlines())),
    "ndjson": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
}


@pytest.mark.parametrize("ending", READ)
def test_query_writes_files(store, tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    sql = "select src, hour, sum(packets) n from sources group by all order by n"
    result = run(query, "--store", store, sql, "-o", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    rows = READ[ending](path)
    is_text = ending in ("csv", "ndjson")
    src = "2001:db8::1" if is_text else from_text("2001:db8::1")[0]
    hour = "2020-08-27T01:00:00Z" if is_text else at(25)
    assert rows[2] == {"src": src, "hour": hour, "n": "5" if ending == "csv" else 5}
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x.xlsx", ".parquet, .arrow, .csv, .ndjson"),
        ("none/x.csv", "cannot be written"),
    ],
)
def test_query_file_that_cannot_be(store, tmp_path, name, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        run(query, "--store", store, "select 1", "-o", str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


def test_top_of_local_days(store):
    options = ["--store", store, "--by", "port", "--period", "2020-08-26"]
    assert [row["packets"] for row in run_json(top, *options)] == [3]
    assert [
        row["packets"] for row in run_json(top, *options, "--tz", "Asia/Tokyo")
    ] == [3]
    # 01:00 UTC on the 27th is still the 26th in New York.
    local = run_json(top, *options, "--tz", "America/New_York")
    assert [(row["key"], row["packets"]) for row in local] == [
        ("445/tcp", 5),
        ("23/tcp", 2),
    ]
    assert [row["previous_rank"] for row in local] == [1, None]


def fastflow(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "fastflow", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["query", "selec 1"], 2, "syntax error"),
        (["query", "--json", "select 1 as a, 2 as a"], 2, "two columns are named 'a'"),
        (["top", "--by", "port", "--where", "colour=red"], 2, "there are sensor"),
        (["top", "--by", "port", "--period", "August"], 2, "2020-Q3"),
        (["top", "--by", "port", "--tz", "Mars"], 2, "IANA name"),
        (
            ["top", "--by", "port", "--period", "2020", "--tz", "Asia/Kolkata"],
            2,
            "whole hours from UTC",
        ),
        (["top", "--by", "port", "--per-address"], 2, "sensors.toml"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(store, arguments, code, message):
    result = fastflow(arguments[0], "--store", store, *arguments[1:])
    assert (result.returncode, result.stdout) == (code, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_no_store_is_exit_1(tmp_path):
    result = fastflow("query", "--store", str(tmp_path), "select 1")
    assert (result.returncode, result.stdout) == (1, "")
    assert "no fastflow store here" in result.stderr


def test_help_loads_nothing_heavy():
    code = (
        "import sys, fastflow.cli.top, fastflow.cli.query, fastflow.cli.trend, "
        "fastflow.cli.sensors, fastflow.cli.inputs; "
        "heavy = {'pyarrow', 'duckdb', 'deltalake', 'rich', 'altair'}; "
        "print(heavy & sys.modules.keys())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
