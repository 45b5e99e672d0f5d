"""`fastflow geo`: show the country table, build its cache, look addresses up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from fastflow.cli.common import json_option, print_json, print_table
from fastflow.cli.progress import load_with_progress, progress_bar
from fastflow.errors import ConfigError

if TYPE_CHECKING:
    from fastflow.stages.country import CountryTable
    from fastflow.stages.country_sources import Source

geo_option = click.option(
    "--geo",
    metavar="DB",
    help="Country database: an MMDB or tor-geoipdb file; default: iptocc.",
)


@click.group(name="geo")
def command() -> None:
    """Show the country table, or look addresses up in it."""


@command.command()
@geo_option
@json_option
def show(geo: str | None, as_json: bool) -> None:
    """Say which table is used, its version and date, and where it is cached."""
    _print_facts(_facts(load_with_progress(geo), geo), as_json)


@command.command()
@geo_option
@json_option
def build(geo: str | None, as_json: bool) -> None:
    """Build the table now, even if it is cached already."""
    from fastflow.stages.country import build_country_table
    from fastflow.stages.country_sources import open_source

    source = open_source(geo)
    why = _why_built(source)
    start = time.perf_counter()
    with progress_bar("country table") as progress:
        table = build_country_table(source, progress)
    seconds = time.perf_counter() - start
    facts = _facts(table, geo)
    click.echo(
        f"fastflow: built the country table from {source.name} {source.version}"
        f" in {seconds:.1f} s ({why}); cache: {facts['cache'] or 'not writable'}",
        err=True,
    )
    if as_json:
        print_json(facts)


@command.command()
@click.argument("addresses", nargs=-1, required=True, metavar="IP...")
@geo_option
@json_option
def lookup(addresses: tuple[str, ...], geo: str | None, as_json: bool) -> None:
    """Look addresses up."""
    table = load_with_progress(geo)
    rows = [_look_up(table, address) for address in addresses]
    if as_json:
        print_json(rows)
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])


def _look_up(table: CountryTable, address: str) -> dict[str, str | None]:
    from fastflow.names import country_name

    try:
        code = table.country(address)
    except ValueError as error:
        raise ConfigError(f"{address}: not an IP address") from error
    name = None if code is None else country_name(code)
    return {"ip": address, "country": code, "name": name}


def _why_built(source: Source) -> str:
    from fastflow.stages.country import cache_path, read_cache

    if not cache_path(source).exists():
        return "not cached before"
    return "cached before" if read_cache(source) else "the cached one was damaged"


def _facts(table: CountryTable, geo: str | None) -> dict[str, Any]:
    from fastflow.stages.country import cache_path
    from fastflow.stages.country_sources import open_source

    path = cache_path(open_source(geo))
    return {
        "name": table.name,
        "version": table.version,
        "date": table.date,
        "ipv4_ranges": table.n_v4_ranges,
        "ipv6_ranges": table.n_v6_ranges,
        "countries": len(table.codes) - 1,
        "cache": str(path) if path.exists() else None,
    }


def _print_facts(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        text = f"{value:,}" if isinstance(value, int) else value or "-"
        click.echo(f"{key.replace('_', ' '):{width}}  {text}")
