"""What was seen most: ports, countries, signatures, tools, sources, sensors."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from fastflow.analysis.keys import key_by
from fastflow.analysis.selection import Selection
from fastflow.analysis.where import Hours
from fastflow.errors import ConfigError
from fastflow.units import Period

#: How far the previous period is looked at.
PREVIOUS_RANKS = 10


def top(
    selection: Selection, by: str, n: int = 10, per_address: bool = False
) -> list[dict[str, Any]]:
    """Rank keys by packets, most first; ties in the order of the keys' text.

    Parameters
    ----------
    selection : Selection
        The rows to look at. Without a period there are no previous ranks.
    by : str
        One of `fastflow.analysis.keys.KEYS`.
    n : int
        How many ranks.
    per_address : bool
        Add how many packets that is per sensor address and day on the air.

    Returns
    -------
    list of dict
        `rank`, `key`, `name` (or None), `packets`, `sources` (exact distinct addresses
        over the period; None: the store keeps none), `share` (of all packets that match
        the filters, also those without a key), `previous_rank` (in the period of the
        same kind just before; None: not among its first ten), and if it is wanted
        `per_address_day` (None: no sensor was on the air).

    Raises
    ------
    ConfigError
        There is no such key, or the store keeps no sources and it takes these, or it is
        not known how many addresses the sensors have.
    """
    ranking = Ranking(selection, by)
    if per_address:
        selection.check_addresses()
    first = ranking.first(selection.period_hours, n)
    sources = ranking.distinct_sources(first)
    period = selection.period
    before = {} if period is None else ranking.ranks(period.previous())
    rows = [
        {
            "rank": rank,
            "key": row["key"],
            "name": ranking.key.name(row),
            "packets": row["packets"],
            "sources": sources.get(row["key"]),
            "share": row["packets"] / row["total"],
            "previous_rank": before.get(row["key"]),
        }
        for rank, row in enumerate(first.to_pylist(), start=1)
    ]
    if per_address:
        _add_rates(rows, selection, by)
    return rows


def _add_rates(rows: list[dict[str, Any]], selection: Selection, by: str) -> None:
    for row in rows:
        sensors = [row["key"]] if by == "sensor" else None
        (days,) = selection.coverage.address_days(sensors=sensors).tolist()
        row["per_address_day"] = row["packets"] / days if days else None


class Ranking:
    """The keys of a selection, in the order of their packets.

    Attributes
    ----------
    key : Key
        What is ranked.
    table : str
        `sources` where a question takes source addresses, else `counts`.
    """

    def __init__(self, selection: Selection, by: str) -> None:
        self._selection = selection
        self._by = by
        self.key = key_by(by)
        store = selection.store
        needs_sources = by == "source" or selection.needs_sources
        if needs_sources and not store.settings.sources:
            raise ConfigError(
                f"{store.path}: the store was made without sources; "
                "take another key, or filter by another column than src"
            )
        self.table = "sources" if needs_sources else "counts"

    def first(self, hours: Hours | None, n: int) -> pa.Table:
        """Return the first `n` rows: key columns, `packets`, `total`, `key`.

        The database finds them and all that tie with the last; which of those come
        first is decided by the key's text, which only Python can write for addresses.
        """
        if n < 1:
            raise ConfigError(f"the number of keys must be 1 or more, not {n}")
        conditions = self._selection.conditions(hours)
        country = ", max(country) as country" if self._by == "source" else ""
        rows = f"{self.table} where {conditions}"
        if stored := self.key.derived_from:
            # Taking the text of each row apart would double the time.
            rows = (
                f"(select {stored}, sum(packets) as packets from {rows} group by all)"
            )
        found = self._selection.ask(
            f"with sums as (select {self.key.select}{country}, sum(packets) as packets "
            f"from {rows} group by all), "
            f"ranked as (select * from sums where {self.key.is_there}) "
            "select *, (select sum(packets) from sums) as total from ranked "
            "where packets >= (select coalesce(min(packets), 0) "
            "from (select packets from ranked order by packets desc limit ?))",
            [*conditions.params, n],
            hours,
        )
        found = found.append_column("key", self.key.text(found))
        order = [("packets", "descending"), ("key", "ascending")]
        return found.sort_by(order).slice(0, n)

    def distinct_sources(self, first: pa.Table) -> dict[str, int]:
        """Return the exact number of distinct sources of each key of `first`."""
        if not self._selection.store.settings.sources or first.num_rows == 0:
            return {}
        if self._by == "source":
            return dict.fromkeys(first["key"].to_pylist(), 1)
        conditions = self._selection.conditions(self._selection.period_hours)
        is_one_of, values = self.key.is_one_of(first)
        conditions.add(is_one_of, *values)
        found = self._selection.ask(
            f"select {self.key.names}, count(*) as sources from (select distinct "
            f"{self.key.select}, src, ip_version from sources where {conditions}) "
            "group by all",
            conditions.params,
        )
        texts = self.key.text(found).to_pylist()
        return dict(zip(texts, found["sources"].to_pylist(), strict=True))

    def ranks(self, previous: Period) -> dict[str, int]:
        """Return the rank of each key that was among the first of an earlier period."""
        first = self.first(previous.hours, PREVIOUS_RANKS)
        return {key: rank for rank, key in enumerate(first["key"].to_pylist(), start=1)}
