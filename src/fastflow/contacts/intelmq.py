"""Contacts as events of IntelMQ, a JSON object a line.

Fields and classification are those of IntelMQ's data format (docs.intelmq.org, Event),
which follows the Reference Security Incident Taxonomy.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Any

from fastflow.contacts.find import VICTIM, Contact
from fastflow.zones import iso_local

_FEED = "fastflow"
#: A host that sends with this tool's marks is one that the malware runs on.
MALWARE = ("mirai",)

_TAXONOMY = {
    "ddos": "availability",
    "infected-system": "malicious-code",
    "scanner": "information-gathering",
}


def intelmq_lines(contacts: Iterable[Contact]) -> Iterator[str]:
    """Yield the events as lines; they depend on nothing but the contacts."""
    for contact in contacts:
        event = {k: v for k, v in _event(contact).items() if v not in (None, "", [])}
        yield json.dumps(event, ensure_ascii=False, sort_keys=True) + "\n"


def _event(contact: Contact) -> dict[str, Any]:
    """Return an event.

    Of an attack the victim is the destination: who attacked it cannot be seen, since
    the packets that it answered to had forged sources.
    """
    is_victim = contact.role == VICTIM
    malware = next((tool for tool in contact.tools if tool in MALWARE), None)
    kind = "ddos" if is_victim else "infected-system" if malware else "scanner"
    its = "destination" if is_victim else "source"
    holder = contact.holder
    port = contact.ports[0][1] if contact.n_ports == 1 else None
    protocol = contact.protocols[0] if len(contact.protocols) == 1 else ""
    return {
        "feed.name": _FEED,
        "classification.taxonomy": _TAXONOMY[kind],
        "classification.type": kind,
        "classification.identifier": malware,
        "malware.name": malware,
        "time.source": contact.first.astimezone(UTC).isoformat(),
        f"{its}.ip": contact.address,
        f"{its}.asn": holder.asn,
        f"{its}.as_name": holder.as_name,
        f"{its}.geolocation.cc": contact.country,
        f"{its}.network": _cidr(holder.network),
        f"{its}.abuse_contact": holder.abuse and holder.abuse.lower(),
        "destination.port": port,
        "protocol.transport": None if protocol.isdigit() else protocol,
        "extra.last_hour": iso_local(contact.last, UTC),
        "extra.organisation": holder.organisation,
        "extra.packets": contact.packets,
        "extra.ports": contact.port_texts,
        "extra.n_ports": contact.n_ports or None,
        "extra.tools": list(contact.tools),
        "extra.event_kind": contact.kind,
        "extra.role": contact.role,
    }


def _cidr(network: str | None) -> str | None:
    try:
        return network and str(ipaddress.ip_network(network))
    except ValueError:  # first and last address
        return None
