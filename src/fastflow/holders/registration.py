"""What a registry says of an address: the RDAP answer, read for holder and contact.

Source: RFC 9083 (JSON Responses for RDAP), RFC 7095 (jCard). Reading is whoisit's part.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from fastflow.holders.holder import one_line

_MAIL = re.compile(r"[^@\s<>\"]{1,64}@[^@\s<>\"]{1,250}")
_TEXTS = ("organisation", "network", "abuse", "server")


class UnusableError(ValueError):
    """An answer that tells nothing of the address; the message says why."""


@dataclass(frozen=True)
class Registration:
    """What a registry said, and when.

    Attributes
    ----------
    organisation : str or None
        The registrant, else what the network is described as, else its name.
    network : str or None
        CIDR, or first and last address.
    abuse : str or None
        Mail address of the contact with the role `abuse`.
    server : str
        Who said it.
    asked : datetime.datetime
        UTC.
    is_found : bool
        The registry knows the address.
    """

    organisation: str | None
    network: str | None
    abuse: str | None
    server: str
    asked: datetime
    is_found: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the registration as values for JSON."""
        return asdict(self) | {"asked": self.asked.isoformat()}

    @classmethod
    def from_json(cls, value: Any) -> Registration:
        """Return the registration of such values.

        Raises
        ------
        ValueError, TypeError, KeyError
            They are of no registration.
        """
        asked = datetime.fromisoformat(value["asked"])
        if asked.tzinfo is None or not isinstance(value["is_found"], bool):
            raise ValueError("a time without a zone, or no truth value")
        texts = {name: value[name] for name in _TEXTS}
        for name, text in texts.items():
            if not isinstance(text, str) and (text is not None or name == "server"):
                raise TypeError(f"{name} is no text")
        return cls(**texts, asked=asked, is_found=value["is_found"])


def read_answer(
    answer: Any, address: str, server: str, asked: datetime
) -> Registration:
    """Return what an answer says of an address.

    Parameters
    ----------
    answer : Any
        The JSON document, which may be anything.
    address : str
        What was asked for.
    server : str
        Who answered.
    asked : datetime.datetime
        When, UTC.

    Raises
    ------
    UnusableError
        It is no answer about this address.
    """
    from whoisit import parse
    from whoisit.bootstrap import Bootstrap

    try:
        parsed = parse(Bootstrap(), "ip", address, answer)
        network = _network(parsed, address)
        organisation, abuse = _organisation(parsed), _abuse(parsed)
    except UnusableError:
        raise
    except Exception as error:
        # whoisit takes an answer to be well formed, and trips over others in many ways.
        kind = type(error).__name__
        raise UnusableError(f"answered what cannot be understood ({kind})") from error
    return Registration(organisation, network, abuse, server, asked)


def _organisation(parsed: dict[str, Any]) -> str | None:
    registrants = parsed["entities"].get("registrant", [])
    # RIPE lists maintainers of the entry here, as individuals called by their handle.
    registrants = [
        one
        for one in registrants
        if one.get("kind") != "individual" or one.get("name") != one.get("handle")
    ]
    registrants.sort(key=lambda one: one.get("kind") != "org")
    names = [one.get("organisation") or one.get("name") for one in registrants]
    # APNIC and JPNIC put the holder into a description.
    names += [
        line
        for remark in parsed["remarks"]
        if remark["title"].lower() == "description"
        for line in remark["description"][:1]
    ]
    names.append(parsed["name"])
    lines = (one_line(name) for name in names if isinstance(name, str))
    return next(filter(None, lines), None)


def _abuse(parsed: dict[str, Any]) -> str | None:
    for entity in parsed["entities"].get("abuse", []):
        for mail in entity.get("emails", []):
            if _MAIL.fullmatch(mail) and mail.isprintable():
                return str(mail)
    return None


def _network(parsed: dict[str, Any], address: str) -> str:
    """Return the network, which the address must lie in."""
    if parsed["type"] != "ip network":
        raise UnusableError("answered about something else")
    try:
        first = ipaddress.ip_address(parsed["start_address"])
        last = ipaddress.ip_address(parsed["end_address"])
        asked = ipaddress.ip_address(address)
        is_inside = first.version == asked.version and int(first) <= int(asked) <= int(
            last
        )
        networks = [*ipaddress.summarize_address_range(first, last)]
    except (ValueError, TypeError) as error:
        raise UnusableError("answered without a range of addresses") from error
    if not is_inside:
        raise UnusableError("answered about other addresses")
    return str(networks[0]) if len(networks) == 1 else f"{first} - {last}"
