"""Run as a program, with the shim preloaded: forks a process for each case it is told.

One JSON document a line comes on stdin, and one goes out on stdout. Importing Arrow
and Delta Lake takes half a second, a reduce of a tiny capture 20 ms: so they are
imported once, and each case begins with everything loaded and nothing started. That
there is no second thread yet is checked, for a fork would lose it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

#: What a reduce imports when it needs it.
MODULES = (
    "blake3",
    "deltalake",
    "numpy",
    "pyarrow.compute",
    "pyarrow.parquet",
    "fastflow.cli.geo",
    "fastflow.cli.main",
    "fastflow.cli.progress",
    "fastflow.cli.reduce",
    "fastflow.pipeline",
    "fastflow.stages.country",
    "fastflow.stages.country_sources",
)

#: Nothing takes that long: a case that does hangs.
PATIENCE_S = 60.0

shim = ctypes.CDLL(None)


def _run(case: dict[str, Any]) -> int:
    """In the child: be `fastflow` with these arguments; return the exit code."""
    for descriptor, name in ((1, "out"), (2, "err")):
        file = os.open(case[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    sys.argv = ["fastflow", *case["arguments"]]
    plan = case["plan"]
    if plan is not None:
        begun = shim.shim_arm(
            os.fsencode(plan["below"]),
            plan["mode"],
            plan["kinds"],
            ctypes.c_long(plan["n"]),
            plan["error"],
            os.fsencode(plan["log"]),
        )
        assert begun == 0, "no log"
    from fastflow.cli.main import main

    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        return int(end.code or 0)
    return 0


def _child(case: dict[str, Any]) -> None:
    code = 1
    try:
        code = _run(case)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def _serve(case: dict[str, Any]) -> dict[str, Any]:
    begin = time.perf_counter()
    child = os.fork()
    if child == 0:
        _child(case)
    handle = os.pidfd_open(child)
    limit = case["kill_after_s"]
    ended, _, _ = select.select(
        [handle], [], [], PATIENCE_S if limit is None else limit
    )
    if not ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(handle)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "hung": limit is None and not ended,
        "counted": shim.shim_counted() if case["plan"] else 0,
        "fired": bool(shim.shim_fired()) if case["plan"] else False,
        "seconds": time.perf_counter() - begin,
    }


def _main() -> None:
    shim.shim_counted.restype = ctypes.c_long
    for name in MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    threads = len(list(Path("/proc/self/task").iterdir()))
    print(json.dumps({"threads": threads}), flush=True)
    for line in sys.stdin:
        print(json.dumps(_serve(json.loads(line))), flush=True)


if __name__ == "__main__":
    _main()
