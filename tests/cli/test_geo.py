from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import mmdb
from fastflow.cli.geo import command
from fastflow.errors import ConfigError, DataFileError

pytest_plugins = ["country_fixture"]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "db"
    networks = {
        "1.0.0.0/24": {"country_code": "AU"},
        "2001:200::/32": {"country": "JP"},
    }
    path.write_bytes(mmdb.make_mmdb(networks))
    return path


def run(*args: str | Path) -> tuple[str, str]:
    result = CliRunner().invoke(command, [str(arg) for arg in args])
    if result.exception is not None:
        raise result.exception
    return result.stdout, result.stderr


def test_lookup_as_json(database: Path) -> None:
    stdout, _ = run(
        "lookup", "--json", "--geo", database, "1.0.0.1", "2001:200::1", "9.9.9.9"
    )
    assert json.loads(stdout) == [
        {"ip": "1.0.0.1", "country": "AU", "name": "Australia"},
        {"ip": "2001:200::1", "country": "JP", "name": "Japan"},
        {"ip": "9.9.9.9", "country": None, "name": None},
    ]


def test_lookup_as_table(database: Path) -> None:
    stdout, _ = run("lookup", "--geo", database, "1.0.0.1")
    assert stdout.split() == ["ip", "country", "name", "1.0.0.1", "AU", "Australia"]


def test_bad_address_is_named(database: Path) -> None:
    with pytest.raises(ConfigError, match=r"1\.0\.0\.256: not an IP address"):
        run("lookup", "--geo", database, "1.0.0.1", "1.0.0.256")


def test_building_is_said_once(database: Path, tmp_path: Path) -> None:
    _, first = run("show", "--geo", database)
    assert first == (
        "fastflow: building the country table from Test-Country 20200913T122640Z"
        f" (once; cached in {tmp_path / 'cache' / 'fastflow'})\n"
    )
    _, second = run("show", "--geo", database)
    assert second == ""


def test_unwritable_cache_is_said(database: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    stdout, stderr = run("show", "--json", "--geo", database)
    assert "cannot cache the table there" in stderr
    assert json.loads(stdout)["cache"] is None


def test_show(database: Path) -> None:
    stdout, _ = run("show", "--json", "--geo", database)
    facts = json.loads(stdout)
    assert Path(facts.pop("cache")).is_file()
    assert facts == {
        "name": "Test-Country",
        "version": "20200913T122640Z",
        "date": "2020-09-13",
        "ipv4_ranges": 1,
        "ipv6_ranges": 1,
        "countries": 2,
    }
    stdout, _ = run("show", "--geo", database)
    assert "ipv4 ranges  1\n" in stdout


def test_build_says_why_and_how_long(database: Path) -> None:
    for why in ("not cached before", "cached before"):
        stdout, stderr = run("build", "--geo", database)
        assert stdout == ""
        assert stderr.startswith("fastflow: built the country table from Test-Country")
        assert f" s ({why}); cache: " in stderr
    cache = Path(json.loads(run("build", "--json", "--geo", database)[0])["cache"])
    cache.write_bytes(b"torn")
    assert "(the cached one was damaged)" in run("build", "--geo", database)[1]


def test_unusable_databases(tmp_path: Path, database: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        run("show", "--geo", tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(DataFileError, match="no country table"):
        run("show", "--geo", tmp_path / "text")


def test_iptocc_is_the_default(
    country_cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(country_cache_home))
    stdout, stderr = run("lookup", "--json", "8.8.8.8")
    assert json.loads(stdout)[0]["country"] == "US"
    assert stderr == ""
