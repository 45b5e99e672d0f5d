"""Which RDAP server is asked for an address: IANA's lists.

Source: RFC 9224 (Finding the Authoritative RDAP Service).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

#: Where IANA publishes `ipv4.json` and `ipv6.json`.
IANA = "https://data.iana.org/rdap/"

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def read_services(document: Any) -> list[tuple[_Network, str]]:
    """Return the networks of a list, the narrowest first, and their servers.

    Raises
    ------
    ValueError
        It is no such list.
    """
    try:
        found = list(_services(document))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("this is no list of RDAP servers") from error
    if not found:
        raise ValueError("the list names no RDAP server")
    return sorted(found, key=lambda one: -one[0].prefixlen)


def _services(document: Any) -> Iterator[tuple[_Network, str]]:
    for prefixes, urls in document["services"]:
        # Of several the one that is encrypted, as section 3 of the RFC has it.
        safe = [url for url in urls if url.startswith("https://")]
        for prefix in prefixes if safe else ():
            yield ipaddress.ip_network(prefix), safe[0]


def server_of(services: list[tuple[_Network, str]], address: str) -> str | None:
    """Return the server that knows an address; None: no registry has it."""
    asked = ipaddress.ip_address(address)
    return next((url for network, url in services if asked in network), None)
