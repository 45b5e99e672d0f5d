"""Rows of tables: runs of cells, merged and added up, in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache

import pyarrow as pa

from fastflow import _core, _rollup, _tally
from fastflow.arena import Arenas, Layout, string_array
from fastflow.schema import ROW_TABLES, arrow_type, row_schema
from fastflow.stages.columns import BATCH_ROWS, constant, of_any_length
from fastflow.stages.echoes import EchoReader

#: What tallies have put aside; of any number of them, in any order.
Runs = list[_tally.Run]


class HourlyRows:
    """The rows of one input, in canonical order.

    Sorted by hour, protocol, traffic, port or ICMP type, tool, signature (window, MSS,
    window scale, kinds), country, IP version and source; those of `backscatter` by
    hour, country, IP version and victim. They can be read any number of times, by
    several threads at once.

    Parameters
    ----------
    runs : list of _tally.Run
    country_codes : sequence of str
        By country number; the first is that of none.
    tools : sequence of str
        The names of tools; the first has code 1.
    sensor, input_id : str
        The same in all rows.
    """

    def __init__(
        self,
        runs: Runs,
        country_codes: Sequence[str],
        tools: Sequence[str],
        sensor: str,
        input_id: str,
    ) -> None:
        self._runs = runs
        self._names = Names(country_codes, tools)
        self._constants = {"sensor": sensor, "input": input_id}

    @property
    def n_cells(self) -> int:
        """At least as many as there are rows of either grain."""
        return sum(run.n_cells for run in self._runs)

    def read(self, table: str) -> RowReader | EchoReader:
        """Return a reader over the rows of `counts`, `sources` or `backscatter`."""
        if table != "backscatter":
            return RowReader(table, self._runs, self._names, self._constants)
        cells = RowReader("echoes", self._runs, self._names, {})
        return EchoReader(cells, self._constants)

    def table(self, table: str) -> pa.Table:
        """Return all rows of `counts`, `sources` or `backscatter`."""
        return self.read(table).table()

    def tables(self, workers: int = 1) -> tuple[pa.Table, pa.Table]:
        """Return all rows of `counts` and of `sources`, and let go of the runs.

        Two workers make them at the same time. `sources` are made last, out of runs
        whose memory is free as soon as they are read.
        """
        readers = [
            RowReader(grain, self._runs, self._names, self._constants)
            for grain in ("counts", "sources")
        ]
        self.close()
        with ThreadPoolExecutor(min(workers, 2)) as pool:
            counts, sources = pool.map(RowReader.table, readers)
        return counts, sources

    def close(self) -> None:
        """Let go of the runs; their memory may be taken by others."""
        self._runs = []


@dataclass(frozen=True)
class _Grain:
    """What rows look like, and where the columns of a batch lie."""

    schema: pa.Schema
    names: list[str]
    types: list[pa.DataType]
    dictionaries: list[str | None]
    columns: list[tuple[str, int, object]]


@cache
def _grain(name: str) -> _Grain:
    fields = _rollup.row_fields(name)
    names = [f["name"] for f in fields]
    types = [arrow_type(f["arrow"], f["dictionary"]) for f in fields]
    is_table = name in ROW_TABLES
    return _Grain(
        schema=row_schema(name)
        if is_table
        else pa.schema(zip(names, types, strict=True)),
        names=names,
        types=types,
        dictionaries=[f["dictionary"] for f in fields],
        columns=[
            (f["name"], f["width_bytes"], f["name"] if f["nullable"] else None)
            for f in fields
        ],
    )


@lru_cache(maxsize=64)
def _layout(grain: str, rows: int) -> Layout:
    return Layout(_grain(grain).columns, rows)


@dataclass(frozen=True)
class Names:
    """What the numbers of countries (0: none) and tools (from 1 on) stand for."""

    countries: Sequence[str]
    tools: Sequence[str]


class RowReader:
    """Reads rows of one grain from their beginning, some at a time.

    The dictionaries hold the texts of what is read at a time, by first appearance: the
    same rows give the same batch, whatever runs they come from.
    """

    def __init__(
        self,
        grain: str,
        runs: Runs,
        names: Names,
        constants: Mapping[str, str],
    ) -> None:
        self._name = grain
        self._grain = _grain(grain)
        self._rollup = _rollup.Rollup(grain, runs)
        self._names = names
        self._constants = {name: pa.array([text]) for name, text in constants.items()}
        # There are no more rows than cells.
        self._n_left = sum(run.n_cells for run in runs)
        self._arenas = Arenas(0, 0)

    def read(self, rows: int) -> pa.RecordBatch:
        """Return the next rows, at most so many; none at the end."""
        wanted = max(1, min(rows, self._n_left))
        layout = _layout(self._name, wanted)
        if self._arenas.size_bytes != layout.size_bytes:
            self._arenas = Arenas(layout.size_bytes, 2)
        arena, view = layout.allocate(self._arenas)
        values = [column.value_off for column in layout.columns]
        valid = [column.valid_off for column in layout.columns]
        n_rows = self._rollup.fill(view, values, valid, wanted)
        self._n_left = 0 if n_rows < wanted else self._n_left - n_rows
        return self._batch(layout, arena, n_rows)

    def _batch(self, layout: Layout, arena: pa.Buffer, n_rows: int) -> pa.RecordBatch:
        grain, texts = self._grain, self._texts()
        dictionaries = [kind and texts[kind] for kind in grain.dictionaries]
        arrays = layout.wrap(arena, n_rows, grain.types, dictionaries)
        columns = dict(zip(grain.names, arrays, strict=True))
        for name, text in self._constants.items():
            columns[name] = constant(text, n_rows)
        if "src" in columns and self._name in ROW_TABLES:
            columns["src"] = of_any_length(columns["src"])
        arrays = [columns[name] for name in grain.schema.names]
        return pa.RecordBatch.from_arrays(arrays, schema=grain.schema)

    @property
    def is_at_end(self) -> bool:
        """Whether no rows are left."""
        return self._n_left == 0

    def table(self) -> pa.Table:
        """Return all rows that are left."""
        batches = []
        while not self.is_at_end:
            if (batch := self.read(BATCH_ROWS)).num_rows:
                batches.append(batch)
        return pa.Table.from_batches(batches, self._grain.schema)

    def _texts(self) -> dict[str, pa.Array]:
        """Return the dictionaries of the batch that was filled last."""
        countries = [self._names.countries[i] for i in self._rollup.countries()]
        traffics = [_core.TRAFFICS[i] for i in self._rollup.traffics()]
        tools = [self._names.tools[i - 1] for i in self._rollup.tools()]
        return {
            "signatures": string_array(*self._rollup.lexicon.texts("signatures")),
            "countries": pa.array(countries, pa.string()),
            "traffics": pa.array(traffics, pa.string()),
            "tools": pa.array(tools, pa.string()),
        }
