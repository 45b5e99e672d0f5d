"""Blocks of a stream: what the scanner left over, then new bytes, in one piece."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from fastflow.phases import NO_PHASES, Phases
from fastflow.sources.stream import ByteStream

#: A handful fits the last-level cache; few enough that handing them over costs nothing.
BLOCK_BYTES = 1 << 19


class _Buffer:
    """Room for a block, and before it for what is left over of the block before."""

    def __init__(self, keep_bytes: int, block_bytes: int) -> None:
        self.bytes = memoryview(bytearray(keep_bytes + block_bytes))
        self.keep_bytes = keep_bytes
        self.begin = self.end = keep_bytes

    @property
    def room(self) -> memoryview:
        """Where new bytes go."""
        return self.bytes[self.keep_bytes :]

    @property
    def view(self) -> memoryview:
        """What has not been used up."""
        return self.bytes[self.begin : self.end]

    def take_over(self, left: memoryview, n_new_bytes: int) -> None:
        """Become what is left of another buffer, followed by n new bytes."""
        self.begin = self.keep_bytes - len(left)
        self.end = self.keep_bytes + n_new_bytes
        self.bytes[self.begin : self.keep_bytes] = left


class Blocks:
    """One buffer over a stream, or two: one is scanned while the other is filled.

    A thread reads ahead (and decompresses) once two whole blocks have come and the
    stream cannot keep it waiting. It calls `on_bytes`, too, unless it has to
    decompress, which takes longer than all else: then the caller of `read` does.

    Parameters
    ----------
    stream : ByteStream
    block_bytes : int
        New bytes asked for at a time; at least 1.
    keep_bytes : int
        The most that a consumer ever leaves over.
    on_bytes : callable or None
        Called with each run of new bytes, a memoryview that is valid meanwhile.
    phases : Phases
        Where the time is noted that reading and decompressing take.

    Attributes
    ----------
    n_bytes : int
        Where in the stream the bytes begin that no view has shown.
    reads_ahead : bool
        Let a thread read ahead from the next read on.
    """

    def __init__(
        self,
        stream: ByteStream,
        block_bytes: int,
        keep_bytes: int,
        on_bytes: Callable[[memoryview], object] | None = None,
        *,
        phases: Phases = NO_PHASES,
    ) -> None:
        if block_bytes < 1:
            raise ValueError("a block has at least one byte")
        self.n_bytes = 0
        self._stream = stream
        self._on_bytes = on_bytes
        self._phases = phases
        self._block_bytes = block_bytes
        self.reads_ahead = True
        self._now = self._next = _Buffer(keep_bytes, block_bytes)
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: Future[int] | None = None

    @property
    def view(self) -> memoryview:
        """What has been read and not been used up."""
        return self._now.view

    def use_up(self, n_bytes: int) -> None:
        """Drop the first n bytes of the view."""
        self._now.begin += n_bytes

    def read(self) -> bool:
        """Add new bytes to the view; False at the end of the stream.

        Raises
        ------
        OSError
            The stream cannot be read.
        """
        if self._ahead is None:
            self._now.take_over(self._now.view, 0)
            n_new_bytes = self._fill(self._now)
            self._now.end += n_new_bytes
        else:
            n_new_bytes, self._ahead = self._ahead.result(), None
            self._next.take_over(self._now.view, n_new_bytes)
            self._now, self._next = self._next, self._now
        self.n_bytes += n_new_bytes
        is_whole = n_new_bytes == self._block_bytes < self.n_bytes
        if is_whole and self.reads_ahead and not self._stream.can_wait:
            self._read_ahead()
        if self._stream.compression is not None:
            self._tell(self._now, n_new_bytes)
        return n_new_bytes > 0

    def restart(self, offset: int) -> None:
        """Begin anew where the stream has been put."""
        self._now.begin = self._now.end
        self.n_bytes = offset

    def _read_ahead(self) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "fastflow-read")
            self._next = _Buffer(self._now.keep_bytes, self._block_bytes)
        self._ahead = self._pool.submit(self._fill, self._next)

    def _fill(self, buffer: _Buffer) -> int:
        with self._phases.phase("decompress" if self._stream.compression else "read"):
            n_new_bytes = self._stream.readinto(buffer.room)
        if self._stream.compression is None:
            self._tell(buffer, n_new_bytes)
        return n_new_bytes

    def _tell(self, buffer: _Buffer, n_new_bytes: int) -> None:
        if self._on_bytes is not None and n_new_bytes > 0:
            self._on_bytes(buffer.room[:n_new_bytes])

    def close(self) -> None:
        """Wait for the thread that reads ahead, then close the stream."""
        if self._pool is not None:
            self._pool.shutdown()
        self._stream.close()
