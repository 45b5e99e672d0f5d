"""Packet filters over `fastflow/ff_bpf.h`: verified programs, one per link type."""

from collections.abc import Mapping, Sequence
from typing import final

from typing_extensions import Buffer

MAX_INSNS: int
FAULTS: tuple[tuple[str, str], ...]

@final
class Filter:
    """The verified programs of one filter expression, one per link type."""

    def __new__(
        cls, programs: Mapping[int, Sequence[tuple[int, int, int, int]]]
    ) -> Filter: ...
    def matches(self, linktype: int, packet: Buffer, wirelen: int) -> bool:
        """Tell whether one packet matches."""
    @property
    def linktypes(self) -> frozenset[int]:
        """The link types that there is a program for."""
