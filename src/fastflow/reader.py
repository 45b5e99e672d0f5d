"""Drives the native scanner over the blocks of a stream."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from threading import Event
from typing import Self

from fastflow import _core
from fastflow.errors import ConfigError, InternalError
from fastflow.filters import PacketFilter
from fastflow.outcome import ScanStats, reason_of, status_of
from fastflow.phases import NO_PHASES, Phases
from fastflow.sources.blocks import BLOCK_BYTES, Blocks
from fastflow.sources.part import FilePart
from fastflow.sources.stream import ByteStream
from fastflow.tools import Tools, known_tools

#: 1990-01-01 <= time < 2100-01-01, nanoseconds since 1970 UTC.
PLAUSIBLE_NS = (631_152_000 * 10**9, 4_102_444_800 * 10**9)

#: How far a damaged capture is read on behind the damage: what a few compressed bytes
#: unpack to may have no end. More than is ever read ahead.
READ_ON_BYTES = 1 << 24

#: How far the first record of a part is looked for: further than a record is long.
_GUESS_BYTES = 1 << 19

#: Takes the bytes that were read and the packets that were met since the last call.
Progress = Callable[[int, int], None]

#: Every kind of tunnel that can be opened, and what it is.
TUNNELS = dict(_core.TUNNELS)


@dataclass(frozen=True)
class Decoding:
    """Which packets count, and where their headers are looked for.

    Attributes
    ----------
    plausible_ns : (int, int)
        Plausible times, the second exclusive, nanoseconds since 1970 UTC.
    filter : PacketFilter or None
        What a packet must match.
    decap : tuple of str
        The tunnels that are opened; see `tunnels`.
    tools : Tools
        What tells the tools that packets were sent by.
    """

    plausible_ns: tuple[int, int] = PLAUSIBLE_NS
    filter: PacketFilter | None = None
    decap: tuple[str, ...] = ()
    tools: Tools = field(default_factory=known_tools)

    @property
    def tunnel_bits(self) -> int:
        """The tunnels as the core's bit set."""
        return sum(1 << list(TUNNELS).index(name) for name in self.decap)


DEFAULT_DECODING = Decoding()


def new_lexicon() -> _core.Lexicon:
    """Return an empty lexicon, seeded so that nobody can prepare colliding keys."""
    return _core.Lexicon(seed=int.from_bytes(os.urandom(8)))


def tunnels(names: Iterable[str]) -> tuple[str, ...]:
    """Return kinds of tunnels, each once, in their fixed order; `all` is every one.

    Raises
    ------
    ConfigError
        A name is of no kind of tunnel.
    """
    wanted = {name.strip().lower() for name in names} - {""}
    for name in sorted(wanted - TUNNELS.keys() - {"all"}):
        raise ConfigError(
            f"no tunnel is called {name!r}; there are {', '.join(TUNNELS)}, and all"
        )
    return tuple(name for name in TUNNELS if name in wanted or "all" in wanted)


def first_record_end(head: bytes | bytearray) -> int | None:
    """Return where the first packet's record of a capture ends.

    None where that does not stand in its first bytes, or they begin no capture.
    """
    scanner = _core.Scanner(new_lexicon(), *PLAUSIBLE_NS)
    scanner.open(head)
    if scanner.fault is not None:
        return None
    begin = scanner.offset_bytes
    scanner.bind(bytearray(1), {}, {}, 1)
    n_bytes, n_packets = scanner.read(memoryview(head)[begin:])
    return begin + n_bytes if n_packets else None


@dataclass(frozen=True)
class Found:
    """What a reader has found in a part of a capture.

    Attributes
    ----------
    begin_bytes : int
        Where it began.
    scanner : _core.Scanner
        With the statistics, and where the part ends.
    has_ended : bool
        The capture ends with it.
    end_bytes : int or None
        Where the file ends, if that was met.
    """

    begin_bytes: int
    scanner: _core.Scanner
    has_ended: bool
    end_bytes: int | None


class Reader:
    """Drives a native scanner over the blocks of one stream, which it closes.

    Parameters
    ----------
    stream : ByteStream
    lexicon : _core.Lexicon
        Where option lists and signatures get their codes.
    decoding : Decoding
        Which packets count, and where their headers are looked for.
    on_bytes : callable or None
        Called with each run of new decompressed bytes, a memoryview valid meanwhile.
    progress : callable or None
        Called with the numbers of bytes read from the file, and of packets met, since
        the last call.
    reads_ahead : bool
        Let a thread read ahead, where that does not keep it waiting.
    phases : Phases
        Where the time is noted that reading and decompressing take.

    Attributes
    ----------
    scanner : _core.Scanner
    has_ended : bool
        Whether the end of the capture has been met.
    """

    def __init__(
        self,
        stream: ByteStream,
        lexicon: _core.Lexicon,
        *,
        decoding: Decoding = DEFAULT_DECODING,
        block_bytes: int = BLOCK_BYTES,
        on_bytes: Callable[[memoryview], object] | None = None,
        progress: Progress | None = None,
        reads_ahead: bool = True,
        phases: Phases = NO_PHASES,
    ) -> None:
        self.decoding = decoding
        self.block_bytes = block_bytes
        self.has_ended = False
        self.scanner = _core.Scanner(
            lexicon,
            *decoding.plausible_ns,
            filter=None if decoding.filter is None else decoding.filter.programs,
            decap=decoding.tunnel_bits,
            tools=decoding.tools.compiled,
        )
        self.stream = stream
        self._blocks = Blocks(
            stream,
            block_bytes,
            _core.RECORD_MAX_BYTES,
            on_bytes,
            phases=phases,
        )
        # While the header is read, nobody knows yet who reads on.
        self._blocks.reads_ahead = False
        self._reads_ahead = reads_ahead
        self.phases = phases
        self._end_bytes: int | None = None  # where the stream ended
        self._progress = progress
        self._n_reported_bytes = self._n_reported_packets = 0

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the stream."""
        self._blocks.close()

    def open(self) -> str | None:
        """Read the file header; return the fault that rejects the capture, or None."""
        blocks = self._blocks
        while len(blocks.view) < _core.head_bytes(blocks.view) and self._read():
            pass
        self.scanner.open(blocks.view)
        if self.scanner.fault is None:
            blocks.use_up(self.scanner.offset_bytes)
        return self.scanner.fault

    def blocks(self) -> Iterator[memoryview]:
        """Yield what is there, then each time with more bytes, until the end.

        Or until the scanner's limit; once that is raised, the next call goes on there.
        The consumer says with `use_up` how much of a block it has taken. The end of
        the records, a fault of theirs and a fault of the stream are told apart by
        `stats`.
        """
        scanner = self.scanner
        self._blocks.reads_ahead = self._reads_ahead
        while not self.has_ended and not scanner.is_at_limit:
            yield self._blocks.view
            if scanner.fault is not None:
                self.has_ended = True
            elif not scanner.is_at_limit and not self._read():
                scanner.end(len(self._blocks.view))
                self.has_ended = True

    def use_up(self, n_bytes: int) -> None:
        """Drop the first n bytes of the block."""
        self._blocks.use_up(n_bytes)

    def join(self, found: Found) -> None:
        """Take in what was found in a part that begins where this reader has ended."""
        self.scanner.join(found.scanner, found.begin_bytes)
        self.has_ended = found.has_ended
        self._end_bytes = found.end_bytes
        self.report(found.end_bytes or self.scanner.consumed_bytes)

    def read_on(self, until_bytes: int) -> None:
        """Read on, for the sake of `on_bytes` alone, at least so far."""
        blocks = self._blocks
        blocks.use_up(len(blocks.view))
        while blocks.n_bytes < until_bytes and self._read():
            blocks.use_up(len(blocks.view))

    def _read(self) -> bool:
        if self._end_bytes is None and not self._blocks.read():
            self._end_bytes = self._blocks.n_bytes
        self.report(self.stream.n_read_bytes)
        return self._end_bytes is None

    def report(self, n_read_bytes: int) -> None:
        """Tell `progress` that so many bytes have been read of the file."""
        if self._progress is None or n_read_bytes <= self._n_reported_bytes:
            return
        n_packets = self.scanner.n_records
        self._progress(
            n_read_bytes - self._n_reported_bytes, n_packets - self._n_reported_packets
        )
        self._n_reported_bytes, self._n_reported_packets = n_read_bytes, n_packets

    @property
    def end_bytes(self) -> int | None:
        """Where the stream ended, if that was met."""
        return self._end_bytes

    def stats(self) -> ScanStats:
        """Return what became of the capture so far."""
        scanner = self.scanner
        reason = reason_of(scanner, self.stream.fault)
        offset = scanner.offset_bytes
        size = self.stream.size_bytes if self._end_bytes is None else self._end_bytes
        return ScanStats(
            status=status_of(reason, offset, is_of_stream=reason != scanner.fault),
            reason=reason,
            offset=None if reason is None else offset,
            bytes_not_read=0 if reason is None else size and max(size - offset, 0),
            records=scanner.n_records,
            counted=scanner.n_counted,
            uncounted=scanner.uncounted,
            flags={**scanner.flags, **self.stream.flags},
            first_ts_ns=scanner.first_ts_ns,
            last_ts_ns=scanner.last_ts_ns,
            dropped=scanner.dropped,
            compression=self.stream.compression,
            linktypes=scanner.linktypes,
            header=scanner.header,
            detail=self._detail(reason),
        )

    def _detail(self, reason: str | None) -> str | None:
        linktype = self.scanner.header.get("linktype")
        if reason == "unsupported_linktype":
            return None if linktype is None else str(linktype)
        if reason == "filter_linktype" and linktype is not None:
            used = self.decoding.filter
            return None if used is None else used.errors.get(linktype)
        return None


class PartReader(Reader):
    """Reads one part after the other of a classic pcap in a regular file.

    Parameters
    ----------
    whole : Reader
        Of that file; it has read the file header. Others may read beside it.
    stop : Event
        Makes reading raise `Abandoned`.
    """

    def __init__(self, whole: Reader, stop: Event) -> None:
        if whole.stream.fd is None:
            raise InternalError("parts are read of regular files only")
        self._file = FilePart(whole.stream.fd, stop)
        super().__init__(
            self._file,
            new_lexicon(),
            decoding=whole.decoding,
            block_bytes=whole.block_bytes,
            reads_ahead=False,
            phases=whole.phases,
        )
        self._whole = whole
        self._begin_bytes = 0

    def begin(self, offset: int, limit: int) -> None:
        """Go on with the records from an offset up to a limit."""
        self._seek(offset, limit)
        self._begin(offset, limit)

    def begin_by_guess(self, offset: int, limit: int) -> bool:
        """Begin with the first record behind an offset; False if none is seen."""
        self._seek(offset, limit)
        while len(self._blocks.view) < _GUESS_BYTES and self._read():
            pass
        at = self._whole.scanner.find_record(self._blocks.view[:_GUESS_BYTES])
        if at is None:
            return False
        self.use_up(at)
        self._begin(offset + at, limit)
        return True

    def found(self) -> Found:
        """Return what has been found since the part was begun."""
        return Found(self._begin_bytes, self.scanner, self.has_ended, self._end_bytes)

    def _seek(self, offset: int, limit: int) -> None:
        self._file.seek(offset, limit)
        self._blocks.restart(offset)
        self.has_ended = False
        self._end_bytes = None

    def _begin(self, offset: int, limit: int) -> None:
        # A lexicon of its own: what was made of the part before may refer to its.
        self.scanner = self._whole.scanner.part(new_lexicon(), offset)
        self.scanner.limit_bytes = limit
        self._begin_bytes = offset
