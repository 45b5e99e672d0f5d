"""Days of UTC whose hours were added up, and questions that would have to cut them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fastflow.errors import ConfigError
from fastflow.zones import hour_at, hour_number


@dataclass(frozen=True)
class Days:
    """Before which day a store's rows may be of whole days.

    Attributes
    ----------
    url : str
        Where the store lies.
    before : datetime.datetime or None
        A midnight in UTC; None: all rows are of hours.
    """

    url: str
    before: datetime | None

    def around(self, start: datetime, end: datetime) -> tuple[datetime, datetime]:
        """Return the hours from `start` to `end`, and the rest of such days."""
        if self.before is not None:
            if start < self.before:
                start = hour_at(hour_number(start) // 24 * 24)
            if end < self.before:
                end = hour_at(-(-hour_number(end) // 24) * 24)
        return start, end

    def are_cut(self, moments: Iterable[datetime]) -> bool:
        """Return whether one of these whole hours lies within such a day."""
        before = self.before
        return before is not None and any(
            moment < before and hour_number(moment) % 24 for moment in moments
        )

    def check(self, moments: Iterable[datetime]) -> None:
        """Refuse a question that tells apart what came before and after these hours.

        Raises
        ------
        ConfigError
            One of them lies within a day whose hours were added up.
        """
        if self.are_cut(moments):
            raise ConfigError(
                f"{self.url}: before {self.before:%Y-%m-%d} only days of UTC are left, "
                "which cannot be cut into hours, or days of another zone; ask by days "
                "or weeks (--every) of --tz UTC, or for a period that begins later"
            )
