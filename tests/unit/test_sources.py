"""Captures are found, opened and decompressed; damage keeps what precedes it."""

from __future__ import annotations

import gzip
import io
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fastflow.errors import ConfigError
from fastflow.sources.blocks import Blocks
from fastflow.sources.find import Found, find_captures
from fastflow.sources.stream import open_stream

NOISE = random.Random(7).randbytes(100_000)


def read_all(source: Path | io.BytesIO, step: int = 1000) -> tuple[bytes, str | None]:
    stream = open_stream(source)
    data = bytearray()
    buffer = memoryview(bytearray(step))
    while n := stream.readinto(buffer):
        data += buffer[:n]
    stream.close()
    return bytes(data), stream.fault


@pytest.mark.parametrize("data", [b"", b"\x1f", b"ab", NOISE])
def test_plain_bytes_come_as_they_are(data: bytes) -> None:
    assert read_all(io.BytesIO(data)) == (data, None)


@pytest.mark.parametrize("step", [1, 7, 4096, 1 << 20])
def test_gzip_is_known_by_its_first_bytes(step: int, tmp_path: Path) -> None:
    path = tmp_path / "no-such-ending"
    path.write_bytes(gzip.compress(NOISE * 2))
    assert read_all(path, step) == (NOISE * 2, None)


def test_members_and_empty_members_are_joined() -> None:
    data = gzip.compress(NOISE) + gzip.compress(b"") + gzip.compress(b"end")
    assert read_all(io.BytesIO(data)) == (NOISE + b"end", None)


@pytest.mark.parametrize("n_zeros", [1, 600_000])
def test_zero_padding_is_flagged_and_no_fault(n_zeros: int) -> None:
    stream = open_stream(io.BytesIO(gzip.compress(b"data") + bytes(n_zeros)))
    buffer = memoryview(bytearray(100))
    assert stream.readinto(buffer) == 4
    assert stream.readinto(buffer) == 0
    assert stream.fault is None
    assert stream.flags == {"zero_padding": n_zeros}


def test_zero_padding_of_every_member_is_counted() -> None:
    member = gzip.compress(b"data")
    stream = open_stream(io.BytesIO(member + bytes(3) + member + bytes(4)))
    buffer = memoryview(bytearray(100))
    while stream.readinto(buffer):
        pass
    assert stream.flags == {"zero_padding": 7}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_file_object_stays_open_for_its_owner(pack: Callable[[bytes], bytes]) -> None:
    file = io.BytesIO(pack(NOISE))
    open_stream(file).close()
    assert not file.closed


@pytest.mark.parametrize("garbage", [b"x", b"garbage", b"\0\0garbage", b"\x1f"])
def test_garbage_behind_the_stream_is_a_fault(garbage: bytes) -> None:
    data = gzip.compress(NOISE) + garbage
    assert read_all(io.BytesIO(data)) == (NOISE, "trailing_garbage")


def test_every_cut_keeps_what_the_stream_held() -> None:
    whole = gzip.compress(NOISE[:300] * 3)
    for size in range(2, len(whole)):
        data, fault = read_all(io.BytesIO(whole[:size]))
        assert fault == "compressed_truncated"
        assert (NOISE[:300] * 3).startswith(data)
    assert len(data) == 900


def test_damage_in_a_file_loses_nothing_that_precedes_it(tmp_path: Path) -> None:
    """The bytes up to the damage come out, however far the last slice had come."""
    good = gzip.compress(NOISE, compresslevel=1)
    broken = bytearray(gzip.compress(NOISE[::-1], compresslevel=0))
    # The second stored block of 65,535 bytes begins behind header and first block;
    # block type 3 does not exist.
    at = 10 + 5 + 65_535 if broken[10] == 0 else 10
    broken[at] = 0xFF
    path = tmp_path / "damaged.gz"
    path.write_bytes(good + bytes(broken))
    data, fault = read_all(path)
    assert fault == "compressed_corrupt"
    expected = NOISE + NOISE[::-1]
    assert expected.startswith(data)
    assert len(data) >= len(NOISE)
    from_pipe, fault = read_all(io.BytesIO(good + bytes(broken)))
    assert fault == "compressed_corrupt"
    assert len(data) - len(from_pipe) < 1 << 14


def test_blocks_hand_back_what_was_not_used() -> None:
    blocks = Blocks(open_stream(io.BytesIO(b"abcdefgh")), 3, keep_bytes=4)
    seen = []
    while blocks.read():
        seen.append(bytes(blocks.view))
        blocks.use_up(2)
    assert seen == [b"ab", b"cde", b"efgh"]
    assert bytes(blocks.view) == b"gh"


def test_captures_are_found_once_in_order(tmp_path: Path) -> None:
    for name in ("b/2.pcap", "b/1.pcap", "a.pcap", ".hidden", "b/.git/x"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    a, one, two = (str(tmp_path / name) for name in ("a.pcap", "b/1.pcap", "b/2.pcap"))
    assert find_captures([tmp_path]) == [
        Found(p, is_named=False) for p in (a, one, two)
    ]
    assert find_captures([tmp_path / "b", one]) == [
        Found(one, is_named=True),
        Found(two, is_named=False),
    ]
    assert find_captures([str(tmp_path / "**" / "*.pcap")]) == [
        Found(p, is_named=False) for p in (a, one, two)
    ]
    assert find_captures(["-"]) == [Found("-", is_named=True)]


@pytest.mark.parametrize("name", ["nothing-here", "nothing-*", "s3://bucket/key"])
def test_a_name_for_nothing_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=name.replace("*", r"\*")):
        find_captures([name])


def test_a_fifo_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(gzip.compress(NOISE),))
    writer.start()
    assert read_all(path) == (NOISE, None)
    writer.join()
