"""Rows as text, of packets and of a store; packets as NDJSON, one object a line."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

from fastflow.addresses import column_to_text

_ADDRESSES = ("src", "dst")


def text_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch with addresses, times, maps, lists and dictionaries as text.

    Addresses are written after RFC 5952, IPv4 dotted; times in ISO 8601, UTC, as fine
    as their type, the column `hour` to the second; maps in JSON, by key; lists with
    spaces between their values.
    """
    versions = _ip_versions(batch)
    names = batch.schema.names
    columns = [_text(batch.column(name), name, versions) for name in names]
    return pa.RecordBatch.from_arrays(columns, names=names)


def _ip_versions(batch: pa.RecordBatch) -> pa.Array | None:
    """Return the column that tells ::ffff:0:0/96 of IPv6 from IPv4, if it is there."""
    has_versions = "ip_version" in batch.schema.names
    return batch.column("ip_version") if has_versions else None


def _text(column: pa.Array, name: str, versions: pa.Array | None) -> pa.Array:
    if name in _ADDRESSES:
        return column_to_text(column, versions)
    if pa.types.is_timestamp(column.type):
        if name == "hour":
            column = column.cast(pa.timestamp("s", column.type.tz))
        # "2020-08-01 00:00:00.000000000Z" but for the letter between date and time.
        return pc.replace_substring(
            column.cast(pa.string()), " ", "T", max_replacements=1
        )
    if pa.types.is_dictionary(column.type):
        return column.dictionary_decode()
    if pa.types.is_map(column.type):
        return pa.array([_map_text(value) for value in column.to_pylist()], pa.string())
    if pa.types.is_list(column.type):
        texts = column.cast(pa.list_(pa.string()))
        return pc.binary_join(texts, " ")
    return column


def _map_text(pairs: list[tuple[str, int]] | None) -> str | None:
    return None if pairs is None else json.dumps(dict(pairs), sort_keys=True)


def json_lines(batch: pa.RecordBatch) -> bytes:
    """Return a batch as NDJSON: an object a packet, null where a value is null."""
    if batch.num_rows == 0:
        return b""
    pieces: list[pa.Array | pa.Scalar] = []
    lead = "{"
    for name, column in zip(batch.schema.names, text_columns(batch), strict=True):
        pieces += [pa.scalar(f'{lead}"{name}":'), _json_values(column)]
        lead = ","
    pieces.append(pa.scalar("}\n"))
    lines = pc.binary_join_element_wise(
        *pieces, "", null_handling="replace", null_replacement="null"
    )
    # The values of a string column lie one after the other: that is the text.
    offsets = memoryview(lines.buffers()[1]).cast("i")
    begin, end = offsets[lines.offset], offsets[lines.offset + len(lines)]
    return memoryview(lines.buffers()[2])[begin:end].tobytes()


def _json_values(column: pa.Array) -> pa.Array:
    """Return a column as JSON values; none of our texts needs an escape."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        quote = pa.scalar('"')
        return pc.binary_join_element_wise(quote, column.cast(pa.string()), quote, "")
    return column.cast(pa.string())
