from __future__ import annotations

import ipaddress
import pickle
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import iptocc
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmdb
from fastflow._lpm import PrefixTable
from fastflow.errors import ConfigError, DataFileError
from fastflow.stages import country, country_sources
from fastflow.stages.country import (
    ADDS,
    CountryTable,
    add_country,
    cache_path,
    load_country_table,
)
from fastflow.stages.country_sources import Ranges, open_source

pytest_plugins = ["country_fixture"]

V4_MAX = 2**32 - 1
V6_MAX = 2**128 - 1
BASE_V4 = int(ipaddress.ip_address("::ffff:0:0"))


# --- the native table and its slow twin ---------------------------------------


def slow_lookup(starts: list[int], codes: list[int], address: int) -> int:
    code = 0
    for start, candidate in zip(starts, codes, strict=True):
        if start <= address:
            code = candidate
    return code


def prefix_table(v4: dict[int, int], v6: dict[int, int]) -> PrefixTable:
    halves = [(start >> 64, start & (2**64 - 1)) for start in sorted(v6)]
    return PrefixTable(
        np.array(sorted(v4), np.uint32),
        np.array([v4[start] for start in sorted(v4)], np.uint16),
        np.array(halves, np.uint64).reshape(-1, 2),
        np.array([v6[start] for start in sorted(v6)], np.uint16),
    )


def edgy(largest: int, step_bits: int) -> st.SearchStrategy[int]:
    """Numbers anywhere, at the edges, and crowded around multiples of 2**step_bits."""
    near = st.builds(
        lambda k, d: min(max((k << step_bits) + d, 0), largest),
        st.integers(0, largest >> step_bits),
        st.integers(-2, 2),
    )
    return st.one_of(st.integers(0, largest), st.sampled_from([0, 1, largest]), near)


CODES = st.integers(0, 65535)
V4 = edgy(V4_MAX, 16)
V6 = edgy(V6_MAX, 64)


@given(
    v4=st.dictionaries(V4, CODES, max_size=60),
    v6=st.dictionaries(V6, CODES, max_size=60),
    queries=st.lists(
        st.one_of(
            st.tuples(st.just(4), V4),
            st.tuples(st.just(6), V6),
            st.tuples(st.sampled_from([0, 5, 255]), V6),
        ),
        max_size=100,
    ),
)
def test_native_lookup_equals_linear_search(
    v4: dict[int, int], v6: dict[int, int], queries: list[tuple[int, int]]
) -> None:
    # What lies on a range's edge is asked for in any case.
    queries += [(4, start) for start in v4] + [(6, start) for start in v6]
    queries += [(4, start - 1) for start in v4 if start]
    queries += [(6, start - 1) for start in v6 if start]
    versions = bytes(version for version, _ in queries)
    addresses = b"".join(
        (address + (BASE_V4 if version == 4 else 0)).to_bytes(16, "big")
        for version, address in queries
    )
    tables = {4: v4, 6: v6}
    expected = [
        slow_lookup(
            sorted(tables.get(version, {})),
            [tables[version][start] for start in sorted(tables.get(version, {}))],
            address,
        )
        for version, address in queries
    ]
    found = prefix_table(v4, v6).lookup(addresses, versions)
    assert found.dtype == np.uint16
    assert found.tolist() == expected


def test_many_ranges_in_one_bucket() -> None:
    starts = range(0x0A0B0000, 0x0A0C0000, 3)
    table = prefix_table({start: start % 1009 for start in starts}, {})
    addresses = np.zeros((65536, 16), np.uint8)
    values = np.arange(0x0A0B0000, 0x0A0C0000, dtype=np.uint32)
    addresses[:, 12:] = values.astype(">u4").view(np.uint8).reshape(-1, 4)
    found = table.lookup(addresses, np.full(65536, 4, np.uint8))
    aligned = 0x0A0B0000 + (values - 0x0A0B0000) // 3 * 3
    assert np.array_equal(found, aligned % 1009)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (([5, 5], [1, 2], [], []), "v4_starts must ascend"),
        (([5, 4], [1, 2], [], []), "v4_starts must ascend"),
        (([5], [1, 2], [], []), "v4_starts and v4_codes"),
        (([], [], [(1, 2), (1, 2)], [1, 1]), "v6_starts must ascend"),
        (([], [], [(1, 2), (1, 1)], [1, 1]), "v6_starts must ascend"),
        (([], [], [(1, 2)], [1, 1]), "v6_starts and v6_codes"),
    ],
)
def test_unsorted_or_unfitting_arrays_are_refused(
    arrays: tuple[list[Any], ...], message: str
) -> None:
    v4_starts, v4_codes, v6_starts, v6_codes = arrays
    with pytest.raises(ValueError, match=message):
        PrefixTable(
            np.array(v4_starts, np.uint32),
            np.array(v4_codes, np.uint16),
            np.array(v6_starts, np.uint64).reshape(-1, 2),
            np.array(v6_codes, np.uint16),
        )


def test_wrong_types_and_lengths_are_refused() -> None:
    none = np.zeros(0, np.uint16)
    with pytest.raises(ValueError, match="uint32"):
        PrefixTable(np.zeros(0, np.int64), none, np.zeros((0, 2), np.uint64), none)
    with pytest.raises(ValueError, match="two columns"):
        PrefixTable(np.zeros(0, np.uint32), none, np.zeros((0, 3), np.uint64), none)
    with pytest.raises(ValueError, match="16 each"):
        prefix_table({}, {}).lookup(bytes(17), bytes(1))


def test_table_does_not_see_later_changes_of_its_arrays() -> None:
    starts, codes = np.array([0], np.uint32), np.array([7], np.uint16)
    table = PrefixTable(
        starts, codes, np.zeros((0, 2), np.uint64), np.zeros(0, np.uint16)
    )
    codes[0] = 9
    assert table.lookup(bytes(16), b"\4").tolist() == [7]


def test_threads_share_a_table(country_table: CountryTable) -> None:
    rng = np.random.default_rng(1)
    addresses = rng.integers(0, 256, (50_000, 16), np.uint8)
    versions = rng.choice(np.array([4, 6], np.uint8), 50_000)
    expected = country_table.lookup(addresses, versions)
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(
            lambda _: country_table.lookup(addresses, versions), range(16)
        )
        assert all(np.array_equal(expected, result) for result in results)


# --- the table from iptocc ----------------------------------------------------


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", "US"),
        ("1.1.1.1", "AU"),
        ("133.11.0.1", "JP"),
        ("203.97.0.1", "NZ"),
        ("2001:200::1", "JP"),
        ("::ffff:8.8.8.8", None),
        ("0.0.0.0", None),
        ("10.0.0.1", None),
        ("100.64.0.1", None),
        ("127.0.0.1", None),
        ("169.254.1.1", None),
        ("192.168.0.1", None),
        ("224.0.0.1", None),
        ("255.255.255.255", None),
        ("::", None),
        ("::1", None),
        ("2001:db8::1", None),
        ("fc00::1", None),
        ("fe80::1", None),
        ("ff02::1", None),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
    ],
)
def test_known_addresses(
    country_table: CountryTable, address: str, expected: str | None
) -> None:
    assert country_table.country(address) == expected


def test_codes_are_alphabetical(country_table: CountryTable) -> None:
    assert country_table.codes[0] == ""
    assert country_table.codes == sorted(set(country_table.codes))
    assert all(len(code) == 2 and code.isupper() for code in country_table.codes[1:])
    assert country_table.name == "iptocc"
    assert country_table.date is None


def agreement(table: CountryTable, addresses: list[Any]) -> float:
    raw = b"".join(address.packed.rjust(16, b"\0") for address in addresses)
    versions = bytes(address.version for address in addresses)
    found = [table.codes[code] or None for code in table.lookup(raw, versions)]
    truth = iptocc.country_code([str(address) for address in addresses])
    same = sum(a == b for a, b in zip(found, truth, strict=True))
    return same / len(addresses)


def test_agrees_with_iptocc_on_random_and_on_boundary_addresses(
    country_table: CountryTable,
) -> None:
    rng = random.Random(20200701)
    anywhere = [ipaddress.IPv4Address(rng.getrandbits(32)) for _ in range(200_000)]
    assert agreement(country_table, anywhere) > 0.9999
    starts, ends, _ = country_table.v4_ranges()
    edges = np.concatenate([starts, ends, starts - 1, ends + np.uint32(1)])
    edges = rng.sample(edges.tolist(), 100_000)
    assert agreement(country_table, [*map(ipaddress.IPv4Address, edges)]) > 0.9999
    near = [
        ipaddress.IPv6Address(min((hi << 64) + rng.choice((-1, 0, 2**80)), V6_MAX))
        for hi, _ in rng.sample(country_table._ranges.v6_starts.tolist()[1:], 50_000)
    ]
    assert agreement(country_table, near) > 0.999


def test_v4_ranges_cover_exactly_what_has_a_country(
    country_table: CountryTable,
) -> None:
    starts, ends, codes = country_table.v4_ranges()
    assert len(starts) == country_table.n_v4_ranges > 100_000
    assert country_table.n_v6_ranges > 50_000
    assert (starts <= ends).all()
    assert (starts[1:] > ends[:-1]).all()
    assert (codes > 0).all()
    addresses = np.zeros((len(ends), 16), np.uint8)
    addresses[:, 12:] = ends.astype(">u4").view(np.uint8).reshape(-1, 4)
    versions = np.full(len(ends), 4, np.uint8)
    assert np.array_equal(country_table.lookup(addresses, versions), codes)


def test_table_can_be_pickled(country_table: CountryTable) -> None:
    copy = pickle.loads(pickle.dumps(country_table))
    assert copy.country("133.11.0.1") == "JP"
    assert (copy.name, copy.version) == (country_table.name, country_table.version)


def test_odd_codes_count_as_none() -> None:
    numbers = country_sources._CodeNumbers()
    codes = (None, "ZZZ", "", "b1", "JP", "AT", "JP")
    assert [numbers[code] for code in codes] == [0, 0, 0, 0, 1, 2, 1]


# --- files --------------------------------------------------------------------


def ranges(codes: list[str], v4: dict[int, int]) -> Ranges:
    return Ranges(
        ["", *codes],
        np.array(sorted(v4), np.uint32),
        np.array([v4[start] for start in sorted(v4)], np.uint16),
        np.array([(0, 0)], np.uint64),
        np.array([0], np.uint16),
    )


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


LAYOUTS: dict[str, Callable[[str], Any]] = {
    "geolite2": lambda code: {"country": {"iso_code": code, "names": {"en": "x"}}},
    "ip-location-db": lambda code: {"country_code": code},
    "ipinfo-lite": lambda code: {"country": "Somewhere", "country_code": code},
    "ipinfo": lambda code: {"country": code, "country_name": "Somewhere"},
    "bare": lambda code: code,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_mmdb_layouts(layout: str, tmp_path: Path) -> None:
    record = LAYOUTS[layout]
    path = tmp_path / "any name"
    path.write_bytes(
        mmdb.make_mmdb(
            {
                "1.0.0.0/24": record("AU"),
                "1.0.1.0/24": record("AU"),
                "1.0.2.0/23": record("CN"),
                "255.255.255.255/32": record("ZA"),
                "2001:200::/32": record("JP"),
                "2001:201:1::5/128": record("KR"),
            }
        )
    )
    table = load_country_table(path)
    assert table.codes == ["", "AU", "CN", "JP", "KR", "ZA"]
    assert (table.name, table.date) == ("Test-Country", "2020-09-13")
    assert table.version == "20200913T122640Z"
    assert table.n_v4_ranges == 3
    expected = {
        "0.255.255.255": None,
        "1.0.0.0": "AU",
        "1.0.1.255": "AU",
        "1.0.2.0": "CN",
        "1.0.3.255": "CN",
        "1.0.4.0": None,
        "255.255.255.255": "ZA",
        "::ffff:1.0.0.1": None,
    }
    assert {text: table.country(text) for text in expected} == expected


def test_mmdb_ipv6_and_finest_networks(tmp_path: Path) -> None:
    path = tmp_path / "db.mmdb"
    path.write_bytes(
        mmdb.make_mmdb(
            {
                "1.0.0.0/24": {"country_code": "AU"},
                "2001:200::/33": {"country_code": "JP"},
                "2001:201::5/128": {"country_code": "KR"},
            },
            aliases=("::ffff:0:0/96", "2002::/16"),
        )
    )
    table = load_country_table(path)
    expected = {
        "2001:200::": "JP",
        "2001:200:7fff:ffff:ffff:ffff:ffff:ffff": "JP",
        "2001:200:8000::": None,
        "2001:201::4": None,
        "2001:201::5": "KR",
        "2001:201::6": None,
        "2002:100::1": None,
        "::100:1": None,
    }
    assert {text: table.country(text) for text in expected} == expected
    assert table.n_v6_ranges == 2


def test_mmdb_with_ipv4_in_mapped_addresses_only(tmp_path: Path) -> None:
    path = tmp_path / "db.mmdb"
    networks = {"::ffff:1.0.0.0/120": {"country_code": "AU"}}
    path.write_bytes(mmdb.make_mmdb(networks, aliases=()))
    table = load_country_table(path)
    assert table.country("1.0.0.255") == "AU"
    assert table.country("::ffff:1.0.0.255") is None


def test_mmdb_without_countries_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "asn.mmdb"
    record = {"autonomous_system_organization": "Example"}
    path.write_bytes(mmdb.make_mmdb({"1.0.0.0/24": record}))
    with pytest.raises(DataFileError, match=r"asn\.mmdb: holds no country codes"):
        load_country_table(path)


def test_damaged_mmdb_names_the_file(tmp_path: Path) -> None:
    whole = mmdb.make_mmdb({"1.0.0.0/24": {"country": {"iso_code": "AU"}}})
    marked = whole.index(mmdb.MARK)
    damaged = {
        "cut": whole[:marked],
        "tree": b"\xff" * (marked - 60) + whole[marked - 60 :],
        "metadata": whole[: marked + len(mmdb.MARK)] + b"\xe9\xff\xff",
        "half": whole[marked - 5 :],
    }
    for name, data in damaged.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(DataFileError, match=str(path)):
            load_country_table(path)


GEOIP = """\
# Last updated based on 2024-03-01 example
# with a comment
16777216,16777471,AU
16777472,16777727,??
16777728,16778239,CN
4294967295,4294967295,ZA
"""
GEOIP6 = "# x\n2001:200::,2001:200:ffff:ffff:ffff:ffff:ffff:ffff,JP\n"


def test_tor_geoipdb_text(tmp_path: Path) -> None:
    path = tmp_path / "geoip"
    path.write_text(GEOIP)
    assert load_country_table(path).country("2001:200::1") is None
    (tmp_path / "geoip6").write_text(GEOIP6)
    table = load_country_table(path)
    assert (table.name, table.date) == ("tor-geoipdb", "2024-03-01")
    assert table.codes == ["", "AU", "CN", "JP", "ZA"]
    expected = {
        "1.0.0.255": "AU",
        "1.0.1.0": None,
        "1.0.2.0": "CN",
        "1.0.4.0": None,
        "255.255.255.254": None,
        "255.255.255.255": "ZA",
        "2001:200::1": "JP",
        "2001:201::": None,
    }
    assert {text: table.country(text) for text in expected} == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("16777216,16777471", "line 7"),
        ("a.b,16777471,AU", "line 7"),
        ("99999999999,2001::,AU", "line 7"),
        ("1,2001::,AU", "line 7"),
        ("16777300,16777400,JP", "overlapping ranges at 1.0.0.84"),
    ],
)
def test_damaged_text_names_file_and_line(
    line: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "geoip"
    path.write_text(GEOIP + line + "\n")
    with pytest.raises(DataFileError, match=message) as caught:
        load_country_table(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"hello\n", b"\x1f\x8b\x08", b"#"])
def test_unknown_file_is_refused_with_a_remedy(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "what"
    path.write_bytes(data)
    with pytest.raises(DataFileError, match="give an MMDB") as caught:
        load_country_table(path)
    assert str(path) in str(caught.value)


def test_missing_file_is_a_wrong_option(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_country_table(tmp_path / "none.mmdb")


# --- the cache ----------------------------------------------------------------


class FakeSource(country_sources.Source):
    name, version, date, key = "fake", "1", "2020-07-01", "fake-1"
    n_builds = 0

    def build(self, progress: Callable[[float], None]) -> Ranges:
        self.n_builds += 1
        progress(0.0)
        return ranges(["JP", "US"], {0: 0, 1 << 24: 2, 2 << 24: 1})


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeSource:
    source = FakeSource()
    monkeypatch.setattr(country, "open_source", lambda geo: source)
    return source


def check(table: CountryTable) -> None:
    assert [table.country(f"{n}.0.0.1") for n in range(3)] == [None, "US", "JP"]
    assert (table.name, table.version, table.date) == ("fake", "1", "2020-07-01")


def test_second_load_does_not_build(fake: FakeSource, own_cache: Path) -> None:
    for _ in range(3):
        check(load_country_table())
    assert fake.n_builds == 1
    assert cache_path(fake).parent == own_cache / "fastflow"
    assert [p.name for p in cache_path(fake).parent.iterdir()] == [
        cache_path(fake).name
    ]


def test_progress_is_reported_only_while_building(fake: FakeSource) -> None:
    reports: list[float] = []
    load_country_table(progress=reports.append)
    assert reports == [0.0]
    load_country_table(progress=reports.append)
    assert reports == [0.0]


def test_torn_cache_is_built_anew(fake: FakeSource) -> None:
    load_country_table()
    path = cache_path(fake)
    whole = path.read_bytes()
    for n_builds, size in enumerate(range(0, len(whole), 97), 2):
        path.write_bytes(whole[:size])
        check(load_country_table())
        assert fake.n_builds == n_builds
        assert path.read_bytes() == whole


def test_every_flipped_byte_is_harmless(fake: FakeSource) -> None:
    load_country_table()
    path = cache_path(fake)
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        check(load_country_table())


def test_unwritable_cache_is_done_without(fake: FakeSource, own_cache: Path) -> None:
    own_cache.write_text("a file where the directory should be")
    for n_builds in (1, 2):
        check(load_country_table())
        assert fake.n_builds == n_builds


def test_relative_cache_home_is_ignored(
    fake: FakeSource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_path(fake).parent == tmp_path / ".cache" / "fastflow"


def test_a_changed_file_is_another_table(tmp_path: Path) -> None:
    path = tmp_path / "geoip"
    path.write_text(GEOIP)
    assert load_country_table(path).country("1.0.0.0") == "AU"
    path.write_text(GEOIP.replace("AU", "NZ"))
    assert load_country_table(path).country("1.0.0.0") == "NZ"


# --- the stage ----------------------------------------------------------------


def packet_batch(rows: list[tuple[str | None, int | None]]) -> pa.RecordBatch:
    src = [
        None if text is None else ipaddress.IPv6Address(text).packed for text, _ in rows
    ]
    return pa.record_batch(
        {
            "src": pa.array(src, pa.binary(16)),
            "ip_version": pa.array([version for _, version in rows], pa.uint8()),
        }
    )


ROWS: list[tuple[str | None, int | None]] = [
    ("::ffff:1.0.0.1", 4),
    ("::ffff:1.0.0.1", 6),
    (None, None),
    ("::ffff:2.0.0.1", 4),
    (None, 4),
    ("::ffff:2.0.0.1", None),
    ("::ffff:3.0.0.1", 4),
]
COUNTRIES = ["US", None, None, "JP", None, None, None]


@pytest.fixture
def small_table() -> CountryTable:
    v4 = {1 << 24: 2, 2 << 24: 1, 3 << 24: 0}
    return CountryTable("small", "1", None, ranges(["JP", "US"], v4))


def test_add_country(small_table: CountryTable) -> None:
    batch = add_country(packet_batch(ROWS), small_table)
    batch.validate(full=True)
    assert batch.schema.names == ["src", "ip_version", "country"]
    assert batch.schema.field("country") == ADDS
    assert batch.column("country").to_pylist() == COUNTRIES


@pytest.mark.parametrize("length", range(len(ROWS) + 1))
def test_add_country_to_slices(small_table: CountryTable, length: int) -> None:
    for first in range(len(ROWS) + 1 - length):
        part = packet_batch(ROWS).slice(first, length)
        found = add_country(part, small_table).column("country").to_pylist()
        assert found == COUNTRIES[first : first + length]


def test_open_source_knows_iptocc_by_name() -> None:
    assert open_source("iptocc").key == open_source(None).key
