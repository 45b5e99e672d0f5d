"""Hours, local days and local weeks: the steps of a course over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise

from fastflow.errors import ConfigError
from fastflow.zones import HOUR, hour_at, hour_number, offsets, start_of_day

#: A course of more steps is a mistake, or for another tool.
MAX_BUCKETS = 100_000

_DAY_ONE = date(1970, 1, 1)

#: Hours of a step, and by how many the first one begins before 1970: weeks begin on
#: Monday, and 1970-01-01 was a Thursday.
_STEPS = {"hour": (1, 0), "day": (24, 0), "week": (7 * 24, 3 * 24)}


#: A row's `hour_number`.
_HOUR = "epoch_us(hour) // 3_600_000_000"


class Buckets:
    """The hours, days or weeks of a zone between two moments.

    A bucket's number is that of its hours as clocks of the zone show them, divided by
    their number: the same in Python and in SQL, where clocks are changed as well.

    Parameters
    ----------
    every : str
        hour, day or week.
    zone : datetime.tzinfo
        Whose days and weeks.
    start, end : datetime.datetime, UTC
        Whole hours, the second exclusive.

    Attributes
    ----------
    starts : list of datetime.datetime, UTC
        When each begins; the first not before `start`.
    first : int
        Number of the first one; the others count on.
    sql : str
        The number of a row's bucket.

    Raises
    ------
    ConfigError
        There is no such step, there are too many, or the zone is not whole hours away
        from UTC.
    """

    def __init__(
        self, every: str, zone: tzinfo, start: datetime, end: datetime
    ) -> None:
        if every not in _STEPS:
            raise ConfigError(f"no steps of {every!r}; there are {', '.join(_STEPS)}")
        self._size, self._shift = _STEPS[every]
        # An hour is an hour everywhere, and two may show the same time in autumn.
        self._zone = UTC if every == "hour" else zone
        changes = [
            (hour_number(since), hours)
            for since, hours in offsets(self._zone, start, end)
        ]
        self.sql = f"({_HOUR} + {_offset_sql(changes)} + {self._shift}) // {self._size}"
        self.first = (hour_number(start) + changes[0][1] + self._shift) // self._size
        last = hour_number(end - HOUR) + changes[-1][1] + self._shift
        n_buckets = last // self._size - self.first + 1
        if n_buckets > MAX_BUCKETS:
            raise ConfigError(
                f"{n_buckets:,} {every}s are too many for a course; "
                "name a period, or longer steps"
            )
        self.starts = [
            max(start, self._start(self.first + index)) for index in range(n_buckets)
        ]

    def _start(self, number: int) -> datetime:
        hours = number * self._size - self._shift
        if self._zone is UTC:
            return hour_at(hours)
        return start_of_day(_DAY_ONE + timedelta(hours=hours), self._zone)


def _offset_sql(changes: Sequence[tuple[int, int]]) -> str:
    """Return how many hours the zone is ahead of UTC in a row's hour, as SQL."""
    whens = [
        f"when {_HOUR} < {until} then {hours}"
        for (_, hours), (until, _) in pairwise(changes)
    ]
    last = changes[-1][1]
    return f"case {' '.join(whens)} else {last} end" if whens else str(last)
