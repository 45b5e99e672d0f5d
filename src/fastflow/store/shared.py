"""Counts for partners: nothing in them tells of a sensor, and small cells do not show.

A cell is published when it has enough packets, seen by enough sensors. Those that are
too small are added up over some of their columns, and what is enough then is published
as one row that says so; the rest over more columns; and so on, up to one row for the
whole time. What is still too small is withheld. Each packet is in one row or withheld,
so that the sums are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Literal, get_args

import pyarrow as pa

from fastflow.errors import ConfigError
from fastflow.schema import COUNTS
from fastflow.store.days import Days
from fastflow.store.export import write_rows
from fastflow.store.query import Query
from fastflow.units import Period
from fastflow.zones import HOUR

Every = Literal["hour", "day"]

#: What a cell is for a partner: no sensor, no input. Bytes are left out, since who
#: probes chooses them: one packet to each address, each of another length, and the sum
#: would tell which arrived. So would source ports, sequence numbers and TTLs.
CELL = (
    "hour",
    "proto",
    "dst_port",
    "icmp_type",
    "country",
    "traffic",
    "signature",
    "tool",
)

#: Over which columns cells that are too small are added up, step by step: first over
#: those that split finest and that a sender can choose at will, the hour last.
FOLDS: tuple[tuple[str, ...], ...] = (
    (),
    ("signature", "tool"),
    ("country",),
    ("dst_port", "icmp_type"),
    ("proto", "traffic"),
    ("hour",),
)

#: `other` names the columns over which a row adds up small cells; null: it is one cell.
SHARED = pa.schema(
    [
        *[COUNTS.field(name).with_nullable(True) for name in CELL],
        pa.field("other", pa.string()),
        pa.field("packets", pa.int64(), nullable=False),
        pa.field("sources", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Sharing:
    """What a partner may see.

    Attributes
    ----------
    every : str
        `hour` or `day`.
    min_packets, min_sensors : int
        The smallest row: so many packets, seen by so many sensors.
    delay : datetime.timedelta
        Hours (or days) that ended less than this ago are left out.
    now : datetime.datetime or None
        None: the clock's.
    """

    every: Every = "hour"
    min_packets: int = 10
    min_sensors: int = 3
    delay: timedelta = timedelta(days=7)
    now: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.every not in get_args(Every):
            raise ConfigError(f"every {self.every!r}: write hour or day")
        if min(self.min_packets, self.min_sensors) < 1:
            raise ConfigError("the fewest packets and sensors are 1 or more")
        if self.delay < timedelta(0):
            raise ConfigError("a delay is not negative")

    def end(self) -> datetime:
        """Return the first moment that is too recent."""
        end = (self.now or datetime.now(UTC)).astimezone(UTC) - self.delay
        hour = 0 if self.every == "day" else end.hour
        return end.replace(hour=hour, minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class SharedReport:
    """What became of the packets of a store: `published + withheld + recent` is all.

    Attributes
    ----------
    rows, published : int
        Rows of the file, and the packets in them.
    other : int
        Those of the published packets whose cells were too small to show.
    withheld : int
        Packets of cells that were too small even when all of them were added up.
    recent : int
        Packets that came less than the delay ago.
    sensors : int
        How many sensors saw the rest.
    """

    rows: int
    published: int
    other: int
    withheld: int
    recent: int
    sensors: int


def export_shared(
    query: Query,
    output: str,
    period: Period | None,
    file_format: str | None,
    sharing: Sharing,
    has_sources: bool,
    days: Days,
) -> SharedReport:
    """Write what a partner may see, in the order of its columns.

    Raises
    ------
    ConfigError
        There is no such format, or the file cannot be made, or of `days` hours are
        wanted.
    """
    folding = _Folding(query, period, sharing)
    days.check(folding.cuts())
    for folded in accumulate(FOLDS):
        folding.publish(folded)
    batches = query.stream(_rows_sql(folding.distinct_sources(has_sources)))
    rows = (batch.cast(SHARED) for batch in batches)
    return folding.report(write_rows(output, file_format, SHARED, rows))


class _Folding:
    """Cells on their way to rows.

    Tables: `rest`, the cells by sensor that are in no row yet; `published`, the rows;
    `cells`, the row of each cell.
    """

    def __init__(self, query: Query, period: Period | None, sharing: Sharing) -> None:
        self._query = query
        self._sharing = sharing
        self._condition = "true"
        self._params: list[Any] = []
        if period is not None:
            self._add("hour >= ? and hour < ?", period.start, period.end)
        self._recent = self._number(
            f"sum(packets) from counts where {self._condition} and hour >= ?",
            [*self._params, sharing.end()],
        )
        self._add("hour < ?", sharing.end())
        self._make_tables()
        self._sensors = self._number("count(distinct sensor) from rest")

    def cuts(self) -> list[datetime]:
        """Return when its first hour ends, if it tells hours, and when it ends."""
        first = self._query.run("select min(hour) from rest").column(0)[0].as_py()
        is_by_hour = self._sharing.every == "hour" and first is not None
        return [*([first + HOUR] if is_by_hour else []), self._sharing.end()]

    def _make_tables(self) -> None:
        cell = ", ".join(CELL)
        self._query.execute("create temp sequence row_numbers")
        self._query.execute(
            "create temp table rest as select "
            f"{self._cell_columns()}, sensor, sum(packets)::bigint as packets "
            f"from counts where {self._condition} group by all",
            self._params,
        )
        self._query.execute(
            "create temp table published as "
            f"select 0::bigint as row, {cell}, '' as other, packets from rest limit 0"
        )
        self._query.execute(
            f"create temp table cells as select {cell}, 0::bigint as row from rest "
            "limit 0"
        )

    def publish(self, folded: Sequence[str]) -> None:
        """Add the rest up over these columns; publish what is enough."""
        columns = [name for name in CELL if name not in folded]
        keys = "".join(f"{name}, " for name in columns)
        grouped = f"group by {', '.join(columns)}" if columns else ""
        self._query.execute(
            "create or replace temp table enough as "
            "select *, nextval('row_numbers') as row from ("
            f"select {keys}sum(packets)::bigint as packets from rest {grouped} "
            "having sum(packets) >= ? and count(distinct sensor) >= ?)",
            [self._sharing.min_packets, self._sharing.min_sensors],
        )
        self._query.execute(
            "insert into published by name select *, ? as other from enough",
            ["+".join(folded) or None],
        )
        same = _same(columns, "rest", "enough")
        self._query.execute(
            "insert into cells by name "
            f"select distinct {_of('rest', CELL)}, row from rest join enough on {same}"
        )
        self._query.execute(
            "create or replace temp table rest as "
            f"select rest.* from rest anti join enough on {same}"
        )

    def distinct_sources(self, has_sources: bool) -> str:
        """Return SQL for the sources of each row; those of its packets are exact."""
        if not has_sources:
            return "(select null as row, null as sources, null as packets)"
        one = f"(select {self._cell_columns()}, src, ip_version, packets from sources "
        one += f"where {self._condition})"
        self._query.execute(
            "create temp table row_sources as "
            "select row, count(*) as sources, sum(packets) as packets from ("
            f"select row, src, ip_version, sum(one.packets) as packets from {one} one "
            f"join cells on {_same(CELL, 'one', 'cells')} group by all) group by row",
            self._params,
        )
        return "row_sources"

    def report(self, n_rows: int) -> SharedReport:
        """Return what became of the packets."""
        return SharedReport(
            rows=n_rows,
            published=self._number("sum(packets) from published"),
            other=self._number("sum(packets) from published where other is not null"),
            withheld=self._number("sum(packets) from rest"),
            recent=self._recent,
            sensors=self._sensors,
        )

    def _add(self, condition: str, *params: Any) -> None:
        self._condition += f" and {condition}"
        self._params += params

    def _cell_columns(self) -> str:
        hour = f"date_trunc('{self._sharing.every}', hour) as hour"
        return ", ".join(hour if name == "hour" else name for name in CELL)

    def _number(self, rest: str, params: Sequence[Any] = ()) -> int:
        answer = self._query.run(f"select {rest}", list(params))
        return answer.column(0)[0].as_py() or 0


def _of(table: str, names: Sequence[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


def _same(names: Sequence[str], one: str, other: str) -> str:
    """Return the condition that rows of two tables agree, null with null."""
    terms = [f"{one}.{name} is not distinct from {other}.{name}" for name in names]
    return " and ".join(terms) or "true"


def _rows_sql(sources: str) -> str:
    # Where the sources of some hours are gone from the store, their number is unknown.
    order = ", ".join(f"{name} nulls first" for name in (*CELL, "other"))
    return (
        f"select {_of('published', CELL)}, other, published.packets, sources "
        f"from published left join {sources} s "
        f"on published.row = s.row and published.packets = s.packets order by {order}"
    )
