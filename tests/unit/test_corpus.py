"""Every capture of other projects, and every malformed one, read to its end.

They are no part of this repository; where they lie beside it, they are read.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import builders as b
import fastflow
from fastflow.errors import CaptureError
from fastflow.packets import read_stats
from harness import SYSTEM_MALLOC

SHARED = Path(__file__).parents[3] / "shared"
FOLDERS = sorted(
    path
    for path in (*SHARED.glob("corpus/*"), SHARED / "hostile" / "cases")
    if path.is_dir()
)
MAX_MORE_BYTES = 64 << 20

needs_captures = pytest.mark.skipif(not FOLDERS, reason=f"no captures in {SHARED}")


def captures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def problems(path: Path) -> list[str]:
    """Return what does not hold of a capture."""
    stats = read_stats(path)
    n_uncounted = sum(stats.uncounted.values())
    n_bytes = path.stat().st_size
    wrong = {
        "counted and uncounted are not all": stats.records
        != stats.counted + n_uncounted,
        "ok is no reason": "ok" in stats.uncounted,
        "complete, but there is a reason": (stats.status == "complete")
        != (stats.reason is None),
        "a fault without an offset": (stats.reason is None) != (stats.offset is None),
        "an offset behind the end": stats.compression is None
        and (stats.offset or 0) > n_bytes,
        "rejected, but with records": stats.status == "rejected" and stats.records > 0,
        "rows of a scan are not the records": rows(path) != stats.records,
    }
    return [f"{path.name}: {what}: {stats}" for what, holds in wrong.items() if holds]


def rows(path: Path) -> int:
    n_rows = 0
    try:
        for batch in fastflow.scan(path):
            batch.validate(full=True)
            n_rows += batch.num_rows
    except CaptureError:
        pass  # what precedes the damage has been yielded
    return n_rows


@needs_captures
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_capture_is_read_to_its_end_and_adds_up(folder: Path) -> None:
    assert captures(folder)
    assert [line for path in captures(folder) for line in problems(path)] == []


PEAK = """
import sys
from fastflow.packets import read_stats

# Of this program alone: ru_maxrss would begin with that of its parent.
def peak_bytes():
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if "VmHWM" in line)

first, *others = sys.argv[1:]
read_stats(first)
idle_bytes = peak_bytes()
for path in others:
    read_stats(path)
print(peak_bytes() - idle_bytes, len(others))
"""


@needs_captures
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
@SYSTEM_MALLOC
def test_peak_memory_over_all_captures_is_bounded(tmp_path: Path) -> None:
    tiny = tmp_path / "tiny.pcap"
    tiny.write_bytes(b.capture(b.ethernet(b.ipv4(b.tcp()))))
    paths = [path for folder in FOLDERS for path in captures(folder)]
    command = [sys.executable, "-c", PEAK, tiny, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    more_bytes, n_read = map(int, done.stdout.split())
    assert n_read == len(paths) > 100
    assert more_bytes < MAX_MORE_BYTES
