"""Contacts as a STIX 2.1 bundle: what was observed, and whose it is.

Source: OASIS, STIX Version 2.1. Nothing in it depends on when or where it was made:
ids are UUIDs of version 5 over what they name, as section 2.9 has it for observables.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from fastflow.contacts.find import VICTIM, Contact
from fastflow.zones import HOUR

#: Of all observables (section 2.9), and of fastflow's other objects.
_OBSERVABLES = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
_OURS = uuid.UUID("6c2f4b8e-7a55-5d0b-9a51-3f0c9e0d7b21")
#: What several contacts may have in common.
_SHARED = ("autonomous-system", "identity")
#: STIX counts no further.
_MOST_OBSERVED = 999_999_999

_Object = dict[str, Any]


def stix_pieces(contacts: Iterable[Contact]) -> Iterator[str]:
    """Yield the text of one bundle, an object a line, each object once.

    The bundle's id stands at its end, since it is a hash of what precedes it.
    """
    seen: set[str] = set()
    digest = hashlib.sha256()
    yield '{"type": "bundle", '
    before, after = '"objects": [', ""  # a list must not be empty
    for contact in contacts:
        for one in _objects(contact):
            if one["id"] in seen:
                continue
            if one["type"] in _SHARED:
                seen.add(one["id"])
            text = json.dumps(one, ensure_ascii=False)
            digest.update(text.encode())
            yield f"{before}\n{text}"
            before, after = ",", "\n], "
    bundle = uuid.uuid5(_OURS, digest.hexdigest())
    yield f'{after}"id": "bundle--{bundle}"}}\n'


def _objects(contact: Contact) -> Iterator[_Object]:
    """Yield the objects of a contact, each after those that it refers to."""
    version = f"ipv{contact.ip_version}"
    address = _observable(f"{version}-addr", value=contact.address)
    yield address
    traffic = list(_traffic(contact, address["id"], version))
    yield from traffic
    end = _time(contact.last + HOUR)
    common = {"created": end, "modified": end}
    labels = ["ddos-victim" if contact.role == VICTIM else "scanner", *contact.tools]
    labels += [f"country:{contact.country}"] if contact.country else []
    labels += [f"event:{contact.kind}"] if contact.kind else []
    yield _object(
        "observed-data",
        **common,
        first_observed=_time(contact.first),
        last_observed=end,
        number_observed=min(contact.packets, _MOST_OBSERVED),
        object_refs=[address["id"], *(one["id"] for one in traffic)],
        labels=labels,
    )
    holder = contact.holder
    if holder.asn is not None:
        named = {} if holder.as_name is None else {"name": holder.as_name}
        system = _observable("autonomous-system", number=holder.asn) | named
        yield system
        yield _relation(address, "belongs-to", system, common)
    if holder.organisation or holder.abuse:
        name = holder.organisation or holder.abuse
        contact_information = (
            {"contact_information": f"abuse: {holder.abuse}"} if holder.abuse else {}
        )
        identity = _object(
            "identity",
            name=name,
            identity_class="organization",
            **contact_information,
        )
        identity |= common
        yield identity
        yield _relation(address, "related-to", identity, common)


def _traffic(contact: Contact, source: str, version: str) -> Iterator[_Object]:
    """Yield traffic to each port that a source asks for, or from a victim's."""
    side = "src_port" if contact.role == VICTIM else "dst_port"
    for protocol, port in contact.ports:
        yield _observable(
            "network-traffic",
            src_ref=source,
            **{side: port},
            protocols=[version, protocol],
        )
    if not contact.ports:
        for protocol in contact.protocols:
            yield _observable(
                "network-traffic", src_ref=source, protocols=[version, protocol]
            )


def _relation(one: _Object, kind: str, other: _Object, common: _Object) -> _Object:
    ends = {"source_ref": one["id"], "target_ref": other["id"]}
    return _object("relationship", relationship_type=kind, **ends) | common


def _observable(kind: str, **fields: Any) -> _Object:
    """Return an observable; all of these fields contribute to its id."""
    return _named(kind, _OBSERVABLES, fields)


def _object(kind: str, **fields: Any) -> _Object:
    """Return another object, whose id is of its content."""
    return _named(kind, _OURS, fields)


def _named(kind: str, space: uuid.UUID, fields: _Object) -> _Object:
    # Text and integers only, so that this is the canonical form of RFC 8785.
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if space is _OURS:
        text = f"{kind}:{text}"
    name = f"{kind}--{uuid.uuid5(space, text)}"
    return {"type": kind, "spec_version": "2.1", "id": name, **fields}


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
