"""tshark as a second opinion: its view of a capture, in the columns of a packet.

tshark opens tunnels, quotes and payloads, puts fragments together and guesses. Here it
gives the outermost IP header, and the transport header right behind it, as they lie in
the packet: the layers of its JSON output come in wire order.
"""

from __future__ import annotations

import ipaddress
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import reference

Row = dict[str, Any]
#: JSON objects of tshark repeat keys, so they are read as lists of pairs.
Pairs = list[tuple[str, Any]]

TSHARK = shutil.which("tshark")

PREFERENCES = {
    "ip.defragment": "FALSE",
    "ipv6.defragment": "FALSE",
    "ip.tso_support": "TRUE",
    "tcp.relative_sequence_numbers": "FALSE",
    "tcp.analyze_sequence_numbers": "FALSE",
    "tcp.desegment_tcp_streams": "FALSE",
}

#: What tshark has a word on. A packet without the layer has None.
COLUMNS = tuple(
    name
    for name in reference.PACKET_COLUMNS
    if name not in ("linktype", "payload_len", "status")
)
NEXT_HEADERS = (
    "ipv6.nxt",
    "ipv6.hopopts.nxt",
    "ipv6.routing.nxt",
    "ipv6.fraghdr.nxt",
    "ipv6.dstopts.nxt",
    "ah.next_header",
    "mip6.proto",
    "hip.proto",
    "shim6.nxt",
)


@dataclass(frozen=True)
class Difference:
    """One value that is not the same; `packet` counts from 0, -1 is the file."""

    packet: int
    column: str
    ours: Any
    tshark: Any

    def __str__(self) -> str:
        return f"packet {self.packet}: {self.column} {self.ours!r} != {self.tshark!r}"


def tshark_rows(path: Path, *, innermost: bool = False) -> list[Row]:
    """Let tshark read a capture; packets as rows of `COLUMNS`.

    `innermost` takes the last IP header that tshark finds, behind all tunnels.
    """
    assert TSHARK is not None
    command = [TSHARK, "-r", str(path), "-n", "-T", "json"]
    for name, value in PREFERENCES.items():
        command += ["-o", f"{name}:{value}"]
    # Exit code 2 is a damaged file: what came before the damage is still printed.
    done = subprocess.run(command, capture_output=True, check=False)
    text = done.stdout.decode(errors="replace")
    if not text.strip():
        return []
    packets = json.loads(text, object_pairs_hook=list)
    return [
        _row(_get(_get(packet, "_source"), "layers"), innermost) for packet in packets
    ]


def compare(ours: list[Row], tshark: list[Row]) -> list[Difference]:
    """List every value on which the rows of a decoder and of tshark differ."""
    differences = []
    if len(ours) != len(tshark):
        differences.append(Difference(-1, "packets", len(ours), len(tshark)))
    for number, (mine, other) in enumerate(zip(ours, tshark, strict=False)):
        differences += [
            Difference(number, column, mine[column], other[column])
            for column in COLUMNS
            if mine[column] != other[column]
        ]
    return differences


def _row(layers: Pairs, innermost: bool) -> Row:
    row: Row = dict.fromkeys(COLUMNS)
    frame = _get(layers, "frame")
    seconds, _, fraction = _get(frame, "frame.time_epoch").partition(".")
    row["ts"] = int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0"))
    row["caplen"] = int(_get(frame, "frame.cap_len"))
    row["wirelen"] = int(_get(frame, "frame.len"))

    names = [name for name, _ in layers]
    headers = [i for i, name in enumerate(names) if name in ("ip", "ipv6")]
    outer = headers[0] if headers else None
    for name, fields in layers[:outer]:
        if name in ("vlan", "ieee8021ad") and row["vlan"] is None:
            row["vlan"] = _number(fields, "vlan.id", "ieee8021ad.id")
    if outer is None:
        return row
    wanted = headers[-1] if innermost else outer
    name, ip = layers[wanted]
    behind = layers[wanted + 1 :]
    if name == "ip":
        _ipv4(row, ip)
    else:
        # An authentication header is one more extension header here.
        while behind and behind[0][0] in ("ah", "mipv6", "hip", "shim6"):
            ip = ip + behind[0][1]
            behind = behind[1:]
        _ipv6(row, ip)
    if behind:
        _transport(row, *behind[0])
    return row


def _ipv4(row: Row, ip: Pairs) -> None:
    if _get(ip, "ip.src") is None:  # no valid header, only a start of one
        return
    row["ip_version"] = 4
    for column, field in (("src", "ip.src"), ("dst", "ip.dst")):
        text = _get(ip, field)
        if text is not None:
            row[column] = bytes(10) + b"\xff\xff" + ipaddress.IPv4Address(text).packed
    row["proto"] = _number(ip, "ip.proto")
    row["ip_ttl"] = _number(ip, "ip.ttl")
    row["ip_tos"] = _number(ip, "ip.dsfield")
    row["ip_id"] = _number(ip, "ip.id")
    row["ip_len"] = _number(ip, "ip.len")
    offset = _number(ip, "ip.frag_offset")
    row["ip_frag"] = None if offset is None else offset * 8


def _ipv6(row: Row, ip: Pairs) -> None:
    if _get(ip, "ipv6.src") is None:
        return
    row["ip_version"] = 6
    for column, field in (("src", "ipv6.src"), ("dst", "ipv6.dst")):
        text = _get(ip, field)
        if text is not None:
            row[column] = ipaddress.IPv6Address(text).packed
    flat = _flatten(ip)
    numbers = [int(value, 0) for name, value in flat if name in NEXT_HEADERS]
    row["proto"] = numbers[-1] if numbers else None
    row["ip_ttl"] = _number(ip, "ipv6.hlim")
    row["ip_tos"] = _number(ip, "ipv6.tclass")
    length = _number(ip, "ipv6.plen")
    row["ip_len"] = None if length is None else 40 + length
    offsets = [int(v, 0) for name, v in flat if name == "ipv6.fraghdr.offset"]
    row["ip_frag"] = offsets[-1] * 8 if offsets else 0


def _transport(row: Row, name: str, fields: Any) -> None:
    if name in ("tcp", "udp", "udplite", "sctp", "dccp"):
        prefix = "udp" if name == "udplite" else name
        row["src_port"] = _number(fields, f"{prefix}.srcport", f"{name}.srcport")
        row["dst_port"] = _number(fields, f"{prefix}.dstport", f"{name}.dstport")
    if name in ("icmp", "icmpv6"):
        row["icmp_type"] = _number(fields, f"{name}.type")
        row["icmp_code"] = _number(fields, f"{name}.code")
    if name == "tcp":
        flags = _number(fields, "tcp.flags")
        row["tcp_flags"] = None if flags is None else flags & 0xFF
        row["tcp_seq"] = _number(fields, "tcp.seq_raw")
        row["tcp_ack"] = _number(fields, "tcp.ack_raw")
        row["tcp_window"] = _number(fields, "tcp.window_size_value")
        flat = _flatten(_get(fields, "tcp.options_tree") or [])
        if row["tcp_window"] is not None:
            kinds = [v for option, v in flat if option == "tcp.option_kind"]
            # Ours end with the first 0; tshark goes on and lists the padding.
            end = kinds.index("0") + 1 if "0" in kinds else len(kinds)
            row["tcp_options"] = "-".join(kinds[:end])
        for column, option in (
            ("tcp_mss", "tcp.options.mss_val"),
            ("tcp_wscale", "tcp.options.wscale.shift"),
        ):
            values = [int(v) for field, v in flat if field == option]
            row[column] = values[-1] if values else None


def _get(pairs: Pairs, name: str) -> Any:
    """Return the first value of that name."""
    return next((value for key, value in pairs if key == name), None)


def _number(pairs: Any, *names: str) -> int | None:
    if isinstance(pairs, list):
        for name in names:
            text = _get(pairs, name)
            if text is not None:
                return int(text, 0)
    return None


def _flatten(pairs: Any) -> list[tuple[str, str]]:
    """Return all leaves of a tree, in the order in which tshark printed them."""
    flat: list[tuple[str, str]] = []
    for name, value in pairs:
        if isinstance(value, list):
            flat += _flatten([item for item in value if isinstance(item, tuple)])
        elif isinstance(value, str):
            flat.append((name, value))
    return flat
