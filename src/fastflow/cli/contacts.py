"""`fastflow contacts`: whom to tell of an event."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from fastflow.cli.common import json_option, one_of, print_json_text, print_table
from fastflow.cli.holders import HolderOptions, echo_holders, holder_options
from fastflow.cli.question import (
    echo_remarks,
    selection,
    selection_options,
    where_option,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

    from fastflow.contacts.find import Contact


@click.command("contacts")
@selection_options
@where_option
@click.option(
    "--event",
    "rank",
    type=click.IntRange(min=1),
    metavar="RANK",
    help="Only the event of this rank in `fastflow events` with the same options.",
)
@click.option(
    "-n",
    "limit",
    type=click.IntRange(min=1),
    help="Number of addresses, those with the most packets; default: all.",
)
@holder_options
@click.option(
    "--format",
    "file_format",
    type=click.Choice(("csv", "intelmq", "stix")),
    help="CSV, events of IntelMQ as JSON lines, or a bundle of STIX 2.1; default "
    "with -o: csv.",
)
@click.option("-o", "--output", metavar="FILE", help="Write a file, and not to stdout.")
@json_option
def command(
    rank: int | None,
    limit: int | None,
    holder_options: HolderOptions,
    file_format: str | None,
    output: str | None,
    as_json: bool,
    **selected: Any,
) -> None:
    """List the sources of an event, or of what matches, and whom to tell of them.

    With each address: country, network, holder and abuse contact, as far as --holders
    and --rdap tell; first and last hour, packets, ports and tools. The sources of
    backscatter are victims of attacks, and listed as such. Sensors are not named.

    \b
    fastflow contacts --store counts/ --period 2020-Q3 --event 2 --rdap -o nz.csv
    fastflow contacts --store counts/ --where tool=mirai --where country=JP \\
        --holders asn.mmdb --format intelmq
    """  # noqa: D301
    one_of({"--json": as_json, "--format": file_format})
    one_of({"--json": as_json, "-o": output})
    from fastflow.contacts.find import event_of_rank, find_contacts
    from fastflow.contacts.write import json_pieces, pieces, write_file

    holders = holder_options.open()
    chosen = selection(**selected)
    echo_remarks(chosen)
    event = None if rank is None else event_of_rank(chosen, rank)
    found = find_contacts(chosen, holders, event, limit)
    if as_json:
        print_json_text(json_pieces(found, chosen.zone))
    elif output:
        write_file(pieces(found, file_format or "csv", chosen.zone), output)
    elif file_format:
        sys.stdout.writelines(pieces(found, file_format, chosen.zone))
    else:
        _print_table(found, chosen.zone)
    echo_holders(holders)


def _print_table(found: Iterable[Contact], zone: tzinfo) -> None:
    names = ["address", "role", "country", "holder", "abuse contact"]
    times = ["first hour", "last hour"]
    print_table(
        [*names, *times, "packets", "ports", "tools"],
        [
            [
                one.address,
                one.role,
                one.country,
                one.holder.name,
                one.holder.abuse,
                f"{one.first.astimezone(zone):%Y-%m-%d %H:%M}",
                f"{one.last.astimezone(zone):%Y-%m-%d %H:%M}",
                one.packets,
                " ".join(one.port_texts),
                " ".join(one.tools),
            ]
            for one in found
        ],
    )
