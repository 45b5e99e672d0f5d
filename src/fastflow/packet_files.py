"""Packets written to files: Parquet, Arrow IPC, CSV, NDJSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa

from fastflow.complete_file import complete_file
from fastflow.errors import ConfigError
from fastflow.packet_text import json_lines, text_columns

STDOUT = "-"


class PacketWriter(Protocol):
    """Takes record batches one after the other."""

    def write_batch(self, batch: pa.RecordBatch) -> object:
        """Append a batch."""
        ...


class _NdjsonWriter:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write_batch(self, batch: pa.RecordBatch) -> None:
        self._file.write(json_lines(batch))
        self._file.flush()


class _CsvWriter:
    def __init__(self, file: BinaryIO, names: list[str]) -> None:
        self._file = file
        self._file.write((",".join(names) + "\n").encode())

    def write_batch(self, batch: pa.RecordBatch) -> None:
        from pyarrow import csv

        # No value of ours holds a comma or a quote.
        options = csv.WriteOptions(include_header=False, quoting_style="none")
        csv.write_csv(text_columns(batch), self._file, options)
        self._file.flush()


class _ArrowWriter:
    """IPC files refuse dictionaries that change: strings are written plain."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._schema = _plain_schema(schema)
        self._writer = pa.ipc.new_file(file, self._schema)

    def write_batch(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch.cast(self._schema))

    def close(self) -> None:
        self._writer.close()


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema(
        [
            field.with_type(field.type.value_type)
            if pa.types.is_dictionary(field.type)
            else field
            for field in schema
        ]
    )


@contextmanager
def _parquet(file: BinaryIO, schema: pa.Schema) -> Iterator[PacketWriter]:
    from pyarrow import parquet

    with parquet.ParquetWriter(
        file, schema, compression="zstd", write_page_checksum=True
    ) as writer:
        yield writer


@contextmanager
def _arrow(file: BinaryIO, schema: pa.Schema) -> Iterator[PacketWriter]:
    writer = _ArrowWriter(file, schema)
    yield writer
    writer.close()


@contextmanager
def _csv(file: BinaryIO, schema: pa.Schema) -> Iterator[PacketWriter]:
    yield _CsvWriter(file, schema.names)


@contextmanager
def _ndjson(file: BinaryIO, schema: pa.Schema) -> Iterator[PacketWriter]:
    yield _NdjsonWriter(file)


_WRITERS: dict[str, Any] = {
    "parquet": _parquet,
    "arrow": _arrow,
    "csv": _csv,
    "ndjson": _ndjson,
}

FORMATS = tuple(_WRITERS)


def format_of(output: str, wanted: str | None) -> str:
    """Return the format: the one wanted, else by the output's ending.

    Raises
    ------
    ConfigError
        The ending is of no known format.
    """
    if wanted is not None:
        return wanted
    if output == STDOUT:
        return "ndjson"
    ending = Path(output).suffix.lstrip(".").lower()
    if ending not in FORMATS:
        raise ConfigError(
            f"{output}: no format has this ending; "
            f"say --format {'|'.join(FORMATS)}, or name the file so"
        )
    return ending


@contextmanager
def open_writer(
    output: str, file_format: str, schema: pa.Schema
) -> Iterator[PacketWriter]:
    """Write packets to a file that appears when it is complete, or to stdout.

    Parameters
    ----------
    output : str
        A path, or "-" for stdout.
    file_format : str
        One of FORMATS.
    schema : pyarrow.Schema
        Of the batches.

    Raises
    ------
    ConfigError
        The file cannot be made.
    """
    opener: Any = _WRITERS[file_format]
    if output == STDOUT:
        with opener(sys.stdout.buffer, schema) as writer:
            yield writer
        sys.stdout.buffer.flush()
        return
    with complete_file(output) as file, opener(file, schema) as writer:
        yield writer
