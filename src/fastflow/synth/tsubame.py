"""The scenario `tsubame-2020q3`: captures of two quarters with all that a report finds.

The same seed, scale and country table give the same bytes.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastflow.complete_file import complete_file
from fastflow.errors import ConfigError
from fastflow.synth.addresses import (
    CountryAddresses,
    CountryRanges,
    Station,
    stations,
)
from fastflow.synth.background import Background, DayCells
from fastflow.synth.bursts import COUNTRY, HOLDERS, NETWORK_PREFIX, Bursts
from fastflow.synth.captures import write_day
from fastflow.synth.course import N_DAYS, day_number
from fastflow.synth.phenomena import END, FIRST, PHENOMENA
from fastflow.synth.senders import STYLES
from fastflow.synth.truth import Truth, as_text
from fastflow.synth.tsubame_figures import (
    GAP,
    INTERRUPTED,
    OFF_AIR,
    ORIGINS,
    PACKETS,
    PLACES,
)

NAME = "tsubame-2020q3"
#: Below, quotas are too small for ranks to be sure; above, 32 bits for packets.
MIN_SCALE, MAX_SCALE = 0.02, 100.0
#: The first AS number for documentation (RFC 5398).
_FIRST_ASN = 64496


class Scenario:
    """The cells of the scenario, a day at a time.

    Parameters
    ----------
    seed : int
        0 to 2**64 - 1.
    scale : float
        Of the number of packets; 1 is 10 million.
    table : CountryRanges
        Where sources are drawn from.

    Raises
    ------
    ConfigError
        A parameter is out of range.
    DataFileError
        The table lacks a country.

    Attributes
    ----------
    stations : list of Station
    countries : list of str
        What the countries of a day's cells are indices into.
    packets : int
        In all.
    networks : list of int
        First addresses of the networks of `fastflow.synth.bursts.HOLDERS`.
    """

    def __init__(self, seed: int, scale: float, table: CountryRanges) -> None:
        if not 0 <= seed < 1 << 64:
            raise ConfigError(f"seed {seed}: 0 to 2**64 - 1 expected")
        if not MIN_SCALE <= scale <= MAX_SCALE:
            raise ConfigError(f"scale {scale}: {MIN_SCALE} to {MAX_SCALE} expected")
        self.stations = stations(PLACES)
        self.countries = list(ORIGINS)
        addresses = CountryAddresses(table, self.countries)
        n_addresses = [station.addresses for station in self.stations]
        self.packets = round(PACKETS * scale)
        self._bursts = Bursts(scale, n_addresses, addresses)
        self.networks = self._bursts.networks
        self._background = Background(
            self.packets - self._bursts.packets,
            _on_air(self.stations),
            n_addresses,
            addresses,
            seed,
        )

    def day(self, day: int) -> DayCells:
        """Return the cells of a day (UTC), 0 for the first of `N_DAYS`."""
        made, burst = self._background.day(day), self._bursts.day(day)
        of_burst = np.full(len(burst), self.countries.index(COUNTRY))
        return DayCells(
            np.concatenate([made.cells, burst]),
            np.concatenate([made.countries, of_burst]),
        )


def make_quarter(
    out_dir: str | os.PathLike[str],
    seed: int = 0,
    scale: float = 1.0,
    country_table: CountryRanges | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Write the captures, what they hold, and what the sensors are.

    Parameters
    ----------
    out_dir : path
        Gets `SENSOR/DAY.pcap` for each sensor and day, `truth.json`, `sensors.toml` and
        `holders.csv`, an ASN table of the networks that have a story.
    seed, scale
        See `Scenario`.
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
        A parameter is out of range, or the directory cannot be written.
    DataFileError
        The country table lacks a country.
    FastflowError
        A file cannot be written to its end.
    """
    if country_table is None:
        from fastflow.stages.country import load_country_table

        country_table = load_country_table()
    scenario = Scenario(seed, scale, country_table)
    truth = Truth(scenario.stations, STYLES, scenario.countries, PHENOMENA, COUNTRY)
    try:
        for day in range(N_DAYS):
            made = scenario.day(day)
            write_day(made.cells, STYLES, scenario.stations, out_dir, seed)
            truth.add(day, made)
            if progress is not None:
                progress((day + 1) / N_DAYS)
    except OSError as error:
        what = error.strerror or str(error)
        raise ConfigError(f"{out_dir}: cannot be written ({what})") from error
    document = {
        "scenario": NAME,
        "seed": seed,
        "scale": scale,
        "country_table": {"name": country_table.name, "version": country_table.version},
        **truth.document(),
        "holders": [
            {"network": f"{ipaddress.IPv4Address(first)}/{NETWORK_PREFIX}"}
            | {"organisation": holder}
            for first, holder in zip(scenario.networks, HOLDERS, strict=True)
        ],
    }
    _write(Path(out_dir) / "sensors.toml", sensors_toml(scenario.stations))
    _write(Path(out_dir) / "holders.csv", holders_csv(scenario.networks))
    _write(Path(out_dir) / "truth.json", as_text(document))
    return document


def holders_csv(networks: list[int]) -> str:
    """Return an ASN table of the holders' networks, with AS numbers of RFC 5398."""
    rows = ["range_start,range_end,asn,org"]
    for number, (first, holder) in enumerate(zip(networks, HOLDERS, strict=True)):
        network = ipaddress.IPv4Network((first, NETWORK_PREFIX))
        rows.append(f"{network[0]},{network[-1]},{_FIRST_ASN + number},{holder}")
    return "\n".join(rows) + "\n"


def sensors_toml(sensors: list[Station]) -> str:
    """Return what `sensors.toml` says of these sensors."""
    tables = []
    for station in sensors:
        times = [(FIRST, END)]
        if station.name == INTERRUPTED:
            times = [(FIRST, OFF_AIR[0]), (OFF_AIR[1], END)]
        on_air = "".join(
            f"  {{ from = {begin}, until = {end} }},\n" for begin, end in times
        )
        tables.append(
            f'[{station.name}]\ncountry = "{station.country}"\n'
            f"addresses = {station.addresses}\non_air = [\n{on_air}]\n"
        )
    return "\n".join(tables)


def _on_air(sensors: list[Station]) -> npt.NDArray[np.bool_]:
    """Return of which days there are captures, by sensor."""
    found = np.ones((len(sensors), N_DAYS), np.bool_)
    interrupted = [station.name for station in sensors].index(INTERRUPTED)
    for begin, end in (OFF_AIR, GAP):
        found[interrupted, day_number(begin) : day_number(end)] = False
    return found


def _write(path: Path, text: str) -> None:
    with complete_file(path) as file:
        file.write(text.encode())
