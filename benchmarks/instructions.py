"""Instructions per packet of the core's loops, against a committed budget.

`make instructions` fails when a loop takes more than 3 % more than its budget, and
names the functions that grew; `make instructions UPDATE=1` records a new budget, which
belongs into the commit that changes it. core.c is built as the extension is, and runs
under callgrind over 20,000 packets of the load *scan*: the count is the same on every
run, but not with every compiler, so each has its own budget in instructions.json.
Inlined instructions belong to the function that they were written in. What is not ours
(memcpy and the like, which glibc chooses by the CPU) is shown and not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import machine

HERE = Path(__file__).resolve().parent
INCLUDE = HERE.parent / "native" / "include"
BUDGETS = HERE / "instructions.json"
JOBS = ("all", "four", "tally")
PACKETS = 20_000
TOLERANCE = 0.03
#: Those of setup.py; -g only says which line an instruction comes from.
FLAGS = ["-std=c11", "-O3", "-g", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"]
FOREIGN = "(not ours)"
#: Functions with less than this many instructions per packet are not written down.
LEAST = 0.05

Costs = dict[str, float]


def main() -> int:
    """Count, then compare or record; return the exit code."""
    options = parse_options()
    with tempfile.TemporaryDirectory(prefix="fastflow-instructions-") as name:
        measured = count_all(Path(name), options.packets)
    budgets = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {}
    key = compiler_key()
    if options.update:
        budgets[key] = measured
        BUDGETS.write_text(json.dumps(budgets, indent=1, sort_keys=True) + "\n")
        print(f"recorded for {key} in {BUDGETS.name}")
    budget = budgets.get(key, {})
    for job, costs in measured.items():
        print(verdict(job, costs, budget.get(job)))
    if not budget:
        command = f"make instructions UPDATE=1 CC='{shlex.join(machine.compiler())}'"
        print(f"no budget for {key}; `{command}` records one in {BUDGETS}")
        return int(os.environ.get("CI") == "true")
    return int(any(exceeds(costs, budget.get(job)) for job, costs in measured.items()))


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="record the budget")
    parser.add_argument("--packets", type=int, default=PACKETS, help=argparse.SUPPRESS)
    return parser.parse_args()


def compiler_key() -> str:
    """Name the compiler as the budgets do: kind, major version, machine."""
    macros = subprocess.run(
        [*machine.compiler(), "-dM", "-E", "-x", "c", os.devnull],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    kind = "clang" if "__clang_major__" in macros else "gcc"
    name = "__clang_major__" if kind == "clang" else "__GNUC__"
    major = re.search(rf"#define {name} (\d+)", macros)
    return f"{kind}-{major[1] if major else '?'}-{platform.machine()}"


def count_all(scratch: Path, packets: int = PACKETS) -> dict[str, Costs]:
    """Count the instructions per packet of each job, by function."""
    load = make_input(scratch, packets)
    program = scratch / "core"
    source = str(HERE / "core.c")
    build = [*machine.compiler(), *FLAGS, f"-I{INCLUDE}", "-o", str(program), source]
    subprocess.run(build, check=True)
    return {job: count(program, job, load, packets) for job in JOBS}


def make_input(scratch: Path, packets: int) -> Path:
    """Make the load *scan* with a country table that no update of data changes."""
    import numpy as np

    from fastflow.synth.load import make_load

    class OneCountry:
        name, version, codes = "all", "1", ("ZZ",)

        def v4_ranges(self) -> tuple[Any, Any, Any]:
            first, last = [0x01000000], [0xDFFFFFFF]
            return (
                np.array(first, np.uint32),
                np.array(last, np.uint32),
                np.zeros(1, np.uint16),
            )

    return make_load("scan", packets, 0, scratch, OneCountry())


def count(program: Path, job: str, load: Path, packets: int) -> Costs:
    """Run one job under callgrind; return instructions per packet by function."""
    out = load.with_name(f"callgrind.{job}")
    command = [
        # The size of the environment moves the stack, and with it the count.
        *("env", "-i", "valgrind", "--tool=callgrind", "--toggle-collect=measured*"),
        *("--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={out}"),
        *(str(program), job, str(load)),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stderr}")
    if int(done.stdout) != packets:
        raise SystemExit(f"{job}: {done.stdout.strip()} packets of {packets}")
    costs = read_callgrind(out.read_text())
    if not sum(costs.values()):
        raise SystemExit(f"{job}: callgrind collected nothing; is measured() inlined?")
    per_packet = {name: n / packets for name, n in costs.items()}
    return {
        name: round(n, 2)
        for name, n in sorted(per_packet.items(), key=lambda item: -item[1])
        if n >= LEAST
    }


def read_callgrind(text: str) -> Counter[str]:
    """Return the instructions of each function's own lines, wherever inlined."""
    costs: Counter[str] = Counter()
    file = symbol = ""
    is_call = False
    for line in text.splitlines():
        if line[:1].isdigit():
            # The line after `calls=` repeats what the callee cost.
            if not is_call:
                number, cost = line.split()[:2]
                costs[owner(file, int(number), symbol)] += int(cost)
            is_call = False
        elif line.startswith(("fl=", "fi=", "fe=")):
            file = line[3:]
        elif line.startswith("fn="):
            symbol = line[3:]
        elif line.startswith("calls="):
            is_call = True
    return costs


def owner(file: str, number: int, symbol: str) -> str:
    """Name the function of ours that a line of a file belongs to."""
    path = Path(file)
    if not path.name.startswith(("ff_", "core.c")):
        return FOREIGN
    starts, names = functions(str(path))
    # A function that a macro makes is known by its symbol alone.
    name = names[bisect_right(starts, number) - 1] or symbol
    return f"{path.name}:{name}"


@cache
def functions(file: str) -> tuple[list[int], list[str]]:
    """Return the lines on which a C file's functions begin, and their names.

    Behind a function's end, up to the next one, stands the name "".
    """
    starts, names = [0], [""]
    for number, line in enumerate(Path(file).read_text().splitlines(), 1):
        if found := re.match(r"(?!typedef|#)[A-Za-z_][\w *]*?\b(\w+)\(", line):
            starts.append(number)
            names.append(found[1])
        elif line.startswith("}"):
            starts.append(number + 1)
            names.append("")
    return starts, names


def total(costs: Mapping[str, float]) -> float:
    """Add up what is ours."""
    return sum(n for name, n in costs.items() if name != FOREIGN)


def exceeds(costs: Costs, budget: Costs | None) -> bool:
    """Return whether a job takes more than its budget allows; one without does."""
    return budget is None or total(costs) > total(budget) * (1 + TOLERANCE)


def grown(costs: Costs, budget: Costs) -> list[str]:
    """Say which functions grew, the one that grew most first."""
    growth = {name: n - budget.get(name, 0.0) for name, n in costs.items()}
    return [
        f"  {name}: {budget.get(name, 0.0):.2f} -> {costs[name]:.2f}"
        for name, more in sorted(growth.items(), key=lambda item: -item[1])
        if more >= 2 * LEAST and name != FOREIGN
    ]


def verdict(job: str, costs: Costs, budget: Costs | None) -> str:
    """Say what a job takes, and where it grew if that is too much."""
    text = f"{job}: {total(costs):.1f} instructions per packet"
    if foreign := costs.get(FOREIGN):
        text += f" (and {foreign:.1f} not ours)"
    if budget is None:
        return text
    change = round(total(costs) / total(budget) - 1, 3) + 0.0
    text += f", budget {total(budget):.1f} ({change:+.1%})"
    if not exceeds(costs, budget):
        return text
    lines = [f"{text}: more than {TOLERANCE:.0%} over. What grew, per packet:"]
    return "\n".join([*lines, *grown(costs, budget)])


if __name__ == "__main__":
    sys.exit(main())
