"""Link headers and tunnel headers, written with `struct.pack`; see `builders`."""

from __future__ import annotations

import struct

LINKTYPE_NULL = 0
LINKTYPE_ETHERNET = 1
LINKTYPE_PPP = 9
#: 12 and 14 are what some systems wrote for raw IP before LINKTYPE_RAW had a number.
LINKTYPES_RAW = (12, 14, 101)
LINKTYPE_PPP_HDLC = 50
LINKTYPE_RAW = 101
LINKTYPE_C_HDLC = 104
LINKTYPE_LOOP = 108
LINKTYPE_SLL = 113
LINKTYPE_PFLOG = 117
LINKTYPE_RADIOTAP = 127
LINKTYPE_IPV4 = 228
LINKTYPE_IPV6 = 229
LINKTYPE_NFLOG = 239
LINKTYPE_SLL2 = 276
LINKTYPES = (
    LINKTYPE_ETHERNET,
    LINKTYPE_NULL,
    LINKTYPE_PPP,
    *LINKTYPES_RAW,
    LINKTYPE_PPP_HDLC,
    LINKTYPE_C_HDLC,
    LINKTYPE_LOOP,
    LINKTYPE_SLL,
    LINKTYPE_PFLOG,
    LINKTYPE_RADIOTAP,
    LINKTYPE_IPV4,
    LINKTYPE_IPV6,
    LINKTYPE_NFLOG,
    LINKTYPE_SLL2,
)

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_ETHERNET = 0x6558
ETHERTYPE_IPV6 = 0x86DD
ETHERTYPE_MPLS = 0x8847
ETHERTYPE_MPLS_MULTICAST = 0x8848
ETHERTYPE_PPPOE = 0x8864
ETHERTYPE_ERSPAN = 0x88BE
ETHERTYPE_ERSPAN_III = 0x22EB
TPID_VLAN = 0x8100
TPID_QINQ = 0x88A8
TPID_OLD_QINQ = 0x9100

PPP_IPV4 = 0x0021
PPP_IPV6 = 0x0057
PPP_MPLS = 0x0281
PPP_MPLS_MULTICAST = 0x0283
PPP_LCP = 0xC021

AF_INET = 2
#: Linux, OpenBSD and NetBSD, FreeBSD, macOS.
AFS_INET6 = (10, 24, 28, 30)
ARPHRD_ETHER = 1
ARPHRD_NETLINK = 824

UDP_GTPU, UDP_VXLAN, UDP_GENEVE, UDP_VXLAN_LINUX = 2152, 4789, 6081, 8472

MAC1, MAC2 = b"\x02\x00\x00\x00\x00\x01", b"\x02\x00\x00\x00\x00\x02"


# --- link headers --------------------------------------------------------------------


def ethernet(
    payload: bytes = b"",
    *,
    ethertype: int = ETHERTYPE_IPV4,
    dst: bytes = MAC2,
    src: bytes = MAC1,
    pad: bool = False,
) -> bytes:
    """Ethernet frame; `pad` fills it up to the 60 bytes that a card sends."""
    frame = dst + src + struct.pack(">H", ethertype) + payload
    return frame.ljust(60, b"\x00") if pad else frame


def sll(
    payload: bytes = b"",
    *,
    ethertype: int = ETHERTYPE_IPV4,
    arphrd: int = ARPHRD_ETHER,
) -> bytes:
    """Linux cooked capture, version 1."""
    return struct.pack(">HHH8sH", 0, arphrd, 6, MAC1, ethertype) + payload


def sll2(
    payload: bytes = b"",
    *,
    ethertype: int = ETHERTYPE_IPV4,
    arphrd: int = ARPHRD_ETHER,
) -> bytes:
    """Linux cooked capture, version 2."""
    return struct.pack(">HHIHBB8s", ethertype, 0, 2, arphrd, 0, 6, MAC1) + payload


def null(
    payload: bytes = b"", *, family: int = AF_INET, byteorder: str = "little"
) -> bytes:
    """BSD loopback: the address family in the byte order of the capturing host."""
    return struct.pack("<I" if byteorder == "little" else ">I", family) + payload


def ppp(
    payload: bytes = b"",
    *,
    protocol: int = PPP_IPV4,
    framed: bool = True,
    compressed: bool = False,
) -> bytes:
    """PPP; `framed` with address and control, `compressed` protocol of one byte."""
    number = struct.pack(">B" if compressed else ">H", protocol)
    return (b"\xff\x03" if framed else b"") + number + payload


def c_hdlc(
    payload: bytes = b"", *, protocol: int = ETHERTYPE_IPV4, address: int = 0x0F
) -> bytes:
    return struct.pack(">BBH", address, 0, protocol) + payload


def pflog(
    payload: bytes = b"", *, family: int = AF_INET, length: int = 61, size: int = 64
) -> bytes:
    """Log header of the BSD packet filter; `length` is what it claims to have."""
    return (struct.pack(">BBBB", length, family, 1, 0) + b"em0").ljust(
        size, b"\x00"
    ) + payload


def nflog_tlv(
    kind: int, value: bytes, *, length: int | None = None, byteorder: str = "little"
) -> bytes:
    mark = "<" if byteorder == "little" else ">"
    size = len(value) + 4 if length is None else length
    return struct.pack(mark + "HH", size, kind) + value + bytes(-len(value) % 4)


def nflog(
    payload: bytes = b"",
    *,
    family: int = AF_INET,
    version: int = 0,
    before: bytes | None = None,
    length: int | None = None,
    byteorder: str = "little",
) -> bytes:
    """Linux netfilter log: a packet header and a prefix, then the payload."""
    if before is None:
        protocol = b"\x08\x00" if family == AF_INET else b"\x86\xdd"
        before = nflog_tlv(1, protocol + b"\x01\x00", byteorder=byteorder)
        before += nflog_tlv(10, b"drop\x00", byteorder=byteorder)
    size = len(payload) + 4 if length is None else length
    tlv = struct.pack("<HH" if byteorder == "little" else ">HH", size & 0xFFFF, 9)
    return struct.pack(">BBH", family, version, 0) + before + tlv + payload


def radiotap(
    payload: bytes = b"",
    *,
    flags: int | None = None,
    tsft: bool = False,
    more_words: tuple[int, ...] = (),
    version: int = 0,
    length: int | None = None,
) -> bytes:
    """Radiotap header with the fields before and behind the flags, aligned."""
    words = [tsft | ((flags is not None) << 1) | (1 << 2), *more_words]
    words = [word | 1 << 31 for word in words[:-1]] + words[-1:]
    present = b"".join(struct.pack("<I", word) for word in words)
    body = present
    if tsft:
        body += bytes(-(4 + len(body)) % 8) + struct.pack("<Q", 1)
    if flags is not None:
        body += bytes([flags])
    body += b"\x02"  # the rate, 1 Mbit/s
    size = 4 + len(body) if length is None else length
    return struct.pack("<BBH", version, 0, size) + body + payload


def llc_snap(
    payload: bytes = b"",
    *,
    ethertype: int = ETHERTYPE_IPV4,
    oui: bytes = b"\x00\x00\x00",
) -> bytes:
    return b"\xaa\xaa\x03" + oui + struct.pack(">H", ethertype) + payload


def llc(payload: bytes = b"", *, sap: int = 0x06) -> bytes:
    return bytes([sap, sap, 3]) + payload


def ethernet_8023(payload: bytes, *, length: int | None = None) -> bytes:
    """Ethernet frame with a length where the EtherType would be."""
    return ethernet(payload, ethertype=len(payload) if length is None else length)


def ieee80211(
    payload: bytes = b"",
    *,
    kind: int = 2,
    subtype: int = 0,
    flags: int = 1,
    fragment: int = 0,
    amsdu: bool = False,
    pad: bool = False,
    version: int = 0,
) -> bytes:
    """802.11 frame; `flags` are ToDS=1 FromDS=2 protected=0x40 order=0x80."""
    header = bytes([version | kind << 2 | subtype << 4, flags]) + b"\x00\x00"
    header += MAC1 + MAC2 + MAC1 + struct.pack("<H", 0x10 | fragment)
    if flags & 3 == 3:
        header += MAC2
    if subtype & 8:
        header += bytes([amsdu << 7, 0])
        if flags & 0x80:
            header += bytes(4)
    if pad:
        header += bytes(-len(header) % 4)
    return header + payload


# --- between the link header and IP --------------------------------------------------


def vlan(payload: bytes, *, vid: int = 1, pcp: int = 0, ethertype: int) -> bytes:
    """What follows the tag's own ethertype: control word, inner ethertype, payload."""
    return struct.pack(">HH", (pcp << 13) | (vid & 0x0FFF), ethertype) + payload


def tagged(
    payload: bytes,
    *,
    vids: tuple[int, ...] = (1,),
    tpid: int = TPID_VLAN,
    ethertype: int = ETHERTYPE_IPV4,
) -> bytes:
    """Ethernet frame with any number of tags, the outermost first."""
    for vid in reversed(vids):
        payload, ethertype = vlan(payload, vid=vid, ethertype=ethertype), tpid
    return ethernet(payload, ethertype=ethertype)


def qinq(
    payload: bytes, *, outer: int = 100, inner: int = 200, ethertype: int = 0x0800
) -> bytes:
    """802.1ad frame: a service tag (0x88a8) around a customer tag (0x8100)."""
    inside = vlan(payload, vid=inner, ethertype=ethertype)
    return ethernet(vlan(inside, vid=outer, ethertype=TPID_VLAN), ethertype=TPID_QINQ)


def mpls(payload: bytes = b"", *, labels: tuple[int, ...] = (16,)) -> bytes:
    """Label stack; the last label has the bottom bit."""
    stack = b"".join(
        struct.pack(">I", label << 12 | (i == len(labels) - 1) << 8 | 64)
        for i, label in enumerate(labels)
    )
    return stack + payload


def pppoe(
    payload: bytes = b"",
    *,
    protocol: int = PPP_IPV4,
    compressed: bool = False,
    first: int = 0x1100,
) -> bytes:
    """PPPoE session header and the PPP protocol; `first`: version, type and code."""
    inside = ppp(payload, protocol=protocol, framed=False, compressed=compressed)
    return struct.pack(">HHH", first, 1, len(inside) & 0xFFFF) + inside


# --- tunnel headers ------------------------------------------------------------------


def gre(
    payload: bytes = b"",
    *,
    protocol: int = ETHERTYPE_IPV4,
    checksum: bool = False,
    key: bool = False,
    sequence: bool = False,
    flags: int = 0,
) -> bytes:
    """GRE; `flags` adds bits to the first two bytes."""
    word = checksum << 15 | key << 13 | sequence << 12 | flags
    options = bytes(4 * (checksum + key + sequence))
    return struct.pack(">HH", word, protocol) + options + payload


def erspan(
    payload: bytes = b"",
    *,
    kind: int = 2,
    subheader: bool = False,
    frame_type: int = 0,
) -> bytes:
    """GRE with an ERSPAN header of type 1, 2 or 3 around an Ethernet frame."""
    if kind == 1:
        return gre(payload, protocol=ETHERTYPE_ERSPAN)
    if kind == 2:
        header = struct.pack(">HHI", 0x1001, 1, 0)
        return gre(header + payload, protocol=ETHERTYPE_ERSPAN, sequence=True)
    header = struct.pack(">HHIHH", 0x2001, 1, 0, 0, frame_type << 10 | subheader)
    header += bytes(8 * subheader)
    return gre(header + payload, protocol=ETHERTYPE_ERSPAN_III, sequence=True)


def vxlan(payload: bytes = b"", *, flags: int = 0x08) -> bytes:
    return struct.pack(">BBHI", flags, 0, 0, 1 << 8) + payload


def geneve(
    payload: bytes = b"",
    *,
    protocol: int = ETHERTYPE_ETHERNET,
    options: bytes = b"",
    version: int = 0,
) -> bytes:
    first = version << 6 | len(options) // 4
    return struct.pack(">BBHI", first, 0, protocol, 1 << 8) + options + payload


def gtpu(
    payload: bytes = b"",
    *,
    message: int = 255,
    first: int = 0x30,
    optional: bool = False,
    extensions: tuple[bytes, ...] = (),
) -> bytes:
    """GTP-U; each extension is its content between length and next type."""
    tail = b""
    if extensions or optional:
        first |= 4 if extensions else 2
        tail = b"\x00\x01\x00" + (b"\x85" if extensions else b"\x00")
    for i, content in enumerate(extensions):
        following = 0x85 if i + 1 < len(extensions) else 0
        size = (len(content) + 2) // 4
        tail += bytes([size]) + content + bytes([following])
    body = tail + payload
    return struct.pack(">BBHI", first, message, len(body) & 0xFFFF, 1) + body


# --- any link ------------------------------------------------------------------------


def on_link(linktype: int, network: bytes, *, byteorder: str = "little") -> bytes:
    """Wrap an IP packet as `linktype` wants it; the version nibble names the type.

    `byteorder` is that of the capturing host, which some link headers show.
    """
    is_6 = network[:1] and network[0] >> 4 == 6
    ethertype = ETHERTYPE_IPV6 if is_6 else ETHERTYPE_IPV4
    protocol = PPP_IPV6 if is_6 else PPP_IPV4
    family = 30 if is_6 else AF_INET
    if linktype == LINKTYPE_ETHERNET:
        return ethernet(network, ethertype=ethertype)
    if linktype == LINKTYPE_SLL:
        return sll(network, ethertype=ethertype)
    if linktype == LINKTYPE_SLL2:
        return sll2(network, ethertype=ethertype)
    if linktype == LINKTYPE_NULL:
        return null(network, family=family, byteorder=byteorder)
    if linktype == LINKTYPE_LOOP:
        return null(network, family=family, byteorder="big")
    if linktype in (LINKTYPE_PPP, LINKTYPE_PPP_HDLC):
        return ppp(network, protocol=protocol, framed=linktype == LINKTYPE_PPP_HDLC)
    if linktype == LINKTYPE_C_HDLC:
        return c_hdlc(network, protocol=ethertype)
    if linktype == LINKTYPE_PFLOG:
        return pflog(network, family=family)
    if linktype == LINKTYPE_RADIOTAP:
        return radiotap(ieee80211(llc_snap(network, ethertype=ethertype)))
    if linktype == LINKTYPE_NFLOG:
        return nflog(network, family=10 if is_6 else AF_INET, byteorder=byteorder)
    return network
