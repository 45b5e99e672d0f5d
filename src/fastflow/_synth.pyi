"""Generator over `fastflow/ff_synth.h`: the records of load captures, in blocks."""

from typing import final

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

SLOTS: int
RECORD_MAX_BYTES: int
KINDS: tuple[str, ...]

@final
class LoadGenerator:
    """Makes the records of one load capture, and counts what it makes."""

    def __new__(
        cls,
        kind: str,
        *,
        packets: int,
        hours: int,
        actors: int,
        start_sec: int,
        seed: int,
        country_slots: npt.NDArray[np.uint16],
        first_ranges: npt.NDArray[np.uint32],
        range_starts: npt.NDArray[np.uint32],
        range_ends: npt.NDArray[np.uint32],
        tcp_slots: npt.NDArray[np.uint16],
        udp_slots: npt.NDArray[np.uint16],
    ) -> LoadGenerator: ...
    def fill(self, block: Buffer) -> int:
        """Write the next records into a block, with the GIL released."""
    @property
    def packets(self) -> int: ...
    @property
    def ip_bytes(self) -> int: ...
    @property
    def icmp_packets(self) -> int: ...
    @property
    def syn_ack_packets(self) -> int: ...
    @property
    def hour_packets(self) -> npt.NDArray[np.uint64]: ...
    @property
    def tcp_packets(self) -> npt.NDArray[np.uint64]: ...
    @property
    def udp_packets(self) -> npt.NDArray[np.uint64]: ...
    @property
    def country_packets(self) -> npt.NDArray[np.uint64]: ...
    @property
    def country_sources(self) -> npt.NDArray[np.uint64]: ...
