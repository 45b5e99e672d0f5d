"""What `fastflow inputs` prints."""

import csv
import io
import json

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from fastflow.analysis.inputs import STATUSES
from fastflow.cli.inputs import command as inputs
from fastflow.cli.top import command as top
from fastflow.store import Store
from reduced import at, growing_input, reduced


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The path of a store with four captures, one of them superseded."""
    root = tmp_path_factory.mktemp("cli") / "counts"
    made = Store(root, create=True)
    times = [int(at(hour).timestamp()) * 1_000_000 for hour in (1, 5)]
    record = {"first_packet": times[0], "last_packet": times[1] + 250_000}
    damage = {"status": "damaged", "reason": "bad_length", "offset": 1700, "dropped": 4}
    rows = [{"packets": 1003, "hour": at(1)}, {"dst_port": 23, "hour": at(5)}]
    made.publish([growing_input(1)])
    made.publish([growing_input(2)])
    made.publish([reduced("one", rows, {"bad_ts": 2}, **record, **damage)])
    unknown = {"first_packet": None, "last_packet": None}
    made.publish([reduced("two", [{"hour": at(25)}], flags={"frag": 1}, **unknown)])
    return str(root)


def run(*arguments, command=inputs):
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def test_table_and_summary(store):
    result = run("--store", store, "--where", "port=445/tcp")
    assert result.exit_code == 0
    heading, *rows, in_all = result.stdout.splitlines()
    names = "capture sensor status packets records uncounted first last remarks"
    assert heading.replace(" packet ", " ").split() == names.split(" ")
    assert [row.split() for row in rows] == [
        [
            *("/captures/one.pcap", "tokyo-1", "damaged", "1,003", "1,006", "bad_ts"),
            *("2", "2020-08-26T01:00:00", "2020-08-26T05:00:00", "bad_length", "at"),
            *("byte", "1,700,", "dropped", "4"),
        ],
        ["/captures/two.pcap", "tokyo-1", "complete", "1", "1", "-", "-", "frag", "1"],
    ]
    assert in_all == "2 in all, 1,004 packets: 1 complete, 1 damaged"


def test_superseded_is_remarked(store):
    result = run("--store", store)
    (row,) = (one for one in result.stdout.splitlines() if "input-001" in one)
    assert row.split()[-1] == "superseded"
    assert result.stdout.splitlines()[-1].endswith("1 damaged, 1 superseded")


def test_the_packets_add_up_to_what_top_says(store):
    options = ["--store", store, "--period", "2020-08-26", "--where", "dst_port=445"]
    found = json.loads(run(*options, "--json").stdout)
    (ranked,) = json.loads(run(*options, "--by", "port", "--json", command=top).stdout)
    assert sum(row["packets"] for row in found) == ranked["packets"] == 1003


def test_json(store):
    (row,) = json.loads(run("--store", store, "--status", "damaged", "--json").stdout)
    assert row == {
        "id": "one",
        "path": "/captures/one.pcap",
        "sensor": "tokyo-1",
        "status": "damaged",
        "reason": "bad_length",
        "offset": 1700,
        "records": 1006,
        "counted": 1004,
        "packets": 1004,
        "uncounted": {"bad_ts": 2},
        "flags": {},
        "dropped": 4,
        "first_packet": "2020-08-26T01:00:00Z",
        "last_packet": "2020-08-26T05:00:00.250000Z",
        "supersedes": None,
        "superseded_by": None,
    }


def test_limit(store):
    result = run("--store", store, "--limit", "1")
    assert len(result.stdout.splitlines()) == 3
    assert result.stdout.splitlines()[-1].startswith("4 in all")
    assert len(json.loads(run("--store", store, "--limit", "2", "--json").stdout)) == 2
    assert len(json.loads(run("--store", store, "--json").stdout)) == 4


def test_csv_and_files(store, tmp_path):
    rows = list(csv.DictReader(io.StringIO(run("--store", store, "--csv").stdout)))
    assert rows[0]["id"] == "one"
    assert rows[0]["uncounted"] == '{"bad_ts": 2}'
    path = tmp_path / "a.parquet"
    result = run("--store", store, "-o", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    ids = pq.read_table(path)["id"].to_pylist()
    assert ids == [row["id"] for row in rows]


@pytest.mark.parametrize(
    "options",
    [["--json", "--csv"], ["--status", "lost"], ["--limit", "-1"], ["--where", "port"]],
)
def test_wrong_usage(store, options):
    assert run("--store", store, *options).exit_code == 2


def test_the_command_offers_every_status():
    (option,) = (one for one in inputs.params if one.name == "statuses")
    assert tuple(option.type.choices) == STATUSES
