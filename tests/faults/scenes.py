"""Captures with a known truth, and what lies on the disk before a reduce begins."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import builders as b
from faults.check import Dump, canonical, look
from faults.runner import Server
from faults.shim import Call, Plan

SENSOR = "tokyo-1"


def packet(number: int) -> bytes:
    """Return one of many packets; every 16th has no source, and is not counted."""
    src = bytes([203, 0, 113, number * 7 % 61])
    if number % 16 == 15:
        return b.ethernet(bytes(28), ethertype=0x0806)
    if number % 5 == 1:
        return b.ethernet(b.ipv4(b.icmp(), proto=b.ICMP, src=src))
    if number % 5 == 2:
        return b.ethernet(b.ipv4(b.udp(dst_port=53 + number % 3), proto=b.UDP, src=src))
    port, ttl = (23, 445, 3389)[number % 3], 60 + number % 4
    if number % 5 == 3:  # a victim answers
        segment = b.tcp(src_port=port, seq=number, flags=b.SYN | b.ACK)
    else:
        segment = b.tcp(dst_port=port, seq=number, options=b.mss())
    return b.ethernet(b.ipv4(segment, src=src, ttl=ttl))


def make_capture(first: int, n_packets: int, step_s: int = 61) -> bytes:
    """Return a capture of some packets, of several hours."""
    capture = b.PcapBuilder()
    for number in range(first, first + n_packets):
        capture.add(packet(number), sec=b.T0 + number * step_s)
    return capture.build()


#: More than go into one commit.
_MANY = {f"{n:03}.pcap": (3000 + 3 * n, 3) for n in range(260)}

#: Name of the capture: first packet, number of packets.
CAPTURES = {"a.pcap": (0, 160), "b.pcap": (1000, 96), "c.pcap": (2000, 200), **_MANY}


def truth(names: Sequence[str]) -> tuple[int, int]:
    """Return how many records these captures hold, and how many are counted."""
    numbers = [
        number
        for name in names
        for number in range(CAPTURES[name][0], sum(CAPTURES[name]))
    ]
    return len(numbers), sum(number % 16 != 15 for number in numbers)


@dataclass(frozen=True)
class Scene:
    """A reduce, and the store that it finds.

    Attributes
    ----------
    committed : sequence of str
        Captures that are in the store before; none: there is no store.
    reduced : sequence of str
        Captures that are named in the reduce.
    has_parent : bool
        The directory is there that the store is to lie in.
    """

    name: str
    committed: tuple[str, ...]
    reduced: tuple[str, ...]
    has_parent: bool = True


SCENES = {
    scene.name: scene
    for scene in (
        Scene("new", (), ("a.pcap", "b.pcap", "c.pcap")),
        Scene("more", ("a.pcap", "b.pcap"), ("b.pcap", "c.pcap")),
        Scene("two commits", ("a.pcap",), tuple(_MANY)),
        Scene("new, in a new directory", (), ("a.pcap",), has_parent=False),
    )
}


@dataclass
class Stage:
    """A scene made ready: files that every case begins with a copy of.

    Attributes
    ----------
    expected : Dump
        What the store holds after a run without faults.
    calls, seconds : list of Call, float
        That run's calls, and how long it took.
    known, all_ids : frozenset of str
        The inputs that are in the store before, and after.
    """

    scene: Scene
    captures: Path
    geo: Path
    before: Path
    expected: Dump
    calls: list[Call] = field(default_factory=list)
    seconds: float = 0.0
    known: frozenset[str] = field(default_factory=frozenset)
    all_ids: frozenset[str] = field(default_factory=frozenset)

    def store(self, sandbox: Path) -> Path:
        """Return where the store lies."""
        return sandbox / "stores" / "counts"

    def arguments(self, sandbox: Path) -> list[object]:
        """Return the arguments of the reduce."""
        return self.arguments_for(self.scene.reduced, sandbox)

    def arguments_for(self, names: Sequence[str], sandbox: Path) -> list[object]:
        """Return the arguments of a reduce of other captures."""
        paths = [self.captures / name for name in names]
        options = ["--store", self.store(sandbox), "--sensor", SENSOR, "--json"]
        return ["reduce", *paths, *options, "--geo", self.geo, "--workers", 2]

    def copy_to(self, sandbox: Path) -> None:
        """Make a directory with what is there before the reduce."""
        shutil.copytree(self.before, sandbox)


def make_stage(scene: Scene, server: Server, directory: Path, geo: Path) -> Stage:
    """Make captures and the store before; find out what a run without faults gives."""
    captures, before = directory / "captures", directory / "before"
    captures.mkdir(parents=True)
    (before / "stores" if scene.has_parent else before).mkdir(parents=True)
    for name in (*scene.committed, *scene.reduced):
        first, n_packets = CAPTURES[name]
        (captures / name).write_bytes(make_capture(first, n_packets))
    stage = Stage(scene, captures, geo, before, {})
    if scene.committed:
        ran = server.run(stage.arguments_for(scene.committed, before))
        assert ran.code == 0, ran.err
        stage.known = frozenset(ran.acknowledged)
    straight = directory / "straight"
    stage.copy_to(straight)
    ran = server.run(stage.arguments(straight), Plan(), straight)
    assert ran.code == 0, ran.err
    stage.calls, stage.seconds = ran.calls, ran.seconds
    view = look(stage.store(straight))
    rows = view.inputs.to_pylist()
    sums = sum(row["records"] for row in rows), sum(row["counted"] for row in rows)
    assert sums == truth(sorted({*scene.committed, *scene.reduced}))
    stage.expected = canonical(view)
    stage.all_ids = frozenset(view.ids)
    return stage
