"""What became of every capture of a reduce, also where there are millions of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from fastflow._version import __version__
from fastflow.errors import exit_code
from fastflow.schema import InputRecord
from fastflow.store.recorded import Recorded

#: So many captures are looked at, or written, at a time.
AT_ONCE = 1 << 14
_JSON_AT_ONCE = 1000


class PassedOver:
    """Captures that are recorded as they lie there, and were not read again.

    Parameters
    ----------
    recorded : Recorded
        Where they were found.
    rows : array of int
        The row of each.
    sensor_of : callable
        The sensor of a path.
    """

    def __init__(
        self,
        recorded: Recorded,
        rows: npt.NDArray[np.int64],
        sensor_of: Callable[[str], str],
    ) -> None:
        self._recorded = recorded
        self._rows = rows
        self._sensor_of = sensor_of

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._rows)

    def __iter__(self) -> Iterator[InputRecord]:
        """Yield the record of each, made when it is asked for."""
        for input_id, path in self._texts():
            sensor = self._sensor_of(path)
            yield InputRecord(input_id, path, sensor, "duplicate", __version__)

    def to_json(self) -> Iterator[dict[str, Any]]:
        """Yield what `InputRecord.to_json` returns of each, in a third of the time."""
        like = InputRecord("", "", "", "duplicate", __version__).to_json()
        for input_id, path in self._texts():
            sensor = self._sensor_of(path)
            yield {**like, "path": path, "id": input_id, "sensor": sensor}

    def _texts(self) -> Iterator[tuple[str, str]]:
        for begin in range(0, len(self._rows), AT_ONCE):
            rows = self._rows[begin : begin + AT_ONCE]
            texts = (self._recorded.texts(name, rows) for name in ("input", "path"))
            yield from zip(*texts, strict=True)


@dataclass
class ReduceReport:
    """What became of every capture of a run.

    Iterating yields the records of all captures in their order, first those that were
    passed over.

    Attributes
    ----------
    read : list of InputRecord
        Of captures that were read.
    passed_over : PassedOver or None
        Those that were not.
    messages : list of str
        Lines that an operator must read: what is damaged, unreadable, not decoded.
    """

    read: list[InputRecord] = field(default_factory=list)
    passed_over: PassedOver | None = None
    messages: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """Return how many captures there are."""
        return len(self.read) + len(self.passed_over or ())

    def __iter__(self) -> Iterator[InputRecord]:
        """Yield the record of every capture."""
        return chain(self.passed_over or (), self.read)

    @cached_property
    def inputs(self) -> list[InputRecord]:
        """The records of all captures; a million of them take 300 MB."""
        return list(self)

    @property
    def records(self) -> int:
        """How many records all captures have that were read."""
        return sum(record.records for record in self.read)

    @property
    def counted(self) -> int:
        """How many of the records were counted."""
        return sum(record.counted for record in self.read)

    @property
    def exit_code(self) -> int:
        """0 complete, 3 some input damaged or refused, 1 nothing could be done."""
        passed_over = ["duplicate"] if self.passed_over else []
        return exit_code([*passed_over, *(record.status for record in self.read)])

    def to_json(self) -> dict[str, Any]:
        """Return what `reduce --json` prints."""
        return {
            "inputs": [*self._json_rows()],
            "records": self.records,
            "counted": self.counted,
        }

    def json_text(self) -> Iterator[str]:
        """Yield `to_json()` as text, a piece at a time."""
        rows = self._json_rows()
        yield '{"inputs": ['
        separator = ""
        while some := [*islice(rows, _JSON_AT_ONCE)]:
            yield separator + json.dumps(some, ensure_ascii=False)[1:-1]
            separator = ", "
        yield f'], "records": {self.records}, "counted": {self.counted}}}'

    def _json_rows(self) -> Iterator[dict[str, Any]]:
        passed_over = self.passed_over.to_json() if self.passed_over else ()
        return chain(passed_over, (record.to_json() for record in self.read))
