"""Where country tables come from: the iptocc package, MMDB files, tor-geoipdb text.

Each source is turned into `Ranges`, sorted range starts with their codes. iptocc
answers only for one address at a time and never lists what it holds, so its table is
found by asking: see `IptoccSource`.
"""

from __future__ import annotations

import importlib.metadata
import ipaddress
import itertools
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastflow.errors import ConfigError, DataFileError

Progress = Callable[[float], None]
Codes = npt.NDArray[np.uint16]

IPTOCC = "iptocc"

_MMDB_MARK = b"\xab\xcd\xefMaxMind.com"
#: An MMDB ends with its metadata, which the format allows to be this long.
_MMDB_METADATA_BYTES = 128 * 1024
_COUNTRY_CODE = re.compile(r"[A-Z]{2}")
_TEXT_LINE = re.compile(rb"[0-9a-fA-F:.]+,[0-9a-fA-F:.]+,[A-Z?]{2}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MAPPED_START = 0xFFFF << 32
_REMEDY = (
    "give an MMDB file with country codes (GeoLite2, DB-IP, IPinfo) or a"
    " tor-geoipdb text file, or leave --geo away to use iptocc"
)


@dataclass(frozen=True)
class Ranges:
    """Sorted range starts and their codes.

    Attributes
    ----------
    codes : list of str
        The country of each code in alphabetical order; code 0 is "", no country.
    v4_starts : ndarray of uint32, shape (n,)
        A range ends where the next one begins.
    v4_codes : ndarray of uint16, shape (n,)
    v6_starts : ndarray of uint64, shape (m, 2)
        High and low half.
    v6_codes : ndarray of uint16, shape (m,)
    """

    codes: list[str]
    v4_starts: npt.NDArray[np.uint32]
    v4_codes: Codes
    v6_starts: npt.NDArray[np.uint64]
    v6_codes: Codes


class Source(ABC):
    """Something that a country table can be built from.

    Attributes
    ----------
    name, version : str
        What it is, as `inputs.country_table` records it.
    date : str or None
        Day of its data, ISO 8601, when it says so.
    key : str
        Names its content: what has the same key gives the same table.
    """

    name: str
    version: str
    date: str | None = None
    key: str

    @abstractmethod
    def build(self, progress: Progress) -> Ranges:
        """Build the table; `progress` is called with the fraction done, 0 to 1."""


def open_source(geo: str | os.PathLike[str] | None) -> Source:
    """Find out what `--geo` names, by the first bytes of the file.

    Parameters
    ----------
    geo : path, or None
        None or "iptocc" is the iptocc package.

    Raises
    ------
    ConfigError
        There is no such file.
    DataFileError
        The file cannot be read, or is of no known format.
    """
    if geo is None or geo == IPTOCC:
        return IptoccSource()
    path = Path(geo)
    if not path.is_file():
        raise ConfigError(f"--geo {path}: no such file; {_REMEDY}")
    try:
        if is_mmdb(path):
            return MmdbSource(path)
        if _is_text(path):
            return TextSource(path)
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read: {error.strerror}") from error
    raise DataFileError(f"{path}: no country table that is known here; {_REMEDY}")


class _CodeNumbers(dict[str | None, int]):
    """Numbers country codes in the order of their first appearance; 0 is none."""

    def __init__(self) -> None:
        super().__init__({None: 0})
        self.codes = [""]

    def __missing__(self, code: str | None) -> int:
        number = 0
        if code is not None and _COUNTRY_CODE.fullmatch(code):
            number = len(self.codes)
            self.codes.append(code)
        self[code] = number
        return number

    def ranges(
        self,
        v4: tuple[npt.NDArray[np.uint32], Codes],
        v6: tuple[npt.NDArray[np.uint64], Codes],
    ) -> Ranges:
        """Renumber the codes alphabetically, and merge neighbours that agree."""
        order = sorted(range(len(self.codes)), key=self.codes.__getitem__)
        rank = np.empty(len(order), np.uint16)
        rank[order] = np.arange(len(order), dtype=np.uint16)
        return Ranges(
            [self.codes[number] for number in order],
            *_merge(v4[0], rank[v4[1]]),
            *_merge(v6[0], rank[v6[1]]),
        )


def _merge(starts: npt.NDArray[Any], codes: Codes) -> tuple[npt.NDArray[Any], Codes]:
    """Drop each start whose range has the code of the range before it."""
    keep = np.ones(len(codes), bool)
    keep[1:] = codes[1:] != codes[:-1]
    return np.ascontiguousarray(starts[keep]), codes[keep]


class IptoccSource(Source):
    """The country table of the iptocc package, found by asking for its addresses.

    IPv4: every /24 is asked for at two addresses. Where they differ, delegations are
    smaller than a /24; the whole /8 around is then asked for at every eighth address.

    IPv6: delegations are aligned prefixes, so the tree below 2000::/3 is walked:
    every /24, every /32 of a /16 that holds anything, and then, wherever the few
    points asked for in a prefix differ, its /40s, /48s and /64s. A prefix of sparse
    content hides from a few points, so what lies among several mixed prefixes is
    walked too.

    Notes
    -----
    What can be missed, measured against the table embedded in iptocc 3.3.170: no
    IPv4 range (of 151,115), and 119 IPv6 delegations, /48s alone in an otherwise empty
    /32 (238 of 137,081 range starts). They get no country. In general: IPv4
    delegations below a /24 in a /8 where no other is seen, anything below a /29, and
    IPv6 delegations below a /32 that no point hits.
    """

    name = IPTOCC

    def __init__(self) -> None:
        self.version = importlib.metadata.version(IPTOCC)
        self.key = f"{IPTOCC}-{self.version}"

    def build(self, progress: Progress) -> Ranges:
        """Ask iptocc for some 80 million addresses; takes about 15 seconds."""
        prober = _Prober()
        v4 = _probe_v4(prober, _part(progress, 0, 2))
        v6 = _probe_v6(prober, _part(progress, 1, 2))
        return prober.numbers.ranges(v4, v6)


def _part(progress: Progress, index: int, n_parts: int) -> Progress:
    """Report on one of several equal parts of the work."""
    return lambda done: progress((index + done) / n_parts)


class _Prober:
    """Asks iptocc for addresses by the million.

    It takes text and gives text, 0.16 us an address here; half of that is writing the
    address. iptocc keeps the GIL, so threads would gain nothing.
    """

    def __init__(self) -> None:
        from iptocc import country_code

        self._country_code = country_code
        self.numbers = _CodeNumbers()

    def probe(self, head: str, tails: Iterable[str]) -> Codes:
        """Return the code number of each address `head + tail`."""
        found = self._country_code([head + tail for tail in tails])
        return np.fromiter(map(self.numbers.__getitem__, found), np.uint16, len(found))


_V4_HEADS = range(1, 224)  # 0/8 is "this network", from 224 on multicast and reserved
_V4_POINTS = (0, 128)
_V4_FINE_STEP = 8


def _probe_v4(
    prober: _Prober, progress: Progress
) -> tuple[npt.NDArray[np.uint32], Codes]:
    """Find the IPv4 ranges; see `IptoccSource`."""
    thirds = [f"{b}.{c}." for b in range(256) for c in range(256)]
    tails = [f"{third}{d}" for third in thirds for d in _V4_POINTS]
    fine_tails = [f"{c}.{d}" for c in range(256) for d in range(0, 256, _V4_FINE_STEP)]
    starts = [np.zeros(1, np.uint32)]
    codes = [np.zeros(1, np.uint16)]
    for done, head in enumerate(_V4_HEADS):
        progress(done / len(_V4_HEADS))
        probed = prober.probe(f"{head}.", tails).reshape(-1, len(_V4_POINTS))
        found = probed[:, 0]
        if (probed != probed[:, :1]).any():
            rows = [prober.probe(f"{head}.{b}.", fine_tails) for b in range(256)]
            found = np.concatenate(rows)
        steps = np.arange(len(found), dtype=np.uint32) * np.uint32(2**24 // len(found))
        merged_starts, merged_codes = _merge(steps + np.uint32(head << 24), found)
        starts.append(merged_starts)
        codes.append(merged_codes)
    starts.append(np.array([_V4_HEADS.stop << 24], np.uint32))
    codes.append(np.zeros(1, np.uint16))
    return np.concatenate(starts), np.concatenate(codes)


@dataclass(frozen=True)
class _Level:
    """How the children of an IPv6 prefix are asked for.

    Attributes
    ----------
    head : Callable
        Text of a parent, from its high half.
    tails : list of str
        What follows the head: for each child in order, each of its points.
    n_points : int
        Points per child; where they differ, the child is mixed.
    shift : int
        A child's place in the high half.
    crowd : int
        Where at least so many of 256 neighbours are mixed, all of them are walked.
    """

    head: Callable[[int], str]
    tails: list[str]
    n_points: int
    shift: int
    crowd: int = 257


def _v6_levels() -> list[_Level]:
    """Describe the walk from /16 over /32, /40 and /48 to /64."""
    in_32 = (0, 0x1000, 0x8000, 0xFFFF)
    in_40 = (0x00, 0x01, 0x10, 0x80, 0xFF)
    in_48 = (0, 1)
    return [
        _Level(
            lambda hi: f"{hi >> 48:x}:",
            [f"{child:x}:{p:x}::" for child in range(65536) for p in in_32],
            len(in_32),
            shift=32,
            crowd=2,
        ),
        _Level(
            lambda hi: f"{hi >> 48:x}:{hi >> 32 & 0xFFFF:x}:",
            [f"{child << 8 | p:x}::" for child in range(256) for p in in_40],
            len(in_40),
            shift=24,
            crowd=8,
        ),
        _Level(
            lambda hi: f"{hi >> 48:x}:{hi >> 32 & 0xFFFF:x}:{hi >> 24 & 0xFF:x}",
            [f"{child:02x}:{p:x}::" for child in range(256) for p in in_48],
            len(in_48),
            shift=16,
        ),
        _Level(
            lambda hi: f"{hi >> 48:x}:{hi >> 32 & 0xFFFF:x}:{hi >> 16 & 0xFFFF:x}:",
            [f"{child:x}::" for child in range(65536)],
            1,
            shift=0,
        ),
    ]


_V6_FIRST, _V6_END = 0x2000, 0x4000  # 2000::/3, all that registries delegate


def _probe_v6(
    prober: _Prober, progress: Progress
) -> tuple[npt.NDArray[np.uint64], Codes]:
    """Find the IPv6 ranges; see `IptoccSource`."""
    tails = [f"{child:x}00::" for child in range(256)]
    empty = [0, _V6_END << 48]
    parents: list[int] = []
    for group in range(_V6_FIRST, _V6_END):
        active = prober.probe(f"{group:x}:", tails).any()
        (parents if active else empty).append(group << 48)
    starts = [np.array(empty, np.uint64)]
    codes = [np.zeros(len(empty), np.uint16)]
    levels = _v6_levels()
    todo = np.array(parents, np.uint64)
    for depth, level in enumerate(levels):
        part = _part(progress, depth, len(levels))
        found_starts, found_codes, todo = _walk(prober, level, todo, part)
        starts.append(found_starts)
        codes.append(found_codes)
    all_starts = np.concatenate(starts)
    order = np.argsort(all_starts, kind="stable")
    pairs = np.zeros((len(order), 2), np.uint64)
    pairs[:, 0] = all_starts[order]
    return pairs, np.concatenate(codes)[order]


def _walk(
    prober: _Prober, level: _Level, parents: npt.NDArray[np.uint64], progress: Progress
) -> tuple[npt.NDArray[np.uint64], Codes, npt.NDArray[np.uint64]]:
    """Ask for the children of prefixes.

    Returns
    -------
    starts, codes, mixed
        The children of one code (without those that only continue the sibling
        before them), and the starts of the others.
    """
    n_children = len(level.tails) // level.n_points
    probed = np.empty((len(parents) * n_children, level.n_points), np.uint16)
    rows = probed.reshape(len(parents), len(level.tails))
    for row, parent in enumerate(parents.tolist()):
        progress(row / len(parents))
        rows[row] = prober.probe(level.head(parent), level.tails)
    children = np.arange(n_children, dtype=np.uint64) << np.uint64(level.shift)
    starts = (parents[:, np.newaxis] + children).reshape(-1)
    mixed = (probed != probed[:, :1]).any(axis=1)
    crowded = mixed.reshape(-1, 256).sum(axis=1) >= level.crowd
    mixed |= np.repeat(crowded, 256)
    codes = probed[:, 0]
    keep = ~mixed
    keep[1:] &= mixed[:-1] | (codes[1:] != codes[:-1])
    keep[::n_children] = ~mixed[::n_children]
    return starts[keep], codes[keep], starts[mixed]


class MmdbSource(Source):
    """A MaxMind DB file: GeoLite2, DB-IP, IPinfo and others with country codes.

    IPv4 addresses that a database repeats inside IPv6 (::ffff:0:0/96, 2002::/16,
    2001::/32) are counted once, as IPv4: such an IPv6 address has no country.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.key = _content_key(path)
        with self._open() as reader:
            metadata = reader.metadata()
            self.name = metadata.database_type or "mmdb"
            built = datetime.fromtimestamp(metadata.build_epoch, UTC)
        self.date = built.date().isoformat()
        self.version = f"{built:%Y%m%dT%H%M%SZ}"

    def build(self, progress: Progress) -> Ranges:
        """Read all networks of the database."""
        numbers = _CodeNumbers()
        spans = _Spans(self._path)
        mapped = []
        with self._open() as reader:
            # A binary tree has one leaf more than it has nodes.
            n_leaves = reader.metadata().node_count + 1
            for done, (network, record) in enumerate(reader):
                if done % 4096 == 0:
                    progress(min(done / n_leaves, 1.0))
                first, last = int(network[0]), int(network[-1])
                code = numbers[_code(record)]
                if network.version == 6 and first >> 32 == 0xFFFF:
                    mapped.append((first - _MAPPED_START, last - _MAPPED_START, code))
                else:
                    spans.add(network.version, (first, last, code))
        if not spans.of_version[4]:
            spans.of_version[4] = mapped
        return spans.ranges(numbers)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        """Open the database; damage that shows while it is read names the file."""
        import maxminddb

        damage = maxminddb.InvalidDatabaseError, ValueError, OverflowError
        try:
            with maxminddb.open_database(self._path) as reader:
                yield reader
        except damage as error:
            raise DataFileError(
                f"{self._path}: damaged MMDB file ({error}); fetch it again"
            ) from error


def _code(record: Any) -> str | None:
    """Find the country code in a record, whose layout depends on the maker."""
    if not isinstance(record, dict):
        return record if isinstance(record, str) else None
    country = record.get("country")
    nested = country.get("iso_code") if isinstance(country, dict) else None
    for value in (nested, record.get("country_code"), country):
        if isinstance(value, str) and _COUNTRY_CODE.fullmatch(value):
            return value
    return None


class TextSource(Source):
    """A tor-geoipdb file: lines `first,last,CC`, with IPv4 addresses as integers.

    IPv6 is a file of its own there: beside `geoip` lies `geoip6`, which is read too.
    """

    name = "tor-geoipdb"

    def __init__(self, path: Path) -> None:
        sibling = path.with_name(path.name + "6")
        self._paths = [path, sibling] if sibling.is_file() else [path]
        self.key = _content_key(*self._paths)
        self.date = self._date_in_header()
        self.version = self.key.rpartition("-")[2]

    def _date_in_header(self) -> str | None:
        with self._paths[0].open(encoding="latin-1") as lines:
            for line in itertools.takewhile(lambda line: line.startswith("#"), lines):
                if found := _DATE.search(line):
                    return found[0]
        return None

    def build(self, progress: Progress) -> Ranges:
        """Read every line."""
        numbers = _CodeNumbers()
        spans = _Spans(self._paths[0])
        for done, path in enumerate(self._paths):
            progress(done / len(self._paths))
            with path.open(encoding="latin-1") as lines:
                for number, line in enumerate(lines, 1):
                    if not line.startswith("#") and line.strip():
                        spans.add(*_parse_line(path, number, line, numbers))
        return spans.ranges(numbers)


def _parse_line(
    path: Path, number: int, line: str, numbers: _CodeNumbers
) -> tuple[int, tuple[int, int, int]]:
    """Return the IP version of a line, and its span."""
    try:
        first, last, code = line.strip().split(",")
        ends = [
            ipaddress.IPv4Address(int(end))
            if end.isdigit()
            else ipaddress.ip_address(end)
            for end in (first, last)
        ]
        (version,) = {end.version for end in ends}
    except ValueError as error:
        raise DataFileError(
            f"{path}: line {number} is not `first,last,CC`; fetch the file again"
        ) from error
    return version, (int(ends[0]), int(ends[1]), numbers[code])


class _Spans:
    """Collects (first, last, code number) per IP version, and joins them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.of_version: dict[int, list[tuple[int, int, int]]] = {4: [], 6: []}

    def add(self, version: int, span: tuple[int, int, int]) -> None:
        """Add one span of addresses, or lengthen the span that it continues."""
        spans = self.of_version[version]
        if spans and spans[-1][1] + 1 == span[0] and spans[-1][2] == span[2]:
            spans[-1] = (spans[-1][0], span[1], span[2])
        else:
            spans.append(span)

    def ranges(self, numbers: _CodeNumbers) -> Ranges:
        """Return the table; gaps get code 0."""
        if len(numbers.codes) == 1:
            raise DataFileError(f"{self._path}: holds no country codes; {_REMEDY}")
        v4_starts, v4_codes = self._joined(4, 32)
        v6_starts, v6_codes = self._joined(6, 128)
        halves = [(start >> 64, start & 0xFFFFFFFFFFFFFFFF) for start in v6_starts]
        return numbers.ranges(
            (np.array(v4_starts, np.uint32), np.array(v4_codes, np.uint16)),
            (
                np.array(halves, np.uint64).reshape(-1, 2),
                np.array(v6_codes, np.uint16),
            ),
        )

    def _joined(self, version: int, bits: int) -> tuple[list[int], list[int]]:
        starts, codes = [0], [0]
        end = 0
        for first, last, code in sorted(self.of_version[version]):
            if first < end or last < first:
                raise DataFileError(
                    f"{self._path}: overlapping ranges at"
                    f" {ipaddress.ip_address(first)}; fetch the file again"
                )
            if first == starts[-1]:
                codes[-1] = code
            else:
                starts.append(first)
                codes.append(code)
            end = last + 1
            if end < 1 << bits:
                starts.append(end)
                codes.append(0)
        return starts, codes


def _content_key(*paths: Path) -> str:
    """Name the content of files: what is equal gives the same table."""
    from blake3 import blake3

    digest = blake3()
    for path in paths:
        digest.update_mmap(path)
    return f"file-{digest.hexdigest(16)}"


def is_mmdb(path: Path) -> bool:
    """Look for the mark of the metadata section, which ends every MMDB file."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _MMDB_METADATA_BYTES))
        return _MMDB_MARK in file.read()


def _is_text(path: Path) -> bool:
    """Look at the first line that is no comment."""
    with path.open("rb") as file:
        for line in itertools.islice(file, 100):
            if line.strip() and not line.startswith(b"#"):
                return _TEXT_LINE.fullmatch(line.strip()) is not None
    return False
