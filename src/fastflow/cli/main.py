"""The `fastflow` command group; loads a command's module only when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from fastflow._version import __version__
from fastflow.errors import FastflowError

#: Every command, its module `fastflow.cli.<name>`, in the order of `--help`.
COMMANDS = {
    "scan": "Decode captures into packet rows (Parquet, Arrow, CSV, NDJSON).",
    "info": "Say what captures hold: format, link types, times, packets, damage.",
    "fields": "List every column: name, type, unit, source.",
    "reduce": "Reduce captures to exact hourly counts in a store.",
    "top": "Rank ports, countries, signatures or sources of a store.",
    "trend": "Show how ports, countries, windows ... went over time, as a figure too.",
    "sensors": "Say what is known of each sensor, and which hours are missing.",
    "query": "Ask a store in SQL (DuckDB) over counts, sources and inputs.",
    "geo": "Show the country table, or look addresses up in it.",
    "synth": "Make captures with a known content.",
}


class ClosedPipeError(Exception):
    """The reader of stdout closed it, as `| head` does: nothing is wrong."""


class LazyGroup(click.Group):
    """A group that imports a command's module when it is needed, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"fastflow.cli.{cmd_name}")
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
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fastflow")
@click.option("--debug", is_flag=True, help="Show a traceback with an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Turn packet captures of unused addresses into exact hourly counts.

    \b
    fastflow reduce captures/ --store counts/ --sensor tokyo-1
    fastflow top --store counts/ --by port --period 2020-Q3
    """  # noqa: D301
    ctx.obj = debug


def main() -> None:
    """Run the command line; errors become one line on stderr and an exit code."""
    debug = "--debug" in sys.argv
    try:
        code = cli(prog_name="fastflow", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        click.echo("fastflow: interrupted", err=True)
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (ClosedPipeError, BrokenPipeError):
        # Keep the interpreter from flushing into the pipe again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except FastflowError as error:
        if debug:
            raise
        click.echo(f"fastflow: {error}", err=True)
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)
