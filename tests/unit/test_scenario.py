"""Random scenarios: the same from the same seed, and what truth says is in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fastflow.errors import ConfigError
from fastflow.stages.country import CountryTable
from fastflow.synth.noise import FIRST_HOUR, N_HOURS
from fastflow.synth.scenario import make_scenario
from fastflow.synth.scenario_files import make_phenomena

pytest_plugins = ["country_fixture"]


def test_a_seed_gives_the_same_cells() -> None:
    one, same, other = (make_scenario(seed, scale=0.1) for seed in (3, 3, 4))
    assert np.array_equal(one.cells, same.cells)
    assert one.truth == same.truth
    assert not np.array_equal(one.cells[:1000], other.cells[:1000])


def test_a_quiet_one_is_the_same_without_what_is_planted() -> None:
    quiet = make_scenario(3, scale=0.1, quiet=True)
    planted = make_scenario(3, scale=0.1)
    assert quiet.truth == []
    n = len(quiet.cells)
    assert np.array_equal(planted.cells[:n], quiet.cells)
    packets = planted.cells["packets"][n:].sum()
    assert packets == sum(one.packets for one in planted.truth)


@pytest.mark.parametrize("seed", range(5))
def test_cells_lie_in_the_time_on_the_air(seed: int) -> None:
    scenario = make_scenario(seed, scale=0.1)
    hour = scenario.cells["hour"] - FIRST_HOUR
    assert hour.min() >= 0
    assert hour.max() < N_HOURS
    assert scenario.sensors.is_on[scenario.cells["sensor"], hour].all()


def test_what_must_be_found_is_large_or_in_an_empty_slice() -> None:
    truth = [one for seed in range(30) for one in make_scenario(seed, scale=0.2).truth]
    must = [one.must_be_found for one in truth]
    assert 0.4 < np.mean(must) < 0.95
    assert {one.kind for one in truth} == {
        "surge", "trend", "fixed", "newcomer", "attack"
    }  # fmt: skip


def test_captures_have_the_packets_of_the_cells(
    tmp_path: Path, country_table: CountryTable
) -> None:
    truth = make_phenomena(tmp_path, 5, 0.05, country_table=country_table)
    assert truth == json.loads((tmp_path / "truth.json").read_text())
    assert {path.parent.name for path in tmp_path.glob("*/*.pcap")} == set(
        truth["sensors"]
    )


def test_a_scale_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"scale 0\.01: 0\.05 to"):
        make_phenomena(tmp_path, 5, 0.01)
