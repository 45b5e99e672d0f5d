"""Where tshark 4.0 and fastflow disagree: what each says, who is right, by which text.

`RULES` are about values of a packet, `FILE_RULES` about how a capture ends. Each has a
condition without which it explains nothing, and names a capture of the corpus that
shows it. What no rule explains is a mistake of one of the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tshark_conditions as c
from rows import Scanned
from tshark import Dissection, Opinion
from tshark_conditions import Case
from tshark_rows import Difference, Row, compare, row_of

PCPP = "pcapplusplus/Tests__Pcap++Test__PcapExamples__"


@dataclass(frozen=True)
class Rule:
    """A disagreement: the columns it is about, and the condition it needs."""

    name: str
    columns: frozenset[str]
    text: str
    right: str
    seen_in: str
    holds: Callable[[Case, str], bool]


@dataclass(frozen=True)
class FileRule:
    name: str
    text: str
    right: str
    seen_in: str
    holds: Callable[[Scanned, Opinion], bool]


RULES = (
    Rule(
        "wire_length_zero",
        frozenset({"wirelen"}),
        "the record says 0: tshark shows 0, fastflow takes the captured length and "
        "sets the flag len_zero",
        "fastflow: draft-ietf-opsawg-pcap 5, the length of the packet on the network, "
        "of which no more can be captured",
        "tcpdump/tests__pim_header_asan-2.pcap",
        c.has_no_length,
    ),
    Rule(
        "fraction_of_a_second_and_more",
        frozenset({"ts"}),
        "microseconds above 10^6: fastflow carries them; tshark makes nanoseconds of "
        "them in 32 bits with a sign, which overflows",
        "fastflow: draft-ietf-opsawg-pcap 5 forbids such values, none is negative",
        "tcpdump/tests__rx_serviceid_oobr.pcap",
        c.is_carried,
    ),
    Rule(
        "time_beyond_2262",
        frozenset({"ts"}),
        "nanoseconds that 64 bits with a sign do not hold: null",
        "both: draft-ietf-opsawg-pcapng 4.3 has 64 bits without a sign; an Arrow "
        "timestamp has not",
        PCPP + "pcapng-example.pcapng",
        c.is_beyond_int64,
    ),
    Rule(
        "undecoded_encapsulation",
        c.IP | {"vlan"},
        "IP behind a header that fastflow does not decode (Arista's, MACsec, NSH, "
        "pseudowires): non_ip",
        "both: tshark knows more (802.1AE, RFC 8300, RFC 4385)",
        "tcpdump/tests__nsh.pcap",
        c.is_undecoded,
    ),
    Rule(
        "null_without_family",
        c.IP,
        "LINKTYPE_NULL with a number above 65535, which is no address family: tshark "
        "takes two of the four bytes for an EtherType",
        "fastflow: the LINKTYPE_NULL page knows address families only",
        "pcapplusplus/Tests__Packet++Test__PacketExamples__NullLoopback.pcap",
        c.is_no_family,
    ),
    Rule(
        "version_not_announced",
        c.IP,
        "IPv6 where IPv4 is announced: tshark goes by the version nibble",
        "fastflow: RFC 894 and the LINKTYPE_IPV4 page announce IPv4 alone; such a "
        "packet is bad_ip_version",
        "tcpdump/tests__LINKTYPE_IPV4_invalid.pcap",
        c.is_other_version,
    ),
    Rule(
        "cut_ip_header",
        c.IP,
        "tshark shows the fields of a cut header that it could read; fastflow none",
        "fastflow: RFC 791 3.1 and RFC 8200 3, a header has 20 (IHL * 4) or 40 bytes",
        "tcpdump/tests__ipv6_39_byte_header.pcap",
        c.is_cut_header,
    ),
    Rule(
        "source_route",
        frozenset({"dst"}),
        "with a source route that is not used up, tshark calls the header's address "
        "ip.cur_rt and shows no ip.dst; fastflow gives the header's field",
        "fastflow: RFC 791 3.1, the destination address is bytes 16 to 19",
        "pcapplusplus/Tests__Packet++Test__PacketExamples__ipv4-options.pcap",
        c.is_source_route,
    ),
    Rule(
        "cut_extension_header",
        frozenset({"proto"}),
        "the next header that a cut extension header names: tshark shows it, fastflow "
        "keeps the number of the cut header",
        "both: RFC 8200 4 says nothing of cut headers; the status is ip6_ext_truncated",
        "tcpdump/tests__hoobr_rt6_print.pcap",
        c.is_cut_extension,
    ),
    Rule(
        "many_extension_headers",
        c.TRANSPORT | {"proto"},
        "fastflow stops at the 17th extension header: too_many_ext",
        "tshark: RFC 8200 4 has no limit; fastflow's is a guard",
        "libpcap/tests__filter__ipv6_ext_headers.pcap",
        c.has_many_extensions,
    ),
    Rule(
        "protocol_62",
        frozenset({"proto"}),
        "tshark takes protocol 62 for Mobile IPv6, as drafts before RFC 3775 did, and "
        "goes on to its next header",
        "fastflow: RFC 6275 6.1, the mobility header is 135; IANA has 62 for CFTP",
        "tcpdump/tests__mobility_opt_asan.pcap",
        c.is_old_mobility,
    ),
    Rule(
        "ipv6_length_zero",
        frozenset({"ip_len"}),
        "payload length 0 (jumbograms, segmentation offload): tshark shows 0, fastflow "
        "takes what was captured and sets the flag ip_len_zero",
        "fastflow: RFC 2675 3, 0 is not the length",
        "tcpdump/tests__bigtcp-ipv6-hbh.pcap",
        c.is_length_zero,
    ),
    Rule(
        "behind_ipv6_length_zero",
        c.IP,
        "tshark 4.0 finds no byte behind a header whose payload length is 0 without a "
        "jumbo option, though its own note says that this is offload",
        "fastflow: as of IPv4 in tshark itself; 0 is not the length, RFC 2675 3",
        "tcpdump/tests__bigtcp-ipv6.pcap",
        c.is_behind_length_zero,
    ),
    Rule(
        "payload_by_ip_length",
        frozenset({"payload_len"}),
        "tshark gives the length that UDP says, or for TCP what the frame has room "
        "for; fastflow goes by the IP length: in fragments and damaged packets they "
        "differ",
        "fastflow: RFC 9293 3.1, a segment is as long as IP says; RFC 768 for the "
        "datagram, of which the packet may hold a part",
        "tcpdump/tests__kday4.pcap",
        c.is_by_ip,
    ),
    Rule(
        "cut_icmp",
        frozenset({"icmp_type", "icmp_code"}),
        "of an ICMP message of fewer than 4 bytes tshark shows nothing, fastflow type "
        "and code and the status l4_truncated",
        "both: RFC 792, bytes 0 and 1",
        "tcpdump/tests__icmp-icmp_print-oobr-1.pcap",
        c.is_cut_icmp,
    ),
    Rule(
        "cut_tcp_header",
        c.OPTIONS,
        "of a TCP header that is cut, or longer than the packet, tshark lists the "
        "options that it could read; fastflow none, as their list is not known",
        "both: RFC 9293 3.1, the data offset says where options end",
        "pcapplusplus/Tests__Packet++Test__PacketExamples__tcp-malformed.pcap",
        c.is_cut_tcp,
    ),
    Rule(
        "stops_in_option",
        frozenset({"tcp_options"}),
        "tshark's dissector of MPTCP (option 30) gives up in the option and lists "
        "none of those behind it",
        "fastflow: RFC 9293 3.2, an unknown option is skipped by its length",
        "tcpdump/tests__mptcp-dss-oobr.pcap",
        c.stops_in_option,
    ),
    Rule(
        "udp_length_zero",
        c.IP,
        "UDP length 0 of a packet beyond 65,535 bytes: tshark 4.0 does not look into "
        "it, fastflow opens the tunnel",
        "fastflow: RFC 2675 4, length 0 stands for what IP says",
        "tcpdump/tests__bigtcp-ipv4-geneve-ipv4.pcap",
        c.has_udp_length_zero,
    ),
    Rule(
        "tunnel_by_source_port",
        c.IP,
        "tshark takes UDP from port 2152 for GTP-U too, fastflow only UDP to it",
        "fastflow: 3GPP TS 29.281 4.4.2, the destination port is 2152",
        "pcapplusplus/Tests__Packet++Test__PacketExamples__gtp.pcap",
        c.is_by_source_port,
    ),
)

FILE_RULES = (
    FileRule(
        "block_shown_as_frame",
        "custom and other blocks that hold no packet: tshark numbers them as frames, "
        "fastflow passes them by and sets the flag skipped_block",
        "fastflow: draft-ietf-opsawg-pcapng 4, packets are in EPB, SPB and PB",
        "pcapng-test-generator/output_be__basic__test017.pcapng",
        c.shows_blocks,
    ),
    FileRule(
        "zero_record",
        "a record header of zeros, as sparse files have: tshark makes packets of them, "
        "fastflow stops; those before it are the same",
        "fastflow: no packet was captured on the first of January 1970, without a byte",
        "tcpdump/tests__bgp_vpn_rt-oobr.pcap",
        c.goes_on_with_zeros,
    ),
    FileRule(
        "pcap_version",
        "tshark reads versions above 2.4, fastflow none that is not defined",
        "fastflow: draft-ietf-opsawg-pcap 4, the version is 2.4",
        "libpcap/tests__pcap-invalid-version-2.pcap",
        c.reads_any_version,
    ),
)


def explain(
    ours: list[Row], packets: list[Dissection], *, opened: bool = False
) -> tuple[set[str], list[str]]:
    """Return the names of the rules that are needed, and what none explains."""
    used: set[str] = set()
    unexplained = []
    theirs = [row_of(packet, opened=opened) for packet in packets]
    for difference in compare(ours, theirs):
        rule = None
        if difference.packet >= 0:
            at = difference.packet
            rule = _rule_for(Case(ours[at], packets[at], opened), difference)
        if rule is None:
            unexplained.append(str(difference))
        else:
            used.add(rule.name)
    return used, unexplained


def _rule_for(case: Case, difference: Difference) -> Rule | None:
    for rule in RULES:
        if difference.column in rule.columns and rule.holds(case, difference.column):
            return rule
    return None
