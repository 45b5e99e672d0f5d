"""Tallies of cells are those that a reduce of their captures gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastflow
from fastflow.stages.country import CountryTable
from fastflow.store import Store
from fastflow.synth.addresses import stations
from fastflow.synth.captures import write_day
from fastflow.synth.cells import ACK, ICMP, RST, SYN, TCP, UDP, Cells, Style, make_cells
from fastflow.synth.tallies import tally

pytest_plugins = ["country_fixture"]

STYLES = [Style.parse("1024:::"), Style.parse("8192:2-1-3-1-1-4:1460:8"), Style(65535)]
STATIONS = stations([("sensor-1", "JP", 16), ("sensor-2", "US", 4)])
HOUR = 443_400
#: A port and a sequence number of a single packet may be any.
ANY = "any"


def some_cells() -> Cells:
    rng = np.random.default_rng(3)
    n = 400
    proto = rng.choice([TCP, TCP, UDP, ICMP], n)
    flags = rng.choice([SYN, SYN | ACK, RST, ACK], n)
    return make_cells(
        n,
        hour=HOUR + rng.integers(0, 3, n),
        sensor=rng.integers(0, 2, n),
        src=0x01000000 + rng.integers(0, 12, n),
        proto=proto,
        dst_port=np.where(proto == ICMP, 0, rng.choice([22, 23, 445], n)),
        icmp_type=np.where(proto == ICMP, rng.choice([0, 3, 8, 13], n), 0),
        tcp_flags=np.where(proto == TCP, flags, 0),
        style=np.where(proto == TCP, rng.integers(0, 3, n), -1),
        src_port=rng.choice([-1, 80, 443], n),
        tcp_seq=rng.choice([-1, 7], n),
        ip_id=rng.choice([-1, 5], n),
        ip_ttl=rng.choice([50, 60], n),
        packets=rng.integers(1, 4, n),
    )


def rows_of(table: Any, *, shared: bool) -> list[tuple[Any, ...]]:
    """Return rows without the input, in an order of their own."""
    names = [name for name in table.schema.names if name != "input"]
    rows = []
    for row in table.select(names).to_pylist():
        if shared and row["packets"] == 1:
            row |= {
                name: ANY
                for name in ("src_port", "tcp_seq")
                if row[name] is not None and row[name] not in (7, 80, 443)
            }
        rows.append(tuple(str(row[name]) for name in names))
    return sorted(rows)


@pytest.mark.usefixtures("country_cache_home")
def test_tallies_are_those_of_a_reduce(
    tmp_path: Path, country_table: CountryTable
) -> None:
    cells = some_cells()
    for hours in np.unique(cells["hour"] // 24):
        day = cells[cells["hour"] // 24 == hours]
        write_day(day, STYLES, STATIONS, tmp_path / "captures", seed=1)
    fastflow.reduce(
        [tmp_path / "captures"], tmp_path / "store", "{parent}", geo=country_table
    )
    store = Store(tmp_path / "store")
    country = store.sql("select distinct country from counts").to_pylist()
    (code,) = (row["country"] for row in country)
    counts, sources = tally(
        cells,
        sensors=["sensor-1", "sensor-2"],
        styles=STYLES,
        countries={code or "AU": (0x01000000, 256)} if code else {},
    )
    stored = {
        table: store.sql(f"select * from {table}").select(made.schema.names)
        for table, made in (("counts", counts), ("sources", sources))
    }
    assert rows_of(counts, shared=False) == rows_of(stored["counts"], shared=False)
    assert rows_of(sources, shared=True) == rows_of(stored["sources"], shared=True)
