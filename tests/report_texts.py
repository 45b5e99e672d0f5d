"""All that a report says, and the numbers of its findings as they may be written."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastflow
from fastflow.report.document import Bullets, Document, Figure, Paragraph, Table
from fastflow.report.words import Words

WORDS = Path(fastflow.__file__).parent / "data" / "words"

_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d))?")


def texts_of(document: Document) -> Iterator[str]:
    """Yield every text of a document."""
    yield document.title
    yield document.subtitle
    for section in document.walk():
        yield section.title
        for block in section.blocks:
            match block:
                case Paragraph(text):
                    yield text
                case Bullets(items):
                    yield from items
                case Table():
                    yield block.caption
                    yield from (column.title for column in block.columns)
                    yield from (text for row in block.rows for text in row.values())
                case Figure():
                    yield from (block.caption, block.description, block.y_title)
                    yield from (line.label for line in block.lines)


def words_without_digits(lang: str) -> Words:
    """Return the words of a language in which no message has a digit of its own.

    All digits of a report are then of values. Captions have no numbers.
    """
    texts = tomllib.loads((WORDS / f"{lang}.toml").read_text("utf-8"))
    texts = _without_digits(texts) | {"table": "{title}", "figure": "{title}"}
    return Words(texts | {"plural": "0"}, lang)


def _without_digits(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_digits(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_digits(inner) for inner in value]
    # Names in braces may end with a digit.
    return re.sub(r"\d(?![^{}]*\})", "#", value)


def numbers_in(text: str) -> list[str]:
    """Return the numbers of a text."""
    return _NUMBER.findall(text)


def written(value: Any) -> set[str]:
    """Return how all numbers of a report's JSON may be written.

    Whole numbers are grouped; others have one decimal, or none from 100 on; shares are
    per cent with one decimal or none; a list may be said to have so many items; and of
    dates there are the year, month, day and hour.
    """
    found: set[str] = set()
    match value:
        case bool() | None:
            pass
        case int():
            found |= {f"{abs(value):,}", str(abs(value))}
        case float():
            size = abs(value)
            found |= {f"{size:,.1f}", f"{100 * size:,.1f}", f"{100 * size:.0f}"}
            if size >= 100:
                found.add(f"{round(size):,}")
        case str():
            found |= set(numbers_in(value))
            for date in _DATE.findall(value):
                found |= {str(int(part)) for part in date if part}
        case dict():
            for key, inner in value.items():
                found |= written(key) | written(inner)
        case list() | tuple():
            found.add(f"{len(value):,}")
            for inner in value:
                found |= written(inner)
    return found
