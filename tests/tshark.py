"""Ask tshark about a capture: its layers of each packet, in wire order.

What they mean in the columns of a packet is in tshark_rows.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: JSON objects of tshark repeat keys, so they are read as lists of pairs.
Pairs = list[tuple[str, Any]]

TSHARK = shutil.which("tshark")

#: No profile of whoever runs the tests, and no dictionaries, which take time to load.
NOWHERE = "/nonexistent"
ENVIRONMENT = {
    "WIRESHARK_CONFIG_DIR": NOWHERE,
    "WIRESHARK_DATA_DIR": NOWHERE,
    "WIRESHARK_PLUGIN_DIR": NOWHERE,
}

PREFERENCES = {
    "ip.defragment": "FALSE",
    "ipv6.defragment": "FALSE",
    "ip.tso_support": "TRUE",
    "tcp.relative_sequence_numbers": "FALSE",
    "tcp.analyze_sequence_numbers": "FALSE",
    "tcp.desegment_tcp_streams": "FALSE",
}

#: Layers whose fields are printed; of any other the name is enough.
SHOWN = (
    "frame erf null vlan ieee8021ad ip ipv6 ah mipv6 hip shim6 gre tcp udp udplite "
    "sctp dccp icmp icmpv6"
)


@dataclass(frozen=True)
class Dissection:
    """A packet as tshark takes it apart."""

    frame: Pairs
    #: What follows the frame, outermost first; empty pairs where it is not `SHOWN`.
    layers: list[tuple[str, Pairs]]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.layers]


@dataclass(frozen=True)
class Opinion:
    """What tshark says of a capture."""

    packets: list[Dissection] = field(default_factory=list)
    #: Frames that are no packets, and have no link type: other blocks of pcapng.
    blocks: int = 0
    #: Exit code, and what is printed where that is not 0.
    code: int = 0
    complaint: str = ""


def ask_tshark(path: Path) -> Opinion:
    """Let tshark read a capture to its end, or to where it is damaged."""
    assert TSHARK is not None
    command = [TSHARK, "-r", str(path), "-n", "-T", "json", "-J", SHOWN]
    command += ["-d", "udp.port==8472,vxlan"]
    for name, value in PREFERENCES.items():
        command += ["-o", f"{name}:{value}"]
    # Exit code 2 is a damaged file: what came before the damage is still printed.
    done = subprocess.run(
        command, capture_output=True, check=False, env=os.environ | ENVIRONMENT
    )
    text = done.stdout.decode(errors="replace")
    records = json.loads(text, object_pairs_hook=list, strict=False) if text else []
    packets = [_dissection(get(get(r, "_source"), "layers")) for r in records]
    return Opinion(
        [packet for packet in packets if packet is not None],
        blocks=packets.count(None),
        code=done.returncode,
        complaint=done.stderr.decode(errors="replace"),
    )


def _dissection(layers: Pairs) -> Dissection | None:
    """Return None for what is no packet."""
    frame = get(layers, "frame")
    if get(frame, "frame.encap_type") is None:
        return None
    at = [name for name, _ in layers].index("frame")
    return Dissection(
        frame,
        [(n, v if isinstance(v, list) else []) for n, v in layers[at + 1 :]],
    )


def get(pairs: Pairs, name: str) -> Any:
    """Return the first value of that name."""
    return next((value for key, value in pairs if key == name), None)


def number(pairs: Pairs, *names: str) -> int | None:
    for name in names:
        text = get(pairs, name)
        if text is not None:
            return int(text, 0)
    return None


def leaves(pairs: Any) -> list[tuple[str, str]]:
    """Return all leaves of a tree, in the order in which tshark printed them."""
    flat: list[tuple[str, str]] = []
    for name, value in pairs:
        if isinstance(value, list):
            flat += leaves([item for item in value if isinstance(item, tuple)])
        elif isinstance(value, str):
            flat.append((name, value))
    return flat
