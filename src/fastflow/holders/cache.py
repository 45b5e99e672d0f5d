"""What registries said, kept on disk with the time at which they were asked."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from fastflow.caches import cache_directory
from fastflow.complete_file import complete_file
from fastflow.errors import FastflowError
from fastflow.holders.registration import Registration

#: Clocks of machines that share a cache may differ.
_AHEAD = timedelta(hours=1)


class RdapCache:
    """Answers on disk, a file for each.

    Parameters
    ----------
    lifetime : timedelta
        How long an answer holds.
    root : path or None
        Where it lies; None: in the directory of fastflow's caches.
    """

    def __init__(self, lifetime: timedelta, root: Path | None = None) -> None:
        self._lifetime = lifetime
        self._root = root or cache_directory() / "rdap"

    def registration(
        self, server: str, address: str, now: datetime
    ) -> Registration | None:
        """Return what a server, or whoever IANA names, said of an address.

        None: it was not asked, too long ago, or the file cannot be understood.
        """
        found = self._read(_path(server, address))
        with suppress(ValueError, TypeError, KeyError):
            registration = Registration.from_json(found)
            if self._holds(registration.asked, now):
                return registration
        return None

    def keep(self, server: str, address: str, registration: Registration) -> None:
        """Keep what was said."""
        self._write(_path(server, address), registration.to_json())

    def document(self, name: str, now: datetime) -> Any:
        """Return a document that was fetched; None: it was not, or too long ago."""
        found = self._read(f"{name}.json")
        with suppress(ValueError, TypeError, KeyError):
            if self._holds(datetime.fromisoformat(found["asked"]), now):
                return found["document"]
        return None

    def keep_document(self, name: str, document: Any, now: datetime) -> None:
        """Keep a document that was fetched."""
        kept = {"asked": now.isoformat(), "document": document}
        self._write(f"{name}.json", kept)

    def _holds(self, asked: datetime, now: datetime) -> bool:
        return -_AHEAD <= now - asked < self._lifetime

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self._root / name).read_bytes())
        except (OSError, ValueError, RecursionError):
            return None

    def _write(self, name: str, value: Any) -> None:
        path = self._root / name
        # A cache that cannot be written costs time, and nothing else.
        with suppress(OSError, FastflowError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with complete_file(path) as file:
                file.write(json.dumps(value, ensure_ascii=False).encode())


def _path(server: str, address: str) -> str:
    """Return the name of an answer's file; colons are not for names of files."""
    return f"{server.replace(':', '_')}/{address.replace(':', '_')}.json"
