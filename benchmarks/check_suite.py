"""Do the programs of this directory still work? A tiny run of each: `make bench-check`.

The figures say nothing. Tools that are not installed are left out, as in a real run.
"""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

import contestants
import large_store
import loads
import run
import scaling

PACKETS = 5_000


def check_svg(path: Path) -> str:
    """Parse a chart; return its texts."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return "\n".join(root.itertext())


def run_tiny(kind: str, tmp_path: Path, *options: str) -> Path:
    """Run one round on a tiny load; return where its results are."""
    out = tmp_path / "results"
    numbers = {"packets": PACKETS, "first": PACKETS // 10, "rounds": 1}
    given = [f"--{name}={value}" for name, value in numbers.items()]
    run.main([f"--kind={kind}", *given, f"--dir={tmp_path}", f"--out={out}", *options])
    (written,) = out.glob(f"*-{kind}")
    return written


def test_run_writes_table_chart_and_figures(tmp_path: Path) -> None:
    written = run_tiny("scan", tmp_path)
    record = json.loads((written / "raw.json").read_text())
    expected = [c.name for c in contestants.ALL if "scan" in c.kinds]
    assert [result["name"] for result in record["results"]] == expected
    for result in record["results"]:
        why_not = result["why_not"] or ""
        assert bool(result["seconds"]) != bool(why_not)
        assert why_not.startswith("not installed") or not why_not, result["name"]
    readme = (written / "README.md").read_text()
    assert "## Biases" in readme
    assert "to repeat it: `make bench" in readme
    assert "M/s" in check_svg(written / "chart.svg")


@pytest.mark.parametrize("kind", [kind for kind in loads.KINDS if kind != "scan"])
def test_run_knows_every_load(kind: str, tmp_path: Path) -> None:
    written = run_tiny(kind, tmp_path, "--only=scan-four", "--only=reduce")
    assert "/s" in check_svg(written / "chart.svg")


def test_scaling_writes_a_panel_for_each_dimension(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "steps", lambda first, last: [first, 3 * first])
    given = ["--largest=1e6", "--rounds=1", f"--dir={tmp_path}", f"--out={tmp_path}"]
    scaling.main(given)
    (written,) = tmp_path.glob("*-scaling")
    texts = check_svg(written / "chart.svg")
    for dimension in scaling.MEASURES:
        assert f"Cost against {dimension}" in texts


def test_questions_are_all_asked(tmp_path: Path) -> None:
    given = ["--sensors=3", "--parts=2", "--scale=0.3", "--rounds=1"]
    large_store.main([*given, f"--dir={tmp_path}", f"--out={tmp_path}"])
    (written,) = tmp_path.glob("*-questions")
    record = json.loads((written / "raw.json").read_text())
    assert [one["question"] for one in record["answers"]] == [*large_store.QUESTIONS]
    assert all(one["peak_bytes"] > 0 for one in record["answers"])
    assert record["rows"]["inputs"] > 2 * 80 * 3
    readme = (written / "README.md").read_text()
    assert all(f"| {question} |" in readme for question in large_store.QUESTIONS)
