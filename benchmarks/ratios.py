"""fastflow's jobs beside libpcap's empty loop, in turn, on the same file.

`make bench`, or `python benchmarks/ratios.py [--packets N] [--rounds N] [--save]`.
See benchmarks/README.md for what is measured, and the biases.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
YARDSTICK = "libpcap"
YARDSTICK_TEXT = "libpcap, empty pcap_next_ex loop (L)"

#: Job, what it is, and its targets: at most so many times L, by kind of load.
JOBS: dict[str, tuple[str, dict[str, float]]] = {
    "scan-all": ("scan, all columns", {"scan": 0.4, "scatter": 0.4}),
    "scan-four": ("scan, four columns", {"scan": 0.25, "scatter": 0.25}),
    "tally": ("tally in memory, one worker", {"scan": 0.8, "scatter": 2.2}),
    "reduce": ("whole reduce, one worker", {"scan": 1.3, "scatter": 8.0}),
}

BIASES = """\
* The file is in the page cache: no disk was read. The store is written to and flushed
  on the disk that holds the load.
* The clock starts after the interpreter, the imports and a run over one packet (half a
  second to a second in all); libpcap's loop has no such cost.
* The load is synthetic and friendly: no damage, no fragments, no IPv6, one link type.
* libpcap's loop touches no packet: a real libpcap program does more than L.
* Whatever else runs on the machine slows either side; compare ratios, not seconds.
"""


@dataclass
class Load:
    """A load capture and what is known of it."""

    kind: str
    path: Path
    packets: int
    size_bytes: int


@dataclass
class Runs:
    """What the runs of one job took."""

    text: str
    target: float | None = None
    seconds: list[float] = field(default_factory=list)
    peak_bytes: int | None = None

    @property
    def least(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def main() -> None:
    """Measure, print, and save if asked to."""
    options = parse_options()
    with tempfile.TemporaryDirectory(prefix="fastflow-bench-", dir=options.dir) as name:
        scratch = Path(name)
        loop, libpcap = build_loop(scratch)
        for kind in options.kind or ("scan", "scatter"):
            load = make_load(kind, options.packets, options.seed, scratch / kind)
            results = measure(load, loop, options.rounds, scratch)
            text = table(load, results)
            print(text, flush=True)
            if options.save:
                save(load, options, results, text, {"libpcap": libpcap})
            shutil.rmtree(load.path.parent)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=10_000_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument(
        "--kind",
        action="append",
        choices=("scan", "scatter", "payload"),
        help="may be given several times; default: scan and scatter",
    )
    parser.add_argument(
        "--dir",
        metavar="DIR",
        help="where loads and stores are put meanwhile; default: the temporary "
        "directory. In memory (tmpfs), flushing to disk would cost nothing",
    )
    parser.add_argument(
        "--save", action="store_true", help="write benchmarks/results/<date>-<kind>/"
    )
    return parser.parse_args()


def build_loop(scratch: Path) -> tuple[Path | None, str | None]:
    """Compile libpcap's loop; return it and libpcap's version, or None and None."""
    loop = scratch / "libpcap_loop"
    source = HERE / "libpcap_loop.c"
    command = [*compiler(), "-O2", "-o", str(loop), str(source), "-lpcap"]
    try:
        built = subprocess.run(command, capture_output=True, text=True)
        why = built.stderr.strip().partition("\n")[0]
    except OSError as error:
        why = str(error)
    if not loop.exists():
        print(
            f"no yardstick: {shlex.join(command[:1])} cannot build libpcap_loop.c "
            f"({why}); install libpcap's headers (libpcap-dev). Seconds only.",
            file=sys.stderr,
        )
        return None, None
    empty = scratch / "empty.pcap"
    empty.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
    return loop, run_json([str(loop), str(empty)])["libpcap"]


def compiler() -> list[str]:
    """Return the C compiler's command."""
    return shlex.split(os.environ.get("CC", "cc"))


def make_load(kind: str, packets: int, seed: int, out_dir: Path) -> Load:
    """Make a load and flush it, so that no write-back disturbs the runs."""
    from fastflow.synth import load

    print(f"making {kind}: {packets:,} packets", file=sys.stderr)
    path = load.make_load(kind, packets, seed, out_dir)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return Load(kind, path, packets, path.stat().st_size)


def measure(
    load: Load, loop: Path | None, rounds: int, scratch: Path
) -> dict[str, Runs]:
    """Run every job, in turn, and check that each has seen every packet."""
    results: dict[str, Runs] = {}
    if loop is not None:
        results[YARDSTICK] = Runs(YARDSTICK_TEXT)
    for job, (text, targets) in JOBS.items():
        results[job] = Runs(text, targets.get(load.kind))
    for number in range(rounds):
        for job, runs in results.items():
            print(f"round {number + 1} of {rounds}: {job}", file=sys.stderr)
            figures = run_job(job, load, loop, scratch)
            if figures["packets"] != load.packets:
                raise SystemExit(
                    f"{job}: {figures['packets']:,} packets of {load.packets:,}"
                )
            runs.seconds.append(figures["seconds"])
            if "peak_bytes" in figures:
                runs.peak_bytes = max(runs.peak_bytes or 0, figures["peak_bytes"])
    return results


def run_job(job: str, load: Load, loop: Path | None, scratch: Path) -> dict[str, Any]:
    """Run one job in a process of its own; return its figures."""
    if job == YARDSTICK:
        return run_json([str(loop), str(load.path)])
    with tempfile.TemporaryDirectory(dir=scratch) as own:
        script = str(HERE / "jobs.py")
        return run_json([sys.executable, script, job, str(load.path), own])


def run_json(command: Sequence[str]) -> dict[str, Any]:
    """Run a command; return the JSON object that it prints."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stderr}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def table(load: Load, results: dict[str, Runs]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        f"{load.kind}: {load.packets:,} packets, {load.size_bytes:,} bytes",
        "",
        "| job | min s | median s | M packets/s | MB/s | time / L | target | peak MB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
        *table_rows(load, results),
        "",
        "Packets/s and MB/s at the median; time / L: of the medians (of the minima).",
    ]
    return "\n".join(lines)


def table_rows(load: Load, results: dict[str, Runs]) -> Iterator[str]:
    """Yield a row per job."""
    yardstick = results.get(YARDSTICK)
    for runs in results.values():
        ratio = "-"
        if yardstick is not None:
            of_medians = runs.median / yardstick.median
            ratio = f"{of_medians:.2f} ({runs.least / yardstick.least:.2f})"
        target = "-" if runs.target is None else f"<= {runs.target:.2f}"
        peak = "-" if runs.peak_bytes is None else f"{runs.peak_bytes / 1e6:.0f}"
        yield (
            f"| {runs.text} | {runs.least:.3f} | {runs.median:.3f} "
            f"| {load.packets / runs.median / 1e6:.2f} "
            f"| {load.size_bytes / runs.median / 1e6:.0f} "
            f"| {ratio} | {target} | {peak} |"
        )


def save(
    load: Load,
    options: argparse.Namespace,
    results: dict[str, Runs],
    text: str,
    versions: dict[str, str | None],
) -> None:
    """Write raw.json and README.md of one load."""
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": shlex.join(["python", "benchmarks/ratios.py", *sys.argv[1:]]),
        "commit": commit(),
        "machine": machine(),
        "versions": {**program_versions(), **versions},
        "load": {
            "kind": load.kind,
            "packets": load.packets,
            "seed": options.seed,
            "bytes": load.size_bytes,
        },
    }
    out = HERE / "results" / f"{facts['date']}-{load.kind}"
    out.mkdir(parents=True, exist_ok=True)
    raw = {
        **facts,
        "seconds": {job: runs.seconds for job, runs in results.items()},
        "peak_bytes": {job: runs.peak_bytes for job, runs in results.items()},
    }
    (out / "raw.json").write_text(json.dumps(raw, indent=1) + "\n")
    (out / "README.md").write_text(readme(facts, text))
    print(f"saved: {out}", file=sys.stderr)


def readme(facts: dict[str, Any], text: str) -> str:
    """Return the text of a saved result; the biases come first."""
    versions = ", ".join(f"{name} {it}" for name, it in facts["versions"].items() if it)
    machine_text = ", ".join(f"{name}: {it}" for name, it in facts["machine"].items())
    return (
        f"# {facts['load']['kind']}, {facts['date']}\n\n"
        f"## Biases\n\n{BIASES}\n"
        f"## Figures\n\n{text}\n\n"
        f"## How\n\n"
        f"* command: `{facts['command']}`\n"
        f"* commit: {facts['commit']}\n"
        f"* machine: {machine_text}\n"
        f"* versions: {versions}\n"
    )


def machine() -> dict[str, str]:
    """Describe the machine without naming it."""
    cpuinfo = read_text("/proc/cpuinfo").splitlines()
    models = [
        line.partition(":")[2].strip() for line in cpuinfo if "model name" in line
    ]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "CPU": models[0] if models else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{pages / 1e9:.0f} GB",
        "kernel": f"{platform.system()} {platform.release()}",
    }


def read_text(path: str) -> str:
    """Return a file's text, empty where there is no such file."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def program_versions() -> dict[str, str]:
    """Return what the result depends on, libpcap excepted."""
    import pyarrow as pa

    import fastflow

    return {
        "fastflow": fastflow.__version__,
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
        "compiler": output([*compiler(), "--version"]).partition("\n")[0],
    }


def commit() -> str:
    """Return the commit, and whether the tree differs from it."""
    name = output(["git", "-C", str(HERE), "rev-parse", "--short=12", "HEAD"])
    changed = output(["git", "-C", str(HERE), "status", "--porcelain"])
    return f"{name} (changed)" if name and changed else name or "unknown"


def output(command: Sequence[str]) -> str:
    """Return what a command prints, empty where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    main()
