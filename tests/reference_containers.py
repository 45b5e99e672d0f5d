"""The oracle's captures of every format: a slow, obvious reader.

It is written from the documents and from nothing else, shares no code with the package,
and prefers being plain to being quick. What it does not say is not a rule.

The format is the first of these that the first bytes are of:

no byte                                                 `empty_file`
fewer than 4 bytes                                      `short_magic`
a classic magic number                                  reference.py
0a 0d 0d 0a                                             reference_pcapng.py
"snoop", three zeros                                    reference_snoop.py
fewer than these 8 bytes, all the same so far           `short_magic`
an ERF record                                           reference_erf.py
in either byte order a block type of 1 to 6 and then a
length of 12 to 1048576 that is a multiple of 4         `no_section_header`
anything else                                           `unknown_magic`

What is the same in all of them: reference_records.py; packets: reference_packet.py.
"""

from __future__ import annotations

import struct

import reference
from reference_erf import decode_erf, is_erf
from reference_pcapng import MAX_BLOCK, decode_pcapng
from reference_records import CaptureResult
from reference_snoop import MAGIC as SNOOP_MAGIC
from reference_snoop import decode_snoop

__all__ = ["CaptureResult", "decode_capture"]

PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
CLASSIC_MAGICS = tuple(
    struct.pack(order + "I", magic) for magic in reference.MAGICS for order in "<>"
)


def decode_capture(data: bytes, decap: frozenset[str] = frozenset()) -> CaptureResult:
    """Decode a whole file; `decap` names the tunnels to open."""
    if data.startswith(CLASSIC_MAGICS):
        result = reference.decode_capture(data, decap)
        return CaptureResult(**vars(result))
    if data.startswith(PCAPNG_MAGIC):
        return decode_pcapng(data, decap)
    if data.startswith(SNOOP_MAGIC):
        return decode_snoop(data, decap)
    reason = _fault(data)
    if reason is not None:
        return CaptureResult(status="rejected", reason=reason, offset=0)
    return decode_erf(data, decap)


def _fault(data: bytes) -> str | None:
    """Return why a file is of none of the formats that a magic number tells."""
    if not data:
        return "empty_file"
    if len(data) < 4 or SNOOP_MAGIC.startswith(data):
        return "short_magic"
    if is_erf(data):
        return None
    return "no_section_header" if _is_block(data) else "unknown_magic"


def _is_block(data: bytes) -> bool:
    if len(data) < 8:
        return False
    for order in "<>":
        kind, length = struct.unpack(order + "II", data[:8])
        if 1 <= kind <= 6 and 12 <= length <= MAX_BLOCK and length % 4 == 0:
            return True
    return False
