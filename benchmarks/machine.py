"""What a result depends on besides the code: machine, versions, commit."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent


def describe() -> dict[str, str]:
    """Describe the machine without naming it."""
    cpuinfo = _read_text("/proc/cpuinfo").splitlines()
    models = [
        line.partition(":")[2].strip() for line in cpuinfo if "model name" in line
    ]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "CPU": models[0] if models else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{pages / 1e9:.0f} GB",
        "kernel": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    """Return what fastflow's own jobs depend on."""
    import pyarrow as pa

    import fastflow

    return {
        "fastflow": fastflow.__version__,
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
        "compiler": output([*compiler(), "--version"]).partition("\n")[0],
    }


def commit() -> str:
    """Return the commit, and whether the tree differs from it; results do not count."""
    git = ["git", "-C", str(HERE)]
    name = output([*git, "rev-parse", "--short=12", "HEAD"])
    changed = output([*git, "status", "--porcelain", "--", ":/", ":!results"])
    return f"{name} (changed)" if name and changed else name or "unknown"


def compiler() -> list[str]:
    """Return the C compiler's command."""
    return shlex.split(os.environ.get("CC", "cc"))


def output(command: Sequence[str]) -> str:
    """Return what a command prints, empty where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    text = done.stdout.strip() or done.stderr.strip()
    return text if done.returncode == 0 else ""


def _read_text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
