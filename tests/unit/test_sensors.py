"""sensors.toml, the hours that inputs cover, gaps, and rates per address."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow.analysis.coverage import cover, spans
from fastflow.analysis.network import gaps, remarks, sensors, strangers
from fastflow.analysis.selection import Selection
from fastflow.analysis.sensors import EXAMPLE, Network, OnAir, Sensor
from fastflow.errors import ConfigError
from fastflow.store import Store
from fastflow.zones import hour_number
from reduced import at, reduced

SENSORS = """
[tokyo-1]
country = "JP"
addresses = 16
on_air = [
  { from = 2019-01-01, until = 2020-02-01T05:00:00Z, addresses = 8 },
  { from = 2020-04-01T09:00:00+09:00 },
]

["lab.7"]
country = "NZ"
addresses = 1
on_air = [{ from = 2020-08-26 }]
"""


def us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def captured(name: str, first: datetime, last: datetime, **named) -> object:
    """Return an input with two packets, its first and its last."""
    sensor = named.pop("sensor", "tokyo-1")
    rows = [
        {"hour": moment.replace(minute=0, second=0), "sensor": sensor, **named}
        for moment in (first, last)
    ]
    times = {"first_packet": us(first), "last_packet": us(last)}
    return reduced(name, rows, sensor=sensor, **times)


@pytest.fixture
def store(tmp_path):
    """A store whose sensor tokyo-1 was deaf from 03:00 to 05:00, and quiet after it."""
    made = Store(tmp_path / "counts", create=True)
    made.publish(
        [
            captured("one", at(0), at(2) + timedelta(minutes=10)),
            captured("two", at(5) + timedelta(minutes=59), at(23), country="NL"),
            captured("three", at(0), at(23), sensor="lab.7"),
            reduced("empty", sensor="tokyo-1"),
        ]
    )
    (made.directory / "sensors.toml").write_text(SENSORS)
    return made


def test_the_file_says_when_a_sensor_had_how_many_addresses(tmp_path):
    path = tmp_path / "sensors.toml"
    path.write_text(SENSORS)
    network = Network.read(path)
    assert list(network.sensors) == ["tokyo-1", "lab.7"]
    tokyo = network.sensors["tokyo-1"]
    assert network.in_country("JP") == ["tokyo-1"]
    for moment, addresses in [
        ("2018-12-31T23", 0),
        ("2019-01-01T00", 8),
        ("2020-02-01T04", 8),
        ("2020-02-01T05", 0),
        ("2020-03-31T23", 0),
        ("2020-04-01T00", 16),
        ("2099-01-01T00", 16),
    ]:
        hour = hour_number(datetime.fromisoformat(moment).replace(tzinfo=UTC))
        assert tokyo.addresses(hour, hour + 1).tolist() == [addresses]


def test_the_example_is_a_file(tmp_path):
    path = tmp_path / "sensors.toml"
    path.write_text(EXAMPLE)
    assert list(Network.read(path).sensors) == ["tokyo-1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\ncountry = JP", "no TOML: .*line 2"),
        ("addresses = 16", "addresses: is no table; write tokyo-1 = "),
        ("[a]\ncountry = 'Japan'", "a: country: write two capital letters"),
        ("[a]\naddresses = 1", "a: country: write"),
        (
            "[a]\ncountry = 'JP'\naddress = 1",
            "address: no such key; there are addresses",
        ),
        ("[a]\ncountry = 'JP'\naddresses = 1", "a: on_air: write on_air = "),
        ("[a]\ncountry = 'JP'\naddresses = 1\non_air = []", "a: on_air: write"),
        (
            "[a]\ncountry = 'JP'\non_air = [{ from = 2020-01-01 }]",
            "a: addresses: write",
        ),
        (
            "[a]\ncountry = 'JP'\naddresses = true\non_air = [{ from = 2020-01-01 }]",
            "addresses: write",
        ),
        (
            "[a]\ncountry='JP'\non_air = [{ from = 2020-01-01, addresses = 10e30 }]",
            "addresses: write",
        ),
        *[
            (f"[a]\ncountry = 'JP'\naddresses = 1\non_air = [{spans}]", message)
            for spans, message in [
                ("2020-01-01", "on_air: write each time as"),
                ("{ until = 2020-01-01 }", "on_air: write each time as"),
                ("{ from = 2020-01-01, to = 2020-01-02 }", "to: no such key"),
                ("{ from = '2020-01-01' }", "from: write a day .*without quotes"),
                ("{ from = 2020-01-01T00:00:00 }", "from: .*with its offset"),
                ("{ from = 2020-01-01T00:30:00Z }", "from: .*whole hour"),
                ("{ from = 2020-01-01T00:00:00+05:30 }", "from: .*whole hour"),
                ("{ from = 2020-01-01, until = 2020-01-01 }", "until is the first"),
                ("{ from = 2020-01-01 }, { from = 2020-02-01 }", "two times overlap"),
            ]
        ],
    ],
)
def test_what_is_wrong_with_the_file_is_told(tmp_path, text, message):
    path = tmp_path / "sensors.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        Network.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_named_must_be_there(store, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        store.top("port", sensors=["JP"], sensors_file=tmp_path / "none.toml")


HOURS = st.integers(-5, 40)
SPANS = st.lists(st.tuples(HOURS, st.integers(1, 20)), max_size=4)


def disjoint(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans of these beginnings and lengths, as far as they do not overlap."""
    kept: list[tuple[int, int]] = []
    for start, length in sorted(found):
        if not kept or start >= kept[-1][1]:
            kept.append((start, start + length))
    return kept


@given(
    st.lists(
        st.tuples(SPANS, st.lists(st.tuples(HOURS, st.integers(0, 9)), max_size=5)),
        max_size=3,
    ),
    st.integers(0, 35),
    st.lists(st.integers(1, 29), unique=True, max_size=5),
)
def test_gaps_agree_with_sets_of_hours(known, passed, cuts):
    """The window is hours 0 to 30 of 1970; `passed` of them are over."""
    names = [f"s{n}" for n in range(len(known))]
    on_air = [disjoint(times) for times, _ in known]
    network = Network(
        None,
        {
            name: Sensor(
                name, "JP", tuple(OnAir(a, b, n + 1) for n, (a, b) in enumerate(times))
            )
            for name, times in zip(names, on_air, strict=True)
        },
    )
    inputs = [
        {"sensor": name, "first": first, "last": first + more}
        for name, (_, covered) in zip(names, known, strict=True)
        for first, more in covered
    ]
    schema = pa.schema(
        [("sensor", pa.string()), ("first", pa.int64()), ("last", pa.int64())]
    )
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=passed, minutes=30)
    coverage = cover(pa.Table.from_pylist(inputs, schema), network, names, 0, 30, now)
    window = set(range(min(30, passed)))
    all_gaps, days = set(), dict.fromkeys(range(30), 0)
    for name, times in zip(names, on_air, strict=True):
        listening = {hour for a, b in times for hour in range(a, b)} & window
        covered = {
            hour
            for one in inputs
            if one["sensor"] == name
            for hour in range(one["first"], one["last"] + 1)
        }
        hours = coverage.sensors[name]
        assert set(hours.is_on_air.nonzero()[0]) == listening
        assert set(hours.is_covered.nonzero()[0]) == covered & set(range(30))
        assert set(hours.is_gap.nonzero()[0]) == listening - covered
        runs = list(spans(hours.is_gap, 100))
        assert {h for a, b in runs for h in range(a, b)} == {
            hour + 100 for hour in listening - covered
        }
        assert all(a < b < c for (a, b), (c, _) in pairwise(runs))
        all_gaps |= listening - covered
        for n, (a, b) in enumerate(times):
            for hour in set(range(a, b)) & window:
                days[hour] += n + 1
    starts = [0, *sorted(cuts)]
    steps = [range(a, b) for a, b in zip(starts, [*starts[1:], 30], strict=True)]
    assert coverage.gaps(starts).tolist() == [
        any(hour in all_gaps for hour in step) for step in steps
    ]
    assert coverage.address_days(starts).tolist() == [
        sum(days[hour] for hour in step) / 24 for step in steps
    ]
    assert coverage.address_days().tolist() == [sum(days.values()) / 24]


def test_quiet_hours_within_a_capture_are_no_gap_and_those_between_two_are(store):
    selection = Selection(store, "2020-08-26")
    assert gaps(selection) == [
        {
            "sensor": "tokyo-1",
            "from": "2020-08-26T03:00:00Z",
            "until": "2020-08-26T05:00:00Z",
            "hours": 2,
        }
    ]
    (local,) = gaps(
        Selection(store, "2020-08-26", {"sensor": "tokyo-1"}, tz="Europe/Berlin")
    )[1:]
    assert (local["from"], local["until"]) == (
        "2020-08-26T05:00:00+02:00",
        "2020-08-26T07:00:00+02:00",
    )
    assert sensors(selection) == [
        {
            "sensor": "lab.7",
            "country": "NZ",
            "addresses": 1,
            "hours_on_air": 24,
            "hours_covered": 24,
            "gap_hours": 0,
            "packets": 2,
            "per_address_day": 2.0,
        },
        {
            "sensor": "tokyo-1",
            "country": "JP",
            "addresses": 16,
            "hours_on_air": 24,
            "hours_covered": 22,
            "gap_hours": 2,
            "packets": 4,
            "per_address_day": 0.25,
        },
    ]


def test_an_input_that_is_damaged_covers_what_was_read(tmp_path):
    store = Store(tmp_path, create=True)
    damaged = captured("one", at(0), at(2))
    damaged.record.status = "damaged"
    rejected = captured("two", at(3), at(5))
    rejected.record.status = "rejected"
    store.publish([damaged, rejected])
    (tmp_path / "sensors.toml").write_text(EXAMPLE)
    (gap,) = gaps(Selection(store, "2020-08-26"))
    assert (gap["from"], gap["hours"]) == ("2020-08-26T03:00:00Z", 21)


def test_without_the_file_everything_else_works(store):
    (store.directory / "sensors.toml").unlink()
    selection = Selection(store)
    assert remarks(selection) == []
    assert "make it with a line" in strangers(selection)[0]
    assert [row["gap_hours"] for row in sensors(selection)] == [None, None]
    assert [row["hours_covered"] for row in sensors(selection)] == [24, 22]
    assert store.trend("port")["gap"].to_pylist() == [None]
    with pytest.raises(ConfigError, match="gaps need a description"):
        gaps(selection)
    with pytest.raises(ConfigError, match="countries need a sensors"):
        store.top("port", sensors=["JP"])


def test_rates_are_per_address_and_day_on_the_air(store):
    (row, _) = store.top("sensor", "2020-08-26..2020-08-27", per_address=True)
    assert (row["key"], row["packets"]) == ("tokyo-1", 4)
    assert row["per_address_day"] == 4 / (16 * 2)
    (row,) = store.top("port", "2020-08-26", per_address=True)
    assert row["per_address_day"] == 6 / (16 + 1)
    (row,) = store.top("port", "2020-08-26", sensors=["nz"], per_address=True)
    assert row["per_address_day"] == 2
    course = store.trend("sensor", "2020-08-25..2020-08-26", n=1, per_address=True)
    assert course["per_address_day"].to_pylist() == [0, 4 / 16]
    course = store.trend(
        "sensor", "2020-08-25..2020-08-26", n=1, per_address=True, others=True
    )
    assert course["per_address_day"].to_pylist() == [0, None, 4 / 16, 2]


def test_gaps_mark_the_steps_of_a_course(store):
    hours = store.trend("port", "2020-08-26", every="hour", n=1)
    missing = [n for n, gap in enumerate(hours["gap"].to_pylist()) if gap]
    assert missing == [3, 4]
    by_sensor = store.trend("sensor", "2020-08-26", others=True, n=1).to_pylist()
    assert [(row["key"], row["gap"]) for row in by_sensor] == [
        ("tokyo-1", True),
        ("all others", False),
    ]
    quiet = store.trend("port", "2020-08-26", every="hour", sensors=["lab.7"])
    assert quiet["gap"].to_pylist() == [False] * 24


def test_sensors_are_chosen_by_name_and_country(store):
    def packets(*wanted):
        return sum(row["packets"] for row in store.top("port", sensors=wanted))

    assert packets("JP") == packets("tokyo-1") == packets("JP", "tokyo-1") == 4
    assert packets("NZ", "JP") == 6
    for unknown in ("US", "tokyo", ""):
        with pytest.raises(ConfigError, match=r"there are lab\.7, tokyo-1"):
            packets(unknown)


def test_sensors_that_one_side_does_not_know_are_named(store):
    text = SENSORS.replace('["lab.7"]', "[paris]")
    (store.directory / "sensors.toml").write_text(text)
    selection = Selection(store, "2020-08-26")
    missing, unknown, silent = remarks(selection)
    assert "paris has no data for 24 of 24 hours, tokyo-1 has no" in missing
    assert unknown.endswith("does not name sensor lab.7 of the store")
    assert silent.endswith("the store has no input of sensor paris")
    assert remarks(Selection(store, "2020-08-26", sensors=["tokyo-1"])) == [
        "sensor tokyo-1 has no data for 2 of 24 hours: "
        "2020-08-26T03:00:00Z..2020-08-26T05:00:00Z; "
        "`fastflow sensors --gaps` lists them"
    ]
    course = store.trend("sensor", "2020-08-26")
    assert course["key"].to_pylist() == ["tokyo-1", "lab.7"]
    assert course["gap"].to_pylist() == [True, None]
    with pytest.raises(ConfigError, match=r"does not name sensor lab\.7: its"):
        store.top("port", per_address=True)


def test_hours_to_come_are_no_gap(tmp_path):
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    store = Store(tmp_path, create=True)
    before = now - timedelta(hours=1)
    store.publish([captured("one", before, before)])
    (tmp_path / "sensors.toml").write_text(EXAMPLE)
    period = f"{before:%Y-%m-%d}..{before + timedelta(days=2):%Y-%m-%d}"
    (row,) = sensors(Selection(store, period))
    assert row["hours_on_air"] == before.hour + 1
    assert row["gap_hours"] == before.hour


def test_an_empty_store_has_no_gaps_and_no_rates(tmp_path):
    store = Store(tmp_path, create=True)
    (tmp_path / "sensors.toml").write_text(EXAMPLE)
    assert store.top("port", per_address=True) == []
    assert store.trend("port", per_address=True).num_rows == 0
    selection = Selection(store)
    assert gaps(selection) == []
    (remark,) = remarks(selection)
    assert remark.endswith("the store has no input of sensor tokyo-1")
    (row,) = sensors(selection)
    assert (row["hours_on_air"], row["packets"]) == (0, 0)
    (gap,) = gaps(Selection(store, "2020-08-26"))
    assert gap["hours"] == 24
