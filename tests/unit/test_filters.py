"""Filter expressions: what compiles, for what, and how an error is shown."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from fastflow._bpf import MAX_INSNS
from fastflow.errors import ConfigError
from fastflow.filter_text import describes_addresses, place_of_error
from fastflow.filters import DLTS, compile_filter
from filter_expressions import OF_BYTES, OF_LENGTH

#: Link types that libpcap knows no network layer of.
NEVER_IP = {117, 239}

TCP_445 = bytes.fromhex(
    "4500002800010000400600000a000001c0000201"  # 10.0.0.1 > 192.0.2.1
    "303901bd00000001000000005002040000000000"
)
TCP_445_IPV6 = bytes.fromhex(f"6000000000140640{1:032x}{2:032x}") + TCP_445[20:]
ETHERNET = bytes(12) + b"\x08\x00"


def matches(expression: str, linktype: int, packet: bytes) -> bool:
    compiled = compile_filter(expression).programs
    return compiled.matches(linktype, packet, len(packet))


# --- what compiles ------------------------------------------------------------


def test_the_filter_of_the_manual_does_what_it_says() -> None:
    expression = "tcp dst port 445 and not src net 10.0.0.0/8"
    elsewhere = TCP_445[:12] + b"\xc6\x33\x64\x01" + TCP_445[16:]
    for linktype, header in (
        (1, ETHERNET),
        (101, b""),
        (12, b""),
        (14, b""),
        (228, b""),
    ):
        assert matches(expression, linktype, header + elsewhere)
        assert not matches(expression, linktype, header + TCP_445)
        assert matches("tcp dst port 445", linktype, header + TCP_445)


def test_an_expression_about_ip_compiles_for_every_link_type_that_libpcap_filters() -> (
    None
):
    compiled = compile_filter("tcp dst port 445")
    assert compiled.expression == "tcp dst port 445"
    assert compiled.programs.linktypes == DLTS.keys() - NEVER_IP
    assert compiled.errors.keys() == NEVER_IP
    assert all("not implemented" in text for text in compiled.errors.values())


@pytest.mark.parametrize(
    ("expression", "linktypes"),
    [
        ("vlan 5", {1, 127}),
        ("ether host 1:2:3:4:5:6", {1, 127}),
        ("wlan type mgt", {127}),
        ("radio[0] = 0", {127}),
    ],
)
def test_where_an_expression_has_no_meaning_the_error_is_kept(
    expression: str, linktypes: set[int]
) -> None:
    compiled = compile_filter(expression)
    assert compiled.programs.linktypes == linktypes
    assert compiled.errors.keys() == DLTS.keys() - linktypes
    assert all(compiled.errors.values())
    assert not compiled.programs.matches(101, TCP_445, 40)


def test_libpcap_says_why_an_expression_has_no_meaning() -> None:
    assert compile_filter("vlan 5").errors[101] == "no VLAN support for Raw IP"


@pytest.mark.parametrize("expression", ["", " ", "\n"])
def test_an_empty_expression_matches_every_packet(expression: str) -> None:
    assert matches(expression, 1, b"")


def test_a_long_list_compiles() -> None:
    expression = " or ".join(f"dst port {n}" for n in range(0, 65536, 1024))
    assert not matches(expression, 1, ETHERNET + TCP_445)
    assert matches(f"{expression} or dst port 445", 1, ETHERNET + TCP_445)
    assert matches(f"{expression} or dst port 445", 108, b"\0\0\0\2" + TCP_445)
    assert MAX_INSNS > 4096


def test_names_are_looked_up_when_the_filter_is_compiled() -> None:
    loopback = TCP_445[:12] + b"\x7f\0\0\1" + TCP_445[16:]
    assert matches("src host localhost", 101, loopback)
    assert matches("dst port microsoft-ds", 101, TCP_445)


def test_broadcast_means_what_it_means_to_tcpdump_where_no_network_mask_is_known() -> (
    None
):
    for destination, is_broadcast in (("ffffffff", True), ("c00002ff", False)):
        packet = TCP_445[:16] + bytes.fromhex(destination) + TCP_445[20:]
        assert matches("ip broadcast", 101, packet) == is_broadcast


def test_no_file_stays_open() -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    for expression in ("tcp", "tcp and and", "a\0b"):
        with suppress(ConfigError):
            compile_filter(expression)
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


def test_threads_may_compile_at_the_same_time() -> None:
    def answer(port: int) -> bool:
        return matches(f"dst port {port}", 101, TCP_445)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(answer, [445, 80] * 20)) == [True, False] * 20


def test_libpcap_is_loaded_when_a_filter_is_compiled_and_not_before() -> None:
    code = "import sys, fastflow.filters as f\nassert 'pcapy' not in sys.modules\n"
    code += "f.compile_filter('tcp')\nassert 'pcapy' in sys.modules"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


# --- loopback captures --------------------------------------------------------


@pytest.mark.parametrize(("linktype", "order"), [(0, "<"), (108, ">")])
def test_ipv6_of_every_system_is_known_in_loopback_captures(
    linktype: int, order: str
) -> None:
    families = {2: TCP_445, **dict.fromkeys((10, 24, 28, 30, 7), TCP_445_IPV6)}
    for family, packet in families.items():
        frame = struct.pack(f"{order}I", family) + packet
        is_ipv6 = family in (24, 28, 30)
        assert matches("ip", linktype, frame) == (family == 2)
        assert matches("ip6", linktype, frame) == is_ipv6
        assert matches("not ip6", linktype, frame) != is_ipv6
        assert matches("dst port 445", linktype, frame) == (is_ipv6 or family == 2)
        assert matches("ip6 or src net 10", linktype, frame) == (is_ipv6 or family == 2)


def test_only_the_family_is_taken_for_the_family() -> None:
    """10 is Linux's number of IPv6, and a number like any other."""
    frame = b"\0\0\0\2" + TCP_445
    assert matches("src net 10.0.0.0/8", 108, frame)
    assert matches("link[0:4] = 10", 108, struct.pack(">I", 10) + TCP_445_IPV6)
    assert not matches("link[0:4] = 10", 108, struct.pack(">I", 24) + TCP_445_IPV6)


def test_what_an_expression_itself_asks_of_the_family_stays() -> None:
    frame = struct.pack("<I", 24) + TCP_445_IPV6
    assert matches("link[0:4] = 0x18000000", 0, frame)
    assert matches("link[0:4] = 10 or ip6", 0, frame)
    assert not matches("link[0:4] = 24 or ip", 0, frame)


def test_loopback_programs_that_differ_in_more_than_families_are_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when the resolver's answer changes between the two."""
    from fastflow import filters

    def compile_something(expression: str, dlt: int) -> list[tuple[int, int, int, int]]:
        return [(0x06, 0, 0, dlt)]

    monkeypatch.setattr(filters, "_compile", compile_something)
    compiled = compile_filter("host changing")
    assert compiled.programs.linktypes == DLTS.keys() - {0, 108}
    assert "two byte orders" in compiled.errors[0]


# --- what does not compile ----------------------------------------------------

SYNTAX = "can't parse filter expression: syntax error"

#: Expression, a caret under the token that is wrong, libpcap's words.
TYPOS = [
    ("tcp dst prot 445", "        ^", "unknown host 'prot'"),
    ("port 99999", "     ^", "illegal port number 99999 > 65535"),
    ("host", "    ^", SYNTAX),
    ("(tcp", "    ^", SYNTAX),
    ("tcp)", "   ^", SYNTAX),
    ("((tcp or udp) and ip", "                    ^", SYNTAX),
    ("tcp and and udp", "        ^", SYNTAX),
    ("tcp or or vlan 3", "       ^", SYNTAX),
    ("tcp dst port", "            ^", SYNTAX),
    ("port 80 or", "          ^", SYNTAX),
    ("tcp prot 80", "    ^", SYNTAX),
    ("tcp == 3", "    ^", SYNTAX),
    ("port 80, 443", "       ^", SYNTAX),
    ("fnord", "^", SYNTAX),
    ("tcp and @", "        ^", SYNTAX),
    ("tcp[13", "      ^", SYNTAX),
    ("tcp[13] & (tcp-syn|tcp-ack != 0", "                           ^", SYNTAX),
    ("ip[ip[0] &] = 3", "          ^", SYNTAX),
    ("ip proto tcp", "         ^", SYNTAX),
    ("src dst port 3", "    ^", SYNTAX),
    ("src or or dst port 3", "       ^", SYNTAX),
    ("ip[0:3] = 1", "      ^", "data size must be 1, 2, or 4"),
    ("net 10.0.0.0/33", "             ^", "mask length must be <= 32"),
    ("net 10.0.0.1/8", "             ^", 'non-network bits set in "10.0.0.1/8"'),
    ("host 300.1.1.1", "     ^", "invalid IPv4 address '300.1.1.1'"),
    ("host no.such.host.invalid", "     ^", "unknown host 'no.such.host.invalid'"),
    ("tcp port htpp", "         ^", "unknown port 'htpp'"),
    ("wlan type foo", "          ^", "unknown 802.11 type name"),
    ("vlan 4096", "     ^", "VLAN tag 4096 greater than maximum 4095"),
    ("tcp and udp", "        ^", "expression rejects all packets"),
    ("tcp\0and udp", "   ^", "embedded null character"),
]


@pytest.mark.parametrize(
    ("expression", "caret", "message"), TYPOS, ids=[typo[0] for typo in TYPOS]
)
def test_an_error_shows_libpcaps_words_and_a_caret(
    expression: str, caret: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_filter(expression)
    first, shown, pointer, last = str(caught.value).split("\n")
    assert first == "the filter cannot be used:"
    assert shown == "  " + expression.replace("\0", " ")
    assert pointer == "  " + caret
    assert last == message
    assert caught.value.exit_code == 2


def test_what_would_break_the_line_or_the_terminal_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_filter("tcp and\n\x1b[31m and")
    _, shown, pointer, _ = str(caught.value).split("\n")
    assert shown == "  tcp and  [31m and"
    assert pointer == "          ^"


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ConfigError, match="surrogates"):
        compile_filter("tcp \udcff")


@pytest.mark.parametrize("expression", ["inbound", "outbound", "tcp and not inbound"])
def test_the_direction_is_refused_because_it_is_not_in_every_packet(
    expression: str,
) -> None:
    with pytest.raises(ConfigError, match="inbound/outbound not supported on Ethernet"):
        compile_filter(expression)


@pytest.mark.parametrize("word", ["ip", "ip6"])
def test_a_loop_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match=r"backwards \(protochain\)"):
        compile_filter(f"{word} protochain 6")


@pytest.mark.parametrize("word", ["ifname eth0", "rset 1", "reason match", "ifindex 3"])
def test_what_only_some_systems_know_is_libpcaps_error(word: str) -> None:
    with pytest.raises(ConfigError, match=r"\^\n."):
        compile_filter(word)


def test_no_beginning_of_a_valid_expression_is_taken_for_an_error() -> None:
    """The caret stands under the parenthesis that was put there, and not before it."""
    expressions = (*OF_BYTES[::5], *OF_LENGTH)
    for expression in expressions:
        if len(expression) < 200 and _message_of(expression) is None:
            message = _message_of(f"{expression} )")
            assert message is not None
            caret = message.split("\n")[2].index("^")
            assert caret == len("  ") + len(expression) + 1, message


def _message_of(expression: str) -> str | None:
    try:
        compile_filter(expression)
    except ConfigError as error:
        return str(error)
    return None


# --- whom an expression names -------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "tcp",
        "tcp dst port 445 and not src net 10.0.0.0/8",
        "port 80 or port 443",
        "tcp dst port 80 or 443 or 8080",
        "src or dst port domain",
        "tcp src portrange 1-1023",
        "src host 198.51.100.1 or 198.51.100.2",
        "not (src net 10 or 192.168)",
        "src net 10.0.0.0 mask 255.0.0.0",
        "src 2001:db8::1",
        "ether src 1:2:3:4:5:6",
        "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn",
        "tcp[13] & 0x02 != 0",
        "icmp[icmptype] = icmp-echo",
        "icmp6[icmp6type] == 128",
        r"ip proto 47 or ip proto \icmp",
        "wlan type mgt subtype beacon",
        "vlan 100 and mpls 5 and tcp",
        "less 60 or greater 1000",
        "len > 100 and broadcast",
    ],
)
def test_ports_and_sources_name_no_destination(expression: str) -> None:
    assert not describes_addresses(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "dst net 192.0.2.0/24",
        "dst net 192.0.2.0 / 24",
        "host 192.0.2.1",
        "host sensor",
        "net 192.0.2",
        "net 10",
        "192.0.2.1",
        "tcp and 192.0.2.1",
        "not 192.0.2.1",
        "2001:db8::1",
        "dst 2001:db8::1",
        "ip6 net 2001:db8::/32",
        "gateway router",
        "ether host 1:2:3:4:5:6",
        "ether dst 1:2:3:4:5:6",
        "wlan ra 1:2:3:4:5:6",
        "arp host 192.0.2.1",
        "ip[16:4] = 0xc0000201",
        "ip[12 + 4] = 192",
        "ip6[24:4] = 0x20010db8",
        "ether[30:4] = 0xc0000201",
        "link[16:4] = 3221225985",
        "icmp[24:4] = 0xc0000201",
        "tcp[4:4] = 0xc0000201",
        "tcp[0 - 4:4] = 0xc0000201",
        "src or dst net 192.0.2.0/24",
        "dst or src net 192.0.2.0/24",
        "src and dst host 192.0.2.1",
        "src net 10 and host 192.0.2.1",
        "src host 10.0.0.1 and dst 192.0.2.1",
        "port 80 or 192.0.2.1",
        "port 80 or 2001:db8::1",
        "tcp port 80 and (dst port 53 or net 192.0.2)",
        "something else",
    ],
)
def test_what_may_name_a_destination_is_found(expression: str) -> None:
    assert describes_addresses(expression)


def test_the_place_of_an_error_is_found_with_few_questions() -> None:
    asked: list[str] = []

    def error_of(text: str) -> str:
        asked.append(text)
        return "no" if "bad" in text else ""

    expression = " ".join(["tcp"] * 500 + ["bad"] + ["udp"] * 500)
    assert place_of_error(expression, "no", error_of) == 2000
    assert len(asked) < 12
