"""Compressed streams for the tests: one unit by each library, and what goes between."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import subprocess
import sys
from collections.abc import Callable

import lz4.frame
import zstandard

from fastflow.sources.stream import open_stream

Pack = Callable[[bytes], bytes]

_RANDOM = random.Random(7)
NOISE = _RANDOM.randbytes(100_000)
#: Compressible, and longer than the blocks of every format but xz's.
LONG = b"".join(NOISE[at : at + 60] for at in _RANDOM.choices(range(30_000), k=6000))
SHORT = NOISE[:300] * 3


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=6, mtime=0)


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def _lz4(data: bytes) -> bytes:
    return lz4.frame.compress(data, content_checksum=True)


def _bz2(data: bytes) -> bytes:
    return bz2.compress(data, 1)  # the smallest blocks


def _xz(data: bytes) -> bytes:
    return lzma.compress(data, preset=0)


#: A unit (member, frame, stream) of each format, with the checksums that it has.
PACKERS: dict[str, Pack] = {
    "gzip": _gzip,
    "zstd": _zstd,
    "lz4": _lz4,
    "bz2": _bz2,
    "xz": _xz,
}


def skippable(data: bytes, number: int = 0) -> bytes:
    """A skippable frame of zstd and LZ4 around some bytes. RFC 8878 3.1.2."""
    magic = (0x184D2A50 + number).to_bytes(4, "little")
    return magic + len(data).to_bytes(4, "little") + data


class Pipe(io.RawIOBase):
    """Bytes that come a few at a time, and once."""

    def __init__(self, data: bytes, most: int = 1 << 16) -> None:
        self._data = io.BytesIO(data)
        self._most = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._data.readinto(memoryview(buffer)[: self._most])


def unpack(
    source: bytes | io.IOBase, step: int = 1 << 19
) -> tuple[bytes, str | None, dict[str, int]]:
    """Read a stream to its end, `step` bytes at a time: bytes, fault, flags."""
    stream = open_stream(io.BytesIO(source) if isinstance(source, bytes) else source)
    data = bytearray()
    buffer = memoryview(bytearray(step))
    while n := stream.readinto(buffer):
        data += buffer[:n]
    stream.close()
    return bytes(data), stream.fault, stream.flags


def run_python(code: str, *args: object) -> list[str]:
    """Run a program in a fresh interpreter: the words that it prints."""
    command = [sys.executable, "-c", code, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()
