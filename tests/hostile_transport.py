"""Malformed packets from the transport layer on: TCP, UDP, ICMP, tunnels."""

from __future__ import annotations

from collections.abc import Callable

import builders as b
from hostile_packets import NO_PORTS, PORTS, SYN, TCP, V4, V6
from hostile_verdicts import Case, Verdict, between, counted


def over(name: str, proto: int, segment: bytes, verdict: Verdict) -> Case:
    return Case(name, between(b.ethernet(b.ipv4(segment, proto=proto))), verdict)


def tcp(name: str, segment: bytes, verdict: Verdict) -> Case:
    return over(name, b.TCP, segment, verdict)


NO_FLAGS = {**PORTS, "tcp_flags": None}
NO_OPTIONS = {**SYN, "tcp_options": None, "signature": None}
UDP = b.udp(b"1234")

TRANSPORT = [
    tcp("T01_tcp_19", TCP[:19], counted("l4_truncated", **NO_FLAGS)),
    tcp("T02_tcp_13", TCP[:13], counted("l4_truncated", **NO_FLAGS)),
    tcp("T_tcp_4", TCP[:4], counted("l4_truncated", **NO_FLAGS)),
    tcp("T03_tcp_3", TCP[:3], counted("l4_truncated", **NO_PORTS)),
    tcp("T04_doff4", b.tcp(doff=4), counted("tcp_bad_doff", **NO_OPTIONS)),
    tcp("T05_doff0", b.tcp(doff=0), counted("tcp_bad_doff", **NO_OPTIONS)),
    tcp("T06_doff15_short", b.tcp(doff=15), counted("tcp_bad_doff", **NO_OPTIONS)),
    tcp(
        "T07_opt_len0",
        b.tcp(options=b"\2\0\5\xb4"),
        counted("tcp_bad_option", **NO_OPTIONS),
    ),
    tcp(
        "T08_opt_len1",
        b.tcp(options=b"\2\1\5\xb4"),
        counted("tcp_bad_option", **NO_OPTIONS),
    ),
    tcp(
        "T09_opt_over",
        b.tcp(options=b"\2\xff\5\xb4"),
        counted("tcp_bad_option", **NO_OPTIONS),
    ),
    tcp(
        "T10_opt_nops40",
        b.tcp(options=b.nop() * 40),
        counted(**SYN, tcp_options="-".join("1" * 40)),
    ),
    tcp(
        "T11_opt_kind_last_byte",
        b.tcp(options=b.nop() * 3 + b"\2"),
        counted("tcp_bad_option", **NO_OPTIONS),
    ),
    tcp(
        "T_mss_of_3",
        b.tcp(options=b"\2\3\5\0"),
        counted(**SYN, tcp_options="2-0", tcp_mss=None),
    ),
    tcp("T_all_flags", b.tcp(flags=0xFF), counted(**PORTS, tcp_flags=0xFF)),
    over("T12_udp_7", b.UDP, UDP[:7], counted("l4_truncated", dst_port=53)),
    over("T13_udp_3", b.UDP, UDP[:3], counted("l4_truncated", **NO_PORTS)),
    over(
        "T14_udp_len_7",
        b.UDP,
        b.udp(b"1234", length=7),
        counted("udp_bad_length", dst_port=53),
    ),
    over(
        "T15_udp_len_over",
        b.UDP,
        b.udp(b"1234", length=400),
        counted("udp_bad_length", dst_port=53),
    ),
    over("T_udp_len_0", b.UDP, b.udp(b"1234", length=0), counted(dst_port=53)),
    over(
        "T16_icmp_1byte",
        b.ICMP,
        b.icmp(type=3)[:1],
        counted("l4_truncated", icmp_type=3, icmp_code=None),
    ),
    over(
        "T17_icmp_0",
        b.ICMP,
        b"",
        counted("l4_truncated", icmp_type=None, icmp_code=None),
    ),
    over("T_sctp_11", b.SCTP, b.sctp()[:11], counted("l4_truncated", dst_port=2905)),
    Case(
        "T18_tcp_snap60_payload_cut",
        between(b.ethernet(b.ipv4(b.tcp(), total_length=440))),
        counted(flag="snap_truncated", payload_len=400, **SYN),
    ),
]


# --- tunnels -------------------------------------------------------------------------

OUTER = b"\x0a\x00\x00\x01"


def outer(proto: int) -> Callable[[bytes], bytes]:
    """Return what puts an IPv4 header of another source before something."""
    return lambda payload: b.ipv4(payload, proto=proto, src=OUTER)


def nested(n: int, wrap: Callable[[bytes], bytes], packet: bytes = V4) -> bytes:
    for _ in range(n):
        packet = wrap(packet)
    return packet


def ipip(packet: bytes) -> bytes:
    return outer(4)(packet)


def gre(packet: bytes) -> bytes:
    return outer(b.GRE)(b.gre(packet))


def source(address: bytes) -> bytes:
    return bytes(10) + b"\xff\xff" + address


#: By default, the outer packet is plain; opened, columns are those inside.
OUTSIDE = {"src": source(OUTER), **NO_PORTS}
INSIDE = {"src": source(b.SRC4), **SYN}
STUCK = counted("too_many_layers", src=source(OUTER), **NO_PORTS)


def tunnel(
    name: str, packet: bytes, decapped: Verdict, closed: Verdict | None = None
) -> Case:
    """A packet in tunnels: closed, it is a plain one."""
    closed = closed or counted(**OUTSIDE)
    return Case(name, between(b.ethernet(packet)), closed, decapped)


def in_udp(port: int, payload: bytes) -> bytes:
    return outer(b.UDP)(b.udp(payload, src_port=5000, dst_port=port))


VXLAN_PORT = counted(src=source(OUTER), dst_port=b.UDP_VXLAN)

TUNNELS = [
    tunnel("G01_ipip", ipip(V4), counted(**INSIDE)),
    tunnel("G_ipip_x4", nested(4, ipip), counted(**INSIDE)),
    tunnel("G_ipip_x5", nested(5, ipip), STUCK),
    tunnel("G02_ipip_x10", nested(10, ipip), STUCK),
    tunnel("G03_ipip_x1000", nested(1000, ipip), STUCK),
    tunnel("G04_gre_ip", gre(V4), counted(**INSIDE)),
    tunnel("G05_gre_x500", nested(500, gre), STUCK),
    tunnel(
        "G06_gre_trunc",
        outer(b.GRE)(b.gre(V4)[:3]),
        counted("l4_truncated", **OUTSIDE),
    ),
    tunnel(
        "G_gre_key_trunc",
        outer(b.GRE)(b.gre(key=True, sequence=True)[:10]),
        counted("l4_truncated", **OUTSIDE),
    ),
    tunnel("G07_6in4", outer(41)(V6), counted(src=b.SRC6, ip_version=6, **SYN)),
    tunnel(
        "G08_vxlan",
        in_udp(b.UDP_VXLAN, b.vxlan(b.ethernet(V4))),
        counted(**INSIDE),
        VXLAN_PORT,
    ),
    tunnel(
        "G_vxlan_trunc",
        in_udp(b.UDP_VXLAN, b.vxlan()[:7]),
        counted("l4_truncated", src=source(OUTER), dst_port=b.UDP_VXLAN),
        VXLAN_PORT,
    ),
    tunnel(
        "G_vxlan_arp",
        in_udp(b.UDP_VXLAN, b.vxlan(b.ethernet(bytes(28), ethertype=b.ETHERTYPE_ARP))),
        counted("non_ip", src=source(OUTER), dst_port=b.UDP_VXLAN),
        VXLAN_PORT,
    ),
    tunnel(
        "G09_ipip_self_trunc",
        ipip(V4[:10]),
        counted("ip_truncated", **OUTSIDE),
    ),
    tunnel("G_ipip_empty", ipip(b""), counted("l3_truncated", **OUTSIDE)),
    tunnel("G_ipip_ver6", ipip(V6), counted("bad_ip_version", **OUTSIDE)),
    tunnel("G_ipip_ihl0", ipip(b.ipv4(TCP, ihl=0)), counted("ip_bad_ihl", **OUTSIDE)),
    tunnel(
        "G_ipip_later_fragment",
        b.ipv4(V4, proto=4, src=OUTER, frag_offset=8),
        counted(flag="frag", **OUTSIDE),
        counted(flag="frag", **OUTSIDE),
    ),
]
