"""`top` agrees with a slow counter in plain Python, whatever is asked."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fastflow.analysis.keys import KEYS
from fastflow.cli.question import KEYS as CLI_KEYS
from fastflow.errors import ConfigError
from fastflow.names import country_name, service_name
from fastflow.store import Store
from questions import (
    ROW,
    WHERE,
    believed,
    in_order,
    key_of,
    lies_in,
    matching,
    packets_and_sources,
)
from reduced import at, reduced

DAY = "2020-08-27"
#: Periods, and the one before each.
BEFORE = {
    DAY: "2020-08-26",
    "2020-08": "2020-07",
    "2020-08-27..2020-08-27": "2020-08-26..2020-08-26",
}


def name_of(by: str, key: str, country: str | None) -> str | None:
    if by == "port":
        port, proto = key.split("/")
        return service_name(int(port), proto)
    code = {"country": key, "source": country}.get(by)
    return None if code is None else country_name(code)


def slow_ranks(rows: list[dict], by: str, n: int) -> list[dict]:
    packets, sources = packets_and_sources(by, rows)
    countries: dict[str, str] = {}
    for row in rows:
        if row["country"] is not None:
            key = key_of(by, row)
            countries[key] = max(row["country"], countries.get(key, ""))
    total = sum(row["packets"] for row in rows)
    return [
        {
            "rank": rank,
            "key": key,
            "name": name_of(by, key, countries.get(key)),
            "packets": packets[key],
            "sources": len(sources[key]),
            "share": packets[key] / total,
        }
        for rank, key in enumerate(in_order(packets, n), start=1)
    ]


def slow_top(rows, by, period, where, n, tz) -> list[dict]:
    rows = matching(rows, {})
    before = []
    if period is not None:
        before = [row for row in rows if lies_in(BEFORE[period], row["hour"], tz)]
        rows = [row for row in rows if lies_in(period, row["hour"], tz)]
    before, rows = (matching(believed(by, some), where) for some in (before, rows))
    previous = {row["key"]: row["rank"] for row in slow_ranks(before, by, 10)}
    return [
        row | {"previous_rank": previous.get(row["key"])}
        for row in slow_ranks(rows, by, n)
    ]


HOURS = st.fixed_dictionaries(ROW | {"hour": st.integers(0, 47).map(at)})


@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    st.lists(st.lists(HOURS, max_size=30), min_size=1, max_size=3),
    WHERE,
    st.sampled_from([None, *BEFORE]),
    st.integers(1, 40),
    st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]),
)
@example([[{}], [{"hour": at(24)}]], {}, DAY, 10, "UTC")
def test_top_agrees_with_the_slow_counter(
    tmp_path_factory, inputs, where, period, n, tz
):
    store = Store(tmp_path_factory.mktemp("store"), create=True)
    store.publish([reduced(f"i{k}", rows) for k, rows in enumerate(inputs)])
    rows = [row for rows in inputs for row in rows]
    for by in KEYS:
        fast = store.top(by, period, where, n, tz=tz)
        assert fast == slow_top(rows, by, period, where, n, tz)


def test_the_command_offers_every_key():
    assert tuple(KEYS) == CLI_KEYS


@pytest.fixture
def store(tmp_path):
    """A store with two days of two inputs."""
    made = Store(tmp_path, create=True)
    ports = [(445, 5), (23, 5), (22, 5), (1433, 9)]
    rows = [
        {
            "hour": at(24),
            "dst_port": port,
            "packets": packets,
            "src": f"192.0.2.{port % 9}",
        }
        for port, packets in ports
    ]
    many = [{"dst_port": 100 + n, "packets": 20 + n} for n in range(9)]
    other = [
        {"dst_port": 23, "packets": 1000, "src": "2001:db8::1", "country": None},
        {"dst_port": None, "proto": 1, "icmp_type": 8, "hour": at(30), "packets": 6},
    ]
    made.publish([reduced("one", rows + many), reduced("two", other)])
    return made


def test_ties_go_by_key_and_share_counts_what_is_not_ranked(store):
    rows = store.top("port", DAY)
    assert [row["key"] for row in rows] == ["1433/tcp", "22/tcp", "23/tcp", "445/tcp"]
    assert [row["share"] for row in rows] == [9 / 30, 5 / 30, 5 / 30, 5 / 30]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    assert list(rows[0]) == [
        "rank",
        "key",
        "name",
        "packets",
        "sources",
        "share",
        "previous_rank",
    ]


def test_ties_at_the_end_go_by_key(store):
    assert [row["key"] for row in store.top("port", DAY, n=2)] == ["1433/tcp", "22/tcp"]


def test_previous_rank_is_of_the_day_before_and_within_ten(store):
    ranks = {row["key"]: row["previous_rank"] for row in store.top("port", DAY)}
    assert ranks == {"1433/tcp": None, "22/tcp": None, "23/tcp": 1, "445/tcp": None}
    japan = store.top("port", DAY, where={"country": "JP"})
    assert {row["previous_rank"] for row in japan} == {None}
    assert {row["previous_rank"] for row in store.top("port")} == {None}


def test_eleventh_of_the_previous_period_has_no_previous_rank(tmp_path):
    store = Store(tmp_path, create=True)
    before = [{"dst_port": n, "packets": 50 - n} for n in range(1, 13)]
    now = [{"dst_port": n, "hour": at(24)} for n in range(1, 13)]
    store.publish([reduced("one", before + now)])
    ranks = {row["key"]: row["previous_rank"] for row in store.top("port", DAY, n=12)}
    assert ranks["10/tcp"] == 10
    assert ranks["11/tcp"] is ranks["12/tcp"] is None


def test_sources_are_not_added_up(tmp_path):
    store = Store(tmp_path, create=True)
    hours = [{"hour": at(hour), "src": "192.0.2.1"} for hour in range(5)]
    store.publish([reduced("one", hours), reduced("two", hours)])
    assert store.top("port")[0]["sources"] == 1


def test_store_without_sources(tmp_path):
    store = Store(tmp_path, create=True, settings={"sources": False})
    store.publish([reduced("one", [{}])])
    assert store.top("port")[0]["sources"] is None
    for question in ({"by": "source"}, {"by": "port", "where": {"src": "192.0.2.1"}}):
        with pytest.raises(ConfigError, match="without sources"):
            store.top(**question)


def test_empty_store(tmp_path):
    store = Store(tmp_path, create=True)
    for by in KEYS:
        assert store.top(by) == store.top(by, "2020-Q3") == []


@pytest.mark.parametrize(
    ("where", "packets"),
    [
        ({"src": "2001:db8::1"}, 1000),
        ({"src": "192.0.2.4"}, 10),
        ({"src": "::ffff:192.0.2.4"}, None),
        ({"port": "445/tcp"}, 5),
        ({"port": "445/udp"}, None),
        ({"port": "null"}, None),
        ({"proto": "tcp", "dst_port": "23"}, 1005),
        ({"proto": "6", "country": "null"}, 1000),
        ({"proto": 6, "dst_port": 23}, 1005),
        ({"proto": "icmp"}, None),
        ({"country": None}, 1000),
        ({"country": "jp", "dst_port": 445}, 5),
        ({"input": "two"}, 1000),
        ({"sensor": "' or 1=1 --"}, None),
        (
            {"traffic": "scan", "signature": "1024:::", "tool": "null", "dst_port": 22},
            5,
        ),
    ],
)
def test_filters(store, where, packets):
    rows = store.top("port", where=where, n=100)
    assert (sum(row["packets"] for row in rows) or None) == packets
    if rows and "proto" not in where:
        assert sum(row["share"] for row in rows) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"by": "colour"}, "there are port, country"),
        ({"by": "port", "period": "August"}, "2020-Q3"),
        ({"by": "port", "n": 0}, "1 or more"),
        ({"by": "port", "where": {"colour": "red"}}, "there are sensor, proto"),
        ({"by": "port", "where": {"dst_port": "smb"}}, "dst_port=smb"),
        ({"by": "port", "where": {"dst_port": 70000}}, r"0\.\.65535"),
        ({"by": "port", "where": {"proto": "tpc"}}, "proto=tpc: write a protocol"),
        ({"by": "port", "where": {"port": "445"}}, "PORT/PROTOCOL"),
        ({"by": "port", "where": {"port": "445/icmp"}}, "PORT/PROTOCOL"),
        ({"by": "port", "where": {"src": "1.2.3"}}, "1.2.3"),
    ],
)
def test_wrong_questions(store, question, message):
    with pytest.raises(ConfigError, match=message):
        store.top(**question)
