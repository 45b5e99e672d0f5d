"""How questions to a store are asked: options, and what they select."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fastflow.cli.common import any_store_option, echo_error, store_option

if TYPE_CHECKING:
    from fastflow.analysis.selection import Selection

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: Those of `fastflow.analysis.keys`, named here so that `--help` loads no Arrow.
KEYS = (
    "port",
    "country",
    "signature",
    "window",
    "tool",
    "traffic",
    "source",
    "sensor",
)


def parse_where(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Turn the texts `column=value` into a mapping."""
    where: dict[str, str] = {}
    for text in values:
        column, found, value = text.partition("=")
        if not found:
            raise click.BadParameter(f"{text!r}: write COLUMN=VALUE", ctx, param)
        if column in where:
            raise click.BadParameter(f"{column} is given twice", ctx, param)
        where[column] = value
    return where


def _split(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> list[str] | None:
    return None if value is None else value.split(",")


by_option = click.option(
    "--by", type=click.Choice(KEYS), required=True, help="What to tell apart."
)
where_option = click.option(
    "--where",
    multiple=True,
    callback=parse_where,
    metavar="COLUMN=VALUE",
    help="Only rows with this value, e.g. country=JP or port=445/tcp; null matches "
    "rows without one. May be given several times.",
)
per_address_option = click.option(
    "--per-address",
    is_flag=True,
    help="Packets per sensor address and day on the air; needs sensors.toml.",
)
_SELECTION = (
    click.option(
        "--period",
        metavar="P",
        help="2020-Q3, 2020-08, 2020-W35, 2020-08-27 or 2020-08-26..2020-09-02; "
        "default: the whole store.",
    ),
    click.option(
        "--tz",
        default="UTC",
        show_default=True,
        metavar="ZONE",
        help="Whose days these are, as Asia/Tokyo: a zone whole hours from UTC.",
    ),
    click.option(
        "--sensors",
        callback=_split,
        metavar="A,B,...",
        help="Only these sensors: names, or countries of sensors.toml.",
    ),
    click.option(
        "--sensors-file",
        metavar="PATH",
        help="Describes the sensors; default: sensors.toml in the store.",
    ),
)


def selection_options(command: _Function) -> _Function:
    """Give a command the options that `selection` takes."""
    return store_option(_options(command))


def selection_options_of_either(command: _Function) -> _Function:
    """Give the same to a command that can do without a store."""
    return any_store_option(_options(command))


def _options(command: _Function) -> _Function:
    for option in reversed(_SELECTION):
        command = option(command)
    return command


def selection(
    store_url: str,
    period: str | None,
    tz: str,
    sensors: list[str] | None,
    sensors_file: str | None,
    where: dict[str, str] | None = None,
) -> Selection:
    """Return what the options select."""
    from fastflow.analysis.selection import Selection
    from fastflow.store import Store

    return Selection(
        Store(store_url),
        period,
        where,
        tz=tz,
        sensors=sensors,
        sensors_file=sensors_file,
    )


def echo_remarks(selected: Selection) -> None:
    """Say on stderr which hours are missing from an answer."""
    from fastflow.analysis.network import remarks

    for line in remarks(selected):
        echo_error(line)
