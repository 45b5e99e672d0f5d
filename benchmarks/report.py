"""A run's results as tables, a chart and files.

`python benchmarks/report.py benchmarks/results/<date>-<kind>` writes README.md and
chart.svg anew from raw.json.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chart
import loads
import targets
from contestants import YARDSTICK
from results import Result

Record = dict[str, Any]

BIASES = """\
* The file is in the page cache: no disk was read. The store is written to and flushed
  on the disk that holds the load.
* The clock of our jobs and of the Python peers starts after the interpreter and the
  imports (ours: and a run over one packet); the C loops and the commands are so small
  that it matters little, but to pcaptoparquet and tshark.
* The slow peers get the first packets only: *time / L* is per packet.
* The load is synthetic and friendly: no damage, no fragments, no IPv6, one link type.
* libpcap's loop touches no packet: a real libpcap program does more than L.
* No peer does exactly what fastflow does; the last table says how each differs.
* Whatever else runs on the machine slows either side; compare ratios, not seconds.
"""


def results_of(record: Record) -> dict[str, Result]:
    """Return a record's results by name."""
    return {raw["name"]: Result(**raw) for raw in record["results"]}


def write(out: Path, record: Record) -> None:
    """Write README.md, raw.json and chart.svg."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "raw.json").write_text(json.dumps(record, indent=1) + "\n")
    (out / "README.md").write_text(readme(record))
    (out / "chart.svg").write_text(draw(record))
    print(f"written: {out}", file=sys.stderr)


def tables(record: Record) -> str:
    """Return the figures and the targets as Markdown."""
    load, results = record["load"], results_of(record)
    lines = [
        f"{load['kind']}: {load['packets']:,} packets, {load['bytes']:,} bytes; "
        f"{loads.KINDS[load['kind']].text}",
        "",
        "| | min s | median s | M packets/s | MB/s | time / L | peak MB |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *figure_rows(load, results),
        "",
        "Packets/s and MB/s (of the file) at the median. time / L: per packet, of the "
        f"medians (of the minima). *: of the first {load['first']:,} packets.",
    ]
    if wanted := list(targets.rows(load["kind"], results)):
        lines += [
            *("", "| target | wanted | measured | reached |", "|---|---|--:|---|"),
            *wanted,
        ]
    return "\n".join(lines)


def figure_rows(load: Record, results: dict[str, Result]) -> Iterator[str]:
    """Yield a row for everyone who ran."""
    for result in results.values():
        star = " *" if result.contestant.of == "first" else ""
        text = f"{result.contestant.text}{star}"
        if not result.seconds:
            yield f"| {text} | {result.why_not} | | | | | |"
            continue
        rates = ("-", "-")
        if result.packets:
            mb_per_s = result.size_bytes / result.median / 1e6
            rates = (short(result.rate / 1e6), short(mb_per_s))
        peak = result.peak_bytes
        yield (
            f"| {text} | {result.least:.3f} | {result.median:.3f} "
            f"| {rates[0]} | {rates[1]} | {of_yardstick(result, results)} "
            f"| {'-' if peak is None else f'{peak / 1e6:.0f}'} |"
        )


def of_yardstick(result: Result, results: dict[str, Result]) -> str:
    """Return the time of a packet as a multiple of L's."""
    yardstick = results.get(YARDSTICK)
    if yardstick is None or not yardstick.seconds or not result.packets:
        return "-"
    share = yardstick.packets / result.packets
    medians = result.median / yardstick.median * share
    minima = result.least / yardstick.least * share
    return f"{short(medians)} ({short(minima)})"


def short(value: float) -> str:
    """Write a figure with three digits, and never with an exponent."""
    digits = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:,.{min(max(digits, 0), 4)}f}"


def readme(record: Record) -> str:
    """Return the text of a saved result; the biases come first."""
    load = record["load"]
    packets = load["packets"] * loads.KINDS[load["kind"]].one_in
    only = "".join(f" --only {name}" for name in load["only"])
    machine = ", ".join(f"{name}: {it}" for name, it in record["machine"].items())
    versions = ", ".join(f"{name} {it}" for name, it in record["versions"].items())
    return "\n".join(
        [
            f"# {load['kind']}, {record['date']}\n",
            "![packets per second](chart.svg)\n",
            f"## Biases\n\n{BIASES}",
            f"## Figures\n\n{tables(record)}\n",
            "## How\n",
            f'* to repeat it: `make bench BENCH_ARGS="--kind {load["kind"]} '
            f"--packets {packets} --rounds {load['rounds']} --seed {load['seed']} "
            f'--first {load["first"]}{only}"`',
            f"* commit: {record['commit']}",
            f"* machine: {machine}",
            f"* versions: {versions}\n",
            "| who | version | command | what it does less or more |",
            "|---|---|---|---|",
            *who_rows(record),
            "",
        ]
    )


def who_rows(record: Record) -> Iterator[str]:
    """Yield a row for every contestant: version, command, bias."""
    for result in results_of(record).values():
        version = result.why_not or result.version or record["versions"]["fastflow"]
        command = result.command.replace("|", "\\|")
        differs = result.contestant.differs
        yield f"| {result.contestant.text} | {version} | `{command}` | {differs} |"


def draw(record: Record) -> str:
    """Draw packets per second, the fastest first."""
    load = record["load"]
    ran = [r for r in results_of(record).values() if r.seconds and is_drawn(r)]
    ran.sort(key=lambda result: -result.rate)
    rows = [chart.Bar(bar_text(r), r.rate, rate_text(r.rate), colour(r)) for r in ran]
    line = next(
        (chart.Bar("", r.rate, "L", chart.ORANGE) for r in ran if r.name == YARDSTICK),
        chart.Bar("", rows[0].value, "fastest (no L here)", chart.ORANGE),
    )
    machine = record["machine"]
    notes = [
        f"Median of {load['rounds']} rounds in turn; file in the page cache; "
        "logarithmic axis. L: libpcap's empty loop.",
        f"* the first {load['first']:,} packets only. Nobody does exactly what "
        "fastflow does: README.md beside this chart says how each differs.",
    ]
    return chart.bars(
        f"Packets per second: {load['kind']}, {load['packets']:,} packets",
        f"{machine['CPU']}, {machine['cores']} cores, {machine['kernel']}; "
        f"fastflow {record['versions']['fastflow']}, {record['date']}",
        rows,
        line,
        notes,
    )


def is_drawn(result: Result) -> bool:
    """Return whether packets per second mean anything for a contestant."""
    return result.contestant.of not in ("many", "one", "nothing")


def bar_text(result: Result) -> str:
    """Return a contestant's name, marked if it got the first packets only."""
    prefix = "fastflow: " if result.contestant.group == "ours" else ""
    star = " *" if result.contestant.of == "first" else ""
    return f"{prefix}{result.contestant.text}{star}"


def rate_text(rate: float) -> str:
    """Write packets per second for people."""
    if rate >= 1e6:
        return f"{short(rate / 1e6)} M/s"
    return f"{short(rate / 1e3)} k/s"


def colour(result: Result) -> str:
    """Return the colour of a contestant's group."""
    colours = {"ours": chart.BLUE, "yardstick": chart.ORANGE}
    return colours.get(result.contestant.group, chart.GREY)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write(Path(name), json.loads((Path(name) / "raw.json").read_text()))
