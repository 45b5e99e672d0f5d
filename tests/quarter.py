"""The scenario `tsubame-2020q3`, made and reduced.

Its sources are drawn from a country table of a few large networks, so that no test
depends on the version of a database.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastflow import reduce
from fastflow.stages.country import CountryTable
from fastflow.stages.country_sources import Ranges
from fastflow.store import Store
from fastflow.synth.tsubame import make_quarter
from fastflow.synth.tsubame_figures import ORIGINS

SCALE = 0.02

#: Packet columns in SQL over `sources`.
BY_COLUMN = {
    "country": "country",
    "sensor": "sensor",
    "proto": "proto",
    "dst_port": "dst_port",
    "src_port": "src_port",
    "tcp_seq": "tcp_seq",
    "tcp_window": "split_part(signature, ':', 1)::int",
}
#: A store has no TCP flags, but what they mean.
TRAFFIC = {2: "scan", 18: "backscatter"}


@dataclass(frozen=True)
class Quarter:
    """The captures' directory, what it should hold, and the store made of it."""

    captures: Path
    truth: dict[str, Any]
    store: Store

    @property
    def sensors_file(self) -> Path:
        return self.captures / "sensors.toml"


def small_table() -> CountryTable:
    """Return a table with a /8 for each country of the scenario, 20.0.0.0/8 first."""
    codes = ["", *sorted(ORIGINS)]
    starts = np.arange(20, 20 + len(codes), dtype=np.uint32) << 24
    ranges = Ranges(
        codes,
        starts,
        np.append(np.arange(1, len(codes)), 0).astype(np.uint16),
        np.empty((0, 2), np.uint64),
        np.empty(0, np.uint16),
    )
    return CountryTable("test", "1", None, ranges)


def make_and_reduce(path: Path, scale: float, seed: int = 0) -> Quarter:
    captures = path / "captures"
    table = small_table()
    truth = make_quarter(captures, seed, scale, table)
    report = reduce([captures], path / "store", "{parent}", geo=table)
    assert sum(record.counted for record in report.inputs) == truth["packets"]
    return Quarter(captures, truth, Store(path / "store"))


def ask(quarter: Quarter, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in quarter.store.sql(query).to_pylist()]


def top(
    quarter: Quarter, by: str, period: str = "2020-Q3", n: int = 10, **named: Any
) -> list[dict[str, Any]]:
    named = {"sensors_file": quarter.sensors_file, **named}
    return quarter.store.top(by, period, n=n, **named)


def daily(quarter: Quarter, values: dict[str, Any]) -> dict[str, list[int]]:
    """Return packets and sources by day of rows with these packet columns."""
    texts = [
        f"traffic = '{TRAFFIC[value]}'"
        if column == "tcp_flags"
        else f"{BY_COLUMN[column]} = {value!r}"
        for column, value in values.items()
    ]
    rows = ask(
        quarter,
        "select hour::date::text as day, "
        "sum(packets)::int as packets, count(distinct src)::int as n from sources "
        f"where {' and '.join(texts)} group by day order by day",
    )
    return {day: [packets, n] for day, packets, n in rows}
