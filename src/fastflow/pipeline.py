"""The whole way: captures in, hourly counts in the store, a record for each capture."""

from __future__ import annotations

import os
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blake3 import blake3

from fastflow._version import __version__
from fastflow.errors import ConfigError, exit_code
from fastflow.filters import PacketFilter, compile_filter
from fastflow.outcome import UNKNOWN_FORMAT, ScanStats, messages
from fastflow.reader import READ_ON_BYTES, Decoding, Progress, Reader, tunnels
from fastflow.schema import InputRecord, Reduced
from fastflow.sources.find import STDIN, Found, find_captures
from fastflow.sources.stream import ByteStream, open_stream
from fastflow.stages.country import CountryTable, load_country_table
from fastflow.stages.spill import Memory
from fastflow.stages.tally import HourlyTally
from fastflow.store import Store
from fastflow.store.settings import is_hidden

#: A commit costs two fsyncs whatever it holds: captures share one, up to these bounds.
_COMMIT_INPUTS = 256
_COMMIT_CELLS = 1 << 20

_PARENT = "{parent}"


@dataclass
class ReduceReport:
    """What became of every capture of a run.

    Attributes
    ----------
    inputs : list of InputRecord
        In the order of the captures.
    messages : list of str
        Lines that an operator must read: what is damaged, unreadable, not decoded.
    """

    inputs: list[InputRecord] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 complete, 3 some input damaged or refused, 1 nothing could be done."""
        return exit_code(record.status for record in self.inputs)

    def to_json(self) -> dict[str, Any]:
        """Return what `reduce --json` prints."""
        return {
            "inputs": [record.to_json() for record in self.inputs],
            "records": sum(record.records for record in self.inputs),
            "counted": sum(record.counted for record in self.inputs),
        }


def reduce(
    captures: Iterable[str | os.PathLike[str] | Found],
    store: str | os.PathLike[str] | Store,
    sensor: str,
    *,
    geo: str | os.PathLike[str] | CountryTable | None = None,
    workers: int | None = None,
    sources: bool | None = None,
    filter: str | None = None,
    decap: str | Iterable[str] | None = None,
    progress: Progress | None = None,
) -> ReduceReport:
    """Reduce captures to exact hourly counts and commit them to a store.

    Parameters
    ----------
    captures : iterable of str, path or Found
        Files, directories, globs, "-" for stdin; or what find_captures() made of them.
    store : str, path or Store
        Made if it does not exist.
    sensor : str
        Who captured; "{parent}" stands for the name of each capture's directory.
    geo : path, CountryTable or None
        An MMDB file in place of the default country table.
    workers : int or None
        Captures reduced at the same time; None: one for each core.
    sources : bool or None
        Keep the source addresses. None: as the store does, True for a new one.
    filter : str or None
        Count only packets that match, in tcpdump's language. None: as the store does.
    decap : str, iterable of str or None
        Tunnels to open before counting: "gre,vxlan". None: as the store does.
    progress : callable or None
        Called with the number of bytes read since the last call, from any thread.

    Returns
    -------
    ReduceReport
        A capture that is damaged, refused or known already stops no other.

    Raises
    ------
    ConfigError
        A capture does not exist, the filter does not compile, or an option contradicts
        the store.
    StoreError
        The store cannot be opened or written; what was committed before stays.
    """
    if not sensor:
        raise ConfigError("the sensor has no name; say --sensor NAME")
    found = find_captures(captures)
    if not found:
        raise ConfigError("no capture was named")
    jobs = [(capture, _sensor_of(capture, sensor)) for capture in found]
    compiled = None if filter is None else compile_filter(filter)
    settings = _settings(sources, filter, decap)
    if isinstance(store, Store):
        store.settings.check_same(settings, str(store.path))
    else:
        store = Store(store, create=True, settings=settings)
    if compiled is None:
        compiled = _filter_of(store)
    table = geo if isinstance(geo, CountryTable) else load_country_table(geo)
    reducer = _Reducer(store, table, compiled, progress)
    committer = _Committer(store)
    for reduced, lines in _in_order(reducer.reduce, jobs, workers):
        committer.add(reduced, lines)
    return committer.finish()


def _settings(
    sources: bool | None, filter: str | None, decap: str | Iterable[str] | None
) -> dict[str, Any]:
    """Return the settings that were named, as a store records them."""
    named: dict[str, Any] = {}
    if sources is not None:
        named["sources"] = sources
    if filter is not None:
        named["filter"] = " ".join(filter.split()) or None
    if decap is not None:
        names = decap.split(",") if isinstance(decap, str) else decap
        named["decap"] = ",".join(tunnels(names)) or None
    return named


def _filter_of(store: Store) -> PacketFilter | None:
    """Return the filter that a store was made with."""
    expression = store.settings.filter
    if is_hidden(expression):
        raise ConfigError(
            f"{store.path}: the store was made with a filter that names addresses, and "
            "keeps no address; say the same --filter again"
        )
    return None if expression is None else compile_filter(expression)


def _sensor_of(capture: Found, sensor: str) -> str:
    if sensor != _PARENT:
        return sensor
    name = Path(capture.path).absolute().parent.name
    if capture.path == STDIN or not name:
        raise ConfigError(f"{capture.path}: no directory names its sensor; name it")
    return name


def _in_order(
    work: Callable[[Found, str], tuple[Reduced, list[str]]],
    jobs: Sequence[tuple[Found, str]],
    workers: int | None,
) -> Iterator[tuple[Reduced, list[str]]]:
    """Do the jobs on several threads; yield results in the order of the jobs.

    Few results wait at a time, so that memory does not grow with the number of jobs.
    """
    n_workers = min(workers or os.cpu_count() or 1, len(jobs))
    if n_workers == 1:
        yield from (work(*job) for job in jobs)
        return
    waiting: deque[Future[tuple[Reduced, list[str]]]] = deque()
    with ThreadPoolExecutor(n_workers) as pool:
        for job in jobs:
            waiting.append(pool.submit(work, *job))
            if len(waiting) > 2 * n_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Reducer:
    """Reduces one capture at a time; used by several threads at once."""

    def __init__(
        self,
        store: Store,
        table: CountryTable,
        filter: PacketFilter | None,
        progress: Progress | None,
    ) -> None:
        settings = store.settings
        self._decoding = Decoding(
            (settings.min_time_s * 10**9, settings.max_time_s * 10**9),
            filter,
            tunnels((settings.decap or "").split(",")),
        )
        self._table = table
        self._memory = Memory()
        self._progress = progress

    def reduce(self, capture: Found, sensor: str) -> tuple[Reduced, list[str]]:
        """Return a capture's rows and record, and what must be said of it."""
        try:
            # Before the first byte: of a file that grows meanwhile they must not say
            # that its end was read.
            size, mtime_ns = _size_and_time(capture)
            reduced, stats = self._reduce(capture, sensor, open_stream(capture.path))
        except OSError as error:
            # Not the capture's fault: nothing is recorded, so that it can be read when
            # it is readable again.
            record = InputRecord(
                input="",
                path=capture.path,
                sensor=sensor,
                status="rejected",
                reason="unreadable",
                version=__version__,
            )
            message = f"{capture.path}: cannot be read: {error.strerror or error}"
            return Reduced(record), [message]
        reduced.record.size, reduced.record.mtime_ns = size, mtime_ns
        is_skipped = reduced.record.status == "skipped"
        return reduced, [] if is_skipped else messages(capture.path, stats)

    def _reduce(
        self, capture: Found, sensor: str, stream: ByteStream
    ) -> tuple[Reduced, ScanStats]:
        tally = HourlyTally(self._table, memory=self._memory)
        digest = _Digest()
        reader = Reader(
            stream,
            tally.lexicon,
            decoding=self._decoding,
            on_bytes=digest.update,
            progress=self._progress,
        )
        with reader:
            fault = reader.open()
            if fault in UNKNOWN_FORMAT and not capture.is_named:
                stats = reader.stats()
                skipped = _record(capture, sensor, "", stats, "skipped")
                return Reduced(skipped), stats
            if fault is None:
                tally.add(reader)
            if reader.stats().status in ("damaged", "rejected"):
                digest.limit(reader.scanner.consumed_bytes)
            reader.read_on(digest.end_bytes)
            stats = reader.stats()
        input_id = digest.input_id(stats, sensor, capture.path)
        record = _record(capture, sensor, input_id, stats)
        record.country_table = f"{self._table.name} {self._table.version}"
        record.country_date = self._table.date
        return Reduced(record, tally.rows(sensor, input_id)), stats


class _Digest:
    """The identity of a capture: size and BLAKE3 hash of its decompressed bytes.

    Of a damaged capture, those up to READ_ON_BYTES behind the damage.

    Attributes
    ----------
    end_bytes : int
        Where the bytes that are hashed end, unless the capture does before.
    """

    def __init__(self) -> None:
        self.end_bytes = sys.maxsize
        self._n_bytes = 0
        self._hash = blake3()

    def limit(self, damage_bytes: int) -> None:
        """Set the end, where the damage is known; reading ahead is not there yet."""
        self.end_bytes = damage_bytes + READ_ON_BYTES

    def update(self, data: memoryview) -> None:
        """Take in the next bytes."""
        piece = data[: max(self.end_bytes - self._n_bytes, 0)]
        self._hash.update(piece)
        self._n_bytes += len(piece)

    def input_id(self, stats: ScanStats, sensor: str, path: str) -> str:
        """Return the id; captures without packets differ by sensor and path."""
        if stats.records == 0:
            self._hash.update(f"\0{sensor}\0{path}".encode(errors="surrogateescape"))
        return f"{self._hash.hexdigest()}-{self._n_bytes}"


def _record(
    capture: Found,
    sensor: str,
    input_id: str,
    stats: ScanStats,
    status: Any = None,
) -> InputRecord:
    return InputRecord(
        input=input_id,
        path=capture.path,
        sensor=sensor,
        status=status or stats.status,
        reason=stats.reason,
        offset=stats.offset,
        records=stats.records,
        counted=stats.counted,
        uncounted=stats.uncounted,
        flags=stats.flags,
        first_packet=_microseconds(stats.first_ts_ns),
        last_packet=_microseconds(stats.last_ts_ns),
        dropped=stats.dropped,
        version=__version__,
    )


def _size_and_time(capture: Found) -> tuple[int | None, int | None]:
    """Return a regular file's size (bytes) and modification time (ns)."""
    if capture.path == STDIN:
        return None, None
    found = Path(capture.path).stat()
    if not stat.S_ISREG(found.st_mode):
        return None, None
    return found.st_size, found.st_mtime_ns


def _microseconds(ts_ns: int | None) -> int | None:
    return None if ts_ns is None else ts_ns // 1000


class _Committer:
    """Commits reduced captures in batches and keeps what is said of each."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._report = ReduceReport()
        self._batch: list[Reduced] = []
        self._n_cells = 0

    def add(self, reduced: Reduced, lines: list[str]) -> None:
        """Take in one capture; commit if enough has come together."""
        record = reduced.record
        self._report.inputs.append(record)
        self._report.messages += lines
        if not record.input:
            return
        self._batch.append(reduced)
        self._n_cells += reduced.n_cells
        if len(self._batch) >= _COMMIT_INPUTS or self._n_cells >= _COMMIT_CELLS:
            self._commit()

    def finish(self) -> ReduceReport:
        """Commit what is left and return the report."""
        if self._batch:
            self._commit()
        return self._report

    def _commit(self) -> None:
        stored = set(self._store.publish(self._batch))
        for reduced in self._batch:
            record = reduced.record
            if record.input in stored:
                # A second copy in the same batch is the duplicate, not the first.
                stored.discard(record.input)
            elif record.status != "rejected":
                record.status = "duplicate"
            reduced.close()
        self._batch, self._n_cells = [], 0
