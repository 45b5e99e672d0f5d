"""Gzip streams: several members, zero padding, and as much as a damaged one yields.

Source: RFC 1952. Decompression and checksums are ISA-L's.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, cast

from isal import igzip_lib

from fastflow.sources.raw import is_idle

GZIP_MAGIC = b"\x1f\x8b"

_INPUT_BYTES = 1 << 18
#: Output of one call. The library withholds what a call had produced before it met
#: damage; small slices keep the loss within what `_salvage` looks at byte by byte.
_SLICE_BYTES = 1 << 14


#: The library's types declare it an instance.
_Damage = cast("type[Exception]", igzip_lib.IsalError)


def _new_member() -> igzip_lib.IgzipDecompressor:
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


class GzipStream:
    """The decompressed bytes of a gzip stream; see `ByteStream`.

    Parameters
    ----------
    file : binary file
        Positioned behind `head`, its first bytes.
    path : Path or None
        Where the file can be opened again to save what precedes damage; a pipe's
        last 16 KiB before damage are lost.
    is_owned : bool
        The stream closes the file.
    """

    compression: str | None = "gzip"

    def __init__(
        self, file: BinaryIO, head: bytes, path: Path | None, is_owned: bool
    ) -> None:
        self._is_owned = is_owned
        self.can_wait = path is None
        self.size_bytes: int | None = None
        self.fault: str | None = None
        self.flags: dict[str, int] = {}
        self._file = file
        self._path = path
        self._member = _new_member()
        self._input = head
        self._n_taken_bytes = len(head)
        self._is_at_end = False
        self._member_off = 0  # where the member begins in the file
        self._member_out = 0  # bytes that the member has yielded
        self._rest = b""  # decompressed, not yet handed out

    @property
    def n_read_bytes(self) -> int:
        """Compressed bytes taken from the file so far."""
        return self._n_taken_bytes

    def readinto(self, buffer: memoryview) -> int:
        """Put the next bytes into the buffer, at least one; 0 at the end.

        All that it has room for, unless that would wait for someone to write.
        """
        n_done = 0
        while n_done < len(buffer):
            if n_done > 0 and self.would_wait():
                break
            if not self._rest and not self._advance():
                break
            piece = self._rest[: len(buffer) - n_done]
            buffer[n_done : n_done + len(piece)] = piece
            self._rest = self._rest[len(piece) :]
            n_done += len(piece)
        return n_done

    def would_wait(self) -> bool:
        """Return whether nothing can be had at this moment."""
        member = self._member
        inside = member.unused_data if member.eof else not member.needs_input
        has_some = self._rest or self._input or inside
        return self.can_wait and not has_some and is_idle(self._file)

    def close(self) -> None:
        """Close the file, if it was opened for this stream."""
        if self._is_owned:
            self._file.close()

    def _advance(self) -> bool:
        """Put the next decompressed bytes into `_rest`; False at the end."""
        while not self._is_at_end:
            if self._member.eof and not self._next_member():
                break
            if self._member.needs_input and not self._input and not self._fill():
                self._end("compressed_truncated")
                break
            try:
                self._rest = self._member.decompress(self._input, _SLICE_BYTES)
            except _Damage:
                self._rest = self._salvage()
                self._end("compressed_corrupt")
                return bool(self._rest)
            self._input = b""
            self._member_out += len(self._rest)
            if self._rest:
                return True
        return False

    def _end(self, fault: str | None) -> None:
        self.fault = fault
        self._is_at_end = True

    def _fill(self) -> bool:
        self._input = self._file.read(_INPUT_BYTES)
        self._n_taken_bytes += len(self._input)
        return bool(self._input)

    def _next_member(self) -> bool:
        """Begin the member that follows the one that ended; False if none does."""
        self._input = self._member.unused_data
        n_zeros = 0
        while True:
            n_before = len(self._input)
            self._input = self._input.lstrip(b"\0")
            n_zeros += n_before - len(self._input)
            if self._input or not self._fill():
                break
        if n_zeros:
            self.flags["zero_padding"] = self.flags.get("zero_padding", 0) + n_zeros
        while len(self._input) == 1 and (more := self._file.read(_INPUT_BYTES)):
            self._n_taken_bytes += len(more)
            self._input += more
        if not self._input.startswith(GZIP_MAGIC):
            self._end("trailing_garbage" if self._input else None)
            return False
        self._member_off = self._n_taken_bytes - len(self._input)
        self._member_out = 0
        self._member = _new_member()
        return True

    def _salvage(self) -> bytes:
        """Decompress the damaged member anew, byte by byte from the last good slice."""
        if self._path is None:
            return b""
        saved = bytearray()
        member = _new_member()
        n_good = 0
        with self._path.open("rb") as file:
            file.seek(self._member_off)
            try:
                while True:
                    data = file.read(_INPUT_BYTES) if member.needs_input else b""
                    left = self._member_out - n_good
                    piece = member.decompress(data, min(left, _SLICE_BYTES) or 1)
                    if left == 0:
                        saved += piece
                    n_good += len(piece) if left else 0
                    if not piece and (member.eof or (member.needs_input and not data)):
                        break
            except _Damage:
                pass
        return bytes(saved)
