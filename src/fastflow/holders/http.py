"""One HTTP request, with bounds on all that a server could do to us."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from fastflow._version import __version__
from fastflow.errors import ConfigError
from fastflow.holders.registration import UnusableError

if TYPE_CHECKING:
    from datetime import datetime

    import httpx

#: An answer about a network has some kilobytes.
MOST_BYTES = 1 << 20
_REDIRECTS = {301, 302, 303, 307, 308}
_HEADERS = {
    "Accept": "application/rdap+json, application/json",
    # What is compressed may grow a thousandfold before it is counted.
    "Accept-Encoding": "identity",
    "User-Agent": f"fastflow/{__version__}",
}


def need_packages() -> None:
    """Raise ConfigError where the packages that ask registries are not installed."""
    try:
        import httpx  # noqa: F401
        import whoisit  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "RDAP takes more packages: pip install 'fastflow[report]'"
        ) from error


class MissingError(UnusableError):
    """The server has nothing at this place (404)."""


class LaterError(UnusableError):
    """The server wants to be asked later.

    Attributes
    ----------
    seconds : float or None
        When, if it said so.
    """

    def __init__(self, message: str, seconds: float | None) -> None:
        super().__init__(message)
        self.seconds = seconds


class RedirectError(UnusableError):
    """The server names another place.

    Attributes
    ----------
    location : str
        Where, as it says.
    """

    def __init__(self, location: str) -> None:
        super().__init__("redirected")
        self.location = location


def open_client() -> httpx.AsyncClient:
    """Return a client; proxies are those of the environment."""
    import httpx

    # The time of a request as a whole is bounded by whoever makes it.
    return httpx.AsyncClient(headers=_HEADERS, follow_redirects=False, timeout=None)


async def fetch_json(client: httpx.AsyncClient, url: str, now: datetime) -> Any:
    """Return the JSON document at a URL.

    Raises
    ------
    MissingError
        There is none.
    RedirectError, LaterError
        The server wants another request, elsewhere or later.
    UnusableError
        It cannot be reached, or its answer is none.
    """
    import httpx

    try:
        async with client.stream("GET", url) as response:
            status, headers = response.status_code, response.headers
            if status == 404:
                raise MissingError("answered 404")
            if status in _REDIRECTS and "location" in headers:
                raise RedirectError(headers["location"])
            if status in (429, 503):
                after = retry_after(headers.get("retry-after", ""), now)
                raise LaterError(f"answered {status}, asked too often", after)
            if status != 200:
                raise UnusableError(f"answered {status}")
            if headers.get("content-encoding", "identity") != "identity":
                raise UnusableError("answered compressed, which was not asked for")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise UnusableError(f"answered with more than {MOST_BYTES:,} bytes")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        kind = type(error).__name__
        raise UnusableError(f"cannot be reached ({str(error) or kind})") from error
    try:
        return json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        raise UnusableError("answered what is no JSON") from error


def retry_after(text: str, now: datetime) -> float | None:
    """Return the seconds to wait by a header Retry-After (RFC 9110, 10.2.3)."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


async def follow_redirect(url: str, location: str) -> str:
    """Return where a server sends us, if that is its own or public.

    A registry may name another one; it has no say in what else this machine can reach,
    nor may it turn encryption off.

    Raises
    ------
    UnusableError
        It is neither.
    """
    try:
        target = urljoin(url, location)
        old, new = urlsplit(url), urlsplit(target)
        host, port = new.hostname, new.port
    except ValueError as error:
        raise UnusableError("redirected to what is no URL") from error
    # An address with a zone ("%") is of this machine's own links.
    if host is None or "%" in host or new.scheme not in ("http", "https"):
        raise UnusableError("redirected to what is no URL")
    if (old.scheme, new.scheme) == ("https", "http"):
        raise UnusableError(f"redirected to {host}, without encryption")
    if host != old.hostname and not await _is_public(host, port):
        raise UnusableError(f"redirected to {host}, which is no public server")
    return target


async def _is_public(host: str, port: int | None) -> bool:
    """Return whether all addresses of a host are public, as far as it has any."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port)
    except (OSError, UnicodeError):
        return True  # a proxy may know the name; otherwise the request will fail
    addresses = [
        ipaddress.ip_address(str(one[0]).partition("%")[0]) for *_, one in found
    ]
    return all(address.is_global for address in addresses)
