"""Random phenomena are found, and nothing is where nothing was planted.

A few scenarios in each run; FASTFLOW_SCENARIOS=200 looks at more of them, and the
figures of docs/events.md are those of 200 (`python tests/event_scores.py 0 200`).
"""

from __future__ import annotations

import os

from event_scores import run, run_captures
from fastflow.stages.country import CountryTable

pytest_plugins = ["country_fixture"]

N_SCENARIOS = int(os.environ.get("FASTFLOW_SCENARIOS", "4"))


def test_what_was_planted_is_found() -> None:
    score = run(range(N_SCENARIOS))
    told = f"{score.report()}\n" + "\n".join(score.lines)
    assert score.must > 0
    # Of few scenarios one fault may be more than a twentieth.
    assert score.must - score.recalled <= max(1, 0.05 * score.must), told
    assert score.told - score.true <= max(1, 0.05 * score.told), told
    assert score.recalled - score.onset <= max(1, 0.05 * score.recalled), told
    assert score.recalled - score.exact <= max(1, 0.1 * score.recalled), told


def test_captures_lead_to_what_was_planted(country_table: CountryTable) -> None:
    """One scenario in twenty goes the whole way."""
    score = run_captures(range(max(1, N_SCENARIOS // 20)), country_table)
    told = f"{score.report()}\n" + "\n".join(score.lines)
    assert score.must - score.recalled <= max(1, 0.05 * score.must), told
    assert score.told - score.true <= max(1, 0.05 * score.told), told


def test_nothing_is_told_of_quiet_traffic() -> None:
    score = run(range(N_SCENARIOS), quiet=True)
    assert score.quiet_told <= max(1, 0.05 * N_SCENARIOS), "\n".join(score.lines)
