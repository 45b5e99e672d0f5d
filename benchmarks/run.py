"""fastflow's jobs and its peers, in turn, on the same file: `make bench`.

`python benchmarks/run.py [--packets N] [--kind K] [--only NAME] ...` makes each load,
runs every contestant that is installed, round by round, each in a process of its own,
and writes README.md, raw.json and chart.svg into benchmarks/results/<date>-<kind>/.
See benchmarks/README.md for what is measured, and the biases.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import loads
import machine
import report
from contestants import ALL, YARDSTICK, Contestant
from results import Result

HERE = Path(__file__).resolve().parent


class FailedError(Exception):
    """A contestant did not do its job; the message says why."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each load, print its table, write its results."""
    options = parse_options(arguments)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="fastflow-bench-", dir=options.dir) as name:
        scratch = Path(name)
        missing = build_loops(scratch)
        for kind in options.kind or loads.KINDS:
            print(f"making {kind}", file=sys.stderr)
            load = loads.make(
                kind, options.packets, options.seed, options.first, scratch / kind
            )
            contestants = [
                c for c in ALL if kind in c.kinds and wanted(c, options.only)
            ]
            results = measure(load, contestants, options.rounds, scratch, missing)
            record = facts(load, options, results)
            print(report.tables(record), flush=True)
            report.write(options.out / f"{record['date']}-{kind}", record)
            shutil.rmtree(scratch / kind)


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=10_000_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument(
        "--first",
        type=int,
        default=100_000,
        metavar="N",
        help="packets that the slow peers get; default: %(default)s",
    )
    parser.add_argument(
        "--kind",
        action="append",
        choices=tuple(loads.KINDS),
        help="may be given several times; default: each",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[contestant.name for contestant in ALL],
        help="run this one, and the yardstick; may be given several times",
    )
    parser.add_argument(
        "--dir",
        metavar="DIR",
        help="where loads and stores are put meanwhile; default: the temporary "
        "directory. In memory (tmpfs), flushing to disk would cost nothing",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=HERE / "results",
        metavar="DIR",
        help="where <date>-<kind>/ is written; default: benchmarks/results",
    )
    return parser.parse_args(arguments)


def wanted(contestant: Contestant, only: Sequence[str] | None) -> bool:
    """Return whether a contestant is to run."""
    return not only or contestant.name in (YARDSTICK, *only)


def build_loops(scratch: Path) -> dict[str, str]:
    """Compile the C loops; return why not, for the libraries that are not there."""
    missing = {}
    for library in ("pcap", "trace"):
        name = f"lib{library}_loop"
        build = [*machine.compiler(), "-O2", "-o", str(scratch / name)]
        build += [str(HERE / f"{name}.c"), f"-l{library}"]
        try:
            done = subprocess.run(build, capture_output=True, text=True)
        except OSError as error:
            missing[library] = f"no compiler ({error.strerror})"
            continue
        if done.returncode != 0:
            missing[library] = "not installed (its headers)"
            print(f"{name}.c: {done.stderr.partition(chr(10))[0]}", file=sys.stderr)
    return missing


def why_missing(contestant: Contestant, missing: dict[str, str]) -> str | None:
    """Return why a contestant cannot run, or None."""
    what, _, name = contestant.needs.partition(":")
    if what == "library":
        return missing.get(name)
    is_there = {
        "": lambda: True,
        "command": lambda: shutil.which(name) is not None,
        "module": lambda: importlib.util.find_spec(name) is not None,
    }[what]()
    return None if is_there else "not installed"


def version_of(contestant: Contestant) -> str | None:
    """Return a contestant's version; ours is that of the tree."""
    what, _, name = contestant.needs.partition(":")
    if what == "module":
        return importlib.metadata.version(name)
    text = machine.output(shlex.split(contestant.version)) if contestant.version else ""
    found = re.search(r"\d+(\.\d+)+\S*", text)
    return found[0].rstrip(".,") if found else None


def measure(
    load: loads.Load,
    contestants: Sequence[Contestant],
    rounds: int,
    scratch: Path,
    missing: dict[str, str],
) -> list[Result]:
    """Run every contestant, in turn, round by round."""
    results = [Result(contestant.name) for contestant in contestants]
    for result in results:
        result.why_not = why_missing(result.contestant, missing)
        of = result.contestant.of
        result.command = result.contestant.command.format(
            capture="CAPTURE" if of == "whole" else f"CAPTURE:{of}",
            scratch="OUT",
            python="python",
            here="benchmarks",
            build=".",
        )
        if result.why_not is None:
            result.version = version_of(result.contestant)
            it = load.input(of)
            result.packets, result.size_bytes = it.packets, it.size_bytes
            result.captures = it.captures
    for number in range(rounds):
        for result in results:
            if result.why_not is None:
                print(f"round {number + 1}: {result.name}", file=sys.stderr)
                run(result, load, scratch)
    return results


def run(result: Result, load: loads.Load, scratch: Path) -> None:
    """Run a contestant once. A peer that fails is out; one of ours ends everything."""
    try:
        figures = run_once(result.contestant, load, scratch)
        result.version = figures.get("version", result.version)
        result.add(figures)
    except FailedError as error:
        if result.contestant.group != "peer":
            raise SystemExit(f"{result.name}: {error}") from None
        result.why_not = f"failed: {error}"
        result.seconds.clear()
        print(f"{result.name} {result.why_not}", file=sys.stderr)


def run_once(contestant: Contestant, load: loads.Load, scratch: Path) -> dict[str, Any]:
    """Run a contestant; return its figures, the number of packets checked."""
    it = load.input(contestant.of)
    with tempfile.TemporaryDirectory(dir=scratch) as own:
        words = {
            "capture": str(it.path),
            "scratch": own,
            "python": sys.executable,
            "here": str(HERE),
            "build": str(scratch),
        }
        command = [part.format(**words) for part in shlex.split(contestant.command)]
        seconds, text = timed(command, Path(own), contestant.count)
        figures = {"seconds": seconds, **seen(contestant.count, text, Path(own))}
    expectations = {"packets": it.packets, "unpacked_bytes": load.whole.size_bytes}
    for unit, expected in expectations.items():
        if figures.get(unit, expected) != expected:
            raise FailedError(f"{figures[unit]:,} {unit} of {expected:,}")
    return figures


def timed(command: Sequence[str], scratch: Path, count: str) -> tuple[float, str]:
    """Run a command with its output in files; return seconds and what it printed."""
    out, errors = scratch / "stdout", scratch / "stderr"
    with out.open("wb") as out_file, errors.open("wb") as errors_file:
        start = time.perf_counter()
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out_file, stderr=errors_file
        )
        seconds = time.perf_counter() - start
    complaint = errors.read_text(errors="replace")
    if done.returncode != 0:
        raise FailedError(complaint.strip().rpartition("\n")[2] or "no reason told")
    text = out.read_text(errors="replace")
    return seconds, text if count in ("json", "lines") else text + complaint


def seen(count: str, text: str, scratch: Path) -> dict[str, Any]:
    """Return the figures that a contestant told, or left behind."""
    if count == "json":
        figures: dict[str, Any] = json.loads(text.strip().rpartition("\n")[2])
        return figures
    if count == "lines":
        return {"packets": text.count("\n")}
    if count == "parquet":
        import pyarrow.parquet as pq

        tables = [pq.read_metadata(path) for path in scratch.glob("*.parquet")]
        return {"packets": sum(table.num_rows for table in tables)}
    if count:
        found = re.search(count, text)
        return {"packets": int(found[1]) if found else 0}
    return {}


def facts(
    load: loads.Load, options: argparse.Namespace, results: list[Result]
) -> dict[str, Any]:
    """Return all that is known of a run, as raw.json keeps it."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": machine.commit(),
        "machine": machine.describe(),
        "versions": machine.versions(),
        "load": {
            "kind": load.kind,
            "packets": load.whole.packets,
            "bytes": load.whole.size_bytes,
            "seed": load.seed,
            "first": min(load.first_packets, load.whole.packets),
            "rounds": options.rounds,
            "only": options.only or [],
        },
        "results": [asdict(result) for result in results],
    }


if __name__ == "__main__":
    main()
