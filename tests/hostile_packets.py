"""Malformed packets up to the network layer: links, IPv4, IPv6."""

from __future__ import annotations

import struct

import builders as b
from hostile_verdicts import FRAME, Case, Verdict, between, counted, uncounted

TCP = b.tcp()
V4, V6 = b.ipv4(TCP), b.ipv6(TCP)
#: Where what follows TCP would be.
NO_PORTS = {"src_port": None, "dst_port": None, "tcp_flags": None}
PORTS = {"src_port": 40_000, "dst_port": 23}
SYN = {**PORTS, "tcp_flags": b.SYN}


def on_ethernet(name: str, frame: bytes, verdict: Verdict) -> Case:
    return Case(name, between(frame), verdict)


def alone(name: str, linktype: int, frame: bytes, verdict: Verdict) -> Case:
    """A capture of one packet on a link of its own."""
    return Case(name, b.capture(frame, linktype=linktype), verdict)


def tags(n: int) -> bytes:
    return b.tagged(V4, vids=(5,) * n)


ONE = counted(records=1, **SYN)
NON_IP = uncounted("non_ip", records=1)

LINKS = [
    on_ethernet("L01_eth_13", FRAME[:13], uncounted("l2_truncated")),
    on_ethernet("L_eth_0", b"", uncounted("l2_truncated")),
    on_ethernet("L02_eth_14", FRAME[:14], uncounted("l3_truncated")),
    on_ethernet("L03_vlan_trunc", tags(1)[:17], uncounted("l2_truncated", vlan=None)),
    on_ethernet("L_vlan_nothing", tags(1)[:18], uncounted("l3_truncated", vlan=5)),
    on_ethernet("L04_qinq", b.qinq(V4, outer=5), counted(vlan=5, **SYN)),
    on_ethernet("L_vlan_x8", tags(8), counted(vlan=5, **SYN)),
    on_ethernet("L_vlan_x9", tags(9), uncounted("too_many_vlan", vlan=5)),
    on_ethernet("L05_vlan_x30", tags(30), uncounted("too_many_vlan", vlan=5)),
    on_ethernet(
        "L07_vlan_endless",
        b.ethernet(b"\x00\x01\x81\x00" * 400, ethertype=b.TPID_VLAN),
        uncounted("too_many_vlan"),
    ),
    on_ethernet("L08_8023_llc", b.ethernet_8023(b.llc_snap(V4)), counted(**SYN)),
    on_ethernet("L_llc_trunc", b.ethernet_8023(b"\xaa\xaa"), uncounted("l2_truncated")),
    on_ethernet(
        "L_llc_other", b.ethernet_8023(b"\x42\x42\x03" + V4), uncounted("non_ip")
    ),
    on_ethernet(
        "L10_arp", b.ethernet(bytes(28), ethertype=b.ETHERTYPE_ARP), uncounted("non_ip")
    ),
    on_ethernet(
        "L11_mpls_x3",
        b.ethernet(b.mpls(V4, labels=(16, 32, 48)), ethertype=b.ETHERTYPE_MPLS),
        counted(**SYN),
    ),
    on_ethernet(
        "L_mpls_x16",
        b.ethernet(b.mpls(V4, labels=(16,) * 16), ethertype=b.ETHERTYPE_MPLS),
        counted(**SYN),
    ),
    on_ethernet(
        "L_mpls_x17",
        b.ethernet(b.mpls(V4, labels=(16,) * 17), ethertype=b.ETHERTYPE_MPLS),
        uncounted("too_many_layers"),
    ),
    on_ethernet(
        "L_mpls_endless",
        b.ethernet(bytes(1600), ethertype=b.ETHERTYPE_MPLS),
        uncounted("too_many_layers"),
    ),
    on_ethernet(
        "L_mpls_trunc",
        b.ethernet(bytes(3), ethertype=b.ETHERTYPE_MPLS),
        uncounted("l2_truncated"),
    ),
    on_ethernet(
        "L19_ppp_like_pppoe",
        b.ethernet(b.pppoe(V4), ethertype=b.ETHERTYPE_PPPOE),
        counted(**SYN),
    ),
    on_ethernet(
        "L_pppoe_trunc",
        b.ethernet(b.pppoe(V4)[:6], ethertype=b.ETHERTYPE_PPPOE),
        uncounted("l2_truncated"),
    ),
    alone("L12_raw_v4", b.LINKTYPE_RAW, V4, ONE),
    alone("L13_raw_v6", b.LINKTYPE_RAW, V6, ONE),
    alone(
        "L_raw_v5", b.LINKTYPE_RAW, b"\x55" * 40, uncounted("bad_ip_version", records=1)
    ),
    alone("L_raw_empty", b.LINKTYPE_RAW, b"", uncounted("l3_truncated", records=1)),
    alone("L14_null_le", b.LINKTYPE_NULL, b.null(V4), ONE),
    alone("L15_null_be", b.LINKTYPE_NULL, b.null(V4, byteorder="big"), ONE),
    alone("L16_null_unk", b.LINKTYPE_NULL, b.null(V4, family=77), NON_IP),
    alone(
        "L_null_trunc", b.LINKTYPE_NULL, b"\2\0\0", uncounted("l2_truncated", records=1)
    ),
    alone("L17_sll", b.LINKTYPE_SLL, b.sll(V4), ONE),
    alone(
        "L18_sll_trunc",
        b.LINKTYPE_SLL,
        b.sll()[:14],
        uncounted("l2_truncated", records=1),
    ),
    alone(
        "L_sll2_trunc",
        b.LINKTYPE_SLL2,
        b.sll2()[:19],
        uncounted("l2_truncated", records=1),
    ),
    alone("L_ppp_trunc", b.LINKTYPE_PPP, b"\xff", uncounted("l2_truncated", records=1)),
    alone(
        "L_radiotap_presence_endless",
        b.LINKTYPE_RADIOTAP,
        struct.pack("<BBH", 0, 0, 400) + b"\xff" * 396 + b.ieee80211(b.llc_snap(V4)),
        uncounted("l2_truncated", records=1),
    ),
    alone(
        "L_nflog_length_0",
        b.LINKTYPE_NFLOG,
        struct.pack(">BBH", 2, 0, 0) + bytes(400),
        uncounted("l2_truncated", records=1),
    ),
]


def ip4(name: str, packet: bytes, verdict: Verdict) -> Case:
    return on_ethernet(name, b.ethernet(packet), verdict)


IPV4 = [
    ip4("I01_19bytes", V4[:19], uncounted("ip_truncated")),
    ip4("I_1byte", V4[:1], uncounted("ip_truncated")),
    ip4("I02_ihl4", b.ipv4(TCP, ihl=4), uncounted("ip_bad_ihl")),
    ip4("I03_ihl0", b.ipv4(TCP, ihl=0), uncounted("ip_bad_ihl")),
    ip4("I04_ihl15_short", b.ipv4(bytes(10), ihl=15), uncounted("ip_bad_length")),
    ip4(
        "I_ihl15_cut",
        b.ipv4(bytes(10), ihl=15, total_length=80),
        uncounted("ip_truncated"),
    ),
    ip4("I05_tot_lt_ihl", b.ipv4(TCP, total_length=10), uncounted("ip_bad_length")),
    ip4("I_tot_1", b.ipv4(TCP, total_length=1), uncounted("ip_bad_length")),
    ip4(
        "I06_tot0",
        b.ipv4(TCP, total_length=0),
        counted(flag="ip_len_zero", payload_len=0, **SYN),
    ),
    ip4(
        "I_tot_gt_cap",
        b.ipv4(TCP, total_length=1500),
        counted(flag="snap_truncated", ip_len=1500, **SYN),
    ),
    ip4(
        "I_tot_ffff",
        b.ipv4(TCP, total_length=65_535),
        counted(flag="snap_truncated", ip_len=65_535, **SYN),
    ),
    ip4(
        "I08_tot_lt_cap_padding",
        V4 + bytes(6),
        counted(payload_len=0, ip_len=40, **SYN),
    ),
    on_ethernet("I10_ver6_in_0800", b.ethernet(V6), uncounted("bad_ip_version")),
    on_ethernet(
        "I11_v4_in_86dd",
        b.ethernet(V4, ethertype=b.ETHERTYPE_IPV6),
        uncounted("bad_ip_version"),
    ),
    ip4("I_ver0", b.ipv4(TCP, version=0), uncounted("bad_ip_version")),
    ip4(
        "I12_frag_first",
        b.ipv4(b.tcp(b"1234"), more_fragments=True),
        counted(flag="frag", payload_len=4, ip_frag=0, **SYN),
    ),
    ip4(
        "I13_frag_nonfirst",
        b.ipv4(TCP, frag_offset=800),
        counted(flag="frag", ip_frag=800, payload_len=None, **NO_PORTS),
    ),
    ip4(
        "I14_frag_tiny_8",
        b.ipv4(TCP[:8], more_fragments=True),
        counted("l4_truncated", flag="frag", **{**PORTS, "tcp_flags": None}),
    ),
    ip4(
        "I15_frag_max_off",
        b.ipv4(TCP, frag_offset=65_528),
        counted(flag="frag", ip_frag=65_528, **NO_PORTS),
    ),
    ip4("I17_opt_len1", b.ipv4(TCP, options=b"\x07\x01\0\0"), counted(**SYN)),
    ip4("I18_opt_over", b.ipv4(TCP, options=b"\x07\xff\0\0"), counted(**SYN)),
    ip4("I19_bad_cksum", V4[:10] + b"\xde\xad" + V4[12:], counted(**SYN)),
    ip4("I20_tot_eq_hdr", b.ipv4(b""), counted("l4_truncated", **NO_PORTS)),
    ip4(
        "I21_proto_255",
        b.ipv4(b"1234", proto=255),
        counted(proto=255, payload_len=4, **NO_PORTS),
    ),
]


def ip6(name: str, packet: bytes, verdict: Verdict) -> Case:
    return on_ethernet(name, b.ethernet(packet, ethertype=b.ETHERTYPE_IPV6), verdict)


def chain(*extensions: b.Ext) -> bytes:
    return b.ipv6(TCP, extensions=extensions)


HBH, DST, FRAG = b.ext_options(), b.ext_options(b.DEST_OPTIONS), b.ext_fragment()
LATER = b.ext_fragment(offset=800)

IPV6 = [
    ip6("V01_39bytes", V6[:39], uncounted("ip_truncated")),
    ip6("V02_ver4", b.ipv6(TCP, version=4), uncounted("bad_ip_version")),
    ip6(
        "V03_plen_0",
        b.ipv6(TCP, payload_length=0),
        counted(flag="ip_len_zero", ip_len=60, **SYN),
    ),
    ip6(
        "V04_plen_gt",
        b.ipv6(TCP, payload_length=9000),
        counted(flag="snap_truncated", ip_len=9040, **SYN),
    ),
    ip6(
        "V_plen_lt",
        b.ipv6(TCP, payload_length=10),
        counted("l4_truncated", **{**PORTS, "tcp_flags": None}),
    ),
    ip6("V05_hbh_ok", chain(HBH), counted(proto=6, **SYN)),
    ip6("V06_hbh_x2", chain(HBH, HBH), counted(flag="ip6_ext_order", **SYN)),
    ip6("V07_ext_x16", chain(*[DST] * 16), counted(flag="ip6_ext_order", **SYN)),
    ip6(
        "V_ext_x17",
        chain(*[DST] * 17),
        counted("too_many_ext", flag="ip6_ext_order", proto=60, **NO_PORTS),
    ),
    ip6(
        "V08_dstopts_x1000",
        chain(*[DST] * 1000),
        counted("too_many_ext", flag="ip6_ext_order", proto=60, **NO_PORTS),
    ),
    ip6(
        "V09_ext_trunc",
        chain(HBH)[:46],
        Verdict(
            records=3,
            flags={"snap_truncated": 1},
            columns={"status": "ip6_ext_truncated", "proto": 0, **NO_PORTS},
        ),
    ),
    ip6(
        "V_ext_len_over",
        chain(b.ext_options(length=255)),
        counted("ip6_ext_truncated", proto=0, **NO_PORTS),
    ),
    ip6(
        "V10_frag_first",
        chain(b.ext_fragment(more=True)),
        counted(flag="frag", ip_frag=0, **SYN),
    ),
    ip6(
        "V11_frag_nonfirst", chain(LATER), counted(flag="frag", ip_frag=800, **NO_PORTS)
    ),
    ip6("V12_frag_atomic", chain(FRAG), counted(ip_frag=0, **SYN)),
    ip6("V13_no_next", b.ipv6(b"", proto=b.NO_NEXT), counted(proto=59, **NO_PORTS)),
    ip6(
        "V14_routing_len_over",
        chain(b.ext_routing(length=255)),
        counted("ip6_ext_truncated", proto=43, **NO_PORTS),
    ),
    ip6("V15_ah_len0", chain(b.ext_auth(length=0)), counted("tcp_bad_doff", proto=6)),
    ip6("V_ah_ok", chain(b.ext_auth()), counted(**SYN)),
    ip6("V17_hbh_after_dst", chain(DST, HBH), counted(flag="ip6_ext_order", **SYN)),
    ip6(
        "V18_opt_len_over",
        chain(b.Ext(60, b"\0\x01\xff\0\0\0\0")),
        counted(**SYN),
    ),
]

PACKETS = [*LINKS, *IPV4, *IPV6]
