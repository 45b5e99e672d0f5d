"""Each region's mix of ports beside that of all others, and its course over time.

Packets of a day come from few sources and are no sample of independent ones. So days
are what is drawn: shares are ratio estimates over days as clusters (Cochran, Sampling
Techniques, 1977, sections 6.4 and 9A.2), and courses are compared by the sums of daily
departures (CUSUM: Ploberger and Krämer, Econometrica 60, 1992), whose variance comes
from neighbouring days (von Neumann, 1941). False discoveries are controlled over all
regions and ports (Benjamini and Hochberg, 1995).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import false_discovery_control, kstwobign, norm

from fastflow.analysis.buckets import Buckets
from fastflow.analysis.keys import key_by
from fastflow.analysis.rank import Ranking
from fastflow.analysis.selection import Selection
from fastflow.names import country_name

#: Of the intervals of differences.
CONFIDENCE = 0.95
#: How many of the shares, and of the courses, said to differ may be so by chance.
FALSE_DISCOVERIES = 0.05
#: Fewer days say nothing of a course.
MIN_DAYS = 14

_Days = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PortShare:
    """A port in a region's traffic, and in that of all others.

    Attributes
    ----------
    port : str
        As `445/tcp`.
    share, elsewhere : float
        Of all packets of the region, of all others; elsewhere is None without others.
    difference, low, high : float or None
        share - elsewhere, and its 95 % interval; None: fewer than two days.
    share_p : float or None
        Probability of such a difference if there is none.
    differs : bool
        Whether the shares differ, in view of how many are compared.
    course_differs : bool or None
        Whether the region's packets went another way over time than the others' on
        this port; None: too few days to say.
    p_value : float or None
        Of the same course.
    """

    port: str
    packets: int
    share: float
    elsewhere: float | None
    difference: float | None
    low: float | None
    high: float | None
    share_p: float | None
    differs: bool
    course_differs: bool | None
    p_value: float | None


@dataclass(frozen=True)
class Region:
    """A source region, its share of all packets, and its first ports."""

    country: str
    name: str | None
    packets: int
    share: float
    ports: list[PortShare]

    def to_json(self) -> dict[str, Any]:
        """Return what `regions --json` prints of it."""
        return asdict(self)


def regions(selection: Selection, n: int = 5, n_ports: int = 5) -> list[Region]:
    """Compare the first regions with the rest of the world.

    Parameters
    ----------
    selection : Selection
        The rows to look at; days are those of its zone.
    n, n_ports : int
        How many regions, and how many of the first ports of each.

    Returns
    -------
    list of Region
        Most packets first; of each its own first ports.
    """
    hours = selection.hours
    if hours is None:
        return []
    countries = Ranking(selection, "country").first(hours, n)
    if not countries.num_rows:
        return []
    ports = _first_ports(selection, countries["country"].to_pylist(), n_ports)
    buckets = Buckets("day", selection.zone, *hours)
    cube = _Cube(selection, buckets, countries, pa.concat_tables(ports))
    found = [
        [cube.compare(nth, port) for port in of_region["key"].to_pylist()]
        for nth, of_region in enumerate(ports)
    ]
    _decide([port for of_region in found for port in of_region])
    return [
        Region(
            row["country"],
            country_name(row["country"]),
            row["packets"],
            row["packets"] / row["total"],
            [PortShare(**port) for port in of_region],
        )
        for row, of_region in zip(countries.to_pylist(), found, strict=True)
    ]


def _first_ports(
    selection: Selection, codes: list[str], n_ports: int
) -> list[pa.Table]:
    """Return the first ports of each country as `Ranking` does, in one pass.

    The database finds them and all that tie with the last of each.
    """
    key = key_by("port")
    conditions = selection.conditions(selection.hours)
    conditions.add_one_of("country", codes)
    found = selection.ask(
        f"with sums as (select country, {key.select}, sum(packets)::bigint as packets "
        f"from {selection.table()} where {conditions} group by all) "
        f"select country, {key.names}, packets from sums where {key.is_there} "
        "qualify rank() over (partition by country order by packets desc) <= ?",
        [*conditions.params, n_ports],
    )
    found = found.append_column("key", key.text(found))
    found = found.sort_by([("packets", "descending"), ("key", "ascending")])
    return [
        found.filter(pc.equal(found["country"], code)).slice(0, n_ports)
        for code in codes
    ]


class _Cube:
    """Packets by day, country and port; the first of these are all others."""

    def __init__(
        self,
        selection: Selection,
        buckets: Buckets,
        countries: pa.Table,
        ports: pa.Table,
    ) -> None:
        codes = countries["country"].to_pylist()
        unique = dict.fromkeys(
            zip(*(ports[name].to_pylist() for name in ("proto", "dst_port", "key")),
                strict=True)
        )  # fmt: skip
        self._ports = [key for _, _, key in unique]
        numbers = [proto << 16 | port for proto, port, _ in unique]
        conditions = selection.conditions(selection.hours)
        rows = selection.ask(
            f"select ({buckets.sql} - {buckets.first})::int as day, "
            "coalesce(list_position(?::varchar[], country), 0) as country, "
            "coalesce(list_position(?::int[], (proto::int << 16) + dst_port), 0) "
            f"as port, sum(packets)::bigint as n from {selection.table()} "
            f"where {conditions} group by all",
            [codes, numbers, *conditions.params],
        )
        shape = (len(buckets.starts), len(codes) + 1, len(numbers) + 1)
        self._packets = np.zeros(shape)
        at = tuple(rows[name].to_numpy() for name in ("day", "country", "port"))
        self._packets[at] = rows["n"].to_numpy()

    def compare(self, nth: int, port: str) -> dict[str, Any]:
        """Return what is known of a port in the n-th country, from 0 on."""
        number = self._ports.index(port) + 1
        own = self._packets[:, nth + 1, number]
        own_all = self._packets[:, nth + 1].sum(1)
        other = self._packets[:, :, number].sum(1) - own
        other_all = self._packets.sum((1, 2)) - own_all
        share, error = _share(own, own_all)
        elsewhere, other_error = _share(other, other_all)
        difference = low = high = share_p = None
        if elsewhere is not None and error is not None and other_error is not None:
            difference = share - elsewhere
            deviation = math.hypot(error, other_error)
            reach = norm.ppf((1 + CONFIDENCE) / 2) * deviation
            low, high = difference - reach, difference + reach
            share_p = _two_sided(difference, deviation)
        return {
            "port": port,
            "packets": int(own.sum()),
            "share": share,
            "elsewhere": elsewhere,
            "difference": difference,
            "low": low,
            "high": high,
            "share_p": share_p,
            "differs": False,
            "course_differs": None,
            "p_value": _same_course(own, other),
        }


def _two_sided(difference: float, deviation: float) -> float:
    """Return the probability of such a difference if there is none."""
    if deviation == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * norm.sf(abs(difference) / deviation))


def _share(part: _Days, whole: _Days) -> tuple[Any, float | None]:
    """Return a part's share over all days, and its standard error."""
    total = whole.sum()
    if total == 0:
        return None, None
    share = float(part.sum() / total)
    days = np.count_nonzero(whole)
    if days < 2:
        return share, None
    residuals = part - share * whole
    variance = (residuals**2).sum() * days / (days - 1) / total**2
    return share, float(math.sqrt(variance))


def _same_course(own: _Days, other: _Days) -> float | None:
    """Return the probability of such sums of departures if the courses are the same."""
    days = np.flatnonzero(own + other)
    if len(days) < MIN_DAYS or other.sum() == 0:
        return None
    own, other = own[days], other[days]
    expected = other * own.sum() / other.sum()
    # Of Poisson counts, so that days with many packets do not decide alone.
    departures = (own - expected) / np.sqrt(np.maximum(own + expected, 1))
    departures -= departures.mean()
    # The difference of two days has twice the variance of one, whatever the course.
    deviation = math.sqrt((np.diff(departures) ** 2).mean() / 2)
    if deviation == 0:
        return 1.0
    furthest = np.abs(departures.cumsum()).max() / (deviation * math.sqrt(len(days)))
    return float(kstwobign.sf(furthest))


def _decide(ports: list[dict[str, Any]]) -> None:
    """Say which shares and courses differ, one in twenty of these by chance."""
    for verdict, p_value in (("differs", "share_p"), ("course_differs", "p_value")):
        known = [port for port in ports if port[p_value] is not None]
        if not known:
            continue
        adjusted = false_discovery_control([port[p_value] for port in known])
        for port, value in zip(known, adjusted, strict=True):
            port[verdict] = bool(value < FALSE_DISCOVERIES)
