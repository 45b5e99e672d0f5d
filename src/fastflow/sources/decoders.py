"""Compression formats: the bytes they begin with, and the library that decodes them.

A format's library is imported when a capture is compressed that way, and only then.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

#: Bytes that tell every format.
MAGIC_BYTES = 10

#: A frame without content; zstd and LZ4 share it. RFC 8878 3.1.2.
SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
SKIPPABLE_HEADER_BYTES = 8

#: The most memory that a decoder may be made to take for its window (dictionary).
WINDOW_MAX_BYTES = 128 << 20


class Decoder(Protocol):
    """Decodes one unit that stands by itself: a member, frame or stream.

    A part of the interface of `bz2.BZ2Decompressor`, and without its `needs_input`:
    not every library means the same by it.
    """

    @property
    def eof(self) -> bool:
        """The unit has ended."""
        ...

    @property
    def unused_data(self) -> bytes | None:
        """Input that follows the unit that has ended."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Take input, all of it, and return the next bytes.

        None only if more input is needed for more output, or the unit has ended.
        """
        ...


class Library(NamedTuple):
    """What a library has for a format."""

    new_decoder: Callable[[], Decoder]
    damage: type[Exception]


@dataclass(frozen=True)
class Format:
    """A compression format.

    Attributes
    ----------
    name : str
    magic : re.Pattern[bytes]
        What a unit begins with.
    load : callable
        Imports the library.
    has_skippable : bool
        Skippable frames may stand before, between and after units.
    padding_step_bytes : int
        Zero bytes between and after units come in multiples of this.
    """

    name: str
    magic: re.Pattern[bytes]
    load: Callable[[], Library]
    has_skippable: bool = False
    padding_step_bytes: int = 1


def _load_gzip() -> Library:
    from isal import igzip_lib

    # The library's types declare the exception an instance.
    damage = cast("type[Exception]", igzip_lib.IsalError)
    return Library(
        lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP), damage
    )


def _load_zstd() -> Library:
    import zstandard

    from fastflow.sources.zstd import ZstdFrame

    library = zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX_BYTES)
    return Library(lambda: ZstdFrame(library.decompressobj()), zstandard.ZstdError)


def _load_lz4() -> Library:
    import lz4.frame

    return Library(lz4.frame.LZ4FrameDecompressor, RuntimeError)


def _load_bz2() -> Library:
    import bz2

    return Library(bz2.BZ2Decompressor, OSError)


def _load_xz() -> Library:
    import lzma

    return Library(
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=WINDOW_MAX_BYTES),
        lzma.LZMAError,
    )


#: Sources: RFC 1952 2.3.1; RFC 8878 3.1.1; LZ4 Frame Format 1.6.4; the header of bzip2
#: with that of a block or of the end behind it; The .xz File Format 2.1.1.1 and 2.2.
FORMATS = (
    Format("gzip", re.compile(rb"\x1f\x8b"), _load_gzip),
    Format("zstd", re.compile(rb"\x28\xb5\x2f\xfd"), _load_zstd, has_skippable=True),
    Format("lz4", re.compile(rb"\x04\x22\x4d\x18"), _load_lz4, has_skippable=True),
    Format("bz2", re.compile(rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)"), _load_bz2),
    Format("xz", re.compile(rb"\xfd7zXZ\0"), _load_xz, padding_step_bytes=4),
)


def formats_of(head: bytes) -> tuple[Format, ...]:
    """Return the formats that a stream may have, from its first MAGIC_BYTES.

    None if it is not compressed; several if a skippable frame comes first.
    """
    if SKIPPABLE.match(head):
        return tuple(one for one in FORMATS if one.has_skippable)
    return tuple(one for one in FORMATS if one.magic.match(head))
