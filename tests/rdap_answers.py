"""RDAP answers, written by hand in the forms that the registries give (RFC 9083)."""

from __future__ import annotations

from typing import Any


def card(kind: str, name: str, mail: str | None = None, **fields: Any) -> list[Any]:
    """Return a jCard (RFC 7095)."""
    lines: list[Any] = [
        ["version", {}, "text", "4.0"],
        ["fn", {}, "text", name],
        ["kind", {}, "text", kind],
    ]
    if mail:
        lines.append(["email", {}, "text", mail])
    lines += [[field, {}, "text", value] for field, value in fields.items()]
    return ["vcard", lines]


def entity(handle: str, roles: list[str], *card_of: Any, **more: Any) -> dict[str, Any]:
    found = {"objectClassName": "entity", "handle": handle, "roles": roles, **more}
    return found | ({"vcardArray": card(*card_of)} if card_of else {})


def network(first: str, last: str, **fields: Any) -> dict[str, Any]:
    return {
        "rdapConformance": ["rdap_level_0"],
        "objectClassName": "ip network",
        "handle": f"{first} - {last}",
        "startAddress": first,
        "endAddress": last,
        "ipVersion": "v6" if ":" in first else "v4",
        "events": [
            {"eventAction": "registration", "eventDate": "2012-04-01T00:00:00Z"},
            {"eventAction": "last changed", "eventDate": "2019-02-03T04:05:06Z"},
        ],
        "links": [
            {"rel": "self", "href": "https://rdap.example/ip", "value": "https://r"}
        ],
        "notices": [{"title": "Terms of Service", "description": ["Be polite."]}],
        **fields,
    }


#: ARIN: the abuse contact is an entity of the organisation.
ARIN = network(
    "8.8.8.0",
    "8.8.8.255",
    name="GOGL",
    type="DIRECT ALLOCATION",
    cidr0_cidrs=[{"v4prefix": "8.8.8.0", "length": 24}],
    arin_originas0_originautnums=[],
    entities=[
        entity(
            "GOGL",
            ["registrant"],
            "org",
            "Example Search LLC",
            entities=[
                entity(
                    "ABUSE5250-ARIN",
                    ["abuse"],
                    "group",
                    "Abuse",
                    "network-abuse@search.example",
                ),
                entity("ZG39-ARIN", ["technical"], "group", "Example Search"),
            ],
        )
    ],
)
#: RIPE: maintainers are registrants too, individuals called by their handle.
RIPE = network(
    "193.0.0.0",
    "193.0.7.255",
    name="RIPE-NCC",
    type="ASSIGNED PA",
    country="NL",
    cidr0_cidrs=[{"v4prefix": "193.0.0.0", "length": 21}],
    entities=[
        entity("EX-NCC-HM-MNT", ["registrant"], "individual", "EX-NCC-HM-MNT"),
        entity("BRD-RIPE", ["technical"], "individual", "Somebody"),
        entity("ORG-RIEN1-RIPE", ["registrant"], "org", "Example Coordination Centre"),
        entity("OPS4-RIPE", ["abuse"], "group", "Operations", "abuse@ripe.example"),
    ],
)
#: APNIC: a description of the holder in remarks, an IRT for abuse, several mails.
APNIC = network(
    "202.12.28.0",
    "202.12.29.255",
    name="APNIC-AP",
    country="AU",
    remarks=[
        {"title": "description", "description": ["Example Pacific Centre", "Brisbane"]},
        {"title": "remarks", "description": ["Nothing"]},
    ],
    entities=[
        entity(
            "IRT-EX-AP", ["abuse"], "group", "IRT-EX-AP", "mailto:irt@pacific.example"
        ),
        entity("NO4-AP", ["administrative", "technical"], "group", "Network"),
    ],
)
#: JPNIC: names in both scripts, contacts without cards, no abuse.
JPNIC = network(
    "203.178.136.0",
    "203.178.143.255",
    name="EXAMPLE-NET",
    country="JP",
    remarks=[{"title": "description", "description": ["例示株式会社 (Example Inc.)"]}],
    entities=[
        entity("AB1234JP", ["technical"]),
        entity("CD5678JP", ["administrative"]),
    ],
)
#: LACNIC: a handle in CIDR; the registrant has a legal representative.
LACNIC = network(
    "200.3.12.0",
    "200.3.15.255",
    handle="200.3.12/22",
    country="UY",
    lacnic_legalRepresentative="Somebody",
    entities=[
        entity("UY-LACN-LACNIC", ["registrant"], "org", "Ejemplo S.A."),
        entity(
            "AIA", ["abuse", "technical"], "individual", "NOC", "noc@ejemplo.example"
        ),
    ],
)
#: IPv6, and an organisation that the card has in parts.
IPV6 = network(
    "2001:200::",
    "2001:200:1fff:ffff:ffff:ffff:ffff:ffff",
    name="EX6",
    entities=[
        {
            **entity("ORG-X", ["registrant"]),
            "vcardArray": card("org", "X", org=["Example", "Six"]),
        }
    ],
)
#: Nothing but a name, and a range that is no CIDR.
BARE = network("93.184.0.5", "93.184.0.9", name="BARE-NET")
