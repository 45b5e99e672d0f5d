"""What was seen most: ports, countries, signatures, tools, sources, sensors."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fastflow.analysis.distinct import distinct_sources
from fastflow.analysis.heaviest import heaviest_ipv4
from fastflow.analysis.keys import STORED, key_by
from fastflow.analysis.selection import Selection
from fastflow.analysis.tools import rows_with_tools
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
        same kind just before; None: not among its first ten, or these are not known
        since that period would cut a day that was added up), and if it is wanted
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
    period = selection.period
    before = {} if period is None else ranking.ranks(period.previous())
    answers = zip(
        first.to_pylist(),
        ranking.names(first),
        ranking.distinct_sources(first),
        strict=True,
    )
    rows = [
        {
            "rank": rank,
            "key": row["key"],
            "name": name,
            "packets": row["packets"],
            "sources": n_sources,
            "share": row["packets"] / row["total"],
            "previous_rank": before.get(row["key"]),
        }
        for rank, (row, name, n_sources) in enumerate(answers, start=1)
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
    """

    def __init__(self, selection: Selection, by: str) -> None:
        self._selection = selection
        self._by = by
        self.key = key_by(by)
        self._table = selection.table(needs_sources=by == "source")
        #: Evidence of sources tells which tools are believed.
        self._has_evidence = by == "tool" and selection.store.settings.sources

    def rows(
        self,
        hours: Hours | None,
        first: pa.Table | None = None,
        *,
        of_sources: bool = False,
    ) -> tuple[str, list[Any]]:
        """Return the rows that match, as SQL that follows `from`, and its values.

        Parameters
        ----------
        first : pyarrow.Table or None
            Keys, one row or more: only their rows, with the key's number as `nth`.
        of_sources : bool
            Rows of `sources`, also where `counts` would do.
        """
        table = "sources" if of_sources else self._table
        params: list[Any] = []
        if self._has_evidence:
            table, params = rows_with_tools(self._selection, hours)
        join, wanted = ("", []) if first is None else self.key.join(first)
        conditions = self._selection.conditions(hours)
        values = [*params, *wanted, *conditions.params]
        return f"{table} {join} where {conditions}", values

    def first(self, hours: Hours | None, n: int) -> pa.Table:
        """Return the first `n` rows: key columns, `packets`, `total`, `key`.

        Of tools also `sources`: to weigh their evidence once more would take as long.
        The database finds them and all that tie with the last; which of those come
        first is decided by the key's text, which only Python can write for addresses.
        """
        if n < 1:
            raise ConfigError(f"the number of keys must be 1 or more, not {n}")
        rows, params = self.rows(hours)
        if self._by == "source":
            found = self._first_sources(rows, params, hours, n)
        else:
            found = self._first_keys(rows, params, hours, n)
        found = found.append_column("key", self.key.text(found))
        order = [("packets", "descending"), ("key", "ascending")]
        return found.sort_by(order).slice(0, n)

    def _first_sources(
        self, rows: str, params: list[Any], hours: Hours | None, n: int
    ) -> pa.Table:
        """Rank IPv4 in memory, as far as it fits, and the rest in the database."""
        ipv4 = heaviest_ipv4(self._selection, rows, params, hours, n)
        if ipv4 is None:
            return self._first_keys(rows, params, hours, n)
        rest = self._first_keys(f"{rows} and ip_version <> 4", params, hours, n)
        totals = (pc.max(part["total"]).as_py() or 0 for part in (ipv4, rest))
        found = pa.concat_tables([ipv4, rest.cast(ipv4.schema)])
        total = pa.array([sum(totals)] * found.num_rows, pa.int64())
        return found.set_column(found.column_names.index("total"), "total", total)

    def _first_keys(
        self, rows: str, params: list[Any], hours: Hours | None, n: int
    ) -> pa.Table:
        more = {}
        if column := self.key.derived_from:
            # Taking the text of each row apart would double the time.
            rows = (
                f"(select {column}, sum(packets) as packets from {rows} group by all)"
            )
            more[STORED] = f"list({column})"
        if self._has_evidence:
            # What is of no tool is one group: a set of its sources would be large.
            of_tool = "if(tool is null, null, {0}) as {0}".format
            rows = (
                f"(select tool, {of_tool('src')}, {of_tool('ip_version')}, "
                f"sum(packets) as packets from {rows} group by all)"
            )
            more["sources"] = "count(src)"
        made = "".join(f", {sql} as {name}" for name, sql in more.items())
        return self._selection.ask(
            f"with sums as (select {self.key.select}, sum(packets) as packets{made} "
            f"from {rows} group by all), "
            f"ranked as (select * from sums where {self.key.is_there}) "
            f"select {', '.join([self.key.names, 'packets', *more])}, "
            "(select sum(packets) from sums) as total from ranked "
            "where packets >= (select coalesce(min(packets), 0) "
            "from (select packets from ranked order by packets desc limit ?))",
            [*params, n],
            hours,
        )

    def distinct_sources(self, first: pa.Table) -> list[int | None]:
        """Return the exact number of distinct sources of each key of `first`."""
        if not self._selection.store.settings.sources:
            return [None] * first.num_rows
        if self._by == "source" or first.num_rows == 0:
            return [1] * first.num_rows
        if self._has_evidence:
            counted: list[int | None] = first["sources"].to_pylist()
            return counted
        rows, params = self._rows_of_sources(first)
        found = distinct_sources(self._selection, "nth", first.num_rows, rows, params)
        return list(found.tolist())

    def names(self, first: pa.Table) -> list[str | None]:
        """Return what people call each key of `first`."""
        if self._by == "source" and first.num_rows:
            first = first.append_column("country", self._countries(first))
        return [self.key.name(row) for row in first.to_pylist()]

    def _countries(self, first: pa.Table) -> pa.Array:
        """Return the country of each source; asked of a few, as all would take long."""
        rows, params = self._rows_of_sources(first)
        found = self._selection.ask(
            f"select nth, max(country) as country from {rows} group by nth "
            "order by nth",
            params,
        )
        return found["country"]

    def _rows_of_sources(self, first: pa.Table) -> tuple[str, list[Any]]:
        return self.rows(self._selection.period_hours, first, of_sources=True)

    def ranks(self, previous: Period) -> dict[str, int]:
        """Return the rank of each key that was among the first of an earlier period.

        None are known of a period that begins within a day that was added up.
        """
        if self._selection.days.are_cut(previous.hours):
            return {}
        first = self.first(previous.hours, PREVIOUS_RANKS)
        return {key: rank for rank, key in enumerate(first["key"].to_pylist(), start=1)}
