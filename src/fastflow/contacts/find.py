"""The sources of an event, or of what filters match, and whom to tell of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

import pyarrow as pa

from fastflow.addresses import column_to_text
from fastflow.analysis.events.event import Event
from fastflow.analysis.events.find import find_events
from fastflow.analysis.events.slices import add_conditions
from fastflow.analysis.events.totals import add_pieces
from fastflow.analysis.selection import Selection
from fastflow.analysis.tools import packets_wanted
from fastflow.analysis.where import Conditions, Hours
from fastflow.errors import ConfigError
from fastflow.holders.holder import Holder
from fastflow.holders.holders import Holders
from fastflow.names import proto_name
from fastflow.zones import hour_at, iso_local

#: Of each address so many ports are told, those with the most packets.
MOST_PORTS = 10
#: Holders are looked up for so many addresses at a time.
_AT_ONCE = 4096

SOURCE, VICTIM = "source", "victim"

#: Of a row for people and programs.
COLUMNS = (
    "address",
    "role",
    "country",
    "asn",
    "as_name",
    "organisation",
    "network",
    "abuse_contact",
    "first_hour",
    "last_hour",
    "packets",
    "ports",
    "n_ports",
    "protocols",
    "tools",
    "kind",
    "remark",
)

#: The port of an echo that tells something is that under attack, which it comes from.
_OF_SOURCES = (
    "select src, ip_version, country, hour, packets, proto, tool, "
    "traffic = 'backscatter' as is_echo, "
    "if(traffic = 'backscatter', src_port, dst_port) as port from sources"
)
#: Where the victim of an attack is known; `sources` has who answered for it.
_OF_VICTIMS = (
    "select src, ip_version, country, hour, packets, "
    "if(tcp_window is null, null, 6) as proto, null::varchar as tool, "
    "true as is_echo, src_port as port from backscatter"
)
_CONTACTS = """
with asked as not materialized ({rows} where {conditions}),
rows as (select asked.* from asked {first}),
ports as (
    select src, ip_version, proto, port, sum(packets) as packets from rows
    where port is not null and proto is not null group by all
),
listed as (
    select src, ip_version, count(*) as n_ports,
        list(proto order by packets desc, proto, port)[1:{most}] as port_protos,
        list(port order by packets desc, proto, port)[1:{most}] as ports
    from ports group by all
),
told as (
    select src, ip_version, list_sort(list(tool)) as tools from (
        select src, ip_version, tool from rows where tool is not null
        group by all having sum(packets) >= {wanted}
    ) group by all
),
hosts as (
    select src, ip_version, max(country) as country, sum(packets)::bigint as packets,
        min(hour) as first, max(hour) as last, bool_and(is_echo) as is_echo,
        list_sort(list(distinct proto) filter (where proto is not null)) as protos
    from rows group by src, ip_version
)
select hosts.*, n_ports, port_protos, ports, tools from hosts
left join listed using (src, ip_version) left join told using (src, ip_version)
order by packets desc, src, ip_version
"""
#: Few addresses are found before their ports and tools are added up.
_FIRST = """
semi join (
    select src, ip_version from asked group by all
    order by sum(packets) desc, src, ip_version limit {n:d}
) using (src, ip_version)
"""


@dataclass(frozen=True)
class Contact:
    """An address that somebody should be told of; nothing in it is of a sensor.

    Attributes
    ----------
    address : str
    ip_version : int
    country : str or None
        ISO 3166-1 alpha-2.
    role : str
        `source`: it sent the packets. `victim`: it answered to forged ones.
    kind : str or None
        The event's kind; None: this is of no event.
    first, last : datetime.datetime
        Beginning of the first and of the last hour in which it was seen, UTC.
    packets : int
    ports : tuple of (str, int)
        Protocol and port: those that a source asks for, or a victim answers from.
    n_ports : int
        How many there are; no more than `MOST_PORTS` are listed.
    protocols : tuple of str
    tools : tuple of str
        Those that its packets have the marks of, as many as their rules want.
    holder : Holder
    """

    address: str
    ip_version: int
    country: str | None
    role: str
    kind: str | None
    first: datetime
    last: datetime
    packets: int
    ports: tuple[tuple[str, int], ...] = ()
    n_ports: int = 0
    protocols: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    holder: Holder = field(default_factory=Holder)

    @property
    def port_texts(self) -> list[str]:
        """The ports as `445/tcp`."""
        return [f"{port}/{proto}" for proto, port in self.ports]

    def to_row(self, zone: tzinfo) -> dict[str, Any]:
        """Return the contact as values for JSON, its hours in a zone."""
        holder = self.holder
        values = (
            self.address,
            self.role,
            self.country,
            holder.asn,
            holder.as_name,
            holder.organisation,
            holder.network,
            holder.abuse,
            iso_local(self.first, zone),
            iso_local(self.last, zone),
            self.packets,
            self.port_texts,
            self.n_ports,
            list(self.protocols),
            list(self.tools),
            self.kind,
            holder.reason,
        )
        return dict(zip(COLUMNS, values, strict=True))


def event_of_rank(selection: Selection, rank: int) -> Event:
    """Return the event of a rank in `fastflow events`.

    Raises
    ------
    ConfigError
        There are not so many.
    """
    found = find_events(selection, rank)
    if len(found) < rank:
        raise ConfigError(
            f"no event has rank {rank}; there are {len(found)}, "
            "which `fastflow events` lists with the same options"
        )
    return found[rank - 1]


def find_contacts(
    selection: Selection,
    holders: Holders,
    event: Event | None = None,
    n: int | None = None,
) -> Iterator[Contact]:
    """Yield the sources of a selection, or of an event in it, by their packets.

    Parameters
    ----------
    selection : Selection
        Of a store that keeps sources.
    holders : Holders
        Who says whose addresses these are; asked while contacts are yielded.
    event : Event or None
        Only its traffic, in its hours.
    n : int or None
        How many at most; None: all.

    Raises
    ------
    ConfigError
        The store keeps no sources.
    """
    selection.table(needs_sources=True)
    hours = selection.period_hours
    if event is not None:
        hours = hour_at(event.start), hour_at(event.end)
    sql, params = _query(selection, event, hours, n)
    kind = None if event is None else event.kind
    with closing(selection.stream(sql, params, hours)) as batches:
        for batch in batches:
            for start in range(0, len(batch), _AT_ONCE):
                yield from _contacts(batch.slice(start, _AT_ONCE), kind, holders)


def _query(
    selection: Selection, event: Event | None, hours: Hours | None, n: int | None
) -> tuple[str, list[Any]]:
    rows, conditions = _OF_SOURCES, selection.conditions(hours)
    if event is not None and event.kind == "attack" and "source" in event.slice:
        rows, conditions = _OF_VICTIMS, Conditions()
        selection.add_sensors(conditions)
        add_conditions(conditions, {"source": event.slice["source"]})
    elif event is not None:
        add_conditions(conditions, event.whole)
    if event is not None:
        add_pieces(conditions, event.pieces)
    sql = _CONTACTS.format(
        rows=rows,
        conditions=conditions,
        first="" if n is None else _FIRST.format(n=n),
        most=MOST_PORTS,
        wanted=packets_wanted(),
    )
    return sql, conditions.params


def _contacts(
    batch: pa.RecordBatch, kind: str | None, holders: Holders
) -> Iterator[Contact]:
    texts = column_to_text(batch["src"], batch["ip_version"]).to_pylist()
    known = holders.look_up(texts)
    for address, row in zip(texts, batch.to_pylist(), strict=True):
        ports = zip(row["port_protos"] or (), row["ports"] or (), strict=True)
        yield Contact(
            address,
            row["ip_version"],
            row["country"],
            VICTIM if kind == "attack" or row["is_echo"] else SOURCE,
            kind,
            row["first"],
            row["last"],
            row["packets"],
            tuple((proto_name(proto), port) for proto, port in ports),
            row["n_ports"] or 0,
            tuple(map(proto_name, row["protos"] or ())),
            tuple(row["tools"] or ()),
            known[address],
        )
