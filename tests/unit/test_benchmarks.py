"""The parts of the benchmarks that judge: budgets, targets, how cost grows."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import contestants  # noqa: E402
import instructions  # noqa: E402
import loads  # noqa: E402
import report  # noqa: E402
import scaling  # noqa: E402
import targets  # noqa: E402
from results import Result  # noqa: E402

BUDGET = {"ff_tcp.h:ff_tcp_parse": 60.0, "ff_scan.h:ff_scan_record": 40.0}
SIZES = [1e3, 3e3, 1e4, 3e4, 1e5]


def results(**seconds: float) -> dict[str, Result]:
    """Return results of one round each, of a million packets."""
    return {
        name.replace("_", "-"): Result(
            name.replace("_", "-"), packets=1_000_000, size_bytes=1, seconds=[time]
        )
        for name, time in seconds.items()
    }


def test_budget_allows_three_per_cent_and_no_more() -> None:
    assert not instructions.exceeds({"ff_tcp.h:ff_tcp_parse": 102.9}, BUDGET)
    assert instructions.exceeds({"ff_tcp.h:ff_tcp_parse": 103.1}, BUDGET)


def test_verdict_names_the_function_that_grew_and_no_other() -> None:
    costs = {**BUDGET, "ff_tcp.h:ff_tcp_parse": 64.0}
    text = instructions.verdict("all", costs, BUDGET)
    assert "ff_tcp.h:ff_tcp_parse: 60.00 -> 64.00" in text
    assert "ff_scan_record" not in text


def test_verdict_names_a_function_that_is_new() -> None:
    text = instructions.verdict("all", {**BUDGET, "ff_new.h:ff_new": 9.0}, BUDGET)
    assert "ff_new.h:ff_new: 0.00 -> 9.00" in text


def test_what_is_not_ours_is_not_counted() -> None:
    costs = {**BUDGET, instructions.FOREIGN: 50.0}
    assert not instructions.exceeds(costs, BUDGET)
    assert "50.0 not ours" in instructions.verdict("all", costs, BUDGET)


def test_a_job_without_a_budget_exceeds_it() -> None:
    assert instructions.exceeds(BUDGET, None)


def test_inlined_instructions_belong_to_the_function_they_were_written_in(
    tmp_path: Path,
) -> None:
    header = tmp_path / "ff_a.h"
    header.write_text(
        "FF_INLINE int ff_inner(int x) {\n    return x;\n}\n\nMADE(ff_made)\n\n"
        "static inline int ff_outer(int x,\n    int y) {\n    return ff_inner(x);\n}\n"
    )
    profile = (
        f"events: Ir\nfl={header}\nfn=ff_outer\n7 10\n8 1\nfi={header}\n2 5\n"
        f"fe={header}\n9 3\ncfn=memcpy\ncalls=4 0\n9 1000\n"
        f"fn=ff_made\n5 2\nfl=libc.c\nfn=memcpy\n1 7\n"
    )
    assert instructions.read_callgrind(profile) == {
        "ff_a.h:ff_outer": 14,
        "ff_a.h:ff_inner": 5,
        "ff_a.h:ff_made": 2,
        instructions.FOREIGN: 7,
    }


def test_committed_budgets_are_of_every_job() -> None:
    for key, budget in json.loads(instructions.BUDGETS.read_text()).items():
        assert set(budget) == set(instructions.JOBS), key
        assert all(instructions.total(costs) > 0 for costs in budget.values())


def test_flags_are_those_of_the_extension() -> None:
    setup = (BENCHMARKS.parent / "setup.py").read_text()
    for flag in instructions.FLAGS:
        assert f'"{flag}' in setup


def test_targets_measure_jobs_that_run_on_their_load() -> None:
    missing = set()
    for target in targets.TARGETS:
        assert target.kind in loads.KINDS
        ran = {
            contestant.name: Result(contestant.name, 1, 1, seconds=[1.0], peak_bytes=1)
            for contestant in contestants.ALL
            if target.kind in contestant.kinds
        }
        try:
            target.measure(ran)
        except targets.MissingError as error:
            missing.add(str(error))
    assert missing == set()


def test_target_is_judged_by_the_ratio_to_the_yardstick() -> None:
    rows = list(targets.rows("scan", results(libpcap=1.0, scan_all=0.5, tally=0.7)))
    assert "| scan, all columns | >= 2.5 x faster than L | 2.00 | no |" in rows
    assert "| counts and sources in memory, 1 worker | <= 0.8 L | 0.70 | yes |" in rows


def test_target_whose_job_did_not_run_is_not_measured() -> None:
    rows = list(targets.rows("scan", results(libpcap=1.0)))
    assert rows
    assert all("not measured" in row for row in rows)


def test_slow_peers_are_compared_by_packet() -> None:
    ran = results(libpcap=0.5, dpkt=1.0)
    ran["dpkt"].packets = 100_000
    assert report.of_yardstick(ran["dpkt"], ran) == "20.0 (20.0)"


@pytest.mark.parametrize("power", [0.8, 1.0, 1.3])
def test_exponent_is_found_behind_a_fixed_cost(power: float) -> None:
    times = [0.02 + 1e-6 * x**power for x in SIZES]
    assert scaling.exponent(SIZES, times) == pytest.approx(power, abs=0.011)


def test_straight_line_is_found_and_nothing_lies_off_it() -> None:
    times = [0.02 + 3e-6 * x for x in SIZES]
    assert scaling.fit(SIZES, times) == pytest.approx((0.02, 3e-6))
    assert max(map(abs, scaling.deviations(SIZES, times))) < 1e-9


@pytest.mark.parametrize(
    ("power", "verdict"), [(1.0, "linear"), (1.5, "NOT LINEAR"), (0.1, "too few")]
)
def test_figure_says_whether_growth_is_linear(power: float, verdict: str) -> None:
    line = scaling.Line("reduce", SIZES, [1e-6 * x**power for x in SIZES])
    (text,) = scaling.verdicts(scaling.Dimension("packets", "packets", [line]))
    assert text.startswith(f"reduce: {verdict}")
