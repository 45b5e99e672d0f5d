"""Files of rows once more, without those of some inputs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fastflow.schema import ROW_TABLES
from fastflow.store.draft import Draft
from fastflow.store.durable import os_errors
from fastflow.store.parquet import conformed, encoded, reading, write_rows
from fastflow.store.table import Table


def take_out(draft: Draft, table: Table, input_ids: Collection[str]) -> None:
    """Let a commit replace the files that hold rows of some inputs.

    Raises
    ------
    StoreError
        One of these files is missing or damaged, or cannot be replaced.
    """
    for kind in ROW_TABLES:
        holders = table.holders(kind, input_ids)
        for path, local in zip(holders, table.place.fetch(holders), strict=True):
            if _inputs_of(local).isdisjoint(input_ids):
                continue
            draft.removed.append(path)
            _write_rest(draft, kind, local, input_ids)


def _inputs_of(path: Path) -> set[str]:
    """Return the ids of the inputs that a file has rows of."""
    with reading(path) as file:
        column = file.read(columns=["input"])["input"]
    return set(pc.unique(column).to_pylist())


def _write_rest(
    draft: Draft, kind: str, path: Path, input_ids: Collection[str]
) -> None:
    """Write what a file holds of other inputs, if it holds any."""
    kept = sorted(_inputs_of(path).difference(input_ids))
    if not kept:
        return
    new = draft.new_file(kind)
    with reading(path) as file, os_errors(path.parent):
        stats = write_rows(new, kind, _rows_of(file, kind, kept))
    draft.show(kind, new, kept, stats)


def _rows_of(
    file: pq.ParquetFile, kind: str, input_ids: Collection[str]
) -> Iterator[pa.Table]:
    """Yield the rows of some inputs, a row group at a time."""
    wanted = pa.array(input_ids, pa.string())
    for number in range(file.num_row_groups):
        rows = conformed(file.read_row_group(number), ROW_TABLES[kind])
        rows = rows.filter(pc.is_in(rows["input"], wanted))
        if rows.num_rows:
            yield encoded(rows, kind)
