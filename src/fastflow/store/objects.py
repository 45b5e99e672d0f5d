"""A store in a bucket of S3, or of what speaks its protocol.

An object is there as a whole or not at all, and a commit is an object that is written
only if there is none of its name: nothing else is asked of the endpoint. What S3 lacks
are locks. So the name of every data file has a mark of whoever put it there: nobody
else commits it, or removes it before a day has passed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import obstore
from blake3 import blake3
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from fastflow.caches import cache_directory
from fastflow.errors import ConfigError, StoreError
from fastflow.store.cache import Cache
from fastflow.store.durable import NewFile
from fastflow.store.entry import Action, encode
from fastflow.store.log import LOG
from fastflow.store.place import MakeTable

#: How long an object that no commit names may be that of a run that is alive.
GRACE = timedelta(hours=24)

#: How long a request may take, how often it is made (over some six seconds, if the
#: endpoint refuses at once), and until when it is begun again.
_REQUEST_S = 60
_CONNECT_S = 5
_ATTEMPTS = 7
_RETRIES_S = 60

#: Bytes that one request asks for: what comes within its time on a slow line.
_PART_BYTES = 16 << 20

#: Characters that need no escape anywhere on the way of a name.
_URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9_.=-]+)*/?", re.ASCII)


def _options() -> dict[str, str]:
    """Return what deltalake is told beside the variables AWS_*, which it reads."""
    attempts = os.environ.get("AWS_MAX_ATTEMPTS", "")
    n_attempts = int(attempts) if attempts.isdecimal() else _ATTEMPTS
    options = {
        "timeout": f"{_REQUEST_S}s",
        "connect_timeout": f"{_CONNECT_S}s",
        "max_retries": str(max(n_attempts, 1) - 1),
        "retry_timeout": f"{_RETRIES_S}s",
    }
    if _endpoint().startswith("http://"):
        options["allow_http"] = "true"
    return options


def _object_store(url: str, options: dict[str, str]) -> S3Store:
    """Return the client for all but commits; it reads the same variables."""
    client: Any = {
        name: options[name]
        for name in ("timeout", "connect_timeout", "allow_http")
        if name in options
    }
    return S3Store.from_url(
        url,
        client_options=client,
        retry_config={
            "max_retries": int(options["max_retries"]),
            "retry_timeout": timedelta(seconds=_RETRIES_S),
        },
        # One by one: not every endpoint knows how to delete several at once.
        disable_bulk_delete=True,
    )


def _endpoint() -> str:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


class Objects:
    """A bucket, or what has a common prefix in it.

    See `fastflow.store.place.Place` for what the methods do.

    Parameters
    ----------
    url : str
        `s3://bucket/prefix`.

    Raises
    ------
    ConfigError
        It is none.
    """

    def __init__(self, url: str) -> None:
        if not _URL.fullmatch(url):
            raise ConfigError(
                f"{url}: not a bucket's address; write s3://bucket/prefix, with "
                "letters, digits and _ . = - in the names"
            )
        self._url = url.rstrip("/")
        self._options = _options()
        self._store = _object_store(self._url, self._options)
        self._cache = Cache(cache_directory() / "store")
        # Files of the last commit, unless another process made that version.
        self._may_be_named: set[str] = set()

    def __str__(self) -> str:
        """Return the URL."""
        return self._url

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Blame the endpoint, the keys, the bucket, or the disk here."""
        try:
            yield
        except TableNotFoundError:
            raise
        except (BaseError, DeltaError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise StoreError(
                    f"{error.filename or self._cache.own}: cannot write here "
                    f"({error.strerror}); check free space, or set XDG_CACHE_HOME"
                ) from error
            # Without the cause: in its text an endpoint may repeat what it was sent.
            raise StoreError(f"{self}: {_remedy(str(error))}") from None

    def exists(self) -> bool:
        """Ask deltalake."""
        with self.errors():
            return DeltaTable.is_deltatable(self._url, self._options)

    def prepare(self) -> None:
        """Do nothing: no object is torn."""

    def create(self, make: MakeTable) -> None:
        """Let deltalake make it, if the endpoint keeps one commit from another."""
        with self.errors():
            self._check_conditional_put()
            try:
                make(self._url, self._options)
            except DeltaError:
                if not self.exists():
                    raise

    def _check_conditional_put(self) -> None:
        """Refuse an endpoint where the second of two equal commits hides the first."""
        with self._probe() as name:
            try:
                obstore.put(self._store, name, b"", mode="create")
            except AlreadyExistsError:
                return
        raise StoreError(
            f"{self}: this endpoint writes over an object although it was told not to "
            "(If-None-Match), so that commits could be lost; take another endpoint"
        )

    @contextmanager
    def _probe(self) -> Iterator[str]:
        """Make an object that is gone when the block ends."""
        name = f".{secrets.token_hex(8)}.tmp"
        obstore.put(self._store, name, b"")
        try:
            yield name
        finally:
            obstore.delete(self._store, name)

    def open(self) -> DeltaTable:
        """Let deltalake open it."""
        with self.errors():
            return DeltaTable(self._url, storage_options=self._options)

    def update(self, delta: DeltaTable) -> bool:
        """Look for an entry that follows: one request, where deltalake needs more."""
        with self.errors():
            try:
                obstore.head(self._store, _entry_name(delta.version() + 1))
            except FileNotFoundError:
                return False
            delta.update_incremental()
            return True

    def settle(self) -> None:
        """Do nothing: an object that can be seen is there for good."""

    def commit(
        self, delta: DeltaTable, operation: str, actions: Sequence[Action]
    ) -> None:
        """Put the entry there, if there is none; after an error look whether it is."""
        self._may_be_named = {one["add"]["path"] for one in actions if "add" in one}
        version = delta.version() + 1
        data = encode(version, operation, actions)
        try:
            with self.errors():
                name = _entry_name(version)
                obstore.put(self._store, name, data, mode="create", use_multipart=False)
        except StoreError as error:
            if self._entry(version, error) != data:
                self._may_be_named.clear()
                raise FileExistsError(_entry_name(version)) from None

    def _entry(self, version: int, failure: StoreError) -> bytes:
        """Return the entry of a version, after it could not be written.

        Raises
        ------
        StoreError
            There is none, or the endpoint has gone.
        """
        try:
            return bytes(obstore.get(self._store, _entry_name(version)).bytes())
        except (BaseError, OSError):
            # The request may still be on its way: its files have to stay.
            raise StoreError(
                f"{failure}. Whether this was committed is not known; the same command "
                "again finds it out, and does what is missing"
            ) from None

    def newest_checkpoint(self) -> int:
        """Read what deltalake notes of it."""
        with self.errors():
            try:
                noted = obstore.get(self._store, f"{LOG}/_last_checkpoint").bytes()
            except FileNotFoundError:
                return -1
            return int(json.loads(bytes(noted))["version"])

    def checkpoint(self, delta: DeltaTable) -> None:
        """Let deltalake write it: it is one object."""
        with suppress(DeltaError, OSError):
            delta.create_checkpoint()

    def log_faults(self) -> dict[str, str]:
        """Return none: an entry is whole, and deltalake reads all that are needed."""
        return {}

    def new_file(self, directory: str) -> NewFile:
        """Make it on this machine; it is uploaded when it is shown."""
        return _Upload(self._cache.own, directory, self._upload)

    def _upload(self, path: Path, name: str) -> None:
        with self.errors():
            obstore.put(self._store, name, path, max_concurrency=4)

    def fetch(self, names: Iterable[str]) -> list[Path]:
        """Return copies."""
        return self._cache.fetch(names, self._download)

    def _download(self, name: str, file: BinaryIO) -> None:
        with self.errors():
            try:
                for part in self._parts(name):
                    file.write(part)
            except FileNotFoundError:
                raise StoreError(
                    f"{self}/{name}: this file of the store is missing; "
                    "`fastflow store verify` says which captures it came from"
                ) from None

    def _parts(self, name: str) -> Iterator[obstore.Bytes]:
        """Yield the content of an object."""
        offset, n_bytes = 0, 1
        while offset < n_bytes:
            wanted = (offset, offset + _PART_BYTES)
            part = obstore.get(self._store, name, options={"range": wanted})
            n_bytes = part.meta["size"]
            yield part.bytes()
            offset += _PART_BYTES

    def hash_of(self, name: str) -> str:
        """Read the object, not a copy."""
        digest = blake3()
        try:
            for part in self._parts(name):
                digest.update(part)
        except BaseError as error:
            # Not an OSError, which would say that the object is damaged.
            raise StoreError(f"{self}: {_remedy(str(error))}") from None
        return digest.hexdigest(length=8)

    def found(self, directories: Iterable[str]) -> list[str]:
        """List the objects; temporaries are those of `_probe`."""
        ours = tuple(f"{directory}/" for directory in directories)
        with self.errors():
            names = [one["path"] for page in obstore.list(self._store) for one in page]
        return [name for name in names if name.startswith(ours) or name.startswith(".")]

    def is_held(self, name: str) -> bool:
        """Return whether it is younger than a day."""
        with self.errors():
            return self._is_younger(name, self._now())

    def _is_younger(self, name: str, now: datetime) -> bool:
        try:
            put = obstore.head(self._store, name)["last_modified"]
        except FileNotFoundError:
            return False
        return now - put < GRACE

    def _now(self) -> datetime:
        """Return the endpoint's time: the clock of a sensor may be years wrong."""
        with self._probe() as name:
            return obstore.head(self._store, name)["last_modified"]

    def remove_orphans(
        self, names: Iterable[str], are_named: Callable[[], set[str]]
    ) -> None:
        """Remove what was put there so long ago that its run has ended."""
        names = set(names) - are_named()
        if not names:
            return
        with self.errors():
            now = self._now()
            for name in names:
                if not self._is_younger(name, now):
                    self._delete(name)

    def discard(self, names: Iterable[str], are_named: Callable[[], set[str]]) -> None:
        """Remove them, since nobody else commits them; not if a commit may have."""
        # What stays, because the endpoint has gone, `remove_orphans` finds tomorrow.
        with suppress(BaseError, OSError):
            for name in set(names) - self._may_be_named:
                self._delete(name)

    def _delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            obstore.delete(self._store, name)


class _Upload(NewFile):
    """A file on this machine that becomes an object when it is shown."""

    def __init__(
        self, directory: Path, prefix: str, upload: Callable[[Path, str], None]
    ) -> None:
        super().__init__(directory)
        self._prefix = prefix
        self._upload = upload

    def show(self, name: str) -> str:
        """Upload it, under a name that nobody else gives."""
        stem = name.removesuffix(".parquet")
        name = f"{stem}.{secrets.token_hex(8)}.parquet"
        self._upload(self.path, f"{self._prefix}/{name}")
        return name


def _entry_name(version: int) -> str:
    return f"{LOG}/{version:020}.json"


#: What an error's text tells, and what to do about it; the first that matches.
_REMEDIES = (
    (r"NoSuchBucket", "there is no such bucket; make it, or name another"),
    (
        r"169\.254\.|[Cc]redential",
        "there are no keys; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    (
        r"InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|\b40[13] [A-Z]",
        "the endpoint refuses the keys; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
        "and what they may do in this bucket",
    ),
    (
        r"[Rr]edirect|AuthorizationHeaderMalformed",
        "the bucket is of another region; set AWS_REGION",
    ),
    (
        r"sending request|HTTP error",
        "the endpoint{at} does not answer; check AWS_ENDPOINT_URL and the network",
    ),
)


def _remedy(text: str) -> str:
    """Return what is wrong and what to do, without what the endpoint said."""
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, text):
            host = urlsplit(_endpoint()).netloc.rpartition("@")[2]
            return remedy.format(at=f" at {host}" if host else "")
    status = re.search(r"\b[45]\d\d [A-Z][A-Za-z ]+", text)
    code = re.search(r"<Code>(\w+)</Code>", text)
    found = [match for match in (status and status[0], code and code[1]) if match]
    what = ", ".join(found) or re.split(r"[<{\n]", text)[0].strip()
    return f"the endpoint cannot do it ({what}); try again, or ask who runs it"
