"""No allocation that fails crashes anything: MemoryError, and nothing is broken.

The case S8 of the reliability rules.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import SYSTEM_MALLOC

HERE = Path(__file__).parent
GCC = shutil.which("gcc")


@pytest.mark.skipif(GCC is None, reason="gcc is not installed")
@SYSTEM_MALLOC
def test_every_allocation_may_fail(tmp_path: Path) -> None:
    shim = tmp_path / "failing_malloc.so"
    source = HERE / "failing_malloc.c"
    subprocess.run(
        [str(GCC), "-shared", "-fPIC", "-O1", "-o", shim, source], check=True
    )
    ran = subprocess.run(
        [sys.executable, HERE / "without_memory.py"],
        env={**os.environ, "LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    n_failed = dict(line.split() for line in ran.stdout.splitlines())
    assert set(n_failed) == {"columns", "interfaces", "tally", "filter"}
    assert all(int(n) >= 3 for n in n_failed.values()), n_failed
