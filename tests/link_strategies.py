"""Hypothesis strategies: a grammar of link headers and tunnels around IP packets.

Every frame is right, but for a number that is drawn out of the ordinary now and then.
"""

from __future__ import annotations

from hypothesis import strategies as st

import builders as b

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
TPIDS = (b.TPID_VLAN, b.TPID_QINQ, b.TPID_OLD_QINQ)
ODD_ETHERTYPES = (b.ETHERTYPE_ARP, b.ETHERTYPE_PPPOE, 0x88E5, 0xFFFF, 1500, 1501, 0)
byteorders = st.sampled_from(["little", "big"])
#: Seldom true: what would otherwise end most packets early.
seldom = st.sampled_from([False] * 9 + [True])


def _is_6(packet: bytes) -> bool:
    return bool(packet) and packet[0] >> 4 == 6


def ethertype_of(packet: bytes) -> int:
    return b.ETHERTYPE_IPV6 if _is_6(packet) else b.ETHERTYPE_IPV4


def ppp_of(packet: bytes) -> int:
    return b.PPP_IPV6 if _is_6(packet) else b.PPP_IPV4


# --- from IP to a link header, inside out --------------------------------------------


@st.composite
def _in_mpls(draw: st.DrawFn, packet: bytes) -> bytes:
    n_labels = draw(st.sampled_from([1, 1, 2, 3, 15, 16, 17]))
    return b.mpls(packet, labels=tuple(range(n_labels)))


@st.composite
def _in_ppp(draw: st.DrawFn, packet: bytes) -> tuple[int, bytes]:
    """Return a PPP protocol and what follows it."""
    if draw(seldom):
        protocol = draw(st.sampled_from([b.PPP_MPLS, b.PPP_MPLS_MULTICAST]))
        return protocol, draw(_in_mpls(packet))
    odd = draw(seldom) and draw(seldom)
    return draw(st.integers(0, 0xFFFF)) if odd else ppp_of(packet), packet


@st.composite
def typed(draw: st.DrawFn, packet: bytes) -> tuple[int, bytes]:
    """Return an EtherType (or a length) and what follows it, down to the IP packet."""
    ethertype, data = ethertype_of(packet), packet
    kinds = ["vlan"] * 4 + ["llc", "llc", "bridged"]
    inner = draw(st.sampled_from([""] * 6 + ["mpls", "mpls", "pppoe", "pppoe", "odd"]))
    if inner == "mpls":
        ethertype = draw(st.sampled_from([0x8847, 0x8848]))
        data = draw(_in_mpls(packet))
    elif inner == "pppoe":
        protocol, inside = draw(_in_ppp(packet))
        first = 0x2100 if draw(seldom) else 0x1100
        data = b.pppoe(
            inside,
            protocol=protocol,
            compressed=protocol < 256 and draw(st.booleans()),
            first=first,
        )
        ethertype = b.ETHERTYPE_PPPOE
    elif inner == "odd":
        ethertype = draw(st.sampled_from(ODD_ETHERTYPES) | u16)
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=3)):
        if kind == "vlan":
            for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3, 7, 8, 9]))):
                data = b.vlan(data, vid=draw(u16), ethertype=ethertype)
                ethertype = draw(st.sampled_from(TPIDS))
        elif kind == "bridged":
            data, ethertype = b.ethernet(data, ethertype=ethertype), 0x6558
        else:
            data = draw(_in_llc(ethertype, data))
            ethertype = min(len(data), 1500)
    return ethertype, data


@st.composite
def _in_llc(draw: st.DrawFn, ethertype: int, data: bytes) -> bytes:
    if ethertype == b.ETHERTYPE_IPV4 and draw(st.booleans()):
        return b.llc(data, sap=draw(st.sampled_from([6] * 6 + [7, 0xAA])))
    oui = draw(
        st.sampled_from([bytes(3)] * 6 + [b"\x00\x00\xf8"] * 2 + [b"\x00\x80\xc2"])
    )
    return b.llc_snap(data, ethertype=ethertype, oui=oui)


@st.composite
def ethernet_frames(draw: st.DrawFn, packet: bytes) -> bytes:
    ethertype, data = draw(typed(packet))
    return b.ethernet(data, ethertype=ethertype, pad=draw(seldom))


# --- link headers --------------------------------------------------------------------


@st.composite
def _cooked(draw: st.DrawFn, packet: bytes, linktype: int) -> bytes:
    header = b.sll if linktype == b.LINKTYPE_SLL else b.sll2
    kind = draw(st.sampled_from([""] * 6 + ["llc", "ppp", "ethernet", "wifi", "odd"]))
    if kind == "wifi":
        return header(draw(_wifi(packet)), arphrd=803)
    ethertype, data = draw(typed(packet))
    arphrd = draw(st.sampled_from([1] * 9 + [512, 772, 778, 65_534]))
    if kind == "llc":
        ethertype, data = 4, draw(_in_llc(ethertype, data))
    elif kind == "ppp":
        ethertype, data = 7, draw(_ppp_link(packet))
    elif kind == "ethernet":
        ethertype, data = 3, b.ethernet(data, ethertype=ethertype)
    elif kind == "odd":
        arphrd = draw(st.sampled_from([770, 824]) | u16)
    return header(data, ethertype=ethertype, arphrd=arphrd)


@st.composite
def _ppp_link(draw: st.DrawFn, packet: bytes) -> bytes:
    if draw(seldom):
        return draw(_cisco(packet))
    protocol, data = draw(_in_ppp(packet))
    return b.ppp(
        data,
        protocol=protocol,
        framed=draw(st.booleans()),
        compressed=protocol < 256 and draw(st.booleans()),
    )


@st.composite
def _cisco(draw: st.DrawFn, packet: bytes) -> bytes:
    ethertype, data = draw(typed(packet))
    address = draw(st.sampled_from([0x0F, 0x8F]))
    return b.c_hdlc(data, protocol=ethertype, address=address)


@st.composite
def _families(draw: st.DrawFn, packet: bytes) -> int:
    right = b.AFS_INET6 if _is_6(packet) else (b.AF_INET,)
    return draw(u8) if draw(seldom) else draw(st.sampled_from(right))


@st.composite
def _pflog(draw: st.DrawFn, packet: bytes) -> bytes:
    length, size = draw(
        st.sampled_from([(61, 64)] * 6 + [(64, 64), (45, 48), (44, 44), (255, 256)])
    )
    return b.pflog(packet, family=draw(_families(packet)), length=length, size=size)


@st.composite
def _nflog(draw: st.DrawFn, packet: bytes) -> bytes:
    order = draw(byteorders)
    kinds = st.sampled_from([1, 2, 5, 10, 0x8003, 0, 300])
    n_tlvs = draw(st.sampled_from([0, 1, 2, 2, 3, 63, 64, 65]))
    length = draw(st.sampled_from([None] * 30 + [0, 3, 4, 100]))
    before = b"".join(
        b.nflog_tlv(draw(kinds), bytes(n % 6), length=length, byteorder=order)
        for n in range(n_tlvs)
    )
    return b.nflog(
        packet,
        family=draw(_families(packet)),
        version=draw(seldom),
        before=before,
        length=draw(st.sampled_from([None] * 9 + [0, 4, 30, 0xFFFF])),
        byteorder=order,
    )


@st.composite
def _wifi(draw: st.DrawFn, packet: bytes) -> bytes:
    """Radiotap and 802.11; what is padded or checked is announced as such, mostly."""
    ethertype, data = draw(typed(packet))
    flags = draw(st.none() | st.sampled_from([0, 0x10, 0x20, 0x30, 0x40]) | u8)
    honest = not draw(seldom)
    frame = b.ieee80211(
        draw(_in_llc(ethertype, data)),
        kind=draw(st.sampled_from([2] * 20 + [0, 1, 3])),
        subtype=draw(st.sampled_from([0, 0, 8, 8, 1, 9, 4, 12])),
        flags=draw(st.sampled_from([0, 1, 2, 3, 0x81, 0x83, 0x41, 0x04])),
        fragment=draw(st.sampled_from([0] * 12 + [1, 15])),
        amsdu=draw(seldom),
        pad=honest and bool(flags and flags & 0x20),
        version=draw(st.sampled_from([0] * 20 + [1])),
    )
    if honest and flags and flags & 0x10:
        frame += b"FCS!"
    words = draw(st.sampled_from([()] * 6 + [(0,), (0, 0), (0,) * 31, (0,) * 32]))
    return b.radiotap(
        frame,
        flags=flags,
        tsft=draw(st.booleans()),
        more_words=words,
        length=draw(st.sampled_from([None] * 20 + [0, 8, 9, 200])),
    )


def on_link(linktype: int, packet: bytes) -> st.SearchStrategy[bytes]:
    """Frames of a link type around a packet."""
    if linktype in (b.LINKTYPE_NULL, b.LINKTYPE_LOOP):
        return st.builds(
            b.null, st.just(packet), family=_families(packet), byteorder=byteorders
        )
    if linktype in (b.LINKTYPE_SLL, b.LINKTYPE_SLL2):
        return _cooked(packet, linktype)
    by_link = {
        b.LINKTYPE_ETHERNET: ethernet_frames,
        b.LINKTYPE_PPP: _ppp_link,
        b.LINKTYPE_PPP_HDLC: _ppp_link,
        b.LINKTYPE_C_HDLC: _cisco,
        b.LINKTYPE_PFLOG: _pflog,
        b.LINKTYPE_RADIOTAP: _wifi,
        b.LINKTYPE_NFLOG: _nflog,
    }
    return by_link.get(linktype, st.just)(packet)


# --- tunnels -------------------------------------------------------------------------


@st.composite
def _gre(draw: st.DrawFn, packet: bytes) -> bytes:
    ethertype, data = ethertype_of(packet), packet
    if draw(st.booleans()):
        ethertype, data = draw(typed(packet))
    flags = draw(st.sampled_from([0] * 12 + [0x4000, 1, 0x0800, 0x0080]))
    checksum, key, sequence = (draw(st.booleans()) for _ in range(3))
    return b.gre(
        data,
        protocol=ethertype,
        checksum=checksum,
        key=key,
        sequence=sequence,
        flags=flags,
    )


@st.composite
def _erspan(draw: st.DrawFn, packet: bytes) -> bytes:
    return b.erspan(
        draw(ethernet_frames(packet)),
        kind=draw(st.sampled_from([1, 2, 3])),
        subheader=draw(st.booleans()),
        frame_type=draw(st.sampled_from([0] * 9 + [2, 31])),
    )


@st.composite
def _vxlan(draw: st.DrawFn, packet: bytes) -> bytes:
    return b.vxlan(
        draw(ethernet_frames(packet)),
        flags=draw(st.sampled_from([8] * 9 + [0, 0xFF])),
    )


@st.composite
def _geneve(draw: st.DrawFn, packet: bytes) -> bytes:
    protocol, data = ethertype_of(packet), packet
    if draw(st.booleans()):
        protocol, data = 0x6558, draw(ethernet_frames(packet))
    return b.geneve(
        data,
        protocol=draw(u16) if draw(seldom) else protocol,
        options=bytes(draw(st.sampled_from([0, 0, 4, 252]))),
        version=draw(seldom),
    )


@st.composite
def _gtpu(draw: st.DrawFn, packet: bytes) -> bytes:
    n_extensions = draw(st.sampled_from([0, 0, 0, 1, 2, 16, 17]))
    return b.gtpu(
        packet,
        message=draw(st.sampled_from([255] * 12 + [1])),
        first=draw(st.sampled_from([0x30] * 12 + [0x31, 0x38, 0x20, 0x50])),
        optional=draw(st.booleans()),
        extensions=(bytes(2),) * n_extensions,
    )


UDP_TUNNELS = {
    b.UDP_VXLAN: _vxlan,
    b.UDP_VXLAN_LINUX: _vxlan,
    b.UDP_GENEVE: _geneve,
    b.UDP_GTPU: _gtpu,
}


@st.composite
def tunnels(draw: st.DrawFn, packet: bytes) -> bytes:
    """An IP packet that carries a packet."""
    kind = draw(st.sampled_from(["ip", "ip", "gre", "gre", "erspan", "udp", "udp"]))
    if kind == "ip":
        proto, payload = b.IPV6_IN if _is_6(packet) else b.IPIP, packet
    elif kind == "udp":
        port = draw(st.sampled_from(list(UDP_TUNNELS)))
        proto = b.UDP
        payload = b.udp(draw(UDP_TUNNELS[port](packet)), dst_port=port)
    else:
        proto = b.GRE
        payload = draw((_gre if kind == "gre" else _erspan)(packet))
    later = 8 if draw(seldom) and draw(st.booleans()) else 0
    more = draw(seldom)
    if draw(st.booleans()):
        extensions = (b.ext_options(),) * draw(seldom)
        if later or more:
            extensions = (*extensions, b.ext_fragment(offset=later, more=more))
        return b.ipv6(payload, proto=proto, extensions=extensions)
    length = 0 if draw(seldom) else None
    return b.ipv4(
        payload,
        proto=proto,
        frag_offset=later,
        more_fragments=more,
        total_length=length,
    )


@st.composite
def tunnelled(draw: st.DrawFn, packets: st.SearchStrategy[bytes]) -> bytes:
    """A packet inside of up to five others."""
    packet = draw(packets)
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 2, 3, 4, 5]))):
        packet = draw(tunnels(packet))
    return packet
