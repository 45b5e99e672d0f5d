"""`fastflow store export`: a store's rows in a file."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from fastflow.cli.common import echo_error, json_option, print_json, store_option

if TYPE_CHECKING:
    from fastflow.store import SharedReport, Sharing, Store

#: Options that only `--shared` has a meaning for.
_OF_SHARED = ("every", "min_packets", "min_sensors", "delay", "now")


@click.command("export")
@store_option
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help="File to write, or - for stdout. It appears when it is complete.",
)
@click.option(
    "--table",
    type=click.Choice(["counts", "sources", "backscatter", "inputs"]),
    help="What to write. Default: counts.",
)
@click.option(
    "--period",
    metavar="P",
    help="2020-Q3, 2020-08, 2020-W35, 2020-08-27 or 2020-08-26..2020-09-02 (UTC); of "
    "inputs, those with packets then. Default: the whole store.",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["parquet", "csv", "arrow"]),
    help="Default: by OUT's ending; csv on stdout.",
)
@click.option(
    "--canonical",
    is_flag=True,
    help="All tables as one CSV, the same bytes for the same captures.",
)
@click.option(
    "--shared",
    is_flag=True,
    help="Counts for partners: no sensor, no address, no small cell.",
)
@click.option(
    "--every",
    type=click.Choice(["hour", "day"]),
    help="With --shared: how fine the time is. Default: hour.",
)
@click.option(
    "--min-packets",
    type=click.IntRange(min=1),
    metavar="N",
    help="With --shared: the fewest packets of a row. Default: 10.",
)
@click.option(
    "--min-sensors",
    type=click.IntRange(min=1),
    metavar="N",
    help="With --shared: the fewest sensors that saw a row's packets. Default: 3.",
)
@click.option(
    "--delay",
    metavar="T",
    help="With --shared: leave out what ended less than this ago, as in 12h. "
    "Default: 7d.",
)
@click.option(
    "--now",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]),
    hidden=True,
    help="With --shared: the time that the delay is counted from.",
)
@json_option
def command(
    store_url: str,
    output: str,
    table: str | None,
    period: str | None,
    file_format: str | None,
    canonical: bool,
    shared: bool,
    as_json: bool,
    **rules: Any,
) -> None:
    """Write the rows of a store to a file.

    As they are: one table, as Parquet, CSV (addresses as text, lists with spaces) or
    Arrow.

    --canonical: all tables as one CSV, sorted. The same captures give the same bytes,
    in whatever order, batches and number of workers they were reduced, and wherever
    they lay. Left out is what belongs to a run: of inputs the columns path, size (of
    the file), mtime_ns, supersedes, country_table, country_date, rules and version, the
    flag zero_padding, captures that others superseded, and captures without a record.
    Countries are those of the country table that was used.

    --shared: packets and exact distinct sources by hour, protocol, port or ICMP type,
    country, traffic, signature and tool, over all sensors. Cells below --min-packets or
    --min-sensors are added up until they are enough; the column other names the
    columns over which. What is not enough even then is withheld, and told on stderr;
    all other sums are exact. Sensors, paths, ids, addresses, source ports, sequence
    numbers, TTLs and bytes are left out: a prober can choose them, and would recognise
    which of its packets arrived. Share a time in one form only: by hour and by day, or
    with two thresholds, the difference shows what either hides.

    \b
    fastflow store export --store counts/ -o counts.parquet --period 2020-Q3
    fastflow store export --store counts/ -o - --canonical | sha256sum
    fastflow store export --store counts/ -o partner.csv --shared --every day
    """  # noqa: D301
    given = {name: rules[name] for name in _OF_SHARED if rules[name] is not None}
    _check(output, table, period, canonical, shared, given, as_json)
    from fastflow.store import Store

    store = Store(store_url)
    if shared:
        sharing = _sharing(given)
        shares = store.export_shared(
            output, sharing, period=period, file_format=file_format
        )
        _tell(shares, sharing)
        document = asdict(shares)
    elif canonical:
        document = {"rows": store.export_canonical(output, file_format=file_format)}
    else:
        document = {"rows": _export(store, output, table, period, file_format)}
    if as_json:
        print_json(document)


def _export(
    store: Store,
    output: str,
    table: str | None,
    period: str | None,
    file_format: str | None,
) -> int:
    return store.export(
        output, table or "counts", period=period, file_format=file_format
    )


def _check(
    output: str,
    table: str | None,
    period: str | None,
    canonical: bool,
    shared: bool,
    given: dict[str, Any],
    as_json: bool,
) -> None:
    """Refuse options that contradict each other."""
    if as_json and output == "-":
        raise click.UsageError("--json prints a summary on stdout; say -o FILE too")
    if canonical and (shared or table or period):
        raise click.UsageError(
            "--canonical is all of the store: without --table, --period and --shared"
        )
    if shared and table not in (None, "counts"):
        raise click.UsageError("--shared is about counts, no other table")
    if given and not shared:
        option = "--" + next(iter(given)).replace("_", "-")
        raise click.UsageError(f"{option} belongs to --shared; say that too")


def _sharing(given: dict[str, Any]) -> Sharing:
    from datetime import UTC

    from fastflow.store import Sharing
    from fastflow.units import parse_duration

    if "delay" in given:
        given["delay"] = parse_duration(given["delay"])
    if "now" in given:
        given["now"] = given["now"].replace(tzinfo=UTC)
    return Sharing(**given)


def _tell(report: SharedReport, sharing: Sharing) -> None:
    """Say on stderr what is in the file and what is not."""
    echo_error(
        f"{report.published:,} packets in {report.rows:,} rows; "
        f"{report.other:,} of them in sums over small cells"
    )
    if report.recent:
        echo_error(f"{report.recent:,} packets are too recent, and left out (--delay)")
    if report.withheld:
        echo_error(
            f"{report.withheld:,} packets are withheld: fewer than "
            f"{sharing.min_packets} packets or {sharing.min_sensors} sensors, even all "
            "added up"
        )
    if report.withheld and report.sensors < sharing.min_sensors:
        sensors = "1 sensor" if report.sensors == 1 else f"{report.sensors} sensors"
        echo_error(
            f"only {sensors} saw anything in this time, so that no row can have "
            f"{sharing.min_sensors}: nothing is shared; --min-sensors "
            f"{report.sensors} shares it, if the partner may know that a sensor saw it"
        )
