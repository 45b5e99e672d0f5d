"""Damaged captures, as fastflow's readers and as libpcap see them.

`libpcap_diff.c` compares them packet by packet: times, lengths, bytes, and how it ends.
What is not equal must be one of the rules of `libpcap_rules.h`. The captures of other
projects are no part of this repository; where they lie beside it, they are damaged too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import NEEDS_COMPILER, build, run

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared"
MAKE_SEEDS = HERE.parent / "fuzz" / "make_seeds.py"
CASES = int(os.environ.get("FASTFLOW_DIFFERENTIAL_CASES", "25000"))

MAGICS = tuple(
    bytes.fromhex(digits)
    for magic in ("a1b2c3d4", "a1b23c4d", "a1b2cd34", "0a0d0d0a")
    for digits in (magic, bytes.fromhex(magic)[::-1].hex())
)

pytestmark = [
    *NEEDS_COMPILER,
    pytest.mark.skipif(
        not Path("/usr/include/pcap/pcap.h").exists(),
        reason="libpcap's header is not installed",
    ),
]

Compare = Callable[..., dict[str, int]]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Captures of all kinds, among them those at the limits of size."""
    directory = tmp_path_factory.mktemp("seeds")
    for kind in ("scan", "large"):
        subprocess.run([sys.executable, MAKE_SEEDS, directory, kind], check=True)
    return sorted(directory.iterdir())


@pytest.fixture(scope="module")
def compare(tmp_path_factory: pytest.TempPathFactory) -> Compare:
    """Compare cases of seeds; returns how many there were, by rule."""
    directory = tmp_path_factory.mktemp("libpcap")
    program = build(HERE / "libpcap_diff.c", directory, f"-I{HERE}", "-lpcap")

    def compared(seeds: list[Path], cases: int, seed: int = 0) -> dict[str, int]:
        options = f"--seed {seed} --cases {cases} --dump {directory}".split()
        done = run(program, *options, *seeds)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        print(done.stdout)
        table = [line.split("\t") for line in done.stdout.splitlines()]
        return {row[0]: int(row[1]) for row in table}

    return compared


def test_generated_captures_damaged_are_read_as_libpcap_does(
    compare: Compare, generated: list[Path]
) -> None:
    counts = compare(generated, CASES)
    assert counts["cases"] == CASES
    assert counts["packets"] > CASES
    assert counts["unexplained"] == 0
    assert [rule for rule, n in counts.items() if n == 0] == ["unexplained"], (
        "a rule that nothing needs"
    )


def test_captures_of_other_projects_damaged_are_read_as_libpcap_does(
    compare: Compare,
) -> None:
    folders = (SHARED / "corpus", SHARED / "hostile" / "cases")
    seeds = [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.read_bytes()[:4] in MAGICS
    ]
    if not seeds:
        pytest.skip(f"no captures in {SHARED}")
    cases = len(seeds) + CASES
    counts = compare(seeds, cases, seed=1)
    assert counts["cases"] == cases
    assert counts["packets"] > len(seeds)
    assert counts["unexplained"] == 0
