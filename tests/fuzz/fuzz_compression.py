"""Fuzz target over compressed streams, with Atheris (libFuzzer for Python).

An input is a file as it lies on disk. Read in one piece, in small ones and from a pipe
that gives a few bytes at a time, it must come out the same; what comes out, and whether
something is wrong, is compared with the library's own function for whole files.

`fuzz_compression.py [-max_total_time=60 ...] DIRECTORY...` fuzzes;
`fuzz_compression.py --replay FILE...` reads files, without Atheris.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import random
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import lz4.frame
import zstandard

ATHERIS = None if sys.argv[1] == "--replay" else import_module("atheris")

# Atheris sees the way through what is imported under its eyes.
with ATHERIS.instrument_imports(["fastflow"]) if ATHERIS else contextlib.nullcontext():
    from fastflow.sources.decoders import SKIPPABLE
    from fastflow.sources.stream import ByteStream, open_stream
    from packers import Pipe

#: No more is read of what a small input decompresses to.
MAX_BYTES = 1 << 17
#: Written behind the part of a buffer that is lent, and never to be changed.
CANARY = b"\xa5" * 16
#: What ends a stream, as `open_stream` says it.
FAULTS = {None, "compressed_truncated", "compressed_corrupt", "trailing_garbage"}

Outcome = tuple[bytes, str | None, dict[str, int], str | None]


def read_through(stream: ByteStream, size: Callable[[], int]) -> Outcome:
    """Read a stream to its end, into buffers of the sizes that are given."""
    data = bytearray()
    while len(data) < MAX_BYTES:
        room = min(size(), MAX_BYTES - len(data))
        buffer = bytearray(room) + CANARY
        n = stream.readinto(memoryview(buffer)[:room])
        assert 0 <= n <= room
        assert buffer[room:] == CANARY, "written beyond the buffer"
        if n == 0:
            assert stream.readinto(memoryview(bytearray(8))) == 0, "bytes after the end"
            break
        data += buffer[:n]
    is_whole = len(data) < MAX_BYTES
    assert stream.fault in FAULTS
    fault = stream.fault if is_whole else None
    flags = dict(stream.flags) if is_whole else {}
    stream.close()
    return bytes(data), fault, flags, stream.compression


def _zstd(data: bytes) -> bytes:
    """Decode one frame, byte by byte: given all at once, the library finds fault with a
    compressed block of 0 bytes, and otherwise takes it for an empty one."""
    decoder = zstandard.ZstdDecompressor().decompressobj()
    pieces = (data[at : at + 1] for at in range(len(data)))
    return b"".join(decoder.decompress(piece) for piece in pieces if not decoder.eof)


#: Functions of others for whole files; each raises where something is wrong.
WHOLE: dict[str | None, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "bz2": bz2.decompress,
    "xz": lambda data: lzma.decompress(data, lzma.FORMAT_XZ, memlimit=128 << 20),
    "lz4": lz4.frame.decompress,
    "zstd": _zstd,
}


def check_whole(data: bytes, outcome: Outcome) -> None:
    """Where ours finds nothing wrong, others find the same bytes."""
    decoded, fault, flags, compression = outcome
    if fault is not None or len(decoded) >= MAX_BYTES or flags:
        return
    if compression is None:
        # Nothing but skippable frames: of zstd or LZ4, nobody can tell.
        assert decoded == (b"" if SKIPPABLE.match(data) else data)
        return
    theirs = WHOLE[compression](data)
    # These two stop behind the first frame.
    if compression in ("lz4", "zstd"):
        assert decoded.startswith(theirs)
    else:
        assert decoded == theirs


def check(data: bytes) -> None:
    """Read an input in every way; nothing but OSError may be raised, and it is not."""
    chance = random.Random(hashlib.blake2b(data, digest_size=8).digest())
    most = chance.choice((7, 300, 1 << 14))
    whole = read_through(open_stream(io.BytesIO(data)), lambda: 1 << 19)
    pieces = read_through(
        open_stream(io.BytesIO(data)), lambda: chance.randint(1, most)
    )
    assert pieces == whole, "the size of a read matters"
    check_whole(data, whole)
    pipe = Pipe(data, chance.choice((1, 3, 1000)))
    piped, fault, flags, compression = read_through(open_stream(pipe), lambda: 1 << 14)
    assert (fault, flags, compression) == whole[1:], "a pipe matters"
    # From a pipe, damage withholds some of what precedes it.
    assert piped == whole[0] or (fault and whole[0].startswith(piped))


def main() -> None:
    """Fuzz, or read the files that are named."""
    if ATHERIS:
        ATHERIS.Setup(sys.argv, check)
        ATHERIS.Fuzz()
    for path in map(Path, sys.argv[2:]):
        print(path, file=sys.stderr)
        check(path.read_bytes())


if __name__ == "__main__":
    main()
