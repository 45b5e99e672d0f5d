"""An analyst's own paragraphs, and the sections that they belong to.

A file of notes is Markdown: what stands below `## NAME` goes to the end of the section
with this id, or this title.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fastflow.errors import ConfigError
from fastflow.report.document import Document, Note, Section

_HEADING = re.compile(r"##[ \t]+(.*?)[ \t#]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def read_notes(path: Path) -> dict[str, str]:
    """Read a file of notes: heading to Markdown.

    Raises
    ------
    ConfigError
        It cannot be read, something stands above the first heading, or a heading is
        there twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: no UTF-8 at byte {error.start}") from error
    notes: dict[str, list[str]] = {}
    current: list[str] | None = None
    fence = ""
    for number, line in enumerate(text.splitlines(), start=1):
        heading = None if fence else _HEADING.fullmatch(line)
        if heading is not None:
            name = heading[1].strip()
            if name in notes:
                raise ConfigError(f"{path}: line {number}: ## {name} is there twice")
            current = notes.setdefault(name, [])
            continue
        fence = _fence_after(line, fence)
        if current is not None:
            current.append(line)
        elif line.strip():
            raise ConfigError(
                f"{path}: line {number}: text above the first heading; "
                "write `## SECTION` above it"
            )
    return {name: "\n".join(lines).strip() for name, lines in notes.items()}


def _fence_after(line: str, fence: str) -> str:
    """Return the fence of a block of code that is open after a line; or nothing."""
    found = _FENCE.match(line)
    if found is None:
        return fence
    if not fence:
        return found[1]
    is_end = found[1].startswith(fence) and line.strip() == found[1]
    return "" if is_end else fence


def with_notes(document: Document, notes: Mapping[str, str], place: str) -> Document:
    """Return the document with notes at the ends of their sections.

    Parameters
    ----------
    place : str
        Where the notes are from, for messages.

    Raises
    ------
    ConfigError
        No section has the name; the message lists those that there are.
    """
    by_name: dict[str, str] = {}
    for section in document.walk():
        by_name.setdefault(section.title, section.id)
    ids = [section.id for section in document.walk()]
    wanted: dict[str, list[str]] = {}
    for name, text in notes.items():
        section_id = name if name in ids else by_name.get(name)
        if section_id is None:
            raise ConfigError(
                f"{place}: no section {name!r} in this report; there are "
                f"{', '.join(ids)}"
            )
        wanted.setdefault(section_id, []).append(text)
    sections = tuple(_with(section, wanted) for section in document.sections)
    return replace(document, sections=sections)


def _with(section: Section, wanted: Mapping[str, list[str]]) -> Section:
    notes = tuple(Note(text) for text in wanted.get(section.id, ()) if text)
    return replace(
        section,
        blocks=section.blocks + notes,
        sections=tuple(_with(one, wanted) for one in section.sections),
    )
