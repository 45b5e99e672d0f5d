"""Each region's first ports, and where its mix departs from the others'."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastflow.analysis.regions import PortShare, regions
from fastflow.analysis.selection import Selection
from fastflow.analysis.where import parse_port
from fastflow.report.ranks import SHOWN
from fastflow.report.steps import Course, Steps

#: A share that differs by less, in parts of all packets, is not remarked on.
NOTABLE = 0.05


@dataclass(frozen=True)
class Mix:
    """A region beside all others.

    Attributes
    ----------
    larger, smaller : list of str
        Ports whose share is notably larger, or smaller, than elsewhere.
    other_course : list of str
        Those of them that went another way over time.
    course : Course or None
        Daily packets from here to the ports that depart; None: none does.
    """

    country: str
    packets: int
    share: float
    ports: list[PortShare]
    larger: list[str]
    smaller: list[str]
    other_course: list[str]
    course: Course | None


def mixes(selection: Selection, days: Steps) -> list[Mix]:
    """Compare the first regions with all others."""
    found = []
    for region in regions(selection, SHOWN, SHOWN):
        apart = [
            port
            for port in region.ports
            if port.differs and abs(port.difference or 0) >= NOTABLE
        ]
        names = [port.port for port in apart]
        found.append(
            Mix(
                region.country,
                region.packets,
                region.share,
                region.ports,
                larger=[one.port for one in apart if (one.difference or 0) > 0],
                smaller=[one.port for one in apart if (one.difference or 0) < 0],
                other_course=[one.port for one in apart if one.course_differs],
                course=_course(selection, days, region.country, names)
                if names
                else None,
            )
        )
    return found


def _course(
    selection: Selection, days: Steps, country: str, ports: list[str]
) -> Course:
    """Return daily packets from a country to some ports."""
    conditions = selection.narrowed(country=country).conditions(days.hours)
    numbers = [proto << 16 | port for port, proto in map(parse_port, ports)]
    found = selection.ask(
        f"select {days.number}::int as day, "
        "list_position(?::int[], (proto::int << 16) + dst_port)::int - 1 as nth, "
        f"sum(packets)::bigint as n from counts where {conditions} "
        "group by all having nth is not null",
        [numbers, *conditions.params],
    )
    packets = np.zeros((len(days), len(ports)), np.int64)
    packets[found["day"].to_numpy(), found["nth"].to_numpy()] = found["n"].to_numpy()
    return days.course(
        "packets",
        [
            (port, {"port": port, "country": country}, packets[:, nth])
            for nth, port in enumerate(ports)
        ],
    )
