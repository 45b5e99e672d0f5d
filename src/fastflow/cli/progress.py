"""Load the country table, and tell the user when that takes long."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fastflow.stages.country import CountryTable


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on stderr if that is a terminal; yield what takes the fraction."""
    if not sys.stderr.isatty():
        yield lambda fraction: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=1.0)
        yield lambda fraction: progress.update(task, completed=fraction)


@contextmanager
def bytes_bar(title: str, paths: list[str]) -> Iterator[Callable[[int], None] | None]:
    """Show bytes, rate and time left on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    total = sum(Path(path).stat().st_size for path in paths if Path(path).is_file())
    columns = (
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total or None)
        yield lambda n_bytes: bar.advance(task, n_bytes)


def load_with_progress(geo: str | None) -> CountryTable:
    """Load the country table; one line on stderr says so when it has to be built.

    Parameters
    ----------
    geo : str or None
        What `--geo` names: a file, or None for iptocc.

    Raises
    ------
    ConfigError, DataFileError
        There is no such file, or it cannot be used.
    """
    from fastflow.stages import country
    from fastflow.stages.country_sources import open_source

    source = open_source(geo)
    table = country.read_cache(source)
    if table is not None:
        return table
    path = country.cache_path(source)
    click.echo(
        f"fastflow: building the country table from {source.name} {source.version}"
        f" (once; cached in {path.parent})",
        err=True,
    )
    with progress_bar("country table") as progress:
        table = country.build_country_table(source, progress)
    if not path.exists():
        click.echo(f"fastflow: {path.parent}: cannot cache the table there", err=True)
    return table
