"""The whole way: captures in, hourly counts in the store, a record for each capture."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from fastflow._version import __version__
from fastflow.counting import Counting
from fastflow.errors import ConfigError, StoreError, exit_code
from fastflow.filters import PacketFilter, compile_filter
from fastflow.identity import Digest, DigestBeside
from fastflow.outcome import UNKNOWN_FORMAT, ScanStats, messages
from fastflow.phases import NO_PHASES, Phases
from fastflow.pool import in_order
from fastflow.reader import Decoding, Progress, Reader, new_lexicon, tunnels
from fastflow.schema import InputRecord, Reduced
from fastflow.sources.find import STDIN, Found, find_captures
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


@dataclass
class ReduceReport:
    """What became of every capture of a run.

    Attributes
    ----------
    inputs : list of InputRecord
        In the order of the captures; first those that were passed over.
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
    if not found:
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
    if resume:
        found = committer.pass_over(found, sensor, progress)
    jobs = [(capture, _sensor_of(capture, sensor)) for capture in found]
    sizes = [_size(capture) for capture in found]

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


def _sensor_of(capture: Found, sensor: str) -> str:
    if sensor != _PARENT:
        return sensor
    name = Path(capture.path).absolute().parent.name
    if capture.path == STDIN or not name:
        raise ConfigError(f"{capture.path}: no directory names its sensor; name it")
    return name


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
            seen = _size_and_time(capture)
            reduced, stats = self._reduce(capture, sensor, workers, seen)
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
        reduced.record.size, reduced.record.mtime_ns = seen
        is_skipped = reduced.record.status == "skipped"
        return reduced, [] if is_skipped else messages(capture.path, stats)

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
                if counted is None or _size_and_time(capture) != seen:
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


def _size(capture: Found) -> int:
    """Return a regular file's size; 0 for anything else, also what cannot be read."""
    with suppress(OSError):
        return _size_and_time(capture)[0] or 0
    return 0


def _size_and_time(capture: Found) -> tuple[int | None, int | None]:
    """Return a regular file's size (bytes) and modification time (ns)."""
    if capture.path == STDIN:
        return None, None
    found = os.stat(capture.path)  # noqa: PTH116 - asked of a million files
    if not stat.S_ISREG(found.st_mode):
        return None, None
    return found.st_size, found.st_mtime_ns


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
        self, found: Iterable[Found], sensor: str, progress: Progress | None
    ) -> list[Found]:
        """Leave out the files that are recorded as they lie there; return the rest."""
        rest = []
        is_recorded = self._store.recorded_files()
        for capture in found:
            size, mtime_ns = _size_and_time(capture)
            input_id = is_recorded(capture.path, size, mtime_ns)
            if input_id is None:
                rest.append(capture)
                continue
            name = _sensor_of(capture, sensor)
            record = InputRecord(input_id, capture.path, name, "duplicate", __version__)
            self._report.inputs.append(record)
            if progress is not None:
                progress(size or 0, 0)
        return rest

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
