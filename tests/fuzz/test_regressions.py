"""The fuzz targets without a fuzzer: seeds and past crashes, under sanitizers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import NEEDS_COMPILER, build, run

HERE = Path(__file__).parent
TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.c"))

pytestmark = NEEDS_COMPILER

Hold = Callable[[str, list[Path]], None]


@pytest.fixture(scope="module")
def hold(tmp_path_factory: pytest.TempPathFactory) -> Hold:
    """Run a target on files; it prints each name before it reads the file."""
    directory = tmp_path_factory.mktemp("fuzz")
    programs: dict[str, Path] = {}

    def hold(target: str, files: list[Path]) -> None:
        if target not in programs:
            source = HERE / f"fuzz_{target}.c"
            programs[target] = build(source, directory, str(HERE / "replay.c"))
        done = run(programs[target], *files)
        assert done.returncode == 0, done.stderr[-4000:]

    return hold


def make_seeds(directory: Path, kind: str) -> list[Path]:
    command = [sys.executable, str(HERE / "make_seeds.py"), str(directory), kind]
    subprocess.run(command, check=True)
    return sorted(directory.iterdir())


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_hold_every_invariant(hold: Hold, tmp_path: Path, target: str) -> None:
    seeds = make_seeds(tmp_path, target)
    assert len(seeds) >= 10
    hold(target, seeds)


@pytest.mark.parametrize("target", ["scan", "tally"])
def test_captures_at_the_limits_hold_every_invariant(
    hold: Hold, tmp_path: Path, target: str
) -> None:
    hold(target, make_seeds(tmp_path, "large"))


def test_no_packet_is_read_beyond_its_last_byte(hold: Hold, tmp_path: Path) -> None:
    cuts = make_seeds(tmp_path, "cuts")
    assert len(cuts) > 1000
    hold("scan", cuts)


@pytest.mark.parametrize(
    "name",
    ["extensions", "pcapng_little_kinds", "pcapng_big_statistics", "erf", "snoop"],
)
def test_every_truncation_of_a_capture(hold: Hold, tmp_path: Path, name: str) -> None:
    make_seeds(tmp_path / "seeds", "scan")
    data = (tmp_path / "seeds" / name).read_bytes()
    for size in range(len(data)):
        (tmp_path / f"{size:04}.cut").write_bytes(data[:size])
    hold("scan", sorted(tmp_path.glob("*.cut")))


@pytest.mark.parametrize("target", TARGETS)
def test_regressions_hold(hold: Hold, target: str) -> None:
    hold(target, sorted((HERE / "regressions").glob(f"{target}/*")))


def test_compressed_seeds_and_regressions_hold(tmp_path: Path) -> None:
    files = make_seeds(tmp_path, "compression")
    assert len(files) > 50
    files += sorted((HERE / "regressions").glob("compression/*"))
    command = [sys.executable, HERE / "fuzz_compression.py", "--replay", *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
