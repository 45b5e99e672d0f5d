"""Prefix table over `fastflow/ff_lpm.h`: country codes of addresses, in batches."""

from typing import final

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

@final
class PrefixTable:
    """Immutable table from IPv4 and IPv6 addresses to 16-bit codes."""

    def __new__(
        cls,
        v4_starts: npt.NDArray[np.uint32],
        v4_codes: npt.NDArray[np.uint16],
        v6_starts: npt.NDArray[np.uint64],
        v6_codes: npt.NDArray[np.uint16],
    ) -> PrefixTable: ...
    def lookup(self, addresses: Buffer, ip_versions: Buffer) -> npt.NDArray[np.uint16]:
        """Look addresses up, with the GIL released."""
