"""Hypothesis strategies: packets and captures, whole and broken.

Random bytes alone never get past the first header. So every example starts as a valid
stack, with a lie in some field now and then, and is then damaged by a few mutations.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import builders as b
import link_strategies
from fastflow.sources.decoders import formats_of
from harness import IS_SANITIZED

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFF_FFFF)

#: A sensor sees few addresses and ports many times: cells must collide to be tested.
ports = st.sampled_from([22, 23, 53, 80, 445, 5555]) | u16
addresses4 = st.sampled_from([b.SRC4, b.DST4, bytes(4), b"\xff" * 4]) | st.binary(
    min_size=4, max_size=4
)
MAPPED = bytes(10) + b"\xff\xff" + b.SRC4
addresses6 = st.sampled_from([b.SRC6, b.DST6, bytes(16), MAPPED]) | st.binary(
    min_size=16, max_size=16
)
payloads = st.just(b"") | st.binary(max_size=24)

T = TypeVar("T")


def relaxed(max_examples: int = 100) -> settings:
    """No deadline: a shared machine has pauses that are not the decoder's.

    Under the sanitizers, where Python is several times slower, a quarter of the
    examples: the ordinary run has looked at all, and the fuzzers at far more.
    """
    return settings(
        max_examples=max_examples // 4 if IS_SANITIZED else max_examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


def weighted(*choices: tuple[int, st.SearchStrategy[T]]) -> st.SearchStrategy[T]:
    """Draw from one of the strategies, `weight` times as often as from one of weight 1.

    `one_of` would do, but it drops what it is given twice.
    """
    numbers = [i for i, (weight, _) in enumerate(choices) for _ in range(weight)]
    return st.sampled_from(numbers).flatmap(lambda i: choices[i][1])


#: Numbers with a rule of their own, most often; any other, now and then.
protocols = weighted(
    (6, st.just(b.TCP)),
    (3, st.just(b.UDP)),
    (3, st.sampled_from([b.ICMP, b.ICMPV6, b.SCTP, b.DCCP, b.UDPLITE])),
    (1, st.sampled_from([b.GRE, 4, 41, b.NO_NEXT, b.HOP_BY_HOP, b.FRAGMENT, b.AUTH])),
    (1, u8),
)


def maybe(strategy: st.SearchStrategy[int]) -> st.SearchStrategy[int | None]:
    """Return no override, eleven times out of twelve."""
    return weighted((11, st.none()), (1, strategy))


# --- transport -----------------------------------------------------------------------

tcp_option = st.one_of(
    st.just(b.nop()),
    st.just(b.nop()),
    st.builds(b.mss, u16),
    st.builds(b.wscale, u8),
    st.just(b.sack_permitted()),
    st.builds(b.timestamp, u32, u32),
    st.just(b.eol()),
    # Legal lengths that the kind does not have, and lengths that are not legal.
    st.builds(b.option, st.sampled_from([2, 3, 4, 5, 8, 34]), st.binary(max_size=6)),
    st.builds(b.option, u8, st.binary(max_size=4), length=maybe(u8)),
)


@st.composite
def tcp_options(draw: st.DrawFn) -> bytes:
    """Up to 40 bytes, padded with EOL, NOP or what was drawn, cut where it is full."""
    data = b"".join(draw(st.lists(tcp_option, max_size=8)))[:40]
    pad = draw(st.sampled_from([b"\x00", b"\x01", b"\x02"]))
    return data + pad * (-len(data) % 4)


tcp_flags = (
    st.sampled_from([b.SYN, b.SYN | b.ACK, b.RST, b.RST | b.ACK, b.ACK, b.SYN | b.FIN])
    | st.sampled_from([0, b.SYN | b.ECE | b.CWR, b.SYN | b.RST, b.SYN | b.ACK | b.FIN])
    | u8
)
sequence = (
    st.sampled_from(
        [
            0,
            1,
            int.from_bytes(b.DST4, "big"),
            int.from_bytes(b.DST4, "little"),
            int.from_bytes(b.SRC4, "big"),
        ]
    )
    | u32
)
tcp_segments = st.builds(
    b.tcp,
    payloads,
    src_port=ports,
    dst_port=ports,
    seq=sequence,
    ack=u32,
    flags=tcp_flags,
    window=u16,
    options=tcp_options(),
    doff=maybe(st.integers(0, 15)),
)
udp_datagrams = st.builds(
    b.udp,
    payloads,
    src_port=ports,
    dst_port=ports,
    length=maybe(st.integers(0, 40) | u16),
)
icmp_messages = st.builds(
    b.icmp,
    payloads,
    type=st.sampled_from([0, 3, 8, 11, 128, 129, 1]) | u8,
    code=st.integers(0, 3),
)


def _transport(proto: int) -> st.SearchStrategy[bytes]:
    by_proto = {
        b.TCP: tcp_segments,
        b.UDP: udp_datagrams,
        b.UDPLITE: udp_datagrams,
        b.ICMP: icmp_messages,
        b.ICMPV6: icmp_messages,
        b.SCTP: st.builds(b.sctp, payloads, src_port=ports, dst_port=ports),
        b.DCCP: st.builds(b.dccp, payloads, src_port=ports, dst_port=ports),
    }
    return by_proto.get(proto, st.binary(max_size=48))


# --- network -------------------------------------------------------------------------

offsets = st.sampled_from([0, 0, 0, 0, 8, 1480, 65_528])


@st.composite
def ipv4_packets(draw: st.DrawFn) -> bytes:
    proto = draw(protocols)
    return b.ipv4(
        draw(_transport(proto)),
        proto=proto,
        src=draw(addresses4),
        dst=draw(addresses4),
        ttl=draw(u8),
        tos=draw(u8),
        ident=draw(u16),
        options=draw(st.just(b"") | st.binary(max_size=40)),
        version=draw(st.sampled_from([4] * 30 + [6, 0])),
        ihl=draw(maybe(st.integers(0, 15))),
        total_length=draw(maybe(st.sampled_from([0, 19, 20, 28, 40]) | u16)),
        frag_offset=draw(offsets),
        more_fragments=draw(st.sampled_from([False, False, False, True])),
        dont_fragment=draw(st.booleans()),
    )


extensions = st.one_of(
    st.builds(
        b.ext_options,
        st.sampled_from([b.HOP_BY_HOP, b.DEST_OPTIONS, 135, 139, 140]),
        words=st.integers(0, 2),
        length=maybe(st.integers(0, 4) | u8),
    ),
    st.builds(b.ext_routing, words=st.integers(0, 2), length=maybe(st.integers(0, 4))),
    st.builds(b.ext_fragment, offset=offsets, more=st.booleans(), ident=u32),
    st.builds(
        b.ext_auth,
        icv=st.sampled_from([b"", bytes(4), bytes(12)]),
        length=maybe(st.integers(0, 6)),
    ),
)


@st.composite
def ipv6_packets(draw: st.DrawFn) -> bytes:
    proto = draw(protocols)
    chain = draw(
        weighted(
            (4, st.just([])),
            (4, st.lists(extensions, max_size=3)),
            # Around the limit of sixteen; of one kind, so that none ends the walk.
            (1, st.integers(14, 18).map(lambda n: [b.ext_options(60)] * n)),
        )
    )
    return b.ipv6(
        draw(_transport(proto)),
        proto=proto,
        extensions=tuple(chain),
        src=draw(addresses6),
        dst=draw(addresses6),
        hop_limit=draw(u8),
        traffic_class=draw(u8),
        flow=draw(st.integers(0, 0xFFFFF)),
        version=draw(st.sampled_from([6] * 30 + [4, 15])),
        payload_length=draw(maybe(st.sampled_from([0, 1, 8, 20]) | u16)),
    )


@st.composite
def tool_probes(draw: st.DrawFn) -> bytes:
    """Draw a SYN as a scanning tool makes it."""
    dst, dst_port, src_port = draw(addresses4), draw(ports), draw(ports)
    address, word = int.from_bytes(dst, "big"), draw(st.sampled_from([7, 0x123]))
    seq, ident, window, options = draw(u32), draw(u16), draw(u16), b""
    match draw(st.sampled_from(["mirai", "masscan", "zmap", "nmap", "unicornscan"])):
        case "mirai":
            seq = address
        case "masscan":
            ident = (address ^ dst_port ^ seq) & 0xFFFF
        case "zmap":
            ident, window = 54321, 65535
        case "nmap":
            half = draw(st.integers(0, 3))
            seq, window, options = half * 0x10001 ^ word, 1024, b.mss(1460)
        case _:
            order = draw(st.sampled_from(["big", "little"]))
            seq = word ^ int.from_bytes(dst, order) ^ (dst_port << 16 | src_port)
    segment = b.tcp(
        src_port=src_port,
        dst_port=dst_port,
        seq=seq,
        flags=b.SYN,
        window=window,
        options=options,
    )
    return b.ipv4(segment, src=draw(addresses4), dst=dst, ident=ident)


@st.composite
def icmp_errors(draw: st.DrawFn) -> bytes:
    """Draw an error that quotes a packet, mostly one of the same IP version."""
    is_ipv4 = draw(st.booleans())
    quoted = (
        ipv4_packets()
        if is_ipv4 == draw(weighted((5, st.just(True)), (1, st.just(False))))
        else ipv6_packets()
    )
    quote = draw(quoted)[: draw(st.sampled_from([100, 100, 44, 40, 28, 24, 20, 19]))]
    kind = draw(st.sampled_from([3, 4, 5, 11, 12] if is_ipv4 else [1, 2, 3, 4]))
    message = b.icmp(quote, type=kind)
    is_ours = draw(weighted((4, st.just(True)), (1, st.just(False))))
    if is_ipv4:
        dst = quote[12:16] if is_ours and len(quote) >= 16 else draw(addresses4)
        return b.ipv4(message, proto=b.ICMP, src=draw(addresses4), dst=dst)
    dst = quote[8:24] if is_ours and len(quote) >= 24 else draw(addresses6)
    return b.ipv6(message, proto=b.ICMPV6, src=draw(addresses6), dst=dst)


network_packets = weighted(
    (6, ipv4_packets()), (4, ipv6_packets()), (1, tool_probes()), (1, icmp_errors())
)


# --- link ----------------------------------------------------------------------------


@st.composite
def _frames(draw: st.DrawFn, linktype: int) -> bytes:
    likely = {b.LINKTYPE_IPV4: ipv4_packets(), b.LINKTYPE_IPV6: ipv6_packets()}
    network = draw(
        weighted((9, likely.get(linktype, network_packets)), (1, network_packets))
    )
    if draw(st.sampled_from([True] * 5 + [False])):
        return b.on_link(linktype, network)
    network = draw(link_strategies.tunnelled(st.just(network)))
    return draw(link_strategies.on_link(linktype, network))


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """Flip, overwrite, cut, drop, repeat or append a few bytes."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["flip", "set", "set16", "cut", "drop", "add"]))
        if kind == "flip" and at < len(data):
            bit = 1 << draw(st.integers(0, 7))
            data = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
        elif kind == "set" and at < len(data):
            value = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | u8)
            data = data[:at] + bytes([value]) + data[at + 1 :]
        elif kind == "set16" and at + 2 <= len(data):
            value = draw(st.sampled_from([0, 1, 0xFFFF, 0x8100]) | u16)
            data = data[:at] + struct.pack(">H", value) + data[at + 2 :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "drop":
            data = data[:at] + data[at + draw(st.integers(1, 8)) :]
        elif kind == "add":
            data = data[:at] + draw(st.binary(max_size=8)) + data[at:]
    return data


def packets(linktype: int = b.LINKTYPE_ETHERNET) -> st.SearchStrategy[bytes]:
    """Frames of a link type: valid ones, damaged ones and noise."""
    whole = _frames(linktype)
    return weighted((4, whole), (2, whole.flatmap(mutated)), (1, st.binary()))


@st.composite
def stacks(draw: st.DrawFn, linktype: int) -> bytes:
    """Draw a frame of many layers, whole, cut or damaged."""
    packet = draw(link_strategies.tunnelled(network_packets))
    frame = draw(link_strategies.on_link(linktype, packet))
    kind = draw(st.sampled_from(["whole", "whole", "cut", "mutated"]))
    if kind == "cut":
        frame = frame[: draw(st.integers(0, len(frame)))]
    return draw(mutated(frame)) if kind == "mutated" else frame


# --- files ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Capture:
    """A file, and the offset of each of its records, for tests that cut it."""

    data: bytes
    offsets: tuple[int, ...]


seconds = weighted(
    (5, st.integers(b.T0, b.T0 + 7200)),
    (1, st.sampled_from([0, 631_151_999, 631_152_000, 4_102_444_799, 4_102_444_800])),
    (1, st.sampled_from([0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])),
)
fractions = weighted(
    (5, st.integers(0, 999_999)),
    (1, st.sampled_from([1_000_000, 999_999_999, 1_000_000_000, 0xFFFF_FFFF])),
    (1, u32),
)
#: What comes after the last record of an otherwise good file.
tails = weighted(
    (5, st.just(b"")),
    (1, st.binary(max_size=40)),
    (1, st.integers(1, 40).map(bytes)),
    (1, st.integers(16, 64).map(bytes)),
    (1, st.just(b.capture(b.ethernet(b.ipv4(b.tcp()))))),
    (1, st.just(b.pcap_header(byteorder="big", magic=b.MAGIC_NSEC))),
    (1, st.just(b.pcap_header(magic=b.MAGIC_MODIFIED))),
    (
        1,
        st.sampled_from([262_143, 262_144, 262_145, 0x8000_0000, 0xFFFF_FFFF]).map(
            lambda caplen: b.pcap_record(b"x" * 20, caplen=caplen)
        ),
    ),
)


#: File headers that say something else, mostly what rejects a file.
odd_headers = st.builds(
    b.pcap_header,
    version=weighted(
        (3, st.just((2, 4))), (1, st.tuples(st.integers(1, 3), st.integers(0, 5)))
    ),
    linktype=st.sampled_from(b.LINKTYPES)
    | st.sampled_from([2, 105, 147, 0xFFFF, 0x0001_0001, 0x0800_0001, 0xF400_0001])
    | u32,
)


@st.composite
def capture_parts(draw: st.DrawFn, max_records: int = 8) -> Capture:
    """Draw a well-formed file header, records of every kind, and perhaps a tail."""
    magic = draw(st.sampled_from([b.MAGIC_USEC, *b.MAGICS]))
    byteorder = draw(st.sampled_from(["little", "little", "big"]))
    linktype = draw(st.sampled_from([b.LINKTYPE_ETHERNET] * 5 + list(b.LINKTYPES)))
    version = draw(st.sampled_from([(2, 4)] * 6 + [(2, 3), (2, 2)]))
    builder = b.PcapBuilder(
        magic=magic,
        byteorder=byteorder,
        version=version,
        snaplen=draw(st.sampled_from([65_535, 65_535, 262_144, 0, 40, 0xFFFF_FFFF])),
        linktype=linktype,
        fcs_words=draw(maybe(st.integers(0, 15))),
    )
    offsets = []
    size = 24
    for packet in draw(st.lists(packets(linktype), max_size=max_records)):
        caplen = len(packet)
        wirelen = draw(
            weighted(
                (5, st.none()),
                (1, st.sampled_from([0, 1, caplen + 1, 1514])),
                (1, st.integers(0, 100) | u32),
            )
        )
        # Versions up to 2.3 sort their lengths out by comparing them, if at all: the
        # builder must not write a length that reads as a huge caplen for each of them.
        if version < (2, 4) and wirelen is not None and draw(st.booleans()):
            wirelen = max(wirelen, caplen)
        builder.add(
            packet,
            sec=draw(seconds),
            frac=draw(fractions),
            wirelen=wirelen,
            swapped=draw(st.booleans()) if version == (2, 3) else None,
        )
        offsets.append(size)
        size += len(builder.body[-1])
    builder.raw(draw(tails))
    return Capture(builder.build(), tuple(offsets))


def captures(max_records: int = 8) -> st.SearchStrategy[bytes]:
    """Whole files: good ones, ones with damage anywhere, and noise."""
    whole = capture_parts(max_records).map(lambda capture: capture.data)
    # The reference knows no compression; noise may begin like a compressed stream.
    return weighted(
        (6, whole),
        (1, whole.flatmap(mutated)),
        (1, st.builds(lambda data, n: data[:n], whole, st.integers(0, 400))),
        (1, st.builds(lambda head, data: head + data[24:], odd_headers, whole)),
        (1, st.binary(max_size=64)),
    ).filter(lambda data: not formats_of(data))
