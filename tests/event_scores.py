"""How well events are found: what was planted, beside what was found."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import fastflow
from fastflow.stages.country import CountryTable
from fastflow.store import Store
from fastflow.synth.scenario import Phenomenon, make_scenario
from fastflow.synth.scenario_files import make_phenomena
from scenario_store import make_store

#: A burst begins within an hour of when it is told to, a trend within a week.
ONSET_HOURS = {"trend": 7 * 24}
SIZES = ((0, 5), (5, 7), (7, 10), (10, 20), (20, 40), (40, float("inf")))

Found = dict[str, Any]


@dataclass
class Score:
    """Sums over seeds.

    Attributes
    ----------
    by_size : mapping of (low, high) to (planted, found)
        By the lift in robust standard deviations, of slices that are not empty.
    """

    seeds: int = 0
    must: int = 0
    recalled: int = 0
    onset: int = 0
    exact: int = 0
    kind: int = 0
    told: int = 0
    true: int = 0
    quiet_seeds: int = 0
    quiet_told: int = 0
    seconds: float = 0.0
    by_size: dict[tuple[float, float], list[int]] = field(
        default_factory=lambda: {size: [0, 0] for size in SIZES}
    )
    lines: list[str] = field(default_factory=list)

    def add(self, seed: int, truth: list[Phenomenon], found: list[Found]) -> None:
        """Take in one scenario."""
        self.seeds += 1
        self.told += len(found)
        left = list(found)
        for planted in sorted(truth, key=lambda one: -one.packets):
            match = best_match(planted, left)
            if match is not None:
                left.remove(match)
                self.true += 1
            if planted.usual > 0:
                for size, counts in self.by_size.items():
                    if size[0] <= planted.lift < size[1]:
                        counts[0] += 1
                        counts[1] += match is not None
            if not planted.must_be_found:
                continue
            self.must += 1
            if match is None:
                self.lines.append(f"{seed} missed {planted}")
                continue
            self.recalled += 1
            self._judge(seed, planted, match)
        self.lines += [f"{seed} false {_short(one)}" for one in left]

    def _judge(self, seed: int, planted: Phenomenon, match: Found) -> None:
        checks = {
            "onset": abs(hour_of(match["start"]) - planted.start)
            <= ONSET_HOURS.get(planted.kind, 1),
            "exact": match["slice"] == planted.slice,
            "kind": match["kind"] == planted.kind,
        }
        for name, is_right in checks.items():
            setattr(self, name, getattr(self, name) + is_right)
            if not is_right:
                self.lines.append(f"{seed} {name} {_short(match)} for {planted}")

    def report(self) -> str:
        """Return the figures as text."""
        found = max(1, self.recalled)
        sizes = ", ".join(
            f"{low}-{high}: {n_found}/{n_planted}"
            for (low, high), (n_planted, n_found) in self.by_size.items()
        )
        return (
            f"{self.seeds} seeds, {self.must} phenomena that must be found: "
            f"recall {self.recalled / max(1, self.must):.3f}, "
            f"precision {self.true / max(1, self.told):.3f} of {self.told} told, "
            f"onset {self.onset / found:.3f}, slice {self.exact / found:.3f}, "
            f"kind {self.kind / found:.3f}; "
            f"{self.quiet_told} events in {self.quiet_seeds} quiet scenarios; "
            f"by lift in deviations: {sizes}; {self.seconds:.0f} s in all"
        )


def best_match(planted: Phenomenon, found: list[Found]) -> Found | None:
    """Return the event that is of the phenomenon: the one that overlaps it most."""
    matches = [
        (overlap(planted, one), agreeing(planted, one), -one["rank"], one)
        for one in found
        if overlap(planted, one) > 0 and agreeing(planted, one) > 0
    ]
    return (
        max(matches, key=lambda match: (match[1], match[0], match[2]))[3]
        if (matches)
        else None
    )


def overlap(planted: Phenomenon, one: Found) -> int:
    """Return the hours that both last."""
    start, end = hour_of(one["start"]), hour_of(one["end"])
    return min(planted.end, end) - max(planted.start, start)


def agreeing(planted: Phenomenon, one: Found) -> int:
    """Return how many columns name the same values; 0 where one names another."""
    ours = {**planted.slice, **planted.fixed}
    theirs = {**one["slice"], **one["fixed"]}
    shared = ours.keys() & theirs.keys() - {"proto"}
    if any(ours[name] != theirs[name] for name in shared):
        return 0
    return len(shared)


def hour_of(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) // 3600


def _short(one: Found) -> str:
    return (
        f"{one['kind']} {one['start']}..{one['end']} {one['slice']} {one['fixed']} "
        + (
            f"{one['packets']} packets, {one['baseline']} expected, "
            f"confidence {one['confidence']}"
        )
    )


def run(seeds: Iterable[int], *, quiet: bool = False) -> Score:
    """Make scenarios, look for events, and add up what was found."""
    score = Score()
    start = time.perf_counter()
    for seed in seeds:
        scenario = make_scenario(seed, quiet=quiet)
        with tempfile.TemporaryDirectory() as root:
            store: Store = make_store(scenario, Path(root) / "store")
            found = store.events()
        if quiet:
            score.quiet_seeds += 1
            score.quiet_told += len(found)
            score.lines += [f"{seed} quiet {_short(one)}" for one in found]
        else:
            score.add(seed, scenario.truth, found)
    score.seconds = time.perf_counter() - start
    return score


def run_captures(seeds: Iterable[int], table: CountryTable) -> Score:
    """Do the same through captures that are reduced."""
    score = Score()
    for seed in seeds:
        with tempfile.TemporaryDirectory() as root:
            captures, counts = Path(root) / "captures", Path(root) / "counts"
            truth = make_phenomena(captures, seed, country_table=table)
            fastflow.reduce([captures], counts, "{parent}", geo=table)
            found = Store(counts).events()
        planted = [dict(one) for one in truth["phenomena"]]
        for one in planted:
            del one["must_be_found"]
        score.add(seed, [Phenomenon(**one) for one in planted], found)
    return score


def main() -> None:
    """Print the figures of some seeds: FIRST AFTER [quiet]."""
    import sys

    first, after = int(sys.argv[1]), int(sys.argv[2])
    score = run(range(first, after), quiet=sys.argv[3:] == ["quiet"])
    print("\n".join(score.lines))
    print(score.report())


if __name__ == "__main__":
    main()
