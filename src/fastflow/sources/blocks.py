"""Blocks of a stream: what the scanner left over, then new bytes, in one buffer."""

from __future__ import annotations

from collections.abc import Callable

from fastflow.sources.stream import ByteStream

#: Small enough to stay in the second-level cache between reading and scanning.
BLOCK_BYTES = 1 << 17


class Blocks:
    """A reused buffer over a stream.

    Parameters
    ----------
    stream : ByteStream
    block_bytes : int
        New bytes asked for at a time; at least 1.
    keep_bytes : int
        The most that a consumer ever leaves over.
    on_bytes : callable or None
        Called with each run of new bytes, a memoryview that is valid meanwhile.
    """

    def __init__(
        self,
        stream: ByteStream,
        block_bytes: int,
        keep_bytes: int,
        on_bytes: Callable[[memoryview], object] | None = None,
    ) -> None:
        if block_bytes < 1:
            raise ValueError("a block has at least one byte")
        self._stream = stream
        self._block_bytes = block_bytes
        self._buffer = memoryview(bytearray(keep_bytes + block_bytes))
        self._on_bytes = on_bytes
        self._begin = self._end = 0

    @property
    def view(self) -> memoryview:
        """What has been read and not been used up."""
        return self._buffer[self._begin : self._end]

    def use_up(self, n_bytes: int) -> None:
        """Drop the first n bytes of the view."""
        self._begin += n_bytes

    def read(self) -> bool:
        """Add new bytes to the view; False at the end of the stream."""
        n_left = self._end - self._begin
        self._buffer[:n_left] = self._buffer[self._begin : self._end]
        self._begin, self._end = 0, n_left
        room = self._buffer[n_left : n_left + self._block_bytes]
        n_new = self._stream.readinto(room)
        if n_new == 0:
            return False
        self._end += n_new
        if self._on_bytes is not None:
            self._on_bytes(self._buffer[n_left : self._end])
        return True
