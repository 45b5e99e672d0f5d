"""Tables from ranges of addresses to autonomous systems and who runs them.

Read are MMDB files (GeoLite2-ASN, DB-IP ASN, IPinfo), CSV as ip-location-db and DB-IP
publish it (`first,last,asn,organisation`), and TSV as iptoasn.com does (with a country
before the organisation). CSV and TSV may be compressed by gzip.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import socket
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastflow.addresses import ADDRESS_BYTES, MAPPED_PREFIX
from fastflow.errors import ConfigError, DataFileError
from fastflow.holders.holder import one_line
from fastflow.stages.country_sources import is_mmdb

#: Number and name of an autonomous system.
System = tuple[int | None, str | None]

_REMEDY = (
    "take an ASN table: MMDB, CSV `first,last,asn,organisation`, or TSV of iptoasn.com"
)
_ADDRESS = np.dtype(f"S{ADDRESS_BYTES}")
_IPV4_END = 1 << 32
_DAY = re.compile(r"(20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])")
_MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")
#: Of the records of an MMDB file so many are looked at to see what it holds.
_PROBED = 1000
_NUMBER_FIELDS = ("autonomous_system_number", "asn", "as_number")
_NAME_FIELDS = (
    "autonomous_system_organization",
    "as_name",
    "as_organization",
    "name",
    "organization",
    "org",
)


class AsnTable(Protocol):
    """A table of autonomous systems.

    Attributes
    ----------
    name : str
        What it is, with its version if it has one.
    date : str or None
        The day, or month, of its data, when that is known.
    """

    name: str
    date: str | None

    def look_up(self, addresses: Sequence[str]) -> list[System]:
        """Return the system of each address; (None, None): the table has none."""
        ...


def open_asn_table(path: Path) -> AsnTable:
    """Open a table, whatever its format.

    Raises
    ------
    ConfigError
        There is no such file.
    DataFileError
        It is damaged, or no such table.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; {_REMEDY}")
    try:
        return MmdbTable(path) if is_mmdb(path) else RangeTable(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


class MmdbTable:
    """A MaxMind DB file; it is searched where it lies."""

    def __init__(self, path: Path) -> None:
        import maxminddb

        self._path = path
        self._damage = maxminddb.InvalidDatabaseError, OverflowError
        try:
            self._reader = maxminddb.open_database(path)
            metadata = self._reader.metadata()
            built = datetime.fromtimestamp(metadata.build_epoch, UTC)
            self._check()
        except (*self._damage, ValueError) as error:
            raise self._damaged(error) from error
        self.name = metadata.database_type or path.name
        self.date: str | None = built.date().isoformat()

    def look_up(self, addresses: Sequence[str]) -> list[System]:
        """Return the system of each address."""
        return [self._system(address) for address in addresses]

    def _system(self, address: str) -> System:
        try:
            return _of_record(self._reader.get(address))
        except self._damage as error:
            raise self._damaged(error) from error
        except ValueError:  # IPv6, and the table has IPv4 only
            return None, None

    def _check(self) -> None:
        for number, (_, record) in enumerate(self._reader):
            if _of_record(record) != (None, None):
                return
            if number == _PROBED:
                break
        raise DataFileError(f"{self._path}: holds no organisations; {_REMEDY}")

    def _damaged(self, error: Exception) -> DataFileError:
        return DataFileError(
            f"{self._path}: damaged MMDB file ({error}); fetch it again"
        )


def _of_record(record: Any) -> System:
    """Return number and name in a record, whose layout depends on the maker."""
    if not isinstance(record, dict):
        return None, None
    number, name = None, None
    for field in _NUMBER_FIELDS:
        text = str(record.get(field, "")).upper().removeprefix("AS")
        if text.isascii() and text.isdigit():
            number = int(text)
            break
    for field in _NAME_FIELDS:
        value = record.get(field)
        if isinstance(value, str) and value:
            name = one_line(value)
            break
    return number, name


class RangeTable:
    """Ranges read from CSV or TSV, searched by bisection.

    Where ranges overlap, the one that begins last holds, as the narrower one of two
    that lie within each other does.
    """

    def __init__(self, path: Path) -> None:
        starts, ends, systems, self._systems = _read(path)
        first, last = np.array(starts, _ADDRESS), np.array(ends, _ADDRESS)
        widest = (~last.view(np.uint8)).view(_ADDRESS)
        order = np.lexsort((widest, first))
        self._starts, self._ends = first[order], last[order]
        self._which = np.array(systems, np.int32)[order]
        self._around = _enclosing(self._ends)
        self.name, self.date = _name_and_date(path)

    def look_up(self, addresses: Sequence[str]) -> list[System]:
        """Return the system of each address."""
        wanted = np.array([_packed(address) for address in addresses], _ADDRESS)
        found = np.searchsorted(self._starts, wanted, side="right") - 1
        # An index of -1 is no range, and stays so.
        missed = (found >= 0) & (self._ends[found] < wanted)
        while missed.any():
            found = np.where(missed, self._around[found], found)
            missed = (found >= 0) & (self._ends[found] < wanted)
        return [
            (None, None) if place < 0 else self._systems[self._which[place]]
            for place in found.tolist()
        ]


def _enclosing(ends: npt.NDArray[np.bytes_]) -> npt.NDArray[np.int32]:
    """Return for each range the last one before it that ends later; -1: none."""
    around = np.full(len(ends), -1, np.int32)
    if (ends[1:] >= ends[:-1]).all():
        return around
    texts, open_ones = ends.tolist(), list[int]()
    for place, end in enumerate(texts):
        while open_ones and texts[open_ones[-1]] <= end:
            open_ones.pop()
        if open_ones:
            around[place] = open_ones[-1]
        open_ones.append(place)
    return around


def _read(path: Path) -> tuple[list[bytes], list[bytes], list[int], list[System]]:
    """Return first and last addresses, and places in the list of systems."""
    starts, ends, which = list[bytes](), list[bytes](), list[int]()
    places: dict[tuple[int, str], int] = {}
    systems: list[System] = []
    for number, row in _lines(path):
        try:
            first, last, asn, name = _fields(row)
        except (ValueError, OverflowError) as error:
            if number == 1 and not any(map(str.isdigit, row[0])):
                continue  # a heading
            raise DataFileError(
                f"{path}: line {number} is not `first,last,asn,organisation`; {_REMEDY}"
            ) from error
        if asn == 0:
            continue  # iptoasn.com lists what is not routed
        if (place := places.get((asn, name))) is None:
            place = places[asn, name] = len(systems)
            systems.append((asn, one_line(name) or None))
        starts.append(first)
        ends.append(last)
        which.append(place)
    if not starts:
        raise DataFileError(f"{path}: holds no organisations; {_REMEDY}")
    return starts, ends, which, systems


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of each line, and its number."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    opener: Any = gzip.open if is_gzip else open
    number = 0
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as text:
            is_tsv = "\t" in text.readline(1000)
            text.seek(0)
            lines = csv.reader(text, "excel-tab" if is_tsv else "excel")
            for row in lines:
                number = lines.line_num
                if row and not row[0].startswith("#"):
                    yield number, row
    except (UnicodeDecodeError, csv.Error, EOFError, zlib.error) as error:
        raise DataFileError(
            f"{path}: cannot be read behind line {number} ({error}); fetch it again, "
            "and decompress it if it is an MMDB file"
        ) from error
    except gzip.BadGzipFile as error:
        raise DataFileError(
            f"{path}: damaged behind line {number} ({error}); fetch it again"
        ) from error


def _fields(row: list[str]) -> tuple[bytes, bytes, int, str]:
    """Return first and last address, number and name of a line's system.

    Raises
    ------
    ValueError, OverflowError
        It has no such fields.
    """
    if len(row) not in (4, 5):
        raise ValueError(f"{len(row)} fields")
    first, last = _packed(row[0]), _packed(row[1])
    if last < first:
        raise ValueError("the last address is before the first one")
    return first, last, int(row[2].strip().upper().removeprefix("AS") or 0), row[-1]


def _packed(address: str) -> bytes:
    """Return an address, as text or as a number, in 16 bytes.

    Raises
    ------
    ValueError, OverflowError
        It is none.
    """
    try:
        if ":" in address:
            return socket.inet_pton(socket.AF_INET6, address)
        if "." in address:
            return MAPPED_PREFIX + socket.inet_pton(socket.AF_INET, address)
    except OSError as error:
        raise ValueError(f"{address} is no address") from error
    number = int(address)
    if number < _IPV4_END:
        return MAPPED_PREFIX + number.to_bytes(4, "big")
    return number.to_bytes(ADDRESS_BYTES, "big")


def _name_and_date(path: Path) -> tuple[str, str | None]:
    """Return what a file is called, and the day or month that its names tell.

    A file of a package whose version is a day is called after that; others are dated by
    their own name, or by when they were written.
    """
    try:
        package = json.loads((path.parent / "package.json").read_text("utf-8"))
        if found := _DAY.search(package["version"]):
            name = one_line(f"{package['name']} {package['version']}")
            return name, date(*map(int, found.groups())).isoformat()
    except (OSError, ValueError, KeyError, TypeError):
        pass  # it is of no package
    if month := _MONTH.search(path.name):
        day = _DAY.match(path.name, month.start())
        return path.name, day[0] if day else month[0]
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return path.name, written.date().isoformat()
