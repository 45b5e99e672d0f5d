"""Writes small MaxMind DB files, after the specification of format 2.0."""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

MARK = b"\xab\xcd\xefMaxMind.com"
RECORD_BITS = 24


UINT16, UINT32, UINT64 = 5, 6, 9


def _control(kind: int, size: int) -> bytes:
    if size < 29:
        return bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])
    assert kind < 8
    assert size < 29 + 256
    return bytes([kind << 5 | 29, size - 29])


def encode(value: Any) -> bytes:
    """Encode a value; a pair (type, number) is an unsigned integer."""
    match value:
        case str():
            raw = value.encode()
            return _control(2, len(raw)) + raw
        case dict():
            pairs = b"".join(encode(k) + encode(v) for k, v in value.items())
            return _control(7, len(value)) + pairs
        case list():
            return _control(11, len(value)) + b"".join(map(encode, value))
        case (kind, number):
            raw = number.to_bytes(8, "big").lstrip(b"\0")
            return _control(kind, len(raw)) + raw
    raise TypeError(type(value))


class _Tree:
    def __init__(self) -> None:
        self.nodes: list[list[Any]] = [[None, None]]

    def insert(self, bits: str, leaf: Any) -> None:
        node = 0
        for bit in bits[:-1]:
            if not isinstance(self.nodes[node][int(bit)], int):
                self.nodes.append([None, None])
                self.nodes[node][int(bit)] = len(self.nodes) - 1
            node = self.nodes[node][int(bit)]
        self.nodes[node][int(bits[-1])] = leaf

    def node_at(self, bits: str) -> int:
        node = 0
        for bit in bits:
            node = self.nodes[node][int(bit)]
        return node


def _bits(text: str, ip_version: int = 6) -> str:
    network = ipaddress.ip_network(text)
    width = network.max_prefixlen
    bits = f"{int(network.network_address):0{width}b}"[: network.prefixlen]
    return "0" * 96 + bits if (network.version, ip_version) == (4, 6) else bits


def make_mmdb(
    networks: dict[str, Any],
    *,
    build_epoch: int = 1_600_000_000,
    database_type: str = "Test-Country",
    aliases: tuple[str, ...] = ("::ffff:0:0/96",),
    ip_version: int = 6,
) -> bytes:
    """Return a database; in IPv6, IPv4 lies in ::/96, and `aliases` point there."""
    tree = _Tree()
    for text, record in networks.items():
        tree.insert(_bits(text, ip_version), ("data", record))
    for alias in aliases if ip_version == 6 else ():
        v4_root = tree.node_at("0" * 96)
        tree.insert(_bits(alias), v4_root)
    data = bytearray()
    n_nodes = len(tree.nodes)

    def pointer(child: Any) -> int:
        if child is None:
            return n_nodes
        if isinstance(child, int):
            return child
        at = len(data)
        data.extend(encode(child[1]))
        return n_nodes + 16 + at

    records = [pointer(child) for node in tree.nodes for child in node]
    body = b"".join(struct.pack(">I", record)[1:] for record in records)
    metadata = {
        "binary_format_major_version": (UINT16, 2),
        "binary_format_minor_version": (UINT16, 0),
        "build_epoch": (UINT64, build_epoch),
        "database_type": database_type,
        "description": {"en": "test"},
        "ip_version": (UINT16, ip_version),
        "languages": ["en"],
        "node_count": (UINT32, n_nodes),
        "record_size": (UINT16, RECORD_BITS),
    }
    return body + bytes(16) + bytes(data) + MARK + encode(metadata)
