"""Which inputs are committed: what makes a second reduce of a capture a duplicate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from fastflow.errors import StoreError
from fastflow.schema import Reduced
from fastflow.store.table import Table

_Key = TypeVar("_Key", str, tuple[str, int | None, int | None])

_COLUMNS = ["input", "status", "path", "size", "mtime_ns"]
_RECORDED = ("complete", "truncated", "damaged", "rejected")


@dataclass(frozen=True)
class Entry:
    """A committed row of `inputs`, as far as the ledger needs it.

    What may be null has a default: a store of an older fastflow may lack the column.
    """

    input: str
    status: str
    path: str
    size: int | None = None
    mtime_ns: int | None = None


class Ledger:
    """The rows of `inputs` of one version of the table.

    An input that was refused does not stand in the way of the same bytes later: a
    newer fastflow may read them.
    """

    def __init__(self) -> None:
        self._version = -1
        self._read: dict[str, list[Entry]] = {}
        self._by_id: dict[str, Entry] = {}
        self._by_file: dict[tuple[str, int | None, int | None], Entry] = {}

    def refresh(self, table: Table) -> None:
        """Read the files of `inputs` that the table gained; forget those it lost."""
        if table.version == self._version:
            return
        active = table.files("inputs")
        lost = self._read.keys() - active
        gained = [path for path in active if path not in self._read]
        for path in lost:
            del self._read[path]
        for path in gained:
            self._read[path] = _read_entries(table.root / path)
        if lost:
            self._by_id.clear()
            self._by_file.clear()
        for path in self._read if lost else gained:
            self._index(self._read[path])
        self._version = table.version

    def _index(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            _enter(self._by_id, entry.input, entry)
            _enter(self._by_file, (entry.path, entry.size, entry.mtime_ns), entry)

    def status(self, input_id: str) -> str | None:
        """Return what became of an input; None: it was never recorded."""
        entry = self._by_id.get(input_id)
        return None if entry is None else entry.status

    def is_committed(self, input_id: str) -> bool:
        """Return whether an input's counts are in the store."""
        return self.status(input_id) not in {None, "rejected"}

    def find_file(self, path: str, size: int, mtime_ns: int) -> Entry | None:
        """Return the input that a file held when it was recorded, unread."""
        return self._by_file.get((path, size, mtime_ns))

    def new_of(self, batch: Iterable[Reduced]) -> Iterator[Reduced]:
        """Yield what is to be stored: neither recorded nor twice in the batch."""
        seen: set[str] = set()
        for reduced in batch:
            input_id, status = reduced.record.input, reduced.record.status
            if status not in _RECORDED or input_id in seen:
                continue
            if self.is_committed(input_id) or status == self.status(input_id):
                continue
            seen.add(input_id)
            yield reduced


def _enter(index: dict[_Key, Entry], key: _Key, entry: Entry) -> None:
    """Index an entry; a refusal never hides that the bytes were taken in."""
    if key not in index or index[key].status == "rejected":
        index[key] = entry


def _read_entries(path: Path) -> list[Entry]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            rows = file.read(columns=_COLUMNS).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise StoreError(
            f"{path}: a file of the store is missing or damaged ({error}); "
            "restore it from a copy"
        ) from error
    return [Entry(**row) for row in rows]
