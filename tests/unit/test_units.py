"""Periods are whole days of a zone, and the one before is of the same kind."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow.errors import ConfigError
from fastflow.units import (
    Period,
    format_bytes,
    format_count,
    parse_duration,
    parse_past_day,
)
from fastflow.zones import offsets, time_zone


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "kind", "start", "end", "previous"),
    [
        ("2020", "year", "2020-01-01", "2021-01-01", "2019"),
        ("2020-Q3", "quarter", "2020-07-01", "2020-10-01", "2020-Q2"),
        ("2020-Q1", "quarter", "2020-01-01", "2020-04-01", "2019-Q4"),
        ("2020-Q4", "quarter", "2020-10-01", "2021-01-01", "2020-Q3"),
        ("2020-08", "month", "2020-08-01", "2020-09-01", "2020-07"),
        ("2020-12", "month", "2020-12-01", "2021-01-01", "2020-11"),
        ("2020-01", "month", "2020-01-01", "2020-02-01", "2019-12"),
        ("2020-W35", "week", "2020-08-24", "2020-08-31", "2020-W34"),
        ("2021-W01", "week", "2021-01-04", "2021-01-11", "2020-W53"),
        ("2020-W01", "week", "2019-12-30", "2020-01-06", "2019-W52"),
        ("2020-08-27", "day", "2020-08-27", "2020-08-28", "2020-08-26"),
        ("2020-03-01", "day", "2020-03-01", "2020-03-02", "2020-02-29"),
        (
            "2020-08-26..2020-09-02",
            "range",
            "2020-08-26",
            "2020-09-03",
            "2020-08-18..2020-08-25",
        ),
        (
            "2020-08-26..2020-08-26",
            "range",
            "2020-08-26",
            "2020-08-27",
            "2020-08-25..2020-08-25",
        ),
    ],
)
def test_period_and_the_one_before(text, kind, start, end, previous):
    period = Period.parse(text)
    assert (period.text, period.kind) == (text, kind)
    assert (period.start, period.end) == (day(start), day(end))
    assert period.previous().text == previous
    assert period.previous().end == period.start
    assert period.previous().kind == kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20",
        "2020-Q5",
        "2020-Q0",
        "2020-13",
        "2020-00",
        "2020-W54",
        "2021-W53",
        "2020-W00",
        "2020-02-30",
        "2020-8",
        "2020-09-02..2020-08-26",
        "2020-08-26..",
        "2020-08..2020-09",
        "0000",
        "9999",
        "9999-12-31",
        "last week",
        "\uff12\uff10\uff12\uff10",
    ],
)
def test_bad_period_names_the_forms(text):
    with pytest.raises(ConfigError, match=r"2020-Q3.*2020-W35.*2020-08-26\.\."):
        Period.parse(text)


@pytest.mark.parametrize("text", ["0001", "0001-Q1", "0001-01-01", "0001-W01"])
def test_calendar_has_a_beginning(text):
    with pytest.raises(ConfigError):
        Period.parse(text).previous()


@given(
    st.dates(
        min_value=datetime(1971, 1, 1).date(), max_value=datetime(2099, 1, 1).date()
    )
)
def test_day_lies_in_its_week_month_and_quarter(date):
    year, week, _ = date.isocalendar()
    moment = datetime(date.year, date.month, date.day, 12, tzinfo=UTC)
    for text in (
        f"{year}-W{week:02}",
        f"{date:%Y-%m}",
        f"{date.year}-Q{(date.month + 2) // 3}",
        f"{date.year}",
        f"{date}",
        f"{date}..{date}",
    ):
        period = Period.parse(text)
        assert period.start <= moment < period.end
        assert not period.previous().start <= moment < period.previous().end


@pytest.mark.parametrize(
    ("zone", "text", "start", "end", "previous"),
    [
        ("Asia/Tokyo", "2020-Q3", "2020-06-30T15", "2020-09-30T15", "2020-Q2"),
        ("Europe/Berlin", "2020-10-25", "2020-10-24T22", "2020-10-25T23", "2020-10-24"),
        ("Europe/Berlin", "2020-03-29", "2020-03-28T23", "2020-03-29T22", "2020-03-28"),
        # Clocks go forward at midnight: the day begins at one.
        (
            "America/Sao_Paulo",
            "2018-11-04..2018-11-05",
            "2018-11-04T03",
            "2018-11-06T02",
            "2018-11-02..2018-11-03",
        ),
        # Clocks go back from one to midnight: the day begins with the first midnight.
        ("America/Havana", "2020-11-01", "2020-11-01T04", "2020-11-02T05", None),
        ("UTC", "2020-W35", "2020-08-24T00", "2020-08-31T00", "2020-W34"),
    ],
)
def test_a_period_is_of_local_days(zone, text, start, end, previous):
    period = Period.parse(text, time_zone(zone))
    assert (period.start, period.end) == (day(start), day(end))
    assert period.previous().end == period.start
    assert previous in (None, period.previous().text)


@pytest.mark.parametrize(
    ("zone", "text", "message"),
    [
        (
            "Asia/Kolkata",
            "2020-08-27",
            r"Asia/Kolkata is \+0530 from UTC on 2020-08-26",
        ),
        ("Asia/Kathmandu", "2020-Q3", "whole hours"),
        # An hour in winter, half an hour less in summer.
        ("Australia/Lord_Howe", "2020", "whole hours"),
        # Half an hour until May 2018, an hour since.
        ("Asia/Pyongyang", "2018-Q2", "whole hours"),
    ],
)
def test_a_zone_that_cuts_hours_is_refused(zone, text, message):
    with pytest.raises(ConfigError, match=message):
        Period.parse(text, time_zone(zone))


def test_a_zone_may_be_refused_for_the_previous_period_only():
    period = Period.parse("2018-Q3", time_zone("Asia/Pyongyang"))
    with pytest.raises(ConfigError, match="whole hours"):
        period.previous()


@pytest.mark.parametrize("name", ["", "Tokyo", "Asia", "../etc/passwd", "a\0b"])
def test_unknown_zone_is_refused(name):
    with pytest.raises(ConfigError, match="write an IANA name"):
        time_zone(name)


@pytest.mark.parametrize(
    "name", ["Europe/Berlin", "America/Sao_Paulo", "Africa/Casablanca", "Pacific/Apia"]
)
def test_offsets_are_those_of_every_hour(name):
    zone = time_zone(name)
    start, end = day("2011-12-01"), day("2013-12-01")
    found = offsets(zone, start, end)
    assert [moment for moment, _ in found] == sorted({moment for moment, _ in found})
    hour, current, following = start, None, list(found)
    while hour < end:
        if following and following[0][0] == hour:
            current = following.pop(0)[1]
        assert hour.astimezone(zone).utcoffset() == timedelta(hours=current)
        hour += timedelta(hours=1)
    assert following == []


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (12_345, "12.3 k"),
        (999_499, "999 k"),
        (999_600, "1.00 M"),
        (4_560_000, "4.56 M"),
        (-1500, "-1.50 k"),
        (10**20, "100000 P"),
    ],
)
def test_counts(count, text):
    assert format_count(count) == text


def test_bytes():
    assert format_bytes(512) == "512 B"
    assert format_bytes(4_560_000_000) == "4.56 GB"


def test_a_duration_is_days_or_hours() -> None:
    assert parse_duration("7d") == timedelta(days=7)
    assert parse_duration(" 12h") == timedelta(hours=12)
    assert parse_duration("0d") == timedelta(0)


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1.5h", "7 d", "1w", "123456d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no span of time"):
        parse_duration(text)


def test_a_past_day_is_a_day_or_an_age() -> None:
    assert parse_past_day("2020-02-29") == datetime(2020, 2, 29, tzinfo=UTC)
    age = datetime.now(UTC) - parse_past_day("400d")
    assert timedelta(days=400) <= age < timedelta(days=401, minutes=1)
    assert parse_past_day("0d").hour == 0


@pytest.mark.parametrize("text", ["", "2020", "2020-02-30", "99999999d"])
def test_what_is_no_past_day_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"no day|no period"):
        parse_past_day(text)
