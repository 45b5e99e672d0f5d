"""`fastflow synth`: make captures with a known content."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from fastflow.cli.common import json_option, print_json
from fastflow.cli.geo import geo_option
from fastflow.cli.progress import load_with_progress, progress_bar

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: The kinds of `fastflow.synth.load`, named here so that `--help` loads no numpy.
KINDS = ("scan", "scatter", "payload")
#: The scales of `fastflow.synth.tsubame`.
SCALES = (0.02, 100.0)
#: Those of `fastflow.synth.scenario_files`.
PHENOMENA_SCALES = (0.05, 50.0)


@click.group("synth")
def command() -> None:
    """Make captures with a known content; truth.json beside them says which."""


seed_option = click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    default=0,
    show_default=True,
    metavar="S",
    help="The same seed and country table give the same bytes.",
)


def out_option(text: str) -> Callable[[_Function], _Function]:
    """Return the option that names the directory, which its text is about."""
    return click.option(
        "-o",
        "--output",
        "out_dir",
        required=True,
        metavar="DIR",
        type=click.Path(file_okay=False),
        help=text,
    )


@command.command()
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    required=True,
    help="scan: the usual case. scatter: a spoofed flood, each packet from a source "
    "of its own. payload: frames of about 800 bytes.",
)
@click.option(
    "--packets",
    type=click.IntRange(min=1),
    required=True,
    metavar="N",
    help="Number of packets.",
)
@click.option(
    "--hours",
    type=click.IntRange(min=1),
    default=24,
    show_default=True,
    help="Time span of the capture, from 2020-08-01 00:00 UTC on.",
)
@seed_option
@geo_option
@out_option("Directory for <kind>.pcap and truth.json; made when it is not there.")
@json_option
def load(
    kind: str,
    packets: int,
    hours: int,
    seed: int,
    geo: str | None,
    out_dir: str,
    as_json: bool,
) -> None:
    """Make a large capture for measuring, with exact counts to check against."""
    from fastflow.synth.load import make_load, read_truth
    from fastflow.units import format_bytes, format_count

    table = load_with_progress(geo)
    start = time.perf_counter()
    with progress_bar(kind) as progress:
        path = make_load(kind, packets, seed, out_dir, table, progress, hours=hours)
    duration_s = time.perf_counter() - start
    truth = read_truth(path)
    if as_json:
        print_json(truth)
        return
    click.echo(
        f"{path}: {packets:,} packets, {format_bytes(truth['bytes'])}, "
        f"{format_count(packets / duration_s)} packets/s"
    )


@command.command("tsubame-2020q3")
@click.option(
    "--scale",
    type=click.FloatRange(*SCALES),
    default=1.0,
    show_default=True,
    metavar="X",
    help="Number of packets, in 10 millions.",
)
@seed_option
@geo_option
@out_option("Directory for <sensor>/<day>.pcap, truth.json, sensors.toml, holders.csv.")
@json_option
def quarter(
    scale: float, seed: int, geo: str | None, out_dir: str, as_json: bool
) -> None:
    """Make two quarters of 2020 with all that a threat monitoring report finds."""
    from fastflow.synth.tsubame import make_quarter
    from fastflow.units import format_count

    table = load_with_progress(geo)
    start = time.perf_counter()
    with progress_bar("tsubame-2020q3") as progress:
        truth = make_quarter(out_dir, seed, scale, table, progress)
    duration_s = time.perf_counter() - start
    if as_json:
        print_json(truth)
        return
    click.echo(
        f"{out_dir}: {truth['packets']:,} packets, {len(truth['sensors'])} sensors, "
        f"{format_count(truth['packets'] / duration_s)} packets/s"
    )


@command.command()
@click.option(
    "--scale",
    type=click.FloatRange(*PHENOMENA_SCALES),
    default=1.0,
    show_default=True,
    metavar="X",
    help="Volume of the background, in 150 sources an hour.",
)
@click.option("--quiet", is_flag=True, help="Plant nothing.")
@seed_option
@geo_option
@out_option("Directory for <sensor>/<day>.pcap and truth.json.")
@json_option
def phenomena(
    scale: float, quiet: bool, seed: int, geo: str | None, out_dir: str, as_json: bool
) -> None:
    """Make 90 days with one to eight random events, for `fastflow events` to find."""
    from fastflow.synth.scenario_files import make_phenomena
    from fastflow.units import format_count

    table = load_with_progress(geo)
    start = time.perf_counter()
    with progress_bar("phenomena") as progress:
        truth = make_phenomena(out_dir, seed, scale, quiet, table, progress)
    duration_s = time.perf_counter() - start
    if as_json:
        print_json(truth)
        return
    click.echo(
        f"{out_dir}: {truth['packets']:,} packets, {len(truth['phenomena'])} events, "
        f"{format_count(truth['packets'] / duration_s)} packets/s"
    )
