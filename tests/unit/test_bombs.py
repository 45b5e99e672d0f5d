"""Few bytes that unpack to many: what they cost, and how they are identified."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import builders as b
import pcapng_builders as ng
from fastflow import _core
from fastflow.packets import read_stats
from fastflow.pipeline import reduce
from fastflow.reader import READ_ON_BYTES, Reader
from fastflow.sources.blocks import BLOCK_BYTES
from fastflow.sources.stream import open_stream
from harness import SYSTEM_MALLOC

FRAME = b.ethernet(b.ipv4(b.tcp()))
GOOD = b.capture(FRAME)
MIB = 1 << 20


def packed(path: Path, pieces: Iterator[bytes]) -> Path:
    with gzip.open(path, "wb", compresslevel=6) as file:
        for piece in pieces:
            file.write(piece)
    return path


def zeros(n_mib: int) -> Iterator[bytes]:
    yield GOOD
    yield from (bytes(MIB) for _ in range(n_mib))


def test_a_zero_bomb_stops_at_once(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.pcap.gz", zeros(128))
    assert path.stat().st_size < 128 * MIB // 1000
    n_bytes = 0

    def count(piece: memoryview) -> None:
        nonlocal n_bytes
        n_bytes += len(piece)

    with Reader(open_stream(path), _core.Lexicon(seed=0), on_bytes=count) as reader:
        assert reader.open() is None
        reader.scanner.bind(bytearray(1), {}, {}, sys.maxsize)
        for block in reader.blocks():
            reader.use_up(reader.scanner.read(block)[0])
        stats = reader.stats()
    assert (stats.reason, stats.records, stats.offset) == ("zero_record", 1, len(GOOD))
    assert n_bytes <= 2 * BLOCK_BYTES


def test_what_follows_the_damage_is_hashed_so_far_and_no_further(
    tmp_path: Path,
) -> None:
    bomb = packed(tmp_path / "a.pcap.gz", zeros(64))
    plain = tmp_path / "b.pcap"
    plain.write_bytes(b"".join(zeros(20)))
    shorter = tmp_path / "c.pcap"
    shorter.write_bytes(b"".join(zeros(15)))
    report = reduce([bomb, plain, shorter], tmp_path / "store", "lab", workers=2)
    first, second, third = report.inputs
    assert first.input == second.input
    assert first.input.endswith(f"-{len(GOOD) + READ_ON_BYTES}")
    assert third.input.endswith(f"-{len(GOOD) + 15 * MIB}")
    statuses = [record.status for record in report.inputs]
    assert statuses == ["damaged", "duplicate", "damaged"]


def test_a_large_block_with_damage_is_left_behind(tmp_path: Path) -> None:
    k = ng.LITTLE
    block = k.isb(bytes(ng.MAX_BLOCK - 24))
    damaged = k.shb() + k.idb() + block[:-1] + b"?" + bytes(3 * MIB)
    path = tmp_path / "a.pcapng"
    path.write_bytes(damaged)
    stats = read_stats(path)
    assert (stats.reason, stats.offset) == ("trailer_mismatch", 48)
    assert stats.bytes_not_read == len(damaged) - 48


PEAK = """
import resource, sys
from fastflow.packets import read_stats
read_stats(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(read_stats(sys.argv[2]).records,
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@SYSTEM_MALLOC
def test_a_bomb_of_packets_takes_constant_memory(tmp_path: Path) -> None:
    record = GOOD[24:]
    n_per_piece = MIB // len(record)
    small = packed(tmp_path / "small.gz", iter([GOOD]))
    bomb = packed(
        tmp_path / "bomb.gz",
        (GOOD[:24] * (i == 0) + record * n_per_piece for i in range(128)),
    )
    said = subprocess.run(
        [sys.executable, "-c", PEAK, small, bomb], capture_output=True, check=True
    )
    n_records, grown_kib = map(int, said.stdout.split())
    assert n_records == 128 * n_per_piece
    assert grown_kib < 8 * 1024
