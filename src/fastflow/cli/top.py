"""`fastflow top`: what was seen most."""

from __future__ import annotations

import click

from fastflow.cli.common import json_option, print_json, print_table, store_option

#: The rankings of `fastflow.analysis.rank`, named here so that `--help` loads no Arrow.
RANKINGS = ("port", "country", "signature", "tool", "source", "sensor")


def parse_where(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Turn the texts `column=value` into a mapping."""
    where: dict[str, str] = {}
    for text in values:
        column, found, value = text.partition("=")
        if not found:
            raise click.BadParameter(f"{text!r}: write COLUMN=VALUE", ctx, param)
        if column in where:
            raise click.BadParameter(f"{column} is given twice", ctx, param)
        where[column] = value
    return where


@click.command("top")
@store_option
@click.option("--by", type=click.Choice(RANKINGS), required=True, help="What to rank.")
@click.option(
    "--period",
    metavar="P",
    help="2020-Q3, 2020-08, 2020-W35, 2020-08-27 or 2020-08-26..2020-09-02 (UTC); "
    "default: the whole store.",
)
@click.option(
    "--where",
    multiple=True,
    callback=parse_where,
    metavar="COLUMN=VALUE",
    help="Only rows with this value, e.g. country=JP or port=445/tcp; null matches "
    "rows without one. May be given several times.",
)
@click.option(
    "-n",
    "limit",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Number of ranks.",
)
@json_option
def command(
    store_url: str,
    by: str,
    period: str | None,
    where: dict[str, str],
    limit: int,
    as_json: bool,
) -> None:
    """Rank ports, countries, signatures, tools, sources or sensors by packets.

    The share is of all packets that match the filters. The previous rank is that in
    the period of the same kind just before, if among its first ten.
    """
    from fastflow.store import Store

    rows = Store(store_url).top(by, period, where, limit)
    if as_json:
        print_json(rows)
        return
    print_table(
        ["rank", by, "name", "packets", "sources", "share", "previous"],
        [
            [
                row["rank"],
                row["key"],
                row["name"],
                row["packets"],
                row["sources"],
                f"{row['share']:.1%}",
                row["previous_rank"],
            ]
            for row in rows
        ],
    )
