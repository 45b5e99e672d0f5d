"""`fastflow explain`: what some traffic has in common, and the rest has not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fastflow.cli.common import echo_error, json_option, print_json, print_table
from fastflow.cli.question import (
    echo_remarks,
    selection,
    selection_options_of_either,
    where_option,
)
from fastflow.errors import exit_code

if TYPE_CHECKING:
    from fastflow.analysis.explain import Explanation


@click.command("explain")
@click.argument("captures", nargs=-1, metavar="[CAPTURE]...")
@selection_options_of_either
@where_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    captures: tuple[str, ...],
    store_url: str | None,
    period: str | None,
    tz: str,
    sensors: list[str] | None,
    sensors_file: str | None,
    where: dict[str, str],
    as_json: bool,
) -> None:
    """Say which header fields of some traffic stayed fixed, or nearly.

    The traffic is that of a store, or of captures that are read again, in a period, as
    far as it matches --where. Each field is compared with the rest of the traffic of
    the same time: a value that is everywhere explains nothing. A store knows the
    fields that it keeps; captures have all of them.

    \b
    fastflow explain --store counts/ --period 2020-08-30 --where country=NZ
    fastflow explain attack.pcap.gz --where dst_port=23
    """  # noqa: D301
    if bool(captures) == bool(store_url):
        raise click.UsageError("name captures, or --store URL, and not both")
    from fastflow.analysis.explain import explain_captures, explain_store

    if store_url is not None:
        chosen = selection(store_url, period, tz, sensors, sensors_file, where)
        echo_remarks(chosen)
        _print(explain_store(chosen), as_json)
        return
    from fastflow.outcome import messages
    from fastflow.sources.find import find_captures
    from fastflow.units import Period
    from fastflow.zones import time_zone

    paths = [capture.path for capture in find_captures(captures)]
    within = None if period is None else Period.parse(period, time_zone(tz))
    explanation = explain_captures(paths, where, within)
    for path, stats in zip(paths, explanation.captures, strict=True):
        for message in messages(path, stats):
            echo_error(message)
    _print(explanation, as_json)
    ctx.exit(exit_code(stats.status for stats in explanation.captures))


def _print(explanation: Explanation, as_json: bool) -> None:
    if as_json:
        print_json(explanation.to_json())
        return
    click.echo(f"{explanation.packets:,} packets, beside {explanation.others:,} others")
    for field in explanation.fields:
        if field.state != "varied":
            click.echo(f"* {field.text}")
    click.echo()
    print_table(
        ["field", "state", "value", "share", "elsewhere", "values"],
        [
            [
                field.field,
                field.state,
                str(field.value),
                f"{field.share:.1%}",
                "-" if field.elsewhere is None else f"{field.elsewhere:.1%}",
                field.values,
            ]
            for field in explanation.fields
        ],
    )
