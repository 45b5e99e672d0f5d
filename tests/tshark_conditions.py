"""A packet of which fastflow and tshark say something else, and why that may be.

The conditions of the rules of tshark_rules.py: narrow, and told from what tshark shows
wherever it can be, so that no mistake hides behind a rule.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from reference_packet import IP_COLUMNS, MAX_EXTENSIONS
from rows import Scanned
from tshark import Dissection, Opinion, Pairs, get, leaves, number
from tshark_rows import NEXT_HEADERS, Row, find_ip, linktypes, row_of

IP = frozenset(IP_COLUMNS)
OPTIONS = frozenset({"tcp_options", "tcp_mss", "tcp_wscale"})
TCP = OPTIONS | {"tcp_flags", "tcp_seq", "tcp_ack", "tcp_window"}
TRANSPORT = TCP | {"src_port", "dst_port", "icmp_type", "icmp_code", "payload_len"}

#: tshark stopped: at the end of what was captured, or of what a length allows.
STOPS = ("_ws.short", "_ws.malformed")
#: Headers that lead tshark from Ethernet to IP, and are not decoded here: Arista's
#: time stamps and tunnel headers, 802.1AE, RFC 8300, RFC 4385 pseudowires.
UNDECODED = {"avsp", "macsec", "nsh", "pweth.cw"}
#: Bytes of a header without options, to find where IP begins.
HEADER_BYTES = {"eth": 14, "vlan": 4, "raw": 0}


@dataclass(frozen=True)
class Case:
    """A packet of which the two say something else."""

    ours: Row
    packet: Dissection
    opened: bool

    @property
    def theirs(self) -> Row:
        return row_of(self.packet, opened=self.opened)

    @property
    def at(self) -> int:
        at = find_ip(self.packet, opened=self.opened)
        return len(self.packet.layers) if at is None else at

    @property
    def ip(self) -> Pairs:
        layers = self.packet.layers[self.at : self.at + 1]
        return layers[0][1] if layers else []

    @property
    def before(self) -> list[str]:
        return self.packet.names[: self.at]

    @property
    def behind(self) -> list[str]:
        return self.packet.names[self.at + 1 :]

    @property
    def status(self) -> str:
        return str(self.ours["status"])

    def layer(self, name: str) -> Pairs:
        """Return the fields of a layer at or behind the IP header."""
        return get(self.packet.layers[self.at :], name) or []

    def next_headers(self) -> list[int]:
        """Return what the IPv6 header and its extension headers announce."""
        return [int(v, 0) for name, v in leaves(self.ip) if name in NEXT_HEADERS]


# --- the record ----------------------------------------------------------------------


def has_no_length(case: Case, column: str) -> bool:
    caplen = case.ours["caplen"]
    return (case.theirs["wirelen"], case.ours["wirelen"]) == (0, caplen)


def is_carried(case: Case, column: str) -> bool:
    """tshark multiplies microseconds in 32 bits, of which the last is a sign."""
    text = get(case.packet.frame, "frame.time_epoch") or "0.0"
    seconds, _, fraction = text.lstrip("-").partition(".")
    theirs = -int(fraction) if text.startswith("-") else int(fraction)
    ours = (case.ours["ts"] or 0) - int(seconds) * 10**9
    return ours >= 10**9 and (ours - theirs) % 2**32 == 0


def is_beyond_int64(case: Case, column: str) -> bool:
    return case.ours["ts"] is None and (case.theirs["ts"] or 0) >= 2**63


# --- the way to IP -------------------------------------------------------------------


def is_undecoded(case: Case, column: str) -> bool:
    return (
        case.status == "non_ip"
        and case.before[:1] == ["eth"]
        and not UNDECODED.isdisjoint(case.before)
    )


def is_no_family(case: Case, column: str) -> bool:
    null = get(case.packet.layers, "null") or []
    return case.status == "non_ip" and get(null, "null.type") is not None


def is_other_version(case: Case, column: str) -> bool:
    if case.status != "bad_ip_version":
        return False
    # An `ip` layer before this one: tshark's dissector of IPv4 has handed it over.
    is_4 = case.before[-1:] == ["ip"] or linktypes(case.packet) == (228,)
    return is_4 and bool(case.theirs["ip_version"] == 6)


# --- IP ------------------------------------------------------------------------------


def is_cut_header(case: Case, column: str) -> bool:
    return case.status == "ip_truncated" and case.behind[:1] in (
        [stop] for stop in STOPS
    )


def is_source_route(case: Case, column: str) -> bool:
    route = dict(leaves(case.ip)).get("ip.cur_rt")
    if case.ours["ip_version"] != 4 or case.theirs["dst"] is not None:
        return False
    return route == str(ipaddress.IPv4Address(case.ours["dst"][12:]))


def is_cut_extension(case: Case, column: str) -> bool:
    return (
        case.status == "ip6_ext_truncated"
        and case.next_headers()[-2:-1] == [case.ours["proto"]]
        and case.behind[:1] in ([stop] for stop in STOPS)
    )


def has_many_extensions(case: Case, column: str) -> bool:
    return case.status == "too_many_ext" and case.next_headers()[MAX_EXTENSIONS:][
        :1
    ] == [case.ours["proto"]]


def is_old_mobility(case: Case, column: str) -> bool:
    return case.ours["proto"] == 62 and case.behind[:1] == ["mipv6"]


def is_length_zero(case: Case, column: str) -> bool:
    if number(case.ip, "ipv6.plen") != 0 or not HEADER_BYTES.keys() >= set(case.before):
        return False
    before = sum(HEADER_BYTES[name] for name in case.before)
    return bool(case.ours["ip_len"] == case.ours["caplen"] - before)


def is_behind_length_zero(case: Case, column: str) -> bool:
    if number(case.ip, "ipv6.plen") != 0 or "_ws.malformed" not in case.behind[:2]:
        return False
    is_entered = case.opened and case.next_headers() == [17]
    return is_entered or column in TRANSPORT | {"proto", "ip_frag"}


# --- transport -----------------------------------------------------------------------


def _payload_by_ip(case: Case) -> int | None:
    """What lies behind the IP headers by the lengths that tshark shows."""
    if case.theirs["ip_version"] == 4:
        length, header = number(case.ip, "ip.len"), number(case.ip, "ip.hdr_len")
        return None if length is None or header is None else length - header
    extensions = [
        8 if name == "ipv6.fraghdr.offset" else int(v, 0)
        for name, v in leaves(case.ip)
        if name == "ipv6.fraghdr.offset" or name.endswith(".len_oct")
    ]
    length = number(case.ip, "ipv6.plen")
    return None if length is None else length - sum(extensions)


def is_by_ip(case: Case, column: str) -> bool:
    length = _payload_by_ip(case)
    is_udp = case.behind[:1] == ["udp"]
    header = 8 if is_udp else number(case.layer("tcp"), "tcp.hdr_len")
    if length is None or header is None:
        return False
    return bool(case.ours["payload_len"] == length - header)


def is_cut_icmp(case: Case, column: str) -> bool:
    length = _payload_by_ip(case)
    return (
        case.status == "l4_truncated"
        and case.behind[:1] == ["_ws.malformed"]
        and length is not None
        and length < 4
    )


def is_cut_tcp(case: Case, column: str) -> bool:
    return (
        case.status in ("l4_truncated", "tcp_bad_doff")
        and case.ours[column] is None
        and case.behind[:1] == ["tcp"]
        and case.behind[1:2] in ([stop] for stop in STOPS)
    )


def stops_in_option(case: Case, column: str) -> bool:
    ours, theirs = (row["tcp_options"] or "" for row in (case.ours, case.theirs))
    is_start = ours.startswith(f"{theirs}-") and theirs.split("-")[-1] == "30"
    return is_start and case.behind == ["tcp", "_ws.malformed"]


# --- tunnels -------------------------------------------------------------------------


def has_udp_length_zero(case: Case, column: str) -> bool:
    length = number(case.layer("udp"), "udp.length")
    return case.opened and case.behind == ["udp"] and length == 0


def is_by_source_port(case: Case, column: str) -> bool:
    outer = find_ip(case.packet)
    if outer is None or case.packet.names[outer + 1 : case.at] != ["udp", "gtp"]:
        return False
    udp = case.packet.layers[outer + 1][1]
    is_from = number(udp, "udp.srcport") == 2152 != number(udp, "udp.dstport")
    return is_from and case.ours[column] == row_of(case.packet)[column]


# --- how a capture ends --------------------------------------------------------------


def shows_blocks(scanned: Scanned, opinion: Opinion) -> bool:
    if len(scanned.rows) != len(opinion.packets):
        return False
    is_whole = scanned.status == "complete" and opinion.code == 0
    return is_whole and 0 < opinion.blocks <= scanned.flags.get("skipped_block", 0)


def goes_on_with_zeros(scanned: Scanned, opinion: Opinion) -> bool:
    if (scanned.status, scanned.reason) != ("damaged", "zero_record"):
        return False
    following = opinion.packets[len(scanned.rows) :]
    frame = following[0].frame if following else []
    names = ("frame.time_epoch", "frame.len", "frame.cap_len")
    return [get(frame, name) for name in names] == ["0.000000000", "0", "0"]


def reads_any_version(scanned: Scanned, opinion: Opinion) -> bool:
    return (scanned.status, scanned.reason) == ("rejected", "pcap_version")
