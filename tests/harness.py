"""C programs of the tests: compiled, with sanitizers where there are any, and run."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

#: Whether the core was built with ASan, which needs to be loaded first.
IS_SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")
SYSTEM_MALLOC = pytest.mark.skipif(IS_SANITIZED, reason="ASan has its own malloc")

INCLUDE = Path(__file__).parents[1] / "native" / "include"
CC = shlex.split(os.environ.get("CC", "cc"))
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")

NEEDS_COMPILER = [
    pytest.mark.skipif(shutil.which(CC[0]) is None, reason="no C compiler"),
    pytest.mark.skipif(not INCLUDE.is_dir(), reason="native/ is not beside the tests"),
]


def run(
    program: Path, *arguments: str | Path, **options: str
) -> subprocess.CompletedProcess[str]:
    """Run it; what another test run may have preloaded is not for this program."""
    environment = {key: os.environ[key] for key in os.environ if key != "LD_PRELOAD"}
    return subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        env=environment | {"UBSAN_OPTIONS": "print_stacktrace=1"} | options,
    )


def _compile(source: Path, out: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    strict = ("-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", f"-I{INCLUDE}")
    # Libraries stand behind what needs them.
    libraries = [flag for flag in flags if flag.startswith("-l")]
    others = [flag for flag in flags if not flag.startswith("-l")]
    command = [*CC, *strict, *others, "-o", out, source, *libraries]
    return subprocess.run(command, capture_output=True, text=True)


def build(source: Path, directory: Path, *flags: str) -> Path:
    """Compile a program; without sanitizers where the compiler brings none."""
    out = directory / source.stem
    done = _compile(source, out, *SANITIZERS, *flags)
    if done.returncode != 0 or "Sanitizer" in run(out).stderr:
        done = _compile(source, out, *flags)
    assert done.returncode == 0, done.stderr
    return out
