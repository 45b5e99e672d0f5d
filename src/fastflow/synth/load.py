"""Load captures: as many packets as wanted, with counts known beforehand.

Three kinds, a day each unless asked otherwise:

* `scan`, the usual case: scanners at work at any time, each with its own address, port,
  window and options, and about 20 packets per source, port and hour. Ten million
  packets a day take 20,000 scanners; their number follows that of the packets.
* `scatter`, the worst case: a spoofed flood on random ports. Each packet has a source
  of its own, in the address space of few countries.
* `payload`: like `scan`, but TCP data and UDP in frames of about 800 bytes.

The same kind, packets, hours, seed and country table give the same bytes. Checksums
are right, and destinations lie in the benchmark network 198.18.0.0/15 (RFC 2544).
"""

from __future__ import annotations

import json
import os
import secrets
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastflow._synth import KINDS, SLOTS, LoadGenerator
from fastflow.errors import ConfigError, DataFileError
from fastflow.synth.addresses import CountryRanges

START = datetime(2020, 8, 1, tzinfo=UTC)
HOURS = 24

#: A generator's block: it stays in the second-level cache until it is written.
BLOCK_BYTES = 256 << 10

#: Ports that the truth lists.
TOP_PORTS = 20

_SNAPLEN_BYTES = 65_535
_LINKTYPE_ETHERNET = 1
_MAGIC_USEC = 0xA1B2C3D4
#: What the time stamps of a capture can hold from `START` on, in hours.
_MAX_HOURS = 24 * 365 * 50
#: A scanner sends 125 packets in 6 hours.
_ACTOR_PACKETS, _ACTOR_HOURS = 125, 6

#: Where scanners are, in per cent; what is left is shared by the other countries.
_COUNTRY_PERCENT = {
    "US": 17,
    "RU": 14,
    "NL": 11,
    "CN": 10,
    "DE": 6,
    "GB": 4,
    "BG": 3,
    "VN": 3,
    "BR": 3,
    "IN": 3,
    "TW": 2,
    "KR": 2,
    "JP": 2,
    "FR": 2,
    "ID": 2,
    "UA": 2,
    "IR": 1,
    "TR": 1,
    "TH": 1,
    "HK": 1,
}
#: Whose address space the flood is spoofed from: so few that ports and countries of
#: ten million packets make 4 million cells of `counts`.
_FLOOD_PERCENT = {"US": 56, "CN": 28, "JP": 13, "KR": 3}
_TCP_PERCENT = {
    445: 19,
    23: 15,
    1433: 8,
    22: 8,
    80: 5,
    3389: 5,
    8080: 4,
    37215: 3,
    443: 3,
    5555: 2,
    2323: 2,
    81: 2,
    5900: 1,
    3306: 1,
    6379: 1,
    8443: 1,
    5060: 1,
    25: 1,
    60001: 1,
    52869: 1,
}
_UDP_PERCENT = {
    5060: 22,
    53: 12,
    123: 10,
    1900: 9,
    161: 8,
    53413: 6,
    389: 5,
    11211: 4,
    137: 3,
    69: 2,
    3702: 2,
    19: 2,
}

Slots = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class _Countries:
    """The countries that have IPv4 addresses, and their ranges side by side.

    Attributes
    ----------
    codes : list of str
        Alphabetical.
    sizes : ndarray of int64
        Addresses per country.
    first_ranges, range_starts, range_ends : ndarray of uint32
        As `LoadGenerator` takes them.
    """

    codes: list[str]
    sizes: npt.NDArray[np.int64]
    first_ranges: npt.NDArray[np.uint32]
    range_starts: npt.NDArray[np.uint32]
    range_ends: npt.NDArray[np.uint32]


def make_load(
    kind: str,
    packets: int,
    seed: int,
    out_dir: str | os.PathLike[str],
    country_table: CountryRanges | None = None,
    progress: Callable[[float], None] | None = None,
    *,
    hours: int = HOURS,
) -> Path:
    """Write a load capture and its truth.

    Parameters
    ----------
    kind : str
        `scan`, `scatter` or `payload`.
    packets : int
        At least 1.
    seed : int
        0 to 2**64 - 1.
    out_dir : path
        Made when it is not there; gets `<kind>.pcap` and `truth.json`.
    country_table : CountryRanges, optional
        Where sources are drawn from; default: `load_country_table()`.
    progress : callable, optional
        Called with the fraction done, 0 to 1.
    hours : int
        Time span of the capture.

    Returns
    -------
    pathlib.Path
        The capture.

    Raises
    ------
    ConfigError
        A parameter is out of range, or the directory cannot be written.
    DataFileError
        The country table has no IPv4 range.
    """
    _check(kind, packets, seed, hours)
    if country_table is None:
        from fastflow.stages.country import load_country_table

        country_table = load_country_table()
    countries = _countries(country_table)
    generator = _generator(kind, packets, seed, hours, countries)
    path = Path(out_dir) / f"{kind}.pcap"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _whole_file(path) as partial:
            size_bytes = _write_capture(generator, packets, partial, progress)
            truth = {
                "kind": kind,
                "packets": packets,
                "seed": seed,
                "bytes": size_bytes,
                "country_table": {
                    "name": country_table.name,
                    "version": country_table.version,
                },
                **_counts(generator, countries),
            }
            with _whole_file(path.with_name("truth.json")) as partial_truth:
                partial_truth.write_text(json.dumps(truth, indent=1) + "\n")
    except OSError as error:
        what = error.strerror or str(error)
        raise ConfigError(f"{path}: cannot be written ({what})") from error
    return path


def read_truth(capture: Path) -> dict[str, Any]:
    """Return the truth that lies beside a load capture."""
    truth: dict[str, Any] = json.loads(capture.with_name("truth.json").read_text())
    return truth


def _check(kind: str, packets: int, seed: int, hours: int) -> None:
    """Refuse what the generator cannot make."""
    if kind not in KINDS:
        raise ConfigError(f"{kind!r} is no load; write {', '.join(KINDS)}")
    if packets < 1:
        raise ConfigError(f"{packets} packets: at least 1 expected")
    if not 0 <= seed < 1 << 64:
        raise ConfigError(f"seed {seed}: 0 to 2**64 - 1 expected")
    if not 1 <= hours <= _MAX_HOURS:
        raise ConfigError(f"{hours} hours: 1 to {_MAX_HOURS} expected")


def _generator(
    kind: str, packets: int, seed: int, hours: int, countries: _Countries
) -> LoadGenerator:
    """Set the native generator up."""
    percent = _FLOOD_PERCENT if kind == "scatter" else _COUNTRY_PERCENT
    weights = _country_weights(countries.codes, percent)
    return LoadGenerator(
        kind,
        packets=packets,
        hours=hours,
        actors=max(1, packets * _ACTOR_HOURS // (hours * _ACTOR_PACKETS)),
        start_sec=int(START.timestamp()),
        seed=seed,
        country_slots=_slots(np.arange(len(weights)), weights),
        first_ranges=countries.first_ranges,
        range_starts=countries.range_starts,
        range_ends=countries.range_ends,
        tcp_slots=_port_slots(_TCP_PERCENT),
        udp_slots=_port_slots(_UDP_PERCENT),
    )


def _countries(table: CountryRanges) -> _Countries:
    """Sort a table's IPv4 ranges by country."""
    starts, lasts, numbers = table.v4_ranges()
    if len(starts) == 0:
        raise DataFileError(f"{table.name} {table.version}: no IPv4 range")
    order = np.argsort(numbers, kind="stable")
    starts, lasts, numbers = starts[order], lasts[order], numbers[order]
    present, firsts = np.unique(numbers, return_index=True)
    lengths = lasts.astype(np.int64) - starts.astype(np.int64) + 1
    sizes = np.add.reduceat(lengths, firsts)
    before = np.cumsum(sizes) - sizes
    counts = np.diff(np.append(firsts, len(starts)))
    return _Countries(
        codes=[table.codes[number] for number in present],
        sizes=sizes,
        first_ranges=np.append(firsts, len(starts)).astype(np.uint32),
        range_starts=starts,
        range_ends=(np.cumsum(lengths) - np.repeat(before, counts)).astype(np.uint32),
    )


def _country_weights(
    codes: Sequence[str], percent: Mapping[str, int]
) -> npt.NDArray[np.float64]:
    """Return the weight of each country; what is left to 100 % the others share.

    A table that has none of the countries named gets equal weights.
    """
    n_others = sum(code not in percent for code in codes)
    other = (100 - sum(percent.values())) / max(1, n_others)
    weights = np.array([percent.get(code, other) for code in codes], np.float64)
    return weights if weights.any() else np.ones(len(codes))


def _port_slots(percent: Mapping[int, int]) -> Slots:
    """Return a drawing table of ports; what is left to 100 % is port 0, any port."""
    shares = {**percent, 0: 100 - sum(percent.values())}
    weights = np.array(list(shares.values()), np.float64)
    return _slots(np.array(list(shares)), weights)


def _slots(values: npt.NDArray[Any], weights: npt.NDArray[np.float64]) -> Slots:
    """Return a drawing table in which each value fills its share, rounded."""
    ends = np.rint(np.cumsum(weights) / weights.sum() * SLOTS).astype(np.int64)
    return np.repeat(values, np.diff(ends, prepend=0)).astype(np.uint16)


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """Give a hidden name to write to; the file appears whole or not at all."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _write_capture(
    generator: LoadGenerator,
    packets: int,
    path: Path,
    progress: Callable[[float], None] | None,
) -> int:
    """Write all records; return the size of the file."""
    block = memoryview(bytearray(BLOCK_BYTES))
    with path.open("xb", buffering=0) as file:
        file.write(_file_header())
        while n_bytes := generator.fill(block):
            _write_all(file, block[:n_bytes])
            if progress is not None:
                progress(generator.packets / packets)
        return file.tell()


def _write_all(file: Any, data: memoryview) -> None:
    """Write to an unbuffered file, which may take less than it is given."""
    while data:
        data = data[file.write(data) :]


def _file_header() -> bytes:
    return struct.pack(
        "<IHHiIII", _MAGIC_USEC, 2, 4, 0, 0, _SNAPLEN_BYTES, _LINKTYPE_ETHERNET
    )


def _counts(generator: LoadGenerator, countries: _Countries) -> dict[str, Any]:
    """Return what the generator counted, as `truth.json` has it."""
    tcp, udp = generator.tcp_packets, generator.udp_packets
    protocols = {
        "tcp": int(tcp.sum()),
        "udp": int(udp.sum()),
        "icmp": generator.icmp_packets,
    }
    per_country = generator.country_packets
    sources = np.minimum(generator.country_sources.astype(np.int64), countries.sizes)
    return {
        "ip_bytes": generator.ip_bytes,
        "protocols": protocols,
        "syn_ack_packets": generator.syn_ack_packets,
        "sources": int(sources.sum()),
        "hours": {
            f"{START + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}": count
            for hour, count in enumerate(generator.hour_packets.tolist())
        },
        "ports": _top_ports({"tcp": tcp, "udp": udp}),
        "countries": {
            code: {"packets": int(per_country[index]), "sources": int(sources[index])}
            for index, code in enumerate(countries.codes)
            if per_country[index]
        },
    }


def _top_ports(packets: Mapping[str, npt.NDArray[np.uint64]]) -> dict[str, int]:
    """Return the ports with most packets, ties by key."""
    counted = [
        (count, f"{port}/{name}")
        for name, per_port in packets.items()
        for port, count in enumerate(per_port.tolist())
        if count
    ]
    counted.sort(key=lambda pair: (-pair[0], pair[1]))
    return {key: count for count, key in counted[:TOP_PORTS]}
