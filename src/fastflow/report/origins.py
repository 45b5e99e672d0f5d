"""Where the data of a report is from: captures, country tables, rules, names."""

from __future__ import annotations

from dataclasses import dataclass

from fastflow import names
from fastflow._version import __version__
from fastflow.analysis.selection import Selection
from fastflow.analysis.where import Conditions


@dataclass(frozen=True)
class CountryTable:
    """A country table that captures were reduced with, and the days it is of."""

    name: str
    first_date: str | None
    last_date: str | None
    captures: int


@dataclass(frozen=True)
class Origins:
    """What was counted, and by what.

    Attributes
    ----------
    captures, damaged : int
        Inputs of the selected sensors in the period; those of them that are truncated
        or damaged.
    records, counted : int
        Of these inputs, which may begin before the period or end after it.
    uncounted : dict
        Records that were not counted, by reason.
    country_tables : list of CountryTable
    rules : list of str
        Versions of the rules that tell tools.
    services, countries : str
        Where the names of ports and of countries are from.
    overlay_date : str
        The day that the names beside IANA's are of.
    holders : list of str
        Who was asked for organisations.
    """

    captures: int
    damaged: int
    records: int
    counted: int
    uncounted: dict[str, int]
    country_tables: list[CountryTable]
    rules: list[str]
    services: str
    overlay_date: str
    countries: str
    holders: list[str]
    version: str = __version__


def origins(selection: Selection, holders: list[str]) -> Origins:
    """Look at the inputs of a period."""
    inside = Conditions()
    selection.add_sensors(inside)
    inside.add("status in ('complete', 'truncated', 'damaged')")
    if selection.period is not None:
        start, end = selection.period.hours
        inside.add("first_packet < ? and last_packet >= ?", end, start)
    where, params = f"from inputs where {inside}", inside.params
    (total,) = selection.ask(
        "select count(*)::bigint as captures, "
        "(count(*) filter (where status <> 'complete'))::bigint as damaged, "
        "coalesce(sum(records), 0)::bigint as records, "
        f"coalesce(sum(counted), 0)::bigint as counted {where}",
        params,
    ).to_pylist()
    reasons = selection.ask(
        "select key, sum(value)::bigint as n from (select unnest(map_keys(uncounted)) "
        f"as key, unnest(map_values(uncounted)) as value {where}) group by key "
        "order by key",
        params,
    )
    tables = selection.ask(
        "select country_table as name, min(country_date) as a, max(country_date) as b, "
        f"count(*)::bigint as n {where} and country_table is not null "
        "group by name order by name",
        params,
    )
    rules = selection.ask(
        f"select distinct rules {where} and rules is not null order by rules", params
    )
    return Origins(
        **total,
        uncounted={row["key"]: row["n"] for row in reasons.to_pylist() if row["n"]},
        country_tables=[
            CountryTable(row["name"], row["a"], row["b"], row["n"])
            for row in tables.to_pylist()
        ],
        rules=rules["rules"].to_pylist(),
        services=names.source_of("services.csv"),
        overlay_date=names.overlay_date(),
        countries=names.source_of("countries.csv"),
        holders=list(holders),
    )
