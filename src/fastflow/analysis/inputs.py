"""What became of each capture, and which captures made a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from fastflow.analysis.selection import Selection
from fastflow.analysis.where import Conditions
from fastflow.errors import ConfigError

#: What may be recorded of a capture; a duplicate is told, and not recorded.
STATUSES = ("complete", "truncated", "damaged", "rejected")

_COLUMNS = (
    'id, path, sensor, status, reason, "offset", records, counted, '
    "coalesce(packets, 0) as packets, uncounted, flags, dropped, "
    "first_packet, last_packet, supersedes, superseded_by"
)

#: The rows of a refused capture and of the same one that was taken in later have one
#: id; only the second has counts, and may be superseded.
_JOINS = """
    inputs left join found on found.input = id and status <> 'rejected'
    left join (
        select old, string_agg(id, ' ' order by id) as superseded_by
        from (select id, unnest(string_split(supersedes, ' ')) as old from inputs)
        group by old
    ) on old = id and status <> 'rejected'
"""


def inputs(selection: Selection, statuses: Collection[str] = ()) -> pa.Table:
    """Return what became of captures, and how many of the selected packets they have.

    Parameters
    ----------
    selection : Selection
        Of a period are the captures that have packets between its beginning and its
        end. With filters only those are listed whose counts match.
    statuses : collection of str
        Only captures with one of these; none: all.

    Returns
    -------
    pyarrow.Table
        `id`, `path`, `sensor`, `status`, `reason`, `offset`, `records`, `counted`,
        `packets` (those that `top` counts for this selection: in all as many as there,
        none of a capture that another one superseded), `uncounted`, `flags`, `dropped`,
        `first_packet`, `last_packet` (in the selection's zone), `supersedes`,
        `superseded_by` (ids with spaces between them). With filters those with the most
        packets stand first, else the newest.

    Raises
    ------
    ConfigError
        There is no such status, or a filter takes sources and the store keeps none.
    """
    for status in statuses:
        if status not in STATUSES:
            raise ConfigError(f"no status {status!r}; there are {', '.join(STATUSES)}")
    rows = selection.conditions(selection.period_hours)
    listed = _listed(selection, statuses)
    newest = "last_packet desc nulls last"
    order = f"packets desc, {newest}" if selection.has_filters else newest
    found = selection.ask(
        "with found as (select input, sum(packets) as packets "
        f"from {selection.table()} where {rows} group by input) "
        f"select {_COLUMNS} from {_JOINS} where {listed} order by {order}, path, id",
        [*rows.params, *listed.params],
    )
    return _in_zone(found, str(selection.zone))


def summary(found: pa.Table) -> str:
    """Return a line that says how many captures there are of each status."""
    statuses = Counter(found["status"].to_pylist())
    n_superseded = found.num_rows - found["superseded_by"].null_count
    counts = [(status, statuses[status]) for status in STATUSES]
    told = [f"{n:,} {what}" for what, n in [*counts, ("superseded", n_superseded)] if n]
    n_packets = pc.sum(found["packets"]).as_py() or 0
    return f"{found.num_rows:,} in all, {n_packets:,} packets: {', '.join(told) or '-'}"


def _listed(selection: Selection, statuses: Collection[str]) -> Conditions:
    """Return the conditions on captures."""
    conditions = Conditions()
    if selection.has_filters:
        conditions.add("found.input is not null")
    elif hours := selection.period_hours:
        overlaps = "last_packet >= ? and first_packet < ?"
        conditions.add(f"(found.input is not null or ({overlaps}))", *hours)
    selection.add_sensors(conditions)
    if statuses:
        conditions.add_one_of("status", statuses)
    return conditions


def _in_zone(found: pa.Table, zone: str) -> pa.Table:
    for name in ("first_packet", "last_packet"):
        index = found.column_names.index(name)
        column = found[name].cast(pa.timestamp("us", tz=zone))
        found = found.set_column(index, name, column)
    return found
