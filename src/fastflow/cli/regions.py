"""`fastflow regions`: what sets the traffic of each source region apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fastflow.cli.common import json_option, print_json, print_table
from fastflow.cli.question import (
    echo_remarks,
    selection,
    selection_options,
    where_option,
)

if TYPE_CHECKING:
    from fastflow.analysis.regions import PortShare


@click.command("regions")
@selection_options
@where_option
@click.option(
    "-n",
    "limit",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Number of regions.",
)
@click.option(
    "--ports",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Number of ports of each.",
)
@json_option
def command(limit: int, ports: int, as_json: bool, **selected: Any) -> None:
    """Compare each source region's mix of ports with that of all others.

    Of each of the first regions its first ports: their share of the region's packets,
    of all others' packets, and the difference with its 95 % interval, which takes days
    for what varies. `differs` is written where the shares are different in view of how
    many are compared, and `course` where the packets went another way over time than
    the others' on this port.

    \b
    fastflow regions --store counts/ --period 2020-Q3 --tz Asia/Tokyo --sensors JP
    """  # noqa: D301
    from fastflow.analysis.regions import regions

    chosen = selection(**selected)
    found = regions(chosen, limit, ports)
    echo_remarks(chosen)
    if as_json:
        print_json([region.to_json() for region in found])
        return
    print_table(
        ["region", "port", "packets", "share", "elsewhere", "difference", "", ""],
        [[region.country, *_row(port)] for region in found for port in region.ports],
    )


def _row(port: PortShare) -> list[Any]:
    interval = None
    if port.difference is not None:
        interval = f"{port.difference:+.1%} ({port.low:+.1%} to {port.high:+.1%})"
    return [
        port.port,
        port.packets,
        f"{port.share:.1%}",
        None if port.elsewhere is None else f"{port.elsewhere:.1%}",
        interval,
        "differs" if port.differs else "",
        "course" if port.course_differs else "",
    ]
