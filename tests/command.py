"""Runs the command line as a user does: a process, its output, its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any


@dataclass
class Ran:
    code: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def fastflow(*args: object, stdin: bytes = b"") -> Ran:
    """Run a command; whatever happens there is never a traceback."""
    ran = subprocess.run(
        [sys.executable, "-m", "fastflow", *map(str, args)],
        input=stdin,
        capture_output=True,
        check=False,
    )
    err = ran.stderr.decode()
    assert "Traceback" not in err, err
    return Ran(ran.returncode, ran.stdout, err)
