"""An analyst's notes, Markdown, and files of data."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow.errors import ConfigError
from fastflow.report.data_files import write_data
from fastflow.report.document import (
    Bullets,
    Column,
    Document,
    Figure,
    Line,
    Note,
    Paragraph,
    Section,
    Table,
)
from fastflow.report.markdown import to_markdown
from fastflow.report.notes import read_notes, with_notes

HOSTILE = "<b>*x*</b> | `y` [z](http://e) & # 1. \\ ~~s~~ $1$"

TABLE = Table(
    "hosts",
    "Table 1. Hosts",
    (Column("name", "Name"), Column("n", "Number", is_number=True)),
    ({"name": HOSTILE, "n": "1,234"},),
    ({"name": HOSTILE, "n": 1234, "held": [["a", 1]]},),
)
FIGURE = Figure(
    "course",
    "Figure 1. Course",
    "goes up",
    "day",
    ("2020-08-26T00:00:00", "2020-08-27T00:00:00"),
    "Packets",
    (Line("445/tcp", "445/TCP", (3, None)),),
    (("2020-08-27T00:00:00", "2020-08-28T00:00:00"),),
    "grey",
)
DOCUMENT = Document(
    "en",
    "Report",
    "of a day",
    (
        Section(
            "one",
            "First",
            (Paragraph("1. text"), Bullets(("# a", "- b")), TABLE),
            (Section("inner", "Inner", (FIGURE,)),),
        ),
        Section("two", "Second"),
    ),
)


def notes_of(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "notes.md"
    path.write_text(text, encoding="utf-8")
    return read_notes(path)


def test_notes_go_to_the_end_of_sections_by_id_or_title(tmp_path: Path) -> None:
    notes = notes_of(
        tmp_path,
        "\n## inner\n\nA *note*.\n\n- more\n\n## Second ##\nAnother.\n\n### Deeper\n\n"
        "```\n## one\n```\n",
    )
    found = with_notes(DOCUMENT, notes, "notes.md")
    sections = {section.id: section for section in found.walk()}
    assert sections["inner"].blocks == (FIGURE, Note("A *note*.\n\n- more"))
    assert sections["two"].blocks == (
        Note("Another.\n\n### Deeper\n\n```\n## one\n```"),
    )
    assert sections["one"].blocks == DOCUMENT.sections[0].blocks
    # Once more with the same file: the same report.
    assert with_notes(DOCUMENT, notes, "notes.md") == found


def test_an_empty_note_adds_nothing(tmp_path: Path) -> None:
    assert with_notes(DOCUMENT, notes_of(tmp_path, "## one\n\n"), "n") == DOCUMENT


def test_an_unknown_section_is_an_error_that_lists_them(tmp_path: Path) -> None:
    notes = notes_of(tmp_path, "## three\ntext")
    with pytest.raises(ConfigError, match=r"n: no section 'three' .* one, inner, two"):
        with_notes(DOCUMENT, notes, "n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text\n## one\n", "line 1: text above the first heading"),
        ("## one\n\n## one\n", "line 3: ## one is there twice"),
    ],
)
def test_wrong_notes(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        notes_of(tmp_path, text)


def test_notes_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_notes(tmp_path / "none.md")
    (tmp_path / "latin.md").write_bytes(b"## one\n\xe9")
    with pytest.raises(ConfigError, match="no UTF-8 at byte 7"):
        read_notes(tmp_path / "latin.md")


def test_markdown() -> None:
    text = to_markdown(with_notes(DOCUMENT, {"two": "A *note*."}, "n"))
    assert text.splitlines() == [
        "# Report",
        "",
        "of a day",
        "",
        "## First",
        "",
        r"1\. text",
        "",
        r"* \# a",
        r"* \- b",
        "",
        "**Table 1. Hosts**",
        "",
        "| Name | Number |",
        "|---|--:|",
        r"| \<b\>\*x\*\</b\> \| \`y\` \[z\](http://e) \& # 1. \\ \~\~s\~\~ \$1\$ "
        "| 1,234 |",
        "",
        "### Inner",
        "",
        "**Figure 1. Course**",
        "",
        "goes up",
        "",
        "grey",
        "",
        "## Second",
        "",
        "A *note*.",
    ]


def test_markdown_shows_figures_that_lie_beside_it() -> None:
    text = to_markdown(DOCUMENT, "my figures")
    assert "![goes up](my%20figures/course.svg)" in text


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
def test_markdown_shows_texts_and_obeys_none(text: str) -> None:
    """By another implementation of CommonMark: it renders what was written."""
    markdown_it = pytest.importorskip("markdown_it")
    document = Document("en", "t", "s", (Section("a", "b", (Paragraph(text),)),))
    body = to_markdown(document).partition("## b\n")[2]
    tokens = markdown_it.MarkdownIt("commonmark").enable("table").parse(body)
    kinds = [token.type for token in tokens]
    shown = "".join(
        child.content if child.type in ("text", "text_special") else f"<{child.type}>"
        for token in tokens
        for child in token.children or []
    )
    words = " ".join(text.split())
    assert shown == words
    assert kinds == (["paragraph_open", "inline", "paragraph_close"] if words else [])


def test_data_of_tables_and_figures(tmp_path: Path) -> None:
    paths = write_data(DOCUMENT, tmp_path / "new" / "data")
    assert [path.name for path in paths] == ["hosts.csv", "course.csv"]
    hosts, course = (
        list(csv.reader(path.read_text("utf-8").splitlines())) for path in paths
    )
    assert hosts[0] == ["name", "n", "held"]
    assert hosts[1][:2] == [HOSTILE, "1234"]
    assert json.loads(hosts[1][2]) == [["a", 1]]
    assert course == [
        ["day", "445/tcp", "gap"],
        ["2020-08-26", "3", "false"],
        ["2020-08-27", "", "true"],
    ]


def test_data_where_there_is_no_room(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        write_data(DOCUMENT, tmp_path / "file" / "data")
