"""The fuzz target without a fuzzer: seeds and past crashes, under sanitizers."""

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


def make_seeds(directory: Path, *options: str) -> list[Path]:
    command = [sys.executable, str(HERE / "make_seeds.py"), str(directory), *options]
    subprocess.run(command, check=True)
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


def test_seeds_hold_every_invariant(replay: Path, tmp_path: Path) -> None:
    seeds = make_seeds(tmp_path)
    assert len(seeds) > 50
    done = run(replay, seeds)
    assert done.returncode == 0, done.stderr[-4000:]


def test_no_packet_is_read_beyond_its_last_byte(replay: Path, tmp_path: Path) -> None:
    cuts = make_seeds(tmp_path, "--cuts")
    assert len(cuts) > 1000
    done = run(replay, cuts)
    assert done.returncode == 0, done.stderr[-4000:]


def test_every_truncation_of_a_capture(replay: Path, tmp_path: Path) -> None:
    make_seeds(tmp_path / "seeds")
    data = (tmp_path / "seeds" / "extensions.pcap").read_bytes()
    for size in range(len(data)):
        (tmp_path / f"{size:04}.pcap").write_bytes(data[:size])
    done = run(replay, sorted(tmp_path.glob("*.pcap")))
    assert done.returncode == 0, done.stderr[-4000:]


def test_regressions_hold(replay: Path) -> None:
    """The harness prints each name before it reads the file."""
    done = run(replay, REGRESSIONS)
    assert done.returncode == 0, done.stderr[-4000:]
