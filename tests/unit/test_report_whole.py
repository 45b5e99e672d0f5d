"""The report of the reference quarter as a page, from the command line."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path

import pytest

import rdap_server
from command import Ran, fastflow
from quarter import Quarter
from report_texts import numbers_in, written

pytest_plugins = ["quarter_fixture"]

LANGUAGES = ("en", "ja")
#: Tables 1 and 2 as each language writes them, with the ranks of the quarter before.
TABLES = {
    "en": [
        ["445/TCP (microsoft-ds)", "2"],
        ["23/TCP (telnet)", "1"],
        ["1433/TCP (ms-sql-s)", "3"],
        ["22/TCP (ssh)", "5"],
        ["80/TCP (http)", "4"],
        ["United States", "2"],
        ["Russia", "1"],
        ["China", "4"],
        ["Netherlands", "3"],
        ["Germany", "9"],
    ],
    "ja": [
        ["445/TCP（microsoft-ds）", "2"],
        ["23/TCP（telnet）", "1"],
        ["1433/TCP（ms-sql-s）", "3"],
        ["22/TCP（ssh）", "5"],
        ["80/TCP（http）", "4"],
        ["米国", "2"],
        ["ロシア", "1"],
        ["中国", "4"],
        ["オランダ", "3"],
        ["ドイツ", "9"],
    ],
}
OFTEN = {
    "en": [
        ["27 August 2020", "4", "stock exchange (4)"],
        ["30 August 2020", "1", "stock exchange (1)"],
        ["31 August 2020", "7", "bank (7)"],
    ],
    "ja": [
        ["2020年8月27日", "4", "stock exchange（4）"],
        ["2020年8月30日", "1", "stock exchange（1）"],
        ["2020年8月31日", "7", "bank（7）"],
    ],
}


class Made:
    """The report in all formats and both languages, made by one call for each."""

    def __init__(self, quarter: Quarter, root: Path) -> None:
        self.root = root
        table = root / "asn-2020-10-01.csv"
        with table.open("w", newline="") as file:
            for number, one in enumerate(quarter.truth["holders"]):
                prefix = one["network"].rpartition(".")[0]
                row = [f"{prefix}.0", f"{prefix}.255", 64500 + number]
                csv.writer(file).writerow([*row, one["organisation"]])
        self._arguments = [
            "--store", quarter.captures.parent / "store",
            "--sensors-file", quarter.sensors_file,
            "--period", "2020-Q3", "--tz", "Asia/Tokyo", "--sensors", "JP",
            "--holders", table,
        ]  # fmt: skip

    def run(self, *arguments: object) -> Ran:
        return fastflow("report", *self._arguments, *arguments)


@pytest.fixture(scope="module")
def made(quarter: Quarter, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(quarter, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def pages(made: Made) -> dict[str, str]:
    found = {}
    for lang in LANGUAGES:
        path = made.root / f"{lang}.html"
        ran = made.run("--lang", lang, "-o", path, "--data", made.root / lang)
        assert ran.code == 0, ran.err
        assert "holders by asn-2020-10-01" in ran.err
        found[lang] = path.read_text("utf-8")
    return found


def rows_of(page: str, table_id: str) -> list[list[str]]:
    """Return the texts of the cells of a table, row by row."""
    start = page.index(f'id="{table_id}"')
    body = page[start : page.index("</table>", start)]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [
        [
            html.unescape(re.sub(r"<[^>]*>", "", cell)).strip()
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        ]
        for row in rows
    ]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_tables_of_the_page_are_those_of_the_reference(
    pages: dict[str, str], lang: str
) -> None:
    found = []
    for table_id in ("top-ports", "top-regions"):
        rows = [row for row in rows_of(pages[lang], table_id) if row[0].isdigit()]
        assert [row[0] for row in rows] == ["1", "2", "3", "4", "5"]
        found += [row[1:3] for row in rows]
    assert found == TABLES[lang]
    often = rows_of(pages[lang], "nz-backscatter-23-tcp-often")[1:]
    assert [[row[0], row[1], row[3]] for row in often] == OFTEN[lang]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_number_of_the_page_is_in_the_json(
    made: Made, pages: dict[str, str], lang: str
) -> None:
    """But those of captions, and those that belong to words, as 1日あたり."""
    known = written(made.run("--json").json)
    page = pages[lang]
    main = page[page.index("<main") : page.index("</main>")]
    main = re.sub(r"(?s)<(script|style|details|svg|nav)\b.*?</\1>", "", main)
    text = html.unescape(re.sub(r"<[^>]*>", " ", main))
    text = re.sub(r"(Table|Figure|表|図)\s?\d+", "", text)
    text = re.sub(r"1日|1時間|1分間|1つ|1アドレス|4週間|2週間|http\S+", "", text)
    wrong = [number for number in numbers_in(text) if number not in known]
    # Years and volumes of references, and what is known beside the data, are words.
    assert set(wrong) <= REFERENCES, wrong


REFERENCES = {"24", "26", "57", "1995", "1997", "1999", "2006"}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_pages_are_small_and_name_their_language(
    pages: dict[str, str], lang: str
) -> None:
    assert len(pages[lang].encode()) < 5_000_000
    assert f'<html lang="{lang}"' in pages[lang]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_findings_make_the_same_page(
    made: Made, pages: dict[str, str], lang: str
) -> None:
    findings, again = made.root / "findings.json", made.root / f"again-{lang}.html"
    assert made.run("-o", findings).code == 0
    ran = fastflow("report", "--findings", findings, "--lang", lang, "-o", again)
    assert ran.code == 0, ran.err
    assert again.read_text("utf-8") == pages[lang]


def test_data_are_the_same_in_both_languages(made: Made, pages: dict[str, str]) -> None:
    one, other = (sorted((made.root / lang).iterdir()) for lang in LANGUAGES)
    assert [path.name for path in one] == [path.name for path in other]
    for mine, theirs in zip(one, other, strict=True):
        assert mine.read_text("utf-8") == theirs.read_text("utf-8")


def test_figures_beside_markdown(made: Made) -> None:
    out = made.root / "out" / "report.md"
    out.parent.mkdir()
    ran = made.run("-o", out, "--figures", made.root / "figures")
    assert ran.code == 0, ran.err
    links = re.findall(r"\]\((\.\./figures/[\w-]+\.svg)\)", out.read_text("utf-8"))
    assert len(links) > 8
    for link in links:
        path = (out.parent / link).resolve()
        assert path.is_file()
        assert path.with_suffix(".png").is_file()


def test_the_json_says_who_was_asked(made: Made) -> None:
    found = made.run("--json").json
    assert found["origins"]["holders"] == ["asn-2020-10-01.csv, 2020-10-01"]
    assert "192.0.2" not in json.dumps(found)


def test_registries_are_asked_for_the_addresses_of_the_table_alone(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once each, and a report is made whatever they answer."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with rdap_server.run(tmp_path / "requests") as server:
        arguments = ("--rdap-server", server.url, "--rdap-rate", 1000)
        ran = made.run("--json", *arguments)
        assert ran.code == 0, ran.err
        paths = server.paths()
    assert len(paths) == len(set(paths)) == 12
    days = next(
        one["frequent"]
        for one in ran.json["phenomena"]["sections"]
        if one["frequent"] is not None
    )
    # The table says what registries do not.
    assert [day["holders"][0]["organisation"] for day in days] == [
        "stock exchange",
        "stock exchange",
        "bank",
    ]
