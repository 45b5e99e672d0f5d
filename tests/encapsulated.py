"""IP behind whatever may stand before it: frames that every decoder must get through.

Port 23 is the innermost packet's, and no other's.
"""

from __future__ import annotations

import builders as b

IP4, IP6 = b.ipv4(b.tcp()), b.ipv6(b.tcp())
SNAP4, SNAP6 = b.llc_snap(IP4), b.llc_snap(IP6, ethertype=b.ETHERTYPE_IPV6)
QOS, FOUR_ADDRESSES, HTC = 8, 3, 0x81

_COOKED = [
    {"payload": SNAP4, "ethertype": 4},
    {"payload": b.ppp(IP4), "ethertype": 7},
    {"payload": b.vlan(IP6, vid=3, ethertype=0x86DD), "ethertype": b.TPID_VLAN},
    {"payload": b.ethernet(IP4), "ethertype": b.ETHERTYPE_ETHERNET, "arphrd": 778},
]

#: Link type -> frames.
ENCAPSULATED = {
    b.LINKTYPE_ETHERNET: [
        b.ethernet_8023(SNAP4),
        b.ethernet_8023(SNAP6),
        b.ethernet_8023(b.llc(IP4)),
        b.ethernet_8023(b.llc_snap(IP4, oui=b"\x00\x00\xf8")),
        b.ethernet(b.mpls(IP4, labels=(16, 17, 18)), ethertype=b.ETHERTYPE_MPLS),
        b.ethernet(b.mpls(IP6), ethertype=b.ETHERTYPE_MPLS_MULTICAST),
        b.ethernet(b.pppoe(IP4), ethertype=b.ETHERTYPE_PPPOE),
        b.ethernet(b.pppoe(IP4, compressed=True), ethertype=b.ETHERTYPE_PPPOE),
        b.ethernet(b.pppoe(IP6, protocol=b.PPP_IPV6), ethertype=b.ETHERTYPE_PPPOE),
        b.tagged(b.mpls(IP4), vids=(5, 6), ethertype=b.ETHERTYPE_MPLS),
        b.tagged(b.pppoe(IP4), vids=(7,), ethertype=b.ETHERTYPE_PPPOE),
        b.tagged(SNAP4, vids=(8,), ethertype=len(SNAP4)),
        b.ethernet(b.tagged(IP4, vids=(9,)), ethertype=b.ETHERTYPE_ETHERNET),
    ],
    b.LINKTYPE_PPP: [
        b.ppp(IP4),
        b.ppp(IP4, framed=False),
        b.ppp(IP6, protocol=b.PPP_IPV6, compressed=True),
        b.ppp(IP4, framed=False, compressed=True),
        b.ppp(b.mpls(IP6), protocol=b.PPP_MPLS),
        b.c_hdlc(IP4, address=0x8F),
    ],
    b.LINKTYPE_C_HDLC: [
        b.c_hdlc(IP6, protocol=b.ETHERTYPE_IPV6),
        b.c_hdlc(b.mpls(IP4), protocol=b.ETHERTYPE_MPLS),
    ],
    b.LINKTYPE_SLL: [b.sll(**fields) for fields in _COOKED],
    b.LINKTYPE_SLL2: [b.sll2(**fields) for fields in _COOKED],
    b.LINKTYPE_PFLOG: [
        b.pflog(IP4, length=45, size=48),
        b.pflog(IP6, family=24, length=100, size=100),
    ],
    b.LINKTYPE_RADIOTAP: [
        b.radiotap(b.ieee80211(SNAP6, flags=2), tsft=True, flags=0),
        b.radiotap(b.ieee80211(SNAP4, flags=FOUR_ADDRESSES)),
        b.radiotap(b.ieee80211(SNAP4, subtype=QOS, flags=HTC)),
        b.radiotap(b.ieee80211(SNAP4, subtype=QOS, pad=True), flags=0x20),
        b.radiotap(b.ieee80211(SNAP4) + b"FCS!", flags=0x10, tsft=True),
        b.radiotap(
            b.ieee80211(SNAP4, subtype=QOS, pad=True),
            flags=0x20,
            tsft=True,
            more_words=(0, 0),
        ),
    ],
}


def _udp(port: int, *insides: bytes) -> list[bytes]:
    return [b.ipv4(b.udp(inside, dst_port=port), proto=b.UDP) for inside in insides]


#: Kind of tunnel -> raw IP packets.
TUNNELLED = {
    "gre": [
        b.ipv4(b.gre(IP4), proto=b.GRE),
        b.ipv6(b.gre(IP4, key=True, checksum=True, sequence=True), proto=b.GRE),
        b.ipv4(b.gre(IP6, protocol=b.ETHERTYPE_IPV6), proto=b.GRE),
        b.ipv4(b.gre(b.ethernet(IP4), protocol=b.ETHERTYPE_ETHERNET), proto=b.GRE),
        b.ipv4(b.gre(b.mpls(IP4), protocol=b.ETHERTYPE_MPLS), proto=b.GRE),
    ],
    "erspan": [
        b.ipv4(b.erspan(b.ethernet(IP4), kind=1), proto=b.GRE),
        b.ipv4(b.erspan(b.ethernet(IP4), kind=2), proto=b.GRE),
        b.ipv4(b.erspan(b.tagged(IP4), kind=3), proto=b.GRE),
        b.ipv4(b.erspan(b.ethernet(IP4), kind=3, subheader=True), proto=b.GRE),
    ],
    "ipip": [b.ipv4(IP4, proto=b.IPIP)],
    "6in4": [b.ipv4(IP6, proto=b.IPV6_IN)],
    "4in6": [b.ipv6(IP4, proto=b.IPIP)],
    "6in6": [
        b.ipv6(IP6, proto=b.IPV6_IN),
        b.ipv6(IP6, proto=b.IPV6_IN, extensions=(b.ext_options(b.DEST_OPTIONS),)),
    ],
    "vxlan": _udp(b.UDP_VXLAN, b.vxlan(b.ethernet(IP4)), b.vxlan(b.tagged(IP4))),
    "geneve": _udp(
        b.UDP_GENEVE,
        b.geneve(b.ethernet(IP4)),
        b.geneve(IP6, protocol=b.ETHERTYPE_IPV6, options=bytes(8)),
    ),
    "gtpu": _udp(
        b.UDP_GTPU,
        b.gtpu(IP4),
        b.gtpu(IP6, optional=True),
        b.gtpu(IP4, extensions=(b"\x01\x02",)),
    ),
}
