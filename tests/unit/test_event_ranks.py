"""Ranks that events changed, beside those that `top` counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from fastflow.analysis.events.event import Event
from fastflow.analysis.events.ranks import RankChange, compare_ranks
from fastflow.analysis.events.series import Key, Pool
from fastflow.analysis.events.slices import Value
from fastflow.analysis.events.wording import describe
from fastflow.analysis.rank import Ranking
from fastflow.analysis.selection import Selection
from fastflow.synth.scenario import make_scenario
from scenario_store import make_store

WEEKS, HOURS = 28 * 24, 48


def pool_of(levels: dict[tuple[str, Value], tuple[int, int]]) -> Pool:
    """Return series with a level before hour `WEEKS`, and another from then on."""
    keys = sorted((Key((name,), (value,)) for name, value in levels), key=str)
    n_hours = WEEKS + HOURS
    hours = np.tile(np.arange(n_hours, dtype=np.int32), len(keys))
    packets = np.concatenate(
        [
            np.repeat(levels[key.dimensions[0], key.values[0]], (WEEKS, HOURS))
            for key in keys
        ]
    ).astype(np.int32)
    begins = np.arange(len(keys) + 1) * n_hours
    stretches = [(0, n_hours)]
    least = {"counts": 0.0, "sources": 0.0, "hour": 0.0}
    return Pool(0, n_hours, keys, begins, hours, packets, packets, stretches, least)


def port(number: int) -> tuple[str, Value]:
    return "service", (6, number, None)


def surge(number: int, packets: int, kind: str = "surge") -> Event:
    named = dict([port(number)])
    return Event(kind, [(WEEKS, WEEKS + HOURS)], named, {}, 99.0, packets=packets)


def changed(levels: dict[tuple[str, Value], tuple[int, int]], event: Event) -> list:
    compare_ranks(pool_of(levels), [event])
    return event.details.get("ranks", [])


def test_the_rank_before_and_in_it_is_told() -> None:
    levels = {port(23): (50, 50), port(445): (40, 70), port(22): (30, 30)}
    event = surge(445, 30 * HOURS)
    assert changed(levels, event) == [RankChange("service", "445/tcp", 2, 1)]
    text, evidence = describe(event, UTC)
    assert "445/tcp went from rank 2 to rank 1 of all ports." in text
    assert "445/tcp: rank 2 in the weeks before, rank 1 in its time" in evidence


def test_a_rank_that_others_changed_is_not_told() -> None:
    levels = {port(23): (50, 20), port(445): (40, 41), port(22): (30, 30)}
    assert changed(levels, surge(445, HOURS)) == []
    levels = {port(23): (50, 50), port(445): (40, 45), port(22): (30, 30)}
    assert changed(levels, surge(445, 5 * HOURS)) == []


def test_what_was_or_is_not_among_the_first_ten_has_no_rank() -> None:
    others = {port(n): (200 - 2 * n, 200 - 2 * n) for n in range(20)}
    event = surge(445, 199 * HOURS)
    assert changed({**others, port(445): (1, 199)}, event) == [
        RankChange("service", "445/tcp", None, 2)
    ]
    assert "445/tcp came among the first ports, at rank 2." in describe(event, UTC)[0]
    assert changed({**others, port(445): (1, 165)}, surge(445, 165 * HOURS)) == []


def test_ties_are_in_the_order_of_their_text() -> None:
    levels = {port(23): (50, 50), port(445): (40, 50)}
    assert changed(levels, surge(445, 10 * HOURS)) == []
    levels = {port(23): (40, 50), port(1433): (50, 50)}
    assert changed(levels, surge(23, 10 * HOURS)) == []


def test_icmp_has_no_port_and_a_week_is_needed() -> None:
    event = surge(445, 30 * HOURS)
    event.slice = {"service": (1, None, 8)}
    assert changed({("service", (1, None, 8)): (1, 9)}, event) == []
    early = surge(445, 30 * HOURS)
    early.pieces = [(100, 148)]
    assert changed({port(23): (50, 50), port(445): (40, 70)}, early) == []


@pytest.mark.parametrize("seed", [10_002, 10_004])
def test_ranks_are_those_of_top(seed: int, tmp_path: Path) -> None:
    store = make_store(make_scenario(seed), tmp_path / "store")
    n_compared = 0
    for event in store.events():
        lines = [line for line in event["evidence"] if "/tcp: " in line]
        if not lines or event["kind"] == "trend":
            continue
        key, _, text = lines[0].partition(": ")
        start, end = (datetime.fromisoformat(event[name]) for name in ("start", "end"))
        ranking = Ranking(Selection(store), "port")
        now = ranking.first((start, end), 10)["key"].to_pylist()
        weeks = (start - timedelta(hours=WEEKS), start)
        before = ranking.first(weeks, 10)["key"].to_pylist()
        for ranks, when in ((before, "in the weeks before"), (now, "in its time")):
            rank = ranks.index(key) + 1 if key in ranks else None
            said = f"rank {rank}" if rank else "not among the first 10"
            assert f"{said} {when}" in text
            n_compared += 1
    assert n_compared
