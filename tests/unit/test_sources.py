"""Captures are found, opened and read in blocks."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from fastflow.errors import ConfigError
from fastflow.sources.blocks import Blocks
from fastflow.sources.find import Found, find_captures
from fastflow.sources.stream import open_stream
from packers import NOISE, PACKERS, Pack, unpack


@pytest.mark.parametrize("data", [b"", b"\x1f", b"ab", NOISE])
def test_plain_bytes_come_as_they_are(data: bytes) -> None:
    assert unpack(data) == (data, None, {})


@pytest.mark.parametrize("pack", [bytes, *PACKERS.values()])
def test_a_file_object_stays_open_for_its_owner(pack: Pack) -> None:
    file = io.BytesIO(pack(NOISE))
    open_stream(file).close()
    assert not file.closed


def test_blocks_hand_back_what_was_not_used() -> None:
    blocks = Blocks(open_stream(io.BytesIO(b"abcdefgh")), 3, keep_bytes=4)
    seen = []
    while blocks.read():
        seen.append(bytes(blocks.view))
        blocks.use_up(2)
    assert seen == [b"abc", b"cdef", b"efgh"]
    assert bytes(blocks.view) == b"gh"


def test_captures_are_found_once_in_order(tmp_path: Path) -> None:
    for name in ("b/2.pcap", "b/1.pcap", "a.pcap", ".hidden", "b/.git/x"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    a, one, two = (str(tmp_path / name) for name in ("a.pcap", "b/1.pcap", "b/2.pcap"))
    assert [*find_captures([tmp_path])] == [
        Found(p, is_named=False) for p in (a, one, two)
    ]
    assert [*find_captures([tmp_path / "b", one])] == [
        Found(one, is_named=True),
        Found(two, is_named=False),
    ]
    assert [*find_captures([str(tmp_path / "**" / "*.pcap")])] == [
        Found(p, is_named=False) for p in (a, one, two)
    ]
    assert [*find_captures(["-"])] == [Found("-", is_named=True)]


@pytest.mark.parametrize("name", ["nothing-here", "nothing-*", "s3://bucket/key"])
def test_a_name_for_nothing_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=name.replace("*", r"\*")):
        find_captures([name])
