"""Packets as bytes: records of a pcap file, Ethernet, IPv4, TCP, UDP, ICMP.

Checksums are right. Rows are filled column by column, then cut to their lengths.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastflow.synth.cells import (
    ICMP,
    ICMP_BODY_BYTES,
    TCP,
    UDP,
    UDP_PAYLOAD_BYTES,
    Style,
)

Bytes = npt.NDArray[np.uint8]
#: A column for each field; all have one length.
Packets = Mapping[str, npt.NDArray[Any]]

_RECORD_BYTES, _ETHERNET_BYTES, _IP_BYTES = 16, 14, 20
_IP_AT = _RECORD_BYTES + _ETHERNET_BYTES
_PAYLOAD_AT = _IP_AT + _IP_BYTES

#: To and from stations of nobody (locally administered), IPv4.
_ETHERNET = np.frombuffer(
    bytes.fromhex("020000000002 020000000001 0800"), np.dtype("V14")
)

_IP = [
    ("version_ihl", "u1"),
    ("tos", "u1"),
    ("ip_len", ">u2"),
    ("ip_id", ">u2"),
    ("frag", ">u2"),
    ("ttl", "u1"),
    ("proto", "u1"),
    ("ip_sum", "<u2"),
    ("src", ">u4"),
    ("dst", ">u4"),
]
_HEAD = [
    ("ts_s", "<u4"),
    ("ts_us", "<u4"),
    ("caplen", "<u4"),
    ("wirelen", "<u4"),
    ("ethernet", "V14"),
    *_IP,
]
_PORTS = [("src_port", ">u2"), ("dst_port", ">u2")]
_TCP = np.dtype(
    [
        *_HEAD,
        *_PORTS,
        ("seq", ">u4"),
        ("ack", ">u4"),
        ("data_offset", "u1"),
        ("flags", "u1"),
        ("window", ">u2"),
        ("sum", "<u2"),
        ("urgent", ">u2"),
        ("options", "V40"),
    ]
)
_UDP = np.dtype(
    [
        *_HEAD,
        *_PORTS,
        ("length", ">u2"),
        ("sum", "<u2"),
        ("payload", f"V{UDP_PAYLOAD_BYTES}"),
    ]
)
#: The body is what an error message quotes: an IPv4 header and 8 bytes of TCP.
_ICMP = np.dtype(
    [
        *_HEAD,
        ("type", "u1"),
        ("code", "u1"),
        ("sum", "<u2"),
        ("id", ">u2"),
        ("number", ">u2"),
        *[(f"quoted_{name}", kind) for name, kind in [*_IP, *_PORTS]],
        ("quoted_seq", ">u4"),
    ]
)
assert _ICMP.itemsize == _PAYLOAD_AT + 8 + ICMP_BODY_BYTES

#: Of a packet that somebody never sent, and another complains of.
QUOTED_PORT = 80
#: ICMP types that quote the packet they are about.
ERRORS = (3, 4, 5, 11, 12)


def file_header() -> bytes:
    """Return the header of a pcap file: microseconds, little-endian, Ethernet."""
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)


def records(packets: Packets, styles: Sequence[Style]) -> tuple[bytes, Any]:
    """Return the records of packets one after the other, and where each one ends.

    Parameters
    ----------
    packets : mapping of str to arrays
        `ts_us` (microseconds since 1970), `src`, `dst`, `proto`, `ip_id`, `ip_ttl`,
        `src_port`, `dst_port`, `tcp_seq`, `tcp_flags`, `tcp_ack`, `style`, `icmp_type`.
    styles : sequence of Style
        What `style` is an index into.
    """
    n = len(packets["src"])
    rows = np.zeros((n, _TCP.itemsize), np.uint8)
    lengths = np.zeros(n, np.int64)
    for proto, make in ((TCP, _tcp), (UDP, _udp), (ICMP, _icmp)):
        mine = np.flatnonzero(packets["proto"] == proto)
        if mine.size:
            chosen = {name: column[mine] for name, column in packets.items()}
            lengths[mine], made = make(chosen, styles)
            rows[mine, : made.shape[1]] = made
    is_there = np.arange(rows.shape[1]) < lengths[:, None]
    return rows[is_there].tobytes(), np.cumsum(lengths)


def _tcp(packets: Packets, styles: Sequence[Style]) -> tuple[Any, Bytes]:
    sizes = np.array([len(style.options) for style in styles])[packets["style"]]
    rows = _begun(_TCP, packets, TCP, 20 + sizes)
    rows["seq"] = packets["tcp_seq"]
    rows["ack"] = packets["tcp_ack"]
    rows["data_offset"] = (20 + sizes) // 4 << 4
    rows["flags"] = packets["tcp_flags"]
    rows["window"] = np.array([style.window for style in styles])[packets["style"]]
    options = [np.void(style.options.ljust(40, b"\0")) for style in styles]
    rows["options"] = np.array(options, "V40")[packets["style"]]
    return _summed(rows)


def _udp(packets: Packets, styles: Sequence[Style]) -> tuple[Any, Bytes]:
    rows = _begun(_UDP, packets, UDP, 8 + UDP_PAYLOAD_BYTES)
    rows["length"] = 8 + UDP_PAYLOAD_BYTES
    return _summed(rows)


def _icmp(packets: Packets, styles: Sequence[Style]) -> tuple[Any, Bytes]:
    rows = _begun(_ICMP, packets, ICMP, 8 + ICMP_BODY_BYTES)
    rows["type"] = packets["icmp_type"]
    is_error = np.isin(packets["icmp_type"], ERRORS)
    # Host unreachable, time exceeded in transit: code 1 means something for either.
    rows["code"] = is_error
    rows["id"] = np.where(is_error, 0, packets["src_port"])
    quoted = rows[is_error]
    about = {
        **{name: column[is_error] for name, column in packets.items()},
        "src": packets["dst"][is_error],
        "dst": packets["src"][is_error],
        "dst_port": np.full(len(quoted), QUOTED_PORT),
    }
    whole = _begun(_TCP, about, TCP, np.full(len(quoted), 20))
    _sum_ip(whole)
    for name, _ in [*_IP, *_PORTS]:
        quoted[f"quoted_{name}"] = whole[name]
    quoted["quoted_seq"] = about["tcp_seq"]
    rows[is_error] = quoted
    return _summed(rows)


def _begun(dtype: np.dtype[Any], packets: Packets, proto: int, size: Any) -> Any:
    """Return rows with everything before the transport header, and the ports.

    `size` is that of the transport header and what follows it, in bytes.
    """
    rows = np.zeros(len(packets["src"]), dtype)
    rows["ts_s"], rows["ts_us"] = np.divmod(packets["ts_us"], 1_000_000)
    rows["caplen"] = rows["wirelen"] = _ETHERNET_BYTES + _IP_BYTES + size
    rows["ethernet"] = _ETHERNET
    rows["version_ihl"] = 0x45
    rows["ip_len"] = _IP_BYTES + size
    rows["ip_id"] = packets["ip_id"]
    rows["ttl"] = packets["ip_ttl"]
    rows["proto"] = proto
    rows["src"] = packets["src"]
    rows["dst"] = packets["dst"]
    if proto != ICMP:
        rows["src_port"] = packets["src_port"]
        rows["dst_port"] = packets["dst_port"]
    return rows


def _summed(rows: Any) -> tuple[Any, Bytes]:
    """Fill the checksums in; return lengths of records, and the rows as bytes."""
    _sum_ip(rows)
    lengths = _RECORD_BYTES + rows["caplen"].astype(np.int64)
    total = _words(rows, _PAYLOAD_AT, rows.dtype.itemsize)
    if "src_port" in rows.dtype.names:
        # The pseudo header: addresses, protocol, length (RFC 9293, section 3.1).
        total += _words(rows, _IP_AT + 12, _PAYLOAD_AT)
        total += (rows["ip_len"].astype(np.uint32) - _IP_BYTES) % 256 * 256
        total += (rows["ip_len"].astype(np.uint32) - _IP_BYTES) // 256
        total += rows["proto"].astype(np.uint32) << 8
    rows["sum"] = _folded(total)
    return lengths, _as_bytes(rows)


def _sum_ip(rows: Any) -> None:
    rows["ip_sum"] = _folded(_words(rows, _IP_AT, _PAYLOAD_AT))


def _as_bytes(rows: Any) -> Bytes:
    whole: Bytes = rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)
    return whole


def _words(rows: Any, begin: int, end: int) -> npt.NDArray[np.uint32]:
    """Add up the 16-bit words from one byte to another.

    They are read as little-endian ones; so must the sum be written, and is right then
    (RFC 1071, section 2).
    """
    words = _as_bytes(rows)[:, begin:end].view("<u2")
    added: npt.NDArray[np.uint32] = words.sum(axis=1, dtype=np.uint32)
    return added


def _folded(total: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint16]:
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)).astype(np.uint16)
