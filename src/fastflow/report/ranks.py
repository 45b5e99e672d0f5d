"""Tables 1 and 2: the first ports and regions, their ranks before, their courses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from fastflow.analysis.rank import PREVIOUS_RANKS, Ranking
from fastflow.analysis.selection import Selection
from fastflow.names import KnownAs, known_as, proto_name, service_name
from fastflow.report.steps import Counts, Course, Steps

_Name = TypeVar("_Name")

#: Ranks are known to ten, and five are shown.
SHOWN = 5
#: Whose rank moved by no more places has hardly moved.
HARDLY = 1


@dataclass(frozen=True)
class Ranked:
    """A port or a region.

    Attributes
    ----------
    key : str
        As `445/tcp`, or a country's code.
    service : str or None
        IANA's name of a port; None: there is none, or it is a region.
    known_as : KnownAs or None
        What else is commonly found on a port.
    sources : int or None
        Distinct addresses over the period; None: the store keeps none.
    share : float
        Of all packets of the period.
    previous_rank, previous_packets : int or None
        In the period before; a rank is None outside of its first ten, packets are None
        where that period is not known.
    rank_elsewhere : int or None
        Among the sensors that are not the report's subject; None: there are none, or
        it is not among their first ten.
    """

    rank: int
    key: str
    service: str | None
    known_as: KnownAs | None
    packets: int
    sources: int | None
    share: float
    previous_rank: int | None
    previous_packets: int | None
    rank_elsewhere: int | None

    @property
    def moved(self) -> int | None:
        """How many places it went up; None: it was outside of the first ten."""
        return None if self.previous_rank is None else self.previous_rank - self.rank


@dataclass(frozen=True)
class Ranks:
    """The first ten ports or regions, and daily packets of those that are shown."""

    by: str
    rows: list[Ranked]
    course: Course

    @property
    def shown(self) -> list[Ranked]:
        """Those that the table shows."""
        return self.rows[:SHOWN]


def ranks(
    selection: Selection,
    by: str,
    days: Steps,
    earlier: Selection | None,
    others: Selection | None,
) -> Ranks:
    """Rank ports or regions.

    Parameters
    ----------
    by : str
        port or country.
    days : Steps
        Of the period.
    earlier : Selection or None
        The period before, if the store has something of it.
    others : Selection or None
        The sensors that serve comparison, if there are any.
    """
    ranking = Ranking(selection, by)
    first = ranking.first(days.hours, PREVIOUS_RANKS)
    keys = first["key"].to_pylist()
    ranks_before: dict[str, int] = {}
    before: dict[str, int] = {}
    elsewhere: dict[str, int] = {}
    if earlier is not None and earlier.period is not None:
        ranks_before = ranking.ranks(earlier.period)
        before = _packets(earlier, by, first)
    if others is not None:
        theirs = Ranking(others, by).first(days.hours, PREVIOUS_RANKS)
        elsewhere = {key: n for n, key in enumerate(theirs["key"].to_pylist(), 1)}
    rows = [
        Ranked(
            rank=rank,
            key=row["key"],
            service=_of_port(row, service_name),
            known_as=_of_port(row, known_as),
            packets=row["packets"],
            sources=n_sources,
            share=row["packets"] / row["total"],
            previous_rank=ranks_before.get(row["key"]),
            previous_packets=before.get(row["key"]),
            rank_elsewhere=elsewhere.get(row["key"]),
        )
        for rank, (row, n_sources) in enumerate(
            zip(first.to_pylist(), ranking.distinct_sources(first), strict=True), 1
        )
    ]
    packets = _daily(selection, ranking, days, first.slice(0, SHOWN))
    lines = [(key, {by: key}, packets[:, nth]) for nth, key in enumerate(keys[:SHOWN])]
    return Ranks(by, rows, days.course("packets", lines))


def _of_port(row: dict[str, Any], name: Callable[[int, str], _Name]) -> _Name | None:
    """Return a name of a row's port; None: it is a region."""
    port = row.get("dst_port")
    return None if port is None else name(port, proto_name(row["proto"]))


def _packets(earlier: Selection, by: str, first: pa.Table) -> dict[str, int]:
    """Return the packets of each key in the period before."""
    keys = first["key"].to_pylist()
    if not keys:
        return {}
    rows, params = Ranking(earlier, by).rows(earlier.period_hours, first)
    sums = earlier.ask(
        f"select nth::int as nth, sum(packets)::bigint as n from {rows} group by nth",
        params,
    )
    found = {keys[row["nth"]]: row["n"] for row in sums.to_pylist()}
    return {key: found.get(key, 0) for key in keys}


def _daily(
    selection: Selection, ranking: Ranking, days: Steps, first: pa.Table
) -> Counts:
    """Return the packets of each key, days by keys."""
    packets = np.zeros((len(days), first.num_rows), np.int64)
    if first.num_rows:
        rows, params = ranking.rows(days.hours, first)
        sums = selection.ask(
            f"select {days.number}::int as day, nth::int as nth, "
            f"sum(packets)::bigint as n from {rows} group by all",
            params,
        )
        packets[sums["day"].to_numpy(), sums["nth"].to_numpy()] = sums["n"].to_numpy()
    return packets
