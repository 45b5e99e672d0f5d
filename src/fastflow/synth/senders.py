"""Who sends: scanners, worms, ordinary systems, victims that answer forged packets.

Sources of the formulas and of the SYNs: M. Antonakakis et al., Understanding the Mirai
botnet (USENIX Security 2017); the source of masscan 1.3.2 and of ZMap 2.1; p0f's
fingerprints of Windows and Linux.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastflow.synth.cells import (
    ACK,
    EACH_ANOTHER,
    ID_OF_MASSCAN,
    NO_STYLE,
    RST,
    SEQ_OF_MIRAI,
    SYN,
    Style,
)
from fastflow.synth.draws import Uint64s, below, draw

#: Of the bots: each process has one window.
_MIRAI_WINDOWS = [3001 + 1237 * number for number in range(24)]

_SIGNATURES = [
    "8192:2-1-3-1-1-4:1460:8",
    "65535:2-1-1-4:1460:",
    "64240:2-1-3-1-1-4:1460:8",
    "29200:2-4-8-1-3:1460:7",
    "14600:2-4-8-1-3:1460:4",
    "64240:2-4-8-1-3:1460:7",
    "1024:::",
    "65535:::",
    "28960:2-4-8-1-3:1460:7",
    "14480:2-4-8-1-3:1460:7",
    "0:::",
    "16384:2:1460:",
    "5840:::",
    *[f"{window}:::" for window in _MIRAI_WINDOWS],
]
STYLES = [Style.parse(signature) for signature in _SIGNATURES]

#: Instead of a source port: each source has one of its own.
OWN_PORT = -2
#: Ports that ordinary systems choose among.
_FIRST_PORT, _PORTS = 32_768, 28_232

_WEB, _DNS, _SSH, _MINECRAFT = (80, 443), 53, 22, 25_565


@dataclass(frozen=True)
class Sender:
    """What packets of one kind of sender have in common.

    Attributes
    ----------
    first_style, n_styles : int
        Each source has one of these; see `STYLES`.
    ttl : int
        At the source.
    flags : int
        Of TCP.
    seq, ip_id : int
        As in a cell.
    src_ports : tuple of int
        Each source has one of these, or as in a cell, or `OWN_PORT`.
    """

    first_style: int = NO_STYLE
    n_styles: int = 1
    ttl: int = 64
    flags: int = SYN
    seq: int = EACH_ANOTHER
    ip_id: int = EACH_ANOTHER
    src_ports: tuple[int, ...] = (EACH_ANOTHER,)


def _style(signature: str) -> int:
    return _SIGNATURES.index(signature)


#: By the name that mixes of senders use.
SENDERS = {
    "windows-7": Sender(_style("8192:2-1-3-1-1-4:1460:8"), ttl=128),
    "windows-xp": Sender(_style("65535:2-1-1-4:1460:"), ttl=128),
    "windows-10": Sender(_style("64240:2-1-3-1-1-4:1460:8"), ttl=128),
    "linux": Sender(_style("29200:2-4-8-1-3:1460:7"), 3),
    "masscan": Sender(
        _style("1024:::"), ttl=255, ip_id=ID_OF_MASSCAN, src_ports=(OWN_PORT,)
    ),
    "zmap": Sender(_style("65535:::"), ttl=255, ip_id=54_321),
    "mirai": Sender(
        _style(f"{_MIRAI_WINDOWS[0]}:::"),
        len(_MIRAI_WINDOWS),
        seq=SEQ_OF_MIRAI,
        src_ports=(OWN_PORT,),
    ),
    "accepts": Sender(
        _style("28960:2-4-8-1-3:1460:7"),
        2,
        flags=SYN | ACK,
        ip_id=0,
        src_ports=(*_WEB, *_WEB, _DNS, _SSH, _MINECRAFT),
    ),
    "refuses": Sender(_style("0:::"), flags=RST | ACK, ip_id=0, src_ports=_WEB),
    "udp": Sender(flags=0, src_ports=(OWN_PORT,)),
    "icmp": Sender(flags=0, src_ports=(OWN_PORT,)),
}

#: The victims and the prober of New Zealand, end of August: windows of their own.
BURST_ANSWER = Sender(
    _style("16384:2:1460:"), flags=SYN | ACK, seq=0x1D0C_57E5, src_ports=(443,)
)
BURST_TELNET = Sender(_style("5840:::"))

_LIST = list(SENDERS.values())
#: The columns of `SENDERS`, by the index of a sender.
_COLUMNS = {
    name: np.array([getattr(sender, name) for sender in _LIST])
    for name in ("first_style", "n_styles", "ttl", "flags", "seq", "ip_id")
}
_N_PORTS = np.array([len(sender.src_ports) for sender in _LIST])
_PORT_TABLE = np.array(
    [np.resize(sender.src_ports, _N_PORTS.max()) for sender in _LIST]
)
#: Hops from a source to a sensor.
_FEWEST_HOPS, _HOPS = 6, 18

#: Slots of a drawing table of senders.
SLOTS = 100


def slots(mix: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """Return a drawing table: per cent of the sources that each sender has."""
    names = list(SENDERS)
    numbers = [names.index(name) for name in mix]
    table = np.repeat(numbers, list(mix.values()))
    if len(table) != SLOTS:
        raise ValueError(f"{mix}: the shares must add up to {SLOTS}")
    return table


def traits(
    senders: npt.NDArray[np.int64], sources: Uint64s
) -> dict[str, npt.NDArray[np.int64]]:
    """Return the columns of cells that depend on sender and source.

    Parameters
    ----------
    senders : array of int
        Indices into `SENDERS`.
    sources : array of uint64
        Bits that stand for the source.
    """
    choice = below(draw(0, sources), _N_PORTS[senders])
    ports = _PORT_TABLE[senders, choice]
    own = _FIRST_PORT + below(draw(1, sources), _PORTS)
    styles = below(draw(2, sources), _COLUMNS["n_styles"][senders])
    hops = _FEWEST_HOPS + below(draw(3, sources), _HOPS)
    return {
        "style": _COLUMNS["first_style"][senders] + styles,
        "tcp_flags": _COLUMNS["flags"][senders],
        "src_port": np.where(ports == OWN_PORT, own, ports),
        "tcp_seq": _COLUMNS["seq"][senders],
        "ip_id": _COLUMNS["ip_id"][senders],
        "ip_ttl": _COLUMNS["ttl"][senders] - hops,
    }
