"""What `fastflow contacts` prints and writes, with tables and a registry."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import stix2
from click.testing import CliRunner, Result

import rdap_server
from fastflow.cli.contacts import command
from fastflow.cli.events import command as events
from fastflow.errors import ConfigError, DataFileError
from fastflow.store import Store
from quarter import Quarter
from rdap_server import RdapServer
from reduced import at, reduced

pytest_plugins = ["quarter_fixture"]

ROWS = [
    {"src": "8.8.8.8", "packets": 5, "country": "US", "tool": "mirai", "dst_port": 23},
    {"src": "193.0.6.139", "packets": 9, "country": "NL", "hour": at(1)},
    {"src": "2001:200:dff:fff1::1", "country": "JP", "packets": 2},
    {"src": "2.0.0.1", "packets": 1, "country": None},
]
TABLE = '8.8.8.0,8.8.8.255,15169,"Search, Inc."\n2.0.0.0,2.0.0.255,7,=Other\n'


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("cli") / "counts"
    Store(root, create=True).publish([reduced("one", ROWS)])
    return str(root)


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "asn-2026-06.csv"
    path.write_text(TABLE)
    return str(path)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RdapServer]:
    with rdap_server.run(tmp_path_factory.mktemp("rdap") / "log") as server:
        yield server


@pytest.fixture
def server(
    running: RdapServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> RdapServer:
    """A registry that was asked for nothing yet; no answer of it is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    running.forget()
    return running


def run(store: str, *arguments: str) -> Result:
    return CliRunner().invoke(
        command, ["--store", store, *arguments], catch_exceptions=False
    )


def test_without_options_a_table_for_people(store: str) -> None:
    ran = run(store)
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert lines[0] == [
        *("address", "role", "country", "holder", "abuse", "contact"),
        *("first", "hour", "last", "hour", "packets", "ports", "tools"),
    ]
    assert lines[1] == [
        *("193.0.6.139", "source", "NL", "-", "-"),
        *("2020-08-26", "01:00", "2020-08-26", "01:00", "9", "445/tcp"),
    ]
    assert len(lines) == 5
    assert ran.stderr == ""


def test_json_with_a_table(store: str, table: str) -> None:
    ran = run(store, "--holders", table, "--json", "--tz", "Asia/Tokyo", "-n", "2")
    rows = json.loads(ran.stdout)
    assert [row["address"] for row in rows] == ["193.0.6.139", "8.8.8.8"]
    assert rows[1] == {
        "address": "8.8.8.8",
        "role": "source",
        "country": "US",
        "asn": 15169,
        "as_name": "Search, Inc.",
        "organisation": None,
        "network": None,
        "abuse_contact": None,
        "first_hour": "2020-08-26T09:00:00+09:00",
        "last_hour": "2020-08-26T09:00:00+09:00",
        "packets": 5,
        "ports": ["23/tcp"],
        "n_ports": 1,
        "protocols": ["tcp"],
        "tools": ["mirai"],
        "kind": None,
        "remark": None,
    }
    assert ran.stderr == "fastflow: holders by asn-2026-06.csv, 2026-06\n"


def test_csv_with_a_registry(store: str, table: str, server: RdapServer) -> None:
    asked = ("--holders", table, "--rdap-server", server.url, "--rdap-rate", "1000")
    ran = run(store, *asked, "--format", "csv")
    rows = {row["address"]: row for row in csv.DictReader(io.StringIO(ran.stdout))}
    assert rows["8.8.8.8"]["abuse_contact"] == "network-abuse@search.example"
    assert rows["193.0.6.139"]["organisation"] == "Example Coordination Centre"
    assert rows["193.0.6.139"]["asn"] == ""
    assert rows["2.0.0.1"]["as_name"] == "'=Other"
    assert rows["2.0.0.1"]["remark"] == "answered 500"
    assert sorted(server.paths()) == sorted(f"/rdap/ip/{row['src']}" for row in ROWS)
    first, second = ran.stderr.splitlines()
    assert first.startswith("fastflow: holders by asn-2026-06.csv, 2026-06; RDAP (127.")
    assert second == ("fastflow: RDAP says nothing of 1 of 4 addresses: 1 answered 500")
    server.forget()
    again = run(store, *asked, "--format", "csv")
    assert again.stdout == ran.stdout
    assert server.paths() == ["/rdap/ip/2.0.0.1"]
    server.forget()
    old = run(store, *asked, "--format", "csv", "--rdap-days", "0.00000001")
    assert old.stdout == ran.stdout
    assert len(server.paths()) == len(ROWS)


def test_a_registry_that_is_slow_does_not_keep_anybody_waiting(
    store: str, server: RdapServer
) -> None:
    ran = run(
        store, "--rdap-server", server.url, "--rdap-rate", "0.1",
        "--rdap-seconds", "3", "--json",
    )  # fmt: skip
    remarks = [row["remark"] for row in json.loads(ran.stdout)]
    assert remarks == [None, *["not asked: the time for all look-ups is up"] * 3]
    assert "says nothing of 3 of 4 addresses" in ran.stderr


def test_files_by_format(store: str, table: str, tmp_path: Path) -> None:
    options = ("--holders", table, "--where", "country=US")
    for name, arguments in {
        "a.csv": (),
        "a.ndjson": ("--format", "intelmq"),
        "a.json": ("--format", "stix"),
    }.items():
        for copy in ("", "again-"):
            path = str(tmp_path / f"{copy}{name}")
            ran = run(store, *options, *arguments, "-o", path)
            assert (ran.exit_code, ran.stdout) == (0, "")
        whole = (tmp_path / name).read_bytes()
        assert whole == (tmp_path / f"again-{name}").read_bytes()
    (row,) = csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text()))
    assert (row["address"], row["asn"]) == ("8.8.8.8", "15169")
    event = json.loads((tmp_path / "a.ndjson").read_text())
    assert event["classification.type"] == "infected-system"
    bundle = stix2.parse((tmp_path / "a.json").read_text(), allow_custom=False)
    assert {one.type for one in bundle.objects} == {
        "ipv4-addr",
        "network-traffic",
        "observed-data",
        "autonomous-system",
        "relationship",
    }


def test_an_event_by_its_rank(quarter: Quarter) -> None:
    """The victim's hosts of table 3, and nobody else."""
    where = (
        *("--store", str(quarter.store.url), "--period", "2020-08"),
        *("--where", "country=NZ", "--sensors-file", str(quarter.sensors_file)),
    )
    told = json.loads(CliRunner().invoke(events, [*where, "--json"]).stdout)
    burst = next(one for one in told if one["fixed"].get("src_port") == 443)
    found = CliRunner().invoke(
        command, [*where, "--event", str(burst["rank"]), "--json"]
    )
    rows = json.loads(found.stdout)
    assert len(rows) == burst["sources"]
    assert sum(row["packets"] for row in rows) == burst["packets"]
    assert {(row["role"], row["country"]) for row in rows} == {("victim", "NZ")}
    assert {tuple(row["ports"]) for row in rows} == {("443/tcp",)}
    assert {row["kind"] for row in rows} == {burst["kind"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--json", "--format", "csv"), "--json and --format exclude each other"),
        (("--json", "-o", "a.csv"), "--json and -o exclude each other"),
        (("--event", "0"), "0 is not in the range x>=1"),
        (("--rdap-rate", "0"), "0.0 is not in the range x>0"),
        (("--format", "pdf"), "'pdf' is not one of 'csv', 'intelmq', 'stix'"),
    ],
)
def test_wrong_usage(store: str, arguments: tuple[str, ...], message: str) -> None:
    ran = run(store, *arguments)
    assert ran.exit_code == 2
    assert message in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("--event", "7"), ConfigError, "no event has rank 7; there are 0"),
        (("--holders", "none.csv"), ConfigError, "none.csv: no such file"),
        (("--holders", __file__), DataFileError, "line 3 is not `first,last,asn"),
        (("--rdap-server", "whois.example"), ConfigError, "write its URL"),
        (("-o", "/nowhere/a.csv"), ConfigError, "cannot be written"),
    ],
)
def test_what_cannot_be_done_says_so(
    store: str, arguments: tuple[str, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(store, *arguments)


@pytest.mark.parametrize("package", ["httpx", "whoisit"])
def test_rdap_without_its_packages_names_the_extra(
    store: str, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=r"pip install 'fastflow\[report\]'"):
        run(store, "--rdap")
    assert run(store).exit_code == 0
