"""Counting a capture: by one worker, or by several that share its parts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from fastflow.phases import NO_PHASES, Phases
from fastflow.reader import Reader
from fastflow.split import can_split, in_parts
from fastflow.stages.country import CountryTable
from fastflow.stages.rows import Runs
from fastflow.stages.spill import Memory
from fastflow.stages.tally import HourlyTally


class Counting:
    """Counts captures, one after the other or at the same time, in bounded memory.

    Tallies are used again and again, so that a small capture costs no new memory.

    Parameters
    ----------
    country_table : CountryTable
    memory : Memory or None
        Where runs are kept; None: a budget of its own.
    phases : Phases
        Where the time is noted that this takes.
    """

    def __init__(
        self,
        country_table: CountryTable,
        memory: Memory | None = None,
        phases: Phases = NO_PHASES,
    ) -> None:
        self._table = country_table
        self._memory = memory or Memory()
        self._phases = phases
        self._idle: deque[HourlyTally] = deque()

    def count(self, reader: Reader, workers: int = 1) -> Runs:
        """Count every packet of a capture whose file header has been read.

        Parameters
        ----------
        workers : int
            Threads that count, where the capture can be split; no row depends on it.

        Raises
        ------
        FastflowError
            Memory is used up, and cells cannot be put aside on disk.
        """
        if workers == 1 or not can_split(reader):
            return self._count(reader)
        part_bytes = -(-(reader.stream.size_bytes or 0) // workers)
        parts = in_parts(reader, self._count_part, workers, part_bytes)
        return [run for part in parts for run in part]

    def _count_part(self, reader: Reader) -> Iterator[Runs]:
        yield self._count(reader)

    def _count(self, reader: Reader) -> Runs:
        try:
            tally = self._idle.pop()
        except IndexError:
            tally = HourlyTally(self._table, memory=self._memory, phases=self._phases)
        tally.add(reader)
        runs = tally.take_runs()
        self._idle.append(tally)  # not after an error: it may be half done
        return runs
