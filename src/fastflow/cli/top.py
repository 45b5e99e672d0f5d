"""`fastflow top`: what was seen most."""

from __future__ import annotations

from typing import Any

import click

from fastflow.cli.common import json_option, print_json, print_table
from fastflow.cli.question import (
    by_option,
    echo_remarks,
    per_address_option,
    selection,
    selection_options,
    where_option,
)


@click.command("top")
@by_option
@selection_options
@where_option
@click.option(
    "-n",
    "limit",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Number of ranks.",
)
@per_address_option
@json_option
def command(
    by: str, limit: int, per_address: bool, as_json: bool, **selected: Any
) -> None:
    """Rank ports, countries, signatures, windows, tools or sources by packets.

    The share is of all packets that match the filters. The previous rank is that in
    the period of the same kind just before, if among its first ten.
    """
    from fastflow.analysis.rank import top

    chosen = selection(**selected)
    rows = top(chosen, by, limit, per_address)
    echo_remarks(chosen)
    if as_json:
        print_json(rows)
        return
    rate = ["per address and day"] if per_address else []
    print_table(
        ["rank", by, "name", "packets", "sources", "share", "previous", *rate],
        [
            [
                row["rank"],
                row["key"],
                row["name"],
                row["packets"],
                row["sources"],
                f"{row['share']:.1%}",
                row["previous_rank"],
                *([row["per_address_day"]] if per_address else []),
            ]
            for row in rows
        ],
    )
