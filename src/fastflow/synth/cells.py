"""Cells: what a scenario is made of, before it is captures or counts.

A cell stands for the packets of one source to one sensor in one hour that agree in all
that a store keeps. `fastflow.synth.captures` makes packets of cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

#: Instead of a value: every packet has another one.
EACH_ANOTHER = -1
#: Instead of a sequence number: that of Mirai, which is the destination address.
SEQ_OF_MIRAI = -2
#: Instead of an IP id: that of masscan, `(dst ^ dst_port ^ tcp_seq) & 0xffff`.
ID_OF_MASSCAN = -2
#: The style of what is not TCP.
NO_STYLE = -1

ICMP, TCP, UDP = 1, 6, 17
SYN, RST, ACK = 2, 4, 16

#: What stands in UDP, and behind the 8 bytes of an ICMP header.
UDP_PAYLOAD_BYTES, ICMP_BODY_BYTES = 18, 28

#: The columns. `hour` counts from 1970 UTC; `sensor` and `style` are indices into lists
#: beside the cells; packets are spread over the seconds of the hour from `begin_s` to
#: `end_s`, the second exclusive. `dst_port`, `icmp_type`, `tcp_flags` are 0 where they
#: have no meaning.
CELL = np.dtype(
    [
        ("hour", np.int32),
        ("sensor", np.int16),
        ("src", np.uint32),
        ("proto", np.uint8),
        ("dst_port", np.uint16),
        ("icmp_type", np.uint8),
        ("tcp_flags", np.uint8),
        ("style", np.int16),
        ("src_port", np.int32),
        ("tcp_seq", np.int64),
        ("ip_id", np.int32),
        ("ip_ttl", np.uint8),
        ("packets", np.uint32),
        ("begin_s", np.uint16),
        ("end_s", np.uint16),
    ]
)
#: A structured array: `cells["hour"]` is a column.
Cells = npt.NDArray[np.void]

_DEFAULTS = {
    "proto": TCP,
    "tcp_flags": SYN,
    "src_port": EACH_ANOTHER,
    "tcp_seq": EACH_ANOTHER,
    "ip_id": EACH_ANOTHER,
    "ip_ttl": 64,
    "packets": 1,
    "end_s": 3600,
}

_END, _NOP, _MSS, _WSCALE = 0, 1, 2, 3
#: Whole length of the options that a signature can ask for.
_LENGTHS = {_MSS: 4, _WSCALE: 3, 4: 2, 5: 10, 8: 10}


def make_cells(n: int, **columns: npt.ArrayLike) -> Cells:
    """Return cells with these columns.

    Where nothing is said: one packet, a TCP SYN, at any time of the hour, all of it
    another in each packet that can be.
    """
    cells = np.zeros(n, CELL)
    for name, value in (_DEFAULTS | columns).items():
        cells[name] = value
    return cells


@dataclass(frozen=True)
class Style:
    """What a sender's TCP packets have in common.

    Attributes
    ----------
    window : int
        As on the wire, unscaled.
    options : bytes
        As on the wire; a multiple of 4 bytes, 40 at most.

    Raises
    ------
    ValueError
        The options do not fit into a header, or one is cut.
    """

    window: int
    options: bytes = b""

    def __post_init__(self) -> None:
        """Look at the options."""
        if len(self.options) % 4 or len(self.options) > 40:
            raise ValueError(f"{len(self.options)} bytes of options; 0, 4 ... 40 fit")
        list(_kinds(self.options))

    @classmethod
    def parse(cls, signature: str) -> Self:
        """Return a style that has this signature, e.g. `8192:2-1-3-1-1-4:1460:8`."""
        window, kinds, mss, wscale = signature.split(":")
        options = b"".join(
            _option(int(kind), mss, wscale) for kind in kinds.split("-") if kind
        )
        return cls(int(window), options)

    @property
    def signature(self) -> str:
        """The column `signature`: window, kinds of options, MSS, window scale."""
        values: dict[int, Any] = {_MSS: "", _WSCALE: ""}
        kinds = []
        for kind, body in _kinds(self.options):
            kinds.append(str(kind))
            if kind in values and len(body) + 2 == _LENGTHS[kind]:
                values[kind] = int.from_bytes(body)
        return f"{self.window}:{'-'.join(kinds)}:{values[_MSS]}:{values[_WSCALE]}"


def by_day(cells: Cells) -> Iterator[Cells]:
    """Yield the cells of each day (UTC); those of an hour keep their order."""
    ordered = cells[np.argsort(cells["hour"], kind="stable")]
    _, begins = np.unique(ordered["hour"] // 24, return_index=True)
    yield from np.split(ordered, begins[1:]) if len(cells) else ()


def ip_lengths(cells: Cells, styles: Sequence[Style]) -> npt.NDArray[np.int64]:
    """Return the length of each cell's packets in bytes, the IP header included."""
    of_style = np.array([40 + len(style.options) for style in styles] + [0])
    others = np.where(
        cells["proto"] == UDP, 28 + UDP_PAYLOAD_BYTES, 28 + ICMP_BODY_BYTES
    )
    found: npt.NDArray[np.int64] = np.where(
        cells["proto"] == TCP, of_style[cells["style"]], others
    )
    return found


def _kinds(options: bytes) -> list[tuple[int, bytes]]:
    """Return each option's kind and body, to the first end-of-list."""
    found = []
    at = 0
    while at < len(options):
        kind = options[at]
        length = 1
        if kind not in (_END, _NOP):
            length = options[at + 1] if at + 1 < len(options) else 0
            if length < 2 or at + length > len(options):
                raise ValueError(f"option {kind} at byte {at} is cut")
        found.append((kind, options[at + 2 : at + length]))
        if kind == _END:
            break
        at += length
    return found


def _option(kind: int, mss: str, wscale: str) -> bytes:
    """Return an option on the wire; what no signature shows is zero."""
    if kind in (_END, _NOP):
        return bytes([kind])
    length = _LENGTHS[kind]
    values = {_MSS: mss, _WSCALE: wscale}
    body = int(values.get(kind) or 0).to_bytes(length - 2)
    return bytes([kind, length]) + body
