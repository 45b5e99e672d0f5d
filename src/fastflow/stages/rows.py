"""Rows of `counts` and `sources`: runs of cells, merged and added up, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fastflow import _core, _rollup, _tally
from fastflow.arena import Arenas, Layout, string_array
from fastflow.schema import arrow_type, row_schema

#: Rows of a batch, unless fewer are wanted.
BATCH_ROWS = 1 << 18

_ADDRESS_BYTES = 16


#: What tallies have put aside; of any number of them, in any order.
Runs = list[_tally.Run]


class HourlyRows:
    """The rows of `counts` and `sources` of one input, in canonical order.

    Sorted by hour, protocol, traffic, port or ICMP type, signature (window, MSS, window
    scale, kinds), country, IP version and source. They can be read any number of times,
    by several threads at once.

    Parameters
    ----------
    runs : list of _tally.Run
    country_codes : sequence of str
        By country number; the first is that of none.
    sensor, input_id : str
        The same in all rows.
    """

    def __init__(
        self,
        runs: Runs,
        country_codes: Sequence[str],
        sensor: str,
        input_id: str,
    ) -> None:
        self._runs = runs
        self._country_codes = country_codes
        self._constants = {"sensor": sensor, "input": input_id, "tool": None}

    @property
    def n_cells(self) -> int:
        """At least as many as there are rows of either grain."""
        return sum(run.n_cells for run in self._runs)

    def read(self, grain: str) -> RowReader:
        """Return a reader over the rows of `counts` or of `sources`."""
        return RowReader(grain, self._runs, self._country_codes, self._constants)

    def table(self, grain: str) -> pa.Table:
        """Return all rows of `counts` or of `sources`."""
        return self.read(grain).table()

    def tables(self, workers: int = 1) -> tuple[pa.Table, pa.Table]:
        """Return all rows of `counts` and of `sources`, and let go of the runs.

        Two workers make them at the same time. `sources` are made last, out of runs
        whose memory is free as soon as they are read.
        """
        readers = [self.read(grain) for grain in ("counts", "sources")]
        self.close()
        with ThreadPoolExecutor(min(workers, 2)) as pool:
            counts, sources = pool.map(RowReader.table, readers)
        return counts, sources

    def close(self) -> None:
        """Let go of the runs; their memory may be taken by others."""
        self._runs = []


@dataclass(frozen=True)
class _Grain:
    """What the rows of a table look like, and where the columns of a batch lie."""

    schema: pa.Schema
    names: list[str]
    types: list[pa.DataType]
    dictionaries: list[str | None]
    columns: list[tuple[str, int, object]]


@cache
def _grain(name: str) -> _Grain:
    fields = _rollup.row_fields(name)
    return _Grain(
        schema=row_schema(name),
        names=[f["name"] for f in fields],
        types=[arrow_type(f["arrow"], f["dictionary"]) for f in fields],
        dictionaries=[f["dictionary"] for f in fields],
        columns=[
            (f["name"], f["width_bytes"], f["name"] if f["nullable"] else None)
            for f in fields
        ],
    )


@lru_cache(maxsize=64)
def _layout(grain: str, rows: int) -> Layout:
    return Layout(_grain(grain).columns, rows)


class RowReader:
    """Reads rows of one grain from their beginning, some at a time.

    The dictionaries hold the texts of what is read at a time, by first appearance: the
    same rows give the same batch, whatever runs they come from.
    """

    def __init__(
        self,
        grain: str,
        runs: Runs,
        country_codes: Sequence[str],
        constants: dict[str, str | None],
    ) -> None:
        self._name = grain
        self._grain = _grain(grain)
        self._rollup = _rollup.Rollup(grain, runs)
        self._country_codes = country_codes
        self._constants = {
            name: pa.array([] if value is None else [value], pa.string())
            for name, value in constants.items()
        }
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
            columns[name] = _constant(text, n_rows)
        if "src" in columns:
            columns["src"] = _of_any_length(columns["src"])
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
        countries = [self._country_codes[i] for i in self._rollup.countries()]
        traffics = [_core.TRAFFICS[i] for i in self._rollup.traffics()]
        return {
            "signatures": string_array(*self._rollup.lexicon.texts("signatures")),
            "countries": pa.array(countries, pa.string()),
            "traffics": pa.array(traffics, pa.string()),
        }


def _offsets(n_addresses: int) -> npt.NDArray[np.int32]:
    return np.arange(n_addresses + 1, dtype=np.int32) * np.int32(_ADDRESS_BYTES)


#: For columns that are the same in all rows, and addresses, which are equally long.
_ZEROS = pa.array(np.zeros(BATCH_ROWS, np.int32))
_OFFSETS = _offsets(BATCH_ROWS)


def _constant(text: pa.Array, n_rows: int) -> pa.Array:
    """Return a column that has the one text in every row, or null if there is none."""
    if len(text) == 0:
        codes = pa.nulls(n_rows, pa.int32())
    elif n_rows <= len(_ZEROS):
        codes = _ZEROS.slice(0, n_rows)
    else:
        codes = pa.array(np.zeros(n_rows, np.int32))
    return pa.DictionaryArray.from_arrays(codes, text, safe=False)


def _of_any_length(addresses: pa.Array) -> pa.Array:
    """Return addresses as binary values, copying nothing."""
    n = len(addresses)
    offsets = _OFFSETS[: n + 1] if n < len(_OFFSETS) else _offsets(n)
    values = addresses.buffers()[1]
    return pa.Array.from_buffers(pa.binary(), n, [None, pa.py_buffer(offsets), values])
