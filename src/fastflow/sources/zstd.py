"""Frames of zstd, decoded block by block. Source: RFC 8878 3.1.1."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

_MAGIC_AND_DESCRIPTOR_BYTES = 5
_BLOCK_HEADER_BYTES = 3
_RLE_BLOCK = 1
_CHECKSUM_BYTES = 4
#: By the descriptor's Dictionary_ID_Flag and Frame_Content_Size_Flag. 3.1.1.1.1.
_DICTIONARY_ID_BYTES = (0, 1, 2, 4)
_CONTENT_SIZE_BYTES = (0, 2, 4, 8)


class _FrameDecoder(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


def _pieces() -> Generator[int, bytes, None]:
    """Walk through a frame: yield the size of the next piece, and be sent the piece."""
    descriptor = (yield _MAGIC_AND_DESCRIPTOR_BYTES)[-1]
    is_single_segment = descriptor >> 5 & 1
    has_checksum = descriptor >> 2 & 1
    window_or_size = 1 if descriptor >> 6 == 0 or not is_single_segment else 0
    yield (
        window_or_size
        + _DICTIONARY_ID_BYTES[descriptor & 3]
        + _CONTENT_SIZE_BYTES[descriptor >> 6]
    )
    is_last = False
    while not is_last:
        header = int.from_bytes((yield _BLOCK_HEADER_BYTES), "little")
        is_last = bool(header & 1)
        n_bytes = 1 if header >> 1 & 3 == _RLE_BLOCK else header >> 3
        if n_bytes:
            yield n_bytes
    if has_checksum:
        yield _CHECKSUM_BYTES


class ZstdFrame:
    """A frame; see `Decoder`.

    The library returns all that its input becomes, however much that is, and nothing
    of it when there is damage. Given a block at a time, it returns no more than the
    128 KiB of a block, and damage withholds nothing that precedes it.

    Parameters
    ----------
    decoder : zstandard.ZstdDecompressionObj
        It refuses a block or a window that is too large when it sees the header.
    """

    def __init__(self, decoder: _FrameDecoder) -> None:
        self.eof = False
        self.unused_data = b""
        self._decoder = decoder
        self._input = bytearray()
        self._pieces = _pieces()
        self._n_wanted = next(self._pieces)

    def decompress(self, data: bytes, _max_length: int = -1, /) -> bytes:
        """Take input, and return what comes next of the frame, a block at most."""
        self._input += data
        decoded = b""
        while not decoded and not self.eof and len(self._input) >= self._n_wanted:
            decoded = self._decode_piece()
        return decoded

    def _decode_piece(self) -> bytes:
        piece = bytes(self._input[: self._n_wanted])
        del self._input[: self._n_wanted]
        decoded = self._decoder.decompress(piece)
        try:
            self._n_wanted = self._pieces.send(piece)
        except StopIteration:
            self.eof = True
            self.unused_data = bytes(self._input)
        return decoded
