"""What the packets of a slice have in common, and the rest of the traffic has not."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import Any, Literal

import pyarrow as pa

from fastflow.addresses import to_text
from fastflow.analysis.keys import WINDOW
from fastflow.analysis.selection import Selection
from fastflow.analysis.where import Conditions
from fastflow.errors import ConfigError
from fastflow.outcome import ScanStats
from fastflow.packets import Scan, scan
from fastflow.schema import packet_schema
from fastflow.store.query import Query
from fastflow.units import Period

#: A value that so many packets of the slice have is one that they are concentrated on,
#: if it is in so many times fewer of the others.
MAIN_SHARE = 0.5
MAIN_LIFT = 2.0

_MEMORY = "1GB"

_NETWORK = "if(ip_version = 4, left(hex(src), 30), left(hex(src), 12))"
_WINDOW_NUMBER = f"try_cast({WINDOW} as integer)"

#: Fields of the rows of `sources`, as SQL.
_OF_STORE = {
    "sensor": "sensor",
    "country": "country",
    "network": _NETWORK,
    "src": "src",
    "ip_version": "ip_version",
    "proto": "proto",
    "src_port": "src_port",
    "dst_port": "dst_port",
    "icmp_type": "icmp_type",
    "traffic": "traffic",
    "tool": "tool",
    "tcp_window": _WINDOW_NUMBER,
    "signature": "signature",
    "tcp_seq": "tcp_seq",
    "ip_ttl": "ip_ttl",
}

#: Of packets. Destinations are the sensors', and said to nobody.
_OF_PACKETS = (
    {name: sql for name, sql in _OF_STORE.items() if name != "sensor"}
    | {"tcp_window": "tcp_window"}
    | {
        name: name
        for name in (
            "ip_id",
            "ip_len",
            "ip_tos",
            "tcp_flags",
            "tcp_options",
            "tcp_mss",
            "tcp_wscale",
            "icmp_code",
            "payload_len",
        )
    }
)

#: Where all rows of one table are asked for the packets in each.
_Ask = Callable[[str, Sequence[Any]], pa.Table]
State = Literal["fixed", "concentrated", "varied"]


@dataclass(frozen=True)
class Field:
    """What one header field says of a slice.

    Attributes
    ----------
    field : str
        The packet column; `network` is the source's /24, of IPv6 the /48.
    state : str
        fixed: all packets have the value; concentrated: at least half of them, and
        twice as large a part of them as of the rest; varied: else.
    value : str, int or None
        That most packets have.
    packets : int
        How many have it.
    share : float
        Of the packets of the slice that have the value.
    elsewhere : float or None
        Of the other packets; None: there are none.
    values : int
        How many different ones are known. In a store, where packets of one row differ
        in a field, these are not.
    text : str
        The same as a sentence.
    """

    field: str
    state: State
    value: Any
    packets: int
    share: float
    elsewhere: float | None
    values: int
    text: str


@dataclass(frozen=True)
class Explanation:
    """A slice of traffic, and its fields: what tells it apart comes first.

    Attributes
    ----------
    packets, others : int
        Of the slice, and of the rest in the same time.
    captures : list of ScanStats
        What became of captures that were read for it.
    """

    packets: int
    others: int
    fields: list[Field]
    captures: list[ScanStats] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return what `explain --json` prints."""
        fields = [asdict(one) for one in self.fields]
        return {"packets": self.packets, "others": self.others, "fields": fields}


def explain_store(selection: Selection) -> Explanation:
    """Explain the rows of a store that match the filters, beside all other rows.

    Raises
    ------
    ConfigError
        The store keeps no sources.
    """
    selection.table(needs_sources=True)
    hours = selection.period_hours
    around = Conditions.of(None, hours)
    selection.add_sensors(around)
    slice_ = selection.conditions(None)

    def ask(sql: str, params: Sequence[Any]) -> pa.Table:
        return selection.ask(sql, params, hours)

    return _Slice(ask, "sources", "packets", around, slice_).explain(_OF_STORE)


def explain_captures(
    paths: Sequence[str],
    where: Mapping[str, Any] | None = None,
    period: Period | None = None,
) -> Explanation:
    """Explain the packets of captures that match the filters, beside all others.

    Parameters
    ----------
    where : mapping or None
        Column to value, as for a store; there is no sensor in a capture.
    period : Period or None
        Only packets of this time.

    Raises
    ------
    ConfigError
        A filter does not exist, or is of a store alone.
    OSError
        A capture cannot be read.
    """
    for name in ("sensor", "input"):
        if name in (where or {}):
            raise ConfigError(f"{name}: captures have none; leave --where {name} out")
    around = Conditions()
    around.add("ip_version is not null")
    if period is not None:
        around.add("ts >= ? and ts < ?", period.start, period.end)
    columns = sorted({"ts", "src"} | (_OF_PACKETS.keys() - {"network"}))
    schema = packet_schema(columns)
    scans = [scan(path, columns, strict=False) for path in paths]
    with closing(Query(_MEMORY)) as query:
        query.load("packets", pa.RecordBatchReader.from_batches(schema, _all(scans)))
        rows = "(select *, 1 as n from packets)"
        parts = _Slice(query.run, rows, "n", around, Conditions.of(where, None))
        found = parts.explain(_OF_PACKETS)
    return replace(found, captures=[one.stats for one in scans if one.stats])


def _all(scans: Sequence[Scan]) -> Iterator[pa.RecordBatch]:
    return chain.from_iterable(scans)


class _Slice:
    """Rows of a table that match conditions, among those of the same time.

    Parameters
    ----------
    weight : str
        The column that says how many packets a row stands for.
    """

    def __init__(
        self,
        ask: _Ask,
        table: str,
        weight: str,
        around: Conditions,
        slice_: Conditions,
    ) -> None:
        self._ask = ask
        self._weight = weight
        self._inside = f"from {table} where ({around}) and ({slice_})"
        self._outside = f"from {table} where ({around}) and ({slice_}) is not true"
        self._params = [*around.params, *slice_.params]

    def explain(self, fields: Mapping[str, str]) -> Explanation:
        """Return what each field says; one that no packet has says nothing."""
        total = self._total()
        main = {name: self._main(sql) for name, sql in fields.items()}
        found = {name: row for name, row in main.items() if row is not None}
        others, elsewhere = self._elsewhere(
            {name: (fields[name], row["value"]) for name, row in found.items()}
        )
        said = [
            _field(name, row, total, elsewhere[name] / others if others else None)
            for name, row in found.items()
        ]
        return Explanation(total, others, sorted(said, key=_order))

    def _total(self) -> int:
        found = self._ask(
            f"select coalesce(sum({self._weight}), 0)::bigint as n {self._inside}",
            self._params,
        )
        return int(found["n"][0].as_py())

    def _main(self, sql: str) -> dict[str, Any] | None:
        """Return the value that most packets have, the least of several."""
        rows = self._ask(
            f"with sums as (select {sql} as value, sum({self._weight})::bigint as n "
            f"{self._inside} group by value) "
            "select value, n, (select count(value) from sums) as n_values "
            "from sums where value is not null order by n desc, value limit 1",
            self._params,
        ).to_pylist()
        return rows[0] if rows else None

    def _elsewhere(
        self, values: Mapping[str, tuple[str, Any]]
    ) -> tuple[int, dict[str, int]]:
        """Return the other packets, and how many of them have each value."""
        sums = [
            f"coalesce(sum(if({sql} = ?, {self._weight}, 0)), 0)::bigint as n{number}"
            for number, (sql, _) in enumerate(values.values())
        ]
        total = f"coalesce(sum({self._weight}), 0)::bigint as total"
        (row,) = self._ask(
            f"select {', '.join([total, *sums])} {self._outside}",
            [*(value for _, value in values.values()), *self._params],
        ).to_pylist()
        others, *counts = row.values()
        return others, dict(zip(values, counts, strict=True))


def _field(
    name: str, row: Mapping[str, Any], total: int, elsewhere: float | None
) -> Field:
    share = row["n"] / total
    is_main = share >= MAIN_SHARE and share >= MAIN_LIFT * (elsewhere or 0)
    state: State = "varied"
    if row["n"] == total:
        state = "fixed"
    elif is_main:
        state = "concentrated"
    value = _value(name, row["value"])
    text = _sentence(name, state, value, row["n_values"], share, elsewhere)
    return Field(name, state, value, row["n"], share, elsewhere, row["n_values"], text)


def _value(name: str, value: Any) -> Any:
    if name == "src":
        return to_text(value)
    if name == "network":
        return _network(bytes.fromhex(value))
    return value


def _network(prefix: bytes) -> str:
    if len(prefix) == 15:
        return f"{ipaddress.IPv4Address(prefix[12:] + bytes(1))}/24"
    return f"{ipaddress.IPv6Address(prefix + bytes(10))}/48"


def _sentence(
    name: str,
    state: State,
    value: Any,
    n_values: int,
    share: float,
    elsewhere: float | None,
) -> str:
    value = "empty" if value == "" else value
    beside = "" if elsewhere is None else f" ({_percent(elsewhere)} elsewhere)"
    if state == "fixed":
        return f"{name} is {value} in all packets{beside}"
    if state == "concentrated":
        return f"{name} is {value} in {_percent(share)} of the packets{beside}"
    return f"{name} has {n_values:,} values; the first, {value}, in {_percent(share)}"


def _percent(share: float) -> str:
    """Return a share with as many digits as it takes not to say 0 or 100 wrongly."""
    if 0 < share < 0.001:
        return "under 0.1 %"
    if 0.999 < share < 1:
        return "over 99.9 %"
    return f"{share:.1%}".replace("%", " %")


def _order(one: Field) -> tuple[int, float, str]:
    """Put first what is fixed, of it what is rarest elsewhere."""
    states = ("fixed", "concentrated", "varied")
    return states.index(one.state), one.elsewhere or 0.0, one.field
