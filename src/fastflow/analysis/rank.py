"""What was seen most: ports, countries, signatures, tools, sources, sensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from fastflow.addresses import column_to_text
from fastflow.analysis.where import PORT_PROTOCOLS, Conditions
from fastflow.errors import ConfigError
from fastflow.names import country_name, service_name
from fastflow.units import Period

if TYPE_CHECKING:
    from fastflow.store import Store

#: How far the previous period is looked at.
PREVIOUS_RANKS = 10

_Row = dict[str, Any]


@dataclass(frozen=True)
class _Ranking:
    """How one kind of key is read from the tables and written for people.

    Attributes
    ----------
    columns : tuple of str
        Make up the key; the first is null where a row has none.
    only : str
        SQL condition on the rows that are ranked.
    text : callable
        The key of each row of a table with the columns, as an array of text.
    name : callable
        What people call the key of a row, or None.
    """

    columns: tuple[str, ...]
    text: Callable[[pa.Table], pa.Array]
    name: Callable[[_Row], str | None] = lambda row: None
    only: str = "true"


def _port_text(keys: pa.Table) -> pa.Array:
    protos = keys["proto"].to_pylist()
    names = pa.array([PORT_PROTOCOLS[proto] for proto in protos], pa.string())
    ports = keys["dst_port"].combine_chunks().cast(pa.string())
    return pc.binary_join_element_wise(ports, names, "/")


def _port_name(row: _Row) -> str | None:
    return service_name(row["dst_port"], PORT_PROTOCOLS[row["proto"]])


def _country_name(row: _Row) -> str | None:
    code = row["country"]
    return None if code is None else country_name(code)


def _source_text(keys: pa.Table) -> pa.Array:
    return column_to_text(
        keys["src"].combine_chunks(), keys["ip_version"].combine_chunks()
    )


def _plain(column: str) -> _Ranking:
    return _Ranking((column,), lambda keys: keys[column].combine_chunks())


_PROTOCOL_LIST = ", ".join(str(number) for number in PORT_PROTOCOLS)

RANKINGS = {
    "port": _Ranking(
        ("dst_port", "proto"), _port_text, _port_name, f"proto in ({_PROTOCOL_LIST})"
    ),
    "country": _Ranking(
        ("country",), lambda keys: keys["country"].combine_chunks(), _country_name
    ),
    "signature": _plain("signature"),
    "tool": _plain("tool"),
    "source": _Ranking(("src", "ip_version"), _source_text, _country_name),
    "sensor": _plain("sensor"),
}


def top(
    store: Store,
    by: str,
    period: str | Period | None = None,
    where: Mapping[str, Any] | None = None,
    n: int = 10,
) -> list[_Row]:
    """Rank keys by packets, most first; ties in the order of the keys' text.

    Parameters
    ----------
    store : Store
        Where the counts are.
    by : str
        port, country, signature, tool, source or sensor.
    period : str, Period or None
        The hours to look at; None: the whole store, and no previous ranks.
    where : mapping or None
        Column to value; None or `null` matches null.
    n : int
        How many ranks.

    Returns
    -------
    list of dict
        `rank`, `key`, `name` (or None), `packets`, `sources` (exact distinct addresses
        over the period; None: the store keeps none), `share` (of all packets that match
        the filters, also those without a key), `previous_rank` (in the period of the
        same kind just before; None: not among its first ten).

    Raises
    ------
    ConfigError
        The ranking, the period or a filter does not exist, or the store keeps no
        sources and one of them needs these.
    """
    if by not in RANKINGS:
        raise ConfigError(f"no ranking by {by!r}; there are {', '.join(RANKINGS)}")
    if n < 1:
        raise ConfigError(f"the number of ranks must be 1 or more, not {n}")
    if isinstance(period, str):
        period = Period.parse(period)
    return _Question(store, by, period, where).answer(n)


class _Question:
    """A ranking of one store under one set of filters."""

    def __init__(
        self,
        store: Store,
        by: str,
        period: Period | None,
        where: Mapping[str, Any] | None,
    ) -> None:
        self._store = store
        self._by = by
        self._ranking = RANKINGS[by]
        self._where = where
        self._period = period
        self._previous = None if period is None else period.previous()
        self._hours = None
        if period is not None and self._previous is not None:
            self._hours = (self._previous.start, period.end)
        needs_sources = by == "source" or Conditions.of(where, period).needs_sources
        if needs_sources and not store.settings.sources:
            raise ConfigError(
                f"{store.url}: the store was made without sources; "
                "rank by something else, or filter by another column than src"
            )
        self._table = "sources" if needs_sources else "counts"

    def answer(self, n: int) -> list[_Row]:
        """Return the first `n` ranks."""
        first = self._first(self._period, n)
        total = self._total()
        sources = self._distinct_sources(first)
        before = self._previous_ranks()
        return [
            {
                "rank": rank,
                "key": row["key"],
                "name": self._ranking.name(row),
                "packets": row["packets"],
                "sources": sources.get(row["key"]),
                "share": row["packets"] / total,
                "previous_rank": before.get(row["key"]),
            }
            for rank, row in enumerate(first.to_pylist(), start=1)
        ]

    def _first(self, period: Period | None, n: int) -> pa.Table:
        """Return the first `n` rows: key columns, `packets`, `key`.

        The database finds them and all that tie with the last; which of those come
        first is decided by the key's text, which only Python can write for addresses.
        """
        conditions = self._conditions(period)
        keys = ", ".join(self._ranking.columns)
        country = ", max(country) as country" if self._by == "source" else ""
        found = self._ask(
            f"with ranked as (select {keys}{country}, sum(packets) as packets "
            f"from {self._table} where {conditions} group by {keys}) "
            "select * from ranked where packets >= (select coalesce(min(packets), 0) "
            "from (select packets from ranked order by packets desc limit ?))",
            [*conditions.params, n],
        )
        found = found.append_column("key", self._ranking.text(found))
        order = [("packets", "descending"), ("key", "ascending")]
        return found.sort_by(order).slice(0, n)

    def _conditions(self, period: Period | None) -> Conditions:
        """Return the conditions on the rows that are ranked."""
        conditions = Conditions.of(self._where, period)
        conditions.add(f"{self._ranking.columns[0]} is not null")
        conditions.add(self._ranking.only)
        return conditions

    def _total(self) -> int:
        """Return the packets of all rows that match, those without a key included."""
        conditions = Conditions.of(self._where, self._period)
        answer = self._ask(
            f"select sum(packets) from {self._table} where {conditions}",
            conditions.params,
        )
        return answer.column(0)[0].as_py() or 0

    def _distinct_sources(self, first: pa.Table) -> dict[str, int]:
        """Return the exact number of distinct sources of each key of `first`."""
        if not self._store.settings.sources or first.num_rows == 0:
            return {}
        if self._by == "source":
            return dict.fromkeys(first["key"].to_pylist(), 1)
        columns = self._ranking.columns
        conditions = self._conditions(self._period)
        rows = [tuple(row[name] for name in columns) for row in first.to_pylist()]
        one = f"({', '.join('?' * len(columns))})"
        conditions.add(
            f"({', '.join(columns)}) in ({', '.join([one] * len(rows))})",
            *(value for row in rows for value in row),
        )
        keys = ", ".join(columns)
        found = self._ask(
            f"select {keys}, count(*) as sources from (select distinct {keys}, src, "
            f"ip_version from sources where {conditions}) group by {keys}",
            conditions.params,
        )
        texts = self._ranking.text(found).to_pylist()
        return dict(zip(texts, found["sources"].to_pylist(), strict=True))

    def _previous_ranks(self) -> dict[str, int]:
        if self._previous is None:
            return {}
        first = self._first(self._previous, PREVIOUS_RANKS)
        return {key: rank for rank, key in enumerate(first["key"].to_pylist(), start=1)}

    def _ask(self, sql: str, params: list[Any]) -> pa.Table:
        return self._store.sql(sql, params, hours=self._hours)
