"""The first sources are exact, added up in memory or left to the database."""

import random
from collections import Counter

import pytest

from fastflow.analysis import heaviest
from fastflow.store import Store
from questions import in_order
from reduced import at, reduced


def some_rows(seed: int) -> list[dict]:
    """Rows of addresses of both versions that come again, some with many packets."""
    chance = random.Random(seed)
    addresses = [f"{chance.choice([0, 192, 255])}.0.2.{n}" for n in range(60)]
    addresses += ["0.0.0.0", "255.255.255.255", "2001:db8::1", "::ffff:192.0.2.1"]
    return [
        {
            "hour": at(chance.randrange(-24, 48)),
            "src": chance.choice(addresses),
            "dst_port": chance.choice([22, 23]),
            "packets": chance.choice([1, 2, 1 << 31]),
        }
        for _ in range(800)
    ]


def ranks(rows: list[dict], n: int) -> list[tuple[str, int]]:
    packets = Counter()
    for row in rows:
        packets[row["src"]] += row["packets"]
    return [(key, packets[key]) for key in in_order(packets, n)]


@pytest.mark.parametrize(
    ("at_once", "most"), [(1 << 24, 1 << 25), (1, 1 << 25), (50, 1 << 25), (1, 10)]
)
@pytest.mark.parametrize("more", [[], [{"src": "192.0.2.7", "packets": 1 << 32}]])
def test_however_much_fits_into_memory(monkeypatch, tmp_path, at_once, most, more):
    monkeypatch.setattr(heaviest, "_AT_ONCE", at_once)
    monkeypatch.setattr(heaviest, "_MOST", most)
    store = Store(tmp_path, create=True)
    rows = [*some_rows(1), *more]
    store.publish([reduced(f"i{k}", rows[k::3]) for k in range(3)])
    for n in (1, 10, 100):
        found = store.top("source", n=n)
        assert [(row["key"], row["packets"]) for row in found] == ranks(rows, n)
        total = sum(row["packets"] for row in rows)
        assert [row["share"] for row in found] == [r["packets"] / total for r in found]


def test_the_day_before_is_asked_as_well(tmp_path):
    store = Store(tmp_path, create=True)
    rows = some_rows(2)
    store.publish([reduced("i", [row for row in rows if row["hour"] < at(0)])])
    store.publish([reduced("j", [row for row in rows if row["hour"] >= at(0)])])
    days = [[row for row in rows if row["hour"].day == day] for day in (25, 26)]
    before = [key for key, _ in ranks(days[0], 10)]
    expected = [
        (key, packets, before.index(key) + 1 if key in before else None)
        for key, packets in ranks(days[1], 10)
    ]
    found = store.top("source", "2020-08-26")
    names = ("key", "packets", "previous_rank")
    assert [tuple(row[name] for name in names) for row in found] == expected


@pytest.mark.parametrize("src", ["192.0.2.1", "2001:db8::1"])
def test_one_version_alone(tmp_path, src):
    store = Store(tmp_path, create=True)
    assert store.top("source") == []
    store.publish([reduced("i", [{"src": src, "packets": 3}])])
    (row,) = store.top("source")
    assert (row["key"], row["packets"], row["share"]) == (src, 3, 1)
    assert store.top("source", where={"dst_port": 9}) == []
