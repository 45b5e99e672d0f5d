"""Courses over time: steps of the report's zone, lines, and where hours are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fastflow.analysis.buckets import Buckets
from fastflow.analysis.coverage import INPUT_HOURS, cover, spans
from fastflow.analysis.selection import Selection
from fastflow.analysis.where import Hours
from fastflow.zones import hour_number

_STEP = {"hour": timedelta(hours=1), "day": timedelta(days=1)}

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Line:
    """One line of a course.

    Attributes
    ----------
    key : str
        What machines call it, as `445/tcp`.
    of : dict
        What is counted, as packet columns; `rest`: all else of the same traffic.
    values : list of int or None
        One for each step; None: no input covers any of it.
    """

    key: str
    of: dict[str, Any]
    values: list[int | None]


@dataclass(frozen=True)
class Course:
    """How something went over time.

    Attributes
    ----------
    measure, every : str
        packets or sources; hour or day.
    times : list of str
        Where each step begins, as a clock of the zone shows it.
    lines : list of Line
    gaps : list of (str, str)
        Stretches of steps in which hours of a sensor are missing, as `times`, the
        second exclusive.
    """

    measure: str
    every: str
    times: list[str]
    lines: list[Line]
    gaps: list[tuple[str, str]]


class Steps:
    """The hours or days of a zone within some hours, and what inputs cover of them.

    Raises
    ------
    ConfigError
        One begins within a day of UTC that was added up.
    """

    def __init__(self, selection: Selection, every: str, hours: Hours) -> None:
        self._selection = selection
        self._every = every
        self.hours = hours
        self.buckets = Buckets(every, selection.zone, *hours)
        selection.days.check(self.buckets.starts)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.buckets.starts)

    @property
    def number(self) -> str:
        """SQL: the number of a row's step, from 0 on."""
        return f"({self.buckets.sql} - {self.buckets.first})"

    @property
    def zone(self) -> tzinfo:
        """Whose days they are."""
        return self._selection.zone

    @cached_property
    def times(self) -> list[str]:
        """Where each step begins, as a clock of the zone shows it."""
        return [self.wall(start) for start in self.buckets.starts]

    def wall(self, moment: datetime) -> str:
        """Return a moment as a clock of the zone shows it."""
        return moment.astimezone(self.zone).replace(tzinfo=None).isoformat()

    def course(
        self, measure: str, lines: Sequence[tuple[str, dict[str, Any], Counts]]
    ) -> Course:
        """Return a course of lines, each with its key, what it is of, and counts."""
        return Course(
            measure,
            self._every,
            self.times,
            [Line(key, of, self._known(counts)) for key, of, counts in lines],
            self._gaps,
        )

    def _known(self, counts: Counts) -> list[int | None]:
        return [
            int(value) if value or is_covered else None
            for value, is_covered in zip(counts, self._is_covered, strict=True)
        ]

    @cached_property
    def _start_hours(self) -> list[int]:
        return [hour_number(start) for start in self.buckets.starts]

    @cached_property
    def _coverage(self) -> Any:
        selection = self._selection
        inputs = selection.store.sql(INPUT_HOURS)
        start, end = map(hour_number, self.hours)
        return cover(inputs, selection.network, selection.sensor_names, start, end)

    @cached_property
    def _is_covered(self) -> npt.NDArray[np.bool_]:
        """Whether any sensor's inputs cover any hour of each step."""
        sensors = self._coverage.sensors.values()
        n_hours = self._coverage.end - self._coverage.start
        covered = np.zeros(n_hours, np.bool_)
        for hours in sensors:
            covered |= hours.is_covered
        begins = np.asarray(self._start_hours) - self._coverage.start
        found: npt.NDArray[np.bool_] = np.logical_or.reduceat(covered, begins)
        return found

    @cached_property
    def _gaps(self) -> list[tuple[str, str]]:
        is_gap = self._coverage.gaps(self._start_hours)
        ends = [*self.times, self.wall(self.hours[1])]
        return [(ends[first], ends[after]) for first, after in spans(is_gap, 0)]
