"""Rows written to files: Parquet, Arrow IPC, CSV; packets also NDJSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa

from fastflow.complete_file import complete_file
from fastflow.errors import ConfigError
from fastflow.row_text import json_lines, text_columns

STDOUT = "-"


class RowWriter(Protocol):
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
    """Texts in quotes where they may hold anything, as in a store; null is empty."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._file = file
        # Texts of packets come from a list of ours, and hold neither comma nor quote.
        is_free = any(pa.types.is_string(kind) for kind in schema.types)
        self._quoting = "needed" if is_free else "none"
        self._file.write((",".join(schema.names) + "\n").encode())

    def write_batch(self, batch: pa.RecordBatch) -> None:
        from pyarrow import csv

        options = csv.WriteOptions(include_header=False, quoting_style=self._quoting)
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
def _parquet(file: BinaryIO, schema: pa.Schema) -> Iterator[RowWriter]:
    from pyarrow import parquet

    with parquet.ParquetWriter(
        file, schema, compression="zstd", write_page_checksum=True
    ) as writer:
        yield writer


@contextmanager
def _arrow(file: BinaryIO, schema: pa.Schema) -> Iterator[RowWriter]:
    writer = _ArrowWriter(file, schema)
    yield writer
    writer.close()


@contextmanager
def _csv(file: BinaryIO, schema: pa.Schema) -> Iterator[RowWriter]:
    yield _CsvWriter(file, schema)


@contextmanager
def _ndjson(file: BinaryIO, schema: pa.Schema) -> Iterator[RowWriter]:
    yield _NdjsonWriter(file)


_WRITERS: dict[str, Any] = {
    "parquet": _parquet,
    "arrow": _arrow,
    "csv": _csv,
    "ndjson": _ndjson,
}

FORMATS = tuple(_WRITERS)


def format_of(
    output: str,
    wanted: str | None,
    formats: Sequence[str] = FORMATS,
    on_stdout: str = "ndjson",
) -> str:
    """Return the format: the one wanted, else by the output's ending.

    Parameters
    ----------
    formats : sequence of str
        Those to choose from.
    on_stdout : str
        The format on stdout, where none is wanted.

    Raises
    ------
    ConfigError
        The ending, or what was wanted, is no format.
    """
    names = "|".join(formats)
    if wanted is not None:
        if wanted not in formats:
            raise ConfigError(f"{wanted}: no such format; there are {names}")
        return wanted
    if output == STDOUT:
        return on_stdout
    ending = Path(output).suffix.lstrip(".").lower()
    if ending not in formats:
        raise ConfigError(
            f"{output}: no format has this ending; "
            f"say --format {names}, or name the file so"
        )
    return ending


@contextmanager
def open_writer(
    output: str, file_format: str, schema: pa.Schema
) -> Iterator[RowWriter]:
    """Write rows to a file that appears when it is complete, or to stdout.

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
    FastflowError
        It cannot be written to its end; nothing stays of it.
    """
    opener: Any = _WRITERS[file_format]
    if output == STDOUT:
        with opener(sys.stdout.buffer, schema) as writer:
            yield writer
        sys.stdout.buffer.flush()
        return
    with complete_file(output) as file, opener(file, schema) as writer:
        yield writer
