"""Counts stay exact where a cell's own counter is full."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COMPILER = shutil.which("cc")


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
def test_a_full_cell_is_followed_by_a_second_one(tmp_path: Path) -> None:
    program = tmp_path / "full_cell"
    include = HERE.parents[1] / "native" / "include"
    flags = ["-std=c11", "-O1", f"-I{include}", "-o", str(program)]
    subprocess.run([str(COMPILER), *flags, str(HERE / "full_cell.c")], check=True)
    ran = subprocess.run([program], capture_output=True, text=True, check=True)
    expected = f"2 cells 1 rows {2**32} packets 120 bytes 1 sources\n"
    assert ran.stdout == expected
