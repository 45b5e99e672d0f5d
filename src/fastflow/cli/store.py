"""`fastflow store`: what is done to a store as a whole."""

from __future__ import annotations

import click

from fastflow.cli.lazy import LazyGroup

#: Every subcommand, its module `fastflow.cli.store_<name>`, in the order of `--help`.
COMMANDS = {
    "verify": "Read all of a store and compare it with what was committed.",
    "repair": "Set damaged parts aside, and say what to reduce again.",
    "compact": "Join small files into larger ones; nothing else changes.",
    "expire": "Take old hours out, or add them up to days.",
    "export": "Write a store's rows to a file: all, canonical, or for partners.",
}


@click.group("store", cls=LazyGroup, subcommands=COMMANDS, prefix="fastflow.cli.store_")
def command() -> None:
    """Work on a store as a whole."""
