"""How findings become tables and figures, each with its number and caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastflow.report.document import Column, Figure, Line, Table
from fastflow.report.model import Report
from fastflow.report.steps import Course
from fastflow.report.words import Words

#: What is told of a line of a figure, in this order.
_OF_LINE = ("src_port", "tcp_window", "tool", "sensor")


class Layout:
    """Numbers tables and figures in the order in which they are made."""

    def __init__(self, report: Report, words: Words) -> None:
        self.report = report
        self.words = words
        self._n_tables = 0
        self._n_figures = 0

    def table(
        self,
        table_id: str,
        caption: str,
        columns: Sequence[tuple[str, bool]],
        rows: Sequence[tuple[Mapping[str, str], Mapping[str, Any]]],
        **values: Any,
    ) -> Table:
        """Make a table.

        Parameters
        ----------
        caption : str
            The key of its caption, and `values` for that.
        columns : sequence of (str, bool)
            Keys, and whether numbers stand there.
        rows : sequence of (mapping, mapping)
            Texts by the columns' keys, and the row as values.
        """
        self._n_tables += 1
        title = self.words(f"captions.{caption}", **values)
        return Table(
            table_id,
            self.words("table", number=str(self._n_tables), title=title),
            tuple(
                Column(key, self.column(key), is_number) for key, is_number in columns
            ),
            tuple(dict(texts) for texts, _ in rows),
            tuple(dict(data) for _, data in rows),
        )

    def column(self, key: str) -> str:
        """Return the head of a column; previous ranks are those of a certain period."""
        if key == "previous_rank":
            return self.words.text(f"previous.{self.report.period.kind}.rank")
        return self.words.text(f"columns.{key}")

    def figure(
        self, figure_id: str, caption: str, course: Course, **values: Any
    ) -> Figure:
        """Make a figure of a course; `values` are for its caption."""
        words = self.words
        self._n_figures += 1
        title = words(f"captions.{caption}", **values)
        lines = [
            Line(line.key, self.label(line.of), tuple(line.values))
            for line in course.lines
        ]
        return Figure(
            figure_id,
            words("figure", number=str(self._n_figures), title=title),
            words(
                "figure_description",
                title=title,
                lines=words.text("figure_semicolon").join(
                    self._described(line) for line in lines
                ),
            ),
            course.every,
            tuple(course.times),
            words.text(f"axis.{course.measure}_{course.every}"),
            tuple(lines),
            tuple(course.gaps),
            words.text("gap_note") if course.gaps else "",
        )

    def _described(self, line: Line) -> str:
        known = [value for value in line.values if value is not None]
        if not known:
            return self.words("figure_no_line", label=line.label)
        return self.words(
            "figure_line", label=line.label, low=min(known), high=max(known)
        )

    def label(self, of: Mapping[str, Any]) -> str:
        """Return what a line of a figure is of."""
        words = self.words
        if "rest" in of:
            key = "window" if of["rest"] == ["tcp_window"] else "all"
            return words.text(f"labels.rest.{key}")
        if "port" in of:
            return words.port(of["port"])
        if of.keys() == {"country"}:
            return words.country(of["country"])
        parts = []
        if "proto" in of:
            parts.append(words.service(of))
        elif "traffic" in of:
            parts.append(words.text(f"labels.traffic.{of['traffic']}"))
        parts += [
            words(f"labels.{name}", value=str(of[name])) for name in _OF_LINE
            if name in of
        ]  # fmt: skip
        if "one_source" in of:
            parts.append(words.text("labels.one_source"))
        if "country" in of:
            parts.append(words.country(of["country"]))
        return words.text("labels.comma").join(parts) or words.text("labels.all")

    def rank(self, rank: int | None) -> str:
        """Return a previous rank: outside of the first ten, if there are any."""
        if rank is not None:
            return str(rank)
        if self.report.previous is None:
            return self.words.text("unknown")
        return self.words("outside", n=self.report.settings["ranks_known"])

    def count(self, value: float | None) -> str:
        """Return a number for a table."""
        if value is None:
            return self.words.text("unknown")
        return self.words.number(value)

    def percent(self, value: float | None) -> str:
        """Return a share for a table."""
        if value is None:
            return self.words.text("unknown")
        return self.words.percent(value)

    def points(self, value: float | None) -> str:
        """Return a difference of shares for a table, with its sign."""
        if value is None:
            return self.words.text("unknown")
        return self.words.points(value)

    def change(self, value: float | None) -> str:
        """Return a change for a table, with its sign."""
        if value is None:
            return self.words.text("unknown")
        return self.words.percent(value, "+")
