"""Runs `fastflow` in processes that a plan may strike; two cases at a time."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from faults.shim import Call, Plan, read_log

_Case = TypeVar("_Case")
_Result = TypeVar("_Result")

#: The machines of the CI have two cores.
N_SERVERS = 2

#: Libraries that would start threads when they are imported.
_NO_THREADS = {
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "_RJEM_MALLOC_CONF": "background_thread:false",
}


@dataclass(frozen=True)
class Ran:
    """What became of a process.

    Attributes
    ----------
    code : int
        The exit code; -9: killed.
    counted : int
        Calls of the plan's kinds that were begun.
    fired : bool
        The plan struck.
    calls : list of Call
        All calls below the directory that the plan watches.
    """

    code: int
    out: str
    err: str
    hung: bool
    counted: int
    fired: bool
    seconds: float
    calls: list[Call]

    @property
    def acknowledged(self) -> list[str]:
        """The ids of the inputs that were said to be in the store."""
        if self.code not in (0, 3):
            return []
        inputs = json.loads(self.out)["inputs"]
        taken = ("complete", "truncated", "damaged", "duplicate")
        return [one["id"] for one in inputs if one["status"] in taken]


class Server:
    """One process that forks cases; see server.py. Serves one thread at a time."""

    def __init__(self, shim: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **_NO_THREADS, **environment, "LD_PRELOAD": str(shim)},
        )
        assert self._read() == {"threads": 1}, "a fork would lose a thread"

    def run(
        self,
        arguments: Iterable[object],
        plan: Plan | None = None,
        below: Path | None = None,
        kill_after_s: float | None = None,
    ) -> Ran:
        """Run `fastflow`; a plan strikes at calls below a directory."""
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            log = directory / "log"
            told: dict[str, Any] = {
                "arguments": [str(argument) for argument in arguments],
                "out": str(directory / "out"),
                "err": str(directory / "err"),
                "kill_after_s": kill_after_s,
                "plan": None,
            }
            if plan is not None:
                told["plan"] = {
                    "below": str(below),
                    "mode": int(plan.mode),
                    "kinds": plan.kinds_mask,
                    "n": plan.n,
                    "error": plan.error,
                    "log": str(log),
                }
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(told) + "\n")
            self._process.stdin.flush()
            answer = self._read()
            out, err = (
                (directory / name).read_text() if (directory / name).exists() else ""
                for name in ("out", "err")
            )
            return Ran(out=out, err=err, calls=read_log(log), **answer)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Servers:
    """As many servers as cases run side by side."""

    def __init__(self, shim: Path, environment: dict[str, str]) -> None:
        self._all = [Server(shim, environment) for _ in range(N_SERVERS)]
        self._idle: queue.Queue[Server] = queue.Queue()
        for server in self._all:
            self._idle.put(server)

    def map(
        self, work: Callable[[Server, _Case], _Result], cases: Iterable[_Case]
    ) -> list[_Result]:
        """Do work on each case with a server; return the results in order."""

        def one(case: _Case) -> _Result:
            server = self._idle.get()
            try:
                return work(server, case)
            finally:
                self._idle.put(server)

        with ThreadPoolExecutor(len(self._all)) as pool:
            return list(pool.map(one, cases))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._all:
            server.close()
