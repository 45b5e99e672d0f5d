"""Findings that were kept as JSON, and what is no such file."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import fastflow
from fastflow.report.model import VERSION


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not what `fastflow report --format json` writes"),
        ("\x00\xff", "not what `fastflow report --format json` writes"),
        ("[1]", "Expected `object`"),
        ("{}", "missing required field `report_version`"),
        (f'{{"report_version": {VERSION}}}', "missing required field `period`"),
        (f'{{"report_version": {VERSION}, "period": 3}}', "`$.period`"),
        (f'{{"report_version": {VERSION + 1}}}', "make them again with --format json"),
    ],
)
def test_what_is_no_finding_is_named(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "findings.json"
    path.write_text(text, "latin-1")
    ran = fastflow("report", "--findings", path)
    assert ran.code == 2
    assert str(path) in ran.err
    assert why in ran.err
    assert ran.out == b""


def test_findings_that_are_not_there(tmp_path: Path) -> None:
    ran = fastflow("report", "--findings", tmp_path / "none.json")
    assert ran.code == 2
    assert "none.json: cannot be read" in ran.err


@pytest.mark.parametrize(
    "option",
    [
        ("--store", "counts"),
        ("--period", "2020-Q3"),
        ("--sensors", "JP"),
        ("--min-packets", "25"),
        ("--holders", "asn.csv"),
        ("--rdap",),
    ],
)
def test_a_store_is_not_asked_besides(option: tuple[str, ...]) -> None:
    ran = fastflow("report", "--findings", "findings.json", *option)
    assert ran.code == 2
    assert f"{option[0]} is a question to a store" in ran.err


def test_one_of_both_is_wanted() -> None:
    ran = fastflow("report", "--period", "2020-Q3")
    assert ran.code == 2
    assert "name the --store, or --findings FILE" in ran.err
