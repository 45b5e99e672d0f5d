"""What is listed in more than one place is the same in all of them."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from fastflow import _core
from fastflow.cli.info import LINKTYPE_NAMES
from fastflow.filters import DLTS
from fastflow.reader import TUNNELS
from fastflow.report.compose import compose
from fastflow.report.mixes import NOTABLE
from fastflow.report.model import MIN_PACKETS
from fastflow.report.phenomena import MOST_SECTIONS, SAME_START
from fastflow.report.words import Words
from fastflow.schema import BACKSCATTER
from fastflow.store import Store, attacks
from fastflow.store.settings import SCHEMA_VERSION
from quarter import Quarter
from reduced import reduced

pytest_plugins = ["quarter_fixture"]

DOCS = Path(__file__).parents[2] / "docs"
NUMBERS = {2: "two", 5: "five", 10: "ten"}
FROZEN = Path(__file__).parents[1] / "data"

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="docs/ is not beside tests/")


def test_every_name_of_something_wrong_is_documented() -> None:
    with_names = runpy.run_path(str(DOCS / "make_names.py"))["with_names"]
    text = (DOCS / "captures.md").read_text()
    assert text == with_names(text), "run `make docs`"


def test_every_link_type_has_a_name_and_a_number_for_libpcap() -> None:
    assert set(LINKTYPE_NAMES) == set(DLTS) == set(_core.LINKTYPES)


def test_every_link_type_and_tunnel_is_documented() -> None:
    text = (DOCS / "captures.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    numbers = {n.strip() for row in rows for n in row.split("|")[2].split(",")}
    assert {str(n) for n in _core.LINKTYPES} <= numbers
    assert [name for name in TUNNELS if f"`{name}`" not in text] == []


def test_every_column_of_backscatter_and_attacks_is_documented() -> None:
    text = (DOCS / "store.md").read_text()
    first = [re.match(r"\| `(\w+)` \|", line) for line in text.splitlines()]
    names = [match[1] for match in first if match]
    begin = names.index("hour")
    assert names[begin : begin + len(BACKSCATTER.names)] == BACKSCATTER.names
    (columns,) = re.findall(r"## Attacks\n(.*?)\n## ", text, re.DOTALL)
    found = Store(FROZEN / "store-v3").sql("select * from attacks").column_names
    assert re.findall(r"`(\w+)`(?=[^\n|]*\|[^\n|]*\|$)", columns, re.MULTILINE) == found


def test_what_an_attack_is_is_documented() -> None:
    (text,) = re.findall(
        r"## Attacks\n(.*?)\n## ", (DOCS / "store.md").read_text(), re.DOTALL
    )
    text = " ".join(text.split())
    bins = attacks.SILENCE_SECONDS // attacks.BIN_SECONDS
    for said in (
        f"bins of {attacks.BIN_SECONDS} s",
        f"silent for {attacks.SILENCE_SECONDS} s, which are {bins} empty bins",
        f"at least {attacks.MIN_PACKETS} packets",
        f"at least {attacks.MIN_SECONDS} s",
        f"{attacks.MIN_WINDOW_PACKETS} packets in some window of "
        f"{attacks.WINDOW_SECONDS} s",
    ):
        assert said in text


def test_examples_of_sql_find_something() -> None:
    examples = re.findall(
        r"```sql\n(.*?)```", (DOCS / "store.md").read_text(), re.DOTALL
    )
    assert len(examples) == 2
    for example in examples:
        assert Store(FROZEN / "store-v3").sql(example).num_rows > 0


def test_every_version_of_a_store_is_documented() -> None:
    text = (DOCS / "store.md").read_text()
    versions = re.findall(r"^\| (\d+) \| ", text, re.MULTILINE)
    assert versions == [str(n) for n in range(1, SCHEMA_VERSION + 1)]


def test_the_report_is_documented_as_it_is(tmp_path: Path) -> None:
    store = Store(tmp_path / "counts", create=True)
    store.publish([reduced("one", [{"packets": 3}])])
    found = store.report("2020-08").to_json()
    text = (DOCS / "report.md").read_text()
    section = text.partition("## JSON")[2].partition("\n## ")[0]
    names = set(re.findall(r"`(\w+)[`.]", section))
    for key, value in found.items():
        assert key in names
        if isinstance(value, dict) and key not in ("settings", "origins", "remarks"):
            assert value.keys() <= names | {"by", "more", "sections"}
    assert set(found["ports"]["rows"][0]) <= names
    assert set(found["ports"]["course"]) <= names
    for said in (
        f"with so many packets on a day are listed for it ({MIN_PACKETS})",
        f"departs by {NUMBERS[round(100 * NOTABLE)]} points or more",
        f"{NUMBERS[MOST_SECTIONS].capitalize()} phenomena get sections",
        f"began and ended within {NUMBERS[SAME_START // 24]} days",
    ):
        assert said in text


def test_sections_of_the_report_are_documented(quarter: Quarter) -> None:
    text = (DOCS / "report.md").read_text()
    report = quarter.store.report("2020-Q3", sensors_file=quarter.sensors_file)
    document = compose(report, Words.load("en"))
    for section in document.sections:
        assert f"`{section.id}`" in text
    example = re.search(r"\(`([\w-]+)`\), and do not change", text)
    assert example is not None
    assert example[1] in {section.id for section in document.walk()}
