"""Options of commands that say who holds addresses."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from fastflow.cli.common import echo_error

if TYPE_CHECKING:
    from fastflow.holders.holders import Holders

_MORE_THAN_0 = click.FloatRange(min=0, min_open=True)
_OPTIONS = (
    click.option(
        "--holders",
        "holder_tables",
        multiple=True,
        metavar="FILE",
        help="ASN table that says who announces an address: MMDB, CSV or TSV; may be "
        "given several times, and the first that knows is believed.",
    ),
    click.option(
        "--rdap",
        is_flag=True,
        help="Ask registries to whom addresses are assigned; they are sent these "
        "addresses, and nothing else.",
    ),
    click.option(
        "--rdap-server",
        metavar="URL",
        help="Ask this server, and not those that IANA names.",
    ),
    click.option(
        "--rdap-rate",
        type=_MORE_THAN_0,
        default=1.0,
        show_default=True,
        metavar="N",
        help="Requests a second to one server.",
    ),
    click.option(
        "--rdap-seconds",
        type=_MORE_THAN_0,
        default=60.0,
        show_default=True,
        metavar="S",
        help="Time for all look-ups; who is not reached by then has no name.",
    ),
    click.option(
        "--rdap-days",
        type=_MORE_THAN_0,
        default=30.0,
        show_default=True,
        metavar="D",
        help="Days that an answer is kept for.",
    ),
)


@dataclass(frozen=True)
class HolderOptions:
    """What a command was told of where to look holders up."""

    tables: tuple[str, ...]
    rdap: bool
    server: str | None
    per_second: float
    seconds: float
    days: float

    @property
    def are_given(self) -> bool:
        """Whether holders are to be looked up at all."""
        return bool(self.tables) or self.rdap or self.server is not None

    def open(self) -> Holders:
        """Return who says it; without options, nobody is known."""
        from fastflow.holders.holders import Holders
        from fastflow.holders.rdap import Rdap, RdapOptions

        if not self.rdap and self.server is None:
            return Holders(self.tables)
        options = RdapOptions(
            self.server,
            per_second=self.per_second,
            all_seconds=self.seconds,
            days=self.days,
        )
        return Holders(self.tables, Rdap(options))


def holder_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options; it gets them as one `holder_options`."""

    @functools.wraps(command)
    def wrapped(
        *args: Any,
        holder_tables: tuple[str, ...],
        rdap: bool,
        rdap_server: str | None,
        rdap_rate: float,
        rdap_seconds: float,
        rdap_days: float,
        **named: Any,
    ) -> Any:
        options = HolderOptions(
            holder_tables, rdap, rdap_server, rdap_rate, rdap_seconds, rdap_days
        )
        return command(*args, holder_options=options, **named)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def echo_holders(holders: Holders) -> None:
    """Say on stderr what was looked into, and what could not be found out."""
    if holders.sources:
        echo_error(f"holders by {'; '.join(holders.sources)}")
    for remark in holders.remarks:
        echo_error(remark)
