"""A store made of a scenario's tallies, without captures between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastflow.schema import InputRecord, Reduced
from fastflow.store import Store
from fastflow.synth.echoes import tally_echoes
from fastflow.synth.scenario import Scenario
from fastflow.synth.tallies import tally
from reduced import TableRows

HOUR_US = 3_600_000_000


def make_store(scenario: Scenario, root: Path) -> Store:
    """Make a store as if each sensor had a capture for each time on the air."""
    arguments = scenario.tally_arguments()
    tables = (
        *tally(scenario.cells, **arguments),
        tally_echoes(scenario.cells, seed=scenario.seed, **arguments),
    )
    batch = []
    for index, name in enumerate(scenario.sensors.names):
        mine = [table.filter(pc.equal(table["sensor"], name)) for table in tables]
        batch.extend(_inputs(scenario, index, mine))
    store = Store(root, create=True)
    store.publish(batch)
    return store


def _inputs(scenario: Scenario, index: int, of_sensor: list[pa.Table]) -> list[Reduced]:
    """Return one input for each run of hours that a sensor listened."""
    from fastflow.synth.noise import FIRST_HOUR

    name = scenario.sensors.names[index]
    edges = np.flatnonzero(
        np.diff(scenario.sensors.is_on[index].astype(int), prepend=0, append=0)
    )
    found = []
    for number, (first, after) in enumerate(edges.reshape(-1, 2).tolist()):
        start, end = (FIRST_HOUR + first) * HOUR_US, (FIRST_HOUR + after) * HOUR_US
        tables = [_between(table, start, end) for table in of_sensor]
        input_id = f"scenario-{name}-{number}"
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
            first_packet=start,
            last_packet=end - 1,
        )
        found.append(Reduced(record, TableRows(*tables)))
    return found


def _between(table: pa.Table, start: int, end: int) -> pa.Table:
    hours = table["hour"].cast(pa.int64())
    return table.filter(pc.and_(pc.greater_equal(hours, start), pc.less(hours, end)))


def _named(table: pa.Table, input_id: str) -> pa.Table:
    index = table.schema.get_field_index("input")
    names = pa.array([input_id] * len(table), pa.string())
    return table.set_column(index, table.schema.field("input"), names)
