"""Random phenomena are found, and nothing is where nothing was planted.

A few scenarios in each run; FASTFLOW_SCENARIOS=200 looks at more of them, and the
figures of docs/events.md are those of 200 (`python tests/event_scores.py 1000 1200`).
"""

from __future__ import annotations

import os

from event_scores import run, score_captures, score_quiet, score_tallies
from fastflow.stages.country import CountryTable

pytest_plugins = ["country_fixture"]

N_SCENARIOS = int(os.environ.get("FASTFLOW_SCENARIOS", "4"))


def test_what_was_planted_is_found() -> None:
    score = run(map(score_tallies, range(N_SCENARIOS)))
    told = f"{score.report()}\n" + "\n".join(score.lines)
    assert score.must > 0
    # Of few scenarios one fault may be more than a twentieth.
    assert score.must - score.recalled <= max(1, 0.05 * score.must), told
    assert score.told - score.true <= max(1, 0.05 * score.told), told
    assert score.recalled - score.onset <= max(1, 0.05 * score.recalled), told
    assert score.recalled - score.exact <= max(1, 0.1 * score.recalled), told


def test_captures_lead_to_what_was_planted(country_table: CountryTable) -> None:
    """One scenario in twenty goes the whole way."""
    seeds = range(max(1, N_SCENARIOS // 20))
    score = run(score_captures(seed, country_table) for seed in seeds)
    told = f"{score.report()}\n" + "\n".join(score.lines)
    assert score.must - score.recalled <= max(1, 0.05 * score.must), told
    assert score.told - score.true <= max(1, 0.05 * score.told), told


def test_nothing_is_told_of_quiet_traffic() -> None:
    score = run(map(score_quiet, range(N_SCENARIOS)))
    assert score.quiet_told <= max(1, 0.05 * N_SCENARIOS), "\n".join(score.lines)
