"""`fastflow events`: what changed in the traffic."""

from __future__ import annotations

from typing import Any

import click

from fastflow.cli.common import json_option, print_json, print_table
from fastflow.cli.question import (
    echo_remarks,
    selection,
    selection_options,
    where_option,
)


@click.command("events")
@selection_options
@where_option
@click.option(
    "-n",
    "limit",
    type=click.IntRange(min=1),
    default=None,
    help="Number of events; default: all.",
)
@json_option
def command(limit: int | None, as_json: bool, **selected: Any) -> None:
    """Find what changed: surges, trends, bursts with fixed fields, newcomers.

    Each event is told once, with the traffic that explains it, the largest first. What
    the store has before the period is what the period is compared with.
    """
    from fastflow.analysis.events.find import events

    chosen = selection(**selected)
    found = events(chosen, limit)
    echo_remarks(chosen)
    if as_json:
        print_json(found)
        return
    print_table(
        ["rank", "kind", "start", "end", "packets", "sources", "what"],
        [
            [
                row["rank"],
                row["kind"],
                row["start"][:16],
                row["end"][:16],
                row["packets"],
                row["sources"],
                row["text"],
            ]
            for row in found
        ],
    )
