"""The scenario `phenomena` as captures, with the truth beside them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastflow.complete_file import complete_file
from fastflow.errors import ConfigError
from fastflow.synth.addresses import CountryAddresses, CountryRanges, stations
from fastflow.synth.captures import write_day
from fastflow.synth.cells import by_day
from fastflow.synth.noise import CODES, RANGE
from fastflow.synth.scenario import ALL_STYLES, make_scenario

NAME = "phenomena"
#: Below, nothing is left of the background; above, a day is too much for memory.
MIN_SCALE, MAX_SCALE = 0.05, 50.0
#: Sensors stand in these countries, one after the other, with so many addresses each.
_PLACES = ("JP", "US", "DE", "SG", "NL", "TW", "BR", "AU")
_N_ADDRESSES = 16
_PREFIX = 32 - (RANGE.bit_length() - 1)


def make_phenomena(
    out_dir: str | os.PathLike[str],
    seed: int = 0,
    scale: float = 1.0,
    quiet: bool = False,
    country_table: CountryRanges | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Write the captures of a random scenario, and what was planted in them.

    Parameters
    ----------
    out_dir : path
        Gets `SENSOR/DAY.pcap` for each sensor and day, and `truth.json`.
    seed, scale, quiet
        See `fastflow.synth.scenario.make_scenario`.
    country_table : CountryRanges, optional
        Where sources are drawn from; default: `load_country_table()`.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

    Returns
    -------
    dict
        The truth.

    Raises
    ------
    ConfigError
        The scale is out of range, or the directory cannot be written.
    DataFileError
        The country table lacks a country.
    """
    if not MIN_SCALE <= scale <= MAX_SCALE:
        raise ConfigError(f"scale {scale}: {MIN_SCALE} to {MAX_SCALE} expected")
    if country_table is None:
        from fastflow.stages.country import load_country_table

        country_table = load_country_table()
    firsts = first_addresses(country_table)
    scenario = make_scenario(seed, scale=scale, quiet=quiet, first_addresses=firsts)
    names = scenario.sensors.names
    places = zip(names, _PLACES, strict=False)
    network = stations([(name, place, _N_ADDRESSES) for name, place in places])
    days = list(by_day(scenario.cells))
    packets = 0
    try:
        for nth, cells in enumerate(days, start=1):
            packets += write_day(cells, ALL_STYLES, network, out_dir, seed)
            if progress is not None:
                progress(nth / len(days))
        document = {
            "scenario": NAME,
            "seed": seed,
            "scale": scale,
            "packets": packets,
            "sensors": names,
            "phenomena": scenario.truth_rows(),
        }
        with complete_file(Path(out_dir) / "truth.json") as file:
            file.write((json.dumps(document, indent=1) + "\n").encode())
    except OSError as error:
        what = error.strerror or str(error)
        raise ConfigError(f"{out_dir}: cannot be written ({what})") from error
    return document


def first_addresses(country_table: CountryRanges) -> list[int]:
    """Return the first address that each country of a scenario has by a table."""
    addresses = CountryAddresses(country_table, CODES)
    return [addresses.networks(code, _PREFIX, 1)[0] for code in CODES]
