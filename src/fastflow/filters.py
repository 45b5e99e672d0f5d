"""Filter expressions: tcpdump's language, compiled by libpcap for every link type."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import accumulate
from threading import Lock
from typing import Literal

from fastflow._bpf import Filter
from fastflow.errors import ConfigError
from fastflow.filter_text import place_of_error

_Insn = tuple[int, int, int, int]

#: Every link type that is decoded, and what libpcap calls it while it compiles (DLT_).
#: The two differ for raw IP only, whose DLT_ number depends on the system. Of errors,
#: that of the first one is shown.
DLTS = {
    1: 1,  # ETHERNET
    0: 0,  # NULL, the file little-endian
    9: 9,  # PPP
    12: 12,  # RAW, as most systems number it
    14: 12,  # RAW, as OpenBSD numbers it
    50: 50,  # PPP_HDLC
    101: 12,  # RAW
    104: 104,  # C_HDLC
    108: 108,  # LOOP; and NULL, the file big-endian
    113: 113,  # LINUX_SLL
    117: 117,  # PFLOG
    127: 127,  # IEEE802_11_RADIOTAP
    228: 228,  # IPV4
    229: 229,  # IPV6
    239: 239,  # NFLOG
    276: 276,  # LINUX_SLL2
}
_NULL, _LOOP, _RADIOTAP = 0, 108, 127

#: Address families as libpcap knows them, and as captures of loopback have them. IPv6:
#: NetBSD and OpenBSD, FreeBSD, macOS.
_FAMILIES: dict[int, list[int]] = {
    socket.AF_INET: [2],
    socket.AF_INET6: [24, 28, 30],
}

#: Codes of instructions (ff_bpf.h lists all).
_JUMP_ALWAYS, _CLASS_BITS = 0x05, 0x07

#: What a program returns for a packet that matches; any number but 0 would do.
_SNAPLEN = 65535
_OPTIMIZED = 1
#: As tcpdump has it when it reads a file: `ip broadcast` is 255.255.255.255 or 0.0.0.0.
_NETMASK = 0

_FILE_HEADER = struct.Struct("=IHHiIII")

#: Loopback captures have several families of IPv6, and libpcap does not see that
#: nothing can match; behind another header of four bytes it does.
_CHECKS = {_NULL: (_NULL, 104), _LOOP: (_LOOP, 104)}

#: Errors that are final for every link type: a name that does not resolve need not be
#: tried again; the direction is in hardly any capture (in LINUX_SLL it is).
_FINAL = ("unknown host", "inbound/outbound not supported")

#: libpcap's compiler had global state once, and `/etc/services` is read through more.
_compiler = Lock()


@dataclass(frozen=True)
class PacketFilter:
    """A filter expression, compiled and verified.

    Attributes
    ----------
    expression : str
    programs : Filter
        What the scanner runs: a program for each link type that it has a meaning for.
    errors : dict[int, str]
        Of the other link types, why it has none (`no VLAN support for Raw IP`).
    """

    expression: str
    programs: Filter
    errors: dict[int, str]


def compile_filter(expression: str) -> PacketFilter:
    """Compile a filter expression for every link type that fastflow decodes.

    Parameters
    ----------
    expression : str
        In the language of pcap-filter(7), as tcpdump takes it; an empty one matches
        every packet. Host names are looked up now, once for each link layer, and
        never again. libpcap takes seconds for a list of hundreds.

    Returns
    -------
    PacketFilter
        Loopback captures (NULL) hold the address family in the byte order of the
        machine that made them: the program of link type 0 is for little-endian files,
        that of 108 for big-endian ones. Both know IPv6 by the numbers of all BSDs.

    Raises
    ------
    ConfigError
        It compiles for no link type, or asks for what no capture holds (`inbound`) or
        for a loop (`protochain`). The message shows the expression, a caret under the
        place where it goes wrong, and libpcap's own words.
    """
    programs: dict[int, list[_Insn]] = {}
    errors: dict[int, str] = {}
    compile_for = cache(partial(_compile, expression))
    for linktype, dlt in DLTS.items():
        try:
            programs[linktype] = _program(compile_for, linktype)
        except _Refused as refused:
            raise ConfigError(_with_caret(expression, {str(refused): dlt})) from None
        except _NotCompiled as error:
            if str(error).startswith(_FINAL):
                raise ConfigError(_with_caret(expression, {str(error): dlt})) from None
            errors[linktype] = str(error)
    if not programs or _is_contradiction(programs, errors):
        dlt_of: dict[str, int] = {}
        for linktype, message in errors.items():
            dlt_of.setdefault(message, DLTS[linktype])
        raise ConfigError(_with_caret(expression, dlt_of))
    return PacketFilter(expression, Filter(programs), errors)


# --- libpcap ------------------------------------------------------------------


class _NotCompiled(Exception):
    """libpcap's message."""


class _Refused(Exception):
    """libpcap's program asks for more than a packet can answer."""


def _program(compile_for: Callable[[int], list[_Insn]], linktype: int) -> list[_Insn]:
    """Return the program for a link type, verified."""
    program = compile_for(DLTS[linktype])
    if linktype in (_NULL, _LOOP):
        byteorder: Literal["little", "big"] = "little" if linktype == _NULL else "big"
        null, loop = compile_for(DLTS[_NULL]), compile_for(DLTS[_LOOP])
        program = _loopback_program(null, loop, byteorder)
        _verify(program)
    return program


def _compile(expression: str, dlt: int) -> list[_Insn]:
    """Return libpcap's program, verified."""
    import pcapy

    try:
        with _compiler:
            for checked in _CHECKS.get(dlt, (dlt,)):
                _check(expression, checked)
            program: list[_Insn] = pcapy.compile(
                dlt, _SNAPLEN, expression, _OPTIMIZED, _NETMASK
            ).get_bpf()
    except (pcapy.PcapError, ValueError) as error:  # ValueError: a NUL, a surrogate
        raise _NotCompiled(str(error)) from None
    _verify(program)
    return program


def _check(expression: str, dlt: int) -> None:
    """Let libpcap raise its error as tcpdump would on a file.

    Where `pcapy.compile` fails, it reads the message out of memory that it has freed
    (pcapy-ng 2.1); a capture's `setfilter` does not. So the capture is one in memory,
    without a packet.
    """
    import pcapy

    descriptor = os.memfd_create("capture")
    try:
        os.write(descriptor, _FILE_HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, _SNAPLEN, dlt))
        capture = pcapy.open_offline(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    try:
        capture.setfilter(expression)
    finally:
        capture.close()


def _verify(program: list[_Insn]) -> None:
    try:
        Filter({0: program})
    except ValueError as error:
        raise _Refused(str(error)) from None


def _error(dlt: int, expression: str) -> str:
    """Return what is wrong with an expression, or nothing."""
    try:
        _compile(expression, dlt)
    except (_NotCompiled, _Refused) as error:
        return str(error)
    return ""


def _is_contradiction(
    programs: Mapping[int, object], errors: Mapping[int, str]
) -> bool:
    """Tell whether no packet can match (`tcp and udp`).

    libpcap's optimizer finds out, except behind headers of variable length.
    """
    is_rejected = "expression rejects all packets" in errors.values()
    return is_rejected and programs.keys() <= {_RADIOTAP}


def _with_caret(expression: str, dlt_of: Mapping[str, int]) -> str:
    """Return a message with the error that is furthest along in the expression.

    Parameters
    ----------
    dlt_of : dict[str, int]
        Messages, and a link layer that each of them appears for.
    """
    places = {
        message: place_of_error(expression, message, partial(_error, dlt))
        for message, dlt in dlt_of.items()
    }
    message = max(places, key=places.__getitem__)
    shown = "".join(c if c.isprintable() else " " for c in expression)
    caret = " " * places[message] + "^"
    return f"the filter cannot be used:\n  {shown}\n  {caret}\n{message}"


# --- loopback captures --------------------------------------------------------


def _loopback_program(
    null: list[_Insn], loop: list[_Insn], byteorder: Literal["little", "big"]
) -> list[_Insn]:
    """Return the program for captures whose address families have a byte order.

    libpcap accepts the IPv6 families of all systems where it reads a file itself; asked
    for a program only, it takes the machine's own, which on Linux no capture has. The
    comparisons with a family are where NULL's and LOOP's programs differ, as NULL's
    are in the byte order of the machine (which is taken to be little-endian).
    """
    values: dict[int, list[int]] = {}
    for place, (ours, theirs) in enumerate(zip(null, loop, strict=False)):
        if ours != theirs:
            values[place] = [
                int.from_bytes(family.to_bytes(4, "big"), byteorder)
                for family in _FAMILIES.get(theirs[3], ())
            ]
    if len(null) != len(loop) or not all(values.values()):
        raise _NotCompiled("the programs for the two byte orders do not correspond")
    return _with_alternatives(loop, values)


def _with_alternatives(
    program: list[_Insn], values: Mapping[int, Sequence[int]]
) -> list[_Insn]:
    """Let the comparisons at some places accept any of several values.

    Every branch becomes tests and two long jumps, because the distances of a branch
    have eight bits only, and instructions are added between it and where it leads to.
    """
    tests = [
        values.get(place, [k]) if _is_branch(code) else []
        for place, (code, _, _, k) in enumerate(program)
    ]
    lengths = (len(of_branch) + 2 if of_branch else 1 for of_branch in tests)
    starts = list(accumulate(lengths, initial=0))
    longer: list[_Insn] = []

    def jump_to(place: int) -> None:
        longer.append((_JUMP_ALWAYS, 0, 0, starts[place] - len(longer) - 1))

    for place, (code, jt, jf, k) in enumerate(program):
        if _is_branch(code):
            last = len(tests[place]) - 1
            for n, value in enumerate(tests[place]):
                longer.append((code, last - n, int(n == last), value))
            jump_to(place + 1 + jt)
            jump_to(place + 1 + jf)
        elif code == _JUMP_ALWAYS:
            jump_to(place + 1 + k)
        else:
            longer.append((code, jt, jf, k))
    return longer


def _is_branch(code: int) -> bool:
    return code & _CLASS_BITS == _JUMP_ALWAYS and code != _JUMP_ALWAYS
