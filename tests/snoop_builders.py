"""Snoop files (RFC 1761), written with `struct.pack` and nothing else."""

from __future__ import annotations

import struct

from builders import T0

MAGIC = b"snoop\0\0\0"


def snoop_header(*, version: int = 2, datalink: int = 4) -> bytes:
    return MAGIC + struct.pack(">II", version, datalink)


def snoop_record(
    packet: bytes = b"",
    *,
    sec: int = T0,
    micros: int = 0,
    caplen: int | None = None,
    wirelen: int | None = None,
    length: int | None = None,
    drops: int = 0,
    pad: int | None = None,
) -> bytes:
    """Record, padded to whole words unless `pad` says how many bytes."""
    caplen = len(packet) if caplen is None else caplen
    wirelen = len(packet) if wirelen is None else wirelen
    padding = bytes(-len(packet) % 4 if pad is None else pad)
    length = 24 + len(packet) + len(padding) if length is None else length
    header = struct.pack(">IIIIII", wirelen, caplen, length, drops, sec, micros)
    return header + packet + padding


def capture(*packets: bytes, datalink: int = 4) -> bytes:
    """Return a plain capture of the packets, one a second from `T0` on."""
    records = (snoop_record(p, sec=T0 + second) for second, p in enumerate(packets))
    return snoop_header(datalink=datalink) + b"".join(records)
