"""`Store.inputs`: what became of captures, and which ones made a number."""

from collections import defaultdict
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastflow.analysis.inputs import STATUSES, inputs, summary
from fastflow.analysis.selection import Selection
from fastflow.errors import ConfigError
from fastflow.schema import INPUTS, InputRecord, Reduced
from fastflow.store import Store
from questions import ROW, WHERE, lies_in, matching
from reduced import at, growing_input, reduced, some_rows

DAY = "2020-08-27"
HOURS = st.fixed_dictionaries(ROW | {"hour": st.integers(0, 47).map(at)})


def moment(when: datetime) -> int:
    return int(when.timestamp()) * 1_000_000


def rejected(input_id: str, **named) -> Reduced:
    record = InputRecord(input_id, f"/{input_id}", "tokyo-1", "rejected", "0", **named)
    return Reduced(record)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.lists(HOURS, max_size=30), min_size=1, max_size=3),
    WHERE | st.sampled_from([{"src": "192.0.2.1"}, {"input": "i0"}]),
    st.sampled_from([None, DAY, "2020-08"]),
    st.sampled_from(["UTC", "Asia/Tokyo"]),
)
def test_packets_are_those_of_the_selection(
    tmp_path_factory, captures, where, period, tz
):
    store = Store(tmp_path_factory.mktemp("store"), create=True)
    store.publish([reduced(f"i{k}", rows) for k, rows in enumerate(captures)])
    expected: dict[str, int] = defaultdict(int)
    for k, rows in enumerate(captures):
        rows = [row | {"input": f"i{k}"} for row in rows]
        for row in matching_captures(rows, where):
            if period is None or lies_in(period, row["hour"], tz):
                expected[f"i{k}"] += row["packets"]
    found = store.inputs(period, where, tz=tz).to_pylist()
    packets = {row["id"]: row["packets"] for row in found if row["packets"]}
    assert packets == expected
    if where:
        assert len(found) == len(expected)
        assert [row["packets"] for row in found] == sorted(
            expected.values(), reverse=True
        )
    ranked = store.top("traffic", period, where, tz=tz)
    assert sum(row["packets"] for row in ranked) == sum(expected.values())


def matching_captures(rows: list[dict], where: dict) -> list[dict]:
    where = dict(where)
    src, version = where.pop("src", None), 4
    found = matching(rows, where)
    if src is None:
        return found
    wanted = matching([{"src": src}], {})[0]["src"]
    return [r for r in found if (r["src"], r["ip_version"]) == (wanted, version)]


def test_all_that_is_recorded_is_told(tmp_path):
    store = Store(tmp_path, create=True)
    record = {
        "status": "damaged",
        "reason": "truncated_record",
        "offset": 700,
        "flags": {"frag": 3},
        "dropped": 9,
        "first_packet": moment(at(1)),
        "last_packet": moment(at(2)),
    }
    store.publish([reduced("one", some_rows(1), {"bad_ts": 2}, **record)])
    (row,) = store.inputs(tz="Asia/Tokyo").to_pylist()
    assert (row["first_packet"], row["last_packet"]) == (at(1), at(2))
    assert row["first_packet"].utcoffset() == timedelta(hours=9)
    told = row.keys() - {"first_packet", "last_packet"}
    assert {name: row[name] for name in told} == {
        "id": "one",
        "path": "/captures/one.pcap",
        "sensor": "tokyo-1",
        "status": "damaged",
        "reason": "truncated_record",
        "offset": 700,
        "records": 37,
        "counted": 35,
        "packets": 35,
        "uncounted": [("bad_ts", 2)],
        "flags": [("frag", 3)],
        "dropped": 9,
        "supersedes": None,
        "superseded_by": None,
    }


def test_types_are_those_of_the_store(tmp_path):
    found = Store(tmp_path, create=True).inputs()
    for field in INPUTS:
        if field.name in found.column_names:
            assert found.schema.field(field.name).type == field.type
    assert found.num_rows == 0


def test_a_superseded_capture_names_its_successor_and_has_no_packets(tmp_path):
    store = Store(tmp_path, create=True)
    for number in (1, 2):
        store.publish([growing_input(number)])
    store.publish([growing_input(4)])
    found = {row["id"]: row for row in store.inputs().to_pylist()}
    names = [f"input-{n:03}" for n in (1, 2, 4)]
    assert [found[name]["superseded_by"] for name in names] == [*names[1:], None]
    assert [found[name]["supersedes"] for name in names] == [None, *names[:2]]
    assert [found[name]["packets"] > 0 for name in names] == [False, False, True]
    live = store.inputs(where={"proto": 6})
    assert live["id"].to_pylist() == names[2:]


def test_a_capture_that_superseded_several_names_them_all(tmp_path):
    store = Store(tmp_path, create=True)
    store.publish([growing_input(number) for number in (1, 2, 3)])
    found = {row["id"]: row for row in store.inputs().to_pylist()}
    assert found["input-003"]["supersedes"] == "input-001 input-002"
    assert found["input-001"]["superseded_by"] == "input-002 input-003"
    assert found["input-002"]["superseded_by"] == "input-003"


def test_a_refusal_has_no_share_in_what_was_taken_in_later(tmp_path):
    store = Store(tmp_path, create=True)
    store.publish([rejected("one", reason="unknown_magic", offset=0)])
    store.publish([reduced("one", some_rows(1))])
    found = store.inputs().to_pylist()
    assert {row["status"]: row["packets"] for row in found} == {
        "complete": 35,
        "rejected": 0,
    }
    assert store.inputs(where={"proto": 6})["status"].to_pylist() == ["complete"]


@pytest.fixture
def store(tmp_path):
    """A store with captures of two days, and one that was refused."""
    made = Store(tmp_path, create=True)
    for name, hour in [("one", 1), ("two", 25), ("three", 30)]:
        times = {"first_packet": moment(at(hour)), "last_packet": moment(at(hour))}
        sensor = "paris" if name == "three" else "tokyo-1"
        rows = [{"hour": at(hour), "sensor": sensor}]
        status = "truncated" if name == "two" else "complete"
        made.publish([reduced(name, rows, status=status, sensor=sensor, **times)])
    made.publish([rejected("refused")])
    return made


@pytest.mark.parametrize(
    ("question", "ids"),
    [
        ({}, ["three", "two", "one", "refused"]),
        ({"period": DAY}, ["three", "two"]),
        ({"period": "2020-08-26", "tz": "America/New_York"}, ["two"]),
        ({"statuses": ["rejected"]}, ["refused"]),
        ({"statuses": ["truncated", "complete"], "period": DAY}, ["three", "two"]),
        ({"sensors": ["tokyo-1"]}, ["two", "one", "refused"]),
        ({"where": {"sensor": "paris"}}, ["three"]),
        ({"where": {"input": "one"}}, ["one"]),
        ({"where": {"port": "1/tcp"}}, []),
        ({"where": {"proto": 6}, "statuses": ["truncated"]}, ["two"]),
    ],
)
def test_what_is_listed_and_in_which_order(store, question, ids):
    assert store.inputs(**question)["id"].to_pylist() == ids


def test_summary_counts_by_status(store):
    text = "4 in all, 3 packets: 2 complete, 1 truncated, 1 rejected"
    assert summary(inputs(Selection(store))) == text
    assert summary(inputs(Selection(store, where={"port": "1/tcp"}))) == (
        "0 in all, 0 packets: -"
    )


def test_wrong_questions(store, tmp_path):
    with pytest.raises(ConfigError, match="there are complete, truncated"):
        store.inputs(statuses=["lost"])
    made = Store(tmp_path / "other", create=True, settings={"sources": False})
    with pytest.raises(ConfigError, match="without sources"):
        made.inputs(where={"src": "192.0.2.1"})


def test_statuses_are_those_that_are_recorded():
    from fastflow.store.ledger import _RECORDED

    assert STATUSES == _RECORDED
