"""`fastflow store repair`: damaged parts set aside, their inputs opened again."""

from __future__ import annotations

import click

from fastflow.cli.common import json_option, print_json, print_table, store_option


@click.command("repair")
@store_option
@json_option
def command(store_url: str, as_json: bool) -> None:
    """Take out of a store what is damaged, so that it can be reduced again.

    Damaged files and log entries are moved to _aside in the store's directory and kept.
    The inputs that they held are no longer in the store: reduce the captures that are
    listed again, and every count is back. What is not damaged stays as it is.

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
                "missing": done.missing,
                "reopened": [
                    {"id": one, "path": path} for one, path in done.reopened.items()
                ],
            }
        )
        return
    for path in done.aside:
        click.echo(f"{path}: set aside")
    for name in done.missing:
        click.echo(f"{name}: was missing")
    if done.reopened:
        rows = [[path or "not known", one] for one, path in done.reopened.items()]
        print_table(["reduce again", "input"], rows)
    else:
        click.echo("every input is in the store")
