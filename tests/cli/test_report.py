"""`fastflow report`: files, formats, notes, sections, errors."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from command import Ran, fastflow
from fastflow.store import Store
from reduced import at, reduced

SENSORS = """
[tokyo-1]
country = "JP"
addresses = 4
on_air = [{ from = 2020-08-26, until = 2020-08-28 }]
["<b>x</b>"]
country = "NL"
addresses = 1
on_air = [{ from = 2020-08-26, until = 2020-08-28 }]
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cli") / "counts"
    made = Store(root, create=True)
    rows = [
        {"hour": at(n), "packets": 1 + n % 3, "dst_port": (23, 445)[n % 2],
         "country": ("US", "RU", None)[n % 3], "src": f"192.0.2.{n}"}
        for n in range(48)
    ]  # fmt: skip
    made.publish([reduced("one", rows)])
    made.publish([reduced("two", [{"sensor": "<b>x</b>"}], sensor="<b>x</b>")])
    (root / "sensors.toml").write_text(SENSORS)
    return root


def report(store: Path, *arguments: object) -> Ran:
    return fastflow("report", "--store", store, "--period", "2020-08", *arguments)


def test_json_on_stdout_and_as_a_file_is_the_same(store: Path, tmp_path: Path) -> None:
    shown = report(store, "--json", "--tz", "Asia/Tokyo", "--sensors", "JP")
    path = tmp_path / "report.json"
    written = report(store, "-o", path, "--tz", "Asia/Tokyo", "--sensors", "JP")
    assert (shown.code, written.code) == (0, 0)
    assert written.out == b""
    assert "written" in written.err
    assert json.loads(path.read_text("utf-8")) == shown.json
    assert shown.json["report_version"] == 1
    assert shown.json["subject"] == {
        "wanted": ["JP"],
        "sensors": ["tokyo-1"],
        "countries": ["JP"],
        "others": ["<b>x</b>"],
    }
    assert shown.json["zone"] == "Asia/Tokyo"


def test_the_same_command_writes_the_same_bytes(store: Path) -> None:
    assert report(store, "--json").out == report(store, "--json").out


def test_markdown_in_two_languages(store: Path) -> None:
    english = report(store, "--format", "md").out.decode()
    japanese = report(store, "--format", "md", "--lang", "ja").out.decode()
    assert english.startswith("# Internet Threat Monitoring Report: August 2020\n")
    assert japanese.startswith("# インターネット定点観測レポート（2020年8月）\n")
    for text in (english, japanese):
        assert "<b>" not in text


def test_notes_are_kept_when_it_is_made_again(store: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text(
        "## remarks\n\nOur *own* words.\n\n## 概況\n\n別の段落。\n", "utf-8"
    )
    out = tmp_path / "report.md"
    for _ in range(2):
        assert report(store, "--lang", "ja", "--notes", notes, "-o", out).code == 0
        text = out.read_text("utf-8")
        assert text.count("Our *own* words.") == text.count("別の段落。") == 1
    assert text.index("別の段落。") < text.index("Our *own* words.")


def test_an_unknown_section_is_an_error(store: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("## summary\n\ntext\n")
    ran = report(store, "--format", "md", "--notes", notes)
    assert ran.code == 2
    assert ran.out == b""
    assert "no section 'summary'" in ran.err
    assert "overview, ports, source-regions, remarks" in ran.err


def test_sections_are_listed(store: Path) -> None:
    ran = report(store, "--list-sections", "--lang", "ja")
    lines = [line.split("\t") for line in ran.out.decode().splitlines()]
    assert ["overview", "概況"] in lines
    assert ["remarks", "観測の傾向"] in lines
    assert ["region-us", "米国"] in lines


def test_data(store: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert report(store, "--json", "--data", data).code == 0
    names = {path.name for path in data.iterdir()}
    assert {"top-ports.csv", "daily-ports.csv", "sensors-rates.csv"} <= names
    rows = list(csv.DictReader((data / "daily-ports.csv").read_text().splitlines()))
    assert len(rows) == 31
    assert [row["gap"] for row in rows].count("true") == 2
    days = {row["day"]: row["445/tcp"] for row in rows}
    assert days["2020-08-25"] == ""
    assert int(days["2020-08-26"]) > 0


def test_a_file_of_words(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "xx.toml"
    path.write_text('lang = "xx"\n')
    ran = report(store, "--format", "md", "--lang", path)
    assert ran.code == 2
    assert f"{path}: there is no" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--lang", "xx"), "no report in language 'xx'; there are en, ja"),
        (("-o", "report.pdf"), "there are .html, .md, .json"),
        (("--json", "--format", "md"), "exclude each other"),
        (("--notes", "none.md"), "none.md: cannot be read"),
        (("--min-packets", "0"), "min-packets"),
        (("--sensors", "XX"), "'XX' is no sensor"),
    ],
)
def test_wrong_usage(store: Path, arguments: tuple[str, ...], message: str) -> None:
    ran = report(store, *arguments)
    assert ran.code == 2
    assert message in ran.err
    assert ran.out == b""


def test_a_period_is_needed(store: Path) -> None:
    ran = fastflow("report", "--store", store, "--json")
    assert ran.code == 2
    assert "name the --period, as 2020-Q3" in ran.err
