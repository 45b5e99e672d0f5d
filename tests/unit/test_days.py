"""A store whose old hours were added up gives the same answers as before, or none."""

from datetime import UTC, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastflow.analysis.network import sensors
from fastflow.analysis.selection import Selection
from fastflow.errors import ConfigError
from fastflow.store import Store
from fastflow.store.shared import Sharing
from questions import ROW
from reduced import EPOCH, at, reduced
from strategies import relaxed

ZONES = ["UTC", "Asia/Tokyo", "Europe/London", "America/New_York"]
PERIODS = ["2020-08", "2020-08-26", "2020-08-27", "2020-08-27..2020-08-28", "2020-W35"]
ROWS = st.lists(
    st.fixed_dictionaries(ROW | {"hour": st.integers(-30, 80).map(at)}),
    min_size=1,
    max_size=20,
)


@settings(relaxed(25))
@given(
    ROWS,
    st.integers(0, 4).map(lambda day: EPOCH + timedelta(days=day)),
    st.sampled_from(PERIODS),
    st.sampled_from(ZONES),
    st.sampled_from(["hour", "day", "week"]),
)
def test_answers_are_those_of_hours_or_are_refused(
    tmp_path_factory, rows, before, period, tz, every
):
    by_hour, by_day = (
        Store(tmp_path_factory.mktemp("store"), create=True) for _ in range(2)
    )
    for store in (by_hour, by_day):
        store.publish([reduced("i", rows)])
    by_day.expire(before, daily=True)
    refusal = f"{by_day.url}: before {before:%Y-%m-%d} only days of UTC are left"
    for ask, is_by_hour in [
        (lambda store: store.top("port", period, tz=tz), False),
        (lambda store: store.inputs(period, tz=tz), False),
        (
            lambda store: store.trend("port", period, every=every, tz=tz),
            every == "hour",
        ),
        (
            lambda store: store.trend(
                "port", period, every=every, tz=tz, measure="sources"
            ),
            every == "hour",
        ),
    ]:
        try:
            found = ask(by_day)
        except ConfigError as error:
            is_right = str(error).startswith(refusal) and (is_by_hour or tz != "UTC")
        else:
            expected = without_previous(ask(by_hour), tz)
            is_right = without_previous(found, tz) == expected
        assert is_right


def without_previous(answer: object, tz: str) -> object:
    """Leave out ranks of the period before: that may cut a day where this does not."""
    if tz != "UTC" and isinstance(answer, list):
        return [{**row, "previous_rank": None} for row in answer]
    return answer


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with 26 and 27 August as days, the 28th by hours."""
    made = Store(tmp_path / "s", create=True)
    rows = [{"hour": at(n), "src": f"192.0.2.{n % 7}"} for n in range(5, 65)]
    made.publish([reduced("i", rows)])
    made.expire(EPOCH + timedelta(days=2), daily=True)
    return made


def test_hours_and_days_of_other_zones_are_told_where_they_are_left(store):
    hours = store.trend("port", "2020-08-28", every="hour")
    assert hours["packets"].to_pylist() == [1] * 17 + [0] * 7
    (day,) = store.trend("port", "2020-08-29", tz="Asia/Tokyo").to_pylist()
    assert day["packets"] == 2
    with pytest.raises(ConfigError, match=r"cannot be cut.*period that begins later"):
        store.trend("port", every="hour")
    # The day before in New York began within a day: its ranks are not known.
    (port,) = store.top("port", "2020-08-28", tz="America/New_York")
    assert (port["packets"], port["previous_rank"]) == (13, None)
    (port,) = store.top("port", "2020-08-28")
    assert (port["packets"], port["previous_rank"]) == (17, 1)


def test_sensors_are_told_of_whole_days(store):
    assert sensors(Selection(store, "2020-08-27"))[0]["packets"] == 24
    with pytest.raises(ConfigError, match="only days of UTC"):
        sensors(Selection(store, "2020-08-27", tz="Asia/Tokyo"))


def test_the_whole_store_is_whole_days(store, tmp_path):
    store.expire(EPOCH + timedelta(days=3), daily=True)
    toml = tmp_path / "sensors.toml"
    air = "on_air = [{ from = 2020-08-01 }]"
    toml.write_text(f"[tokyo-1]\ncountry = 'JP'\naddresses = 2\n{air}\n")
    course = store.trend("port", per_address=True, sensors_file=toml)
    assert course["time"].to_pylist() == [EPOCH + timedelta(days=n) for n in range(3)]
    assert course["per_address_day"].to_pylist() == [19 / 2, 24 / 2, 17 / 2]
    with pytest.raises(ConfigError, match="only days of UTC"):
        store.trend("port", tz="Asia/Tokyo")


def test_what_others_added_up_meanwhile_is_known(store):
    day = ("port", "2020-08-28")
    assert store.trend(*day, every="hour").num_rows == 24
    Store(store.directory).expire(EPOCH + timedelta(days=3), daily=True)
    with pytest.raises(ConfigError, match="before 2020-08-29"):
        store.trend(*day, every="hour")


@pytest.mark.parametrize(
    ("named", "now", "is_refused"),
    [
        ({}, at(999), True),
        ({"period": "2020-08-28"}, at(999), False),
        ({"every": "day"}, at(999), False),
        ({"every": "day"}, at(7), False),
        # What is too recent would be some hours of a day.
        ({"period": "2020-08-28"}, at(7), True),
    ],
)
def test_partners_get_no_day_for_an_hour(store, tmp_path, named, now, is_refused):
    sharing = Sharing(
        named.pop("every", "hour"), 1, 1, timedelta(0), now.astimezone(UTC)
    )
    out = tmp_path / "shared.csv"
    if is_refused:
        with pytest.raises(ConfigError, match="only days of UTC"):
            store.export_shared(out, sharing, **named)
        assert not out.exists()
    else:
        store.export_shared(out, sharing, **named)
