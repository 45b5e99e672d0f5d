"""What a damaged or hostile stream yields, and what it cannot make us do."""

from __future__ import annotations

import io
import random
import zlib
from pathlib import Path

import lz4.frame
import pytest
import zstandard

import builders as b
from fastflow.packets import read_stats
from fastflow.sources.decoders import MAGIC_BYTES
from harness import SYSTEM_MALLOC
from packers import LONG, NOISE, PACKERS, SHORT, Pack, Pipe, run_python, unpack

every_format = pytest.mark.parametrize("name", PACKERS)


@every_format
def test_every_cut_keeps_what_the_stream_held(name: str) -> None:
    unit = PACKERS[name](SHORT)
    whole = PACKERS[name](b"first") + unit
    for size in range(MAGIC_BYTES, len(unit)):
        data, fault, _ = unpack(unit[:size])
        assert fault == "compressed_truncated"
        assert SHORT.startswith(data)
    assert data == SHORT
    for size in range(len(whole) - len(unit), len(whole)):
        data, fault, _ = unpack(Pipe(whole[:size], 5))
        n_bytes_of_second = size - len(whole) + len(unit)
        # Too few bytes to be known as a unit are garbage.
        assert fault in (
            {"compressed_truncated"}
            if n_bytes_of_second >= MAGIC_BYTES
            else {None, "trailing_garbage", "compressed_truncated"}
        )
        assert (b"first" + SHORT).startswith(data)
        assert len(data) >= 5


def damaged(packed: bytes, at: int, bits: int = 0xFF) -> bytes:
    return packed[:at] + bytes((packed[at] ^ bits,)) + packed[at + 1 :]


FAULTS_OF_DAMAGE = {"compressed_corrupt", "compressed_truncated", "trailing_garbage"}


@every_format
@pytest.mark.parametrize("bits", [0x01, 0xFF])
def test_no_flipped_bit_goes_unnoticed(name: str, bits: int) -> None:
    """And what precedes it comes out.

    Checksums stand at the end of what they cover, and nothing so large is held back:
    what comes out between the damage and the fault may be wrong. A bit that makes no
    difference, such as one of gzip's time, is no damage.
    """
    packed = PACKERS[name](SHORT)
    for at in range(MAGIC_BYTES, len(packed)):
        data, fault, _ = unpack(damaged(packed, at, bits))
        assert fault in FAULTS_OF_DAMAGE or data == SHORT, at
        before, _, _ = unpack(packed[:at])
        assert data.startswith(before), at


@pytest.mark.parametrize(
    "pack", [zstandard.ZstdCompressor().compress, lz4.frame.compress]
)
def test_without_checksum_damage_ends_what_it_ends(pack: Pack) -> None:
    """Neither format has to have one; then a wrong byte may look like any other."""
    packed = pack(SHORT)
    for at in range(MAGIC_BYTES, len(packed)):
        data, fault, _ = unpack(damaged(packed, at))
        assert fault in FAULTS_OF_DAMAGE or len(data) == len(SHORT)
        assert data.startswith(unpack(packed[:at])[0])


@every_format
def test_damage_in_a_file_loses_nothing_that_precedes_it(
    name: str, tmp_path: Path
) -> None:
    """However much the library had decoded ahead when it met the damage."""
    first, packed = PACKERS[name](NOISE), PACKERS[name](LONG)
    path = tmp_path / "damaged"
    choice = random.Random(name)
    for at in choice.sample(range(MAGIC_BYTES, len(packed)), 8):
        path.write_bytes(first + damaged(packed, at))
        with path.open("rb", buffering=0) as file:
            data, fault, _ = unpack(file)
        assert fault in FAULTS_OF_DAMAGE
        before, _, _ = unpack(packed[:at])
        assert data.startswith(NOISE + before)


#: What a library has decoded when it raises, at most: a slice; ISA-L 64 KiB more.
LOST_FROM_PIPE = {"gzip": 80 << 10, "zstd": 0, "lz4": 16 << 10, "bz2": 16 << 10}


@every_format
def test_damage_in_a_pipe_loses_little(name: str) -> None:
    packed = PACKERS[name](LONG)
    choice = random.Random(name)
    for at in choice.sample(range(MAGIC_BYTES, len(packed)), 8):
        broken = damaged(packed, at)
        all_of_it, fault, _ = unpack(broken)
        data, fault_of_pipe, _ = unpack(Pipe(broken))
        assert fault_of_pipe == fault
        assert all_of_it.startswith(data)
        assert len(all_of_it) - len(data) <= LOST_FROM_PIPE.get(name, 16 << 10)


def checksum_off(name: str, packed: bytes) -> int:
    """Where a checksum of the content lies."""
    if name == "xz":
        # The check of the only block precedes the index, whose size the footer has.
        index_size = 4 * (1 + int.from_bytes(packed[-8:-4], "little"))
        return len(packed) - 12 - index_size - 1
    return len(packed) - {"gzip": 8, "zstd": 4, "lz4": 4, "bz2": 3}[name]


@every_format
def test_a_wrong_checksum_is_damage_behind_the_data(name: str) -> None:
    packed = PACKERS[name](LONG)
    broken = damaged(packed, checksum_off(name, packed))
    assert unpack(broken) == (LONG, "compressed_corrupt", {})


@every_format
def test_packets_before_the_damage_are_kept(name: str) -> None:
    frame = b.ethernet(b.ipv4(b.tcp()))
    pack = PACKERS[name]
    first, second = pack(b.capture(*[frame] * 100)), pack(b.capture(frame)[24:])
    broken = first + damaged(second, len(second) - 5)
    stats = read_stats(io.BytesIO(broken))
    assert (stats.status, stats.reason) == ("damaged", "compressed_corrupt")
    assert stats.records >= 100


# Numbers in the file that ask for memory.


def zstd_frame(descriptor: int, header: bytes, *blocks: bytes) -> bytes:
    return bytes.fromhex("28b52ffd") + bytes((descriptor,)) + header + b"".join(blocks)


def zstd_block(kind: int, size: int, data: bytes) -> bytes:
    return (size << 3 | kind << 1 | 1).to_bytes(3, "little") + data


#: Window_Descriptor: exponent in the upper five bits, from 2^10. RFC 8878 3.1.1.1.2.
MIB_128, ABOVE_128_MIB = bytes((17 << 3,)), bytes((17 << 3 | 1,))


def test_a_zstd_window_above_128_mib_is_refused() -> None:
    block = zstd_block(0, 4, b"data")
    assert unpack(zstd_frame(0, MIB_128, block)) == (b"data", None, {})
    for fault_at in (
        zstd_frame(0, ABOVE_128_MIB, block),
        zstd_frame(0, b"\xff", block),
    ):
        assert unpack(fault_at) == (b"", "compressed_corrupt", {})


@pytest.mark.parametrize(
    ("kind", "data"), [(0, bytes(128 << 10)), (1, b"\0")], ids=["raw", "rle"]
)
def test_a_zstd_block_above_128_kib_is_refused(kind: int, data: bytes) -> None:
    size = 128 << 10
    largest = zstd_frame(0, MIB_128, zstd_block(kind, size, data))
    assert unpack(largest) == (bytes(size), None, {})
    beyond = zstd_frame(0, MIB_128, zstd_block(kind, size + 1, data + b"\0"))
    assert unpack(beyond) == (b"", "compressed_corrupt", {})


def test_a_zstd_frame_that_needs_a_dictionary_is_refused() -> None:
    block = zstd_block(0, 4, b"data")
    assert unpack(zstd_frame(0x21, b"\0\4", block)) == (b"data", None, {})
    assert unpack(zstd_frame(0x21, b"\1\4", block)) == (b"", "compressed_corrupt", {})


@pytest.mark.parametrize("content_size_flag", range(4))
@pytest.mark.parametrize("dictionary_id_flag", range(4))
@pytest.mark.parametrize("is_single_segment", [0, 1])
@pytest.mark.parametrize("checksum", [b"", bytes.fromhex("35e7a6b7")])
def test_every_zstd_frame_header_is_walked_through(
    content_size_flag: int,
    dictionary_id_flag: int,
    is_single_segment: int,
    checksum: bytes,
) -> None:
    """RFC 8878 3.1.1.1, with the dictionary 0, which is none."""
    window = b"" if is_single_segment else MIB_128
    n_size_bytes = (is_single_segment, 2, 4, 8)[content_size_flag]
    size = (300).to_bytes(8, "little")[:n_size_bytes]
    if n_size_bytes == 1:
        size = bytes((44,))
    if n_size_bytes == 2:
        size = (300 - 256).to_bytes(2, "little")  # the field has an offset of 256
    dictionary = bytes((0, 1, 2, 4)[dictionary_id_flag])
    data = NOISE[: 44 if n_size_bytes == 1 else 300]
    descriptor = content_size_flag << 6 | is_single_segment << 5 | dictionary_id_flag
    frame = zstd_frame(
        descriptor, window + dictionary + size, zstd_block(0, len(data), data)
    )
    assert unpack(frame + PACKERS["zstd"](b"next")) == (data + b"next", None, {})


def with_xz_dictionary(packed: bytes, size_code: int) -> bytes:
    """Claim another dictionary in a block's header. The .xz File Format 3.1, 5.3.1."""
    end = 12 + 4 * (packed[12] + 1)
    header = bytearray(packed[12 : end - 4])
    at = header.index(b"\x21\x01") + 2
    header[at] = size_code
    return (
        packed[:12] + header + zlib.crc32(header).to_bytes(4, "little") + packed[end:]
    )


def test_an_xz_dictionary_beyond_that_of_xz_9_is_refused() -> None:
    packed = PACKERS["xz"](SHORT)
    code_of_64_mib, code_of_128_mib = 28, 30
    assert unpack(with_xz_dictionary(packed, code_of_64_mib)) == (SHORT, None, {})
    for code in (code_of_128_mib, 40):
        broken = with_xz_dictionary(packed, code)
        assert unpack(broken) == (b"", "compressed_corrupt", {})


READ_ALL = """
import sys
from fastflow.sources.stream import open_stream

def peak_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

stream = open_stream(sys.argv[1])
buffer = memoryview(bytearray(1 << 19))
n_bytes, before = stream.readinto(buffer), peak_kib()
while n := stream.readinto(buffer):
    n_bytes += n
print(n_bytes, stream.fault, peak_kib() - before)
"""


@SYSTEM_MALLOC
@every_format
def test_a_bomb_is_read_in_constant_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(PACKERS[name](bytes(100_000_000)))
    n_bytes, fault, growth_kib = run_python(READ_ALL, path)
    assert (n_bytes, fault) == ("100000000", "None")
    assert int(growth_kib) < 8 << 10
