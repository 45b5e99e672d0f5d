"""Files of rows once more, without those of some inputs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fastflow.schema import INPUTS, ROW_TABLES
from fastflow.store.draft import Draft
from fastflow.store.durable import os_errors
from fastflow.store.parquet import conformed, encoded, reading, write_inputs, write_rows
from fastflow.store.table import KINDS, Table


def take_out(
    draft: Draft,
    table: Table,
    input_ids: Collection[str],
    kinds: Iterable[str] = tuple(ROW_TABLES),
    hours: tuple[datetime, datetime] | None = None,
) -> None:
    """Let a commit replace the files that hold rows of some inputs.

    Parameters
    ----------
    hours : two datetimes or None
        When these rows are (the second exclusive); None: not known.

    Raises
    ------
    StoreError
        One of these files is missing or damaged, or cannot be replaced.
    """
    for kind in kinds:
        holders = table.holders(kind, input_ids, hours)
        paths = [path for path in holders if path not in draft.removed]
        for path, local in zip(paths, table.place.fetch(paths), strict=True):
            held = _inputs_of(local)
            if held.isdisjoint(input_ids):
                continue
            draft.removed.append(path)
            if kept := sorted(held.difference(input_ids)):
                _write_again(draft, kind, local, kept)


def record_once(draft: Draft, table: Table, input_ids: Collection[str]) -> None:
    """Let a commit replace several equal rows of `inputs` by one of each."""
    holders = table.holders("inputs", input_ids)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for path in table.place.fetch(holders):
        with reading(path) as file:
            for some in _rows_of(file, "inputs", input_ids):
                rows |= {(row["input"], row["status"]): row for row in some.to_pylist()}
    take_out(draft, table, input_ids, ["inputs"])
    new = draft.new_file("inputs")
    ordered = [rows[key] for key in sorted(rows)]
    with os_errors(new.path.parent):
        stats = write_inputs(new, pa.Table.from_pylist(ordered, schema=INPUTS))
    draft.show("inputs", new, sorted(input_ids), stats)


def _inputs_of(path: Path) -> set[str]:
    """Return the ids of the inputs that a file has rows of."""
    with reading(path) as file:
        column = file.read(columns=["input"])["input"]
    return set(pc.unique(column).to_pylist())


def _write_again(
    draft: Draft, kind: str, path: Path, input_ids: Collection[str]
) -> None:
    """Write what a file holds of some inputs."""
    new = draft.new_file(kind)
    with reading(path) as file, os_errors(path.parent):
        rows = _rows_of(file, kind, input_ids)
        if kind == "inputs":
            stats = write_inputs(new, pa.concat_tables(rows))
        else:
            stats = write_rows(new, kind, (encoded(some, kind) for some in rows))
    draft.show(kind, new, input_ids, stats)


def _rows_of(
    file: pq.ParquetFile, kind: str, input_ids: Collection[str]
) -> Iterator[pa.Table]:
    """Yield the rows of some inputs, a row group at a time."""
    wanted = pa.array(input_ids, pa.string())
    for number in range(file.num_row_groups):
        rows = conformed(file.read_row_group(number), KINDS[kind])
        rows = rows.filter(pc.is_in(rows["input"], wanted))
        if rows.num_rows:
            yield rows
