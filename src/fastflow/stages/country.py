"""The country of an address: the table, its cache, and the stage that adds a column.

The only module that imports the native prefix table. Sources (iptocc, MMDB files,
tor-geoipdb) are in `country_sources`; what they give is cached in
`$XDG_CACHE_HOME/fastflow`, because asking iptocc for everything takes some seconds.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from typing_extensions import Buffer

from fastflow._lpm import PrefixTable
from fastflow.caches import cache_directory
from fastflow.stages.country_sources import Progress, Ranges, Source, open_source

#: Columns that `add_country` reads, and the one that it adds.
NEEDS = ("src", "ip_version")
ADDS = pa.field("country", pa.dictionary(pa.int32(), pa.string()))

#: Part of a cache file's name; raise it when what a source is turned into changes.
CACHE_FORMAT = 1

_ARRAYS = ("v4_starts", "v4_codes", "v6_starts", "v6_codes")


class CountryTable:
    """Immutable table from addresses to countries; any number of threads may use it.

    Parameters
    ----------
    name, version : str
        The source, as `inputs.country_table` records it.
    date : str or None
        Day of the source's data (ISO 8601), when it says so.
    ranges : Ranges

    Raises
    ------
    ValueError
        The ranges are not sorted, or do not fit together.
    """

    def __init__(
        self, name: str, version: str, date: str | None, ranges: Ranges
    ) -> None:
        self.name = name
        self.version = version
        self.date = date
        self._ranges = ranges
        self._table = PrefixTable(*(getattr(ranges, array) for array in _ARRAYS))
        for codes in (ranges.v4_codes, ranges.v6_codes):
            if codes.size and int(codes.max()) >= len(ranges.codes):
                raise ValueError("a range has a code that is not in the list")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what the table was made of, for workers in other processes."""
        return CountryTable, (self.name, self.version, self.date, self._ranges)

    @property
    def codes(self) -> list[str]:
        """Country of each code; code 0 is "" (none), the others are alphabetical."""
        return self._ranges.codes

    @property
    def n_v4_ranges(self) -> int:
        """Number of IPv4 ranges that have a country."""
        return int(np.count_nonzero(self._ranges.v4_codes))

    @property
    def n_v6_ranges(self) -> int:
        """Number of IPv6 ranges that have a country."""
        return int(np.count_nonzero(self._ranges.v6_codes))

    def lookup(self, addresses: Buffer, ip_versions: Buffer) -> npt.NDArray[np.uint16]:
        """Look addresses up, with the GIL released.

        Parameters
        ----------
        addresses : bytes-like, n * 16 bytes, C-contiguous
            Network order, IPv4 as ::ffff:a.b.c.d.
        ip_versions : bytes-like, n bytes, C-contiguous
            4 or 6; any other number has no country.

        Returns
        -------
        ndarray of uint16, shape (n,)
            Indices into `codes`.
        """
        return self._table.lookup(addresses, ip_versions)

    def country(self, text_address: str) -> str | None:
        """Look one address up, written as text.

        Raises
        ------
        ValueError
            This is no IP address.
        """
        address = ipaddress.ip_address(text_address)
        code = self.lookup(address.packed.rjust(16, b"\0"), bytes([address.version]))
        return self.codes[code[0]] or None

    def v4_ranges(
        self,
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.uint16]]:
        """Return the IPv4 ranges that have a country: first, last address, code."""
        starts = self._ranges.v4_starts
        ends = np.append(starts[1:] - np.uint32(1), np.uint32(0xFFFFFFFF))
        known = self._ranges.v4_codes != 0
        return starts[known], ends[known], self._ranges.v4_codes[known]


def load_country_table(
    geo: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> CountryTable:
    """Load a country table from the cache, or build it when it is not there.

    Parameters
    ----------
    geo : path, or None
        An MMDB or tor-geoipdb file; None or "iptocc" is the iptocc package.
    progress : callable, optional
        Called while building, and only then, with the fraction done, 0 to 1.

    Raises
    ------
    ConfigError
        There is no such file.
    DataFileError
        The file is damaged, or of no known format.
    """
    source = open_source(geo)
    return read_cache(source) or build_country_table(source, progress)


def build_country_table(
    source: Source, progress: Progress | None = None
) -> CountryTable:
    """Build the table of a source, and cache it if the cache can be written."""
    ranges = source.build(progress or _ignore)
    table = _table_of(source, ranges)
    _write_cache(cache_path(source), ranges)
    return table


def cache_path(source: Source) -> Path:
    """Return where the table of a source is cached."""
    return cache_directory() / f"country-{CACHE_FORMAT}-{source.key}.npz"


def read_cache(source: Source) -> CountryTable | None:
    """Return the cached table of a source; None when there is none, or it is torn."""
    try:
        with (
            cache_path(source).open("rb") as file,
            np.load(file, allow_pickle=False) as arrays,
        ):
            ranges = Ranges(
                arrays["codes"].tolist(), *(arrays[array] for array in _ARRAYS)
            )
            return _table_of(source, ranges)
    except Exception:
        # What a torn file makes zipfile and numpy raise is of many kinds, and no
        # kind of it is worth more than building the table anew.
        return None


def _table_of(source: Source, ranges: Ranges) -> CountryTable:
    return CountryTable(source.name, source.version, source.date, ranges)


def _write_cache(path: Path, ranges: Ranges) -> None:
    """Write a cache file that appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            np.savez(
                file,
                codes=np.array(ranges.codes),
                **{array: getattr(ranges, array) for array in _ARRAYS},
            )
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _ignore(fraction: float) -> None:
    """Take a progress report that nobody asked for."""


def add_country(batch: pa.RecordBatch, table: CountryTable) -> pa.RecordBatch:
    """Append the country of each source address.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        With `src` (fixed_size_binary[16]) and `ip_version` (uint8).
    table : CountryTable

    Returns
    -------
    pyarrow.RecordBatch
        The batch and a column `country`, null where the table has none.
    """
    src, ip_version = (batch.column(name) for name in NEEDS)
    versions = ip_version.fill_null(0).to_numpy()
    if src.null_count:
        versions = np.where(src.is_valid().to_numpy(zero_copy_only=False), versions, 0)
    codes = table.lookup(_raw_addresses(src), versions)
    # An index names one of the codes from 1 on; a null one need not name any.
    indices = pa.array(codes.astype(np.int32) - 1, mask=codes == 0)
    column = pa.DictionaryArray.from_arrays(indices, pa.array(table.codes[1:]))
    return batch.append_column(ADDS, column)


def _raw_addresses(src: pa.FixedSizeBinaryArray) -> Buffer:
    """Borrow the bytes of an address column."""
    if len(src) == 0:
        return b""
    width = src.type.byte_width
    whole = memoryview(src.buffers()[1])
    return whole[src.offset * width : (src.offset + len(src)) * width]
