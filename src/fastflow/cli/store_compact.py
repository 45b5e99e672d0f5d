"""`fastflow store compact`: many small files into few larger ones."""

from __future__ import annotations

from dataclasses import asdict

import click

from fastflow.cli.common import json_option, print_json, store_option


@click.command("compact")
@store_option
@json_option
def command(store_url: str, as_json: bool) -> None:
    """Join small files of a store into larger ones, which queries read faster.

    No row changes. Others may read and reduce meanwhile; what they have begun with
    stays for a day. Reduce does this by itself when a thousand small files have come
    together.

    \b
    fastflow store compact --store counts/
    """  # noqa: D301
    from fastflow.store import Store

    done = Store(store_url).compact()
    if as_json:
        print_json(asdict(done))
    elif done.files:
        click.echo(f"{done.files:,} files joined to {done.packs:,}: {done.rows:,} rows")
    else:
        click.echo("there are no small files to join")
