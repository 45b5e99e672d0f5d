"""Rows of `counts` and `sources`: runs of cells, merged and added up, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fastflow import _core, _tally
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
        self._schema = row_schema(grain)
        self._fields = _tally.row_fields(grain)
        self._rollup = _tally.Rollup(grain, runs)
        self._country_codes = country_codes
        self._constants = constants
        # There are no more rows than cells.
        self._n_left = sum(run.n_cells for run in runs)
        self._layout: Layout | None = None

    def read(self, rows: int) -> pa.RecordBatch:
        """Return the next rows, at most so many; none at the end."""
        rows = max(1, min(rows, self._n_left))
        if self._layout is None or self._layout.rows != rows:
            self._layout = self._lay_out(rows)
            self._arenas = Arenas(self._layout.size_bytes, 2)
        layout = self._layout
        arena, view = layout.allocate(self._arenas)
        values = [column.value_off for column in layout.columns]
        valid = [column.valid_off for column in layout.columns]
        n_rows = self._rollup.fill(view, values, valid, layout.rows)
        self._n_left -= n_rows
        types = [arrow_type(f["arrow"], f["dictionary"]) for f in self._fields]
        texts = self._texts()
        dictionaries = [
            f["dictionary"] and texts[f["dictionary"]] for f in self._fields
        ]
        arrays = layout.wrap(arena, n_rows, types, dictionaries)
        names = [f["name"] for f in self._fields]
        columns = dict(zip(names, arrays, strict=True))
        for name, value in self._constants.items():
            columns[name] = _constant(value, n_rows)
        if "src" in columns:
            columns["src"] = _of_any_length(columns["src"])
        arrays = [columns[name] for name in self._schema.names]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def table(self) -> pa.Table:
        """Return all rows that are left."""
        batches = []
        while (batch := self.read(BATCH_ROWS)).num_rows:
            batches.append(batch)
        return pa.Table.from_batches(batches, self._schema)

    def _lay_out(self, rows: int) -> Layout:
        return Layout(
            [
                (f["name"], f["width_bytes"], f["name"] if f["nullable"] else None)
                for f in self._fields
            ],
            rows,
        )

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


def _constant(value: str | None, n_rows: int) -> pa.Array:
    texts = pa.array([] if value is None else [value], pa.string())
    if value is None:
        codes = pa.nulls(n_rows, pa.int32())
    elif n_rows <= len(_ZEROS):
        codes = _ZEROS.slice(0, n_rows)
    else:
        codes = pa.array(np.zeros(n_rows, np.int32))
    return pa.DictionaryArray.from_arrays(codes, texts)


def _of_any_length(addresses: pa.Array) -> pa.Array:
    """Return addresses as binary values, copying nothing."""
    n = len(addresses)
    offsets = _OFFSETS[: n + 1] if n < len(_OFFSETS) else _offsets(n)
    values = addresses.buffers()[1]
    return pa.Array.from_buffers(pa.binary(), n, [None, pa.py_buffer(offsets), values])
