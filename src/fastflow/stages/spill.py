"""Where the runs of tallies are kept: in memory up to a budget, then in a file."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from typing import BinaryIO, cast

from fastflow import _tally
from fastflow.errors import FastflowError

#: Cells of runs that are kept in memory before one is spilled.
MEMORY_CELLS = 1 << 20


class Spill:
    """Room in a file that is given out piece by piece.

    The file is made when it is first wanted; it has no name, and leaves no trace.

    Parameters
    ----------
    directory : str or path or None
        Where the file lies; None: the system's directory for temporary files.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        self._directory = directory
        self._file: BinaryIO | None = None
        self._n_bytes = 0
        self._lock = threading.Lock()

    def reserve(self, n_bytes: int) -> int:
        """Return the offset of n bytes that nobody else writes to."""
        with self._lock:
            offset = self._n_bytes
            self._n_bytes += n_bytes
            return offset

    def fileno(self) -> int:
        """Return the file's descriptor.

        Raises
        ------
        OSError
            The file cannot be made.
        """
        with self._lock:
            if self._file is None:
                made = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115
                self._file = cast(BinaryIO, made)
            return self._file.fileno()

    def __del__(self) -> None:
        """Give the room back; runs that lie there keep this object."""
        if self._file is not None:
            self._file.close()

    def error(self, error: OSError) -> FastflowError:
        """Word what went wrong with it."""
        directory = self._directory or tempfile.gettempdir()
        return FastflowError(
            f"{directory}: cannot put cells aside that memory has no room for "
            f"({error.strerror or error}); free some space there, or name another "
            "directory with TMPDIR"
        )


class Memory:
    """How many cells of runs may lie in memory, and where the others go.

    Shared by the tallies of a run; safe to use from several threads.

    Parameters
    ----------
    max_cells : int
        For all tallies together, beyond their arenas.
    directory : path or None
        Where runs are spilled to; None: the system's directory for temporary files.
    """

    def __init__(
        self,
        max_cells: int = MEMORY_CELLS,
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        self.spill = Spill(directory)
        self._n_left = max_cells
        # A finalizer may run while this thread is inside.
        self._lock = threading.RLock()

    def take(self, n_cells: int) -> bool:
        """Return whether n cells may be kept in memory; if so, they are counted."""
        with self._lock:
            if n_cells > self._n_left:
                return False
            self._n_left -= n_cells
            return True

    def keep(self, run: _tally.Run, n_taken: int) -> None:
        """Count a run for which n cells were taken as long as somebody holds it."""
        self._give_back(n_taken - run.n_cells)
        weakref.finalize(run, self._give_back, run.n_cells).atexit = False

    def _give_back(self, n_cells: int) -> None:
        with self._lock:
            self._n_left += n_cells
