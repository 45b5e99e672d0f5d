"""A store made of a scenario's tallies, without captures between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastflow.schema import InputRecord, Reduced
from fastflow.store import Store
from fastflow.synth.echoes import tally_echoes
from fastflow.synth.noise import FIRST_HOUR, N_HOURS
from fastflow.synth.scenario import Scenario
from fastflow.synth.tallies import tally
from reduced import TableRows

HOUR_US = 3_600_000_000


def make_store(scenario: Scenario, root: Path) -> Store:
    """Make a store as if each sensor had a capture for each time on the air."""
    store = Store(root, create=True)
    publish(store, scenario)
    return store


def publish(store: Store, scenario: Scenario, hours: int = N_HOURS) -> None:
    """Publish a scenario as if captures were so many hours long at most."""
    arguments = scenario.tally_arguments()
    tables = (
        *tally(scenario.cells, **arguments),
        tally_echoes(scenario.cells, seed=scenario.seed, **arguments),
    )
    for first in range(0, N_HOURS, hours):
        after = min(first + hours, N_HOURS)
        mine = [_between(table, first, after) for table in tables]
        batch = []
        for index, name in enumerate(scenario.sensors.names):
            own = [table.filter(pc.equal(table["sensor"], name)) for table in mine]
            batch.extend(_inputs(scenario, index, own, first, after))
        store.publish(batch)


def _inputs(
    scenario: Scenario, index: int, of_sensor: list[pa.Table], begin: int, end: int
) -> Iterator[Reduced]:
    """Yield one input for each run of hours that a sensor listened."""
    name = scenario.sensors.names[index]
    is_on = scenario.sensors.is_on[index, begin:end].astype(int)
    edges = begin + np.flatnonzero(np.diff(is_on, prepend=0, append=0))
    for first, after in edges.reshape(-1, 2).tolist():
        input_id = f"scenario-{scenario.seed}-{name}-{first}"
        tables = [_between(table, first, after) for table in of_sensor]
        tables = [_named(table, input_id) for table in tables]
        counted = pc.sum(tables[0]["packets"]).as_py() or 0
        record = InputRecord(
            input=input_id,
            path=f"/captures/{input_id}.pcap",
            sensor=name,
            status="complete",
            version="0.0.0",
            records=counted,
            counted=counted,
            first_packet=(FIRST_HOUR + first) * HOUR_US,
            last_packet=(FIRST_HOUR + after) * HOUR_US - 1,
        )
        yield Reduced(record, TableRows(*tables))


def _between(table: pa.Table, first: int, after: int) -> pa.Table:
    """Return the rows of some hours of the scenario; they lie in order."""
    times = table["hour"].cast(pa.int64()).to_numpy()
    bounds = [(FIRST_HOUR + hour) * HOUR_US for hour in (first, after)]
    begin, end = np.searchsorted(times, bounds).tolist()
    return table.slice(begin, end - begin)


def _named(table: pa.Table, input_id: str) -> pa.Table:
    index = table.schema.get_field_index("input")
    names = pa.array([input_id] * len(table), pa.string())
    return table.set_column(index, table.schema.field("input"), names)
