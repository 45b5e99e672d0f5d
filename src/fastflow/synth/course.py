"""How a level goes over the days of the scenario: straight lines between knots."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from fastflow.synth.draws import Int64s
from fastflow.zones import hour_number

#: The first day, and how many there are: two quarters.
FIRST_DAY = date(2020, 4, 1)
N_DAYS = 183
#: The day that the second quarter begins with.
SECOND_QUARTER = 91

FIRST_HOUR = hour_number(datetime(2020, 4, 1, tzinfo=UTC))

#: What is always there has this level.
PER_MILLE = 1000


def day_number(iso_day: str) -> int:
    """Return which day of the scenario this is, 0 for the first."""
    return (date.fromisoformat(iso_day) - FIRST_DAY).days


def day_at(number: int) -> date:
    """Return a day of the scenario by its number."""
    return FIRST_DAY + timedelta(days=number)


@dataclass(frozen=True)
class Surge:
    """Some days on which there is more of something.

    Attributes
    ----------
    day : str
        The first, ISO 8601.
    days : int
        How many.
    per_mille : int
        What the level is multiplied by.
    """

    day: str
    days: int
    per_mille: int


@dataclass(frozen=True)
class Course:
    """A level by day, in thousandths.

    Attributes
    ----------
    knots : tuple of (str, int)
        Days and their levels; before the first and after the last one it stays.
    surges : tuple of Surge
    """

    knots: tuple[tuple[str, int], ...] = (("2020-04-01", PER_MILLE),)
    surges: tuple[Surge, ...] = ()

    def levels(self) -> Int64s:
        """Return the level of each day of the scenario."""
        days = [day_number(day) for day, _ in self.knots]
        values = [value for _, value in self.knots]
        found = np.full(N_DAYS, values[0], np.int64)
        for number, begin in enumerate(days[:-1]):
            end, rise = days[number + 1], values[number + 1] - values[number]
            steps = np.arange(end - begin, dtype=np.int64)
            found[begin:end] = values[number] + rise * steps // (end - begin)
        found[days[-1] :] = values[-1]
        for surge in self.surges:
            begin = day_number(surge.day)
            found[begin : begin + surge.days] *= surge.per_mille
            found[begin : begin + surge.days] //= PER_MILLE
        return found


STEADY = Course()


def step(day: str, before: int, after: int = PER_MILLE) -> Course:
    """Return a course that changes from one day to the next."""
    eve = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
    return Course(((eve, before), (day, after)))
