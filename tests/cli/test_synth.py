"""What `fastflow synth` writes and prints."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import mmdb
from fastflow.analysis.sensors import Network
from fastflow.cli.synth import KINDS, PHENOMENA_SCALES, SCALES, command
from fastflow.errors import DataFileError
from fastflow.holders.holders import Holders
from fastflow.synth import load, scenario_files, tsubame
from fastflow.synth.tsubame_figures import ORIGINS


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "db"
    networks = {
        "1.0.0.0/16": {"country_code": "AU"},
        "2.0.0.0/16": {"country_code": "JP"},
    }
    path.write_bytes(mmdb.make_mmdb(networks))
    return path


def run(*args: str | Path, scenario: str = "load") -> Result:
    return CliRunner().invoke(
        command, [scenario, *(str(arg) for arg in args)], catch_exceptions=False
    )


def test_kinds_are_those_of_the_generator() -> None:
    assert load.KINDS == KINDS


def test_scales_are_those_of_the_random_scenario() -> None:
    limits = scenario_files.MIN_SCALE, scenario_files.MAX_SCALE
    assert limits == PHENOMENA_SCALES


def test_one_line_says_what_was_made(tmp_path: Path, database: Path) -> None:
    out = tmp_path / "out"
    result = run("--kind", "scan", "--packets", "1000", "-o", out, "--geo", database)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{out / 'scan.pcap'}: 1,000 packets, 8")
    assert result.stdout.endswith(" packets/s\n")
    assert len(result.stdout.splitlines()) == 1


def test_json_is_the_truth(tmp_path: Path, database: Path) -> None:
    out = tmp_path / "out"
    result = run(
        "--kind", "payload", "--packets", "100", "--hours", "2", "--seed", "5",
        "-o", out, "--geo", database, "--json",
    )  # fmt: skip
    truth = json.loads(result.stdout)
    assert truth == json.loads((out / "truth.json").read_text())
    assert (truth["kind"], truth["packets"], truth["seed"]) == ("payload", 100, 5)
    assert len(truth["hours"]) == 2
    assert truth["country_table"]["name"] == "Test-Country"


def test_seed_and_table_decide_the_bytes(tmp_path: Path, database: Path) -> None:
    args = ("--kind", "scatter", "--packets", "500", "--geo", database, "-o")
    for name in ("a", "b"):
        run(*args, tmp_path / name)
    made = [(tmp_path / name / "scatter.pcap").read_bytes() for name in ("a", "b")]
    assert made[0] == made[1]


@pytest.mark.parametrize(
    "args",
    [
        ("--kind", "flood", "--packets", "1"),
        ("--kind", "scan", "--packets", "0"),
        ("--kind", "scan", "--packets", "1", "--seed", "-1"),
        ("--kind", "scan"),
    ],
)
def test_wrong_usage_exits_2(tmp_path: Path, args: tuple[str, ...]) -> None:
    assert run(*args, "-o", tmp_path).exit_code == 2


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database with all countries of the reference quarter."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "world"
    path.write_bytes(
        mmdb.make_mmdb(
            {
                f"{number}.0.0.0/8": {"country_code": code}
                for number, code in enumerate(ORIGINS, start=20)
            }
        )
    )
    return path


def test_a_quarter_is_captures_truth_and_sensors(tmp_path: Path, world: Path) -> None:
    out = tmp_path / "out"
    args = ("--scale", "0.02", "--seed", "3", "--geo", world, "-o", out)
    result = run(*args, scenario="tsubame-2020q3")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{out}: 200,000 packets, 8 sensors, ")
    assert len(result.stdout.splitlines()) == 1
    truth = json.loads((out / "truth.json").read_text())
    assert (truth["scenario"], truth["seed"]) == ("tsubame-2020q3", 3)
    assert truth["country_table"]["name"] == "Test-Country"
    network = Network.read(out / "sensors.toml")
    assert list(network.sensors) == [one["sensor"] for one in truth["sensors"]]
    assert network.in_country("JP") == ["tokyo-1", "osaka-1", "fukuoka-1"]
    holders = Holders([out / "holders.csv"])
    for held in truth["holders"]:
        hosts = [str(host) for host in IPv4Network(held["network"])]
        assert set(holders.names(hosts).values()) == {held["organisation"]}
    captures = sorted(path.parent.name for path in out.glob("*/2020-09-30.pcap"))
    assert captures == sorted(network.sensors)


def test_scales_are_those_of_the_scenario() -> None:
    assert (tsubame.MIN_SCALE, tsubame.MAX_SCALE) == SCALES


@pytest.mark.parametrize("scale", ["0.01", "101", "much"])
def test_a_scale_out_of_range_exits_2(tmp_path: Path, scale: str) -> None:
    result = run("--scale", scale, "-o", tmp_path, scenario="tsubame-2020q3")
    assert result.exit_code == 2


def test_a_table_without_a_country_is_named(tmp_path: Path, database: Path) -> None:
    with pytest.raises(DataFileError, match=r"Test-Country .*: no IPv4 address of AR"):
        run("--geo", database, "-o", tmp_path / "out", scenario="tsubame-2020q3")
    assert not (tmp_path / "out").exists()
