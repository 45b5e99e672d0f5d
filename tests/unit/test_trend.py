"""`trend` agrees with a slow counter in plain Python; gaps with sets of hours."""

from datetime import UTC, datetime, timedelta
from itertools import groupby

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastflow.analysis.keys import KEYS
from fastflow.errors import ConfigError
from fastflow.store import Store
from fastflow.tables import json_rows
from questions import (
    ROW,
    WHERE,
    believed,
    in_order,
    key_of,
    lies_in,
    matching,
    packets_and_sources,
    step_of,
)
from reduced import EPOCH, at, reduced
from strategies import relaxed

#: Clocks go back in Berlin on 2020-10-25, and in New York a week later.
AUTUMN = (datetime(2020, 10, 24, tzinfo=UTC) - EPOCH) // timedelta(hours=1)
PERIODS = ["2020-10-25", "2020-10-24..2020-10-26", "2020-W43", "2020-11-01"]
ROWS = st.lists(
    st.fixed_dictionaries(
        ROW
        | {"hour": (st.integers(0, 60) | st.just(200)).map(lambda n: at(AUTUMN + n))}
    ),
    max_size=30,
)


def all_hours(rows: list[dict], period: str | None, tz: str) -> list[datetime]:
    """Return the hours that a course goes over."""
    if period is None:
        stored = [row["hour"] for row in rows]
        last = max(stored, default=None)
        hour = min(stored, default=None)
        return [] if hour is None else hours_between(hour, last)
    around = hours_between(at(AUTUMN - 24 * 10), at(AUTUMN + 24 * 15))
    if period == "2020-W43":
        period = "2020-10-19..2020-10-25"
    return [hour for hour in around if lies_in(period, hour, tz)]


def hours_between(first: datetime, last: datetime) -> list[datetime]:
    count = (last - first) // timedelta(hours=1) + 1
    return [first + timedelta(hours=n) for n in range(count)]


def slow_trend(rows, by, period, where, n, every, measure, tz, others) -> list[tuple]:
    hours = all_hours(rows, period, tz)
    inside = [row for row in matching(rows, {}) if row["hour"] in set(hours)]
    rows = matching(believed(by, inside), where)
    keys = in_order(packets_and_sources(by, rows)[0], n)
    course = []
    for _, step in groupby(hours, key=lambda hour: step_of(every, hour, tz)):
        step = list(step)
        inside = [row for row in rows if row["hour"] in step]
        packets, sources = packets_and_sources(by, inside)
        for key in keys:
            value = packets[key] if measure == "packets" else len(sources[key])
            course.append((step[0], key, value))
        if others:
            rest = [row["packets"] for row in inside if key_of(by, row) not in keys]
            course.append((step[0], "all others", sum(rest)))
    return course


@settings(relaxed(40))
@given(
    st.lists(ROWS, min_size=1, max_size=3),
    WHERE,
    st.none() | st.sampled_from(PERIODS),
    st.integers(1, 8),
    st.sampled_from(["hour", "day", "week"]),
    st.sampled_from(["UTC", "Asia/Tokyo", "Europe/Berlin", "America/New_York"]),
)
def test_trend_agrees_with_the_slow_counter(
    tmp_path_factory, inputs, where, period, n, every, tz
):
    store = Store(tmp_path_factory.mktemp("store"), create=True)
    store.publish([reduced(f"i{k}", rows) for k, rows in enumerate(inputs)])
    rows = [row for rows in inputs for row in rows]
    for by in KEYS:
        for measure, others in [
            ("packets", False),
            ("packets", True),
            ("sources", False),
        ]:
            if (by, measure) == ("source", "sources"):
                continue
            question = (by, period, where, n)
            options = {"every": every, "measure": measure, "tz": tz, "others": others}
            found = store.trend(*question, **options)
            assert found.schema.field("time").type == pa.timestamp("us", tz)
            assert found.column_names == ["time", "key", measure, "gap"]
            assert found["gap"].null_count == found.num_rows
            times = found["time"].cast(pa.timestamp("us", "UTC")).to_pylist()
            values = [found["key"].to_pylist(), found[measure].to_pylist()]
            assert list(zip(times, *values, strict=True)) == slow_trend(
                rows, *question, **options
            )


def test_the_hour_that_comes_twice_is_two_hours(tmp_path):
    store = Store(tmp_path, create=True)
    twice = [at(AUTUMN + 24), at(AUTUMN + 25)]
    store.publish([reduced("one", [{"hour": hour, "packets": 2} for hour in twice])])
    rows = json_rows(store.trend("port", every="hour", tz="Europe/Berlin"))
    assert [(row["time"], row["packets"]) for row in rows] == [
        ("2020-10-25T02:00:00+02:00", 2),
        ("2020-10-25T02:00:00+01:00", 2),
    ]
    (day,) = json_rows(store.trend("port", "2020-10-25", tz="Europe/Berlin"))
    assert (day["time"], day["packets"]) == ("2020-10-25T00:00:00+02:00", 4)


def test_distinct_sources_of_a_day_are_no_sum_of_its_hours(tmp_path):
    store = Store(tmp_path, create=True)
    rows = [{"hour": at(n), "src": "192.0.2.1"} for n in range(5)]
    store.publish([reduced("one", rows), reduced("two", rows)])
    course = store.trend("port", measure="sources")
    assert course["sources"].to_pylist() == [1]


def test_an_empty_store_and_a_key_that_nothing_has(tmp_path):
    store = Store(tmp_path, create=True)
    assert store.trend("port").num_rows == 0
    assert store.trend("port", "2020-08-26").num_rows == 0
    store.publish([reduced("one", [{}])])
    assert store.trend("tool").num_rows == 0
    assert store.trend("tool", others=True).to_pylist()[0]["packets"] == 1


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"by": "colour"}, "there are port, country"),
        ({"by": "port", "every": "month"}, "there are hour, day, week"),
        ({"by": "port", "measure": "bytes"}, "there are packets, sources"),
        ({"by": "port", "n": 0}, "1 or more"),
        ({"by": "port", "tz": "Tokyo"}, "IANA name"),
        ({"by": "port", "tz": "Asia/Kolkata"}, "whole hours from UTC"),
        ({"by": "port", "period": "2020-08", "tz": "Asia/Kolkata"}, "whole hours"),
        ({"by": "port", "measure": "sources", "others": True}, "never added up"),
        ({"by": "port", "measure": "sources", "per_address": True}, "never added up"),
        ({"by": "source", "measure": "sources"}, "each source is one"),
        (
            {"by": "port", "period": "2000-01-01..2020-12-31", "every": "hour"},
            "too many",
        ),
        ({"by": "port", "per_address": True}, r"make .*sensors\.toml with a line"),
        ({"by": "port", "sensors": ["JP"]}, "'JP' is no sensor.*there are tokyo-1"),
    ],
)
def test_wrong_questions(tmp_path, question, message):
    store = Store(tmp_path, create=True)
    store.publish([reduced("one", [{}])])
    with pytest.raises(ConfigError, match=message):
        store.trend(**question)


def test_a_store_without_sources_counts_none(tmp_path):
    store = Store(tmp_path, create=True, settings={"sources": False})
    store.publish([reduced("one", [{}])])
    assert store.trend("port")["packets"].to_pylist() == [1]
    with pytest.raises(ConfigError, match="without sources"):
        store.trend("port", measure="sources")
