"""A capture for every way of being malformed that has a verdict of its own.

The names that begin with a letter and a number are those of a collection that other
programs were tried on; where its files are at hand, the same verdicts hold for them.
"""

from __future__ import annotations

from hostile_files import FILES
from hostile_packets import PACKETS
from hostile_pcapng import PCAPNG
from hostile_transport import TRANSPORT, TUNNELS
from hostile_verdicts import Case, Verdict, stop

__all__ = ["CASES", "Case", "Verdict", "verdict_of"]

CASES: tuple[Case, ...] = (*FILES, *PCAPNG, *PACKETS, *TRANSPORT, *TUNNELS)

#: Where the collection's file is damaged elsewhere than ours.
_ELSEWHERE = {
    "Z02_trunc": stop("compressed_truncated", 24, 0),
    "Z07_corrupt_mid": stop("compressed_corrupt", 24, 0),
}


def verdict_of(name: str) -> Verdict:
    """Return the verdict for the collection's file of that name."""
    return _ELSEWHERE.get(name) or next(
        case.verdict for case in CASES if case.name == name
    )
