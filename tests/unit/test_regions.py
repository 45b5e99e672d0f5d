"""Regions beside all others: shares are exact, intervals and courses say what is so."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from command import fastflow as command
from fastflow.analysis.regions import _same_course, regions
from fastflow.analysis.selection import Selection
from fastflow.store import Store
from quarter import Quarter
from reduced import at, reduced

pytest_plugins = ["quarter_fixture"]


def store_of(root: Path, rows: list[dict[str, Any]]) -> Store:
    store = Store(root, create=True)
    store.publish([reduced("one", rows)])
    return store


def days(seed: int, **mixes: dict[int, float]) -> list[dict[str, Any]]:
    """Return 40 days of packets, by country and its mix of ports."""
    rng = random.Random(seed)
    return [
        {
            "hour": at(24 * day),
            "country": country,
            "dst_port": port,
            "packets": max(1, round(rng.gauss(1000 * part, 30))),
        }
        for day in range(40)
        for country, mix in mixes.items()
        for port, part in mix.items()
    ]


def test_shares_and_differences(tmp_path: Path) -> None:
    rows = [
        {"country": "RU", "dst_port": 22, "packets": 60, "hour": at(24)},
        {"country": "RU", "dst_port": 22, "packets": 20},
        {"country": "RU", "dst_port": None, "proto": 1, "packets": 20},
        {"country": "US", "dst_port": 22, "packets": 10},
        {"country": None, "dst_port": 445, "packets": 40, "hour": at(24)},
    ]
    russia, states = regions(Selection(store_of(tmp_path, rows)), 3)
    assert (russia.country, russia.name, russia.packets) == ("RU", "Russia", 100)
    assert russia.share == 100 / 150
    (ssh,) = russia.ports
    assert (ssh.port, ssh.packets, ssh.share) == ("22/tcp", 80, 0.8)
    assert (ssh.elsewhere, ssh.difference) == (0.2, pytest.approx(0.6))
    assert (ssh.course_differs, ssh.p_value) == (None, None)
    assert [port.port for port in states.ports] == ["22/tcp"]


def test_the_same_mix_is_seldom_told_apart(tmp_path: Path) -> None:
    mix = {22: 0.2, 445: 0.5, 23: 0.3}
    wrong = 0
    for seed in range(8):
        store = store_of(tmp_path / str(seed), days(seed, RU=mix, US=mix, CN=mix))
        ports = [port for region in regions(Selection(store)) for port in region.ports]
        wrong += any(port.differs or port.course_differs for port in ports)
    assert wrong <= 2


def test_another_mix_and_another_course_are_told(tmp_path: Path) -> None:
    usual = {22: 0.2, 445: 0.5, 23: 0.3}
    rows = days(1, US=usual, CN=usual, RU={22: 0.5, 445: 0.3, 23: 0.2})
    for row in rows:
        if (row["country"], row["dst_port"]) == ("RU", 23):
            row["packets"] += 5 * (row["hour"] - at(0)).days
    found = {one.country: one for one in regions(Selection(store_of(tmp_path, rows)))}
    russia = {port.port: port for port in found["RU"].ports}
    assert all(port.differs for port in russia.values())
    ssh = russia["22/tcp"]
    assert ssh.difference == pytest.approx(0.27, abs=0.04)
    assert ssh.low < ssh.difference < ssh.high
    assert russia["23/tcp"].course_differs


def test_chance_decides_about_courses_as_often_as_it_says() -> None:
    counts = stats.poisson(50)
    own = counts.rvs((500, 60), random_state=1).astype(float)
    other = counts.rvs((500, 60), random_state=2).astype(float) * 3
    found = [_same_course(*pair) for pair in zip(own, other, strict=True)]
    # The bound of the sums is one for many days: for few it promises less than it has.
    assert 0.005 < sum(p < 0.05 for p in found) / 500 < 0.07


def test_a_store_without_rows(tmp_path: Path) -> None:
    assert regions(Selection(Store(tmp_path, create=True))) == []


def test_one_region_has_no_others(tmp_path: Path) -> None:
    (region,) = regions(Selection(store_of(tmp_path, [{}])))
    (port,) = region.ports
    assert (port.share, port.elsewhere, port.difference) == (1.0, None, None)
    assert not port.differs


def test_russia_in_the_reference_quarter(quarter: Quarter) -> None:
    period = ["--period", "2020-Q3", "--tz", "Asia/Tokyo"]
    ran = command("regions", "--store", quarter.store.url, *period, "--json")
    found = {region["country"]: region for region in ran.json}
    assert list(found) == ["US", "RU", "CN", "NL", "DE"]
    first, second = found["RU"]["ports"][:2]
    assert (first["port"], second["port"]) == ("22/tcp", "3389/tcp")
    for port in (first, second):
        assert port["difference"] >= 0.1
        assert port["differs"]
        assert port["course_differs"]
    states = [port["port"] for port in found["US"]["ports"]]
    assert states == ["445/tcp", "23/tcp", "1433/tcp", "22/tcp", "80/tcp"]


def test_a_period_without_packets_has_no_regions(tmp_path: Path) -> None:
    store = store_of(tmp_path, [{"country": "JP"}])
    assert regions(Selection(store, "2020-07")) == []


def test_ties_among_the_ports_of_a_region_go_by_key(tmp_path: Path) -> None:
    rows = [
        {"country": code, "dst_port": port, "packets": 3}
        for code in ("RU", "US")
        for port in (23, 80, 1433, 22)
    ]
    found = regions(Selection(store_of(tmp_path, rows)), 2, 3)
    for region in found:
        assert [one.port for one in region.ports] == ["1433/tcp", "22/tcp", "23/tcp"]
