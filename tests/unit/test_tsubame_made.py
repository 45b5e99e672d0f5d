"""The reference quarter: what is made, and whether its truth is true."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastflow.errors import ConfigError
from fastflow.synth import captures
from fastflow.synth.background import DayCells
from fastflow.synth.captures import write_day
from fastflow.synth.course import N_DAYS, Course, Surge, step
from fastflow.synth.phenomena import PHENOMENA
from fastflow.synth.senders import STYLES
from fastflow.synth.truth import Truth
from fastflow.synth.tsubame import Scenario, make_quarter
from quarter import SCALE, Quarter, daily, small_table, top

pytest_plugins = ["quarter_fixture"]


def test_truth_has_the_stores_rankings(quarter: Quarter) -> None:
    assert len(quarter.truth["rankings"]) == 8
    for ranking in quarter.truth["rankings"]:
        chosen = None if ranking["sensors"] == "all" else [ranking["sensors"]]
        for by in ("port", "country"):
            rows = top(quarter, by, ranking["period"], tz=ranking["tz"], sensors=chosen)
            found = [[row["key"], row["packets"]] for row in rows]
            assert found == ranking[by]
            shares = [row["packets"] / ranking["packets"] for row in rows]
            assert [row["share"] for row in rows] == pytest.approx(shares)


@pytest.mark.parametrize("phenomenon", PHENOMENA, ids=lambda one: one.name)
def test_truth_of_each_phenomenon_is_in_the_store(
    quarter: Quarter, phenomenon: Any
) -> None:
    (told,) = [
        one for one in quarter.truth["phenomena"] if one["name"] == phenomenon.name
    ]
    found = daily(quarter, {**told["slice"], **told["fixed"]})
    assert told["daily"] == found
    within = [n for day, (n, _) in found.items() if told["start"] <= day < told["end"]]
    assert told["packets"] == sum(within)
    assert bool(within) == (told["kind"] not in ("gap", "off"))


def test_names_of_phenomena_differ() -> None:
    assert max(Counter(one.name for one in PHENOMENA).values()) == 1


def bytes_of(path: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(str(file.relative_to(path)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def test_bytes_are_the_same_on_every_machine(quarter: Quarter) -> None:
    assert bytes_of(quarter.captures) == "92d9e4e0cc91cc45"


def test_bytes_do_not_depend_on_how_many_packets_are_bytes_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = Scenario(0, SCALE, small_table())
    cells = scenario.day(150).cells
    write_day(cells, STYLES, scenario.stations, tmp_path / "a", 0)
    monkeypatch.setattr(captures, "_PIECE_PACKETS", 7)
    write_day(cells, STYLES, scenario.stations, tmp_path / "b", 0)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


def test_seed_decides_the_cells() -> None:
    def cells(seed: int) -> np.ndarray:
        return Scenario(seed, SCALE, small_table()).day(100).cells

    assert (cells(1) == cells(1)).all()
    assert len(cells(1)) != len(cells(2)) or (cells(1) != cells(2)).any()


def test_a_file_lies_there_for_each_sensor_and_day(quarter: Quarter) -> None:
    found = Counter(path.parent.name for path in quarter.captures.glob("*/*.pcap"))
    names = [one["sensor"] for one in quarter.truth["sensors"]]
    assert found == dict.fromkeys(names, N_DAYS) | {"frankfurt-1": N_DAYS - 7}
    days = {path.stem for path in (quarter.captures / "tokyo-1").iterdir()}
    assert (min(days), max(days)) == ("2020-04-01", "2020-09-30")
    assert not list(quarter.captures.rglob(".*"))


@pytest.mark.parametrize(
    ("seed", "scale", "problem"),
    [
        (-1, 1.0, "seed -1"),
        (2**64, 1.0, "seed"),
        (0, 0.01, "scale 0.01"),
        (0, float("nan"), "scale nan"),
        (0, 101.0, "scale 101"),
    ],
)
def test_what_is_out_of_range_is_refused(
    tmp_path: Path, seed: int, scale: float, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        make_quarter(tmp_path, seed, scale, small_table())


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file.*cannot be written"):
        make_quarter(tmp_path / "file", 0, SCALE, small_table())


def test_courses_go_from_knot_to_knot() -> None:
    course = Course(
        (("2020-04-02", 100), ("2020-04-06", 300)), (Surge("2020-04-08", 2, 1500),)
    )
    assert course.levels()[:10].tolist() == [
        *(100, 100, 150, 200, 250, 300, 300, 450, 450, 300)
    ]
    assert course.levels()[-1] == 300
    assert step("2020-04-03", 250).levels()[:4].tolist() == [250, 250, 1000, 1000]


def test_truth_counts_what_is_there() -> None:
    """A slow count of some days, from the cells."""
    scenario = Scenario(5, SCALE, small_table())
    truth = Truth(scenario.stations, STYLES, scenario.countries, PHENOMENA, "NZ")
    made: list[DayCells] = []
    for day in (0, 90, 91, 182):
        made.append(scenario.day(day))
        truth.add(day, made[-1])
    ports: Counter[str] = Counter()
    for cells in (one.cells for one in made[1:]):
        for cell in cells:
            local = int(cell["hour"]) + 9 - 442_656
            if cell["sensor"] < 3 and cell["proto"] != 1 and 0 <= local < 92 * 24:
                name = {6: "tcp", 17: "udp"}[int(cell["proto"])]
                ports[f"{cell['dst_port']}/{name}"] += int(cell["packets"])
    (ranking,) = [
        one
        for one in truth.document()["rankings"]
        if (one["tz"], one["period"], one["sensors"]) == ("Asia/Tokyo", "2020-Q3", "JP")
    ]
    assert ranking["port"][:5] == [
        [key, n]
        for key, n in sorted(ports.items(), key=lambda item: (-item[1], item[0]))[:5]
    ]
