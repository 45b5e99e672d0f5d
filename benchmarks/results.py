"""What the runs of a contestant gave."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from contestants import ALL, Contestant

CONTESTANTS = {contestant.name: contestant for contestant in ALL}


@dataclass
class Result:
    """The runs of one contestant on one load.

    Attributes
    ----------
    packets, size_bytes, captures : int
        Of its input.
    command : str
        As it ran, with short names for the files.
    version : str or None
    why_not : str or None
        Why there are no figures.
    seconds : list of float
        One for each round.
    peak_bytes : int or None
        The largest peak of memory, where it is told.
    """

    name: str
    packets: int = 0
    size_bytes: int = 0
    captures: int = 1
    command: str = ""
    version: str | None = None
    why_not: str | None = None
    seconds: list[float] = field(default_factory=list)
    peak_bytes: int | None = None

    @property
    def contestant(self) -> Contestant:
        """Who ran."""
        return CONTESTANTS[self.name]

    @property
    def least(self) -> float:
        """The fastest round, in seconds."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The median round, in seconds."""
        return statistics.median(self.seconds)

    @property
    def rate(self) -> float:
        """Packets per second, at the median."""
        return self.packets / self.median

    def add(self, figures: dict[str, Any]) -> None:
        """Take in the figures of one round."""
        self.seconds.append(figures["seconds"])
        if "peak_bytes" in figures:
            self.peak_bytes = max(self.peak_bytes or 0, figures["peak_bytes"])
