"""Secrets in every channel of a capture, and a search for them in all that is written.

The secrets are the addresses of a sensor and the names of its host. They lie where a
packet or a pcapng file can hold them; the search knows them as text and as bytes in
either order, and looks into compressed pages too.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

import builders as b
import pcapng_builders as ng

SENSOR4 = ipaddress.IPv4Address("203.77.154.201")
SENSOR6 = ipaddress.IPv6Address("2001:db8:7c1e:93d5:e06a:4bf9:15c2:d87b")
HOST = "telescope-kyoto.example.net"
SENSOR = "canary-sensor-7"
SOURCE4, SOURCE6 = bytes([11, 22, 33, 44]), bytes.fromhex("20010db8" + "00" * 11 + "05")

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


# --- the search ----------------------------------------------------------------------


def address_needles() -> dict[str, bytes]:
    """Return the addresses in every form, by a name for it; texts in lower case."""
    needles: dict[str, bytes] = {}
    for address in (SENSOR4, SENSOR6):
        packed = address.packed
        numbers = [int.from_bytes(packed, order) for order in ("big", "little")]
        texts = {
            str(address),
            address.exploded,
            str(ipaddress.ip_address(packed[::-1])),
            address.reverse_pointer,
            packed.hex(),
            packed[::-1].hex(),
            packed.hex(":"),
            packed.hex(":", 2),
            *map(str, numbers),
        }
        if address.version == 6:
            # Either half of it says which network, or which host.
            halves = (packed[:8], packed[8:])
            needles |= {f"bytes {half.hex()}": half for half in halves}
            texts |= {half.hex() for half in halves}
            texts |= {half.hex(":", 2) for half in halves}
        needles |= {f"text {text}": text.encode() for text in texts}
        needles |= {f"bytes of {address}": packed, f"reversed {address}": packed[::-1]}
    return needles


def name_needles(*more: str) -> dict[str, bytes]:
    """Return what partners must not see beside the addresses."""
    return {text: text.lower().encode() for text in (HOST, SENSOR, *more)}


def found_in(needles: dict[str, bytes], pieces: Iterable[bytes]) -> set[str]:
    """Return the names of the needles that are in one of the pieces."""
    hits: set[str] = set()
    for piece in pieces:
        lower = piece.lower()
        for name, needle in needles.items():
            if needle in piece or needle in lower:
                hits.add(name)
    return hits


def pieces_of(root: Path) -> Iterator[bytes]:
    """Yield all that a file, or the files of a directory, say: raw and decoded."""
    for path in [root] if root.is_file() else sorted(root.rglob("*")):
        if root.is_dir():
            yield str(path.relative_to(root)).encode()
        if not path.is_file():
            continue
        data = path.read_bytes()
        yield data
        yield from _frames(data)
        if path.suffix == ".parquet":
            yield from _parquet_pieces(path)
        if path.suffix == ".arrow":
            with pa.OSFile(str(path)) as file:
                yield from _table_pieces(pa.ipc.open_file(file).read_all())


def _frames(data: bytes) -> Iterator[bytes]:
    """Yield every page that zstd has compressed, whatever a reader makes of it."""
    for match in re.finditer(re.escape(_ZSTD_MAGIC), data):
        decompressor = zstandard.ZstdDecompressor().decompressobj()
        with suppress(zstandard.ZstdError):  # these four bytes may be anything
            yield decompressor.decompress(data[match.start() :])


def _parquet_pieces(path: Path) -> Iterator[bytes]:
    """Yield values, whole dictionaries, statistics and metadata."""
    schema = pq.read_schema(path)
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        yield from _table_pieces(file.read())
        metadata = file.metadata
    yield repr(metadata.metadata).encode()
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            yield str(metadata.row_group(group).column(index).to_dict()).encode()


def _table_pieces(table: pa.Table) -> Iterator[bytes]:
    yield repr(table.schema.metadata).encode()
    for column in table.columns:
        for chunk in column.chunks:
            values = chunk
            if pa.types.is_dictionary(chunk.type):
                yield from _value_pieces(chunk.dictionary)
                values = chunk.dictionary_decode()
            yield from _value_pieces(values)


def _value_pieces(values: pa.Array) -> Iterator[bytes]:
    for value in values.to_pylist():
        if isinstance(value, int):
            yield value.to_bytes(8, "big", signed=True)
            yield value.to_bytes(8, "little", signed=True)
        yield value if isinstance(value, bytes) else str(value).encode()


# --- the captures --------------------------------------------------------------------


def packets() -> list[bytes]:
    """Return frames to the sensor, in which whatever can hold its address does."""
    return [
        *[b.ethernet(packet) for packet in _packets4()],
        *[b.ethernet(packet, ethertype=b.ETHERTYPE_IPV6) for packet in _packets6()],
        b.ethernet(_arp(), ethertype=b.ETHERTYPE_ARP),
        # Cut within the addresses, and a header that is none.
        b.ethernet(_packets4()[0])[: 14 + 18],
        b.ethernet(b.ipv4(src=SOURCE4, dst=SENSOR4.packed, ihl=3)),
        b.ethernet(b.ipv4(src=SOURCE4, dst=SENSOR4.packed, total_length=9)),
    ]


def _words() -> bytes:
    """Return what a payload may say of the sensor."""
    texts = (str(SENSOR4), str(SENSOR6), HOST, SENSOR4.packed.hex(), str(int(SENSOR4)))
    return SENSOR4.packed + SENSOR6.packed + " ".join(texts).encode()


def _packets4() -> list[bytes]:
    low, high = int(SENSOR4) & 0xFFFF, int(SENSOR4) >> 16
    number = int(SENSOR4)
    swapped = int.from_bytes(SENSOR4.packed, "little")
    to = {"src": SOURCE4, "dst": SENSOR4.packed}
    back = b.ipv4(b.tcp(_words(), seq=number), src=SENSOR4.packed, dst=SOURCE4)
    # The sensor itself as the victim; what it would have sent to itself.
    own = [
        b.ipv4(b.udp(dst_port=high), proto=b.UDP, src=src, dst=SENSOR4.packed)
        for src in (SOURCE4, SENSOR4.packed)
    ]
    probes = [
        # Mirai's mark, and that of one with the other byte order.
        b.tcp(dst_port=23, seq=number),
        b.tcp(dst_port=2323, seq=swapped),
        b.tcp(dst_port=80, seq=number, ack=number, src_port=high),
        b.tcp(_words(), dst_port=81, ack=swapped, src_port=low, flags=b.ACK),
        b.tcp(dst_port=443, options=b.timestamp(number, swapped) + b.nop() * 2),
        b.tcp(dst_port=444, options=b.option(254, SENSOR4.packed + b"zz")),
        # Half of the packets of a cell bear the mark: the others share their own.
        b.tcp(dst_port=22, seq=number),
        b.tcp(dst_port=22, seq=7),
        # What a victim answers bears marks as well: all of it, half of it.
        b.tcp(src_port=80, seq=number, ack=number + 1, flags=b.SYN | b.ACK),
        b.tcp(src_port=81, seq=swapped, ack=swapped, flags=b.SYN | b.ACK),
        b.tcp(src_port=high, dst_port=low, seq=number, flags=b.RST),
        b.tcp(src_port=80, seq=7, ack=number, flags=b.SYN | b.ACK),
    ]
    packets = [b.ipv4(summed(p, to, b.TCP), **to, ident=low) for p in probes]
    packets += [
        b.ipv4(b.udp(_words(), dst_port=high), proto=b.UDP, **to, ident=high),
        b.ipv4(b.sctp(_words()), proto=b.SCTP, **to),
        b.ipv4(b.icmp(_words()), proto=b.ICMP, **to),
        b.ipv4(b.icmp(back, type=3, code=3), proto=b.ICMP, **to),
        b.ipv4(b.icmp(back, type=11), proto=b.ICMP, **to),
        *[b.ipv4(b.icmp(quote, type=3), proto=b.ICMP, **to) for quote in own],
        b.ipv4(b.icmp(own[0][:20], type=5), proto=b.ICMP, **to),
        b.ipv4(_words(), proto=99, **to, frag_offset=8),
        # Loose source route and record route.
        b.ipv4(probes[0], **to, options=b"\x83\x07\x04" + SENSOR4.packed),
        b.ipv4(probes[0], **to, options=b"\x07\x07\x08" + SENSOR4.packed),
        # Tunnels to the sensor: opened or not.
        b.ipv4(b.gre(b.ipv4(probes[0], **to)), proto=b.GRE, **to),
        b.ipv4(b.ipv4(probes[1], **to), proto=b.IPIP, **to),
        b.ipv4(_packets6()[0], proto=b.IPV6_IN, **to),
    ]
    return [with_header_sum(packet) for packet in packets]


def _packets6() -> list[bytes]:
    to = {"src": SOURCE6, "dst": SENSOR6.packed}
    low = int.from_bytes(SENSOR6.packed[12:], "big")
    back = b.ipv6(b.udp(_words()), proto=b.UDP, src=SENSOR6.packed, dst=SOURCE6)
    own = b.ipv6(b.udp(), proto=b.UDP, src=SOURCE6, dst=SENSOR6.packed)
    segments = b"\x04\x00\x02\x00" + bytes(4) + SENSOR6.packed * 2
    return [
        b.ipv6(summed(b.tcp(dst_port=23, seq=1, ack=low), to, b.TCP), **to),
        b.ipv6(b.udp(_words()), proto=b.UDP, **to, flow=low & 0xFFFFF),
        b.ipv6(b.icmp(_words(), type=128), proto=b.ICMPV6, **to),
        b.ipv6(b.icmp(back, type=1, code=4), proto=b.ICMPV6, **to),
        b.ipv6(b.icmp(own, type=1, code=4), proto=b.ICMPV6, **to),
        b.ipv6(b.icmp(own[:40], type=3), proto=b.ICMPV6, **to),
        b.ipv6(b.tcp(src_port=80, seq=1, ack=low, flags=b.SYN | b.ACK), **to),
        # A neighbour is asked for the sensor's address.
        b.ipv6(b.icmp(SENSOR6.packed, type=135), proto=b.ICMPV6, **to),
        b.ipv6(b.udp(), proto=b.UDP, **to, extensions=(b.Ext(b.ROUTING, segments),)),
    ]


def _arp() -> bytes:
    head = struct.pack(">HHBBH", 1, b.ETHERTYPE_IPV4, 6, 4, 1)
    return head + b.MAC1 + SOURCE4 + bytes(6) + SENSOR4.packed


def summed(segment: bytes, ends: dict[str, bytes], proto: int) -> bytes:
    """Return a TCP segment with its checksum, which the addresses go into."""
    pseudo = ends["src"] + ends["dst"] + struct.pack(">II", len(segment), proto)
    total = struct.pack(">H", _checksum(pseudo + segment))
    return segment[:16] + total + segment[18:]


def with_header_sum(packet: bytes) -> bytes:
    """Return an IPv4 packet with the checksum of its header."""
    header = packet[: (packet[0] & 15) * 4]
    return packet[:10] + struct.pack(">H", _checksum(header)) + packet[12:]


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pcap() -> bytes:
    return b.capture(*packets())


def pcapng() -> bytes:
    """Return a file that says in every option and block where it was captured."""
    k = ng.LITTLE
    words = _words()
    shb = b"".join(k.option(code, words) for code in (1, 2, 3, 4))
    mask = b"\xff\xff\xff\x00"
    idb = k.option(1, words) + k.option(2, HOST.encode()) + k.option(3, words)
    idb += k.option(4, SENSOR4.packed + mask) + k.option(5, SENSOR6.packed + b"\x40")
    idb += k.option(11, b"\0dst host " + str(SENSOR4).encode())
    idb += k.option(12, HOST.encode()) + k.option(15, words)
    idb += k.option(2988, struct.pack("<I", 7) + words)
    blocks = [
        k.shb(shb + k.end_of_options()),
        k.idb(idb + k.end_of_options()),
        k.block(ng.NRB, _names(k) + k.option(2, HOST.encode()) + k.end_of_options()),
        k.block(ng.DSB, struct.pack("<II", 0x544C534B, len(words)) + words),
        k.block(ng.CUSTOM, struct.pack("<I", 7) + words),
        k.block(0x4C4C, words),
        *[k.epb(packet, options=k.option(1, words)) for packet in packets()],
        k.isb(k.option(1, words) + k.end_of_options()),
        k.idb(linktype=0xCB4D),
        k.epb(words, interface=1),
    ]
    return b"".join(blocks)


def _names(k: ng.Blocks) -> bytes:
    name = HOST.encode() + b"\0"
    records = ((1, SENSOR4.packed + name), (2, SENSOR6.packed + name))
    return b"".join(k.option(kind, value) for kind, value in records) + bytes(4)


def captures() -> dict[str, bytes]:
    """Return captures by file name: whole, cut, damaged and refused ones."""
    whole, other = pcap(), pcapng()
    big, little = struct.pack(">I", int(SENSOR4)), struct.pack("<I", int(SENSOR4))
    # Where a record header stands, bytes of a packet: the address as a length.
    header = struct.pack("<II", b.T0, 0)
    return {
        "whole.pcap": whole,
        "whole.pcapng": other,
        "cut.pcap": whole[:-7],
        "cut.pcapng": other[:-7],
        "length.pcap": whole + header + little * 2 + _words(),
        "length-big.pcap": whole + header + big * 2 + _words(),
        "time.pcap": whole + little * 4 + _words(),
        "block.pcapng": other + little * 3 + _words(),
        "trailer.pcapng": other + ng.LITTLE.block(6, _words(), trailer=int(SENSOR4)),
        "interface.pcapng": other + ng.LITTLE.epb(_words(), interface=int(SENSOR4)),
        "refused.pcap": SENSOR4.packed + _words(),
        "version.pcap": b.pcap_header(version=(0xCB4D, 0x9AC9)) + _words(),
        "linktype.pcap": b.pcap_header(linktype=0x9AC9) + whole[24:],
        "empty.pcap": b.pcap_header(snaplen=0x4B4D9AC9),
        "magic.pcapng": ng.LITTLE.shb(magic=int(SENSOR4)) + _words(),
    }


def write_captures(directory: Path) -> list[Path]:
    """Write the captures below a directory that tells the host and the sensor."""
    home = directory / HOST / SENSOR
    home.mkdir(parents=True)
    paths = []
    for name, data in captures().items():
        paths.append(home / name)
        paths[-1].write_bytes(data)
    return paths


def as_source() -> bytes:
    """Return a capture in which the sensor itself sends: this must be found."""
    to = {"dst": SOURCE4, "src": SENSOR4.packed}
    to6: Any = {"dst": SOURCE6, "src": SENSOR6.packed}
    return b.capture(
        b.ethernet(b.ipv4(b.tcp(seq=int(SENSOR4)), **to)),
        b.ethernet(b.ipv6(b.tcp(), **to6), ethertype=b.ETHERTYPE_IPV6),
    )
