"""What packets are told apart by: ports, countries, signatures, windows, sensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fastflow.addresses import column_to_text
from fastflow.errors import ConfigError
from fastflow.names import country_name, proto_name, service_name

#: IP protocols that have ports, and their names in keys such as `445/tcp`.
PORT_PROTOCOLS = {number: proto_name(number) for number in (6, 17, 132, 136, 33)}

#: The TCP window is the first part of a signature.
WINDOW = "split_part(signature, ':', 1)"

_Row = dict[str, Any]


@dataclass(frozen=True)
class Key:
    """How one kind of key is read from the tables and written for people.

    Attributes
    ----------
    columns : mapping of str to str
        Make up the key: their names in an answer, and what they are in SQL. The first
        is null where a row has no key.
    text : callable
        The key of each row of a table with the columns, as an array of text.
    name : callable
        What people call the key of a row, or None.
    only : str
        SQL condition on the columns of rows that have a key.
    derived_from : str or None
        The stored column that the key is a part of.
    """

    columns: Mapping[str, str]
    text: Callable[[pa.Table], pa.Array]
    name: Callable[[_Row], str | None] = lambda row: None
    only: str = "true"
    derived_from: str | None = None

    @property
    def select(self) -> str:
        """The columns in a SELECT."""
        return ", ".join(f"{sql} as {name}" for name, sql in self.columns.items())

    @property
    def names(self) -> str:
        """The columns by their names, where they were selected further inside."""
        return ", ".join(self.columns)

    @property
    def is_there(self) -> str:
        """SQL condition, by the columns' names: there is a key."""
        return f"{next(iter(self.columns))} is not null and {self.only}"

    def is_one_of(self, rows: pa.Table) -> tuple[str, list[Any]]:
        """Return the SQL condition that the key is one of these rows', and its values.

        Parameters
        ----------
        rows : pyarrow.Table, one row or more
            With the columns.
        """
        one = f"({', '.join('?' * len(self.columns))})"
        columns = ", ".join(self.columns.values())
        values = [rows[name].to_pylist() for name in self.columns]
        return (
            f"({columns}) in ({', '.join([one] * rows.num_rows)})",
            [value for row in zip(*values, strict=True) for value in row],
        )


def key_by(by: str) -> Key:
    """Return the key of this name.

    Raises
    ------
    ConfigError
        There is none.
    """
    if by not in KEYS:
        raise ConfigError(f"no key {by!r}; there are {', '.join(KEYS)}")
    return KEYS[by]


def _port_text(rows: pa.Table) -> pa.Array:
    protos = rows["proto"].to_pylist()
    names = pa.array([PORT_PROTOCOLS[proto] for proto in protos], pa.string())
    ports = rows["dst_port"].combine_chunks().cast(pa.string())
    return pc.binary_join_element_wise(ports, names, "/")


def _port_name(row: _Row) -> str | None:
    return service_name(row["dst_port"], PORT_PROTOCOLS[row["proto"]])


def _country_name(row: _Row) -> str | None:
    code = row["country"]
    return None if code is None else country_name(code)


def _source_text(rows: pa.Table) -> pa.Array:
    return column_to_text(
        rows["src"].combine_chunks(), rows["ip_version"].combine_chunks()
    )


def _plain(column: str, name: Callable[[_Row], str | None] = lambda row: None) -> Key:
    """Return the key that is the text of one column."""
    return Key({column: column}, lambda rows: rows[column].combine_chunks(), name)


_PROTOCOL_LIST = ", ".join(str(number) for number in PORT_PROTOCOLS)

#: Every key, by the name that `--by` gives it.
KEYS = {
    "port": Key(
        {"dst_port": "dst_port", "proto": "proto"},
        _port_text,
        _port_name,
        f"proto in ({_PROTOCOL_LIST})",
    ),
    "country": _plain("country", _country_name),
    "signature": _plain("signature"),
    "window": Key(
        {"tcp_window": WINDOW},
        lambda rows: rows["tcp_window"].combine_chunks(),
        derived_from="signature",
    ),
    "tool": _plain("tool"),
    "traffic": _plain("traffic"),
    "source": Key(
        {"src": "src", "ip_version": "ip_version"}, _source_text, _country_name
    ),
    "sensor": _plain("sensor"),
}
