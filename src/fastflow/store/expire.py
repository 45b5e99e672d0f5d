"""Old hours taken out of a store, or added up to days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from fastflow.errors import ConfigError, InternalError
from fastflow.schema import COUNTS, ROW_TABLES, row_schema
from fastflow.store.compact import PACK_ROWS
from fastflow.store.draft import Draft
from fastflow.store.durable import os_errors
from fastflow.store.parquet import (
    ROW_GROUP_ROWS,
    conformed,
    reading,
    row_groups,
    write_rows,
)
from fastflow.store.query import Query
from fastflow.store.table import Table

_DAY_US = 24 * 3600 * 1_000_000
_ALWAYS = datetime(1, 1, 1, tzinfo=UTC)

#: What adding up may take in memory before it goes to disk.
_MEMORY = "256MB"

#: What makes a cell, besides the day and the input.
_CELL = ", ".join(COUNTS.names[1 : COUNTS.names.index("packets")])
_SHARED = ("src_port", "tcp_seq", "ip_ttl", "tcp_seq_key")
_SUMMED = ("packets", "bytes")
#: The tables whose hours can be added up to days. `backscatter`, which is small, stays
#: by hour: attacks take their times from its bins.
_BY_DAY = ("counts", "sources")
_DAY = "time_bucket(interval '1 day', hour) as hour"


@dataclass(frozen=True)
class Total:
    """What some rows of one table add up to."""

    rows: int = 0
    packets: int = 0
    bytes: int = 0

    @classmethod
    def of(cls, table: pa.Table) -> Total:
        """Add up rows."""
        sums = (
            pc.sum(table[name]).as_py() or 0 if name in table.column_names else 0
            for name in _SUMMED
        )
        return cls(table.num_rows, *sums)

    def __add__(self, other: Total) -> Total:
        """Return what both add up to."""
        return Total(
            self.rows + other.rows,
            self.packets + other.packets,
            self.bytes + other.bytes,
        )


@dataclass
class Expiry:
    """What was done to the hours before a day.

    Attributes
    ----------
    before : datetime.datetime
        The first moment that stays as it is, a midnight in UTC.
    gone, days : dict[str, Total]
        By table: the rows that were taken out, and those of days in their place.
    """

    before: datetime
    gone: dict[str, Total] = field(default_factory=dict)
    days: dict[str, Total] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return what `store expire --json` prints."""
        return {
            "before": f"{self.before:%Y-%m-%d}",
            "gone": {kind: asdict(total) for kind, total in self.gone.items()},
            "days": {kind: asdict(total) for kind, total in self.days.items()},
        }


def expire(
    table: Table, before: datetime, *, daily: bool = False, dry_run: bool = False
) -> Expiry:
    """Take the hours before a day out of a table, all in one commit.

    Parameters
    ----------
    before : datetime.datetime
        A midnight in UTC that has been.
    daily : bool
        Leave one row a day of each cell, whose hour is midnight; `backscatter` stays.
    dry_run : bool
        Only say what would go.

    Raises
    ------
    ConfigError
        The time is none of these, or the store keeps no sources, which a day's
        distinct ones are counted from.
    InternalError
        What was written is not what was there; nothing was changed.
    StoreError
        A file is missing or damaged, or the store cannot be written.
    """
    _check_time(before)
    if daily and not table.settings.sources:
        raise ConfigError(
            f"{table.place}: the store keeps no sources, so that those of a whole day "
            "cannot be counted; leave its hours as they are, or let them go"
        )
    while True:
        table.refresh()
        old = _old_files(table, before, daily)
        done = Expiry(before, {kind: _sum(files) for kind, files in old.items()})
        if dry_run or not any(old.values()):
            return done
        with Draft(table) as draft:
            change = _Change(draft, table, before)
            for kind, files in old.items():
                change.take_out(kind, files)
            if daily:
                done.days = change.add_days(old)
            change.check(done)
            if draft.commit_if_active(
                "DELETE", before={"daily" if daily else "expired": before}
            ):
                return done


def _check_time(before: datetime) -> None:
    if before != before.replace(hour=0, minute=0, second=0, microsecond=0):
        raise ConfigError(f"{before}: hours expire by whole days; name a midnight")
    if before > datetime.now(UTC):
        raise ConfigError(f"{before:%Y-%m-%d}: only what has been can expire")


def _old_files(
    table: Table, before: datetime, daily: bool
) -> dict[str, dict[str, Total]]:
    """Return, by table, the files that are to change, and what is old in them.

    A file whose old rows are all of midnights stays when days are to be kept: it has
    been added up, or there is nothing to add up.
    """
    old: dict[str, dict[str, Total]] = {}
    for kind in ROW_TABLES:
        if daily and kind not in _BY_DAY:
            continue
        old[kind] = {}
        paths = table.files(kind, (_ALWAYS, before))
        for path, local in zip(paths, table.place.fetch(paths), strict=True):
            rows = _old_rows(local, before)
            hours = pc.cast(rows["hour"], pa.int64()).to_numpy()
            if hours.size and not (daily and not (hours % _DAY_US).any()):
                old[kind][path] = Total.of(rows)
    return old


def _old_rows(path: Path, before: datetime) -> pa.Table:
    with reading(path) as file:
        rows = file.read([n for n in ("hour", *_SUMMED) if n in file.schema.names])
    return rows.filter(pc.less(rows["hour"], pa.scalar(before)))


def _sum(totals: Mapping[str, Total]) -> Total:
    return sum(totals.values(), Total())


class _Change:
    """A draft without old hours, and what its files add up to."""

    def __init__(self, draft: Draft, table: Table, before: datetime) -> None:
        self._draft = draft
        self._table = table
        self._before = before
        self._was = dict.fromkeys(ROW_TABLES, Total())
        self._is = dict.fromkeys(ROW_TABLES, Total())

    def take_out(self, kind: str, paths: Iterable[str]) -> None:
        """Write files once more without their old rows."""
        names = [*paths]
        self._draft.removed += names
        for path in self._table.place.fetch(names):
            self._write(kind, self._rest(kind, path))

    def _rest(self, kind: str, path: Path) -> Iterator[pa.Table]:
        with reading(path, encoded=True) as file:
            for number in range(file.num_row_groups):
                rows = conformed(file.read_row_group(number), row_schema(kind))
                self._was[kind] += Total.of(rows)
                yield rows.filter(
                    pc.greater_equal(rows["hour"], pa.scalar(self._before))
                )

    def add_days(self, old: Mapping[str, Iterable[str]]) -> dict[str, Total]:
        """Add up the old rows of files by day, and write them; return their sums."""
        rests = dict(self._is)
        with closing(Query(_MEMORY)) as query:
            fetch = self._table.place.fetch
            query.show({kind: fetch(paths) for kind, paths in old.items()})
            query.execute(_DAYS_OF_SOURCES, [self._before])
            self._write_packs("sources", query.stream(_ordered("sources", "days")))
            counts = f"({_DAYS_OF_COUNTS})"
            batches = query.stream(_ordered("counts", counts), [self._before])
            self._write_packs("counts", batches)
        return {kind: _less(self._is[kind], rests[kind]) for kind in old}

    def _write_packs(self, kind: str, batches: Iterable[pa.RecordBatch]) -> None:
        tables = (
            pa.Table.from_batches([batch]).cast(ROW_TABLES[kind]) for batch in batches
        )
        groups = row_groups(tables, kind)
        for first in groups:
            rest = islice(groups, PACK_ROWS // ROW_GROUP_ROWS - 1)
            self._write(kind, chain([first], rest))

    def _write(self, kind: str, tables: Iterable[pa.Table]) -> None:
        """Write rows as a file of the draft, if there are any."""
        ids: set[str] = set()

        def noted() -> Iterator[pa.Table]:
            for table in row_groups(tables, kind):
                ids.update(pc.unique(table["input"].chunk(0).dictionary).to_pylist())
                yield table

        new = self._draft.new_file(kind)
        with os_errors(new.path.parent):
            stats = write_rows(new, kind, noted())
        if ids:
            with reading(new.path) as file:
                names = [name for name in _SUMMED if name in file.schema.names]
                self._is[kind] += Total.of(file.read(names))
            self._draft.show(kind, new, sorted(ids), stats)

    def check(self, done: Expiry) -> None:
        """Compare what is written with what is to go."""
        for kind, gone in done.gone.items():
            days = done.days.get(kind, Total())
            if done.days and (days.packets, days.bytes) != (gone.packets, gone.bytes):
                raise InternalError(_wrong(self._table, kind, gone, days))
            was, now = self._was[kind] + days, self._is[kind] + gone
            if was != now:
                raise InternalError(_wrong(self._table, kind, was, now))


def _less(whole: Total, part: Total) -> Total:
    return Total(
        whole.rows - part.rows, whole.packets - part.packets, whole.bytes - part.bytes
    )


def _wrong(table: Table, kind: str, expected: Total, found: Total) -> str:
    return (
        f"{table.place}: {kind} would add up to {found}, expected {expected}; nothing "
        "was changed, please report this"
    )


def _shared(name: str) -> str:
    """Return the value that all rows of a group share."""
    is_one = f"count({name}) = count(*) and min({name}) = max({name})"
    return f"case when {is_one} then min({name}) end as {name}"


_DAYS_OF_SOURCES = (
    f"create temp table days as select {_DAY}, {_CELL}, src, ip_version, "
    "sum(packets)::bigint as packets, sum(bytes)::bigint as bytes, "
    f"{', '.join(map(_shared, _SHARED))}, input "
    "from sources where hour < ? group by all"
)

# A cell with one row has the sources of that. Of the others, all rows of `sources` were
# of hours too, and are in `days`.
_DAYS_OF_COUNTS = (
    f"select hour, {_CELL}, sum(packets)::bigint as packets, "
    "sum(bytes)::bigint as bytes, "
    "if(count(sources) = 1, max(sources), sum(source))::bigint as sources, input "
    f"from (select {_DAY}, {_CELL}, packets, bytes, sources, 0 as source, input "
    "from counts where hour < ? union all "
    f"select hour, {_CELL}, 0, 0, null, 1, input from days) "
    f"group by hour, {_CELL}, input having count(sources) > 0"
)


def _ordered(kind: str, rows: str) -> str:
    """Return a question for rows by day, then by input, in their canonical order."""
    names = ROW_TABLES[kind].names
    key = [name for name in names[: names.index("packets")] if name != "hour"]
    order = ", ".join(f"{name} nulls first" for name in ["hour", "input", *key])
    return f"select {', '.join(names)} from {rows} order by {order}"
