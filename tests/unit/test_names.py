from __future__ import annotations

import re
import tomllib
from importlib.resources import files

import pytest

from fastflow.errors import ConfigError
from fastflow.names import (
    country_name,
    known_as,
    overlay_date,
    proto_name,
    service_name,
    source_of,
)


@pytest.mark.parametrize(
    ("port", "proto", "name"),
    [
        (22, "tcp", "ssh"),
        (23, "tcp", "telnet"),
        (80, "tcp", "http"),
        (445, "tcp", "microsoft-ds"),
        (1433, "tcp", "ms-sql-s"),
        (53, "udp", "domain"),
        (53, "udplite", "domain"),
        (6063, "tcp", "x11"),
        (6379, "tcp", "redis"),
        (6379, "udp", None),
        (0, "tcp", None),
        (65535, "udp", None),
        (8, "icmp", None),
    ],
)
def test_service_names(port: int, proto: str, name: str | None) -> None:
    assert service_name(port, proto) == name


@pytest.mark.parametrize(
    ("code", "english", "japanese"),
    [
        ("US", "United States", "米国"),
        ("RU", "Russia", "ロシア"),
        ("CN", "China", "中国"),
        ("NL", "Netherlands", "オランダ"),
        ("DE", "Germany", "ドイツ"),
        ("JP", "Japan", "日本"),
        ("NZ", "New Zealand", "ニュージーランド"),
        ("TW", "Taiwan", "台湾"),
        ("KR", "South Korea", "韓国"),
        ("GB", "United Kingdom", "英国"),
        ("UA", "Ukraine", "ウクライナ"),
        ("EU", "Europe (unspecified)", "欧州 (国不明)"),
        ("QQ", "Unknown (QQ)", "不明 (QQ)"),
    ],
)
def test_country_names(code: str, english: str, japanese: str) -> None:
    assert country_name(code) == english
    assert country_name(code, "ja") == japanese


def test_unknown_language_is_a_wrong_option() -> None:
    with pytest.raises(ConfigError, match="'fr'"):
        country_name("JP", "fr")


def test_protocol_names() -> None:
    named = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 58: "ipv6-icmp"}
    named |= {132: "sctp", 136: "udplite", 47: "47", 0: "0"}
    assert {number: proto_name(number) for number in named} == named


def test_what_is_known_of_ports_beside_iana_has_sources() -> None:
    text = files("fastflow.data").joinpath("services_overlay.toml").read_text("utf-8")
    entries = tomllib.loads(text)["known"]
    assert [(one["port"], one["proto"]) for one in entries] == sorted(
        {(one["port"], one["proto"]) for one in entries}
    )
    for one in entries:
        assert one.keys() == {"port", "proto", "name", "source"}
        assert one["name"]
        assert one["source"]
        known = known_as(one["port"], one["proto"])
        assert known is not None
        assert known.name != service_name(one["port"], one["proto"])
    assert known_as(445, "tcp") is None
    assert overlay_date() == "2026-11-26"


def test_tables_say_where_they_are_from() -> None:
    services, countries = source_of("services.csv"), source_of("countries.csv")
    assert services.startswith("IANA, Service Name")
    assert re.search(r"of \d{4}-\d\d-\d\d", services)
    assert countries.startswith("Unicode CLDR")
    assert "do not edit" not in services + countries
