"""How well events are found: what was planted, beside what was found."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import fastflow
from fastflow.stages.country import CountryTable, load_country_table
from fastflow.store import Store
from fastflow.synth.scenario import Phenomenon, Scenario, make_scenario
from fastflow.synth.scenario_files import make_phenomena
from scenario_store import make_store

#: A burst begins within an hour of when it is told to, a trend within a week.
ONSET_HOURS = {"trend": 7 * 24}
_MORE = float("inf")
#: Classes of size: by how many robust standard deviations of its slice's hours (a
#: trend: days) it lifts that, or its packets an hour where the slice is empty.
SIZES = {
    "deviations": ((0, 3), (3, 5), (5, 7), (7, 10), (10, 20), (20, 40), (40, _MORE)),
    "packets/h": ((0, 15), (15, 30), (30, 60), (60, 120), (120, 240), (240, _MORE)),
}
KINDS = ("surge", "trend", "fixed", "newcomer", "attack")

Found = dict[str, Any]
#: Unit, bounds, kind.
Class = tuple[str, tuple[float, float], str]


@dataclass
class Score:
    """Sums over seeds.

    Attributes
    ----------
    by_size : mapping of unit, (low, high) and kind to (planted, found)
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
    by_size: Counter[tuple[Class, str]] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)

    def __iadd__(self, other: Score) -> Score:
        """Add up."""
        for one in fields(self):
            both = getattr(self, one.name) + getattr(other, one.name)
            setattr(self, one.name, both)
        return self

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
            self.by_size[size_of(planted), "planted"] += 1
            self.by_size[size_of(planted), "found"] += match is not None
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
        return (
            f"{self.seeds} seeds, {self.must} phenomena that must be found: "
            f"recall {self.recalled / max(1, self.must):.3f}, "
            f"precision {self.true / max(1, self.told):.3f} of {self.told} told, "
            f"onset {self.onset / found:.3f}, slice {self.exact / found:.3f}, "
            f"kind {self.kind / found:.3f}; "
            f"{self.quiet_told} events in {self.quiet_seeds} quiet scenarios"
        )

    def table(self) -> str:
        """Return what was found of each size and kind, as a table of Markdown."""
        lines = [
            f"| lift | {' | '.join(KINDS)} |",
            "|---|" + "--:|" * len(KINDS),
        ]
        for unit, sizes in SIZES.items():
            for size in sizes:
                cells = []
                for kind in KINDS:
                    of_class = (unit, size, kind)
                    planted = self.by_size[of_class, "planted"]
                    found = self.by_size[of_class, "found"]
                    cells.append(f"{found} of {planted}" if planted else "")
                low, high = size
                bounds = f"{low} and more" if high == _MORE else f"{low} to {high}"
                lines.append(f"| {bounds} {unit} | {' | '.join(cells)} |")
        return "\n".join(lines)


def size_of(planted: Phenomenon) -> Class:
    """Return the class of size of a phenomenon."""
    unit, value = ("deviations", planted.lift)
    if planted.usual == 0:
        unit, value = "packets/h", planted.per_hour
    size = next(one for one in SIZES[unit] if one[0] <= value < one[1])
    return unit, size, planted.kind


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


def score_tallies(seed: int) -> Score:
    """Make a scenario as tallies, look for events, and judge them."""
    scenario = make_scenario(seed)
    score = Score()
    score.add(seed, scenario.truth, _events(scenario))
    return score


def score_quiet(seed: int) -> Score:
    """Look for events where nothing was planted."""
    found = _events(make_scenario(seed, quiet=True))
    lines = [f"{seed} quiet {_short(one)}" for one in found]
    return Score(quiet_seeds=1, quiet_told=len(found), lines=lines)


def score_captures(seed: int, table: CountryTable | None = None) -> Score:
    """Do the whole way: captures, reduced into a store."""
    table = load_country_table() if table is None else table
    with tempfile.TemporaryDirectory() as root:
        captures, counts = Path(root) / "captures", Path(root) / "counts"
        truth = make_phenomena(captures, seed, country_table=table)
        fastflow.reduce([captures], counts, "{parent}", geo=table)
        found = Store(counts).events()
    planted = [dict(one) for one in truth["phenomena"]]
    for one in planted:
        del one["must_be_found"]
    score = Score()
    score.add(seed, [Phenomenon(**one) for one in planted], found)
    return score


def _events(scenario: Scenario) -> list[Found]:
    with tempfile.TemporaryDirectory() as root:
        return make_store(scenario, Path(root) / "store").events()


def run(scores: Iterable[Score]) -> Score:
    """Add scores up."""
    whole = Score()
    for score in scores:
        whole += score
    return whole


def _shown(scores: Iterable[Score]) -> Iterator[Score]:
    for score in scores:
        for line in score.lines:
            print(line, flush=True)
        yield score


WAYS = {"tallies": score_tallies, "quiet": score_quiet, "captures": score_captures}


def main() -> None:
    """Print the figures of some seeds: FIRST AFTER [tallies | quiet | captures]."""
    first, after = int(sys.argv[1]), int(sys.argv[2])
    way = WAYS[sys.argv[3] if len(sys.argv) > 3 else "tallies"]
    score = run(_shown(map(way, range(first, after))))
    print(score.report(), score.table(), sep="\n\n")


if __name__ == "__main__":
    main()
