"""A report as it is laid out: sections of text, tables and figures, in one language.

Whoever renders it, as HTML or Markdown, as data or as files of figures, needs to know
nothing but this. All texts are plain: markup in them is shown, not obeyed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Paragraph:
    """Sentences that belong together."""

    text: str


@dataclass(frozen=True)
class Note:
    """An analyst's own paragraphs, in Markdown (CommonMark without HTML)."""

    markdown: str


@dataclass(frozen=True)
class Bullets:
    """A list of short texts."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    key : str
        What it is called in the rows, and in the table's data.
    title : str
        Its head, for people.
    is_number : bool
        Numbers stand at the right.
    """

    key: str
    title: str
    is_number: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    id : str
        Names its place in the page and its file of data: lower case, digits, hyphens;
        unique in the document.
    caption : str
        With its number, as "Table 1. Destination ports".
    columns : tuple of Column
    rows : tuple of dict
        Texts by the columns' keys, as people read them.
    data : tuple of dict
        The same rows as values, for machines; they may have more keys than columns.
    """

    id: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[dict[str, str], ...]
    data: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Line:
    """One line of a figure.

    Attributes
    ----------
    key : str
        What machines call it, as `445/tcp`.
    label : str
        What the legend calls it.
    values : tuple of float or None
        One for each of the figure's times; None leaves the line open there.
    """

    key: str
    label: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Figure:
    """Courses over time.

    Attributes
    ----------
    id : str
        Names its place in the page and its files: lower case, digits, hyphens; unique
        in the document.
    caption : str
        With its number, as "Figure 1. Packets a day".
    description : str
        What is to be seen, for those who cannot see it.
    every : str
        hour or day: the steps of time.
    times : tuple of str
        Where each step begins: ISO 8601, wall clock of the report's time zone, without
        an offset.
    y_title : str
        What is measured.
    lines : tuple of Line
        In the order of the legend.
    gaps : tuple of (str, str)
        Stretches in which hours of a sensor are missing, as `times`, the second
        exclusive.
    gap_note : str
        What a grey stretch means; shown if there are any.
    """

    id: str
    caption: str
    description: str
    every: str
    times: tuple[str, ...]
    y_title: str
    lines: tuple[Line, ...]
    gaps: tuple[tuple[str, str], ...] = ()
    gap_note: str = ""


Block: TypeAlias = "Paragraph | Note | Bullets | Table | Figure"


@dataclass(frozen=True)
class Section:
    """A section: its own blocks, then those below it.

    Attributes
    ----------
    id : str
        Where links lead, and what an analyst's notes name.
    """

    id: str
    title: str
    blocks: tuple[Block, ...] = ()
    sections: tuple[Section, ...] = ()

    def walk(self) -> Iterator[Section]:
        """Yield this section and all below it, in reading order."""
        yield self
        for section in self.sections:
            yield from section.walk()


@dataclass(frozen=True)
class Document:
    """A whole report.

    Attributes
    ----------
    lang : str
        The language of its texts, as HTML names it: `ja`, `en`.
    labels : dict
        The words that renderers add: `contents`, `data`, `skip` (to the content) ...
    """

    lang: str
    title: str
    subtitle: str
    sections: tuple[Section, ...]
    labels: dict[str, str] = field(default_factory=dict)

    def walk(self) -> Iterator[Section]:
        """Yield all sections, in reading order."""
        for section in self.sections:
            yield from section.walk()

    @property
    def figures(self) -> list[Figure]:
        """All figures, in reading order."""
        return [b for s in self.walk() for b in s.blocks if isinstance(b, Figure)]

    @property
    def tables(self) -> list[Table]:
        """All tables, in reading order."""
        return [b for s in self.walk() for b in s.blocks if isinstance(b, Table)]
