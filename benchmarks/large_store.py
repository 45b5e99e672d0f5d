"""What questions to a large store take: `make bench-questions`.

The store is a quarter of a network, with a capture of each sensor for each day, made of
random scenarios (`fastflow.synth.scenario`) without captures: what rises in `counts` is
in `sources` too, as in a real one. Each part is a scenario of its own on the same
sensors; the first has events. Every question is a process of its own, in turn with the
others; the yardstick is a sum over one column of `counts`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import machine

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

YARDSTICK = "query"
_STORE = ("--store", "{store}")
_QUARTER = (*_STORE, "--period", "2020-Q3")
_FINDINGS = "{scratch}/findings.json"
#: Commands by the names they are printed under.
QUESTIONS: dict[str, tuple[str, ...]] = {
    YARDSTICK: (
        *("query", *_STORE),
        "select country, sum(packets) from counts group by country",
    ),
    **{
        f"top {key}": ("top", *_QUARTER, "--by", key)
        for key in ("port", "country", "window", "source", "tool")
    },
    "trend port": ("trend", *_QUARTER, "--by", "port"),
    "regions": ("regions", *_QUARTER),
    "events": ("events", *_QUARTER),
    "report, its findings": ("report", *_QUARTER, "-o", _FINDINGS),
    "report of findings": (
        *("report", "--findings", _FINDINGS),
        *("--lang", "ja", "-o", "{scratch}/report.html"),
    ),
    "contacts -n 1000": (
        *("contacts", *_QUARTER),
        *("-n", "1000", "-o", "{scratch}/contacts.csv"),
    ),
}
#: Options that are numbers: the default, its type, what it means.
_NUMBERS: dict[str, tuple[float, type, str]] = {
    "sensors": (50, int, "sensors of the network"),
    "parts": (3, int, "scenarios, one upon the other"),
    "scale": (60.0, float, "of each, in 150 sources an hour; 60 take 12 GB of memory"),
    "rounds": (3, int, "how often each question is asked"),
}


@dataclass
class Answer:
    """What a question took, round by round."""

    question: str
    command: str
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)
    peak_bytes: int = 0

    @property
    def median(self) -> float:
        """The median round, in seconds."""
        return statistics.median(self.seconds)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the store, ask it, and write what that took."""
    options = parse_options(arguments)
    with tempfile.TemporaryDirectory(prefix="fastflow-bench-", dir=options.dir) as name:
        scratch = Path(name)
        rows = make_quarter(scratch / "store", options)
        answers = ask_all(scratch / "store", scratch, options.rounds)
    record = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": machine.commit(),
        "machine": machine.describe(),
        "versions": machine.versions(),
        "options": {name: getattr(options, name) for name in _NUMBERS},
        "rows": rows,
        "answers": [asdict(answer) for answer in answers],
    }
    written = options.out / f"{record['date']}-questions"
    written.mkdir(parents=True, exist_ok=True)
    (written / "raw.json").write_text(json.dumps(record, indent=1) + "\n")
    text = table(record, answers)
    (written / "README.md").write_text(text)
    print(text)


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, (default, number, help_text) in _NUMBERS.items():
        parser.add_argument(
            f"--{name}", type=number, default=default, metavar="N",
            help=f"{help_text}; default: {default}",
        )  # fmt: skip
    parser.add_argument("--dir", metavar="DIR", help="where the store is put meanwhile")
    parser.add_argument(
        "--out",
        type=Path,
        default=HERE / "results",
        metavar="DIR",
        help="where <date>-questions/ is written; default: benchmarks/results",
    )
    return parser.parse_args(arguments)


def make_quarter(root: Path, options: argparse.Namespace) -> dict[str, int]:
    """Make the store; return how many rows its tables have."""
    from fastflow.store import Store
    from fastflow.synth.noise import make_sensors
    from fastflow.synth.scenario import make_scenario
    from scenario_store import publish

    store = Store(root, create=True)
    sensors = make_sensors(np.random.default_rng(0), options.sensors)
    for part in range(options.parts):
        print(f"making part {part + 1} of {options.parts}", file=sys.stderr)
        scenario = make_scenario(
            part, scale=options.scale, quiet=part > 0, sensors=sensors
        )
        publish(store, scenario, hours=24)
    return {
        name: store.sql(f"select count(*) as n from {name}")["n"][0].as_py()
        for name in ("counts", "sources", "backscatter", "inputs")
    }


def ask_all(store: Path, scratch: Path, rounds: int) -> list[Answer]:
    """Ask every question in turn, round by round."""
    answers = [
        Answer(name, " ".join(("fastflow", *words)))
        for name, words in QUESTIONS.items()
    ]
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for answer in answers:
            words = QUESTIONS[answer.question]
            ask(answer, [word.format(store=store, scratch=scratch) for word in words])
    return answers


def ask(answer: Answer, words: Sequence[str]) -> None:
    """Run a command, and add what it took."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "fastflow", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        complaint = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    answer.seconds.append(time.perf_counter() - start)
    if process.returncode:
        raise SystemExit(f"{answer.command}: {complaint.decode(errors='replace')}")
    answer.processor_seconds.append(usage.ru_utime + usage.ru_stime)
    answer.peak_bytes = max(answer.peak_bytes, usage.ru_maxrss * 1024)


def table(record: dict[str, Any], answers: Sequence[Answer]) -> str:
    """Return what was measured, as Markdown."""
    (unit,) = (one.median for one in answers if one.question == YARDSTICK)
    rows = ", ".join(f"{n:,} {name}" for name, n in record["rows"].items())
    head = [
        f"# Questions to a store of {rows}",
        "",
        f"{record['date']}, commit {record['commit']}; "
        + "; ".join(f"{name} {value}" for name, value in record["machine"].items()),
        "",
        f"Q is the yardstick, `{YARDSTICK}`. Whole processes, page cache warm.",
        "",
        "| question | median s | least s | processor s | x Q | peak GB |",
        "|---|---|---|---|---|---|",
    ]
    lines = [
        f"| {one.question} | {one.median:.2f} | {min(one.seconds):.2f} "
        f"| {statistics.median(one.processor_seconds):.1f} | {one.median / unit:.1f} "
        f"| {one.peak_bytes / 1e9:.2f} |"
        for one in answers
    ]
    commands = [f"- {one.question}: `{one.command}`" for one in answers]
    return "\n".join([*head, *lines, "", *commands, ""])


if __name__ == "__main__":
    main()
