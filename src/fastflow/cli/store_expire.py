"""`fastflow store expire`: old hours out of a store, or added up to days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fastflow.cli.common import json_option, print_json, print_table, store_option

if TYPE_CHECKING:
    from fastflow.store import Expiry


@click.command("expire")
@store_option
@click.option(
    "--before",
    required=True,
    metavar="DAY",
    help="The first day (UTC) that stays as it is: 2020-01-01, or an age, 400d.",
)
@click.option(
    "--keep",
    type=click.Choice(["daily"]),
    help="Add hours up to days, which stay, instead of letting them go.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
def command(
    store_url: str, before: str, keep: str | None, dry_run: bool, as_json: bool
) -> None:
    """Take the hours before a day out of a store.

    Rows of counts, sources and backscatter go; inputs stay, so that a capture that was
    taken in stays a duplicate. With --keep daily, each cell keeps one row a day: its
    hour is midnight, its sources are exact. Sums over days stay what they were.
    Backscatter stays as it is then, so that attacks are still found.

    Disk space is free after a day: until then readers may be at the old files, and the
    next reduce after that removes them.

    \b
    fastflow store expire --store counts/ --before 2020-01-01 --dry-run
    fastflow store expire --store counts/ --before 400d --keep daily
    """  # noqa: D301
    from fastflow.store import Store
    from fastflow.units import parse_past_day

    day = parse_past_day(before)
    done = Store(store_url).expire(day, daily=keep == "daily", dry_run=dry_run)
    if as_json:
        print_json(done.to_json())
    else:
        _print(done, dry_run)


def _print(done: Expiry, dry_run: bool) -> None:
    rows: list[list[object]] = []
    for kind, gone in done.gone.items():
        days = done.days.get(kind)
        rows.append([kind, gone.rows, gone.packets, days.rows if days else 0])
    gone_name = "rows that would go" if dry_run else "rows gone"
    print_table(["table", gone_name, "packets in them", "rows of days instead"], rows)
