"""Scanning tools: rules read and checked, formulas compiled, packets told."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders as b
import command
import fastflow
from fastflow import _tool
from fastflow.errors import ConfigError
from fastflow.tools import (
    FORMULA_FIELDS,
    Rule,
    Tools,
    compile_formula,
    known_tools,
    load_tools,
)
from strategies import relaxed

RULE = """
[[rule]]
tool = "mine"
formula = "tcp_window == 7 and ip_ttl == 255"
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def tools_of(*packets: bytes, **options: Any) -> list[str | None]:
    data = io.BytesIO(b.capture(*packets))
    batches = fastflow.scan(data, columns=["tool"], **options)
    return [tool for batch in batches for tool in batch["tool"].to_pylist()]


def syn(dst: bytes = b.DST4, ident: int = 1, ttl: int = 64, **tcp: Any) -> bytes:
    segment = b.tcp(**{"flags": b.SYN, "window": 1000, "options": b"", **tcp})
    return b.ethernet(b.ipv4(segment, dst=dst, ident=ident, ttl=ttl))


MIRAI = syn(seq=int.from_bytes(b.DST4, "big"))
MASSCAN = syn(
    seq=0x1234_5678,
    dst_port=80,
    ident=(int.from_bytes(b.DST4, "big") ^ 80 ^ 0x1234_5678) & 0xFFFF,
)
ZMAP = syn(ident=54321, window=65535, seq=5)


def test_each_tool_is_told() -> None:
    assert tools_of(MIRAI, MASSCAN, ZMAP, syn(seq=5)) == [
        "mirai",
        "masscan",
        "zmap",
        None,
    ]


@pytest.mark.parametrize(
    "packet",
    [
        syn(seq=int.from_bytes(b.DST4, "big"), flags=b.SYN | b.ACK),
        syn(seq=int.from_bytes(b.DST4, "big"), flags=b.RST),
        syn(seq=int.from_bytes(b.DST4, "little")),
        syn(ident=54321, window=65534, seq=5),
        b.ethernet(b.ipv6(b.tcp(seq=int.from_bytes(b.DST6[12:], "big")))),
        b.ethernet(b.ipv4(b.udp(), proto=b.UDP, ident=54321)),
        # A later fragment has no header of TCP.
        b.ethernet(b.ipv4(b.tcp(seq=1), frag_offset=8, ident=54321)),
    ],
)
def test_what_is_no_probe_has_no_tool(packet: bytes) -> None:
    assert tools_of(packet) == [None]


def test_options_that_are_cut_hide_no_tool() -> None:
    whole = syn(seq=int.from_bytes(b.DST4, "big"), options=b.mss(1460))
    assert tools_of(whole[:-2]) == ["mirai"]


def test_a_rule_holds_for_its_days_only() -> None:
    builder = b.PcapBuilder()
    first = 1_470_009_600  # 2016-08-01
    for sec in (first - 1, first):
        builder.add(MIRAI, sec=sec)
    scan = fastflow.scan(io.BytesIO(builder.build()), columns=["tool"])
    assert [t for batch in scan for t in batch["tool"].to_pylist()] == [None, "mirai"]


def test_until_is_the_last_day(tmp_path: Path) -> None:
    path = write(tmp_path / "t.toml", RULE + "until = 2020-08-26\n")
    (rule,) = [r for r in load_tools(path).rules if r.tool == "mine"]
    assert rule.times_ns[1] == 1_598_486_400 * 10**9  # 2020-08-27


def test_own_rules_are_asked_first(tmp_path: Path) -> None:
    path = write(tmp_path / "t.toml", RULE.replace("and ip_ttl == 255", ""))
    packets = [syn(window=7, ident=54321), syn(window=65535, ident=54321), MIRAI]
    assert tools_of(*packets, tools=path) == ["mine", "zmap", "mirai"]
    mirai = syn(seq=int.from_bytes(b.DST4, "big"), window=7)
    assert tools_of(mirai, tools=path) == ["mine"]


def test_own_rules_take_the_place_of_those_of_a_tool(tmp_path: Path) -> None:
    text = '[[rule]]\ntool = "zmap"\nformula = "ip_id == 1"\n'
    path = write(tmp_path / "t.toml", text)
    assert tools_of(ZMAP, syn(ident=1), tools=path) == [None, "zmap"]


def test_every_field_can_be_compared() -> None:
    header = {
        "src": int.from_bytes(b.SRC4, "big"),
        "dst": int.from_bytes(b.DST4, "big"),
        "ip_id": 9,
        "ip_len": 48,
        "ip_ttl": 77,
        "ip_tos": 0,
        "src_port": 1111,
        "dst_port": 2222,
        "tcp_seq": 3333,
        "tcp_ack": 4444,
        "tcp_window": 5555,
        "tcp_header_bytes": 28,
        "tcp_mss": 1400,
        "tcp_wscale": 6,
    }
    assert set(header) == set(FORMULA_FIELDS)
    packet = syn(
        ident=9,
        ttl=77,
        src_port=1111,
        dst_port=2222,
        seq=3333,
        ack=4444,
        window=5555,
        options=b.mss(1400) + b.wscale(6) + b.nop(),
    )
    header["swap(dst)"] = int.from_bytes(b.DST4, "little")
    for name, value in header.items():
        for told, number in ((["own"], value), ([None], value ^ 1)):
            formula = f"{name} == {number}"
            rule = Rule("own", "own", formula, None, None, 1, None, False, "", "")
            assert tools_of(packet, tools=Tools("test", (rule,))) == told


@relaxed()
@given(st.data())
def test_a_formula_says_what_python_says_of_it(data: st.DataObject) -> None:
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    names = rng.sample(FORMULA_FIELDS, rng.randint(1, 4))
    mask = rng.choice([0xFFFFFFFF, 0xFFFF, 0xFF, rng.getrandbits(32) | 1])
    values = {
        name: rng.getrandbits(32) & ((1 << dict(_tool.FIELDS)[name]) - 1)
        for name in FORMULA_FIELDS
    }
    left = " ^ ".join(names)
    found = eval(left, {}, values) & mask
    number = rng.choice([found, found ^ 1])
    formula = f"({left}) & {mask} == {number}"
    try:
        tests = compile_formula(formula)
    except ValueError as error:
        assert "can never hold" in str(error) or "same bits" in str(error)  # noqa: PT017
        return
    ((numbers, the_mask, value),) = tests
    by_number = {i: values.get(name, 0) for i, (name, _) in enumerate(_tool.FIELDS)}
    xored = 0
    for field in numbers:
        xored ^= by_number[field]
    assert (xored & the_mask == value) == (found == number)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no [[rule]]"),
        ("x = 1\n" + RULE, "x: a file of rules has [[rule]] only"),
        ("[rule]\ntool = 'x'\n", "write [[rule]], in two brackets"),
        ("rule = [1]\n", "rule 1: is no table"),
        ("[[rule]]\ntool = 'x'\n", "rule 1: formula: is missing"),
        ("[[rule]]\nformula = 'dst == 1'\n", "rule 1: tool: is missing"),
        (RULE.replace("mine", "My Tool"), "'My Tool' is no name"),
        (RULE + "since = '2020'\n", "since: must be a date, as 2013-09-14"),
        (RULE + "packets = 0\n", "packets: must be 1 or more"),
        (RULE + "packets = true\n", "packets: must be a whole number"),
        (RULE + "when = 1\n", "when: no such key; there are tool,"),
        (RULE + "since = 2020-01-02\nuntil = 2020-01-01\n", "is before 2020-01-02"),
        (RULE.replace("ip_ttl", "ttl"), "no field ttl; there are dst, ip_id"),
        (RULE.replace("ip_ttl ==", "ip_ttl >"), "write comparisons with =="),
        (RULE.replace("and ip_ttl", "or ip_ttl"), "write comparisons with =="),
        (RULE.replace("ip_ttl == 255", "ip_ttl == 256"), "can never hold"),
        (RULE.replace("ip_ttl == 255", "1 == 1"), "compares no field"),
        (RULE.replace("ip_ttl", "(dst & 3 ^ tcp_seq & 5)"), "leave the same bits"),
        (RULE.replace("ip_ttl", "dst & tcp_seq"), "& takes a number"),
        (RULE.replace("ip_ttl", "dst * 2"), "there are fields, numbers, ^, &"),
        (RULE.replace("255", "1 << 40"), "there are fields, numbers, ^, &"),
        (RULE.replace("255", "0x1ffffffff"), "has more than 32 bits"),
        (RULE.replace("ip_ttl", "src^dst^ip_id^tcp_seq^tcp_ack"), "more than 4 fields"),
        (RULE.replace("ip_ttl == 255", "ip_ttl =="), "cannot be read"),
        (RULE.replace("ip_ttl", "__import__('os')"), "there are fields, numbers"),
        ("[[rule", "no TOML"),
        (b"\xff", "no TOML"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, text: Any, said: str) -> None:
    path = tmp_path / "t.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_tools(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_tools(tmp_path / "none.toml")


def test_there_is_room_for_so_many_tools(tmp_path: Path) -> None:
    n = _tool.MAX_TOOLS - len(known_tools().names)
    rules = [
        f'[[rule]]\ntool = "t{i}"\nformula = "ip_id == {i}"\n' for i in range(n + 1)
    ]
    path = write(tmp_path / "t.toml", "".join(rules[:n]))
    assert tools_of(syn(ident=n - 1), tools=path) == [f"t{n - 1}"]
    write(path, "".join(rules))
    with pytest.raises(ConfigError, match=r"32 tools .* there is room for 31"):
        load_tools(path)


def test_the_version_changes_with_a_file(tmp_path: Path) -> None:
    one = load_tools(write(tmp_path / "1.toml", RULE)).version
    two = load_tools(write(tmp_path / "2.toml", RULE.replace("7", "8"))).version
    assert len({known_tools().version, one, two}) == 3


def test_the_core_refuses_what_is_no_rule() -> None:
    test = ([1], 1, 1)
    for rule in ((0, 0, 1, [test]), (1, 0, 1, []), (1, 0, 1, [([99], 1, 1)])):
        with pytest.raises(ValueError, match=r"code|tests|field"):
            _tool.Rules([rule])


def test_commands_take_rules(tmp_path: Path) -> None:
    capture = tmp_path / "a.pcap"
    capture.write_bytes(b.capture(syn(window=7, ttl=255), MIRAI))
    path = write(tmp_path / "t.toml", RULE)
    options = ["--columns", "tool", "--tools", path, "--format", "ndjson"]
    lines = command.fastflow("scan", capture, *options).out.splitlines()
    assert [json.loads(line)["tool"] for line in lines] == ["mine", "mirai"]
    listed = command.fastflow("fields", "--tools", "--json").json
    assert [one["tool"] for one in listed] == [r.tool for r in known_tools().rules]
