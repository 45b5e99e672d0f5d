"""Contacts as CSV, for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import tzinfo
from typing import Any

from fastflow.contacts.find import COLUMNS, Contact

#: What makes a spreadsheet take a cell for a formula.
_FORMULA = ("=", "+", "-", "@", "\t")


def csv_lines(contacts: Iterable[Contact], zone: tzinfo) -> Iterator[str]:
    """Yield CSV, a line for each contact; null is empty, a list has spaces.

    Names come from registries, where anybody may write a formula: a cell that begins
    like one gets an apostrophe before it.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for contact in contacts:
        yield _taken(buffer)
        writer.writerow(map(_cell, contact.to_row(zone).values()))
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = " ".join(value)
    is_formula = isinstance(value, str) and value.startswith(_FORMULA)
    return f"'{value}" if is_formula else value
