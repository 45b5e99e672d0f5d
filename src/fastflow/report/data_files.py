"""The data of every figure and table, as files beside a report."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fastflow.complete_file import complete_file
from fastflow.errors import ConfigError
from fastflow.report.document import Document, Figure, Table


def write_data(document: Document, directory: Path) -> list[Path]:
    """Write each table and figure as `ID.csv` (UTF-8), and return the files.

    Raises
    ------
    ConfigError
        The directory or a file cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{directory}: cannot be made: {error.strerror}") from error
    parts = [(one.id, _table_rows(one)) for one in document.tables]
    parts += [(one.id, _figure_rows(one)) for one in document.figures]
    paths = []
    for name, rows in parts:
        path = directory / f"{name}.csv"
        with (
            complete_file(path) as file,
            io.TextIOWrapper(file, "utf-8", newline="") as text,
        ):
            csv.writer(text, lineterminator="\n").writerows(rows)
        paths.append(path)
    return paths


def _table_rows(table: Table) -> Iterator[Sequence[Any]]:
    names = list(dict.fromkeys(name for row in table.data for name in row))
    yield names or [column.key for column in table.columns]
    for row in table.data:
        yield [_cell(row.get(name)) for name in names]


def _figure_rows(figure: Figure) -> Iterator[Sequence[Any]]:
    # A day is a day, and has no hour.
    length = len("2020-08-27") if figure.every == "day" else None
    yield [figure.every, *(line.key for line in figure.lines), "gap"]
    for nth, time in enumerate(figure.times):
        in_gap = any(start <= time < end for start, end in figure.gaps)
        values = (line.values[nth] for line in figure.lines)
        yield [time[:length], *map(_cell, values), _cell(in_gap)]


def _cell(value: Any) -> Any:
    """Return what is nested, true or false as JSON text, as other CSV has it."""
    if isinstance(value, dict | list | tuple | bool):
        return json.dumps(value, ensure_ascii=False)
    return value
