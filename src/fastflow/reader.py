"""Drives the native scanner over the blocks of a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from fastflow import _core
from fastflow.errors import ConfigError
from fastflow.filters import PacketFilter
from fastflow.outcome import ScanStats, reason_of, status_of
from fastflow.sources.blocks import BLOCK_BYTES, Blocks
from fastflow.sources.stream import ByteStream

#: 1990-01-01 <= time < 2100-01-01, nanoseconds since 1970 UTC.
PLAUSIBLE_NS = (631_152_000 * 10**9, 4_102_444_800 * 10**9)

#: How far a damaged capture is read on behind the damage: what a few compressed bytes
#: unpack to may have no end. More than is ever read ahead.
READ_ON_BYTES = 1 << 24

#: Takes a number of bytes read since the last call.
Progress = Callable[[int], None]

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
    """

    plausible_ns: tuple[int, int] = PLAUSIBLE_NS
    filter: PacketFilter | None = None
    decap: tuple[str, ...] = ()

    @property
    def tunnel_bits(self) -> int:
        """The tunnels as the core's bit set."""
        return sum(1 << list(TUNNELS).index(name) for name in self.decap)


DEFAULT_DECODING = Decoding()


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
        Called with the number of bytes read from the file since the last call.
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
    ) -> None:
        self.scanner = _core.Scanner(
            lexicon,
            *decoding.plausible_ns,
            filter=None if decoding.filter is None else decoding.filter.programs,
            decap=decoding.tunnel_bits,
        )
        self.stream = stream
        self._filter = decoding.filter
        self._blocks = Blocks(stream, block_bytes, _core.RECORD_MAX_BYTES, on_bytes)
        self._is_at_end = False
        self._progress = progress
        self._n_reported_bytes = 0

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

        The consumer says with `use_up` how much of a block it has taken. The end of
        the records, a fault of theirs and a fault of the stream are told apart by
        `stats`.
        """
        while self.scanner.fault is None:
            yield self._blocks.view
            if self.scanner.fault is None and not self._read():
                self.scanner.end(len(self._blocks.view))
                return

    def use_up(self, n_bytes: int) -> None:
        """Drop the first n bytes of the block."""
        self._blocks.use_up(n_bytes)

    def read_on(self, until_bytes: int) -> None:
        """Read on, for the sake of `on_bytes` alone, at least so far."""
        blocks = self._blocks
        blocks.use_up(len(blocks.view))
        while blocks.n_bytes < until_bytes and self._read():
            blocks.use_up(len(blocks.view))

    def _read(self) -> bool:
        self._is_at_end = self._is_at_end or not self._blocks.read()
        if self._progress is not None:
            n_read_bytes = self.stream.n_read_bytes
            self._progress(n_read_bytes - self._n_reported_bytes)
            self._n_reported_bytes = n_read_bytes
        return not self._is_at_end

    def stats(self) -> ScanStats:
        """Return what became of the capture so far."""
        scanner = self.scanner
        reason = reason_of(scanner, self.stream.fault)
        offset = scanner.offset_bytes
        size = self._blocks.n_bytes if self._is_at_end else self.stream.size_bytes
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
        if reason == "filter_linktype" and self._filter and linktype is not None:
            return self._filter.errors.get(linktype)
        return None
