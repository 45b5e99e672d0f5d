"""Where the cells of tallies are kept: in memory up to a budget, then in a file."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from typing import BinaryIO, cast

from fastflow import _tally
from fastflow.errors import FastflowError

#: Cells in memory before any are spilled, those of the first arenas not counted.
MEMORY_CELLS = 3 << 18


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
    """How many cells may lie in memory beyond the arenas that tallies begin with.

    Arenas that grow take from it, and runs that are kept. Shared by the tallies of a
    run; safe to use from several threads.

    Parameters
    ----------
    max_cells : int
        For all tallies together.
    directory : path or None
        Where runs are spilled to; None: the system's directory for temporary files.
    """

    def __init__(
        self,
        max_cells: int = MEMORY_CELLS,
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        self.max_cells = max_cells
        self.spill = Spill(directory)
        self._n_left = max_cells
        # A finalizer may run while this thread is inside.
        self._lock = threading.RLock()

    @property
    def is_overdrawn(self) -> bool:
        """Whether no run may be kept."""
        return self._n_left < 0

    def take(self, n_cells: int) -> bool:
        """Return whether an arena may grow by n cells; if so, they are counted."""
        with self._lock:
            if n_cells > self._n_left:
                return False
            self._n_left -= n_cells
            return True

    def give_back(self, n_cells: int) -> None:
        """Count no more n cells that were taken."""
        with self._lock:
            self._n_left += n_cells

    def keep(self, run: _tally.Run) -> None:
        """Count a run's cells as long as somebody holds it, be there room or not."""
        self.give_back(-run.n_cells)
        weakref.finalize(run, self.give_back, run.n_cells).atexit = False
