"""The oracle's pcapng: draft-ietf-opsawg-pcapng, slow and obvious.

Section header. In this order: byte-order magic neither 1a2b3c4d nor 4d3c2b1a
`bad_byte_order_magic`; length < 28 or > 1 MiB `shb_length`, no multiple of 4
`block_not_multiple_of_4`; version neither 1.0 nor 1.2 `pcapng_version`; block not all
there `short_header`, or `truncated_block` if it is not the first; length behind it
differs `trailer_mismatch`. Of the first section header 28 bytes must be there before
anything is looked at, or it is `short_header`; of a later one 12 for the checks up to
the multiple of 4 and 28 for the rest, or it is `truncated_block`. The length of the
section is not looked at. A section has its own byte order and begins without
interfaces.

Any other block. Fewer than 8 bytes left `truncated_block`; the first 8 all zero
`zero_record`; length < 12 `block_too_short`; no multiple of 4
`block_not_multiple_of_4`. Of a known type: > 1 MiB `block_over_max`, < MINIMUM below
`block_too_short`. Then, of any type: not all there `truncated_block`; length behind it
differs `trailer_mismatch`. A block of a type that is not known is then flag
`skipped_block`.

Interface description. The 65,537th of a section `too_many_interfaces`. Options: code,
length, value padded to 4 bytes; code 0 ends them. Value or padding beyond the block
`option_overrun`; if_tsresol (9) not of 1 byte `option_length`, a second time `tsresol`,
10^-n with n > 19 or 2^-n with n > 63 `tsresol`; if_tsoffset (14) not of 8 bytes
`option_length`, signed seconds, the last one holds. Others are not looked at.

Packets. No interface so far in the file `packet_before_idb`; one that the section does
not have `interface_id`; then `caplen_over_max`; caplen more than the block has room for
`caplen_over_block`. Their options are not looked at. Time: 64 bits in units of the
interface, rounded down to nanoseconds, and its offset in seconds. A simple packet is of
interface 0, has no time, and caplen is the least of original length, snaplen if not 0,
and the room in the block. The packet block (obsolete) has a loss counter, 0xffff:
unknown.

Interface statistics. An interface that the section does not have, or an option beyond
the block: flag `isb_ignored`, and that is all. isb_ifdrop (5) and isb_osdrop (7): not
of 8 bytes, or 2^48 and more: the flag (once a block), and the option is ignored. Of
each interface the last block that has one of them holds; an option given twice: the
last. What was lost is the sum over all interfaces of all sections, and of the loss
counters, at most 2^63 - 1.

End. No interface in the file and nothing wrong: flag `no_interface`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from reference_records import MAX_CAPLEN, SECOND, CaptureResult, Records, Stop

SHB = 0x0A0D0D0A
IDB, PB, SPB, ISB, EPB = 1, 2, 3, 5, 6
#: Known types and their least lengths.
MINIMUM = {IDB: 20, PB: 32, SPB: 16, ISB: 24, EPB: 32}
MAX_BLOCK = 1 << 20
MAX_INTERFACES = 65_536
ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}


@dataclass
class Interface:
    linktype: int
    snaplen: int
    per_second: int = 1_000_000
    offset_seconds: int = 0
    #: What its last statistics said.
    dropped: int | None = None


def decode_pcapng(data: bytes, decap: frozenset[str] = frozenset()) -> CaptureResult:
    """Decode a file that begins with the type of a section header."""
    return _Pcapng(data, Records(decap)).decode()


class _Pcapng:
    def __init__(self, data: bytes, records: Records) -> None:
        self.data = memoryview(data)
        self.records = records
        self.order = "<"
        self.section: list[Interface] = []
        self.interfaces: list[Interface] = []  # of all sections

    def decode(self) -> CaptureResult:
        at = 0
        reason = None
        try:
            while at < len(self.data):
                at += self.block(at)
        except Stop as stop:
            reason = str(stop)
        for interface in self.interfaces:
            if interface.dropped is not None:
                self.records.drop(interface.dropped)
        if self.records.result.dropped is not None:
            self.records.result.dropped = min(self.records.result.dropped, 2**63 - 1)
        if not self.interfaces and reason is None:
            self.records.flags["no_interface"] += 1
        return self.records.end(reason, at)

    def block(self, at: int) -> int:
        """Read the block there and return its length."""
        left = self.data[at:]
        if left[:4] == struct.pack("<I", SHB):
            return self.section_header(left, is_first=at == 0)
        if len(left) < 8:
            raise Stop("truncated_block")
        if left[:8] == bytes(8):
            raise Stop("zero_record")
        kind, length = self.unpack("II", left)
        if length < 12:
            raise Stop("block_too_short")
        if length % 4 != 0:
            raise Stop("block_not_multiple_of_4")
        if kind in MINIMUM and length > MAX_BLOCK:
            raise Stop("block_over_max")
        if kind in MINIMUM and length < MINIMUM[kind]:
            raise Stop("block_too_short")
        if len(left) < length:
            raise Stop("truncated_block")
        if left[length - 4 : length] != left[4:8]:
            raise Stop("trailer_mismatch")

        body = left[8 : length - 4]
        if kind == IDB:
            self.interface_description(body)
        elif kind == EPB:
            self.enhanced_packet(body)
        elif kind == SPB:
            self.simple_packet(body)
        elif kind == PB:
            self.packet(body)
        elif kind == ISB:
            self.statistics(body)
        else:
            self.records.flags["skipped_block"] += 1
        return int(length)

    def section_header(self, left: memoryview, *, is_first: bool) -> int:
        too_short = "short_header" if is_first else "truncated_block"
        if len(left) < (28 if is_first else 12):
            raise Stop(too_short)
        magic = bytes(left[8:12])
        if magic not in ORDERS:
            raise Stop("bad_byte_order_magic")
        self.order = ORDERS[magic]
        (length,) = self.unpack("I", left[4:])
        if not 28 <= length <= MAX_BLOCK:
            raise Stop("shb_length")
        if length % 4 != 0:
            raise Stop("block_not_multiple_of_4")
        if len(left) < 28:
            raise Stop(too_short)
        if self.unpack("HH", left[12:]) not in ((1, 0), (1, 2)):
            raise Stop("pcapng_version")
        if len(left) < length:
            raise Stop(too_short)
        if left[length - 4 : length] != left[4:8]:
            raise Stop("trailer_mismatch")
        self.section = []
        return int(length)

    def interface_description(self, body: memoryview) -> None:
        if len(self.section) == MAX_INTERFACES:
            raise Stop("too_many_interfaces")
        linktype, _, snaplen = self.unpack("HHI", body)
        interface = Interface(linktype, snaplen)
        has_resolution = False
        for code, value in self.options(body[8:]):
            if code == 9:
                if len(value) != 1:
                    raise Stop("option_length")
                if has_resolution:
                    raise Stop("tsresol")
                has_resolution = True
                interface.per_second = _units_per_second(value[0])
            elif code == 14:
                if len(value) != 8:
                    raise Stop("option_length")
                (interface.offset_seconds,) = self.unpack("q", value)
        self.section.append(interface)
        self.interfaces.append(interface)

    def enhanced_packet(self, body: memoryview) -> None:
        number, high, low, caplen, wirelen = self.unpack("IIIII", body)
        self.timed_packet(number, (high << 32) + low, caplen, wirelen, body[20:])

    def packet(self, body: memoryview) -> None:
        number, drops, high, low, caplen, wirelen = self.unpack("HHIIII", body)
        self.timed_packet(number, (high << 32) + low, caplen, wirelen, body[20:])
        if drops != 0xFFFF:
            self.records.drop(drops)

    def timed_packet(
        self, number: int, units: int, caplen: int, wirelen: int, room: memoryview
    ) -> None:
        interface = self.interface(number)
        if caplen > MAX_CAPLEN:
            raise Stop("caplen_over_max")
        if caplen > len(room):
            raise Stop("caplen_over_block")
        seconds, rest = divmod(units, interface.per_second)
        seconds += interface.offset_seconds
        self.records.add(
            bytes(room[:caplen]),
            ts=seconds * SECOND + rest * SECOND // interface.per_second,
            wirelen=wirelen,
            linktype=interface.linktype,
            snaplen=interface.snaplen,
        )

    def simple_packet(self, body: memoryview) -> None:
        interface = self.interface(0)
        (wirelen,) = self.unpack("I", body)
        room = body[4:]
        caplen = min(wirelen, len(room))
        if interface.snaplen > 0:
            caplen = min(caplen, interface.snaplen)
        if caplen > MAX_CAPLEN:
            raise Stop("caplen_over_max")
        self.records.add(
            bytes(room[:caplen]), ts=None, wirelen=wirelen, linktype=interface.linktype
        )

    def interface(self, number: int) -> Interface:
        if not self.interfaces:
            raise Stop("packet_before_idb")
        if number >= len(self.section):
            raise Stop("interface_id")
        return self.section[number]

    def statistics(self, body: memoryview) -> None:
        (number,) = self.unpack("I", body)
        try:
            options = list(self.options(body[12:]))
        except Stop:
            self.records.flags["isb_ignored"] += 1
            return
        if number >= len(self.section):
            self.records.flags["isb_ignored"] += 1
            return
        counters: dict[int, int] = {}
        is_odd = False
        for code, value in options:
            if code not in (5, 7):
                continue
            if len(value) == 8 and self.unpack("Q", value)[0] < 1 << 48:
                (counters[code],) = self.unpack("Q", value)
            else:
                is_odd = True
        if is_odd:
            self.records.flags["isb_ignored"] += 1
        if counters:
            self.section[number].dropped = sum(counters.values())

    def options(self, data: memoryview) -> Iterator[tuple[int, memoryview]]:
        """Yield codes and values, up to the first that runs past the block."""
        while data:
            code, length = self.unpack("HH", data)
            if code == 0:
                break
            padded = -(-length // 4) * 4
            if 4 + padded > len(data):
                raise Stop("option_overrun")
            yield code, data[4 : 4 + length]
            data = data[4 + padded :]

    def unpack(self, layout: str, data: memoryview) -> tuple[int, ...]:
        """Unpack the beginning of some bytes in the order of the section."""
        return struct.unpack_from(self.order + layout, data)


def _units_per_second(value: int) -> int:
    exponent = value & 0x7F
    if value & 0x80:
        if exponent > 63:
            raise Stop("tsresol")
        return 1 << exponent
    if exponent > 19:
        raise Stop("tsresol")
    return int(10**exponent)
