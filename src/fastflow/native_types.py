"""What the compiled core's tables say of a column, as types."""

from __future__ import annotations

from typing import TypedDict


class Field(TypedDict):
    """A packet column; a row of native/include/fastflow/ff_fields.h.

    `arrow` is the Arrow C data interface's format of the values (of the codes, for a
    dictionary column); columns with the same `layer` are null together, 0 is never.
    """

    name: str
    arrow: str
    unit: str
    source: str
    width_bytes: int
    dictionary: str | None
    layer: int
    derived: bool


class RowField(TypedDict):
    """A column that a roll-up fills."""

    name: str
    arrow: str
    width_bytes: int
    dictionary: str | None
    nullable: bool


class Header(TypedDict, total=False):
    """What a capture's beginning says; `snaplen` in bytes; keys by format."""

    format: str
    version: str
    linktype: int
    snaplen: int
    nanoseconds: bool
    swapped: bool
    interfaces: int
