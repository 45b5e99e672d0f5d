"""What the commands share: options, JSON and tables on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import click

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout."
)
csv_option = click.option(
    "--csv", "as_csv", is_flag=True, help="Print CSV; null is empty."
)
output_option = click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write a file instead: .parquet, .arrow, .csv or .ndjson.",
)
_STORE: dict[str, Any] = {
    "metavar": "URL",
    "help": "The store: a directory, or s3://bucket/prefix.",
}
store_option = click.option("--store", "store_url", required=True, **_STORE)
any_store_option = click.option("--store", "store_url", **_STORE)
filter_option = click.option(
    "--filter",
    "expression",
    metavar="BPF",
    help="Only packets that match, in tcpdump's language, as in "
    "'tcp dst port 445 and not src net 10.0.0.0/8'. Host names are looked up once.",
)
decap_option = click.option(
    "--decap",
    metavar="A,B,...",
    help="Open these tunnels and look at the packet inside: gre, erspan, ipip, 6in4, "
    "4in6, 6in6, vxlan, geneve, gtpu, or all. Default: none.",
)
tools_option = click.option(
    "--tools",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Rules for the column tool, besides those of `fastflow fields --tools`; "
    "docs/tools.md says how to write them.",
)


#: Wider than any row.
_NO_EDGE = 1_000_000


def one_of(options: Mapping[str, object]) -> None:
    """Refuse options, by name, that were given together and exclude each other."""
    given = [name for name, value in options.items() if value]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other")


def print_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    json.dump(document, sys.stdout, ensure_ascii=False)
    sys.stdout.write("\n")


def print_json_text(pieces: Iterable[str]) -> None:
    """Print one JSON document that comes in pieces on stdout."""
    sys.stdout.writelines(pieces)
    sys.stdout.write("\n")


def echo_error(message: str) -> None:
    """Print one line on stderr, as every message of fastflow's is."""
    click.echo(f"fastflow: {message}", err=True)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    grouped: bool = True,
    file: TextIO | None = None,
) -> None:
    """Print a table for people; numbers stand to the right.

    Parameters
    ----------
    grouped : bool
        Write 12,345: for counts; not where a number may be a name, as a port is.
    file : text file or None
        Where to; None: stdout.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for index, name in enumerate(columns):
        numeric = any(isinstance(row[index], int | float) for row in rows)
        table.add_column(Text(name), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*[Text(_cell(value, grouped)) for value in row])
    # A file or a pipe has no edge to wrap at.
    file = file or sys.stdout
    width = None if file.isatty() else _NO_EDGE
    console = Console(highlight=False, width=width)
    # Written here and not by rich, which ends the process where a pipe is closed.
    with console.capture() as written:
        console.print(table)
    file.write(written.get())


def _cell(value: Any, grouped: bool) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}" if grouped else str(value)
    if isinstance(value, float):
        return f"{value:,.2f}" if grouped else f"{value:g}"
    return str(value)
