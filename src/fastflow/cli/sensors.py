"""`fastflow sensors`: the sensors, and the hours that are missing."""

from __future__ import annotations

from typing import Any

import click

from fastflow.cli.common import echo_error, json_option, print_json, print_table
from fastflow.cli.question import selection, selection_options


@click.command("sensors")
@selection_options
@click.option("--gaps", "only_gaps", is_flag=True, help="List the gaps, one by one.")
@json_option
def command(only_gaps: bool, as_json: bool, **selected: Any) -> None:
    """Say what is known of each sensor: addresses, hours on the air, gaps, packets.

    An input covers the hours from its first packet to its last. An hour at which a
    sensor was on the air, by sensors.toml, and which no input covers, is a gap:

    \b
    [tokyo-1]
    country = "JP"
    addresses = 16
    on_air = [
      { from = 2019-01-01, until = 2020-02-01T05:00:00Z, addresses = 8 },
      { from = 2020-04-01 },
    ]

    Days are those of UTC, until is the first moment off the air, and addresses are
    those of the sensor, unless a time on the air says otherwise.
    """  # noqa: D301
    from fastflow.analysis.network import gaps, sensors, strangers

    chosen = selection(**selected)
    rows = gaps(chosen) if only_gaps else sensors(chosen)
    for line in strangers(chosen):
        echo_error(line)
    if as_json:
        print_json(rows)
    else:
        names = list(rows[0]) if rows else ["sensor"]
        print_table(
            [name.replace("_", " ") for name in names],
            [list(row.values()) for row in rows],
        )
