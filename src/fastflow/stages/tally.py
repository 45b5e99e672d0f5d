"""The hourly tally: packets into cells, cells into rows of `counts` and `sources`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fastflow import _core, _tally
from fastflow.arena import Layout, string_array
from fastflow.schema import COUNTS, SOURCES, arrow_type

if TYPE_CHECKING:
    from fastflow.reader import Reader
    from fastflow.stages.country import CountryTable

#: Cells whose addresses are looked up at a time.
_LOOKUP_CELLS = 1 << 16

_SCHEMAS = {"counts": COUNTS, "sources": SOURCES}


class HourlyTally:
    """Exact packets, bytes and sources by hour, port, country and TCP signature.

    Tallies merge: whatever way captures are split over tallies, and in whatever order
    these are merged, the rows are the same.
    """

    def __init__(self) -> None:
        # Seeded anew in each process, so that nobody can prepare colliding keys.
        seed = int.from_bytes(os.urandom(8))
        self.lexicon = _core.Lexicon(seed)
        self._tally = _tally.Tally(self.lexicon, seed)

    def add(self, reader: Reader) -> None:
        """Count every packet of a capture whose file header has been read."""
        for block in reader.blocks():
            reader.use_up(self._tally.add(reader.scanner, block))

    def merge(self, other: HourlyTally) -> None:
        """Take in everything that another tally has counted."""
        self._tally.merge(other._tally)

    def rows(
        self, country_table: CountryTable, sensor: str, input_id: str
    ) -> tuple[pa.Table, pa.Table]:
        """Return the rows of `counts` and of `sources`, in canonical order.

        Sorted by hour, protocol, traffic, port or ICMP type, signature, country, IP
        version and source; texts are dictionary-encoded.
        """
        signatures, ranks = self._signatures()
        countries = self._countries(country_table)
        rollup = _tally.Rollup(self._tally, countries.data, ranks.data)
        texts = {
            "signatures": signatures,
            "countries": pa.array(country_table.codes[1:], pa.string()),
            "traffics": pa.array(_core.TRAFFICS),
        }
        constants = {"sensor": sensor, "input": input_id, "tool": None}
        return (
            _table(rollup, "counts", texts, constants),
            _table(rollup, "sources", texts, constants),
        )

    def _signatures(self) -> tuple[pa.Array, npt.NDArray[np.uint32]]:
        """Return the signatures, sorted, and each cell's rank from 1; 0 is none's."""
        codes = np.empty(self._tally.n_cells, np.uint32)
        self._tally.signatures(codes.data)
        texts = string_array(*self.lexicon.texts("signatures"))
        order = pc.array_sort_indices(texts)
        ranks = np.zeros(len(texts) + 1, np.uint32)
        ranks[np.asarray(order) + 1] = np.arange(1, len(texts) + 1, dtype=np.uint32)
        return texts.take(order), ranks[codes]

    def _countries(self, table: CountryTable) -> npt.NDArray[np.uint16]:
        """Return the country number of each cell's source."""
        n_cells = self._tally.n_cells
        countries = np.empty(n_cells, np.uint16)
        for begin in range(0, n_cells, _LOOKUP_CELLS):
            n = min(_LOOKUP_CELLS, n_cells - begin)
            addresses = np.empty(n * 16, np.uint8)
            versions = np.empty(n, np.uint8)
            self._tally.sources(begin, addresses.data, versions.data)
            countries[begin : begin + n] = table.lookup(addresses.data, versions.data)
        return countries


def _table(
    rollup: _tally.Rollup,
    grain: str,
    texts: dict[str, pa.Array],
    constants: dict[str, str | None],
) -> pa.Table:
    """Fill the columns of a grain natively, add the constant ones, order them."""
    n_rows = rollup.count(grain)
    fields = _tally.row_fields(grain)
    layout = Layout([(f["name"], f["width_bytes"], f["name"]) for f in fields], n_rows)
    arena, view = layout.allocate()
    values = [column.value_off for column in layout.columns]
    valid = [layout.valid[column.name] for column in layout.columns]
    rollup.fill(grain, view, values, valid, n_rows)
    types = [arrow_type(f["arrow"], f["dictionary"]) for f in fields]
    dictionaries = [f["dictionary"] and texts[f["dictionary"]] for f in fields]
    arrays = layout.wrap(arena, n_rows, types, dictionaries)
    columns = dict(zip((f["name"] for f in fields), arrays, strict=True))
    for name, value in constants.items():
        columns[name] = _constant(value, n_rows)
    schema = _SCHEMAS[grain]
    return pa.table({name: columns[name] for name in schema.names})


def _constant(value: str | None, n_rows: int) -> pa.Array:
    if value is None:
        return pa.nulls(n_rows, pa.string())
    codes = pa.array(np.zeros(n_rows, np.int32))
    return pa.DictionaryArray.from_arrays(codes, pa.array([value]))
