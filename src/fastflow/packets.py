"""From a capture to record batches of packets, and what became of the capture."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

import pyarrow as pa

from fastflow import _core
from fastflow.arena import Layout, string_array
from fastflow.errors import (
    CaptureError,
    CorruptCaptureError,
    InternalError,
    NotACaptureError,
    TruncatedCaptureError,
    UnsupportedLinkTypeError,
)
from fastflow.schema import (
    COUNTRY,
    DEFAULT_COLUMNS,
    FIELDS,
    InputRecord,
    Status,
    check_columns,
    packet_schema,
)
from fastflow.sources.blocks import BLOCK_BYTES, Blocks
from fastflow.sources.stream import ByteStream, open_stream

if TYPE_CHECKING:
    from fastflow.stages.country import CountryTable

#: Rows of a record batch.
BATCH_ROWS = 1 << 16

#: Entries after which a batch's dictionaries begin anew.
_DICTIONARY_ENTRIES = 1 << 16

#: A batch that fills less than this part of its arena is copied out of it.
_SPARSE = 8

#: 1990-01-01 <= time < 2100-01-01, nanoseconds since 1970 UTC.
PLAUSIBLE_NS = (631_152_000 * 10**9, 4_102_444_800 * 10**9)

#: Takes a number of bytes read since the last call.
Progress = Callable[[int], None]

_FAULTS = {name: (status, text) for name, status, text in _core.FAULTS}

#: Faults that say that a file is of no format known here.
UNKNOWN_FORMAT = frozenset({"empty_file", "short_magic", "unknown_magic"})

#: Faults that are only the end of the bytes.
_SHORT = frozenset(
    {
        "empty_file",
        "short_magic",
        "short_header",
        "truncated_record_header",
        "truncated_record",
        "truncated_block",
    }
)


@dataclass
class ScanStats:
    """What became of a capture; `records == counted + sum(uncounted.values())`.

    Attributes
    ----------
    status : str
        complete, truncated, damaged or rejected.
    reason : str or None
        The fault's name; null when complete.
    offset : int or None
        Where the fault lies: bytes from the beginning, decompressed.
    bytes_not_read : int or None
        What follows the offset, uncompressed; null where that is not known.
    first_ts_ns, last_ts_ns : int or None
        Earliest and latest plausible time, nanoseconds since 1970 UTC.
    dropped : int or None
        Packets lost before they reached the capture, as it says; null where it does not.
    linktypes : list of int
        LINKTYPE_ numbers met; of those that are not decoded the first.
    header : dict
        What the file header says; empty where there is none.
    """

    status: Status
    reason: str | None
    offset: int | None
    records: int
    counted: int
    uncounted: dict[str, int]
    flags: dict[str, int]
    bytes_not_read: int | None
    first_ts_ns: int | None
    last_ts_ns: int | None
    dropped: int | None
    compression: str | None
    linktypes: list[int]
    header: dict[str, Any] = field(default_factory=dict)


class Reader:
    """Drives a native scanner over the blocks of one stream, which it closes.

    Parameters
    ----------
    stream : ByteStream
    lexicon : _core.Lexicon
        Where option lists and signatures get their codes.
    plausible_ns : (int, int)
        Plausible times, the second exclusive, nanoseconds since 1970 UTC.
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
        plausible_ns: tuple[int, int] = PLAUSIBLE_NS,
        block_bytes: int = BLOCK_BYTES,
        on_bytes: Callable[[memoryview], object] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.scanner = _core.Scanner(lexicon, *plausible_ns)
        self.stream = stream
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

    def drain(self) -> None:
        """Read on to the end, for the sake of `on_bytes` alone."""
        self._blocks.use_up(len(self._blocks.view))
        while self._read():
            self._blocks.use_up(len(self._blocks.view))

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
        # What ended the bytes early is the cause of a header or record cut short.
        is_short = scanner.fault is None or scanner.fault in _SHORT
        reason = (is_short and self.stream.fault) or scanner.fault
        offset = None if reason is None else scanner.offset_bytes
        return ScanStats(
            status=_status(reason, scanner),
            reason=reason,
            offset=offset,
            bytes_not_read=self._bytes_not_read(offset),
            records=scanner.n_records,
            counted=scanner.n_counted,
            uncounted=scanner.uncounted,
            flags={**scanner.flags, **self.stream.flags},
            first_ts_ns=scanner.first_ts_ns,
            last_ts_ns=scanner.last_ts_ns,
            dropped=scanner.dropped,
            compression=self.stream.compression,
            linktypes=scanner.linktypes,
            header=dict(scanner.header),
        )

    def _bytes_not_read(self, offset: int | None) -> int | None:
        if offset is None:
            return 0
        size = getattr(self.stream, "size_bytes", None)
        return None if size is None else max(size - offset, 0)


def _status(reason: str | None, scanner: _core.Scanner) -> Status:
    """Return what a fault makes of a capture.

    At the very beginning it rejects it; one that would, met later, damages it.
    """
    if reason is None:
        return "complete"
    status: Any = _FAULTS[reason][0]
    if reason == scanner.fault and scanner.offset_bytes == 0:
        return "rejected"
    if status == "rejected" and scanner.offset_bytes > 0:
        return "damaged"
    return cast(Status, status)


class Scan:
    """The packets of a capture as record batches; see `scan`.

    Each iteration reads the capture from its beginning (a file object: from where it
    stands). The object itself is what Polars, DuckDB, pandas and pyarrow take, through
    `__arrow_c_stream__`.

    Attributes
    ----------
    schema : pyarrow.Schema
    stats : ScanStats or None
        Of the latest iteration, once it has ended.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | BinaryIO,
        columns: Sequence[str],
        *,
        country_table: CountryTable | None,
        batch_rows: int,
        block_bytes: int,
        strict: bool,
        progress: Progress | None,
    ) -> None:
        self.columns = check_columns(columns)
        self.schema = packet_schema(columns)
        self.stats: ScanStats | None = None
        self._source = source
        self._country_table = country_table
        self._batch_rows = batch_rows
        self._block_bytes = block_bytes
        self._strict = strict
        self._progress = progress

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield record batches of 1 to batch_rows packets."""
        reader = Reader(
            open_stream(self._source),
            _core.Lexicon(seed=int.from_bytes(os.urandom(8))),
            block_bytes=self._block_bytes,
            progress=self._progress,
        )
        with reader:
            if reader.open() is None:
                batches = _Batches(reader, self._native_columns(), self._batch_rows)
                for batch in batches:
                    yield self._finish(batch)
            self.stats = reader.stats()
        if self._strict and self.stats.reason is not None:
            raise capture_error(str(self._source), self.stats)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return an Arrow C stream over a fresh iteration."""
        reader = pa.RecordBatchReader.from_batches(self.schema, self)
        return reader.__arrow_c_stream__(requested_schema)

    def _native_columns(self) -> list[str]:
        columns = [name for name in self.columns if name != COUNTRY.name]
        if len(columns) < len(self.columns):
            columns += [name for name in ("src", "ip_version") if name not in columns]
        return columns

    def _finish(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if COUNTRY.name not in self.columns:
            return batch
        from fastflow.stages.country import add_country, load_country_table

        if self._country_table is None:
            self._country_table = load_country_table()
        return add_country(batch, self._country_table).select(list(self.columns))


class _Batches:
    """Record batches out of a reader whose file header has been read."""

    def __init__(self, reader: Reader, columns: Sequence[str], rows: int) -> None:
        self._reader = reader
        self._lexicon = reader.scanner.lexicon
        self._schema = packet_schema(columns)
        self._numbers = [list(FIELDS).index(name) for name in columns]
        fields = [FIELDS[name] for name in columns]
        self._dictionary_of = [f["dictionary"] for f in fields]
        self._layout = Layout(
            [(f["name"], f["width_bytes"], f["layer"] or None) for f in fields], rows
        )
        self._texts: dict[str, pa.Array] = {
            "states": pa.array([name for name, _, _ in _core.STATES]),
            "traffics": pa.array(_core.TRAFFICS),
        }
        self._n_rows = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        self._begin()
        for block in self._reader.blocks():
            n_done = 0
            while True:
                consumed, self._n_rows = self._reader.scanner.read(block[n_done:])
                n_done += consumed
                if self._n_rows < self._layout.rows:
                    break
                yield self._end()
                self._begin()
            self._reader.use_up(n_done)
            if self._n_rows and self._reader.stream.would_wait():
                # A live capture pauses: what has come is not held back.
                yield self._end()
                self._begin()
        if self._n_rows:
            yield self._end()

    def _begin(self) -> None:
        sizes = [self._lexicon.size(name) for name in ("kinds", "signatures")]
        if max(sizes) > _DICTIONARY_ENTRIES:
            self._lexicon.clear()
        self._arena, view = self._layout.allocate()
        values = {
            number: column.value_off
            for number, column in zip(self._numbers, self._layout.columns, strict=True)
        }
        valid: dict[Any, int] = dict(self._layout.valid)
        self._reader.scanner.bind(view, values, valid, self._layout.rows)
        self._n_rows = 0

    def _end(self) -> pa.RecordBatch:
        dictionaries = [name and self._dictionary(name) for name in self._dictionary_of]
        arrays = self._layout.wrap(
            self._arena, self._n_rows, self._schema.types, dictionaries
        )
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        if self._n_rows < self._layout.rows // _SPARSE:
            # A few rows must not keep a whole arena alive.
            batch = batch.take(pa.array(range(self._n_rows), pa.int32()))
        return batch

    def _dictionary(self, name: str) -> pa.Array:
        known = self._texts.get(name)
        if name in ("states", "traffics"):
            return known
        if known is None or len(known) != self._lexicon.size(name):
            known = self._texts[name] = string_array(*self._lexicon.texts(name))
        return known


def scan(
    source: str | os.PathLike[str] | BinaryIO,
    columns: Sequence[str] | None = None,
    *,
    country_table: CountryTable | None = None,
    batch_rows: int = BATCH_ROWS,
    block_bytes: int = BLOCK_BYTES,
    strict: bool = True,
    progress: Progress | None = None,
) -> Scan:
    """Decode a capture into Arrow record batches.

    Parameters
    ----------
    source : path, "-" or binary file object
        A classic pcap file of any byte order, gzip-compressed or not; known by its
        first bytes.
    columns : sequence of str or None
        Packet columns, in the order wanted; only these are decoded. None: every one
        but the derived ones (traffic, signature, country).
    country_table : CountryTable or None
        For the column `country`; None: the default table.
    batch_rows : int
        Largest number of packets in a batch.
    block_bytes : int
        Bytes read at a time. No result depends on it.
    strict : bool
        Raise once every packet before the damage has been yielded; otherwise end
        quietly, and `stats` tells.
    progress : callable or None
        Called with the number of bytes read from the file since the last call.

    Returns
    -------
    Scan
        Iterable of pyarrow.RecordBatch, with `__arrow_c_stream__`.

    Raises
    ------
    ConfigError
        A column has no such name.
    CaptureError
        While iterating: the file is no capture, or is damaged.
    OSError
        While iterating: the file cannot be read.

    Notes
    -----
    A damaged packet is a row whose `status` says what is wrong, never an error.
    """
    if batch_rows < 1:
        raise ValueError("a batch has at least one row")
    return Scan(
        source,
        DEFAULT_COLUMNS if columns is None else tuple(columns),
        country_table=country_table,
        batch_rows=batch_rows,
        block_bytes=block_bytes,
        strict=strict,
        progress=progress,
    )


def read_stats(source: str | os.PathLike[str] | BinaryIO) -> ScanStats:
    """Read a capture to its end, decoding no column, and say what became of it.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    with Reader(open_stream(source), _core.Lexicon(seed=0)) as reader:
        if reader.open() is None:
            reader.scanner.bind(bytearray(1), {}, {}, sys.maxsize)
            for block in reader.blocks():
                reader.use_up(reader.scanner.read(block)[0])
        return reader.stats()


def fault_message(path: str, outcome: ScanStats | InputRecord) -> str:
    """Return one line: what is wrong with a capture, where, and what was kept."""
    if outcome.reason is None:
        raise InternalError(f"{path}: a complete capture has no fault")
    text = _FAULTS[outcome.reason][1]
    if isinstance(outcome, ScanStats) and outcome.reason == "unsupported_linktype":
        text += f" ({outcome.header.get('linktype', 'of snoop')})"
    kept = f"; {outcome.records:,} packets before it kept" if outcome.records else ""
    return f"{path}: {text} ({outcome.reason}) at byte {outcome.offset}{kept}"


def capture_error(path: str, stats: ScanStats) -> CaptureError:
    """Return the exception for a capture that is not complete."""
    kind: type[CaptureError]
    if stats.reason == "unsupported_linktype":
        kind = UnsupportedLinkTypeError
    elif stats.status == "rejected":
        kind = NotACaptureError
    elif stats.status == "truncated":
        kind = TruncatedCaptureError
    else:
        kind = CorruptCaptureError
    message = fault_message(path, stats)
    return kind(message, path, stats.offset or 0, stats.reason or "")
