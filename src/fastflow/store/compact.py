"""Small files joined into larger ones, which hold the same rows in another order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastflow.errors import InternalError
from fastflow.schema import INPUTS, row_schema
from fastflow.store.draft import Draft
from fastflow.store.durable import os_errors
from fastflow.store.parquet import (
    ROW_GROUP_ROWS,
    conformed,
    reading,
    row_groups,
    write_inputs,
    write_rows,
)
from fastflow.store.table import KINDS, Table

#: How many rows are joined into one file: what fits into memory, and what has to be
#: written again when one of its inputs is superseded. ARCHITECTURE.md has the figures.
PACK_ROWS = 4 * ROW_GROUP_ROWS

#: What the rows of each table are added up by, to see that none is lost; of lists, all
#: that is in them.
_MEASURES = {
    "backscatter": ("packets", "bins", "bin_packets", "ports"),
    "counts": ("packets", "bytes", "sources"),
    "sources": ("packets", "bytes"),
    "inputs": ("records", "counted"),
}


@dataclass
class Compaction:
    """What was joined.

    Attributes
    ----------
    files : int
        How many files were taken out of the table.
    packs : int
        How many took their place.
    rows : int
        How many rows they have.
    """

    files: int = 0
    packs: int = 0
    rows: int = 0


def n_small_files(table: Table) -> int:
    """Return how many files of one kind could be joined: of that with the most."""
    return max(len(_small_files(table, kind)) for kind in KINDS)


def compact(table: Table) -> Compaction:
    """Join the small files of a table, in a commit for each file that is made.

    Other processes may publish and compact at the same time.

    Raises
    ------
    InternalError
        What was written is not what was read; nothing of it was committed.
    StoreError
        A file is missing or damaged, or the store cannot be written.
    """
    done = Compaction()
    table.refresh()
    # What others add meanwhile waits, or a pack would be written again for each of it.
    begun_with = {path for kind in KINDS for path in _small_files(table, kind)}
    while group := _next_group(table, begun_with):
        kind, paths = group
        with Draft(table) as draft:
            n_rows = _join(draft, table, kind, paths)
            if draft.commit_if_active("OPTIMIZE", is_change=False):
                done.files += len(paths)
                done.packs += 1
                done.rows += n_rows
    return done


def _small_files(table: Table, kind: str) -> dict[str, int]:
    sizes = table.sizes(kind)
    return {path: rows for path, rows in sizes.items() if 2 * rows < PACK_ROWS}


def _next_group(table: Table, among: Collection[str]) -> tuple[str, list[str]] | None:
    """Return a kind and files of it that are to be joined, if there are any.

    Files that follow one another in time. A group that the next file has no room in is
    more than half full, so that what it becomes is not small: of each kind one small
    file remains at most, and its rows are the latest.
    """
    for kind in KINDS:
        group: list[str] = []
        room = PACK_ROWS
        for path, rows in _small_files(table, kind).items():
            if path not in among:
                continue
            if rows > room:
                break
            group.append(path)
            room -= rows
        if len(group) > 1:
            return kind, group
    return None


def _join(draft: Draft, table: Table, kind: str, paths: Sequence[str]) -> int:
    """Let a draft replace files by one; return how many rows it has."""
    rows = [_read(path, kind) for path in table.place.fetch(paths)]
    sums = _sums(rows, kind)
    new = draft.new_file(kind)
    with os_errors(new.path.parent):
        if kind == "inputs":
            stats = write_inputs(new, _sorted(rows))
        else:
            stats = write_rows(new, kind, row_groups(_in_order(rows), kind))
    _check(new.path, kind, sums)
    draft.show(kind, new, sums["input"].to_pylist(), stats)
    draft.removed += paths
    return sum(some.num_rows for some in rows)


def _read(path: Path, kind: str) -> pa.Table:
    """Return the rows of a file, in one chunk."""
    schema = INPUTS if kind == "inputs" else row_schema(kind)
    with reading(path, encoded=kind != "inputs") as file:
        table = conformed(file.read(use_threads=False), schema)
    return table.unify_dictionaries().combine_chunks()


def _sorted(tables: Sequence[pa.Table]) -> pa.Table:
    """Return rows of `inputs` by id; one that was refused before it was taken in."""
    order = [("input", "ascending"), ("status", "descending")]
    return pa.concat_tables(tables).sort_by(order)


def _in_order(tables: Sequence[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows of each input as they lie, inputs by their first hour and id.

    So each row group is of few hours, however the inputs were shared among files.
    """
    runs = []
    for table in tables:
        starts, ids = _runs(table)
        hours = table["hour"].cast(pa.int64()).to_numpy()
        firsts = np.minimum.reduceat(hours, starts)
        ends = [*starts[1:], table.num_rows]
        for first, start, end, input_id in zip(firsts, starts, ends, ids, strict=True):
            runs.append((first, input_id, table.slice(start, end - start)))
    runs.sort(key=lambda run: run[:2])
    for _, _, rows in runs:
        yield rows


def _runs(table: pa.Table) -> tuple[list[int], list[str]]:
    """Return where the rows of each input begin, and its id."""
    ids = table["input"].combine_chunks()
    changes = np.flatnonzero(np.diff(ids.indices.to_numpy())) + 1
    starts = [0, *changes.tolist()]
    return starts, ids.take(pa.array(starts)).to_pylist()


def _sums(tables: Sequence[pa.Table], kind: str) -> pa.Table:
    """Return how many rows each input has and what they add up to, in order of ids."""
    measures = _MEASURES[kind]
    rows = pa.concat_tables(table.select(["input", *measures]) for table in tables)
    rows = _with_sums_of_lists(rows.unify_dictionaries().combine_chunks())
    sums = rows.group_by("input").aggregate(
        [("input", "count"), *((name, "sum") for name in measures)]
    )
    ids = sums["input"].cast(pa.string())
    return sums.set_column(0, "input", ids).sort_by("input")


def _with_sums_of_lists(rows: pa.Table) -> pa.Table:
    for index, field in enumerate(rows.schema):
        if pa.types.is_list(field.type):
            lists = rows.column(index).combine_chunks()
            values = lists.flatten().to_numpy().astype(np.int64)
            ends = np.cumsum(pc.list_value_length(lists).to_numpy())
            running = np.append(0, np.cumsum(values))
            sums = np.diff(running[np.append(0, ends)])
            rows = rows.set_column(index, field.name, pa.array(sums))
    return rows


def _check(path: Path, kind: str, expected: pa.Table) -> None:
    """Read back what was written, and compare it with what it is to replace."""
    with reading(path, encoded=kind != "inputs") as file:
        found = _sums([file.read(["input", *_MEASURES[kind]])], kind)
    if found == expected:
        return
    pairs = zip_longest(expected.to_pylist(), found.to_pylist())
    was, now = next((was, now) for was, now in pairs if was != now)
    raise InternalError(
        f"{path}: {kind} would hold {now} in place of {was}; nothing was changed, "
        "please report this"
    )
