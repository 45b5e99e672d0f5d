"""The whole way: captures in, hourly counts in the store, a record for each capture."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import compress, islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from fastflow._version import __version__
from fastflow.counting import Counting
from fastflow.errors import ConfigError, StoreError
from fastflow.filters import PacketFilter, compile_filter
from fastflow.identity import Digest, DigestBeside
from fastflow.outcome import UNKNOWN_FORMAT, ScanStats, messages
from fastflow.phases import NO_PHASES, Phases
from fastflow.pool import in_order
from fastflow.reader import Decoding, Progress, Reader, new_lexicon, tunnels
from fastflow.reduce_report import AT_ONCE, PassedOver, ReduceReport
from fastflow.schema import InputRecord, Reduced
from fastflow.sources.find import (
    STDIN,
    Captures,
    Found,
    file_size,
    find_captures,
    printable,
    size_and_time,
)
from fastflow.sources.stream import open_stream
from fastflow.split import can_split, core_count
from fastflow.stages.country import CountryTable, load_country_table
from fastflow.stages.rows import HourlyRows, Runs
from fastflow.store import Store
from fastflow.store.settings import is_hidden
from fastflow.tools import Tools, load_tools

#: A commit costs two fsyncs whatever it holds: captures share one, up to these bounds.
_COMMIT_INPUTS = 256
_COMMIT_CELLS = 1 << 20

#: So many small files of a table, and a query takes a second longer.
_SMALL_FILES = 1000

_PARENT = "{parent}"


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
    tools: str | os.PathLike[str] | Tools | None = None,
    resume: bool = False,
    compact: bool = True,
    progress: Progress | None = None,
    phases: Phases = NO_PHASES,
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
        Threads that count: captures are shared among them, and a large one is split.
        None: one for each core. No result depends on it.
    sources : bool or None
        Keep the source addresses. None: as the store does, True for a new one.
    filter : str or None
        Count only packets that match, in tcpdump's language. None: as the store does.
    decap : str, iterable of str or None
        Tunnels to open before counting: "gre,vxlan". None: as the store does.
    tools : path, Tools or None
        A file of rules for the column `tool`, besides those of fastflow.
    resume : bool
        Do not read files again that are recorded as taken in with the same path, size
        and modification time; they are duplicates.
    compact : bool
        Join the store's small files afterwards, if there are more than a thousand.
    progress : callable or None
        Called with the numbers of bytes read and of packets met since the last call of
        the same capture, from any thread.
    phases : Phases
        Where the time is noted that this takes; see `fastflow reduce --profile`.

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
    if not any(True for _ in found):
        raise ConfigError("no capture was named")
    compiled = None if filter is None else compile_filter(filter)
    settings = _settings(sources, filter, decap)
    if isinstance(store, Store):
        store.settings.check_same(settings, store.url)
    else:
        store = Store(store, create=True, settings=settings)
    if compiled is None:
        compiled = _filter_of(store)
    known = load_tools(tools)
    table = geo if isinstance(geo, CountryTable) else load_country_table(geo)
    store.recover()
    reducer = _Reducer(store, table, compiled, known, progress, phases)
    committer = _Committer(store, phases)
    sensors = _Sensors(sensor)
    if resume:
        found = committer.pass_over(found, sensors, progress)
    jobs = [(capture, sensors.of(capture.path)) for capture in found]
    sizes = [file_size(capture.path) for capture, _ in jobs]

    def work(number: int, workers: int) -> tuple[Reduced, list[str]]:
        return reducer.reduce(*jobs[number], workers)

    for reduced, lines in in_order(work, sizes, workers or core_count()):
        committer.add(reduced, lines)
    return committer.finish(compact)


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
            f"{store.url}: the store was made with a filter that names addresses, and "
            "keeps no address; say the same --filter again"
        )
    return None if expression is None else compile_filter(expression)


class _Sensors:
    """Who captured: one name for all captures, or that of each one's directory."""

    def __init__(self, sensor: str) -> None:
        self._sensor = sensor
        self._by_directory: dict[str, str] = {}

    def check(self, paths: Iterable[str]) -> None:
        """Raise ConfigError where a capture's directory has no name."""
        if self._sensor == _PARENT:
            for path in paths:
                self.of(path)

    def of(self, path: str) -> str:
        """Return who captured a capture."""
        if self._sensor != _PARENT:
            return self._sensor
        directory = os.path.dirname(path)  # noqa: PTH120 - asked of a million files
        if directory not in self._by_directory:
            name = printable(Path(directory).absolute().name)
            if path == STDIN or not name:
                raise ConfigError(f"{path}: no directory names its sensor; name it")
            self._by_directory[directory] = name
        return self._by_directory[directory]


class _Reducer:
    """Reduces one capture at a time; used by several threads at once."""

    def __init__(
        self,
        store: Store,
        table: CountryTable,
        filter: PacketFilter | None,
        tools: Tools,
        progress: Progress | None,
        phases: Phases,
    ) -> None:
        settings = store.settings
        self._decoding = Decoding(
            (settings.min_time_s * 10**9, settings.max_time_s * 10**9),
            filter,
            tunnels((settings.decap or "").split(",")),
            tools,
        )
        self._table = table
        self._progress = progress
        self._phases = phases
        self._counting = Counting(table, phases=phases)
        self._sizes = store.sizes

    def reduce(
        self, capture: Found, sensor: str, workers: int
    ) -> tuple[Reduced, list[str]]:
        """Return a capture's rows and record, and what must be said of it."""
        try:
            # Before the first byte: of a file that grows meanwhile they must not say
            # that its end was read.
            seen = size_and_time(capture.path)
            reduced, stats = self._reduce(capture, sensor, workers, seen)
        except OSError as error:
            # Not the capture's fault: nothing is recorded, so that it can be read when
            # it is readable again.
            record = InputRecord(
                input="",
                path=printable(capture.path),
                sensor=sensor,
                status="rejected",
                reason="unreadable",
                version=__version__,
            )
            message = f"{record.path}: cannot be read: {error.strerror or error}"
            return Reduced(record), [message]
        reduced.record.size, reduced.record.mtime_ns = seen
        is_skipped = reduced.record.status == "skipped"
        return reduced, [] if is_skipped else messages(reduced.record.path, stats)

    def _reduce(
        self,
        capture: Found,
        sensor: str,
        workers: int,
        seen: tuple[int | None, int | None],
    ) -> tuple[Reduced, ScanStats]:
        """Reduce a capture whose size and time were seen before it was opened."""
        digest = Digest(self._sizes, self._phases)
        reader = Reader(
            open_stream(capture.path, self._phases),
            new_lexicon(),
            decoding=self._decoding,
            on_bytes=digest.update,
            progress=self._progress,
            phases=self._phases,
        )
        with reader:
            fault = reader.open()
            if fault in UNKNOWN_FORMAT and not capture.is_named:
                stats = reader.stats()
                return Reduced(_record(capture, sensor, "", stats, "skipped")), stats
            if fault is None and workers > 1 and can_split(reader):
                counted = self._count_beside(reader, digest, workers)
                if counted is None or size_and_time(capture.path) != seen:
                    return self._reduce(capture, sensor, 1, seen)
                runs, digest = counted
            else:
                runs = self._counting.count(reader) if fault is None else []
                if reader.stats().status in ("damaged", "rejected"):
                    digest.limit(reader.scanner.consumed_bytes)
                reader.read_on(digest.end_bytes)
            stats = reader.stats()
        input_id = digest.finish(stats, sensor, capture.path)
        record = _record(capture, sensor, input_id, stats)
        record.head = digest.beginnings.head
        record.country_table = f"{self._table.name} {self._table.version}"
        record.country_date = self._table.date
        record.rules = self._decoding.tools.version
        names = self._decoding.tools.names
        rows = HourlyRows(runs, self._table.codes, names, sensor, input_id)
        return Reduced(record, rows, digest.beginnings), stats

    def _count_beside(
        self, reader: Reader, digest: Digest, workers: int
    ) -> tuple[Runs, Digest] | None:
        """Count the parts of one file at the same time; None if its length changed.

        Its bytes are read twice: by those who count, and by the one who hashes.
        """
        beside = DigestBeside(cast(int, reader.stream.fd), digest, self._phases)
        try:
            runs = self._counting.count(reader, workers)
            if reader.stats().status == "damaged":
                return runs, beside.finish_damaged(reader.scanner.consumed_bytes)
            digest = beside.finish()
        finally:
            beside.stop()
        is_same = digest.n_bytes == reader.end_bytes == reader.stream.size_bytes
        return (runs, digest) if is_same else None


def _record(
    capture: Found,
    sensor: str,
    input_id: str,
    stats: ScanStats,
    status: Any = None,
) -> InputRecord:
    return InputRecord(
        input=input_id,
        path=printable(capture.path),
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


def _sizes_and_times(
    paths: Sequence[str],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return sizes and modification times; -1 where there is no file to be trusted."""
    found = np.full((2, len(paths)), -1, np.int64)
    for nth, path in enumerate(paths):
        # What cannot be looked at is told of when it cannot be read.
        with suppress(OSError):
            size, mtime_ns = size_and_time(path)
            is_text = printable(path) == path
            if is_text and size is not None and mtime_ns is not None:
                found[:, nth] = size, mtime_ns
    return found[0], found[1]


def _microseconds(ts_ns: int | None) -> int | None:
    return None if ts_ns is None else ts_ns // 1000


class _Committer:
    """Commits reduced captures in batches and keeps what is said of each."""

    def __init__(self, store: Store, phases: Phases) -> None:
        self._store = store
        self._phases = phases
        self._report = ReduceReport()
        self._batch: list[Reduced] = []
        self._n_cells = 0

    def pass_over(
        self, found: Captures, sensors: _Sensors, progress: Progress | None
    ) -> Captures:
        """Leave out the files that are recorded as they lie there; return the rest."""
        recorded = self._store.recorded_files()
        all_paths = found.paths()
        rest: list[str] = []
        passed_over = [np.empty(0, np.int64)]
        while paths := [*islice(all_paths, AT_ONCE)]:
            sensors.check(paths)
            sizes, times = _sizes_and_times(paths)
            rows = recorded.find_files([*map(printable, paths)], sizes, times)
            is_recorded = rows >= 0
            rest += compress(paths, ~is_recorded)
            passed_over.append(rows[is_recorded])
            if progress is not None:
                progress(int(sizes[is_recorded].sum()), 0)
        rows = np.concatenate(passed_over)
        self._report.passed_over = PassedOver(recorded, rows, sensors.of)
        return Captures([rest], found.named)

    def add(self, reduced: Reduced, lines: list[str]) -> None:
        """Take in one capture; commit if enough has come together."""
        record = reduced.record
        self._report.read.append(record)
        self._report.messages += lines
        if not record.input:
            return
        self._batch.append(reduced)
        self._n_cells += reduced.n_cells
        if len(self._batch) >= _COMMIT_INPUTS or self._n_cells >= _COMMIT_CELLS:
            self._commit()

    def finish(self, compact: bool) -> ReduceReport:
        """Commit what is left and return the report."""
        if self._batch:
            self._commit()
        if compact:
            self._compact()
        return self._report

    def _compact(self) -> None:
        try:
            with self._phases.phase("publish"):
                self._store.compact(more_than=_SMALL_FILES)
        except StoreError as error:
            # Every capture is in the store; only queries are slower than they might be.
            self._report.messages.append(f"small files were not joined: {error}")

    def _commit(self) -> None:
        say = self._report.messages.append
        stored = set(self._store.publish(self._batch, self._phases, say))
        for reduced in self._batch:
            record = reduced.record
            if record.input in stored:
                # A second copy in the same batch is the duplicate, not the first.
                stored.discard(record.input)
            elif record.status != "rejected":
                record.status = "duplicate"
            reduced.close()
        self._batch, self._n_cells = [], 0
        self._store.checkpoint()
