"""Whom to tell: sources and victims, and the formats in which others read of them."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections import defaultdict
from datetime import UTC
from pathlib import Path

import pytest
import stix2

import mmdb
from fastflow.addresses import from_text, to_text
from fastflow.analysis.events.event import Event
from fastflow.analysis.events.find import find_events
from fastflow.analysis.selection import Selection
from fastflow.contacts.find import (
    COLUMNS,
    MOST_PORTS,
    Contact,
    event_of_rank,
    find_contacts,
)
from fastflow.contacts.intelmq import intelmq_lines
from fastflow.contacts.stix import stix_pieces
from fastflow.contacts.write import json_pieces, pieces
from fastflow.errors import ConfigError
from fastflow.holders.holder import Holder
from fastflow.holders.holders import Holders
from fastflow.store import Store
from fastflow.zones import hour_number
from quarter import Quarter
from reduced import at, reduced

pytest_plugins = ["quarter_fixture"]

SCAN = {"src": "198.51.100.7", "country": "NL"}
ROWS = [
    {"packets": 5, "tool": "mirai", "dst_port": 23, **SCAN},
    {"packets": 9, "hour": at(3), "dst_port": 2323, **SCAN},
    {"packets": 1, "hour": at(2), "proto": 1, "dst_port": None, "icmp_type": 8, **SCAN},
    {"src": "2001:db8::5", "country": None, "packets": 2, "tool": "masscan"},
    {"src": "192.0.2.9", "packets": 1, "tool": "masscan", "dst_port": 445},
    {"src": "192.0.2.8", "packets": 1, "tool": "zmap", "proto": 17, "dst_port": 53},
    {"src": "192.0.2.1", "packets": 3, "traffic": "other", "proto": 132},
    *(
        {"src": "203.0.113.80", "packets": 4, "country": "NZ", "dst_port": port}
        | {"traffic": "backscatter", "src_port": 443, "hour": at(30)}
        for port in (40_000, 40_001)
    ),
    *(
        {"src": "192.0.2.200", "packets": port % 3 + 1, "dst_port": port}
        for port in range(100, 125)
    ),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("contacts") / "counts", create=True)
    made.publish([reduced("one", ROWS[::2]), reduced("two", ROWS[1::2])])
    return made


def found_in(store: Store, period: str | None = None, **where: str) -> list[Contact]:
    return [*find_contacts(Selection(store, period, where), Holders())]


def test_contacts_are_what_the_rows_add_up_to(store: Store) -> None:
    by_address = defaultdict(list)
    for row in ROWS:
        by_address[row["src"]].append(
            {"hour": at(0), "dst_port": 445, "proto": 6} | row
        )
    expected = sorted(
        (
            (-sum(row["packets"] for row in rows), from_text(address), address, rows)
            for address, rows in by_address.items()
        ),
        key=lambda one: one[:2],
    )
    found = found_in(store)
    assert [one.address for one in found] == [address for _, _, address, _ in expected]
    for contact, (packets, _, _, rows) in zip(found, expected, strict=True):
        assert contact.packets == -packets
        hours = [row["hour"] for row in rows]
        assert (contact.first, contact.last) == (min(hours), max(hours))
        assert contact.country == rows[0].get("country", "JP")


def test_ports_are_those_asked_for_or_answered_from(store: Store) -> None:
    found = {one.address: one for one in found_in(store)}
    scanner, victim = found["198.51.100.7"], found["203.0.113.80"]
    assert (scanner.role, scanner.port_texts) == ("source", ["2323/tcp", "23/tcp"])
    assert scanner.protocols == ("icmp", "tcp")
    assert (victim.role, victim.port_texts) == ("victim", ["443/tcp"])
    many = found["192.0.2.200"]
    assert (many.n_ports, len(many.ports)) == (25, MOST_PORTS)
    # 101, 104, ... have the most packets.
    assert [port for _, port in many.ports[:8]] == [*range(101, 125, 3)]
    assert [port for _, port in many.ports[8:]] == [100, 103]


def test_a_tool_is_told_where_its_rule_has_enough_packets(store: Store) -> None:
    tools = {one.address: one.tools for one in found_in(store) if one.tools}
    assert tools == {
        "198.51.100.7": ("mirai",),
        "2001:db8::5": ("masscan",),
        "192.0.2.8": ("zmap",),
    }


def test_filters_and_periods_choose(store: Store) -> None:
    assert [one.address for one in found_in(store, country="NZ")] == ["203.0.113.80"]
    assert [one.address for one in found_in(store, "2020-08-27")] == ["203.0.113.80"]
    assert found_in(store, "2020-08-25") == []
    first = find_contacts(Selection(store), Holders(), n=1)
    assert [one.address for one in first] == ["192.0.2.200"]


def test_a_store_without_sources_has_no_contacts(tmp_path: Path) -> None:
    without = Store(tmp_path / "counts", create=True, settings={"sources": False})
    with pytest.raises(ConfigError, match="made without sources"):
        found_in(without)


def test_every_event_has_the_sources_that_it_tells_of(
    quarter: Quarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = Selection(quarter.store, "2020-Q3", sensors_file=quarter.sensors_file)
    events = find_events(selection)
    assert len(events) >= 3
    for event in events:
        contacts = [*find_contacts(selection, Holders(), event)]
        if event.kind == "attack" and "source" in event.slice:
            assert [one.role for one in contacts] == ["victim"]
            assert contacts[0].address == to_text(*event.slice["source"])
            continue
        assert len(contacts) == event.sources
        assert sum(one.packets for one in contacts) == event.packets
        assert {one.kind for one in contacts} == {event.kind}
    monkeypatch.setattr("fastflow.contacts.find.find_events", lambda _, n: events[:n])
    assert event_of_rank(selection, 2) is events[1]
    with pytest.raises(ConfigError, match="no event has rank 1000; there are"):
        event_of_rank(selection, 1000)


def test_the_victim_of_an_attack_is_known_where_others_answered(store: Store) -> None:
    """A router's answer quotes the victim, whom `sources` does not have."""
    victim = from_text("192.0.2.9")
    first = hour_number(at(0))
    event = Event("attack", [(first, first + 1)], {"source": victim}, {}, 1.0)
    (found,) = find_contacts(Selection(store), Holders(), event)
    assert (found.address, found.role, found.kind) == ("192.0.2.9", "victim", "attack")
    assert (found.packets, found.first, found.tools) == (1, at(0), ())
    event.pieces = [(first + 1, first + 9)]
    assert [*find_contacts(Selection(store), Holders(), event)] == []


HOLDER = Holder(
    64500, "Carrier", "=cmd|' /C calc'!A0", "198.51.100.0/24", "Abuse@Net.example"
)
CONTACTS = [
    Contact(
        "198.51.100.7",
        4,
        "NL",
        "source",
        "surge",
        at(0),
        at(3),
        15,
        (("tcp", 23), ("tcp", 2323)),
        2,
        ("tcp",),
        ("mirai",),
        HOLDER,
    ),
    Contact(
        "2001:db8::5", 6, None, "source", None, at(1), at(1), 2_000_000_000,
        (), 0, ("ipv6-icmp",), (), Holder(64500, "Another name"),
    ),
    Contact(
        "203.0.113.80", 4, "NZ", "victim", "attack", at(30), at(31), 8,
        (("tcp", 443),), 1, ("tcp",), (),
        Holder(network="203.0.113.5 - 203.0.113.90", abuse="a@nz.example"),
    ),
    Contact(
        "203.0.113.81", 4, "NZ", "source", None, at(30), at(30), 1,
        (("udp", 53),), 1, ("udp",), ("zmap",),
        Holder(abuse="a@nz.example", reason="timed out"),
    ),
]  # fmt: skip


def test_csv_has_no_formulas() -> None:
    text = "".join(pieces(CONTACTS, "csv", UTC))
    rows = [*csv.DictReader(io.StringIO(text))]
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["organisation"] == "'=cmd|' /C calc'!A0"
    assert rows[0]["ports"] == "23/tcp 2323/tcp"
    assert rows[0]["first_hour"] == "2020-08-26T00:00:00Z"
    assert rows[3]["remark"] == "timed out"
    assert not any(
        cell.startswith(("=", "+", "-", "@", "\t")) for r in rows for cell in r.values()
    )
    assert "".join(pieces([], "csv", UTC)) == ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize("start", ["=1", "+1", "-1", "@A1", "\tx"])
def test_any_cell_that_begins_like_a_formula_is_text(start: str) -> None:
    contact = Contact(
        "192.0.2.1", 4, start, "source", None, at(0), at(0), 1, holder=Holder(7, start)
    )
    (row,) = csv.DictReader(io.StringIO("".join(pieces([contact], "csv", UTC))))
    assert (row["country"], row["as_name"]) == (f"'{start}", f"'{start}")


def test_json_is_a_list_of_rows() -> None:
    rows = json.loads("".join(json_pieces(CONTACTS, UTC)))
    assert rows == [one.to_row(UTC) for one in CONTACTS]
    assert json.loads("".join(json_pieces([], UTC))) == []


def test_intelmq_events_say_who_is_who() -> None:
    events = [json.loads(line) for line in intelmq_lines(CONTACTS)]
    assert events[0] == {
        "feed.name": "fastflow",
        "classification.identifier": "mirai",
        "classification.taxonomy": "malicious-code",
        "classification.type": "infected-system",
        "malware.name": "mirai",
        "time.source": "2020-08-26T00:00:00+00:00",
        "source.ip": "198.51.100.7",
        "source.asn": 64500,
        "source.as_name": "Carrier",
        "source.geolocation.cc": "NL",
        "source.network": "198.51.100.0/24",
        "source.abuse_contact": "abuse@net.example",
        "protocol.transport": "tcp",
        "extra.event_kind": "surge",
        "extra.last_hour": "2020-08-26T03:00:00Z",
        "extra.n_ports": 2,
        "extra.organisation": "=cmd|' /C calc'!A0",
        "extra.packets": 15,
        "extra.ports": ["23/tcp", "2323/tcp"],
        "extra.role": "source",
        "extra.tools": ["mirai"],
    }
    kinds = [(e["classification.type"], e["classification.taxonomy"]) for e in events]
    assert kinds[1:] == [
        ("scanner", "information-gathering"),
        ("ddos", "availability"),
        ("scanner", "information-gathering"),
    ]
    victim = events[2]
    assert not [name for name in victim if name.startswith("source.")]
    assert victim["destination.ip"] == "203.0.113.80"
    assert victim["destination.port"] == 443
    assert victim["destination.abuse_contact"] == "a@nz.example"
    assert "destination.network" not in victim  # no CIDR
    assert events[1]["protocol.transport"] == "ipv6-icmp"
    assert events[3]["destination.port"] == 53
    assert events[3]["protocol.transport"] == "udp"


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_stix_is_what_its_own_library_reads() -> None:
    text = "".join(stix_pieces(CONTACTS))
    bundle = stix2.parse(text, allow_custom=False)
    objects = {one.id: one for one in bundle.objects}
    assert len(objects) == len(bundle.objects)
    for one in objects.values():
        names = [name for name in one if name.endswith(("_ref", "_refs"))]
        refs = {ref for name in names for ref in _listed(one[name])}
        assert refs <= objects.keys()
    kinds = defaultdict(list)
    for one in bundle.objects:
        kinds[one.type].append(one)
    assert [one.value for one in kinds["ipv4-addr"]] == [
        "198.51.100.7",
        "203.0.113.80",
        "203.0.113.81",
    ]
    assert [one.value for one in kinds["ipv6-addr"]] == ["2001:db8::5"]
    assert [(one.number, one.name) for one in kinds["autonomous-system"]] == [
        (64500, "Carrier")
    ]
    assert [one.number_observed for one in kinds["observed-data"]] == [
        15,
        999_999_999,
        8,
        1,
    ]
    assert [list(one.labels) for one in kinds["observed-data"]] == [
        ["scanner", "mirai", "country:NL", "event:surge"],
        ["scanner"],
        ["ddos-victim", "country:NZ", "event:attack"],
        ["scanner", "zmap", "country:NZ"],
    ]
    traffic = kinds["network-traffic"]
    assert [(one.get("src_port"), one.get("dst_port")) for one in traffic] == [
        (None, 23),
        (None, 2323),
        (None, None),
        (443, None),
        (None, 53),
    ]
    assert [one.contact_information for one in kinds["identity"]] == [
        "abuse: Abuse@Net.example",
        "abuse: a@nz.example",
    ]
    assert [one.relationship_type for one in kinds["relationship"]] == [
        "belongs-to",
        "related-to",
        "belongs-to",
        "related-to",
        "related-to",
    ]


def test_stix_ids_are_the_librarys_and_stay() -> None:
    bundle = json.loads("".join(stix_pieces(CONTACTS)))
    observables = ("ipv4-addr", "ipv6-addr", "autonomous-system", "network-traffic")
    for one in bundle["objects"]:
        assert uuid.UUID(one["id"].partition("--")[2]).version == 5
        if one["type"] in observables:
            fields = {k: v for k, v in one.items() if k not in ("id", "type")}
            made = stix2.parse_observable(
                {"type": one["type"], **fields}, version="2.1"
            )
            assert made.id == one["id"]
    assert "".join(stix_pieces(CONTACTS)) == "".join(stix_pieces(CONTACTS))
    other = json.loads("".join(stix_pieces(CONTACTS[:3])))
    assert other["id"] != bundle["id"]
    empty = json.loads("".join(stix_pieces([])))
    assert stix2.v21.Bundle(**empty).id == empty["id"]


@pytest.mark.parametrize("file_format", ["csv", "intelmq", "stix"])
def test_no_format_depends_on_anything_but_the_store(
    tmp_path: Path, store: Store, file_format: str
) -> None:
    table = tmp_path / "asn.mmdb"
    table.write_bytes(mmdb.make_mmdb({"198.51.100.0/24": {"asn": "AS7", "name": "X"}}))
    again = Store(tmp_path / "counts", create=True)
    again.publish([reduced("three", ROWS[::-1])])

    def text(of: Store) -> str:
        contacts = find_contacts(Selection(of), Holders([table]))
        return "".join(pieces(contacts, file_format, UTC))

    assert text(store) == text(again) == text(store)
    assert "tokyo-1" not in text(store)
