"""A group of commands that imports a command's module when it is needed, not before."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class ClosedPipeError(Exception):
    """The reader of stdout closed it, as `| head` does: nothing is wrong."""


class LazyGroup(click.Group):
    """A group whose commands are known by name and one line of help.

    Parameters
    ----------
    subcommands : mapping
        Name to help, in the order of `--help`.
    prefix : str
        Of their modules: `<prefix><name>` has the click command `command`.
    """

    def __init__(
        self, *args: Any, subcommands: Mapping[str, str], prefix: str, **named: Any
    ) -> None:
        super().__init__(*args, **named)
        self._subcommands = subcommands
        self._prefix = prefix

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(self._subcommands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in self._subcommands:
            return None
        module = importlib.import_module(f"{self._prefix}{cmd_name}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a closed pipe is told apart from other broken output."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # Click itself would end with 1.
            raise ClosedPipeError from error

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._subcommands.items()))
