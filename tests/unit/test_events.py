"""Events of stores whose traffic is known: what is told, and what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from event_scores import hour_of
from fastflow.analysis.events.attacks import add_attacks
from fastflow.analysis.events.event import Event
from fastflow.analysis.events.find import find_events
from fastflow.analysis.selection import Selection
from fastflow.cli.events import command
from fastflow.store import Store
from fastflow.synth.cells import ACK, SYN, Cells, make_cells
from fastflow.synth.noise import (
    CODES,
    FIRST_ADDRESSES,
    FIRST_HOUR,
    N_HOURS,
    Hosts,
    Sensors,
    make_background,
)
from fastflow.synth.scenario import ALL_STYLES, Scenario
from fastflow.zones import hour_at
from scenario_store import make_store

STYLE_8192 = next(n for n, style in enumerate(ALL_STYLES) if style.window == 8192)
STYLE_512 = next(n for n, style in enumerate(ALL_STYLES) if style.window == 512)
NEVER = np.zeros(N_HOURS, np.bool_)


def network(*shares: float, off: dict[int, slice] | None = None) -> Sensors:
    """Return sensors of these sizes; some are off the air for some hours."""
    is_on = np.ones((len(shares), N_HOURS), np.bool_)
    for sensor, hours in (off or {}).items():
        is_on[sensor, hours] = False
    names = [f"sensor-{number + 1}" for number in range(len(shares))]
    return Sensors(names, np.array(shares) / sum(shares), is_on)


def background(sensors: Sensors, packets_per_hour: int = 25) -> Cells:
    rng = np.random.default_rng(1)
    columns = make_background(rng, sensors, Hosts(FIRST_ADDRESSES), packets_per_hour)
    del columns["country"]
    return make_cells(len(columns["hour"]), **columns)


def sent(country: str, hours: range, each: int, n_hosts: int, **columns: Any) -> Cells:
    """Return cells of some hosts, each with so many packets an hour to sensor-1."""
    hour = np.repeat(np.fromiter(hours, np.int64), n_hosts)
    host = np.tile(np.arange(n_hosts), len(hours))
    first = FIRST_ADDRESSES[CODES.index(country)]
    return make_cells(
        len(hour),
        **{
            "hour": FIRST_HOUR + hour,
            "sensor": host % 2,
            "src": first + 300 + 7 * host,
            "packets": each,
            "ip_ttl": 40 + host % 60,
            **columns,
        },
    )


def store_of(
    root: Path, sensors: Sensors, *parts: Cells, packets_per_hour: int = 25
) -> Store:
    cells = np.concatenate([background(sensors, packets_per_hour), *parts])
    return make_store(Scenario(sensors, FIRST_ADDRESSES, cells, []), root / "store")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store with a surge, and bursts on three days."""
    surge = sent(
        "JP", range(1000, 1030), 2, 40, proto=6, dst_port=445, style=STYLE_8192
    )
    bursts = [
        sent(
            "NZ", range(at, at + 2), 30, 4, proto=6, style=STYLE_512,
            tcp_flags=SYN | ACK, src_port=443, tcp_seq=487_348_197, ip_ttl=50,
            dst_port=40_000 + at,
        )
        for at in (1400, 1448, 1474)
    ]  # fmt: skip
    root = tmp_path_factory.mktemp("events")
    return store_of(root, network(3, 2, 1), surge, *bursts)


def test_each_is_told_once_with_what_explains_it(store: Store) -> None:
    surge, burst = sorted(store.events(), key=lambda one: one["start"])
    assert surge["kind"] == "surge"
    assert surge["start"] == "2020-08-11T16:00:00Z"
    assert surge["end"] == "2020-08-12T22:00:00Z"
    named = {"proto": 6, "dst_port": 445, "country": "JP", "tcp_window": 8192}
    assert surge["slice"].items() >= named.items()
    assert surge["packets"] - surge["baseline"] == pytest.approx(2400, rel=0.05)
    assert surge["text"].startswith("445/TCP (microsoft-ds) from Japan with window 819")
    assert "A possible reading: window 8192 on 445/TCP is what" in surge["text"]
    assert any("since 2017: MS17-010" in line for line in surge["evidence"])
    assert burst["kind"] == "fixed"
    assert burst["slice"] == {"country": "NZ", "traffic": "backscatter"}
    assert burst["fixed"] == {
        "tcp_window": 512, "tcp_seq": 487_348_197, "src_port": 443, "ip_ttl": 50,
    }  # fmt: skip
    assert (burst["packets"], burst["sources"]) == (720, 4)
    assert [line for line in burst["evidence"] if "by day" in line] == [
        "sources by day: 2020-08-28: 4, 2020-08-30: 4, 2020-08-31: 4"
    ]
    assert burst["days"] == ["2020-08-28", "2020-08-30", "2020-08-31"]


def test_only_what_is_in_the_period_is_told(store: Store) -> None:
    (surge,) = store.events("2020-08-12")
    assert surge["kind"] == "surge"
    assert store.events("2020-07") == []
    assert [one["rank"] for one in store.events(n=1)] == [1]


def test_filters_and_sensors_choose_the_rows(store: Store) -> None:
    (surge,) = store.events(where={"country": "JP"})
    assert surge["slice"]["dst_port"] == 445
    assert store.events(sensors=["sensor-3"]) == []
    assert store.events(where={"country": "XX"}) == []


def test_json_is_a_list_and_the_table_has_the_sentences(store: Store) -> None:
    run = CliRunner().invoke(command, ["--store", store.url, "--json"])
    found = json.loads(run.stdout)
    assert found == store.events()
    assert {"kind", "start", "end", "slice", "fixed", "packets", "sources"} <= set(
        found[0]
    )
    table = CliRunner().invoke(command, ["--store", store.url]).stdout
    assert all(one["text"] in table for one in found)


def test_no_event_depends_on_how_much_is_read_at_a_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = store.events()
    monkeypatch.setattr("fastflow.analysis.events.pool._ROWS_AT_ONCE", 30_000)
    parts = store.events()
    names = ("kind", "slice", "fixed", "start", "end", "packets", "sources")
    assert [[one[name] for name in names] for one in parts] == [
        [one[name] for name in names] for one in whole
    ]


def test_days_are_those_of_the_zone(store: Store) -> None:
    burst = next(one for one in store.events(tz="Asia/Tokyo") if one["fixed"])
    assert burst["start"].endswith("+09:00")


def test_an_empty_store_has_no_events(tmp_path: Path) -> None:
    assert Store(tmp_path / "store", create=True).events() == []


def rising(first: int, last: int, peak: range) -> Cells:
    """Return ever more sources from everywhere to a port that nobody asked for."""
    rng = np.random.default_rng(2)
    hour = np.arange(N_HOURS)
    course = 90 * np.clip((hour - first) / (last - first), 0, 1)
    course[peak] *= 3
    hour = np.repeat(hour, rng.poisson(course))
    country = rng.integers(0, 25, len(hour))
    return make_cells(
        len(hour),
        hour=FIRST_HOUR + hour,
        sensor=rng.integers(0, 3, len(hour)),
        src=np.array(FIRST_ADDRESSES)[country] + 16 * rng.integers(0, 4000, len(hour)),
        packets=rng.integers(1, 4, len(hour)),
        ip_ttl=rng.integers(40, 120, len(hour)),
        dst_port=9200,
        style=STYLE_8192,
    )


def test_what_begins_during_an_overwhelming_trend_is_another(tmp_path: Path) -> None:
    """Countries rise with the trend, but none as the one that is new."""
    hours = range(850, N_HOURS)
    new = sent("ZA", hours, 2, 30, proto=6, style=STYLE_512)
    new["dst_port"] = 2000 + np.arange(len(new)) * 7919 % 40_000
    new["style"] = np.arange(len(new)) % 10
    trend = rising(480, 1944, range(1200, 1230))
    found = store_of(tmp_path, network(1, 1, 1), trend, new).events()
    told = {one["kind"]: one["slice"] for one in found}
    assert len(found) == 2, found
    assert told["newcomer"] == {"country": "ZA"}
    named = {"proto": 6, "dst_port": 9200, "tcp_window": 8192}
    assert told["trend"].items() >= named.items()
    (rise,) = (one for one in found if one["kind"] == "trend")
    assert abs(hour_of(rise["start"]) - FIRST_HOUR - 480) <= 7 * 24
    assert any("peak" in line for line in rise["evidence"])


def test_a_trend_at_one_sensor_goes_on_while_another_is_gone(tmp_path: Path) -> None:
    trend = rising(480, 1944, range(0))
    trend["sensor"] = 0
    sensors = network(1, 1, 1, off={2: slice(2000, N_HOURS)})
    (found,) = store_of(tmp_path, sensors, trend).events()
    assert (found["kind"], found["slice"]["sensor"]) == ("trend", "sensor-1")


def test_gaps_and_sensors_that_come_and_go_are_no_events(tmp_path: Path) -> None:
    """One sensor has half of the network's traffic, and much of that alone."""
    off = {
        0: slice(0, 24 * 40),
        1: slice(24 * 60, N_HOURS),
        2: slice(24 * 20, 24 * 23),
    }
    sensors = network(5, 3, 2, off=off)
    alone = sent(
        "FR", range(24 * 40, N_HOURS), 3, 30, proto=6, dst_port=9000, style=STYLE_8192
    )
    alone["sensor"] = 0
    assert store_of(tmp_path, sensors, alone).events() == []


def test_a_surge_at_one_sensor_names_it(tmp_path: Path) -> None:
    surge = sent("DE", range(1200, 1212), 2, 60, proto=17, dst_port=123, tcp_flags=0)
    surge["sensor"] = 1
    (found,) = store_of(tmp_path, network(3, 2, 1), surge).events()
    assert found["slice"] == {
        "proto": 17, "dst_port": 123, "country": "DE", "sensor": "sensor-2",
    }  # fmt: skip


def test_what_differs_in_an_attack_is_counted(tmp_path: Path) -> None:
    cells = sent(
        "NZ", range(1200, 1202), 90, 1, proto=6, style=STYLE_512, ip_ttl=50,
        tcp_flags=SYN | ACK, src_port=443, dst_port=1000, begin_s=600, end_s=900,
    )  # fmt: skip
    cells = np.repeat(cells, 20)
    cells["dst_port"] = 1000 + np.arange(40)
    cells["tcp_seq"] = np.arange(40) % 7
    cells["sensor"] = np.arange(40) % 3
    (found,) = store_of(tmp_path, network(3, 2, 1), cells).events()
    assert found["kind"] == "attack"
    assert "tcp_seq" not in found["fixed"]
    line = "different values, at least: 7 sequence numbers, 40 destination ports"
    assert line in found["evidence"]


def attack(start: int, **named: Any) -> dict[str, Any]:
    return {
        "src": b"\0" * 10 + b"\xff\xff\x2d\x00\x01\x2c",
        "ip_version": 4,
        "country": "NZ",
        "start": hour_at(start),
        "end": hour_at(start + 1),
        "packets": 300,
        "peak": 60,
        "sensors": 2,
        "src_port": 443,
        "tcp_seq": None,
        "ip_ttl": 50,
        "tcp_window": 512,
        "src_ports": [443],
        **named,
    }


def test_an_attack_that_is_an_event_already_makes_it_one() -> None:
    known = Event(
        "fixed",
        [(1000, 1002)],
        {"country": ("NZ",), "traffic": ("backscatter",)},
        {"src_port": (443,), "window": (512,)},
        100.0,
    )
    found = [known]
    add_attacks(found, [attack(1000), attack(1001, peak=90)], 8.0)
    assert found == [known]
    assert known.kind == "attack"
    assert (known.details["attacks"], known.details["peak"]) == (2, 90)


def test_attacks_on_one_victim_within_a_week_are_one_event() -> None:
    found: list[Event] = []
    rows = [attack(1000), attack(1100), attack(2000), attack(2001, country="AU")]
    add_attacks(found, rows, 8.0)
    assert [one.pieces for one in found] == [
        [(1000, 1001), (1100, 1101)],
        [(2000, 2001)],
        [(2001, 2002)],
    ]
    assert found[0].fixed == {"window": (512,), "src_port": (443,), "ip_ttl": (50,)}


def test_of_attacks_on_single_victims_as_many_are_told_as_are_asked_for(
    store: Store, tmp_path: Path
) -> None:
    victims = [
        sent(
            "NZ", range(at, at + 1), 200 + 40 * number, 1, proto=6, style=STYLE_512,
            tcp_flags=SYN | ACK, src_port=443, src=FIRST_ADDRESSES[0] + number,
            dst_port=1000 + number, begin_s=600, end_s=900,
        )
        for number, at in enumerate((1200, 1300, 1400))
    ]  # fmt: skip
    selection = Selection(store_of(tmp_path, network(3, 2, 1), *victims))
    everything = find_events(selection)
    of_one = [one for one in everything if one.is_of_one_victim]
    assert len(of_one) == 3
    for n in range(4):
        found = find_events(selection, victims=n)
        expected = [one for one in everything if one not in of_one[n:]]
        assert [one.slice for one in found] == [one.slice for one in expected]
    # The likeliest are kept, and other events are no victims.
    assert [one.score for one in of_one] == sorted(
        (one.score for one in of_one), reverse=True
    )
    assert len(find_events(Selection(store), victims=0)) == 2


def test_what_only_a_network_has_in_common_is_not_told_of_all_traffic(
    tmp_path: Path,
) -> None:
    """Its ports, windows and sensors are all sorts, and its country is asked for."""
    rng = np.random.default_rng(2)
    n = 120
    first = FIRST_ADDRESSES[CODES.index("US")] + (20 << 8)
    burst = make_cells(
        n,
        hour=FIRST_HOUR + rng.integers(1000, 1002, n),
        sensor=rng.integers(0, 3, n),
        src=first + rng.integers(1, 250, n),
        packets=1,
        proto=6,
        tcp_flags=SYN,
        dst_port=rng.choice([22, 23, 80, 443, 445, 1433, 3389, 8080], n),
        style=rng.integers(0, len(ALL_STYLES), n),
        ip_ttl=rng.integers(40, 120, n),
    )
    one = store_of(tmp_path, network(3, 2, 1), burst, packets_per_hour=500)
    assert one.events(where={"country": "US"}) == []
