"""`fastflow store repair`: damaged parts set aside, their inputs opened again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fastflow.cli.common import (
    echo_error,
    json_option,
    print_json,
    print_table,
    store_option,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fastflow.store.table import Change


@click.command("repair")
@store_option
@json_option
def command(store_url: str, as_json: bool) -> None:
    """Take out of a store what is damaged, so that it can be reduced again.

    Damaged files and log entries are moved to _aside in the store's directory and kept.
    The inputs that they held are no longer in the store: reduce the captures that are
    listed again, and every count is back. What is not damaged stays as it is. An entry
    of the log says all twice: it is restored, and nothing has to be reduced, unless
    both are damaged.

    \b
    fastflow store repair --store counts/
    fastflow reduce CAPTURE... --store counts/ --sensor NAME
    """  # noqa: D301
    from fastflow.cli.progress import progress_bar
    from fastflow.store import Store

    with progress_bar("verify") as progress:
        done = Store.repair(store_url, progress)
    if as_json:
        print_json(
            {
                "aside": [str(path) for path in done.aside],
                "restored": [str(path) for path in done.restored],
                "lost": [str(path) for path in done.lost],
                "expired": {
                    change: f"{day:%Y-%m-%d}" for change, day in done.expired.items()
                },
                "missing": done.missing,
                "unlisted": done.unlisted,
                "reopened": [
                    {"id": one, "path": path} for one, path in done.reopened.items()
                ],
            }
        )
        return
    for path in done.aside:
        click.echo(f"{path}: set aside")
    for path in done.restored:
        click.echo(f"{path}: restored, nothing of it is lost")
    for name in done.missing:
        click.echo(f"{name}: was missing")
    for name in done.unlisted:
        echo_error(
            f"{name}: which captures it recorded is not known; reduce all that may be "
            "in it again: one that is in the store stays a duplicate"
        )
    for path in done.lost:
        echo_error(f"{path}: this entry is lost; {_remedy(done.expired)}")
    if done.reopened:
        rows = [[path or "not known", one] for one, path in done.reopened.items()]
        print_table(["reduce again", "input"], rows)
    elif not done.unlisted:
        click.echo("every input is in the store")


def _remedy(expired: Mapping[Change, datetime]) -> str:
    """Return what to do, beside reducing again, where an entry of the log is lost."""
    if not expired:
        return (
            "reduce again what is listed; if it let hours expire, they are back: run "
            "`fastflow store expire` as before"
        )
    options = {"expired": "", "daily": " --keep daily"}
    commands = [
        f"`fastflow store expire --before {day:%Y-%m-%d}{options[change]}`"
        for change, day in expired.items()
    ]
    return (
        f"reduce again what is listed, then run {' and '.join(commands)}, since hours "
        "that had expired may be back; of captures that began before, rows that it "
        "added cannot be told from expired ones: restore the store from a copy, or "
        "reduce those captures into a new one, if they matter"
    )
