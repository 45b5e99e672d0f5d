"""Stores as older versions of fastflow made them: without columns that came later."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def without_columns(root: Path, columns: Collection[str]) -> None:
    """Take columns out of a store's files and of its Delta schema, as if never there.

    Statistics of files stay as they are, but for their sizes.
    """
    for path in root.glob("table=*/*.parquet"):
        table = pq.read_table(path, partitioning=None)
        kept = [name for name in table.column_names if name not in columns]
        pq.write_table(table.select(kept), path, write_page_checksum=True)

    def change(action: dict[str, Any]) -> None:
        if "add" in action:
            action["add"]["size"] = (root / action["add"]["path"]).stat().st_size
        if "metaData" in action:
            schema = json.loads(action["metaData"]["schemaString"])
            fields = schema["fields"]
            schema["fields"] = [f for f in fields if f["name"] not in columns]
            action["metaData"]["schemaString"] = json.dumps(schema)

    change_log(root, change)


def of_version(root: Path, version: int) -> None:
    """Let a store say that it has another schema version."""

    def change(action: dict[str, Any]) -> None:
        if "metaData" in action:
            configuration = action["metaData"]["configuration"]
            settings = json.loads(configuration["fastflow.settings"])
            settings["schema_version"] = version
            configuration["fastflow.settings"] = json.dumps(settings)

    change_log(root, change)


def change_log(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change every action of the Delta log; its entries have no checksums then."""
    for entry in (root / "_delta_log").glob("*.json"):
        actions = [json.loads(line) for line in entry.read_text().splitlines()]
        actions = [
            action for action in actions if not action.keys() & {"commitInfo", "txn"}
        ]
        for action in actions:
            change(action)
        entry.write_text("".join(json.dumps(action) + "\n" for action in actions))
