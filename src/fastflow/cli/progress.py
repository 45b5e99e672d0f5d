"""Load the country table, and tell the user when that takes long."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fastflow.sources.find import Found
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
def bytes_bar(
    title: str, captures: Iterable[Found]
) -> Iterator[Callable[[int, int], None] | None]:
    """Show bytes, packets/s and time left on stderr if that is a terminal.

    Yield what takes the numbers of new bytes and packets, from any thread; or None.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from fastflow.sources.find import file_size

    total = sum(file_size(capture.path) for capture in captures)
    columns = (
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("{task.fields[packets]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total or None, packets="")
        rate = _Rate()

        def advance(n_bytes: int, n_packets: int) -> None:
            bar.update(task, advance=n_bytes, packets=rate.text(n_packets))

        yield advance


class _Rate:
    """Packets a second since the beginning; safe to use from several threads."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._n_packets = 0
        self._lock = threading.Lock()

    def text(self, n_new_packets: int) -> str:
        with self._lock:
            self._n_packets += n_new_packets
            seconds = max(time.monotonic() - self._begin, 1e-3)
            return f"{self._n_packets / seconds / 1e6:.1f} M packets/s"


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
