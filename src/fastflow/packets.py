"""From a capture to record batches of packets, and what became of the capture."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa

from fastflow import _core
from fastflow.arena import Arenas, Layout, string_array
from fastflow.filters import PacketFilter, compile_filter
from fastflow.outcome import ScanStats, capture_error
from fastflow.reader import (
    DEFAULT_DECODING,
    READ_ON_BYTES,
    Decoding,
    Progress,
    Reader,
    new_lexicon,
    tunnels,
)
from fastflow.schema import (
    COUNTRY,
    DEFAULT_COLUMNS,
    FIELDS,
    check_columns,
    packet_schema,
)
from fastflow.sources.blocks import BLOCK_BYTES
from fastflow.sources.stream import open_stream
from fastflow.split import PART_BYTES, core_count, in_parts
from fastflow.tools import Tools, load_tools

if TYPE_CHECKING:
    from fastflow.stages.country import CountryTable

#: Rows of a record batch.
BATCH_ROWS = 1 << 16

#: Entries after which a batch's dictionaries begin anew.
_DICTIONARY_ENTRIES = 1 << 16

#: No packet of any format takes less of a file.
RECORD_MIN_BYTES = 16

#: A batch that fills less than this part of its arena is copied out of it.
_SPARSE = 8


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
        decoding: Decoding,
        country_table: CountryTable | None,
        batch_rows: int,
        block_bytes: int,
        part_bytes: int,
        workers: int,
        strict: bool,
        progress: Progress | None,
    ) -> None:
        self.columns = check_columns(columns)
        self.schema = packet_schema(columns)
        self.stats: ScanStats | None = None
        self._source = source
        self._decoding = decoding
        self._country_table = country_table
        self._batch_rows = batch_rows
        self._block_bytes = block_bytes
        self._part_bytes = part_bytes
        self._workers = workers
        self._strict = strict
        self._progress = progress

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield record batches of 1 to batch_rows packets."""
        reader = Reader(
            open_stream(self._source),
            new_lexicon(),
            decoding=self._decoding,
            block_bytes=self._block_bytes,
            progress=self._progress,
        )
        with reader:
            if reader.open() is None:
                yield from self._batches(reader)
            self.stats = reader.stats()
        if self._strict and self.stats.reason is not None:
            raise capture_error(str(self._source), self.stats)

    def _batches(self, reader: Reader) -> Iterator[pa.RecordBatch]:
        rows = self._batch_rows
        if reader.stream.size_bytes is not None:
            # No more rows than the file holds: a small capture takes little memory.
            rows = min(rows, reader.stream.size_bytes // RECORD_MIN_BYTES + 1)
        batches = _Batches(
            self._native_columns(), self._decoding.tools, rows, self._workers
        )
        finish = self._finisher()

        def work(part: Reader) -> Iterator[pa.RecordBatch]:
            return map(finish, batches.of_part(part))

        return in_parts(reader, work, self._workers, self._part_bytes)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return an Arrow C stream over a fresh iteration."""
        reader = pa.RecordBatchReader.from_batches(self.schema, self)
        return reader.__arrow_c_stream__(requested_schema)

    def _native_columns(self) -> list[str]:
        columns = [name for name in self.columns if name != COUNTRY.name]
        if len(columns) < len(self.columns):
            columns += [name for name in ("src", "ip_version") if name not in columns]
        return columns

    def _finisher(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """Return what is done to batches of native columns; any thread may do it."""
        if COUNTRY.name not in self.columns:
            return lambda batch: batch
        from fastflow.stages.country import add_country, load_country_table

        if self._country_table is None:
            self._country_table = load_country_table()
        table, columns = self._country_table, list(self.columns)
        return lambda batch: add_country(batch, table).select(columns)


class _Batches:
    """What all batches of a scan share; used by several threads at once."""

    def __init__(
        self, columns: Sequence[str], tools: Tools, rows: int, workers: int
    ) -> None:
        self.schema = packet_schema(columns)
        self.types = self.schema.types
        fields = [FIELDS[name] for name in columns]
        self.dictionary_of = [f["dictionary"] for f in fields]
        self.layout = Layout(
            [(f["name"], f["width_bytes"], f["layer"] or None) for f in fields], rows
        )
        numbers = [list(FIELDS).index(name) for name in columns]
        self.values = {
            number: column.value_off
            for number, column in zip(numbers, self.layout.columns, strict=True)
        }
        self.valid: dict[Any, int] = dict(self.layout.valid)
        self.texts: dict[str, pa.Array] = {
            "states": pa.array([name for name, _, _ in _core.STATES]),
            "traffics": pa.array(_core.TRAFFICS),
            "tools": pa.array(tools.names, pa.string()),
        }
        # A part of small packets has two batches, and so many parts are at hand.
        self.arenas = Arenas(self.layout.size_bytes, 2 * (workers + 2))

    def of_part(self, reader: Reader) -> Iterator[pa.RecordBatch]:
        """Yield the batches of a part; see `split.Work`."""
        return iter(_PartBatches(self, reader))


class _PartBatches:
    """Record batches out of a part; its dictionaries begin anew."""

    def __init__(self, shared: _Batches, reader: Reader) -> None:
        self._shared = shared
        self._layout = shared.layout
        self._reader = reader
        self._scanner = reader.scanner
        self._lexicon = reader.scanner.lexicon
        self._texts: dict[str, pa.Array] = {}
        self._n_rows = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        self._clear()
        self._begin()
        for block in self._reader.blocks():
            n_done = 0
            while True:
                consumed, self._n_rows = self._scanner.read(block[n_done:])
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

    def _clear(self) -> None:
        self._lexicon.clear()
        self._texts = dict(self._shared.texts)

    def _begin(self) -> None:
        sizes = [self._lexicon.size(name) for name in ("kinds", "signatures")]
        if max(sizes) > _DICTIONARY_ENTRIES:
            self._clear()
        shared = self._shared
        self._arena, view = self._layout.allocate(shared.arenas)
        self._scanner.bind(view, shared.values, shared.valid, self._layout.rows)
        self._n_rows = 0

    def _end(self) -> pa.RecordBatch:
        shared = self._shared
        dictionaries = [
            name and self._dictionary(name) for name in shared.dictionary_of
        ]
        arrays = self._layout.wrap(
            self._arena, self._n_rows, shared.types, dictionaries
        )
        batch = pa.RecordBatch.from_arrays(arrays, schema=shared.schema)
        if self._n_rows < self._layout.rows // _SPARSE:
            # A few rows must not keep a whole arena alive.
            batch = batch.take(pa.array(np.arange(self._n_rows, dtype=np.int32)))
        return batch

    def _dictionary(self, name: str) -> pa.Array:
        known = self._texts.get(name)
        if name in self._shared.texts:
            return known
        if known is None or len(known) != self._lexicon.size(name):
            known = self._texts[name] = string_array(*self._lexicon.texts(name))
        return known


def scan(
    source: str | os.PathLike[str] | BinaryIO,
    columns: Sequence[str] | None = None,
    *,
    filter: str | PacketFilter | None = None,
    decap: str | Iterable[str] = (),
    tools: str | os.PathLike[str] | Tools | None = None,
    country_table: CountryTable | None = None,
    batch_rows: int = BATCH_ROWS,
    block_bytes: int = BLOCK_BYTES,
    workers: int | None = None,
    strict: bool = True,
    progress: Progress | None = None,
) -> Scan:
    """Decode a capture into Arrow record batches.

    Parameters
    ----------
    source : path, "-" or binary file object
        A pcap, pcapng, ERF or snoop file, compressed by gzip, zstd, lz4, bzip2 or xz or
        not at all; known by its first bytes.
    columns : sequence of str or None
        Packet columns, in the order wanted; only these are decoded. None: every one
        but the derived ones (traffic, signature, tool, country).
    filter : str, PacketFilter or None
        Only packets that match, in tcpdump's language: "tcp dst port 445".
    decap : str or iterable of str
        Tunnels to open, so that the columns are those of the packet inside: gre, vxlan
        ...; one text may name several, with commas.
    tools : path, Tools or None
        A file of rules for the column `tool`, besides those of fastflow.
    country_table : CountryTable or None
        For the column `country`; None: the default table.
    batch_rows : int
        Largest number of packets in a batch.
    block_bytes : int
        Bytes read at a time. No result depends on it.
    workers : int or None
        Threads that decode, where the file can be split: a plain pcap of some size.
        None: one for each core; 1: the calling thread. No result depends on it.
    strict : bool
        Raise once every packet before the damage has been yielded; otherwise end
        quietly, and `stats` tells.
    progress : callable or None
        Called with the numbers of bytes read from the file, and of packets met, since
        the last call.

    Returns
    -------
    Scan
        Iterable of pyarrow.RecordBatch, with `__arrow_c_stream__`.

    Raises
    ------
    ConfigError
        A column or a tunnel has no such name; the filter does not compile; a rule for
        tools cannot be understood.
    CaptureError
        While iterating: the file is no capture, or is damaged.
    OSError
        While iterating: the file cannot be read.

    Notes
    -----
    A damaged packet is a row whose `status` says what is wrong, never an error.

    A batch ends at `batch_rows` packets, at the first packet that begins in the next 8
    MiB of the capture (decompressed), and where a pipe pauses. Dictionaries begin anew
    with each 8 MiB, and where they have grown beyond 65,536 entries. So the same bytes
    give the same batches, compressed or not, whatever the number of workers.
    """
    if batch_rows < 1:
        raise ValueError("a batch has at least one row")
    if workers is not None and workers < 1:
        raise ValueError("there is at least one worker")
    return Scan(
        source,
        DEFAULT_COLUMNS if columns is None else tuple(columns),
        decoding=Decoding(
            filter=compile_filter(filter) if isinstance(filter, str) else filter,
            decap=tunnels(decap.split(",") if isinstance(decap, str) else decap),
            tools=load_tools(tools),
        ),
        country_table=country_table,
        batch_rows=batch_rows,
        block_bytes=block_bytes,
        part_bytes=PART_BYTES,
        workers=workers or core_count(),
        strict=strict,
        progress=progress,
    )


def read_stats(
    source: str | os.PathLike[str] | BinaryIO, decoding: Decoding = DEFAULT_DECODING
) -> ScanStats:
    """Read a capture to its end, decoding no column, and say what became of it.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    stream = open_stream(source)
    with Reader(stream, _core.Lexicon(seed=0), decoding=decoding) as reader:
        if reader.open() is None:
            reader.scanner.bind(bytearray(1), {}, {}, sys.maxsize)
            for block in reader.blocks():
                reader.use_up(reader.scanner.read(block)[0])
        if reader.scanner.fault is not None:  # how much was lost?
            reader.read_on(reader.scanner.consumed_bytes + READ_ON_BYTES)
        return reader.stats()
