"""Arrow schemas: what a packet, a count, a source and an input look like.

The packet columns come from the native table (`native/include/fastflow/ff_fields.h`);
the store's tables are written here and nowhere else. Delta Lake has no unsigned
integers, so each stored type is the next wider signed one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import pyarrow as pa

from fastflow import _core
from fastflow.errors import ConfigError
from fastflow.native_types import Field

Status = Literal["complete", "truncated", "damaged", "rejected", "duplicate", "skipped"]

TIMESTAMP = pa.timestamp("us", tz="UTC")

_ARROW_TYPES = {
    "C": pa.uint8(),
    "S": pa.uint16(),
    "I": pa.uint32(),
    "s": pa.int16(),
    "i": pa.int32(),
    "l": pa.int64(),
    "tsn:UTC": pa.timestamp("ns", tz="UTC"),
    "tsu:UTC": TIMESTAMP,
    "w:16": pa.binary(16),
    "w:24": pa.binary(24),
}

#: The column that a stage adds to packets, where their source is registered.
COUNTRY = pa.field("country", pa.dictionary(pa.int32(), pa.string()))

#: Every packet column of the native table, by name, in its order.
FIELDS: dict[str, Field] = {field["name"]: field for field in _core.fields()}

#: What a scan yields unless it is told otherwise.
DEFAULT_COLUMNS = tuple(name for name, f in FIELDS.items() if not f["derived"])

#: Every name that a scan can be asked for.
PACKET_COLUMNS = (*FIELDS, COUNTRY.name)


def names_of_trouble() -> dict[str, tuple[tuple[str, str, str], ...]]:
    """Return every name of something wrong: (name, what follows from it, text)."""
    return {
        "capture": _core.FAULTS[1:],
        "packet": _core.STATES,
        "record": _core.REASONS,
        "input": _core.FLAGS,
    }


def arrow_type(arrow: str, dictionary: str | None) -> pa.DataType:
    """Return the type of a native column from its format and dictionary."""
    values = _ARROW_TYPES[arrow]
    return values if dictionary is None else pa.dictionary(values, pa.string())


def packet_schema(columns: Sequence[str] = DEFAULT_COLUMNS) -> pa.Schema:
    """Return the schema of a scan's record batches.

    Raises
    ------
    ConfigError
        A name is no packet column, or stands twice.
    """
    return pa.schema([_packet_field(name) for name in check_columns(columns)])


def check_columns(columns: Sequence[str]) -> Sequence[str]:
    """Return the columns as they are, or raise ConfigError."""
    for name in columns:
        if name not in PACKET_COLUMNS:
            names = ", ".join(PACKET_COLUMNS)
            raise ConfigError(f"{name}: no such packet column; there are {names}")
    if len(set(columns)) < len(columns):
        raise ConfigError(f"{', '.join(columns)}: a column is named twice")
    return columns


def _packet_field(name: str) -> pa.Field:
    if name == COUNTRY.name:
        return COUNTRY
    field = FIELDS[name]
    kind = arrow_type(field["arrow"], field["dictionary"])
    return pa.field(name, kind, nullable=bool(field["layer"]))


_CELL = [
    pa.field("hour", TIMESTAMP, nullable=False),
    pa.field("sensor", pa.string(), nullable=False),
    pa.field("proto", pa.int16(), nullable=False),
    pa.field("dst_port", pa.int32()),
    pa.field("icmp_type", pa.int16()),
    pa.field("country", pa.string()),
    pa.field("traffic", pa.string(), nullable=False),
    pa.field("signature", pa.string()),
    pa.field("tool", pa.string()),
]
_SIZE = [
    pa.field("packets", pa.int64(), nullable=False),
    pa.field("bytes", pa.int64(), nullable=False),
]
_INPUT = pa.field("input", pa.string(), nullable=False)

#: One row per cell and input. `sources` is exact, and never to be added up.
COUNTS = pa.schema(
    [*_CELL, *_SIZE, pa.field("sources", pa.int64(), nullable=False), _INPUT]
)

#: The value that all packets of a row share, null where they differ or any of them
#: lacks it.
_SHARED = [
    pa.field("src_port", pa.int32()),
    pa.field("tcp_seq", pa.int64()),
    pa.field("ip_ttl", pa.int16()),
]

#: One row per cell and source address. `tcp_seq_key` is what the sequence numbers of a
#: tool's packets have in common where they differ (`ff_tool_seq_key` in ff_tool.h).
SOURCES = pa.schema(
    [
        *_CELL,
        pa.field("src", pa.binary(), nullable=False),
        pa.field("ip_version", pa.int16(), nullable=False),
        *_SIZE,
        *_SHARED,
        pa.field("tcp_seq_key", pa.int32()),
        _INPUT,
    ]
)

#: One row per input, victim (`src`) and hour: what the victims of attacks answer.
#: `bins` are 10 seconds long and numbered from 1970 UTC on, `bin_packets` is beside
#: them; `ports` are the least 16 of the victim's.
BACKSCATTER = pa.schema(
    [
        pa.field("hour", TIMESTAMP, nullable=False),
        pa.field("sensor", pa.string(), nullable=False),
        pa.field("country", pa.string()),
        pa.field("src", pa.binary(), nullable=False),
        pa.field("ip_version", pa.int16(), nullable=False),
        pa.field("packets", pa.int64(), nullable=False),
        pa.field("bins", pa.list_(pa.int32()), nullable=False),
        pa.field("bin_packets", pa.list_(pa.int64()), nullable=False),
        pa.field("ports", pa.list_(pa.int32()), nullable=False),
        *_SHARED,
        pa.field("tcp_window", pa.int32()),
        _INPUT,
    ]
)

_COUNTERS = pa.map_(pa.string(), pa.int64())

#: One row per capture taken in or refused; `input` is its id.
INPUTS = pa.schema(
    [
        _INPUT,
        pa.field("supersedes", pa.string()),
        pa.field("part_of", pa.string()),
        pa.field("head", pa.string()),
        pa.field("path", pa.string(), nullable=False),
        pa.field("size", pa.int64()),
        pa.field("mtime_ns", pa.int64()),
        pa.field("sensor", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("offset", pa.int64()),
        pa.field("first_packet", TIMESTAMP),
        pa.field("last_packet", TIMESTAMP),
        pa.field("records", pa.int64(), nullable=False),
        pa.field("counted", pa.int64(), nullable=False),
        pa.field("uncounted", _COUNTERS),
        pa.field("flags", _COUNTERS),
        pa.field("dropped", pa.int64()),
        pa.field("country_table", pa.string()),
        pa.field("country_date", pa.string()),
        pa.field("rules", pa.string()),
        pa.field("version", pa.string(), nullable=False),
        pa.field("backscatter", pa.int64()),
    ]
)


#: The tables that hold rows of inputs, and what one row of each is.
ROW_TABLES = {"counts": COUNTS, "sources": SOURCES, "backscatter": BACKSCATTER}


def row_schema(table: str) -> pa.Schema:
    """Return the schema of a table of rows, texts encoded by dictionaries."""
    return pa.schema([_encoded(field) for field in ROW_TABLES[table]])


def _encoded(field: pa.Field) -> pa.Field:
    if field.type != pa.string():
        return field
    return field.with_type(pa.dictionary(pa.int32(), pa.string()))


@dataclass(slots=True)
class InputRecord:
    """What became of one capture; a row of `inputs`.

    Attributes
    ----------
    input : str
        The capture's id: size and BLAKE3 hash of its decompressed bytes.
    supersedes : str or None
        The ids of inputs whose bytes this one begins with, separated by spaces: their
        counts were taken out when it came.
    part_of : str or None
        The id of an input that came before it and begins with its bytes: it adds no
        counts.
    head : str or None
        Hash of its bytes up to the end of the first packet's record.
    size, mtime_ns : int or None
        Of the file as it lies on disk (bytes, nanoseconds); null for a stream.
    offset : int or None
        Where the damage lies, in decompressed bytes; null when complete.
    first_packet, last_packet : int or None
        Earliest and latest plausible packet time, microseconds since 1970 UTC.
    uncounted, flags : dict[str, int]
        Records not counted, by reason; oddities of the input, by name.
    backscatter : int or None
        Packets that are in the table `backscatter`; set when they are stored.
    """

    input: str
    path: str
    sensor: str
    status: Status
    version: str
    reason: str | None = None
    offset: int | None = None
    records: int = 0
    counted: int = 0
    uncounted: dict[str, int] = field(default_factory=dict)
    flags: dict[str, int] = field(default_factory=dict)
    first_packet: int | None = None
    last_packet: int | None = None
    size: int | None = None
    mtime_ns: int | None = None
    dropped: int | None = None
    supersedes: str | None = None
    part_of: str | None = None
    head: str | None = None
    country_table: str | None = None
    country_date: str | None = None
    rules: str | None = None
    backscatter: int | None = None

    def to_row(self) -> dict[str, Any]:
        """Return the record as a row of `INPUTS`."""
        row = asdict(self)
        row["uncounted"] = sorted(self.uncounted.items())
        row["flags"] = sorted(self.flags.items())
        return row

    def to_json(self) -> dict[str, Any]:
        """Return what `reduce --json` prints of an input."""
        return {
            "path": self.path,
            "id": self.input,
            "sensor": self.sensor,
            "status": self.status,
            "reason": self.reason,
            "offset": self.offset,
            "records": self.records,
            "counted": self.counted,
            "uncounted": self.uncounted,
            "flags": self.flags,
        }


@dataclass(frozen=True)
class Beginnings:
    """What tells that a capture goes on where another one ended.

    Attributes
    ----------
    head : str or None
        Hash up to the end of the first packet's record; None without one.
    ids : dict[int, str]
        The id that the first n bytes would have, for some n.
    """

    head: str | None = None
    ids: Mapping[int, str] = field(default_factory=dict)


class RowReader(Protocol):
    """Rows of one table, from their beginning on."""

    @property
    def is_at_end(self) -> bool:
        """Whether no rows are left; known at the latest when fewer came than wanted."""
        ...

    def read(self, rows: int) -> pa.RecordBatch:
        """Return the next rows, at most so many; none where there are none.

        Texts are dictionary-encoded by first appearance in the batch (`row_schema`).
        """
        ...


class Rows(Protocol):
    """What one input adds to the store, in canonical order; read any number of times.

    Attributes
    ----------
    n_cells : int
        At least as many as there are rows of either table; 0 if there are none.
    """

    @property
    def n_cells(self) -> int:
        """No fewer than the rows of either table."""
        ...

    def read(self, table: str) -> RowReader:
        """Return a reader over a table of `ROW_TABLES`; any thread may ask for one."""
        ...

    def close(self) -> None:
        """Let go of memory; nothing is read any more."""
        ...


@dataclass
class Reduced:
    """One capture, reduced: its record and the rows it adds to the store, if any."""

    record: InputRecord
    rows: Rows | None = None
    beginnings: Beginnings = field(default_factory=Beginnings)

    @property
    def n_cells(self) -> int:
        """No fewer than the rows of either table."""
        return 0 if self.rows is None else self.rows.n_cells

    def close(self) -> None:
        """Let go of the rows."""
        if self.rows is not None:
            self.rows.close()
            self.rows = None
