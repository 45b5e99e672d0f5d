"""The hourly tally: packets into cells, cells into runs, runs into rows.

A tally counts into an arena of cells, which grows as long as the budget allows. Then
its cells are sorted and put aside as a run, in a file; what is left at the end becomes
a run in memory. The rows of `counts` and `sources` are the runs of one or several
tallies, merged and added up.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fastflow import _tally
from fastflow.phases import NO_PHASES, Phases
from fastflow.stages.rows import HourlyRows, Runs
from fastflow.stages.spill import Memory

if TYPE_CHECKING:
    from fastflow.reader import Reader
    from fastflow.stages.country import CountryTable

#: Cells whose addresses are looked up at a time.
_LOOKUP_CELLS = 1 << 14

#: Cells that an arena begins with, and grows by; 64 bytes each, and 32 to sort them.
ARENA_CELLS = 1 << 18


class HourlyTally:
    """Exact packets, bytes and sources by hour, port, country and TCP signature.

    Tallies merge: whatever way captures are split over tallies, and in whatever order
    these are merged, the rows are the same.

    Parameters
    ----------
    country_table : CountryTable
    memory : Memory or None
        What the arena may grow by, and where runs are kept; None: its own.
    arena_cells : int
        Cells that the arena begins with, and grows by. No result depends on it.
    tools : sequence of str
        The names of the tools that readers know.
    phases : Phases
        Where the time is noted that this takes.
    """

    def __init__(
        self,
        country_table: CountryTable,
        *,
        memory: Memory | None = None,
        arena_cells: int = ARENA_CELLS,
        tools: Sequence[str] = (),
        phases: Phases = NO_PHASES,
    ) -> None:
        # Seeded anew in each process, so that nobody can prepare colliding keys.
        seed = int.from_bytes(os.urandom(8))
        self._table = country_table
        self._tools = tools
        self._memory = Memory() if memory is None else memory
        self._phases = phases
        self._arena_cells = arena_cells
        max_cells = arena_cells + self._memory.max_cells
        self._tally = _tally.Tally(seed, max_cells, phases is not NO_PHASES)
        self._runs: Runs = []

    def add(self, reader: Reader) -> None:
        """Count every packet of a capture whose file header has been read.

        Raises
        ------
        FastflowError
            Memory is used up, and cells cannot be put aside on disk.
        """
        if self._tally.n_cells and self._tally.lexicon is not reader.scanner.lexicon:
            self._empty()
        if not self._tally.room:
            self._tally.grow(self._arena_cells)
        for block in reader.blocks():
            n_done = self._add(reader, block)
            while self._tally.is_full():
                self._make_room()
                n_done += self._add(reader, block[n_done:])
            reader.use_up(n_done)

    def _add(self, reader: Reader, block: memoryview) -> int:
        before = self._tally.counting_seconds
        with self._phases.phase("scan"):
            n_done = self._tally.add(reader.scanner, block)
        self._phases.move(self._tally.counting_seconds - before, "scan", "tally")
        return n_done

    def merge(self, other: HourlyTally) -> None:
        """Take over everything that another tally has counted."""
        if other is self:
            raise ValueError("a tally cannot be merged with itself")
        self._runs += other.take_runs()

    def take_runs(self) -> Runs:
        """Return all that was counted, and begin anew."""
        if self._tally.n_cells:
            self._empty()
        runs, self._runs = self._runs, []
        return runs

    def rows(self, sensor: str, input_id: str) -> HourlyRows:
        """Return the rows of all that was counted, and begin anew."""
        codes = self._table.codes
        return HourlyRows(self.take_runs(), codes, self._tools, sensor, input_id)

    def _make_room(self) -> None:
        """Let the arena grow, or spill what is in it."""
        if self._memory.take(self._arena_cells):
            self._tally.grow(self._arena_cells)
        else:
            self._spill(self._countries())

    def _empty(self) -> None:
        """Turn what was counted last into a run, and let an arena that grew go."""
        countries = self._countries()
        room = self._tally.room
        if self._memory.is_overdrawn:
            self._spill(countries)
        else:
            with self._phases.phase("tally"):
                run = self._tally.take_run(countries.data)
            self._memory.keep(run)
            self._runs.append(run)
        if self._tally.room > self._arena_cells:
            self._tally.release()
        if not self._tally.room:
            self._memory.give_back(room - self._arena_cells)

    def _spill(self, countries: npt.NDArray[np.uint16]) -> None:
        file = self._memory.spill
        try:
            with self._phases.phase("tally"):
                self._runs.append(self._tally.spill_run(countries.data, file))
        except OSError as error:
            raise file.error(error) from error

    def _countries(self) -> npt.NDArray[np.uint16]:
        """Return the country number of each cell's source."""
        with self._phases.phase("stages"):
            return self._look_up()

    def _look_up(self) -> npt.NDArray[np.uint16]:
        n_cells = self._tally.n_cells
        countries = np.empty(n_cells, np.uint16)
        addresses = np.empty(_LOOKUP_CELLS * 16, np.uint8)
        versions = np.empty(_LOOKUP_CELLS, np.uint8)
        for begin in range(0, n_cells, _LOOKUP_CELLS):
            n = min(_LOOKUP_CELLS, n_cells - begin)
            some, of_some = addresses[: n * 16].data, versions[:n].data
            self._tally.sources(begin, some, of_some)
            countries[begin : begin + n] = self._table.lookup(some, of_some)
        return countries
