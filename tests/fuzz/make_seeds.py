"""Write seeds: `python tests/fuzz/make_seeds.py DIRECTORY [--cuts | --large]`.

A seed is a small capture. Together they have every container, byte order, link type,
tunnel, protocol and option that the decoder knows, and a few things that are wrong.
With `--cuts`, write each packet cut after each of its bytes instead: where the last
byte of a capture is, a reader that wants one more is found out. With `--large`, write
captures at the limits instead, too large for a fuzzer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from container_seeds import container_seeds, foreign_seeds, large_seeds

import builders as b
import link_builders as links
from encapsulated import ENCAPSULATED, TUNNELLED


def packets() -> dict[str, bytes]:
    """Return IP packets by what they show."""
    options = b.mss() + b.nop() + b.wscale() + b.nop() + b.nop() + b.timestamp()
    options += b.sack_permitted()
    tcp6 = b.tcp(options=b.mss(), flags=b.SYN | b.ACK)
    return {
        "syn": b.ipv4(b.tcp()),
        "syn_options": b.ipv4(b.tcp(options=options + b.eol() * 2)),
        "mss_cut": b.ipv4(b.tcp(options=b.nop() + b"\x02\x04\x05")),
        "wscale_cut": b.ipv4(b.tcp(options=b.nop() * 2 + b"\x03\x03")),
        "syn_bad_option": b.ipv4(b.tcp(options=b.option(2, b"\0\0", length=1))),
        "syn_ack": b.ipv4(b.tcp(flags=b.SYN | b.ACK, ack=2)),
        "rst": b.ipv4(b.tcp(flags=b.RST)),
        "doff_too_long": b.ipv4(b.tcp(doff=15)),
        "ip_options": b.ipv4(b.tcp(), options=b"\x07\x07\x04\0\0\0\0"),
        "ip_length_zero": b.ipv4(b.tcp(b"data"), total_length=0),
        "first_fragment": b.ipv4(b.tcp(), more_fragments=True),
        "later_fragment": b.ipv4(b.tcp(), frag_offset=1480),
        "udp": b.ipv4(b.udp(b"abc"), proto=b.UDP),
        "udp_bad_length": b.ipv4(b.udp(length=3), proto=b.UDP),
        "udplite": b.ipv4(b.udp(), proto=b.UDPLITE),
        "icmp": b.ipv4(b.icmp(), proto=b.ICMP),
        "sctp": b.ipv4(b.sctp(), proto=b.SCTP),
        "dccp": b.ipv4(b.dccp(), proto=b.DCCP),
        "gre": b.ipv4(bytes(8), proto=b.GRE),
        "cut_ip": b.ipv4(b.tcp())[:19],
        "cut_tcp": b.ipv4(b.tcp())[:33],
        "tcp6": b.ipv6(tcp6),
        "icmp6": b.ipv6(b.icmp(type=128), proto=b.ICMPV6),
        "extensions": b.ipv6(
            tcp6,
            extensions=(
                b.ext_options(),
                b.ext_routing(),
                b.ext_options(b.DEST_OPTIONS, words=1),
                b.ext_auth(),
                b.ext_fragment(more=True),
            ),
        ),
        "fragment6": b.ipv6(tcp6, extensions=(b.ext_fragment(offset=1232),)),
        "many_extensions": b.ipv6(tcp6, extensions=(b.ext_options(),) * 17),
        "jumbo": b.ipv6(tcp6, payload_length=0),
    }


def tunnels() -> dict[str, bytes]:
    """Return IP packets with another inside, by the tunnel."""
    inner, inner6 = b.ipv4(b.tcp(options=b.mss())), b.ipv6(b.tcp())
    frame = links.ethernet(inner)
    port = {
        "vxlan": (links.UDP_VXLAN, links.vxlan(frame)),
        "vxlan_linux": (links.UDP_VXLAN_LINUX, links.vxlan(frame)),
        "geneve": (links.UDP_GENEVE, links.geneve(frame, options=bytes(8))),
        "gtpu": (links.UDP_GTPU, links.gtpu(inner, extensions=(b"\0\0",))),
        "gtpu_optional": (links.UDP_GTPU, links.gtpu(inner6, optional=True)),
    }
    gre = {
        "gre": links.gre(inner, checksum=True, key=True, sequence=True),
        "gre6": links.gre(inner6, protocol=b.ETHERTYPE_IPV6),
        "gre_ethernet": links.gre(frame, protocol=links.ETHERTYPE_ETHERNET),
        "gre_mpls": links.gre(links.mpls(inner), protocol=links.ETHERTYPE_MPLS),
        **{f"erspan_{n}": links.erspan(frame, kind=n) for n in (1, 2, 3)},
        "erspan_sub": links.erspan(frame, kind=3, subheader=True),
    }
    nested = inner
    for _ in range(6):
        nested = b.ipv4(links.gre(nested), proto=b.GRE)
    return {
        **{k: b.ipv4(b.udp(v, dst_port=n), proto=b.UDP) for k, (n, v) in port.items()},
        **{name: b.ipv4(segment, proto=b.GRE) for name, segment in gre.items()},
        "ipip": b.ipv4(inner, proto=4),
        "6in4": b.ipv4(inner6, proto=41),
        "4in6": b.ipv6(inner, proto=4),
        "6in6": b.ipv6(inner6, proto=41),
        "nested": nested,
    }


def frames() -> dict[str, bytes]:
    """Return Ethernet frames with something between Ethernet and IP."""
    ip = b.ipv4(b.tcp())
    return {
        "vlan_cut": b.ethernet(b"\0\5", ethertype=b.TPID_VLAN),
        "vlan": b.tagged(ip, vids=(5, 6)),
        "qinq": b.qinq(b.ipv4(b.udp(b"abc"), proto=b.UDP)),
        "too_many_vlan": b.tagged(ip, vids=(1,) * 9),
        "padded": b.ethernet(ip, pad=True),
        "arp": b.ethernet(bytes(28), ethertype=b.ETHERTYPE_ARP),
        "mpls": b.ethernet(
            links.mpls(ip, labels=(1, 2)), ethertype=links.ETHERTYPE_MPLS
        ),
        "pppoe": b.ethernet(links.pppoe(ip), ethertype=links.ETHERTYPE_PPPOE),
        "llc_snap": links.ethernet_8023(links.llc_snap(ip)),
        "llc": links.ethernet_8023(links.llc(ip)),
    }


def crowded() -> bytes:
    """Return a capture of enough cells in an hour that they are not sorted by hand."""
    builder = b.PcapBuilder(linktype=b.LINKTYPE_RAW)
    for number in range(48):
        segment = b.tcp(dst_port=number % 7, window=number % 5, options=b.mss(number))
        host = bytes([number * 37 % 64])
        if number % 3:
            packet = b.ipv4(segment, src=b.SRC4[:3] + host)
        else:
            packet = b.ipv6(segment, src=b.SRC6[:15] + host)
        builder.add(packet, sec=b.T0 + 3600 * (number % 8 == 0))
    return builder.build()


def seeds() -> Iterator[tuple[str, bytes]]:
    """Yield names and captures."""
    known = packets()
    for linktype in b.LINKTYPES:
        builder = b.PcapBuilder(linktype=linktype)
        for number, packet in enumerate(known.values()):
            builder.add(b.on_link(linktype, packet), sec=b.T0 + 1800 * number)
        yield f"linktype_{linktype}", builder.build()
    for linktype, some in ENCAPSULATED.items():
        yield f"encapsulated_{linktype}", b.capture(*some, linktype=linktype)
    for kind, some in TUNNELLED.items():
        yield f"tunnels_{kind}", b.capture(*some, linktype=b.LINKTYPE_RAW)
    for name, packet in known.items():
        yield name, b.capture(b.on_link(b.LINKTYPE_ETHERNET, packet))
    frame = b.ethernet(known["syn_options"])
    for magic in b.MAGICS:
        for byteorder in ("little", "big"):
            for version in ((2, 2), (2, 3), (2, 4)):
                builder = b.PcapBuilder(
                    magic=magic, byteorder=byteorder, version=version
                )
                builder.add(frame, frac=999_999).add(frame, wirelen=1500)
                name = f"{magic:08x}_{byteorder}_{version[1]}"
                yield name, builder.build()
    yield "crowded", crowded()
    for name, tagged in frames().items():
        yield name, b.capture(tagged)
    for name, packet in tunnels().items():
        yield f"tunnel_{name}", b.capture(b.on_link(b.LINKTYPE_ETHERNET, packet))
    radiotap = links.radiotap(
        links.ieee80211(links.llc_snap(known["syn"]), subtype=8, pad=True),
        flags=0x20,
        tsft=True,
    )
    yield "radiotap", b.capture(radiotap, linktype=b.LINKTYPE_RADIOTAP)
    yield "fcs", b.PcapBuilder(fcs_words=2).add(frame + bytes(4)).build()
    yield "bad_ts", b.PcapBuilder().add(frame, sec=1).add(frame).build()
    yield "zero_record", b.capture(frame) + bytes(64)
    yield "joined", b.capture(frame) + b.capture(frame)
    yield "caplen_over_max", b.capture(frame) + b.pcap_record(caplen=1 << 20)
    yield "truncated", b.capture(frame)[:-3]
    yield "header_only", b.pcap_header()
    yield "empty", b""
    yield from container_seeds()


def whole_frames() -> Iterator[tuple[str, int, bytes]]:
    """Yield names, link types and frames: what every header and tunnel looks like."""
    for name, packet in packets().items():
        yield name, b.LINKTYPE_ETHERNET, b.on_link(b.LINKTYPE_ETHERNET, packet)
    yield "vlan", b.LINKTYPE_ETHERNET, b.tagged(packets()["syn"], vids=(5, 6))
    for linktype in b.LINKTYPES:
        yield "link", linktype, b.on_link(linktype, packets()["syn"])
    for linktype, frames in ENCAPSULATED.items():
        for number, frame in enumerate(frames):
            yield f"encapsulated{number}", linktype, frame
    for kind, tunnels in TUNNELLED.items():
        for number, packet in enumerate(tunnels):
            yield f"{kind}{number}", b.LINKTYPE_RAW, packet


def cuts() -> Iterator[tuple[str, bytes]]:
    """Yield every frame, cut after each of its bytes, as the end of a capture."""
    for name, linktype, frame in whole_frames():
        for size in range(len(frame)):
            cut = b.pcap_record(frame[:size], wirelen=len(frame))
            header = b.pcap_header(linktype=linktype)
            yield f"{name}_{linktype}_{size:03}", header + cut


#: What is written, by the option.
KINDS = {
    "": (seeds,),
    "--cuts": (cuts,),
    "--large": (large_seeds, foreign_seeds),
}


def main(directory: Path, option: str = "") -> None:
    """Write every seed as a file of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    for kind in KINDS[option]:
        for name, data in kind():
            (directory / f"{name}.pcap").write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
