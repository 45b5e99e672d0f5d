"""The captures that everything is measured on, made anew and flushed to disk."""

from __future__ import annotations

import gzip
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

#: Classic pcap: little-endian, microseconds, Ethernet.
FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
FILE_HEADER_BYTES = len(FILE_HEADER)
RECORD_HEADER_BYTES = 16


def _one_record() -> bytes:
    """Return the record of a TCP SYN to port 23."""
    segment = struct.pack(">HHIIBBHHH", 40000, 23, 1, 0, 5 << 4, 2, 1024, 0, 0)
    ip = struct.pack(">BBHHHBBHII", 69, 0, 40, 1, 0, 64, 6, 0, 0x01010101, 0xC6120001)
    frame = bytes(12) + b"\x08\x00" + ip + segment
    return struct.pack("<IIII", ONE_SEC, 0, len(frame), len(frame)) + frame


#: A packet at the beginning of an hour, and where its fields are.
ONE_SEC = 1_598_443_200
ONE_RECORD = _one_record()
SEC_OFF, USEC_OFF, SRC_OFF, DST_PORT_OFF, WINDOW_OFF = 0, 4, 42, 52, 64

PACKETS_OF_SMALL = 100
SMALL_CAPTURES = 10_000


@dataclass(frozen=True)
class Input:
    """A capture, or a directory of captures."""

    path: Path
    packets: int
    size_bytes: int
    captures: int = 1


@dataclass(frozen=True)
class Kind:
    """A kind of load: how `fastflow synth load` makes it, and what it is."""

    synth: str
    text: str
    hours: int = 24
    #: Of the packets asked for, so that its file is no larger than the others'.
    one_in: int = 1


KINDS = {
    "scan": Kind("scan", "the usual case: 20 packets per source, port and hour"),
    "scatter": Kind("scatter", "the worst case: each packet from a source of its own"),
    "payload": Kind("payload", "frames of 800 bytes", one_in=10),
    "one-hour": Kind("scatter", "as many sources as packets, in one hour", hours=1),
}


@dataclass
class Load:
    """A load, and the inputs made from it as they are asked for."""

    kind: str
    whole: Input
    seed: int
    first_packets: int
    made: dict[str, Input] = field(default_factory=dict)

    def input(self, of: str) -> Input:
        """Return an input: "whole", "first", "gz", "zst", "many", "one" ..."""
        if of not in self.made:
            self.made[of] = self.whole if of == "whole" else _MAKERS[of](self)
        return self.made[of]


def make(kind: str, packets: int, seed: int, first: int, out_dir: Path) -> Load:
    """Make a load and flush it, so that no write-back disturbs the runs."""
    from fastflow.synth.load import make_load

    what = KINDS[kind]
    n = max(1, packets // what.one_in)
    path = make_load(what.synth, n, seed, out_dir, hours=what.hours)
    return Load(kind, flushed(path, n), seed, first)


def records(data: bytes, n: int, per_piece: int) -> list[bytes]:
    """Cut the first n records of a little-endian capture into pieces."""
    pieces = []
    begin = at = FILE_HEADER_BYTES
    for number in range(1, n + 1):
        at += RECORD_HEADER_BYTES + int.from_bytes(data[at + 8 : at + 12], "little")
        if number % per_piece == 0 or number == n:
            pieces.append(data[begin:at])
            begin = at
    return pieces


def flushed(path: Path, packets: int) -> Input:
    """Return a capture as an input, once it is on disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return Input(path, packets, path.stat().st_size)


def _beginning(load: Load, n: int) -> bytes:
    """Return at least the first n records."""
    longest = load.whole.size_bytes // load.whole.packets * 4 * n + (1 << 20)
    with load.whole.path.open("rb") as file:
        return file.read(longest)


def _first(load: Load) -> Input:
    n = min(load.first_packets, load.whole.packets)
    return _cut(load, n, "first.pcap")


def _one(load: Load) -> Input:
    return _cut(load, load.input("many").packets, "one.pcap")


def _cut(load: Load, n: int, name: str) -> Input:
    path = load.whole.path.with_name(name)
    path.write_bytes(FILE_HEADER + records(_beginning(load, n), n, n)[0])
    return flushed(path, n)


def _many(load: Load) -> Input:
    captures = min(SMALL_CAPTURES, load.whole.packets // PACKETS_OF_SMALL)
    return split(load, captures, PACKETS_OF_SMALL)


def split(load: Load, captures: int, packets: int) -> Input:
    """Write a directory of captures of so many packets each, from the load's first."""
    n = captures * packets
    out = load.whole.path.with_name(f"{captures}-captures")
    out.mkdir()
    for number, piece in enumerate(records(_beginning(load, n), n, packets)):
        (out / f"{number:05}.pcap").write_bytes(FILE_HEADER + piece)
    os.sync()
    size_bytes = sum(path.stat().st_size for path in out.iterdir())
    return Input(out, n, size_bytes, captures)


def _gz(load: Load) -> Input:
    path = load.whole.path.with_suffix(".pcap.gz")
    with load.whole.path.open("rb") as file, gzip.open(path, "wb", 6) as packed:
        shutil.copyfileobj(file, packed, 1 << 20)
    return flushed(path, load.whole.packets)


def _zst(load: Load) -> Input:
    import zstandard

    path = load.whole.path.with_suffix(".pcap.zst")
    with load.whole.path.open("rb") as file, path.open("wb") as packed:
        zstandard.ZstdCompressor(level=3).copy_stream(file, packed)
    return flushed(path, load.whole.packets)


_MAKERS: dict[str, Callable[[Load], Input]] = {
    "first": _first,
    "gz": _gz,
    "many": _many,
    "nothing": lambda load: Input(Path(), 0, 0),
    "one": _one,
    "zst": _zst,
}
