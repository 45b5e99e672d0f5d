"""Cost against packets, cells, sources, files and workers: `make bench-scaling`.

Each dimension is a panel of one chart. All but `workers` are to grow linearly. Two
curves are fitted to the times: a straight line a + b x, which is drawn, and a + c x^p,
whose exponent p says how what is not fixed cost grows; linear is p <= 1.1. Every run is
a process of its own, as in run.py; the least of the rounds counts. The loads for cells
and sources have four packets to each, in random order, within one hour: nothing but
that number grows.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import chart
import loads
import machine
from contestants import Contestant, job_command
from run import run_once

HERE = Path(__file__).resolve().parent
#: The largest exponent that is called linear: caches end somewhere.
LINEAR = 1.1
#: How many times longer the largest must take than the smallest for a verdict.
GROWN = 5
PACKETS_PER_KEY = 4
LEAST = 1_000_000
#: Captures that are shared out to workers.
SHARED_CAPTURES = 8
#: On disk, records of `keyed_load` and of the load *scan*, rounded up.
BYTES_PER_PACKET = 90


@dataclass
class Line:
    """One measured line: what was run, how much of what, how long it took."""

    text: str
    xs: list[float]
    seconds: list[float]


@dataclass
class Dimension:
    """One panel: its lines, and what its axis counts."""

    name: str
    x_text: str
    lines: list[Line]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every dimension and write the figure, which says what is linear."""
    options = parse_options(arguments)
    with tempfile.TemporaryDirectory(prefix="fastflow-bench-", dir=options.dir) as name:
        scratch = Path(name)
        check(options.largest, scratch)
        dimensions = [
            measure(options, scratch)
            for dimension, measure in MEASURES.items()
            if dimension in (options.dimension or MEASURES)
        ]
    record = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": machine.commit(),
        "machine": machine.describe(),
        "versions": machine.versions(),
        "options": {"largest": options.largest, "rounds": options.rounds},
        "dimensions": [asdict(dimension) for dimension in dimensions],
    }
    write(options.out / f"{record['date']}-scaling", record)
    print("\n".join(note for dimension in dimensions for note in verdicts(dimension)))


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--largest",
        type=lambda text: int(float(text)),
        default=100_000_000,
        metavar="N",
        help="packets of the largest load, 10^8 by default: 8 GB on disk. Files go to "
        "a 10,000th of it, cells and sources to a 40th",
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument(
        "--dimension",
        action="append",
        choices=tuple(MEASURES),
        help="may be given several times; default: each",
    )
    parser.add_argument("--dir", metavar="DIR", help="where loads are put meanwhile")
    parser.add_argument(
        "--out",
        type=Path,
        default=HERE / "results",
        metavar="DIR",
        help="where <date>-scaling/ is written; default: benchmarks/results",
    )
    return parser.parse_args(arguments)


def check(largest: int, scratch: Path) -> None:
    """Stop before the disk is full, and where two sizes would make a curve."""
    if largest < LEAST:
        raise SystemExit(f"--largest: at least {LEAST:,}, for three sizes of each")
    needed, free = largest * BYTES_PER_PACKET, shutil.disk_usage(scratch).free
    if free < 1.2 * needed:
        raise SystemExit(
            f"{largest:,} packets take {needed / 1e9:.0f} GB, and {scratch} has "
            f"{free / 1e9:.0f} GB; say --largest or --dir"
        )


def steps(first: int, last: float) -> list[int]:
    """Return first, 3 first, 10 first, 30 first ... up to last."""
    sizes = [first * 10**n * step for n in range(9) for step in (1, 3)]
    return [size for size in sizes if size <= last]


def best(
    job: str,
    load: loads.Load,
    rounds: int,
    scratch: Path,
    of: str = "whole",
    workers: int = 1,
) -> float:
    """Return the least time of some runs of a job of jobs.py."""
    contestant = Contestant(job, job, job_command(job, workers), of=of)
    runs = [run_once(contestant, load, scratch) for _ in range(rounds)]
    return min(float(figures["seconds"]) for figures in runs)


def packets(options: argparse.Namespace, scratch: Path) -> Dimension:
    """Measure the load *scan*, whose cells and sources grow with its packets."""
    jobs = {"scan-all": "scan", "tally": "counts in memory", "reduce": "whole reduce"}
    lines = {job: Line(text, [], []) for job, text in jobs.items()}
    for n in steps(10_000, options.largest):
        print(f"packets: {n:,}", file=sys.stderr)
        load = loads.make("scan", n, 0, n, scratch / "load")
        for job, line in lines.items():
            line.xs.append(n)
            line.seconds.append(best(job, load, options.rounds, scratch))
        shutil.rmtree(scratch / "load")
    return Dimension("packets", "packets", list(lines.values()))


def cells(options: argparse.Namespace, scratch: Path) -> Dimension:
    """Measure more and more pairs of port and window, all of one source."""
    return keyed("cells", "rows of counts, 4 packets each", options, scratch)


def sources(options: argparse.Namespace, scratch: Path) -> Dimension:
    """Measure more and more sources, all of one port and signature."""
    return keyed("sources", "sources, 4 packets each", options, scratch)


def keyed(
    name: str, x_text: str, options: argparse.Namespace, scratch: Path
) -> Dimension:
    """Measure loads with more and more different keys."""
    lines = {
        job: Line(text, [], [])
        for job, text in (("tally", "counts in memory"), ("reduce", "whole reduce"))
    }
    for n in steps(1000, options.largest / 10 / PACKETS_PER_KEY):
        print(f"{name}: {n:,}", file=sys.stderr)
        load = keyed_load(name, n, scratch / "load")
        for job, line in lines.items():
            line.xs.append(n)
            line.seconds.append(best(job, load, options.rounds, scratch))
        shutil.rmtree(scratch / "load")
    return Dimension(name, x_text, list(lines.values()))


def files(options: argparse.Namespace, scratch: Path) -> Dimension:
    """Measure more and more captures of 100 packets."""
    line = Line("whole reduce", [], [])
    for n in steps(10, options.largest / 10_000):
        print(f"files: {n:,}", file=sys.stderr)
        load = loads.make("scan", n * loads.PACKETS_OF_SMALL, 0, 1, scratch / "load")
        line.xs.append(load.input("many").captures)
        line.seconds.append(best("reduce", load, options.rounds, scratch, "many"))
        shutil.rmtree(scratch / "load")
    return Dimension("files", "captures of 100 packets", [line])


def workers(options: argparse.Namespace, scratch: Path) -> Dimension:
    """Measure more and more workers, on one capture and on several."""
    n = max(SHARED_CAPTURES, min(options.largest // 10, 10_000_000))
    load = loads.make("scan", n, 0, n, scratch / "load")
    load.made["shared"] = loads.split(load, SHARED_CAPTURES, n // SHARED_CAPTURES)
    lines = []
    for of, text in (
        ("whole", "one capture"),
        ("shared", f"{SHARED_CAPTURES} captures"),
    ):
        line = Line(text, [], [])
        for count in range(1, int(machine.describe()["cores"]) + 1):
            print(f"workers: {count} on {text}", file=sys.stderr)
            line.xs.append(count)
            seconds = best("reduce", load, options.rounds, scratch, of, count)
            line.seconds.append(seconds)
        lines.append(line)
    shutil.rmtree(scratch / "load")
    return Dimension("workers", f"workers, {n:,} packets", lines)


MEASURES: dict[str, Callable[[argparse.Namespace, Path], Dimension]] = {
    "packets": packets,
    "cells": cells,
    "sources": sources,
    "files": files,
    "workers": workers,
}


def keyed_load(name: str, n: int, out_dir: Path) -> loads.Load:
    """Make a capture of TCP SYNs within one hour that has n cells, or n sources."""
    import numpy as np

    n_packets = n * PACKETS_PER_KEY
    keys = np.random.default_rng(0).permutation(n_packets) % n
    records = np.tile(np.frombuffer(loads.ONE_RECORD, np.uint8), (n_packets, 1))

    def put(offset: int, dtype: str, values: Any) -> None:
        raw = values.astype(dtype)
        width = raw.itemsize
        records[:, offset : offset + width] = raw.view(np.uint8).reshape(-1, width)

    micros = np.arange(n_packets) * 3_599_000_000 // n_packets
    put(loads.SEC_OFF, "<u4", loads.ONE_SEC + micros // 1_000_000)
    put(loads.USEC_OFF, "<u4", micros % 1_000_000)
    if name == "cells":
        put(loads.DST_PORT_OFF, ">u2", keys & 0xFFFF)
        put(loads.WINDOW_OFF, ">u2", 1024 + (keys >> 16))
    else:
        # Spread over all of the address space by an odd factor: no two are the same.
        put(loads.SRC_OFF, ">u4", (keys * 0x9E3779B1) & 0xFFFFFFFF)
    out_dir.mkdir()
    path = out_dir / f"{name}.pcap"
    with path.open("wb") as file:
        file.write(loads.FILE_HEADER)
        records.tofile(file)
    return loads.Load("scan", loads.flushed(path, n_packets), 0, n_packets)


def fit(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Fit y = a + b x, a >= 0, with the least squares of the relative deviations."""
    points = [(x, y, 1 / y**2) for x, y in zip(xs, ys, strict=True)]
    weight = sum(w for _, _, w in points)
    mean_x = sum(w * x for x, _, w in points) / weight
    mean_y = sum(w * y for _, y, w in points) / weight
    spread = sum(w * (x - mean_x) ** 2 for x, _, w in points)
    b = sum(w * (x - mean_x) * (y - mean_y) for x, y, w in points) / spread
    a = mean_y - b * mean_x
    if a >= 0:
        return a, b
    moment = sum(w * x * y for x, y, w in points)
    return 0.0, moment / sum(w * x * x for x, _, w in points)


def deviations(xs: Sequence[float], ys: Sequence[float], p: float = 1.0) -> list[float]:
    """Return how far, in parts of itself, each y lies from the best a + c x^p."""
    powers = [x**p for x in xs]
    a, c = fit(powers, ys)
    return [y / (a + c * x) - 1 for x, y in zip(powers, ys, strict=True)]


def exponent(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the p, 0.5 to 2, of the a + c x^p that lies nearest."""
    candidates = [number / 100 for number in range(50, 201)]
    return min(candidates, key=lambda p: sum(d * d for d in deviations(xs, ys, p)))


def verdicts(dimension: Dimension) -> Iterator[str]:
    """Yield what a figure says of each line."""
    for line in dimension.lines:
        if dimension.name == "workers":
            gain = line.seconds[0] / line.seconds[-1]
            yield f"{line.text}: {gain:.2f} x as fast with {line.xs[-1]:.0f} workers"
            continue
        _, each = fit(line.xs, line.seconds)
        off = max(abs(part) for part in deviations(line.xs, line.seconds))
        p = exponent(line.xs, line.seconds)
        yield f"{line.text}: {word(line, p)}; {per(each)} each ±{off:.0%}"


def word(line: Line, p: float) -> str:
    """Return a line's verdict; a cost that is mostly fixed gives none."""
    if max(line.seconds) < GROWN * min(line.seconds):
        return "too few to tell"
    return f"{'linear' if p <= LINEAR else 'NOT LINEAR'}, x^{p:.2f}"


def per(seconds: float) -> str:
    """Write a small time for people."""
    for unit, name in ((1e-3, "ms"), (1e-6, "µs")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-9:.3g} ns"


def ideal(dimension: Dimension, line: Line) -> list[float]:
    """Return where a line's points would lie if growth were linear."""
    if dimension.name == "workers":
        return [line.seconds[0] / x for x in line.xs]
    a, b = fit(line.xs, line.seconds)
    return [a + b * x for x in line.xs]


def draw(record: dict[str, Any]) -> str:
    """Draw a panel for each dimension."""
    items = []
    for raw in record["dimensions"]:
        lines = [Line(**line) for line in raw["lines"]]
        dimension = Dimension(raw["name"], raw["x_text"], lines)
        series = [
            chart.Series(line.text, line.xs, line.seconds, ideal(dimension, line))
            for line in lines
        ]
        notes = list(verdicts(dimension))
        title = f"Cost against {dimension.name}"
        items.append(chart.Panel(title, dimension.x_text, series, notes))
    facts = record["machine"]
    return chart.panels(
        "How the cost grows",
        f"Dots: least of {record['options']['rounds']} runs. Dashed: the straight line "
        f"a + b x, for workers the time of one divided. {facts['CPU']}, "
        f"{facts['cores']} cores, {record['date']}",
        items,
    )


def write(out: Path, record: dict[str, Any]) -> None:
    """Write README.md, raw.json and chart.svg."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "raw.json").write_text(json.dumps(record, indent=1) + "\n")
    (out / "chart.svg").write_text(draw(record))
    (out / "README.md").write_text("\n".join(readme(record)) + "\n")
    print(f"written: {out}", file=sys.stderr)


def readme(record: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a saved result."""
    yield f"# Scaling, {record['date']}\n\n![cost against each dimension](chart.svg)\n"
    for raw in record["dimensions"]:
        dimension = Dimension(
            raw["name"], raw["x_text"], [Line(**line) for line in raw["lines"]]
        )
        yield f"## {dimension.name}\n"
        yield from (f"* {note}" for note in verdicts(dimension))
        yield (
            f"\n| {dimension.x_text} | "
            + " | ".join(f"{line.text}, s" for line in dimension.lines)
            + " |"
        )
        yield "|--:|" + "--:|" * len(dimension.lines)
        for number, x in enumerate(dimension.lines[0].xs):
            times = " | ".join(
                f"{line.seconds[number]:.3f}" for line in dimension.lines
            )
            yield f"| {x:,.0f} | {times} |"
        yield ""
    options = record["options"]
    yield "## How\n"
    yield (
        f'* to repeat it: `make bench-scaling BENCH_ARGS="--largest '
        f'{options["largest"]} --rounds {options["rounds"]}"`'
    )
    yield f"* commit: {record['commit']}"
    for what in ("machine", "versions"):
        text = ", ".join(f"{name} {it}" for name, it in record[what].items())
        yield f"* {what}: {text}"


if __name__ == "__main__":
    main()
