"""Captures beyond 32 bits, and packets in any order: cases S7 and S10."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

import builders as b
from fastflow.packets import read_stats
from fastflow.pipeline import reduce
from fastflow.store import Store

FRAME = b.ethernet(b.ipv4(b.tcp(dst_port=445)))
INCLUDE = Path(__file__).parents[2] / "native" / "include"
GIB = 1 << 30


def pcapng_with_a_hole(path: Path) -> int:
    """Write an unknown block of nearly 4 GiB, mostly a hole; return where it ends."""
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    interface = struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20)
    n_bytes = 0xFFFFFFFC
    with path.open("wb") as file:
        file.write(section + interface + struct.pack("<II", 0xBAD, n_bytes))
        file.seek(48 + n_bytes - 4)
        file.write(struct.pack("<I", n_bytes))
        end = file.tell()
        total = 32 + (len(FRAME) + 3) // 4 * 4
        units = b.T0 * 10**6
        head = (6, total, 0, units >> 32, units & 0xFFFFFFFF, len(FRAME), len(FRAME))
        packet = struct.pack("<7I", *head) + FRAME
        file.write(packet.ljust(total - 4, b"\0") + struct.pack("<I", total))
        file.write(b"\6\0\0")
    return end + total


def test_offsets_go_beyond_32_bits(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < GIB:
        pytest.skip("less than 1 GiB of disk is free")
    path = tmp_path / "a.pcapng"
    end = pcapng_with_a_hole(path)
    if path.stat().st_blocks * 512 > GIB:
        pytest.skip("the file system keeps no holes")
    stats = read_stats(path)
    assert (stats.status, stats.reason) == ("truncated", "truncated_block")
    assert stats.offset == end > 1 << 32
    assert (stats.records, stats.counted) == (1, 1)
    assert stats.flags == {"skipped_block": 1}
    assert stats.bytes_not_read == 3


def test_counters_have_64_bits(tmp_path: Path) -> None:
    gcc = shutil.which("gcc")
    if gcc is None or not INCLUDE.is_dir():
        pytest.skip("gcc or the headers are not there")
    members = ("consumed_bytes", "n_records", "reasons[0]", "flags[0]")
    code = "#include <fastflow/ff_tally.h>\n" + "\n".join(
        f'_Static_assert(sizeof(((ff_scan *)0)->{member}) == 8, "64 bits");'
        for member in members
    )
    source = tmp_path / "a.c"
    source.write_text(code)
    command = [gcc, "-std=c11", "-fsyntax-only", f"-I{INCLUDE}", source]
    subprocess.run(command, check=True)


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


#: The hour before and after a leap second; clocks put forward and back in Europe; a
#: plain hour's first and last second.
TIMES = [
    seconds(text)
    for text in (
        "2016-12-31 23:59:59",
        "2017-01-01 00:00:00",
        "2020-03-29 00:59:59",
        "2020-03-29 01:00:00",
        "2020-10-25 00:30:00",
        "2020-10-25 01:30:00",
        "2020-08-26 12:00:00",
        "2020-08-26 12:59:59",
        "2020-08-26 13:00:00",
    )
]


def counted(tmp_path: Path, name: str, times: list[int]) -> list[dict[str, object]]:
    builder = b.PcapBuilder()
    for sec in times:
        builder.add(FRAME, sec=sec)
    path = tmp_path / f"{name}.pcap"
    path.write_bytes(builder.build())
    reduce([path], tmp_path / name, "lab")
    store = Store(tmp_path / name)
    query = "select epoch(hour) h, packets, sources from counts order by hour"
    return store.sql(query).to_pylist()


def test_an_hour_is_that_of_the_packet_in_utc_whatever_the_order(
    tmp_path: Path,
) -> None:
    times = TIMES * 50
    in_order = counted(tmp_path, "sorted", sorted(times))
    random.Random(4).shuffle(times)
    assert counted(tmp_path, "shuffled", times) == in_order
    expected: dict[int, int] = {}
    for sec in times:
        expected[sec // 3600 * 3600] = expected.get(sec // 3600 * 3600, 0) + 1
    assert {
        int(str(row["h"]).split(".")[0]): row["packets"] for row in in_order
    } == expected
