"""Distinct sources are exact, sorted in memory or left to the database."""

import random
from collections import defaultdict

import pytest

from fastflow.analysis import distinct
from fastflow.store import Store
from reduced import at, reduced

PORTS = [22, 23, 445]


@pytest.fixture(scope="module")
def rows():
    """Rows of addresses that come again, in both versions."""
    chance = random.Random(1)
    addresses = [f"{chance.choice([0, 192, 255])}.0.2.{n}" for n in range(90)]
    addresses += [f"2001:db8::{n:x}" for n in range(9)]
    addresses += [f"::ffff:192.0.2.{n}" for n in range(9)]
    return [
        {
            "hour": at(chance.randrange(48)),
            "dst_port": chance.choice(PORTS),
            "src": chance.choice(addresses),
        }
        for _ in range(2000)
    ]


@pytest.fixture(scope="module")
def store(rows, tmp_path_factory):
    made = Store(tmp_path_factory.mktemp("distinct"), create=True)
    made.publish([reduced(f"i{k}", rows[k::4]) for k in range(4)])
    return made


@pytest.mark.parametrize(
    ("at_once", "most"), [(1 << 24, 1 << 25), (1, 1 << 25), (1, 10), (100, 1000)]
)
def test_however_much_fits_into_memory(monkeypatch, store, rows, at_once, most):
    monkeypatch.setattr(distinct, "_AT_ONCE", at_once)
    monkeypatch.setattr(distinct, "_MOST", most)
    by_port, by_day = defaultdict(set), defaultdict(set)
    for row in rows:
        key = f"{row['dst_port']}/tcp"
        by_port[key].add(row["src"])
        by_day[row["hour"].day, key].add(row["src"])
    ranks = store.top("port")
    assert {row["key"]: row["sources"] for row in ranks} == {
        key: len(sources) for key, sources in by_port.items()
    }
    course = store.trend("port", measure="sources").to_pylist()
    assert {(row["time"].day, row["key"]): row["sources"] for row in course} == {
        key: len(sources) for key, sources in by_day.items()
    }


def test_lowest_and_highest_address_stay_in_their_group(tmp_path):
    store = Store(tmp_path, create=True)
    ends = [
        {"dst_port": port, "src": src, "packets": 9 - n}
        for n, port in enumerate(PORTS)
        for src in ("0.0.0.0", "255.255.255.255")
    ]
    store.publish([reduced("one", ends)])
    assert [row["sources"] for row in store.top("port")] == [2, 2, 2]
