"""The `fastflow` command group; loads a command's module only when it is called."""

from __future__ import annotations

import os
import sys

import click

from fastflow._version import __version__
from fastflow.cli.lazy import ClosedPipeError, LazyGroup
from fastflow.errors import FastflowError

#: Every command, its module `fastflow.cli.<name>`, in the order of `--help`.
COMMANDS = {
    "scan": "Decode captures into packet rows (Parquet, Arrow, CSV, NDJSON).",
    "info": "Say what captures hold: format, link types, times, packets, damage.",
    "fields": "List every column: name, type, unit, source.",
    "reduce": "Reduce captures to exact hourly counts in a store.",
    "top": "Rank ports, countries, signatures or sources of a store.",
    "trend": "Show how ports, countries, windows ... went over time, as a figure too.",
    "regions": "Compare each source region's mix of ports with all others'.",
    "explain": "Say which header fields some traffic has in common, and no other.",
    "events": "Find what changed: surges, trends, bursts with fixed fields, newcomers.",
    "report": "Write the report of a period, in Japanese or English.",
    "contacts": "List the sources of an event, and whom to tell of them.",
    "inputs": "Say what became of captures, or which of them made a number.",
    "sensors": "Say what is known of each sensor, and which hours are missing.",
    "query": "Ask a store in SQL (DuckDB): counts, sources, attacks.",
    "store": "Work on a store as a whole: export it.",
    "geo": "Show the country table, or look addresses up in it.",
    "synth": "Make captures with a known content.",
}


@click.group(
    cls=LazyGroup,
    subcommands=COMMANDS,
    prefix="fastflow.cli.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
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
