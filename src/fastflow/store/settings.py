"""What a store records when it is made: rows reduced otherwise would not add up."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from fastflow.errors import ConfigError, StoreError
from fastflow.filter_text import describes_addresses
from fastflow.schema import ROW_TABLES

#: What a fastflow must know to write into a store, and the version that says so. A new
#: store is of the newest; an older one becomes that with the first commit that has such
#: a thing (`Table.commit`). Who does not know of days (`store/expire.py`) misreads
#: them; who does not know of `backscatter` leaves its rows of an input there that
#: another one supersedes.
NEEDED_VERSIONS = {"daily": 2, "backscatter": 3}
SCHEMA_VERSION = max(NEEDED_VERSIONS.values())


@dataclass(frozen=True)
class Settings:
    """How every capture of a store is reduced.

    Attributes
    ----------
    filter : str or None
        The expression that a packet must match; if it may name a sensor's address,
        only a hash of it (see `hidden_filter`).
    decap : str or None
        The tunnels that are opened before counting, with commas.
    min_time_s, max_time_s : int
        The plausible packet times, seconds since 1970 UTC, the second exclusive.
    sources : bool
        Whether the source addresses are kept, those of victims included.
    """

    filter: str | None = None
    decap: str | None = None
    min_time_s: int = 631_152_000  # 1990-01-01
    max_time_s: int = 4_102_444_800  # 2100-01-01
    sources: bool = True
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def make(cls, named: Mapping[str, Any] | None) -> Self:
        """Return the settings of a new store: what was named, and the defaults."""
        _check_names(named or {})
        settings = replace(cls(), **(named or {}))
        if settings.filter and describes_addresses(settings.filter):
            settings = replace(settings, filter=hidden_filter(settings.filter))
        return settings

    @classmethod
    def from_json(cls, text: str, path: str) -> Self:
        """Read the settings of the store at `path`.

        Raises
        ------
        StoreError
            A newer fastflow made the store, or the settings are damaged.
        """
        try:
            document = json.loads(text)
            version = int(document["schema_version"])
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path}: the store's settings are damaged") from error
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{path}: a newer fastflow made this store (schema version {version}, "
                f"this one knows {SCHEMA_VERSION}); install a newer fastflow"
            )
        known = {field.name for field in fields(cls)}
        return cls(**{name: document[name] for name in known & document.keys()})

    @property
    def row_tables(self) -> tuple[str, ...]:
        """The tables that rows of inputs are kept in."""
        return tuple(
            name
            for name, schema in ROW_TABLES.items()
            if self.sources or "src" not in schema.names
        )

    def to_json(self) -> str:
        """Return the settings as the Delta table's configuration holds them."""
        return json.dumps(asdict(self), sort_keys=True)

    def check_same(self, named: Mapping[str, Any] | None, path: str) -> None:
        """Refuse settings that differ from those the store was made with.

        Raises
        ------
        ConfigError
            A named setting has another value in the store.
        """
        _check_names(named or {})
        for name, value in (named or {}).items():
            made_with = getattr(self, name)
            if name == "filter" and _is_secret(made_with, value):
                if not _is_same_secret(made_with, value):
                    raise ConfigError(f"{path}: the store was made with another filter")
            elif value != made_with:
                raise ConfigError(
                    f"{path}: the store was made with {name} = {_text(made_with)}, "
                    f"not {_text(value)}; leave the option out, or make another store"
                )


_HIDDEN = "scrypt"


def hidden_filter(expression: str, like: str | None = None) -> str:
    """Return a hash of a filter, for a log that must not tell a sensor's address.

    Slow on purpose (scrypt, RFC 7914: 16 MiB, some 50 ms): there are few addresses.

    Parameters
    ----------
    like : str or None
        A hash to compare with, whose salt is taken; None: a new salt.
    """
    salt = like.split("$")[1] if like else secrets.token_hex(8)
    digest = hashlib.scrypt(
        expression.encode(), salt=bytes.fromhex(salt), n=1 << 14, r=8, p=1, dklen=16
    )
    return f"{_HIDDEN}${salt}${digest.hex()}"


def is_hidden(filter: str | None) -> bool:
    """Return whether a store's filter is only known by its hash."""
    return filter is not None and filter.startswith(f"{_HIDDEN}$")


def _is_secret(made_with: str | None, named: str | None) -> bool:
    """Return whether one of two filters may name a sensor's address."""
    return is_hidden(made_with) or bool(named and describes_addresses(named))


def _is_same_secret(made_with: str | None, named: str | None) -> bool:
    if made_with is None or named is None or not is_hidden(made_with):
        return False
    return hidden_filter(named, made_with) == made_with


def _check_names(named: Mapping[str, Any]) -> None:
    known = [field.name for field in fields(Settings) if field.name != "schema_version"]
    for name in named:
        if name not in known:
            raise ConfigError(
                f"a store has no setting {name!r}; it has {', '.join(known)}"
            )


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
