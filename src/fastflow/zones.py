"""Time zones in which an hour of the store belongs to one day.

Counts are kept by hours of UTC. A day of a zone consists of whole ones where the zone
is whole hours away from UTC; other zones, as Asia/Kolkata (+05:30), are refused. A day
that is an hour shorter or longer, because clocks are changed, is no trouble.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastflow.errors import ConfigError

HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_zone(name: str) -> tzinfo:
    """Return the zone of an IANA name, or of `UTC`.

    Raises
    ------
    ConfigError
        There is none of this name.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f"{name!r} is no time zone; write an IANA name such as Asia/Tokyo, or UTC"
        ) from error


def hour_number(moment: datetime) -> int:
    """Return the whole hours from 1970 UTC to a moment."""
    return (moment - _EPOCH) // HOUR


def hour_at(number: int) -> datetime:
    """Return the beginning of an hour, in UTC, from its `hour_number`."""
    return _EPOCH + number * HOUR


def iso_local(moment: datetime, zone: tzinfo) -> str:
    """Return a moment in ISO 8601 as a clock of the zone shows it; `Z` for UTC."""
    text = moment.astimezone(zone).isoformat()
    return text.replace("+00:00", "Z") if zone is UTC else text


def start_of_day(day: date, zone: tzinfo) -> datetime:
    """Return the first moment of a day of the zone, in UTC.

    Where clocks go forward at midnight the day begins at one; where they go back to
    midnight it begins with the first of the two.
    """
    return datetime.combine(day, time(), zone).astimezone(UTC)


def offsets(zone: tzinfo, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
    """Return how many hours the zone is ahead of UTC from `start` to `end`.

    Parameters
    ----------
    start, end : datetime.datetime, UTC
        Whole hours, the second exclusive.

    Returns
    -------
    list of (datetime.datetime, int)
        From when on an offset holds, and the offset; the first is that of `start`.

    Raises
    ------
    ConfigError
        The zone is not whole hours away from UTC at some time of these.
    """
    found = [(start, _whole_hours(zone, start))]
    moment = start
    while moment < end - HOUR:
        following = min(moment + _DAY, end - HOUR)
        if _whole_hours(zone, following) != found[-1][1]:
            while _whole_hours(zone, moment) == found[-1][1]:
                moment += HOUR
            found.append((moment, _whole_hours(zone, moment)))
        moment = following
    return found


def _whole_hours(zone: tzinfo, moment: datetime) -> int:
    offset = moment.astimezone(zone).utcoffset() or timedelta()
    hours, rest = divmod(offset, HOUR)
    if rest:
        raise ConfigError(
            f"{zone} is {moment.astimezone(zone):%z} from UTC on "
            f"{moment:%Y-%m-%d}, and hours of UTC are not cut into parts; "
            "name a zone that is whole hours from UTC"
        )
    return hours
