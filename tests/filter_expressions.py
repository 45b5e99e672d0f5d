"""Filter expressions, made systematically from the grammar of pcap-filter(7)."""

from __future__ import annotations

from itertools import product

DIRECTIONS = ("", "src ", "dst ", "src or dst ", "src and dst ")

HOSTS = (
    *("10.0.0.1", "192.168.1.1", "127.0.0.1", "131.151.32.21", "224.0.0.9"),
    *("fe80::1", "::1", "ff02::1", "2001:db8::1"),
)
NETS = (
    *("10", "192.168", "192.168.1", "10.0.0.0/8", "192.168.0.0/16", "0.0.0.0/0"),
    *("131.151.32.0/24", "128.0.0.0/1", "192.168.1.1/32", "224.0.0.0/4"),
    *("10.0.0.0 mask 255.0.0.0", "192.168.0.0 mask 255.255.0.255"),
    *("fe80::/10", "2001::/16", "ff00::/8", "::/0", "3000::/4", "::1/128"),
)
PORTS = ("53", "80", "22", "445", "0", "65535", "domain", "http")
RANGES = ("0-1023", "1024-65535", "80-80", "100-50", "ftp-telnet")
MACS = ("ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "01:80:c2:00:00:00")
PROTOCOLS = (
    *(
        "tcp",
        "udp",
        "sctp",
        "icmp",
        "icmp6",
        "igmp",
        "pim",
        "ah",
        "esp",
        "vrrp",
        "carp",
    ),
    *("ip", "ip6", "arp", "rarp", "igrp", "atalk", "aarp", "decnet", "iso", "stp"),
    *("ipx", "netbeui", "lat", "moprc", "mopdl", "sca", "clnp", "esis", "isis"),
    *("l1", "l2", "iih", "lsp", "snp", "csnp", "psnp"),
)


def _directed() -> list[str]:
    """Return hosts, networks and ports, in every direction."""
    return [
        *(f"{way}host {host}" for way, host in product(DIRECTIONS, HOSTS)),
        *(f"{way}net {net}" for way, net in product(DIRECTIONS, NETS)),
        *(f"{way}port {port}" for way, port in product(DIRECTIONS, PORTS)),
        *(f"{way}portrange {some}" for way, some in product(DIRECTIONS, RANGES)),
        *(f"ether {way}host {mac}" for way, mac in product(DIRECTIONS, MACS)),
    ]


def _of_protocols() -> list[str]:
    """Return primitives that a protocol narrows."""
    return [
        *PROTOCOLS,
        *(f"{p} {way}port 53" for p in ("tcp", "udp", "sctp") for way in DIRECTIONS),
        *(f"{p} portrange 1-1024" for p in ("tcp", "udp", "sctp")),
        *(f"{p} {way}host 10.0.0.1" for p in ("ip", "arp") for way in DIRECTIONS),
        *(f"ip6 {way}host fe80::1" for way in DIRECTIONS),
        *(f"ip proto {n}" for n in (0, 1, 2, 6, 17, 41, 47, 89, 132, 255)),
        *(f"ip6 proto {n}" for n in (0, 6, 17, 43, 44, 58, 59)),
        *(f"proto {name}" for name in (r"\tcp", r"\udp", r"\icmp", "6", "17")),
        *(f"ip proto {name}" for name in (r"\tcp", r"\udp", r"\icmp", "ospf", "gre")),
        *(f"ether proto {n}" for n in ("0x0800", "0x86dd", "0x0806", "0x8100", "100")),
        *(
            f"ether proto {name}"
            for name in (r"\ip", r"\ip6", r"\arp", r"\stp", "loopback")
        ),
        *(f"{p} multicast" for p in ("ether", "ip", "ip6")),
        *("broadcast", "multicast", "ether broadcast", "link proto 0x0800"),
    ]


def _of_links() -> list[str]:
    """Return what only some link layers have, and what lies behind their headers."""
    kinds = ("mgt", "ctl", "data")
    frames = ("beacon", "probe-req", "auth", "ack", "rts", "qos-data", "null")
    ends = ("ra", "ta", "addr1", "addr2", "addr3", "addr4", "src", "dst")
    inner = (
        "",
        " and ip",
        " and ip6",
        " and tcp",
        " and port 80",
        " and host 10.0.0.1",
    )
    return [
        *(f"vlan{n}{rest}" for n in ("", " 1", " 100") for rest in inner),
        *(
            "vlan and vlan",
            "vlan 100 and vlan 200 and ip",
            "not vlan",
            "ip or vlan and ip",
        ),
        *(f"mpls{n}{rest}" for n in ("", " 16", " 1024") for rest in inner),
        *("mpls and mpls", "mpls and mpls and ip", "not mpls"),
        *("pppoed", "pppoes", "pppoes 1", "pppoes and ip", "pppoes 0x11 and tcp"),
        *("geneve", "geneve 10", "geneve and ip", "geneve 1 and tcp port 80"),
        *("llc", "llc i", "llc s", "llc u", "llc ui", "llc rr", "llc sabme"),
        *(f"wlan type {kind}" for kind in kinds),
        *(
            f"wlan type {kind} and wlan dir {way}"
            for kind in kinds
            for way in ("tods", "1")
        ),
        *(f"wlan subtype {frame}" for frame in frames),
        *("wlan type mgt subtype beacon", "wlan type data subtype qos-data"),
        *(f"wlan {end} ff:ff:ff:ff:ff:ff" for end in ends),
        *(f"dir {way}" for way in ("nods", "tods", "fromds", "dstods")),
        *(
            "radio[0] = 0",
            "radio[2:2] > 20",
            "wlan[0] & 0xc = 4",
            "wlan host 1:2:3:4:5:6",
        ),
    ]


def _arithmetic() -> list[str]:
    """Return accessors of bytes, and computing with them."""
    sizes = ("[0]", "[1]", "[2:2]", "[4:4]", "[7]", "[12:4]", "[40]", "[1000]")
    layers = ("ether", "link", "ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6")
    comparisons = ("= 0", "!= 0", "> 15", ">= 64", "< 64", "<= 6", "= 0xffffffff")
    operators = ("+ 3", "- 3", "* 5", "/ 3", "% 7", "& 0xf", "| 0x10", "^ 0x55")
    shifts = ("<< 2", ">> 4", "<< 31", ">> 31", "<< 0")
    return [
        *(f"{layer}{size} > 5" for layer, size in product(layers, sizes)),
        *(f"ip[8] {comparison}" for comparison in comparisons),
        *(f"ip[2:2] {operator} > 40" for operator in (*operators, *shifts)),
        *(f"ip[8] {operator} = udp[4:2]" for operator in operators),
        *(
            f"ip[2:2] {sign} ip[8] > 3"
            for sign in ("+", "-", "*", "/", "%", "&", "|", "^")
        ),
        *(f"ip[8] {sign} (ip[1] & 7) != 0" for sign in ("<<", ">>")),
        *(
            "ip[ip[0] & 0xf] > 3",
            "ip[(ip[0] & 0xf) << 2:2] = 80",
            "ether[ether[13]] = 69",
        ),
        *("ip[-1] = 6", "tcp[0 - 4:4] != 0", "ip[1 + 8] = 6", "-ip[8] > 3"),
        *(
            "ip[0] / ip[1] > 1",
            "ip[0] % ip[1] = 0",
            "1 / 2 = 0",
            "5 > 3",
            "ip[6:2] & 0x1fff = 0",
        ),
        *("tcp[13] & 2 != 0", "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"),
        *(
            f"tcp[tcpflags] & tcp-{flag} != 0"
            for flag in ("fin", "rst", "push", "urg", "cwr")
        ),
        *(
            "icmp[icmptype] = icmp-echo",
            "icmp[icmptype] != icmp-echoreply",
            "icmp[icmpcode] = 1",
        ),
        *("icmp6[icmp6type] = icmp6-echo", "icmp6[icmp6code] = 0"),
        "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
    ]


def _combined() -> list[str]:
    """Return primitives joined: and, or, not, parentheses, inherited qualifiers."""
    some = ("tcp", "udp port 53", "net 192.168.0.0/16", "ip6", "ip[8] < 64", "arp")
    return [
        *(f"{a} and {b}" for a, b in product(some, some) if a != b),
        *(f"{a} or {b}" for a, b in product(some, some) if a != b),
        *(f"not {a}" for a in some),
        *(f"not ({a} or {b})" for a, b in product(some[:3], some[3:])),
        *(f"({a} || port 22) && !({b})" for a, b in product(some[:3], some[3:])),
        "tcp dst port 445 and not src net 10.0.0.0/8",
        "port 80 or 443 or 22",
        "tcp dst port 80 or 443 and not src net 10 or 192.168",
        "src net 10.0.0.0/8 or (dst net 192.168 and not (port 53 or icmp))",
        "(tcp[tcpflags] = tcp-syn and ip[8] < 64) or (udp and ip[6:2] & 0x1fff = 0)",
        " or ".join(f"net 10.{n}.0.0/16" for n in range(100)),
        " or ".join(f"(tcp dst port {n} and ip[8] > {n % 256})" for n in range(100)),
        "",
    ]


#: What asks for nothing but bytes that were captured.
OF_BYTES = tuple(
    dict.fromkeys(
        [*_directed(), *_of_protocols(), *_of_links(), *_arithmetic(), *_combined()]
    )
)

#: What asks for the packet's length before it was cut.
OF_LENGTH = (
    *(f"{word} {n}" for word in ("less", "greater") for n in (0, 60, 64, 100, 1500)),
    *(f"len {sign} 96" for sign in ("=", "!=", "<", ">", "<=", ">=")),
    *("len > 2000 and tcp", "len - 14 = ip[2:2] + 0", "len & 1 = 0", "not less 100"),
    *("len * 2 > 128 or arp", "ip[2:2] > len", "len = len", "len % 10 = 4"),
)
