"""A report as Markdown, for whoever edits on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from fastflow.report.document import (
    Block,
    Bullets,
    Document,
    Figure,
    Note,
    Paragraph,
    Section,
    Table,
)

#: What Markdown would obey: CommonMark's ASCII punctuation that can mean something
#: within a line, HTML, tables and formulas.
_SPECIAL = re.compile(r"([\\`*_\[\]<>&|~$])")
#: What would begin a heading, a list or a line at the beginning of one.
_LEADING = re.compile(r"([#+\-=]|\d+(?=[.)](\s|$)))")


def to_markdown(document: Document, figures: str | None = None) -> str:
    """Return a document as Markdown (CommonMark with tables).

    Texts are escaped; notes stand as they are.

    Parameters
    ----------
    figures : str or None
        Where figures lie, as `ID.svg`, seen from the file; None: they are described.
    """
    lines = [f"# {_escaped(document.title)}", "", _escaped(document.subtitle), ""]
    for section in document.sections:
        lines += _section(section, 2, figures)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, level: int, figures: str | None) -> Iterator[str]:
    yield f"{'#' * min(level, 6)} {_escaped(section.title)}"
    yield ""
    for block in section.blocks:
        yield from _block(block, figures)
        yield ""
    for inner in section.sections:
        yield from _section(inner, level + 1, figures)


def _block(block: Block, figures: str | None) -> Iterator[str]:
    match block:
        case Paragraph(text):
            yield _escaped(text)
        case Note(markdown):
            yield markdown
        case Bullets(items):
            for item in items:
                yield f"* {_escaped(item)}"
        case Table():
            yield from _table(block)
        case Figure():
            yield f"**{_escaped(block.caption)}**"
            yield ""
            if figures is None:
                yield _escaped(block.description)
            else:
                place = quote(f"{figures}/{block.id}.svg")
                yield f"![{_inline(block.description)}]({place})"
            if block.gap_note:
                yield ""
                yield _escaped(block.gap_note)


def _table(table: Table) -> Iterator[str]:
    yield f"**{_escaped(table.caption)}**"
    yield ""
    yield _row([column.title for column in table.columns])
    marks = ["--:" if column.is_number else "---" for column in table.columns]
    yield f"|{'|'.join(marks)}|"
    for row in table.rows:
        yield _row([row.get(column.key, "") for column in table.columns])


def _row(texts: list[str]) -> str:
    return f"| {' | '.join(_inline(text) for text in texts)} |"


def _escaped(text: str) -> str:
    """Return a text of a line of its own in which no letter is markup."""
    text = _inline(text)
    found = _LEADING.match(text)
    if found is None:
        return text
    # `1.` would begin a list, and digits cannot be escaped.
    at = found.end() if found[1].isdigit() else 0
    return f"{text[:at]}\\{text[at:]}"


def _inline(text: str) -> str:
    """Return a text in which no letter is markup within a line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
