"""Compressed captures: units in a row, what lies between them, pipes, other writers.

Unit stands for a member of gzip, a frame of zstd or LZ4, a stream of bz2 or xz.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import threading
import zlib
from pathlib import Path

import lz4.frame
import pytest
import zstandard

import builders as b
from fastflow.packets import read_stats
from fastflow.sources.decoders import FORMATS
from fastflow.sources.stream import open_stream
from packers import (
    LONG,
    NOISE,
    PACKERS,
    SHORT,
    Pack,
    Pipe,
    run_python,
    skippable,
    unpack,
)

every_format = pytest.mark.parametrize("name", PACKERS)
skipping_formats = pytest.mark.parametrize("name", ["zstd", "lz4"])


def test_every_format_is_tested() -> None:
    assert [one.name for one in FORMATS] == list(PACKERS)


@every_format
@pytest.mark.parametrize("step", [1, 3, 4096, 1 << 20])
def test_a_format_is_known_by_its_first_bytes(
    name: str, step: int, tmp_path: Path
) -> None:
    path = tmp_path / "no-such-ending"
    packed = PACKERS[name](LONG[:50_000])
    path.write_bytes(packed)
    stream = open_stream(path)
    data = bytearray()
    buffer = memoryview(bytearray(step))
    while n := stream.readinto(buffer):
        data += buffer[:n]
    stream.close()
    assert data == LONG[:50_000]
    assert (stream.compression, stream.fault, stream.flags) == (name, None, {})
    assert stream.n_read_bytes == len(packed)


@every_format
@pytest.mark.parametrize("most", [1, 3])
def test_a_pipe_may_give_a_few_bytes_at_a_time(name: str, most: int) -> None:
    packed = PACKERS[name](SHORT) + PACKERS[name](b"end")
    assert unpack(Pipe(packed, most)) == (SHORT + b"end", None, {})
    assert unpack(Pipe(packed, most), step=most) == (SHORT + b"end", None, {})


@every_format
def test_units_and_empty_units_are_joined(name: str) -> None:
    pack = PACKERS[name]
    packed = pack(b"") + pack(LONG) + pack(b"") + pack(b"end") + pack(b"")
    assert unpack(packed) == (LONG + b"end", None, {})


@every_format
def test_an_empty_unit_is_an_empty_capture(name: str) -> None:
    stats = read_stats(io.BytesIO(PACKERS[name](b"")))
    assert (stats.reason, stats.compression) == ("empty_file", name)


@every_format
def test_one_layer_is_taken_off_and_no_more(name: str) -> None:
    twice = PACKERS[name](PACKERS["gzip"](b.capture()))
    assert read_stats(io.BytesIO(twice)).reason == "unknown_magic"


def test_legacy_lz4_is_not_known() -> None:
    stats = read_stats(io.BytesIO(bytes.fromhex("02214c18") + bytes(30)))
    assert (stats.reason, stats.compression) == ("unknown_magic", None)


@pytest.mark.parametrize("head", [b"BZh0" + b"1AY&SY", b"BZh91AY&SX", b"BZhello"])
def test_bz2_is_known_by_its_block_too(head: bytes) -> None:
    data = head + bytes(30)
    assert unpack(data) == (data, None, {})


# What lies between units.


@skipping_formats
@pytest.mark.parametrize("size", [0, 3, 300_000])
def test_skippable_frames_may_stand_anywhere(name: str, size: int) -> None:
    skip = skippable(NOISE[:100] * (size // 100) or NOISE[:size], number=size % 16)
    unit = PACKERS[name](SHORT)
    packed = skip + skip + unit + skip + unit + unit + skip
    stream = open_stream(io.BytesIO(packed))
    assert stream.readinto(memoryview(bytearray(1 << 19))) == 3 * len(SHORT)
    assert stream.compression == name
    assert unpack(Pipe(packed, 1000)) == (3 * SHORT, None, {})


def test_skippable_frames_alone_hold_nothing() -> None:
    assert unpack(skippable(NOISE) * 2) == (b"", None, {})


@pytest.mark.parametrize("size", [4, 7, 8, 11])
def test_a_skippable_frame_may_be_cut(size: int) -> None:
    for before in (PACKERS["zstd"](SHORT), PACKERS["lz4"](SHORT), skippable(b"")):
        _, fault, _ = unpack(before + skippable(b"data")[:size])
        assert fault == "compressed_truncated"


@skipping_formats
def test_the_first_unit_decides_the_format(name: str) -> None:
    other = {"zstd": "lz4", "lz4": "zstd"}[name]
    packed = (
        skippable(b"") + PACKERS[name](SHORT) + skippable(b"") + PACKERS[other](SHORT)
    )
    assert unpack(packed) == (SHORT, "trailing_garbage", {})


@every_format
@pytest.mark.parametrize("n_zeros", [4, 600_000])
def test_zero_padding_is_flagged_and_no_fault(name: str, n_zeros: int) -> None:
    unit = PACKERS[name](SHORT)
    flags = {"zero_padding": n_zeros}
    assert unpack(unit + bytes(n_zeros)) == (SHORT, None, flags)
    assert unpack(unit + bytes(n_zeros - 4) + unit + bytes(4)) == (
        SHORT * 2,
        None,
        flags,
    )
    assert unpack(Pipe(unit + bytes(n_zeros), 7)) == (SHORT, None, flags)


@every_format
@pytest.mark.parametrize("n_zeros", [1, 2, 3, 5])
def test_only_xz_is_padded_in_steps_of_four(name: str, n_zeros: int) -> None:
    """The .xz File Format 2.2: a multiple of four bytes."""
    fault = "trailing_garbage" if name == "xz" else None
    unit = PACKERS[name](SHORT)
    assert unpack(unit + bytes(n_zeros))[:2] == (SHORT, fault)
    rest = b"" if name == "xz" else SHORT
    assert unpack(unit + bytes(n_zeros) + unit)[:2] == (SHORT + rest, fault)


@every_format
@pytest.mark.parametrize(
    "garbage", [b"x", b"garbage", b"\0\0garbage", bytes(4) + NOISE]
)
def test_garbage_behind_the_stream_is_a_fault(name: str, garbage: bytes) -> None:
    assert unpack(PACKERS[name](SHORT) + garbage)[:2] == (SHORT, "trailing_garbage")


@every_format
def test_another_format_behind_the_stream_is_garbage(name: str) -> None:
    for other in PACKERS.keys() - {name}:
        packed = PACKERS[name](SHORT) + PACKERS[other](SHORT)
        assert unpack(packed)[:2] == (SHORT, "trailing_garbage")


# Pipes that pause.


@every_format
def test_what_was_written_comes_out_before_more_is(name: str) -> None:
    reading, writing = os.pipe()
    unit = PACKERS[name](SHORT)
    buffer = memoryview(bytearray(1 << 19))
    os.write(writing, unit)
    with open(reading, "rb", buffering=0) as file:  # noqa: PTH123
        stream = open_stream(file)
        assert stream.readinto(buffer) == len(SHORT)
        assert stream.would_wait()
        os.write(writing, unit + unit[:3])
        assert not stream.would_wait()
        assert stream.readinto(buffer) == len(SHORT)
        assert stream.would_wait()
        os.write(writing, unit[3:])
        assert stream.readinto(buffer[:1]) == 1
        assert not stream.would_wait()
        assert stream.readinto(buffer) == len(SHORT) - 1
        os.close(writing)
        assert not stream.would_wait()
        assert stream.readinto(buffer) == 0
        assert (stream.fault, stream.flags) == (None, {})


def flushed_gzip(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=31)
    return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)


def flushed_zstd(data: bytes) -> bytes:
    compressor = zstandard.ZstdCompressor().compressobj()
    packed = compressor.compress(data)
    return packed + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


def flushed_lz4(data: bytes) -> bytes:
    compressor = lz4.frame.LZ4FrameCompressor(auto_flush=True)
    return compressor.begin() + compressor.compress(data)


@pytest.mark.parametrize("flushed", [flushed_gzip, flushed_zstd, flushed_lz4])
def test_what_was_flushed_comes_out_before_the_unit_ends(flushed: Pack) -> None:
    """Also when it is many slices, for which no more input is needed."""
    data = SHORT + bytes(200_000) + SHORT
    reading, writing = os.pipe()
    os.write(writing, flushed(data))
    with open(reading, "rb", buffering=0) as file:  # noqa: PTH123
        stream = open_stream(file)
        buffer = memoryview(bytearray(1 << 19))
        assert stream.readinto(buffer) == len(data)
        assert buffer[: len(data)] == data
        assert stream.would_wait()
        os.close(writing)
        assert stream.readinto(buffer) == 0
        assert stream.fault == "compressed_truncated"


@every_format
def test_a_fifo_is_read_to_its_end(name: str, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    packed = PACKERS[name](LONG)
    writer = threading.Thread(target=path.write_bytes, args=(packed,))
    writer.start()
    with path.open("rb", buffering=0) as file:
        assert unpack(file) == (LONG, None, {})
    writer.join()


# Other writers, and what is imported.

TOOLS = (
    "gzip -1",
    "gzip -9",
    "pigz -b 128 -p 3",
    "zstd -1",
    "zstd -19 --long=27",
    "zstd --no-check",
    "pzstd -p 2",
    "lz4 -1",
    "lz4 -9 -B4 -BD",
    "lz4 -B7 -BX --no-frame-crc",
    "bzip2 -1",
    "bzip2 -9",
    "xz -0",
    "xz -1 -T 2 --block-size=50000",
    "xz -1 --check=none",
    "xz -1 --check=sha256 --x86 --lzma2=preset=1",
)


@pytest.mark.parametrize("command", TOOLS)
def test_what_the_usual_tools_write_is_read(command: str) -> None:
    tool, *options = command.split()
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    data = LONG + NOISE
    packed = subprocess.run([tool, *options, "-c"], input=data, capture_output=True)
    assert packed.returncode == 0, packed.stderr
    assert unpack(packed.stdout * 2) == (data * 2, None, {})


IMPORTED = """
import sys
from fastflow.sources.stream import open_stream
stream = open_stream(sys.argv[1])
stream.readinto(memoryview(bytearray(100)))
print(*{"isal", "zstandard", "lz4", "bz2", "lzma"} & sys.modules.keys())
"""
LIBRARIES = {
    "gzip": "isal",
    "zstd": "zstandard",
    "lz4": "lz4",
    "bz2": "bz2",
    "xz": "lzma",
}


@pytest.mark.parametrize("name", ["plain", *PACKERS])
def test_only_the_library_that_is_needed_is_imported(name: str, tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(PACKERS.get(name, bytes)(SHORT))
    assert run_python(IMPORTED, path) == LIBRARIES.get(name, "").split()
