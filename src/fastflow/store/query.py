"""DuckDB over a store: each table is a view of the committed files.

It is imported by the first question: a reduce asks none.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from fastflow.errors import ConfigError, StoreError
from fastflow.store.attacks import ATTACKS
from fastflow.store.table import KINDS

Params = Sequence[Any] | Mapping[str, Any]
Batches = Generator[pa.RecordBatch, None, None]

#: Columns that a view shows under another name.
_RENAMED = {"inputs": {"input": "id"}}
#: A question takes some more than this, and goes to disk for the rest; it is seldom
#: slower. `set memory_limit = '8GB'; select ...` asks with another one.
_MEMORY = "1500MB"
_HUGEINT = pa.decimal128(38, 0)


def view_schema(kind: str) -> pa.Schema:
    """Return the columns of a view."""
    names = _RENAMED.get(kind, {})
    return pa.schema([f.with_name(names.get(f.name, f.name)) for f in KINDS[kind]])


class Query:
    """One in-memory DuckDB with the views of the tables, and `attacks`.

    Parameters
    ----------
    memory : str
        What it may take before it goes to disk.
    """

    def __init__(self, memory: str = _MEMORY) -> None:
        import duckdb

        spill = Path(tempfile.gettempdir()) / f"fastflow-{secrets.token_hex(8)}"
        self._connection = duckdb.connect(
            config={
                # Extensions are downloads, and Python's variables are no tables.
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "python_enable_replacements": False,
                "temp_directory": str(spill),
                "memory_limit": memory,
            }
        )
        self._connection.execute("SET TimeZone = 'UTC'")
        for kind, schema in KINDS.items():
            self._connection.register(f"empty_{kind}", schema.empty_table())

    def close(self) -> None:
        """Let go of memory, and of what was put on disk meanwhile."""
        self._connection.close()

    def show(self, files: Mapping[str, Sequence[Path]]) -> None:
        """Let the views show these files, of each kind."""
        for kind, paths in files.items():
            names = _RENAMED.get(kind, {})
            columns = ", ".join(
                f'"{name}" as {names[name]}' if name in names else f'"{name}"'
                for name in KINDS[kind].names
            )
            rows = f"empty_{kind}"
            if paths:
                literals = ", ".join(_literal(path) for path in paths)
                rows = (
                    f"read_parquet([{literals}], hive_partitioning = false, "
                    f"schema = {self._columns_of(kind)})"
                )
            with _duckdb_errors():
                self._connection.execute(
                    f"create or replace temp view {kind} as "
                    f"select {columns} from {rows}"
                )
        if "backscatter" in files:
            with _duckdb_errors():
                self._connection.execute(
                    f"create or replace temp view attacks as {ATTACKS}"
                )

    def _columns_of(self, kind: str) -> str:
        """Return the columns of a table for `read_parquet`.

        Without them DuckDB takes those of the first file for all. With them, a column
        that a file of an older fastflow lacks is null, and no file is opened before a
        query needs it.
        """
        empty = self._connection.table(f"empty_{kind}")
        columns = [
            f"'{name}': {{name: '{name}', type: '{dtype}', default_value: null}}"
            for name, dtype in zip(empty.columns, empty.types, strict=True)
        ]
        return f"map {{{', '.join(columns)}}}"

    def load(self, name: str, reader: pa.RecordBatchReader) -> None:
        """Make a table of rows that come once; they may go to disk.

        What goes wrong with their source is raised as it is.
        """
        self._connection.register("loaded", reader)
        self._connection.execute(f"create temp table {name} as select * from loaded")
        self._connection.unregister("loaded")

    def execute(self, statement: str, params: Params | None = None) -> None:
        """Run a statement of ours that returns no rows: one that makes a table."""
        with _store_errors():
            self._connection.execute(statement, params)

    def stream(self, query: str, params: Params | None = None) -> Batches:
        """Run one statement of ours and yield its rows as they come.

        Raises
        ------
        StoreError
            A file of the store is missing or damaged, or memory or disk ran out.
        """
        with _store_errors():
            relation = self._connection.sql(query, params=params)
            yield from pa.RecordBatchReader.from_stream(relation)

    def run(self, query: str, params: Params | None = None) -> pa.Table:
        """Run one statement.

        Raises
        ------
        ConfigError
            DuckDB does not take the statement.
        StoreError
            A file of the store is missing or damaged, or memory or disk ran out.
        """
        with _duckdb_errors():
            relation = self._connection.sql(query, params=params)
            if relation is None:
                raise ConfigError("the SQL is empty, or returns no rows")
            return _narrow(relation.to_arrow_table())


@contextmanager
def _duckdb_errors() -> Iterator[None]:
    import duckdb

    try:
        yield
    except (duckdb.OperationalError, duckdb.InternalError) as error:
        raise StoreError(f"the query failed: {_one_line(error)}") from error
    except duckdb.Error as error:
        raise ConfigError(f"SQL: {_one_line(error)}") from error


@contextmanager
def _store_errors() -> Iterator[None]:
    """Blame the store: the statement is right."""
    import duckdb

    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise StoreError(f"cannot read the store: {_one_line(error)}") from error


def _literal(path: Path) -> str:
    """Return a path as SQL text that DuckDB takes for one file, not for a pattern."""
    text = "".join(f"[{c}]" if c in "*?[" else c for c in str(path))
    return "'" + text.replace("'", "''") + "'"


def _narrow(table: pa.Table) -> pa.Table:
    """Turn DuckDB's sums (hugeint, in Arrow a decimal) into int64 where they fit."""
    for index, field in enumerate(table.schema):
        if field.type == _HUGEINT:
            try:
                column = table.column(index).cast(pa.int64())
            except pa.ArrowInvalid:
                continue
            table = table.set_column(index, field.with_type(pa.int64()), column)
    return table


def _one_line(error: Exception) -> str:
    """Return DuckDB's message without the drawing of the place in the text."""
    return " ".join(str(error).split("\n\nLINE ")[0].split())
