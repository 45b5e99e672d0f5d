"""The fuzz target without a fuzzer: seeds and past crashes, replayed under sanitizers."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
INCLUDE = HERE.parents[1] / "native" / "include"
REGRESSIONS = sorted(
    path for path in (HERE / "regressions").iterdir() if path.name != "README.md"
)

CC = shlex.split(os.environ.get("CC", "cc"))

pytestmark = [
    pytest.mark.skipif(shutil.which(CC[0]) is None, reason="no C compiler"),
    pytest.mark.skipif(not INCLUDE.is_dir(), reason="native/ is not beside the tests"),
]


def compile_replay(out: Path, flags: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *CC,
            *("-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-DFF_FUZZ_REPLAY"),
            *flags,
            f"-I{INCLUDE}",
            *("-o", str(out), str(HERE / "fuzz_scan.c")),
        ],
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The harness; without sanitizers where the compiler brings none."""
    out = tmp_path_factory.mktemp("fuzz") / "replay"
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    done = compile_replay(out, sanitizers)
    if done.returncode != 0 or run(out, []).returncode != 0:
        done = compile_replay(out, [])
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    directory = tmp_path_factory.mktemp("seeds")
    subprocess.run(
        [sys.executable, str(HERE / "make_seeds.py"), str(directory)], check=True
    )
    return sorted(directory.iterdir())


def run(replay: Path, files: list[Path]) -> subprocess.CompletedProcess[str]:
    # What another test run may have preloaded is not for this program.
    environment = {key: os.environ[key] for key in os.environ if key != "LD_PRELOAD"}
    return subprocess.run(
        [str(replay), *map(str, files)],
        capture_output=True,
        text=True,
        env=environment | {"UBSAN_OPTIONS": "print_stacktrace=1"},
    )


def test_seeds_hold_every_invariant(replay: Path, seeds: list[Path]) -> None:
    assert len(seeds) > 50
    done = run(replay, seeds)
    assert done.returncode == 0, done.stderr[-4000:]


def test_regressions_hold(replay: Path) -> None:
    """The harness prints each name before it reads the file."""
    done = run(replay, REGRESSIONS)
    assert done.returncode == 0, done.stderr[-4000:]


def test_every_truncation_of_a_seed(
    replay: Path, seeds: list[Path], tmp_path: Path
) -> None:
    data = next(path for path in seeds if path.stem == "extensions").read_bytes()
    files = []
    for size in range(len(data)):
        files.append(tmp_path / f"{size:04}")
        files[-1].write_bytes(data[:size])
    done = run(replay, files)
    assert done.returncode == 0, done.stderr[-4000:]
