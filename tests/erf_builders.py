"""ERF files (Endace's Extensible Record Format), written with `struct.pack` only."""

from __future__ import annotations

import struct

from builders import T0

HDLC_POS, ETH, ATM, AAL5 = 1, 2, 3, 4
COLOR_ETH, DSM_COLOR_ETH, COLOR_HASH_ETH = 11, 16, 20
IPV4, IPV6, META, PAD = 22, 23, 27, 48
ETHERNET_TYPES = (ETH, COLOR_ETH, DSM_COLOR_ETH, COLOR_HASH_ETH)
#: What a file may begin with.
FIRST_TYPES = (*ETHERNET_TYPES, IPV4, IPV6, META, PAD)


def erf_record(
    packet: bytes = b"",
    *,
    kind: int = ETH,
    sec: int = T0,
    fraction: int = 0,
    flags: int = 4,
    lost: int = 0,
    wirelen: int | None = None,
    extensions: int = 0,
    more: bool | None = None,
    length: int | None = None,
    pad: int | None = None,
) -> bytes:
    """Record; `fraction` in 2^-32 s, `extensions` extension headers.

    Padded to a multiple of 8 bytes, as cards do, unless `pad` says how many. `more`:
    another extension header is announced behind the last.
    """
    wirelen = len(packet) if wirelen is None else wirelen
    chain = bytearray(8 * extensions)
    for at in range(0, len(chain), 8):
        is_last = at + 8 == len(chain)
        chain[at] = 3 | (0 if is_last and not more else 0x80)
    first = 0x80 if extensions or more else 0
    body = bytes(chain) + (bytes(2) if kind in ETHERNET_TYPES else b"") + packet
    body += bytes(-(16 + len(body)) % 8 if pad is None else pad)
    length = 16 + len(body) if length is None else length
    header = struct.pack("<II", fraction, sec)
    header += struct.pack(">BBHHH", kind | first, flags, length, lost, wirelen)
    return header + body


def capture(*packets: bytes, kind: int = ETH) -> bytes:
    """Return a plain capture of the packets, one a second from `T0` on."""
    return b"".join(
        erf_record(packet, kind=kind, sec=T0 + second)
        for second, packet in enumerate(packets)
    )
