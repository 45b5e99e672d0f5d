"""What packets are told apart by: ports, countries, signatures, windows, sensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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

#: Beside a key that is a part of a stored column: the texts of that, as a list.
STORED = "stored"

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
    grouped_as : mapping of str to (str, str)
        Columns that are faster to group in another form: SQL that makes it of the
        column, and SQL that makes the column of it.
    """

    columns: Mapping[str, str]
    text: Callable[[pa.Table], pa.Array]
    name: Callable[[_Row], str | None] = lambda row: None
    only: str = "true"
    derived_from: str | None = None
    grouped_as: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def select(self) -> str:
        """The columns in a SELECT that groups by them."""
        there = {name: sql for name, (sql, _) in self.grouped_as.items()}
        columns = {**self.columns, **there}
        return ", ".join(f"{sql} as {name}" for name, sql in columns.items())

    @property
    def names(self) -> str:
        """The columns as they are stored, where they were grouped further inside."""
        made = {
            name: f"{back} as {name}" for name, (_, back) in self.grouped_as.items()
        }
        return ", ".join(made.get(name, name) for name in self.columns)

    @property
    def is_there(self) -> str:
        """SQL condition, by the columns' names: there is a key."""
        return f"{next(iter(self.columns))} is not null and {self.only}"

    def join(self, rows: pa.Table) -> tuple[str, list[Any]]:
        """Return the SQL join that keeps rows with one of these keys, and its values.

        The number of the key in `rows` is the column `nth`.

        Parameters
        ----------
        rows : pyarrow.Table, one row or more
            With the columns, and `STORED` where the key is part of a stored column.
        """
        if self.derived_from is not None:
            texts = rows[STORED].combine_chunks()
            return (
                "join (select unnest(?::varchar[]) as wanted, unnest(?::integer[]) as "
                f"nth) on {self.derived_from} = wanted",
                [
                    texts.flatten().to_pylist(),
                    pc.list_parent_indices(texts).to_pylist(),
                ],
            )
        marks = ", ".join("?" * len(self.columns))
        wanted = ", ".join(f"({marks}, {nth})" for nth in range(rows.num_rows))
        names = [f"wanted_{name}" for name in self.columns]
        equal = zip(names, self.columns.values(), strict=True)
        values = [rows[name].to_pylist() for name in self.columns]
        return (
            f"join (values {wanted}) as wanted({', '.join(names)}, nth) "
            f"on {' and '.join(f'{name} = {sql}' for name, sql in equal)}",
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
        {"src": "src", "ip_version": "ip_version"},
        _source_text,
        _country_name,
        grouped_as={"src": ("src::uuid", "src::blob")},
    ),
    "sensor": _plain("sensor"),
}
