"""ASN tables in all their forms, and what is said of holders from all there is."""

from __future__ import annotations

import gzip
import ipaddress
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mmdb
import rdap_server
from fastflow.errors import ConfigError, DataFileError
from fastflow.holders.cache import RdapCache
from fastflow.holders.holder import Holder
from fastflow.holders.holders import Holders
from fastflow.holders.rdap import Rdap, RdapOptions
from fastflow.holders.table import open_asn_table

CSV = (
    '1.0.0.0,1.0.0.255,13335,"Cloudy, Inc."\n'
    "1.0.4.0,1.0.7.255,38803,Elsewhere Pty\n"
    "2001:200::,2001:200:1b9:ffff:ffff:ffff:ffff:ffff,2500,例示株式会社\n"
)
NUMBERS = (
    '16777216,16777471,13335,"Cloudy, Inc."\n'
    "16778240,16779263,38803,Elsewhere Pty\n"
    f"{int(ipaddress.ip_address('2001:200::'))},"
    f"{int(ipaddress.ip_address('2001:200:1b9:ffff:ffff:ffff:ffff:ffff'))},"
    "2500,例示株式会社\n"
)
TSV = (
    "0.0.0.0\t0.255.255.255\t0\tNone\tNot routed\n"
    "1.0.0.0\t1.0.0.255\t13335\tUS\tCloudy, Inc.\n"
    "1.0.4.0\t1.0.7.255\t38803\tAU\tElsewhere Pty\n"
    "2001:200::\t2001:200:1b9:ffff:ffff:ffff:ffff:ffff\t2500\tJP\t例示株式会社\n"
)
HEADED = "\ufeffstart_ip,end_ip,asn,as_name\r\n" + CSV.replace("\n", "\r\n").replace(
    ",38803,", ",AS38803,"
)
EXPECTED = {
    "1.0.0.0": (13335, "Cloudy, Inc."),
    "1.0.0.255": (13335, "Cloudy, Inc."),
    "1.0.1.0": (None, None),
    "0.255.255.255": (None, None),
    "1.0.5.6": (38803, "Elsewhere Pty"),
    "255.255.255.255": (None, None),
    "2001:200:1b9::1": (2500, "例示株式会社"),
    "2001:200:1ba::": (None, None),
    "::": (None, None),
    "::1:0:4": (None, None),
}


def made(tmp_path: Path, content: str | bytes, name: str = "asn.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("text", [CSV, NUMBERS, TSV, HEADED, "# a note\n\n" + CSV])
@pytest.mark.parametrize(
    "pack", [str.encode, lambda text: gzip.compress(text.encode())]
)
def test_a_table_of_ranges(tmp_path, text, pack):
    table = open_asn_table(made(tmp_path, pack(text)))
    assert dict(zip(EXPECTED, table.look_up([*EXPECTED]), strict=True)) == EXPECTED
    assert table.look_up([]) == []


def test_rows_may_lie_in_any_order(tmp_path):
    lines = CSV.splitlines(keepends=True)
    table = open_asn_table(made(tmp_path, "".join(reversed(lines))))
    assert table.look_up([*EXPECTED]) == [*EXPECTED.values()]


RANGES = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted), min_size=1
)


@settings(deadline=None)
@given(RANGES, st.booleans())
def test_where_ranges_overlap_the_one_that_begins_last_holds(
    tmp_path_factory, ranges, is_ipv6
):
    base = int(ipaddress.ip_address("2001:db8::")) if is_ipv6 else 1 << 24
    text = "".join(
        f"{base + a},{base + b},{n},holder {n}\n"
        for n, (a, b) in enumerate(ranges, start=1)
    )
    table = open_asn_table(made(tmp_path_factory.mktemp("asn"), text))
    addresses = [str(ipaddress.ip_address(base + n)) for n in range(62)]
    for place, (asn, name) in enumerate(table.look_up(addresses)):
        around = [(a, -b) for a, b in ranges if a <= place <= b]
        if not around:
            assert asn is None
            continue
        assert name == f"holder {asn}"
        a, b = ranges[asn - 1]
        assert (a, -b) == max(around)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no organisations"),
        ("0.0.0.0\t0.255.255.255\t0\tNone\tNot routed\n", "holds no organisations"),
        (CSV + "1.0.8.0,1.0.8.255,7\n", "line 4 is not `first,last,asn,org"),
        (CSV + "1.0.8.0,1.0.7.0,7,X\n", "line 4 is not"),
        (CSV + "1.0.8.0,2001::,seven,X\n", "line 4 is not"),
        (CSV + "1.0.8.0.1,1.0.8.9,7,X\n", "line 4 is not"),
        (CSV + "-5,-4,7,X\n", "line 4 is not"),
        (CSV + f"5,{1 << 128},7,X\n", "line 4 is not"),
        ("1.0.0.0,1.0.0.255,US\n", "line 1 is not"),
        ("start,end,asn,name\nstart,end,asn,name\n", "line 2 is not"),
        (CSV.encode() + b"1.0.8.0,1.0.8.9,7,\xe9\xff\n", "cannot be read behind line"),
        (CSV + '1.0.8.0,1.0.8.9,7,"' + "x" * 200_000, "cannot be read behind line"),
        (gzip.compress(CSV.encode())[:-12], "cannot be read behind line"),
        (gzip.compress(CSV.encode())[:-8] + bytes(8), "damaged behind line"),
        (gzip.compress(bytes(range(256)) * 9), "decompress it if it is an MMDB"),
        (bytes(range(256)), "cannot be read behind line 0"),
    ],
)
def test_what_is_no_table_says_where_and_what_to_do(tmp_path, content, message):
    path = made(tmp_path, content)
    with pytest.raises(DataFileError) as caught:
        open_asn_table(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="no such file; take an ASN table: MMDB, CSV"):
        open_asn_table(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "fields",
    [
        {
            "autonomous_system_number": (mmdb.UINT32, 13335),
            "autonomous_system_organization": "Cloudy, Inc.",
        },
        {"asn": "AS13335", "name": "Cloudy, Inc.", "domain": "cloudy.example"},
        {"asn": "AS13335", "as_name": "Cloudy, Inc.", "country": "AU"},
    ],
)
def test_a_table_in_mmdb(tmp_path, fields):
    networks = {"1.0.0.0/24": fields, "2001:200::/32": fields}
    path = made(
        tmp_path, mmdb.make_mmdb(networks, database_type="Some-ASN"), "asn.mmdb"
    )
    table = open_asn_table(path)
    assert table.look_up(["1.0.0.9", "2001:200::1", "1.0.1.0", "fe80::1"]) == [
        (13335, "Cloudy, Inc."),
        (13335, "Cloudy, Inc."),
        (None, None),
        (None, None),
    ]
    assert table.name == "Some-ASN"


def test_an_mmdb_file_of_ipv4_knows_no_ipv6(tmp_path):
    content = mmdb.make_mmdb({"1.0.0.0/24": {"asn": "AS7", "name": "X"}}, ip_version=4)
    table = open_asn_table(made(tmp_path, content, "asn.mmdb"))
    assert table.look_up(["2001::1", "1.0.0.1"]) == [(None, None), (7, "X")]


def test_an_mmdb_file_of_countries_is_refused(tmp_path):
    content = mmdb.make_mmdb({"1.0.0.0/24": {"country": {"iso_code": "AU"}}})
    path = made(tmp_path, content, "country.mmdb")
    with pytest.raises(DataFileError, match="holds no organisations; take an ASN"):
        open_asn_table(path)


def test_a_damaged_mmdb_file_is_named(tmp_path):
    content = mmdb.make_mmdb({"1.0.0.0/24": {"asn": "AS7", "name": "X"}})
    start = content.index(b"AS7") - 8
    path = made(
        tmp_path, content[:start] + b"\xff" * 8 + content[start + 8 :], "a.mmdb"
    )
    with pytest.raises(DataFileError, match=r"a\.mmdb: damaged MMDB file"):
        open_asn_table(path)


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("asn.csv", "2.3.2026061719", "@x/asn 2.3.2026061719, 2026-06-17"),
        ("asn.csv", "2.3.4", "asn.csv, 1985-10-26"),
        ("asn-2026-06.csv", None, "asn-2026-06.csv, 2026-06"),
        ("asn-2026-06-05.csv", None, "asn-2026-06-05.csv, 2026-06-05"),
        ("asn.csv", None, "asn.csv, 1985-10-26"),
    ],
)
def test_a_table_has_a_name_and_a_date(tmp_path, name, version, expected):
    path = made(tmp_path, CSV, name)
    os.utime(path, (499_162_500, 499_162_500))
    if version:
        package = {"name": "@x/asn", "version": version}
        (tmp_path / "package.json").write_text(json.dumps(package))
    assert Holders([path]).sources == [expected]


def test_the_first_table_that_knows_is_believed(tmp_path):
    one = made(tmp_path, "1.0.0.0,1.0.0.9,1,One\n", "one-2026-01.csv")
    other = made(tmp_path, "1.0.0.0,1.0.0.99,2,Other\n", "other-2026-02.csv")
    holders = Holders([one, other])
    assert holders.names(["1.0.0.1", "1.0.0.50", "1.0.1.0"]) == {
        "1.0.0.1": "One",
        "1.0.0.50": "Other",
        "1.0.1.0": None,
    }
    assert holders.sources == ["one-2026-01.csv, 2026-01", "other-2026-02.csv, 2026-02"]
    assert holders.remarks == []


def test_a_registry_knows_the_holder_and_a_table_the_network(tmp_path):
    path = made(tmp_path, "8.8.8.0,8.8.8.9,15169,Provider\n2.0.0.0,2.0.0.9,7,Other\n")
    cache = RdapCache(timedelta(days=30), tmp_path / "cache")
    now = datetime(2026, 11, 26, tzinfo=UTC)
    with rdap_server.run(tmp_path / "log") as server:
        options = RdapOptions(server.url, per_second=1000)
        holders = Holders([path], Rdap(options, cache, lambda: now))
        found = holders.look_up(["8.8.8.8", "2.0.0.1"])
        assert found == {
            "8.8.8.8": Holder(
                15169,
                "Provider",
                "Example Search LLC",
                "8.8.8.0/24",
                "network-abuse@search.example",
            ),
            "2.0.0.1": Holder(7, "Other", reason="answered 500"),
        }
        assert holders.names([*found]) == {
            "8.8.8.8": "Example Search LLC",
            "2.0.0.1": "Other",
        }
        host = server.url.removeprefix("http://").removesuffix("/rdap")
    assert holders.sources[1:] == [f"RDAP ({host}), asked 2026-11-26"]
    assert holders.remarks == ["RDAP says nothing of 1 of 2 addresses: 1 answered 500"]
