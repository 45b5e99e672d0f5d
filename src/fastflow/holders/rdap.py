"""Registries asked by RDAP: slowly, for a limited time, and each address once.

All that is sent is the address that is looked up. whoisit reads the answers; its own
requests have no bound on size, redirects or the time of an answer, so they are made
here. Sources: RFC 7480 (use of HTTP), RFC 9082 (queries).
"""

from __future__ import annotations

import asyncio
import ipaddress
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastflow.errors import ConfigError
from fastflow.holders.cache import RdapCache
from fastflow.holders.holder import one_line
from fastflow.holders.http import (
    LaterError,
    MissingError,
    RedirectError,
    fetch_json,
    follow_redirect,
    need_packages,
    open_client,
)
from fastflow.holders.iana import IANA, read_services, server_of
from fastflow.holders.registration import Registration, UnusableError, read_answer

if TYPE_CHECKING:
    import httpx

_MOST_REDIRECTS = 3
#: Whoever says "later" without saying when is asked again after so many seconds.
_LATER_SECONDS = 5.0
#: After its time a look-up has so long to end.
_GRACE_SECONDS = 1.0
#: Why an address has no answer.
NOT_FOUND = "not found"
TIMED_OUT = "timed out"
NO_TIME = "not asked: the time for all look-ups is up"


@dataclass(frozen=True)
class RdapOptions:
    """How registries are asked.

    Attributes
    ----------
    server : str or None
        URL of the one server to ask; None: those that IANA names.
    per_second : float
        Requests to a server.
    one_seconds, all_seconds : float
        How long one look-up may take, and how long all of them.
    days : float
        How long an answer is kept.
    iana : str
        Where IANA's lists are.
    """

    server: str | None = None
    per_second: float = 1.0
    one_seconds: float = 10.0
    all_seconds: float = 60.0
    days: float = 30.0
    iana: str = IANA


class Rdap:
    """Asks registries who holds addresses.

    Parameters
    ----------
    options : RdapOptions
    cache : RdapCache or None
        Where answers are kept; None: in the directory of fastflow's caches.
    now : callable
        The clock.

    Raises
    ------
    ConfigError
        Packages are missing, or the server's URL is none.
    """

    def __init__(
        self,
        options: RdapOptions | None = None,
        cache: RdapCache | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        need_packages()
        self._options = options or RdapOptions()
        self._cache = cache or RdapCache(timedelta(days=self._options.days))
        self._now = now
        self._left = self._options.all_seconds
        self._turns: dict[str, float] = {}
        self._silent: dict[str, str] = {}
        server = self._options.server
        self._key = "iana" if server is None else _checked(server)
        #: Answers, and reasons for there being none, by address.
        self.found: dict[str, Registration | str] = {}

    def look_up(self, addresses: Iterable[str]) -> dict[str, Registration | str]:
        """Return what registries say of addresses, or why they say nothing.

        Nothing that a server does raises an error, and what is not answered when the
        time is up is not waited for: it can be asked again later.
        """
        wanted = list(dict.fromkeys(addresses))
        todo = [
            address
            for address in wanted
            if address not in self.found and not self._is_known(address)
        ]
        if todo:
            start = time.monotonic()
            _run(self._ask_all(todo), self._left + _GRACE_SECONDS)
            self._left -= time.monotonic() - start
        return {address: self.found[address] for address in wanted}

    def _is_known(self, address: str) -> bool:
        """Return whether an address need not be asked for."""
        if self._options.server is None and not _is_public(address):
            self.found[address] = "not asked: no public address"
            return True
        kept = self._cache.registration(self._key, address, self._now())
        if kept is not None:
            self.found[address] = kept if kept.is_found else NOT_FOUND
        return kept is not None

    async def _ask_all(self, addresses: list[str]) -> None:
        self.found.update(dict.fromkeys(addresses, NO_TIME))
        if self._left <= 0:
            return
        try:
            async with asyncio.timeout(self._left), open_client() as client:
                servers = await self._servers(client, addresses)
                await asyncio.gather(
                    *(
                        self._ask_server(client, server, its)
                        for server, its in servers.items()
                    )
                )
        except TimeoutError:
            pass  # what has no answer says so already

    async def _servers(
        self, client: httpx.AsyncClient, addresses: list[str]
    ) -> dict[str, list[str]]:
        """Return which addresses each server is asked for."""
        servers: dict[str, list[str]] = {}
        lists: dict[int, Any] = {}
        for address in addresses:
            server = self._options.server
            if server is None:
                version = ipaddress.ip_address(address).version
                if version not in lists:
                    lists[version] = await self._services(client, version)
                if isinstance(lists[version], str):
                    self.found[address] = lists[version]
                    continue
                server = server_of(lists[version], address)
            if server is None:
                self.found[address] = "not asked: IANA names no server"
            else:
                servers.setdefault(server, []).append(address)
        return servers

    async def _services(self, client: httpx.AsyncClient, version: int) -> Any:
        """Return the servers of a list of IANA's, or why there are none."""
        name = f"ipv{version}"
        document = self._cache.document(name, self._now())
        try:
            if document is not None:
                return read_services(document)
        except ValueError:
            pass  # it is fetched again
        url = f"{self._options.iana}{name}.json"
        try:
            async with asyncio.timeout(self._options.one_seconds):
                document = await fetch_json(client, url, self._now())
            services = read_services(document)
        except (TimeoutError, ValueError) as error:
            why = one_line(str(error)) or TIMED_OUT
            return f"not asked: IANA's list of servers, {url}: {why}"
        self._cache.keep_document(name, document, self._now())
        return services

    async def _ask_server(
        self, client: httpx.AsyncClient, server: str, addresses: list[str]
    ) -> None:
        """Ask one server, for one address after the other."""
        for address in addresses:
            if server in self._silent:
                self.found[address] = f"not asked: {self._silent[server]} before"
                continue
            try:
                found = await self._ask(client, server, address)
            except LaterError as error:
                # It said so twice, and is left alone.
                self.found[address] = self._silent[server] = one_line(str(error))
            except UnusableError as error:
                self.found[address] = one_line(str(error))
            except TimeoutError:
                pass
            else:
                self.found[address] = found if found.is_found else NOT_FOUND
                self._cache.keep(self._key, address, found)

    async def _ask(
        self, client: httpx.AsyncClient, server: str, address: str
    ) -> Registration:
        """Return what a server, or one that it redirects to, says of an address."""
        url = f"{server.rstrip('/')}/ip/{address}"
        left, n_redirects, was_late = self._options.one_seconds, 0, False
        while True:
            await self._turn(url)
            self.found[address] = TIMED_OUT  # until something else is known
            start = time.monotonic()
            try:
                async with asyncio.timeout(left):
                    answer = await fetch_json(client, url, self._now())
                    break
            except MissingError:
                return Registration(
                    None, None, None, _name(url), self._now(), is_found=False
                )
            except RedirectError as redirect:
                n_redirects += 1
                if n_redirects > _MOST_REDIRECTS:
                    raise UnusableError("redirected too often") from redirect
                async with asyncio.timeout(left):
                    url = await follow_redirect(url, redirect.location)
            except LaterError as later:
                if was_late:
                    raise
                was_late = True
                wait = _LATER_SECONDS if later.seconds is None else later.seconds
                if wait > self._options.one_seconds:
                    raise
                await asyncio.sleep(wait)
                left += wait  # of which nothing is spent on an answer
            left -= time.monotonic() - start
        return read_answer(answer, address, _name(url), self._now())

    async def _turn(self, url: str) -> None:
        """Wait until the host of a URL may be asked again."""
        host = urlsplit(url).netloc
        now = time.monotonic()
        turn = max(now, self._turns.get(host, now))
        self._turns[host] = turn + 1 / self._options.per_second
        await asyncio.sleep(turn - now)

    @property
    def source(self) -> str | None:
        """Who answered and when, as one line; None: nobody did."""
        answers = [one for one in self.found.values() if isinstance(one, Registration)]
        if not answers:
            return None
        servers = ", ".join(sorted({one.server for one in answers}))
        days = sorted({f"{one.asked:%Y-%m-%d}" for one in answers})
        when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        return f"RDAP ({servers}), asked {when}"

    @property
    def remark(self) -> str | None:
        """How many addresses have no answer, and why, as one line; None: all have."""
        reasons = Counter(one for one in self.found.values() if isinstance(one, str))
        if not reasons:
            return None
        parts = [f"{n:,} {reason}" for reason, n in sorted(reasons.items())]
        return (
            f"RDAP says nothing of {reasons.total():,} of {len(self.found):,} "
            f"addresses: {'; '.join(parts)}"
        )


def _run(work: Coroutine[Any, Any, None], seconds: float) -> None:
    """Run something to its end, for so long at most.

    In a thread: the resolver of names cannot be interrupted, and asyncio waits for it.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="rdap", daemon=True)
    thread.start()
    thread.join(max(seconds, _GRACE_SECONDS))
    if raised:
        raise raised[0]


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_global and not parsed.is_multicast


def _name(url: str) -> str:
    """Return the host of a URL, with its port, and without any password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _checked(server: str) -> str:
    """Return a server's URL as a name for its answers in the cache."""
    try:
        parts = urlsplit(server)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https"):
        raise ConfigError(
            f"{server}: no RDAP server; write its URL, as https://rdap.example/rdap"
        )
    path = parts.path.strip("/").replace("/", "_")
    return "_".join(filter(None, (parts.scheme, host, str(port or ""), path)))
