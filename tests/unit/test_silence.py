"""Hours in which a sensor saw nothing, and cannot have listened."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow.analysis.selection import Selection
from fastflow.analysis.silence import silent_hours
from fastflow.store import Store
from fastflow.synth.cells import make_cells
from fastflow.synth.noise import (
    FIRST_ADDRESSES,
    N_HOURS,
    Hosts,
    Sensors,
    make_background,
)
from fastflow.synth.scenario import Scenario
from fastflow.zones import hour_number
from scenario_store import make_store

ALWAYS = np.ones(N_HOURS, np.bool_)


def drawn(seed: int, rate: float, clump: int = 1) -> np.ndarray:
    """Return sources hour by hour, with a rhythm of days."""
    rng = np.random.default_rng(seed)
    day = 1 + 0.4 * np.cos(2 * np.pi * np.arange(N_HOURS) / 24)
    return (clump * rng.poisson(rate / clump * day)).astype(float)


@given(
    seed=st.integers(0, 1 << 16),
    rate=st.floats(40, 1000),
    first=st.integers(6, N_HOURS - 100),
    length=st.integers(1, 90),
)
def test_a_busy_sensor_is_not_silent_by_chance(
    seed: int, rate: float, first: int, length: int
) -> None:
    sources = drawn(seed, rate)
    sources[first : first + length] = 0
    gap = np.arange(first, first + length)
    assert np.flatnonzero(silent_hours(sources, ALWAYS)).tolist() == gap.tolist()


@given(
    seed=st.integers(0, 1 << 16), rate=st.floats(0, 300), clump=st.sampled_from([1, 4])
)
def test_what_is_silent_by_chance_is_covered(
    seed: int, rate: float, clump: int
) -> None:
    assert not silent_hours(drawn(seed, rate, clump), ALWAYS).any()


def test_at_a_quiet_sensor_silence_has_to_last() -> None:
    sources = np.where(np.arange(N_HOURS) % 24 == 12, 3.0, 2.0)
    for length, is_gap in ((5, False), (12, True)):
        seen = sources.copy()
        seen[1000 : 1000 + length] = 0
        assert np.count_nonzero(silent_hours(seen, ALWAYS)) == length * is_gap


def test_traffic_that_comes_to_an_end_is_no_silence() -> None:
    sources = drawn(1, 200)
    sources[1500:] = 0
    sources[1500::168] = 1
    assert not silent_hours(sources, ALWAYS).any()
    assert not silent_hours(np.zeros(N_HOURS), ALWAYS).any()


def test_hours_that_no_input_spans_are_neither_silent_nor_looked_at() -> None:
    sources, is_covered = drawn(2, 200), ALWAYS.copy()
    sources[:700] = 0
    is_covered[:700] = False
    sources[900:910] = 0
    found = np.flatnonzero(silent_hours(sources, is_covered)).tolist()
    assert found == list(range(900, 910))


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store of quiet traffic, whose captures span times of silence."""
    names = ["sensor-1", "sensor-2", "sensor-3"]
    is_on = np.ones((3, N_HOURS), np.bool_)
    sensors = Sensors(names, np.array([3, 2, 1]) / 6, is_on)
    rng = np.random.default_rng(1)
    columns = make_background(rng, sensors, Hosts(FIRST_ADDRESSES), 60)
    del columns["country"]
    cells = make_cells(len(columns["hour"]), **columns)
    hour = cells["hour"] - cells["hour"].min()
    silent = (cells["sensor"] == 0) & (hour >= 100) & (hour < 800)
    silent |= (cells["sensor"] < 2) & (hour >= 1500) & (hour < 1509)
    silent |= (hour >= 1700) & (hour < 1704)
    scenario = Scenario(sensors, FIRST_ADDRESSES, cells[~silent], [])
    return make_store(scenario, tmp_path_factory.mktemp("silence") / "store")


def test_silence_within_a_capture_is_no_event(interrupted: Store) -> None:
    assert interrupted.events() == []


def test_silence_is_a_gap(interrupted: Store) -> None:
    coverage = Selection(interrupted).coverage
    covered = {name: one.is_covered for name, one in coverage.sensors.items()}
    assert np.flatnonzero(~covered["sensor-1"]).tolist() == [
        *range(100, 800), *range(1500, 1509), *range(1700, 1704),
    ]  # fmt: skip
    assert np.flatnonzero(~covered["sensor-2"]).tolist() == [
        *range(1500, 1509), *range(1700, 1704),
    ]  # fmt: skip


def test_rows_of_days_leave_no_silence(interrupted: Store, tmp_path: Path) -> None:
    copy = shutil.copytree(interrupted.directory, tmp_path / "store")
    before = datetime.fromisoformat("2020-08-10T00:00Z")
    Store(copy).expire(before, daily=True)
    coverage = Selection(Store(copy)).coverage
    covered = coverage.sensors["sensor-1"].is_covered
    gaps = np.flatnonzero(~covered) + coverage.start
    first = coverage.start
    assert (gaps - first).tolist() == [*range(1500, 1509), *range(1700, 1704)]
    assert first + 800 <= hour_number(before) < first + 1500
