"""A report in one language: from findings to sections of text, tables and figures."""

from __future__ import annotations

from fastflow.report.appendix_sections import (
    backscatter_section,
    method_section,
    sensors_section,
    tools_section,
)
from fastflow.report.document import Document
from fastflow.report.layout import Layout
from fastflow.report.model import Report
from fastflow.report.overview_section import overview_section
from fastflow.report.phenomena_section import phenomena_section
from fastflow.report.regions_section import regions_section
from fastflow.report.words import Words

#: In the order of the report.
_SECTIONS = (
    overview_section,
    regions_section,
    phenomena_section,
    backscatter_section,
    sensors_section,
    tools_section,
    method_section,
)


def compose(report: Report, words: Words) -> Document:
    """Word a report.

    Raises
    ------
    ConfigError
        The language lacks a message.
    """
    layout = Layout(report, words)
    period = report.period
    span = words.period(period.kind, period.first_day, period.last_day)
    sections = (make(layout) for make in _SECTIONS)
    return Document(
        lang=words.lang,
        title=words("title", period=span),
        subtitle=words(
            "subtitle",
            period=words.span(period.first_day, period.last_day),
            zone=words.zone(report.zone),
        ),
        sections=tuple(sections),
        labels=dict(words.raw("labels_of_page")),
    )
