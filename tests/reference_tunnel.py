"""The oracle's tunnels: which packet is one that is to be opened, and what is inside.

ipip, 6in4, 4in6, 6in6: protocols 4 and 41.
gre: protocol 47; 4 bytes, 4 more each for the flags checksum, key and sequence. With
the routing flag, a version other than 0, or a protocol that is none of the EtherTypes
above, it is not opened. erspan: protocol 0x88be, behind it 8 bytes if there is a
sequence number; protocol 0x22eb, 12 bytes, 8 more if the last bit is set, not opened
unless the frame type is 0; then Ethernet.
By UDP destination port: vxlan, 4789 or 8472, 8 bytes, opened if the flag 0x08 is set,
then Ethernet. geneve, 6081, 8 bytes and options, opened if the version is 0 and the
protocol is one of the EtherTypes above. gtpu, 2152, 8 bytes, opened if version and
protocol type are 1 and the message is 255; 4 more bytes with any of three flags; with
the flag 4, extension headers as long as the last byte of what precedes names one, at
most 16 (else `too_many_layers`); then IP as behind MPLS.
A tunnel header that is cut, or a GTP-U extension of length 0, is `l4_truncated`. For
gre and erspan that is known with 4 bytes whether it is opened, for the others with 8.
"""

from __future__ import annotations

from reference_link import ETHERTYPES, Fault, Found, Packet, be, by_nibble, need

TUNNELS = ("gre", "erspan", "ipip", "6in4", "4in6", "6in6", "vxlan", "geneve", "gtpu")
UDP_TUNNELS = {4789: "vxlan", 8472: "vxlan", 6081: "geneve", 2152: "gtpu"}
MAX_GTP_EXTENSIONS = 16


def tunnel(packet: Packet, payload: bytes) -> Found | None:
    """Return what is inside, None where this is no tunnel that is to be opened."""
    version, proto = packet.row["ip_version"], packet.row["proto"]
    if proto in (4, 41):
        kind = {
            (4, 4): "ipip",
            (4, 41): "6in4",
            (6, 4): "4in6",
            (6, 41): "6in6",
        }[version, proto]
        if kind in packet.decap:
            return "ipv4" if proto == 4 else "ipv6", payload
    if proto == 47 and packet.decap & {"gre", "erspan"}:
        return _gre(packet, payload)
    if proto == 17:
        kind = UDP_TUNNELS.get(packet.row["dst_port"], "")
        if kind in packet.decap:
            need(payload[8:], 8, "l4_truncated")
            return UDP_READERS[kind](payload[8:])
    return None


def _gre(packet: Packet, data: bytes) -> Found | None:
    need(data, 4, "l4_truncated")
    flags, protocol = be(data[0:2]), be(data[2:4])
    checksum, routing, key, sequence = (flags >> bit & 1 for bit in (15, 14, 13, 12))
    if routing or flags & 7:
        return None
    size = 4 + 4 * (checksum + key + sequence)
    if protocol in (0x88BE, 0x22EB):
        if "erspan" not in packet.decap:
            return None
        if protocol == 0x88BE:
            size += 8 if sequence else 0
        else:
            need(data, size + 12, "l4_truncated")
            frame_type = data[size + 10] >> 2 & 31
            if frame_type != 0:
                return None
            size += 20 if data[size + 11] & 1 else 12
        need(data, size, "l4_truncated")
        return "ethernet", data[size:]
    if "gre" not in packet.decap or protocol not in ETHERTYPES:
        return None
    need(data, size, "l4_truncated")
    return ETHERTYPES[protocol], data[size:]


def _vxlan(data: bytes) -> Found | None:
    return ("ethernet", data[8:]) if data[0] & 0x08 else None


def _geneve(data: bytes) -> Found | None:
    version, options, protocol = data[0] >> 6, data[0] & 63, be(data[2:4])
    if version != 0 or protocol not in ETHERTYPES:
        return None
    need(data, 8 + 4 * options, "l4_truncated")
    return ETHERTYPES[protocol], data[8 + 4 * options :]


def _gtpu(data: bytes) -> Found | None:
    if data[0] >> 4 != 3 or data[1] != 255:
        return None
    extension, sequence, npdu = data[0] & 4, data[0] & 2, data[0] & 1
    data = data[8:]
    if extension or sequence or npdu:
        need(data, 4, "l4_truncated")
        following = data[3] if extension else 0
        data = data[4:]
        met = 0
        while following != 0:
            if met == MAX_GTP_EXTENSIONS:
                raise Fault("too_many_layers")
            met += 1
            need(data, 4, "l4_truncated")
            size = 4 * data[0]
            if size == 0:
                raise Fault("l4_truncated")
            need(data, size, "l4_truncated")
            following = data[size - 1]
            data = data[size:]
    return by_nibble(data)


UDP_READERS = {"vxlan": _vxlan, "geneve": _geneve, "gtpu": _gtpu}
