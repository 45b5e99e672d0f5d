"""Compressed streams: units in a row, what is between them, what damage leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from fastflow.sources.decoders import (
    MAGIC_BYTES,
    SKIPPABLE,
    SKIPPABLE_HEADER_BYTES,
    Format,
    Library,
)
from fastflow.sources.raw import is_idle, read_some

_INPUT_BYTES = 1 << 16
#: Output of one call. Where it meets damage, a library withholds what the call had
#: decoded: from a pipe, that is lost.
_SLICE_BYTES = 1 << 16
_PIPE_SLICE_BYTES = 1 << 14
#: More is never withheld: a slice, and the 64 KiB that ISA-L decodes ahead of it.
_WITHHELD_MAX_BYTES = 1 << 18


class _WouldWait(Exception):
    """More input is needed, and nobody has written it yet."""


class _Input:
    """Compressed input: `bytes` have been taken from the file and not been used."""

    def __init__(self, file: BinaryIO, head: bytes, can_wait: bool) -> None:
        self.bytes = head
        self.n_taken_bytes = len(head)
        self.may_wait = True
        self._can_wait = can_wait
        self._file = file
        self._begin_off = file.tell() - len(head) if file.seekable() else None

    @property
    def off(self) -> int:
        """Where `bytes` lie in the stream."""
        return self.n_taken_bytes - len(self.bytes)

    @property
    def can_seek(self) -> bool:
        return self._begin_off is not None

    def fill(self) -> bool:
        """Take more from the file; False at its end."""
        if self._can_wait and not self.may_wait and is_idle(self._file):
            raise _WouldWait
        more = read_some(self._file, _INPUT_BYTES)
        self.n_taken_bytes += len(more)
        self.bytes += more
        return bool(more)

    def use(self, n_bytes: int) -> bytes:
        """Take out the first n bytes, or what there is of them."""
        used, self.bytes = self.bytes[:n_bytes], self.bytes[n_bytes:]
        return used

    def again(self, begin: int, end: int) -> Iterator[bytes]:
        """Yield a part of the stream once more; the input is of no use afterwards."""
        if self._begin_off is not None and begin < end:
            self._file.seek(self._begin_off + begin)
        while begin < end and (data := self._file.read(min(end - begin, _INPUT_BYTES))):
            begin += len(data)
            yield data


class _Unit:
    """A member of gzip, a frame of zstd or LZ4, a stream of bz2 or xz: one decoder."""

    def __init__(self, library: Library, source: _Input) -> None:
        self._library = library
        self._decoder = library.new_decoder()
        self._input = source
        self._begin_off = self._latest_off = source.off
        self._latest = b""  # the input that was given last
        self._n_out_bytes = 0
        self._slice_bytes = _SLICE_BYTES if source.can_seek else _PIPE_SLICE_BYTES
        self.needs_input = True  # the last call returned nothing
        self.is_damaged = False

    @property
    def has_ended(self) -> bool:
        return self._decoder.eof

    def decode(self) -> bytes:
        """Return the next bytes, perhaps none; what follows the unit stays input."""
        data = b""
        if self.needs_input:
            self._latest_off = self._input.off
            data = self._latest = self._input.use(_INPUT_BYTES)
        try:
            decoded = self._decoder.decompress(data, self._slice_bytes)
        except self._library.damage:
            self.is_damaged = True
            return self._salvage()
        self.needs_input = not decoded
        self._n_out_bytes += len(decoded)
        if self.has_ended:
            self._input.bytes = (self._decoder.unused_data or b"") + self._input.bytes
        return decoded

    def _salvage(self) -> bytes:
        """Decode the damaged unit anew, and return what the damage had withheld.

        The input that holds the damage goes in byte by byte, and what did not come
        out before comes out byte by byte, so that no call has anything to withhold.
        """
        saved = bytearray()
        decoder = self._library.new_decoder()
        n_known = self._n_out_bytes
        try:
            for data in self._input_again():
                while not decoder.eof and len(saved) < _WITHHELD_MAX_BYTES:
                    piece = decoder.decompress(data, min(n_known, _SLICE_BYTES) or 1)
                    if not piece:
                        break
                    data = b""
                    saved += piece[n_known:]
                    n_known = max(0, n_known - len(piece))
        except self._library.damage:
            pass
        return bytes(saved)

    def _input_again(self) -> Iterator[bytes]:
        if self._begin_off < self._latest_off and not self._input.can_seek:
            return
        yield from self._input.again(self._begin_off, self._latest_off)
        for byte in self._latest:
            yield bytes((byte,))


class CompressedStream:
    """The decompressed bytes of a stream; see `ByteStream`.

    Parameters
    ----------
    file : binary file
        Positioned behind `head`, its first bytes. Where it can seek, damage withholds
        nothing that precedes it; from a pipe, up to 16 KiB (gzip: 80, zstd: none).
    head : bytes
    formats : tuple of Format
        What the stream may be; the first unit decides.
    can_wait : bool
        A read may wait for someone to write.
    is_owned : bool
        The stream closes the file.
    """

    def __init__(
        self,
        file: BinaryIO,
        head: bytes,
        formats: tuple[Format, ...],
        *,
        can_wait: bool,
        is_owned: bool,
    ) -> None:
        self.fault: str | None = None
        self.flags: dict[str, int] = {}
        self.compression: str | None = None
        self.can_wait = can_wait
        self.size_bytes: int | None = None
        self.fd: int | None = None
        self._file = file
        self._is_owned = is_owned
        self._input = _Input(file, head, can_wait)
        self._formats = formats
        self._library: Library | None = None
        self._unit: _Unit | None = None
        self._n_skip_bytes = 0  # left of a skippable frame
        self._n_zeros = 0  # since the last unit
        self._rest = memoryview(b"")  # decompressed, not yet handed out
        self._is_at_end = False

    @property
    def n_read_bytes(self) -> int:
        """Compressed bytes taken from the file so far."""
        return self._input.n_taken_bytes

    def readinto(self, buffer: memoryview) -> int:
        """Put the next bytes into the buffer, at least one; 0 at the end.

        All that it has room for, unless that would wait for someone to write.
        """
        n_done = 0
        while n_done < len(buffer) and self._advance(may_wait=n_done == 0):
            piece = self._rest[: len(buffer) - n_done]
            buffer[n_done : n_done + len(piece)] = piece
            self._rest = self._rest[len(piece) :]
            n_done += len(piece)
        return n_done

    def would_wait(self) -> bool:
        """Return whether nothing can be had at this moment."""
        has_some = not self.can_wait or self._advance(may_wait=False)
        return not has_some and not self._is_at_end

    def close(self) -> None:
        """Close the file, if it was opened for this stream."""
        if self._is_owned:
            self._file.close()

    def _advance(self, may_wait: bool) -> bool:
        """Go on until `_rest` has bytes; False at the end, or where that would wait."""
        self._input.may_wait = may_wait
        try:
            while not self._rest and not self._is_at_end:
                if self._unit is not None:
                    self._decode(self._unit)
                elif self._n_skip_bytes:
                    self._skip()
                else:
                    self._look_ahead()
        except _WouldWait:
            return False
        return bool(self._rest)

    def _end(self, fault: str | None) -> None:
        self.fault = fault
        self._is_at_end = True

    def _decode(self, unit: _Unit) -> None:
        if unit.needs_input and not self._input.bytes and not self._input.fill():
            self._end("compressed_truncated")
            return
        self._rest = memoryview(unit.decode())
        if unit.is_damaged:
            self._end("compressed_corrupt")
        elif unit.has_ended:
            self._unit = None

    def _skip(self) -> None:
        if self._input.bytes or self._input.fill():
            self._n_skip_bytes -= len(self._input.use(self._n_skip_bytes))
        else:
            self._end("compressed_truncated")

    def _look_ahead(self) -> None:
        """Go through zeros to a unit, a skippable frame, the end, or garbage."""
        if self._input.bytes.startswith(b"\0"):
            self._count_zeros()
        elif len(self._input.bytes) < MAGIC_BYTES and self._input.fill():
            pass
        elif self._n_zeros % self._formats[0].padding_step_bytes:
            self._end("trailing_garbage")
        elif not self._input.bytes:
            self._end(None)
        elif self._formats[0].has_skippable and SKIPPABLE.match(self._input.bytes):
            size = int.from_bytes(self._input.bytes[4:SKIPPABLE_HEADER_BYTES], "little")
            self._n_skip_bytes = SKIPPABLE_HEADER_BYTES + size
        else:
            self._begin_unit()

    def _count_zeros(self) -> None:
        before = self._input.bytes
        self._input.bytes = before.lstrip(b"\0")
        n_zeros = len(before) - len(self._input.bytes)
        self._n_zeros += n_zeros
        self.flags["zero_padding"] = self.flags.get("zero_padding", 0) + n_zeros

    def _begin_unit(self) -> None:
        for one in self._formats:
            if one.magic.match(self._input.bytes):
                break
        else:
            self._end("trailing_garbage")
            return
        if self._library is None:
            self._library = one.load()
            self._formats = (one,)
            self.compression = one.name
        self._n_zeros = 0
        self._unit = _Unit(self._library, self._input)
