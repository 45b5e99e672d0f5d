"""A report as findings: every number of it, in no language.

`Report.to_json()` is what `--format json` prints; docs/report.md describes it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec

from fastflow.analysis.rank import PREVIOUS_RANKS, top
from fastflow.analysis.regions import CONFIDENCE
from fastflow.analysis.selection import Selection
from fastflow.errors import ConfigError
from fastflow.report.backscatter import DEFINITION, Backscatter, backscatter
from fastflow.report.findings import Phenomena
from fastflow.report.mixes import NOTABLE, Mix, mixes
from fastflow.report.origins import Origins, origins
from fastflow.report.phenomena import phenomena
from fastflow.report.ranks import HARDLY, SHOWN, Ranks, ranks
from fastflow.report.remarks import Remarks, remarks
from fastflow.report.sensors import Overview, overview
from fastflow.report.steps import Steps
from fastflow.report.stories import Holders
from fastflow.units import Period
from fastflow.zones import HOUR, iso_local

#: Changes when something of the JSON means another thing than before.
VERSION = 1
#: Sources with so many packets on a day are listed for it.
MIN_PACKETS = 25


@dataclass(frozen=True)
class Span:
    """A period.

    Attributes
    ----------
    kind : str
        quarter, month, week, day, year or range.
    first_day, last_day : str
        Days of the zone, both inclusive.
    """

    text: str
    kind: str
    first_day: str
    last_day: str
    start: str
    end: str
    days: int


@dataclass(frozen=True)
class Subject:
    """Whose packets are told of.

    Attributes
    ----------
    wanted : list of str or None
        As it was asked for: countries, names; None: all sensors.
    sensors, others : list of str
        The sensors, and those that serve comparison.
    """

    wanted: list[str] | None
    sensors: list[str]
    countries: list[str]
    others: list[str]


@dataclass(frozen=True)
class Tool:
    """A scanning tool by the headers of its packets; sources as in `Ranked`."""

    tool: str
    packets: int
    sources: int | None
    share: float
    previous_rank: int | None


@dataclass(frozen=True)
class Report:
    """All that is told of a period.

    Attributes
    ----------
    previous : Span or None
        The period before; None: the store has nothing of it.
    settings : dict
        Limits and definitions that the text names.
    remarks : dict
        On the tables of ports and countries.
    """

    period: Span
    previous: Span | None
    zone: str
    subject: Subject
    settings: dict[str, Any]
    overview: Overview
    ports: Ranks
    countries: Ranks
    remarks: dict[str, Remarks]
    regions: list[Mix]
    phenomena: Phenomena
    backscatter: Backscatter
    tools: list[Tool]
    origins: Origins

    def to_json(self) -> dict[str, Any]:
        """Return the report as values for JSON."""
        return {"report_version": VERSION, **dataclasses.asdict(self)}

    @classmethod
    def read(cls, path: Path) -> Report:
        """Return a report that `--format json` has written.

        Raises
        ------
        ConfigError
            The file cannot be read, is none, or another version of fastflow wrote it.
        """
        try:
            text = path.read_bytes()
            version = msgspec.json.decode(text, type=_Head).report_version
            if version == VERSION:
                return msgspec.json.decode(text, type=cls)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise ConfigError(
                f"{path}: not what `fastflow report --format json` writes: {error}"
            ) from error
        raise ConfigError(
            f"{path}: findings of version {version}, and this fastflow reads version "
            f"{VERSION}; make them again with --format json"
        )


@dataclass(frozen=True)
class _Head:
    """What says whether the rest can be read."""

    report_version: int


def build(
    selection: Selection,
    *,
    min_packets: int = MIN_PACKETS,
    holders: Holders | None = None,
) -> Report:
    """Find all that a report tells of a period.

    Parameters
    ----------
    selection : Selection
        With a period; its sensors are the subject, all others of the store serve
        comparison.
    min_packets : int
        Sources with so many packets on a day are listed for it.
    holders : Holders or None
        Who is asked which organisations hold these addresses.

    Raises
    ------
    ConfigError
        There is no period, or it is cut where days were added up.
    """
    period = selection.period
    if period is None:
        raise ConfigError("a report is of a period; name one, as 2020-Q3")
    earlier = _earlier(selection, period)
    others = _others(selection)
    days = Steps(selection, "day", period.hours)
    about = overview(selection, earlier, others)
    tables = [ranks(selection, by, days, earlier, others) for by in ("port", "country")]
    found = phenomena(selection, days, min_packets, holders)
    return Report(
        period=_span(period),
        previous=_span(earlier.period) if earlier and earlier.period else None,
        zone="UTC" if period.zone is UTC else str(period.zone),
        subject=_subject(selection, others),
        settings={
            "min_packets": min_packets,
            "ranks_shown": SHOWN,
            "ranks_known": PREVIOUS_RANKS,
            "hardly_moved": HARDLY,
            "notable_difference": NOTABLE,
            "interval": CONFIDENCE,
            "attack": DEFINITION,
        },
        overview=about,
        ports=tables[0],
        countries=tables[1],
        remarks={
            table.by: remarks(table, found, earlier is not None) for table in tables
        },
        regions=mixes(selection, days),
        phenomena=found,
        backscatter=backscatter(selection, days, about.rate.packets),
        tools=[
            Tool(
                row["key"],
                row["packets"],
                row["sources"],
                row["share"],
                row["previous_rank"],
            )
            for row in top(selection, "tool", PREVIOUS_RANKS)
        ],
        origins=origins(selection, holders.sources if holders else []),
    )


def _earlier(selection: Selection, period: Period) -> Selection | None:
    """Return the period before, if the store has something of it."""
    try:
        previous = period.previous()
    except ConfigError:
        return None
    if selection.days.are_cut(previous.hours):
        return None
    earlier = selection.in_period(previous)
    conditions = earlier.conditions(previous.hours)
    found = earlier.ask(f"select 1 from counts where {conditions} limit 1",
                        conditions.params)  # fmt: skip
    return earlier if found.num_rows else None


def _others(selection: Selection) -> Selection | None:
    if selection.wanted is None:
        return None
    mine = set(selection.sensor_names)
    names = sorted(set(selection.of_sensors(None).sensor_names) - mine)
    return selection.of_sensors(names) if names else None


def _span(period: Period) -> Span:
    first = period.start.astimezone(period.zone).date()
    last = (period.end - HOUR).astimezone(period.zone).date()
    return Span(
        period.text,
        period.kind,
        first.isoformat(),
        last.isoformat(),
        iso_local(period.start, period.zone),
        iso_local(period.end, period.zone),
        (last - first).days + 1,
    )


def _subject(selection: Selection, others: Selection | None) -> Subject:
    network, names = selection.network, selection.sensor_names
    known = network.sensors if network else {}
    return Subject(
        wanted=None if selection.wanted is None else list(selection.wanted),
        sensors=names,
        countries=sorted({known[name].country for name in names if name in known}),
        others=others.sensor_names if others else [],
    )
