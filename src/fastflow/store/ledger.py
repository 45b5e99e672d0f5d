"""Which inputs are committed, and which of them a new one repeats or continues."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa

from fastflow.identity import id_of_beginning, size_of
from fastflow.schema import Reduced
from fastflow.store.parquet import conformed, reading
from fastflow.store.recorded import READ, FileKey, Recorded
from fastflow.store.table import Table

_RECORDED = ("complete", "truncated", "damaged", "rejected")


#: So many rows are read at a time.
_AT_ONCE = 1 << 14


@dataclass
class Plan:
    """What a batch changes.

    Attributes
    ----------
    new : list of Reduced
        What is to be recorded, in the order given.
    superseded : dict
        For each new input that goes on where others ended, the ids of these.
    part_of : dict
        For each new input that a committed one begins with, the id of this.
    alarms : list of str
        What an operator must be told.
    """

    new: list[Reduced] = field(default_factory=list)
    superseded: dict[str, list[str]] = field(default_factory=dict)
    part_of: dict[str, str] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        """The ids of what is recorded."""
        return [reduced.record.input for reduced in self.new]

    @property
    def gone(self) -> set[str]:
        """The ids of inputs whose rows are not in the store after it."""
        olds = {old for olds in self.superseded.values() for old in olds}
        return olds | self.part_of.keys()


class Ledger:
    """The inputs of one version of the table, and what new ones are beside them."""

    def __init__(self) -> None:
        self._version = -1
        self._files: set[str] = set()
        self._recorded = Recorded()
        self._compared: dict[tuple[str, str], bool | None] = {}

    def refresh(self, table: Table) -> None:
        """Read the files of `inputs` that the table gained.

        All of them once more where it lost some, whose rows are in others now.
        """
        if table.version == self._version:
            return
        active = table.files("inputs")
        is_grown = self._files.issubset(active)
        known, recorded = (
            (self._files, self._recorded) if is_grown else (set(), Recorded())
        )
        new = [path for path in active if path not in known]
        recorded.add(_read(table.place.fetch(new)))
        self._files, self._recorded = {*active}, recorded
        self._version = table.version

    def recorded(self) -> Recorded:
        """Return what is recorded; who keeps it is told of no input that moves."""
        return self._recorded

    def status(self, input_id: str) -> str | None:
        """Return what became of an input; None: it was never recorded."""
        status: str | None = self._recorded.value(input_id, "status")
        return status

    def is_committed(self, input_id: str) -> bool:
        """Return whether an input's counts are in the store, or in those of another."""
        return self._recorded.is_committed(input_id)

    def sizes(self, head: str) -> list[int]:
        """Return the sizes of live inputs that begin with the same first packet.

        May be asked by any thread; `plan` asks again.
        """
        return [size_of(input_id) for input_id in self._alike(head)]

    def hours(self, input_ids: Collection[str]) -> tuple[datetime, datetime] | None:
        """Return when the rows of inputs are, by whole days; None: it is not known."""
        first, last = (
            [self._recorded.value(one, name) for one in input_ids]
            for name in ("first_packet", "last_packet")
        )
        if not first or None in first or None in last:
            return None
        # A row of a day is of its midnight.
        day = min(first).replace(hour=0, minute=0, second=0, microsecond=0)
        return day, max(last) + timedelta(microseconds=1)

    def alike(self) -> dict[str, str]:
        """Return the live inputs that begin with the packet of another, and paths."""
        recorded = self._recorded
        return {one: recorded.file_of(one)[0] for one in recorded.all_alike()}

    def _alike(self, head: str | None) -> list[str]:
        return [] if head is None else self._recorded.alike(head)

    def plan(self, batch: Iterable[Reduced]) -> Plan:
        """Return what is to be stored of a batch, and what that supersedes."""
        plan = Plan()
        new: dict[str, Reduced] = {}
        for reduced in batch:
            if self._is_new(reduced):
                new.setdefault(reduced.record.input, reduced)
        plan.new += new.values()
        for reduced in plan.new:
            if (other := self._longer(reduced, plan)) is not None:
                plan.part_of[reduced.record.input] = other
        for reduced in plan.new:
            if olds := self._olds(reduced, plan):
                plan.superseded[reduced.record.input] = olds
        plan.alarms += [text for one in plan.new for text in self._strange(one, plan)]
        return plan

    def _is_new(self, reduced: Reduced) -> bool:
        record = reduced.record
        if record.status not in _RECORDED or self.is_committed(record.input):
            return False
        return record.status != self.status(record.input)

    def _longer(self, reduced: Reduced, plan: Plan) -> str | None:
        """Return the longer version of a capture that was committed before it."""
        own = reduced.record.input
        for other in self._alike(reduced.beginnings.head):
            if size_of(other) <= size_of(own):
                continue
            verdict = self._begins_with(other, self._recorded.file_of(other), own)
            if verdict:
                return other
            if verdict is None:
                plan.alarms.append(_unproved(reduced.record.path, own, other))
        return None

    def _olds(self, reduced: Reduced, plan: Plan) -> list[str]:
        """Return the inputs that end where a new one goes on, the shortest first."""
        record, beginnings = reduced.record, reduced.beginnings
        pending = [
            one.record.input
            for one in plan.new
            if one.beginnings.head == beginnings.head is not None
        ]
        olds = []
        for other in {*self._alike(beginnings.head), *pending}:
            n_bytes = size_of(other)
            if n_bytes >= size_of(record.input):
                continue
            if n_bytes in beginnings.ids:
                verdict: bool | None = beginnings.ids[n_bytes] == other
            else:
                file = (record.path, record.size, record.mtime_ns)
                verdict = self._begins_with(record.input, file, other)
            if verdict:
                olds.append(other)
            elif verdict is None:
                plan.alarms.append(_unproved(record.path, record.input, other))
        return sorted(olds, key=size_of)

    def _begins_with(self, whole: str, file: FileKey, beginning: str) -> bool | None:
        """Compare an input with another's beginning, which is read once more for it.

        None where it cannot be read.
        """
        if (whole, beginning) not in self._compared:
            found = None
            if _is_unchanged(file):
                found = id_of_beginning(file[0], size_of(beginning))
            verdict = None if found is None else found == beginning
            self._compared[whole, beginning] = verdict
        return self._compared[whole, beginning]

    def _strange(self, reduced: Reduced, plan: Plan) -> Iterator[str]:
        """Yield what an operator must know of a new input."""
        record = reduced.record
        if record.size is None or record.status == "rejected":
            return  # a pipe has other content every time
        other = self._recorded.last_at(record.path)
        olds = plan.superseded.get(record.input, [])
        if not (other is None or other in olds or self._recorded.is_superseded(other)):
            yield (
                f"{record.path}: other content than when it was taken in as input "
                f"{other}; both are counted"
            )


def _read(paths: Iterable[Path]) -> Iterator[pa.Table]:
    for path in paths:
        with reading(path) as file:
            # In one thread: each keeps memory, in all more than the rows take.
            for batch in file.iter_batches(
                _AT_ONCE, columns=READ.names, use_threads=False
            ):
                yield conformed(pa.Table.from_batches([batch]), READ)


def _is_unchanged(file: FileKey) -> bool:
    path, *seen = file
    try:
        status = Path(path).stat()
    except OSError:
        return False
    return [status.st_size, status.st_mtime_ns] == seen


def _unproved(path: str, own: str, other: str) -> str:
    shorter, longer = sorted((own, other), key=size_of)
    return (
        f"{path}: begins with the same packet as input {other}, and whether {longer} "
        f"goes on where {shorter} ended cannot be read any more; both are counted"
    )
