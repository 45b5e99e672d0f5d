"""What `fastflow synth` writes and prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import mmdb
from fastflow.cli.synth import KINDS, command
from fastflow.synth import load


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


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(
        command, ["load", *(str(arg) for arg in args)], catch_exceptions=False
    )


def test_kinds_are_those_of_the_generator() -> None:
    assert load.KINDS == KINDS


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
