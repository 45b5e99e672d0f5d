"""The whole way: captures in, hourly counts in the store, a record for each capture."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blake3 import blake3

from fastflow._version import __version__
from fastflow.errors import ConfigError, exit_code
from fastflow.packets import UNKNOWN_FORMAT, Progress, Reader, ScanStats
from fastflow.schema import COUNTS, SOURCES, InputRecord, Reduced
from fastflow.sources.find import STDIN, Found, find_captures
from fastflow.sources.stream import ByteStream, open_stream
from fastflow.stages.country import CountryTable, load_country_table
from fastflow.stages.tally import HourlyTally
from fastflow.store import Store

#: A commit costs two fsyncs whatever it holds: captures share one, up to these bounds.
_COMMIT_INPUTS = 256
_COMMIT_ROWS = 4_000_000

_PARENT = "{parent}"


@dataclass
class ReduceReport:
    """What became of every capture of a run.

    Attributes
    ----------
    inputs : list of InputRecord
        In the order of the captures.
    messages : list of str
        One line for each capture that could not be read at all.
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
    progress : callable or None
        Called with the number of bytes read since the last call, from any thread.

    Returns
    -------
    ReduceReport
        A capture that is damaged, refused or known already stops no other.

    Raises
    ------
    ConfigError
        A capture does not exist, or an option contradicts the store.
    StoreError
        The store cannot be opened or written; what was committed before stays.
    """
    if not sensor:
        raise ConfigError("the sensor has no name; say --sensor NAME")
    found = find_captures(captures)
    if not found:
        raise ConfigError("no capture was named")
    jobs = [(capture, _sensor_of(capture, sensor)) for capture in found]
    if not isinstance(store, Store):
        settings = {} if sources is None else {"sources": sources}
        store = Store(store, create=True, settings=settings)
    table = geo if isinstance(geo, CountryTable) else load_country_table(geo)
    reducer = _Reducer(store, table, progress)
    committer = _Committer(store)
    for reduced, message in _in_order(reducer.reduce, jobs, workers):
        committer.add(reduced, message)
    return committer.finish()


def _sensor_of(capture: Found, sensor: str) -> str:
    if sensor != _PARENT:
        return sensor
    name = Path(capture.path).absolute().parent.name
    if capture.path == STDIN or not name:
        raise ConfigError(f"{capture.path}: no directory names its sensor; name it")
    return name


def _in_order(
    work: Callable[[Found, str], tuple[Reduced, str | None]],
    jobs: Sequence[tuple[Found, str]],
    workers: int | None,
) -> Iterator[tuple[Reduced, str | None]]:
    """Do the jobs on several threads; yield results in the order of the jobs.

    Few results wait at a time, so that memory does not grow with the number of jobs.
    """
    n_workers = min(workers or os.cpu_count() or 1, len(jobs))
    if n_workers == 1:
        yield from (work(*job) for job in jobs)
        return
    waiting: deque[Future[tuple[Reduced, str | None]]] = deque()
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
        self, store: Store, table: CountryTable, progress: Progress | None
    ) -> None:
        settings = store.settings
        self._plausible_ns = (
            settings.min_time_s * 10**9,
            settings.max_time_s * 10**9,
        )
        self._keeps_sources = settings.sources
        self._table = table
        self._progress = progress

    def reduce(self, capture: Found, sensor: str) -> tuple[Reduced, str | None]:
        """Return a capture's rows and record, and a message if it cannot be read."""
        try:
            # Before the first byte: of a file that grows meanwhile they must not say
            # that its end was read.
            size, mtime_ns = _size_and_time(capture)
            reduced = self._reduce(capture, sensor, open_stream(capture.path))
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
            return _without_rows(record), message
        reduced.record.size, reduced.record.mtime_ns = size, mtime_ns
        return reduced, None

    def _reduce(self, capture: Found, sensor: str, stream: ByteStream) -> Reduced:
        tally = HourlyTally()
        digest = _Digest()
        reader = Reader(
            stream,
            tally.lexicon,
            plausible_ns=self._plausible_ns,
            on_bytes=digest.update,
            progress=self._progress,
        )
        with reader:
            fault = reader.open()
            if fault in UNKNOWN_FORMAT and not capture.is_named:
                skipped = _record(capture, sensor, "", reader.stats(), "skipped")
                return _without_rows(skipped)
            if fault is None:
                tally.add(reader)
            reader.drain()
            stats = reader.stats()
        input_id = digest.input_id(stats, sensor, capture.path)
        record = _record(capture, sensor, input_id, stats)
        record.country_table = f"{self._table.name} {self._table.version}"
        record.country_date = self._table.date
        counts, sources = tally.rows(self._table, sensor, input_id)
        return Reduced(record, counts, sources if self._keeps_sources else None)


class _Digest:
    """The identity of a capture: size and BLAKE3 hash of its decompressed bytes."""

    def __init__(self) -> None:
        self._n_bytes = 0
        self._hash = blake3()

    def update(self, data: memoryview) -> None:
        """Take in the next bytes."""
        self._hash.update(data)
        self._n_bytes += len(data)

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


def _without_rows(record: InputRecord) -> Reduced:
    return Reduced(record, COUNTS.empty_table(), SOURCES.empty_table())


class _Committer:
    """Commits reduced captures in batches and keeps what is said of each."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._report = ReduceReport()
        self._batch: list[Reduced] = []
        self._batch_rows = 0

    def add(self, reduced: Reduced, message: str | None) -> None:
        """Take in one capture; commit if enough has come together."""
        record = reduced.record
        self._report.inputs.append(record)
        if message is not None:
            self._report.messages.append(message)
        if not record.input:
            return
        self._batch.append(reduced)
        self._batch_rows += len(reduced.counts) + len(reduced.sources or ())
        if len(self._batch) >= _COMMIT_INPUTS or self._batch_rows >= _COMMIT_ROWS:
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
        self._batch, self._batch_rows = [], 0
