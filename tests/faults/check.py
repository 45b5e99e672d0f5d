"""What must be true of a store, whatever happened: read without fastflow.

The log is read twice, with deltalake and as the JSON that it is; the rows with pyarrow,
page checksums verified.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from fastflow.errors import FastflowError
from fastflow.store import Store

KINDS = ("counts", "sources", "backscatter", "inputs")
#: What the packets of an input's rows add up to: a column of `inputs`.
_ADD_UP_TO = {"counts": "counted", "sources": "counted", "backscatter": "backscatter"}
#: Where a capture lay and when is no part of what was counted.
_NOT_CANONICAL = {"path", "size", "mtime_ns", "supersedes"}
_ENTRY = re.compile(r"\d{20}\.json")
_LOG_FILE = re.compile(r"\d{20}(\.checkpoint.*)?\.(json|parquet)|_last_checkpoint")

#: The rows of each kind, without paths and times, sorted.
Dump = dict[str, list[str]]


class UnreadableError(Exception):
    """The store does not open, or a file of it cannot be read."""


@dataclass
class View:
    """What a store shows."""

    root: Path
    counts: pa.Table
    sources: pa.Table
    backscatter: pa.Table
    inputs: pa.Table
    files: dict[str, int]

    @property
    def ids(self) -> set[str]:
        """The inputs whose counts are in the store."""
        return {row["input"] for row in self._taken()} - self._superseded()

    def _taken(self) -> list[dict[str, Any]]:
        return [r for r in self.inputs.to_pylist() if r["status"] != "rejected"]

    def _superseded(self) -> set[str]:
        if "supersedes" not in self.inputs.column_names:
            return set()
        return set(self.inputs["supersedes"].to_pylist()) - {None}

    def problems(self) -> list[str]:
        """Return what is wrong: parts of inputs, unknown ones, double ones."""
        found = []
        rows = self._taken()
        for input_id, n in Counter(row["input"] for row in rows).items():
            if n > 1:
                found.append(f"input {input_id} is recorded {n} times")
        gone = self._superseded()
        live = [row for row in rows if row["input"] not in gone]
        for kind, column in _ADD_UP_TO.items():
            packets = _packets(getattr(self, kind))
            expected = {row["input"]: row[column] for row in live}
            found += [
                f"{kind} has rows of {input_id}, which inputs has not"
                for input_id in packets.keys() - expected.keys()
            ]
            for input_id, counted in expected.items():
                if packets.get(input_id, 0) != counted:
                    found.append(
                        f"{kind} of {input_id} add up to {packets.get(input_id, 0)}, "
                        f"{column} are {counted}"
                    )
        found += [
            f"bins of {row['input']} do not add up"
            for row in self.backscatter.to_pylist()
            if sum(row["bin_packets"]) != row["packets"]
        ]
        for row in rows:
            refused = sum(n for _, n in row["uncounted"] or ())
            if row["records"] != row["counted"] + refused:
                found.append(f"records of {row['input']} do not add up")
        return found


def _packets(table: pa.Table) -> dict[str, int]:
    if not table.num_rows:
        return {}
    sums = table.group_by("input").aggregate([("packets", "sum")])
    return dict(
        zip(sums["input"].to_pylist(), sums["packets_sum"].to_pylist(), strict=True)
    )


def exists(root: Path) -> bool:
    """Return whether any entry of a log is there."""
    log = root / "_delta_log"
    return log.is_dir() and any(_ENTRY.fullmatch(p.name) for p in log.iterdir())


def look(root: Path) -> View:
    """Read all that a store shows.

    Raises
    ------
    UnreadableError
        fastflow or deltalake do not open it; a file of the log is missing, of another
        size, or damaged.
    """
    try:
        Store(root).is_committed("nothing")
        active = _active(root)
    except (FastflowError, DeltaError, OSError) as error:
        raise UnreadableError(f"the store does not open: {error}") from error
    tables: dict[str, list[pa.Table]] = {kind: [] for kind in KINDS}
    for path, (kind, size) in sorted(active.items()):
        tables[kind].append(_read(root / path, size))
    joined = {kind: _joined(tables[kind]) for kind in KINDS}
    return View(
        root, files={path: size for path, (_, size) in active.items()}, **joined
    )


def _active(root: Path) -> dict[str, tuple[str, int]]:
    """Return the files of the newest version, as deltalake has it and as we read it."""
    actions = pa.table(DeltaTable(root).get_add_actions(flatten=True)).to_pylist()
    active = {a["path"]: (a["partition.table"], a["size_bytes"]) for a in actions}
    entries = sorted(
        path for path in (root / "_delta_log").iterdir() if _ENTRY.fullmatch(path.name)
    )
    if int(entries[0].stem) == 0:
        assert [int(path.stem) for path in entries] == list(range(len(entries)))
        if (plain := _replayed(entries)) != active:
            raise UnreadableError(f"deltalake shows {active}, the log says {plain}")
    return active


def _replayed(entries: list[Path]) -> dict[str, tuple[str, int]]:
    active: dict[str, tuple[str, int]] = {}
    for entry in entries:
        actions = [json.loads(line) for line in entry.read_text().splitlines()]
        for action in actions:
            if "remove" in action:
                active.pop(unquote(action["remove"]["path"]), None)
        for action in actions:
            if add := action.get("add"):
                active[unquote(add["path"])] = (
                    add["partitionValues"]["table"],
                    add["size"],
                )
    return active


def _read(path: Path, size: int) -> pa.Table:
    try:
        found = path.stat().st_size
        if found != size:
            raise UnreadableError(f"{path}: {found} bytes, the log says {size}")
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read()
    except (OSError, pa.ArrowException) as error:
        raise UnreadableError(f"{path}: {error}") from error


def _joined(tables: list[pa.Table]) -> pa.Table:
    if not tables:
        return pa.table({"input": pa.array([], pa.string())})
    plain = [
        table.cast(
            pa.schema(
                [
                    field.with_type(field.type.value_type)
                    if pa.types.is_dictionary(field.type)
                    else field
                    for field in table.schema
                ]
            )
        )
        for table in tables
    ]
    return pa.concat_tables(plain)


def canonical(view: View) -> Dump:
    """Return all rows without what may differ between two ways to the same counts."""
    gone = view._superseded()
    dump = {}
    for kind in KINDS:
        table: pa.Table = getattr(view, kind)
        names = [n for n in table.column_names if n not in _NOT_CANONICAL]
        table = table.select(names)
        if gone:
            table = table.filter(
                pc.invert(pc.is_in(table["input"], pa.array(sorted(gone))))
            )
        dump[kind] = sorted(repr(tuple(row.values())) for row in table.to_pylist())
    return dump


def difference(found: Dump, expected: Dump) -> str | None:
    """Return the first difference in words; None if there is none."""
    for kind in KINDS:
        lost = list((Counter(expected[kind]) - Counter(found[kind])).elements())
        more = list((Counter(found[kind]) - Counter(expected[kind])).elements())
        if lost or more:
            rows = [f"lost {row}" for row in lost[:1]]
            rows += [f"added {row}" for row in more[:1]]
            n_rows = f"{len(lost)} rows lost, {len(more)} added"
            return f"{kind}: {n_rows}: {'; '.join(rows)}"
    return None


def leftovers(view: View) -> list[str]:
    """Return files of the store's directories that are no part of it."""
    found = []
    for path in sorted(view.root.rglob("*")):
        name = str(path.relative_to(view.root))
        if path.is_dir() or name in view.files:
            continue
        if path.parent.name == "_delta_log" and _LOG_FILE.fullmatch(path.name):
            continue
        is_temporary = path.name.startswith(".") or "#" in name or "tmp" in name
        if is_temporary or path.suffix == ".parquet":
            found.append(name)
    return found


#: How a message that helps begins and what it says besides the path.
_MESSAGE = re.compile(r"fastflow: (?P<path>/[^:]*): (?P<what>.+); (?P<remedy>.+)")


def message_problem(err: str, sandbox: Path) -> str | None:
    """Return what is wrong with what was said of a fault; None: it helps."""
    if "Traceback" in err:
        return f"a traceback: {err.strip().splitlines()[-1]}"
    if "panicked" in err:
        return f"a panic: {err.strip()}"
    lines = err.strip().splitlines()
    if not lines:
        return "nothing was said"
    if len(lines) > 1:
        return f"{len(lines)} lines: {err}"
    if not lines[0].startswith("fastflow: ") or str(sandbox) not in lines[0]:
        return f"no path below the store: {lines[0]}"
    if not _MESSAGE.fullmatch(lines[0]):
        return f"no remedy: {lines[0]}"
    return None
