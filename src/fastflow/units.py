"""Units of time, periods such as `2020-Q3`, and sizes as people read them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal, Self

from fastflow.errors import ConfigError
from fastflow.zones import offsets, start_of_day

SECOND_NS = 1_000_000_000

PeriodKind = Literal["year", "quarter", "month", "week", "day", "range"]

PERIOD_FORMS = "2020, 2020-Q3, 2020-08, 2020-W35, 2020-08-27 or 2020-08-26..2020-09-02"


@dataclass(frozen=True)
class Period:
    """A span of whole days with a name.

    Attributes
    ----------
    text : str
        The period as it is written, e.g. `2020-Q3`.
    start, end : datetime.datetime, UTC
        First moment of the period, and first moment after it.
    zone : datetime.tzinfo
        Whose days they are.
    """

    text: str
    kind: PeriodKind
    start: datetime
    end: datetime
    zone: tzinfo = UTC

    @classmethod
    def parse(cls, text: str, zone: tzinfo = UTC) -> Self:
        """Read a period.

        Parameters
        ----------
        text : str
            A year, quarter, month, ISO week, day, or two days (both inclusive).
        zone : datetime.tzinfo
            Whose days are meant.

        Raises
        ------
        ConfigError
            The text is none of these, or names no day of the calendar, or the zone is
            not whole hours away from UTC during the period.
        """
        for kind, pattern, days in _FORMS:
            match = pattern.fullmatch(text.strip())
            if match is None:
                continue
            try:
                first, after = days(*match.groups())
            except (ValueError, OverflowError):
                break
            if first < after:
                return cls._of_days(text.strip(), kind, first, after, zone)
        raise ConfigError(f"{text!r} is no period; write {PERIOD_FORMS}")

    @classmethod
    def _of_days(
        cls, text: str, kind: PeriodKind, first: date, after: date, zone: tzinfo
    ) -> Self:
        try:
            start, end = start_of_day(first, zone), start_of_day(after, zone)
        except OverflowError as error:
            raise ConfigError(f"{text}: beyond the calendar in {zone}") from error
        offsets(zone, start, end)  # raises where a day has no whole hours
        return cls(text, kind, start, end, zone)

    @property
    def hours(self) -> tuple[datetime, datetime]:
        """Start and end."""
        return self.start, self.end

    def previous(self) -> Period:
        """Return the period of the same kind just before this one.

        Raises
        ------
        ConfigError
            The calendar begins with this period.
        """
        try:
            return Period.parse(self._previous_text(), self.zone)
        except OverflowError as error:
            raise ConfigError(f"there is no period before {self.text}") from error

    def _previous_text(self) -> str:
        first, after = self._local_day(self.start), self._local_day(self.end)
        last = first - timedelta(days=1)
        match self.kind:
            case "year":
                return f"{last.year:04}"
            case "quarter":
                return f"{last.year:04}-Q{(last.month + 2) // 3}"
            case "month":
                return f"{last.year:04}-{last.month:02}"
            case "week":
                year, week, _ = last.isocalendar()
                return f"{year:04}-W{week:02}"
            case "day":
                return last.isoformat()
            case "range":
                return f"{first - (after - first)}..{last}"

    def _local_day(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()


_DURATION_UNITS = {"d": "days", "h": "hours"}


def parse_duration(text: str) -> timedelta:
    """Return a span of whole days or hours, written `7d` or `12h`.

    Raises
    ------
    ConfigError
        The text is neither, or too long a time.
    """
    match = re.fullmatch(r"(\d{1,5})([dh])", text.strip(), re.ASCII)
    if match is None:
        raise ConfigError(f"{text!r} is no span of time; write 7d or 12h")
    return timedelta(**{_DURATION_UNITS[match[2]]: int(match[1])})


def parse_past_day(text: str) -> datetime:
    """Return the midnight (UTC) that a day begins with, written `2020-01-01`.

    Or the last one that was at least so long ago, written `400d`.

    Raises
    ------
    ConfigError
        The text is neither.
    """
    if re.fullmatch(_DAY, text.strip()):
        return Period.parse(text).start
    try:
        moment = datetime.now(UTC) - parse_duration(text)
    except (ConfigError, OverflowError) as error:
        raise ConfigError(f"{text!r} is no day; write 2020-01-01 or 400d") from error
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _year(year: str) -> tuple[date, date]:
    return date(int(year), 1, 1), date(int(year) + 1, 1, 1)


def _quarter(year: str, quarter: str) -> tuple[date, date]:
    first, _ = _month(year, str(int(quarter) * 3 - 2))
    _, after = _month(year, str(int(quarter) * 3))
    return first, after


def _month(year: str, month: str) -> tuple[date, date]:
    first = date(int(year), int(month), 1)
    return first, (first + timedelta(days=31)).replace(day=1)


def _week(year: str, week: str) -> tuple[date, date]:
    first = date.fromisocalendar(int(year), int(week), 1)
    return first, first + timedelta(days=7)


def _day(day: str) -> tuple[date, date]:
    return _range(day, day)


def _range(first: str, last: str) -> tuple[date, date]:
    return date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1)


_DAY = r"(\d{4}-\d\d-\d\d)"
_FORMS: tuple[
    tuple[PeriodKind, re.Pattern[str], Callable[..., tuple[date, date]]], ...
] = (
    ("year", re.compile(r"(\d{4})", re.ASCII), _year),
    ("quarter", re.compile(r"(\d{4})-Q([1-4])", re.ASCII), _quarter),
    ("month", re.compile(r"(\d{4})-(\d\d)", re.ASCII), _month),
    ("week", re.compile(r"(\d{4})-W(\d\d)", re.ASCII), _week),
    ("day", re.compile(_DAY, re.ASCII), _day),
    ("range", re.compile(rf"{_DAY}\.\.{_DAY}", re.ASCII), _range),
)


def format_count(count: float) -> str:
    """Return a count as people read it: `999`, `12.3 k`, `4.56 M`."""
    return _scaled(count, ("", " k", " M", " G", " T", " P"))


def format_bytes(size_bytes: float) -> str:
    """Return a size in decimal units: `999 B`, `12.3 kB`, `4.56 GB`."""
    return _scaled(size_bytes, (" B", " kB", " MB", " GB", " TB", " PB"))


def _scaled(value: float, suffixes: tuple[str, ...]) -> str:
    """Divide by 1000 until at most three digits are left before the point."""
    power = 0
    # 999.5 rounds to 1000 in three digits, so it belongs to the next unit.
    while abs(value) >= 999.5 and power < len(suffixes) - 1:
        value /= 1000
        power += 1
    if power == 0:
        return f"{value:.0f}{suffixes[0]}"
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{decimals}f}{suffixes[power]}"


def iso_time(ts_ns: int) -> str:
    """Return a time, nanoseconds since 1970 UTC, in ISO 8601 to the nanosecond."""
    seconds, rest_ns = divmod(ts_ns, SECOND_NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest_ns:09d}Z"
