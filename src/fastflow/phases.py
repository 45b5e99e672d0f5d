"""Where the time of a run goes: seconds by phase, of all threads together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

#: In the order in which bytes pass through them.
PHASES = {
    "read": "bytes out of files",
    "decompress": "gzip, zstd, lz4, bz2, xz",
    "hash": "the captures' identities",
    "scan": "records and headers decoded",
    "tally": "packets into cells, cells into sorted runs",
    "stages": "countries of sources looked up",
    "roll up": "runs merged and added up into rows",
    "publish": "Parquet files encoded, compressed, written, flushed; commits",
}


class Phases:
    """Seconds spent in each phase; safe to use from several threads.

    A phase within a phase is taken out of the outer one, so that they add up.
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._lock = threading.Lock()
        self._local = threading.local()

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Return a context whose time counts for a phase."""
        return self._measured(name)

    @contextmanager
    def _measured(self, name: str) -> Iterator[None]:
        outer = getattr(self._local, "inner_seconds", 0.0)
        self._local.inner_seconds = 0.0
        begin = time.perf_counter()
        try:
            yield
        finally:
            whole = time.perf_counter() - begin
            self.add(name, whole - self._local.inner_seconds)
            self._local.inner_seconds = outer + whole

    def add(self, name: str, seconds: float) -> None:
        """Add to a phase what was measured elsewhere."""
        with self._lock:
            self.seconds[name] += seconds

    def move(self, seconds: float, outer: str, inner: str) -> None:
        """Count a part of one phase for another."""
        self.add(outer, -seconds)
        self.add(inner, seconds)


class _NoPhases(Phases):
    """Measures nothing, at next to no cost."""

    _NOTHING = nullcontext()

    def phase(self, name: str) -> AbstractContextManager[None]:
        return self._NOTHING


#: For runs that nobody asks about.
NO_PHASES = _NoPhases()
