"""Tallies of cells are those that a reduce of their captures gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastflow
from fastflow.schema import ROW_TABLES
from fastflow.stages.country import CountryTable
from fastflow.store import Store
from fastflow.synth.addresses import stations
from fastflow.synth.captures import write_day
from fastflow.synth.cells import (
    ACK,
    ICMP,
    RST,
    SYN,
    TCP,
    UDP,
    Cells,
    Style,
    by_day,
    make_cells,
)
from fastflow.synth.echoes import tally_echoes
from fastflow.synth.scenario import make_scenario
from fastflow.synth.scenario_files import first_addresses, make_phenomena
from fastflow.synth.tallies import tally
from scenario_store import make_store

pytest_plugins = ["country_fixture"]

STYLES = [Style.parse("1024:::"), Style.parse("8192:2-1-3-1-1-4:1460:8"), Style(65535)]
STATIONS = stations([("sensor-1", "JP", 16), ("sensor-2", "US", 4)])
HOUR = 443_400
SEED = 11
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
    for day in by_day(cells):
        write_day(day, STYLES, STATIONS, tmp_path / "captures", seed=1)
    fastflow.reduce(
        [tmp_path / "captures"], tmp_path / "store", "{parent}", geo=country_table
    )
    store = Store(tmp_path / "store")
    country = store.sql("select distinct country from counts").to_pylist()
    (code,) = (row["country"] for row in country)
    arguments: dict[str, Any] = {
        "sensors": ["sensor-1", "sensor-2"],
        "styles": STYLES,
        "countries": {code or "AU": (0x01000000, 256)} if code else {},
    }
    counts, sources = tally(cells, **arguments)
    echoes = tally_echoes(cells, seed=1, **arguments)
    stored = stored_rows(store)
    assert rows_of(counts, shared=False) == rows_of(stored["counts"], shared=False)
    assert rows_of(sources, shared=True) == rows_of(stored["sources"], shared=True)
    assert rows_of(echoes, shared=False) == rows_of(stored["backscatter"], shared=False)


def stored_rows(store: Store) -> dict[str, Any]:
    return {
        name: store.sql(f"select * from {name}").select(schema.names)
        for name, schema in ROW_TABLES.items()
    }


@pytest.mark.usefixtures("country_cache_home")
def test_attacks_of_a_scenario_are_those_of_its_captures(
    tmp_path: Path, country_table: CountryTable
) -> None:
    """Nearly all that is planted is an attack on four victims."""
    captures, counts = tmp_path / "captures", tmp_path / "counts"
    make_phenomena(captures, SEED, 0.05, country_table=country_table)
    fastflow.reduce([captures], counts, "{parent}", geo=country_table)
    reduced = Store(counts)
    firsts = first_addresses(country_table)
    scenario = make_scenario(SEED, scale=0.05, first_addresses=firsts)
    made = make_store(scenario, tmp_path / "made")
    of_captures, of_cells = stored_rows(reduced), stored_rows(made)
    for name in ("counts", "backscatter"):
        assert rows_of(of_cells[name], shared=False) == rows_of(
            of_captures[name], shared=False
        )
    attacks = "select * from attacks order by start, src"
    found = made.sql(attacks)
    assert found == reduced.sql(attacks)
    (planted,) = (one for one in scenario.truth if one.kind == "attack")
    assert found.num_rows >= planted.sources
