"""Hypothesis strategies: pcapng, snoop and ERF files, whole and broken.

Every example begins as a well-formed file, with a lie in some field now and then, and
is then damaged by a few mutations.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

import builders as b
import erf_builders as erf
import pcapng_builders as ng
import snoop_builders as sn
from pcapng_builders import Blocks
from strategies import fractions, maybe, mutated, packets, seconds, u16, u32, weighted

MAX64 = 2**64 - 1
#: What a magic number of a compression begins with; the oracle knows none.
COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"BZh", b"\xfd7z")

linktypes = weighted(
    (5, st.just(b.LINKTYPE_ETHERNET)),
    (2, st.sampled_from(b.LINKTYPES)),
    (1, st.sampled_from([147, 195, 0xFFFF])),
)
#: What is written in place of a right length or number.
lies = st.sampled_from([0, 1, 2, 4, 8, 12, 16, 28, 2**20, 2**20 + 4, 2**31, 2**32 - 1])
#: Bytes that make no record of any format, or the beginning of one.
tails = weighted(
    (8, st.just(b"")),
    (1, st.binary(max_size=40)),
    (1, st.integers(1, 40).map(bytes)),
)


@st.composite
def _frame(draw: st.DrawFn, linktype: int) -> bytes:
    known = linktype if linktype in b.LINKTYPES else b.LINKTYPE_ETHERNET
    return draw(packets(known))


# --- pcapng --------------------------------------------------------------------------


@dataclass
class Section:
    """What has been described so far."""

    blocks: Blocks
    linktypes: list[int] = field(default_factory=list)


#: The lowest and the highest exponents of either base, and those in use.
resolutions = st.sampled_from([0, 3, 6, 9, 9, 12, 19, 20, 0x80, 0x94, 0xBF, 0xC0]) | (
    st.integers(0, 255)
)
offsets = st.sampled_from(
    [0, 1, -1, b.T0, -b.T0, 2**31, 2**63 - 1, -(2**63)]
) | st.integers(-(2**63), 2**63 - 1)


@st.composite
def if_options(draw: st.DrawFn, k: Blocks) -> bytes:
    kinds = st.sampled_from(["resolution", "offset", "name", "end", "odd"])
    options = b""
    for kind in draw(st.lists(kinds, max_size=3)):
        if kind == "resolution":
            options += k.tsresol(draw(resolutions))
        elif kind == "offset":
            options += k.tsoffset(draw(offsets))
        elif kind == "name":
            options += k.option(ng.IF_NAME, draw(st.binary(max_size=9)))
        elif kind == "end":
            options += k.end_of_options()
        else:
            code = draw(st.sampled_from([0, 1, 2, 9, 14, 0xFFFF]))
            length = draw(maybe(st.sampled_from([0, 1, 4, 8, 9, 0xFFFF])))
            options += k.option(code, draw(st.binary(max_size=9)), length=length)
    return options


@st.composite
def isb_options(draw: st.DrawFn, k: Blocks) -> bytes:
    options = b""
    for code in draw(st.lists(st.sampled_from([0, 4, 5, 5, 7, 7]), max_size=4)):
        value = draw(st.sampled_from([0, 1, 2**48 - 1, 2**48, MAX64]) | u32)
        length = draw(maybe(st.sampled_from([0, 4, 9, 0xFFFF])))
        options += k.option(code, k.pack("Q", value), length=length)
    return options


def units(draw: st.DrawFn) -> int:
    """A time in microseconds, or any."""
    if draw(st.sampled_from([True] * 5 + [False])):
        return draw(seconds) * 1_000_000 + draw(st.integers(0, 999_999))
    return draw(st.integers(0, MAX64) | st.sampled_from([0, 1, 2**63, MAX64]))


@st.composite
def blocks(draw: st.DrawFn, section: Section) -> bytes:
    """Draw a block that goes into the section, which may be changed by it."""
    k = section.blocks
    kinds = ["epb"] * 8 + ["idb", "idb", "spb", "pb", "isb", "other", "shb"]
    kind = draw(st.sampled_from(kinds))
    n_interfaces = len(section.linktypes)
    if kind == "idb" or (n_interfaces == 0 and draw(st.integers(0, 9)) > 0):
        section.linktypes.append(draw(linktypes))
        snaplen = draw(st.sampled_from([0, 65_535, 262_144, 40, 0xFFFF_FFFF]))
        options = draw(if_options(k))
        return k.idb(options, linktype=section.linktypes[-1], snaplen=snaplen)
    if kind == "shb":
        section.blocks = draw(st.sampled_from(ng.BOTH))
        section.linktypes.clear()
        version = draw(st.sampled_from([(1, 0)] * 6 + [(1, 2), (1, 1)]))
        return section.blocks.shb(version=version)
    if kind == "other":
        number = draw(st.sampled_from([0, 4, 7, 10, ng.CUSTOM]) | u32)
        return k.block(number, draw(st.binary(max_size=60)))
    interface = draw(st.integers(0, max(n_interfaces - 1, 0)))
    interface = draw(weighted((15, st.just(interface)), (1, u16)))
    if kind == "isb":
        return k.isb(draw(isb_options(k)), interface=interface)
    linktype = (section.linktypes or [1])[interface % max(n_interfaces, 1)]
    packet = draw(_frame(linktype))
    wirelen = draw(maybe(st.sampled_from([0, 1, len(packet) + 1, 1514])))
    if kind == "spb":
        return k.spb(packet, wirelen=wirelen)
    caplen = draw(maybe(st.sampled_from([0, len(packet) + 1]) | lies))
    if kind == "pb":
        drops = draw(st.sampled_from([0xFFFF, 0, 1]) | u16)
        return k.pb(
            packet,
            interface=interface,
            drops=drops,
            units=units(draw),
            caplen=caplen,
            wirelen=wirelen,
        )
    return k.epb(
        packet,
        interface=interface,
        units=units(draw),
        caplen=caplen,
        wirelen=wirelen,
        length=draw(maybe(lies)),
        trailer=draw(maybe(lies)),
    )


@st.composite
def pcapng_parts(draw: st.DrawFn, max_blocks: int = 10) -> tuple[bytes, ...]:
    """Draw a section header, and blocks; they may end the reading anywhere."""
    section = Section(draw(st.sampled_from(ng.BOTH)))
    parts = [section.blocks.shb()]
    for _ in range(draw(st.integers(0, max_blocks))):
        parts.append(draw(blocks(section)))  # noqa: PERF401
    return (*parts, draw(tails))


# --- snoop, ERF ----------------------------------------------------------------------


@st.composite
def snoop_parts(draw: st.DrawFn, max_records: int = 8) -> tuple[bytes, ...]:
    parts = [sn.snoop_header(datalink=draw(st.sampled_from([0, 4, 4])))]
    for packet in draw(st.lists(packets(b.LINKTYPE_ETHERNET), max_size=max_records)):
        record = sn.snoop_record(
            packet,
            sec=draw(seconds),
            micros=draw(fractions),
            caplen=draw(maybe(st.sampled_from([0, len(packet) + 1]) | lies)),
            wirelen=draw(maybe(st.sampled_from([0, 1, 1514]))),
            length=draw(maybe(lies)),
            drops=draw(st.sampled_from([0, 0, 5]) | u32),
            pad=draw(st.none() | st.integers(0, 9)),
        )
        parts.append(record)
    return (*parts, draw(tails))


@st.composite
def erf_parts(draw: st.DrawFn, max_records: int = 8) -> tuple[bytes, ...]:
    parts: list[bytes] = []
    kinds = weighted(
        (6, st.just(erf.ETH)),
        (3, st.sampled_from(erf.FIRST_TYPES)),
        (1, st.integers(0, 127)),
    )
    likely = {erf.IPV4: b.LINKTYPE_IPV4, erf.IPV6: b.LINKTYPE_IPV6}
    for _ in range(draw(st.integers(1, max_records))):
        kind = draw(kinds)
        packet = draw(packets(likely.get(kind, b.LINKTYPE_ETHERNET)))
        # The first two records must look like some, or it is no ERF file.
        is_plain = len(parts) < 2 and draw(st.integers(0, 9)) > 0
        record = erf.erf_record(
            packet,
            kind=kind,
            sec=b.T0 if is_plain else draw(seconds),
            fraction=draw(u32),
            lost=draw(st.sampled_from([0, 0, 1, 0xFFFF])),
            wirelen=draw(maybe(st.sampled_from([0, 1, 1514, 0xFFFF]))),
            extensions=draw(st.sampled_from([0] * 8 + [1, 2, 16, 17])),
            more=draw(maybe(st.booleans())),
            length=None if is_plain else draw(maybe(u16)),
            pad=draw(st.none() | st.integers(0, 9)),
        )
        parts.append(record)
    return (*parts, draw(tails))


# --- files ---------------------------------------------------------------------------

parts = weighted((4, pcapng_parts()), (1, snoop_parts()), (2, erf_parts()))


def files() -> st.SearchStrategy[bytes]:
    """Whole files: good ones, ones with damage anywhere, and joined ones."""
    whole = parts.map(b"".join)
    return weighted(
        (5, whole),
        (3, whole.flatmap(mutated)),
        (1, st.builds(lambda data, n: data[:n], whole, st.integers(0, 400))),
        (1, st.builds(bytes.__add__, whole, whole)),
    ).filter(lambda data: not data.startswith(COMPRESSED))
