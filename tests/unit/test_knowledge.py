"""What is known of traffic, and that the file says it in full."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

import pytest

from fastflow.knowledge import readings
from fastflow.schema import PACKET_COLUMNS

TABLES = tomllib.loads(
    resources.files("fastflow.data").joinpath("knowledge.toml").read_text("utf-8")
)["known"]
KEYS = {"id", "of", "about", "text", "years", "source"}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table["of"]))
def test_every_entry_is_complete(table: dict[str, Any]) -> None:
    assert table.keys() == KEYS
    assert table["of"]
    assert set(table["of"]) <= set(PACKET_COLUMNS)
    assert table["about"]
    assert table["source"]
    first, last = table["years"]
    assert 1990 <= first <= 2026
    assert last == 0 or first <= last <= 2026
    assert not table["text"].endswith(".")


def test_no_two_entries_speak_of_the_same() -> None:
    assert len({str(table["of"]) for table in TABLES}) == len(TABLES)


def test_the_window_tells_more_than_the_port() -> None:
    smb = {"proto": 6, "dst_port": 445, "country": "JP"}
    (port,) = readings(smb)
    assert "MS08-067" in port.about
    first, second = readings(smb | {"tcp_window": 8192})
    assert "MS17-010" in first.about
    assert "ordinary SYN of Windows 7" in first.text
    assert second == port


@pytest.mark.parametrize(
    ("traffic", "about"),
    [
        ({"proto": 6, "dst_port": 23}, "Mirai"),
        ({"proto": 6, "dst_port": 2323}, "Mirai"),
        ({"tool": "mirai"}, "Mirai"),
        ({"proto": 6, "dst_port": 1433}, "password guessing"),
        ({"proto": 6, "dst_port": 3389}, "CVE-2019-0708 (BlueKeep)"),
        ({"proto": 6, "dst_port": 6379}, "Redis without a password"),
        ({"proto": 6, "dst_port": 5555}, "ADB.Miner"),
        ({"proto": 6, "dst_port": 37215}, "CVE-2017-17215"),
        ({"traffic": "backscatter"}, "flood from forged addresses"),
    ],
)
def test_what_is_known(traffic: dict[str, Any], about: str) -> None:
    assert about in readings(traffic)[0].about


def test_of_what_nothing_is_known() -> None:
    assert readings({}) == []
    assert readings({"proto": 17, "dst_port": 445}) == []
    assert readings({"dst_port": 445}) == []
