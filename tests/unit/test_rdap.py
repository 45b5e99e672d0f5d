"""Registries asked by RDAP: a server on loopback that answers, errs, and misbehaves."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rdap_answers
import rdap_server
from fastflow.errors import ConfigError
from fastflow.holders.cache import RdapCache
from fastflow.holders.http import MissingError, follow_redirect, retry_after
from fastflow.holders.rdap import NO_TIME, NOT_FOUND, TIMED_OUT, Rdap, RdapOptions
from fastflow.holders.registration import Registration, UnusableError, read_answer
from rdap_server import RdapServer

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RdapServer]:
    with rdap_server.run(tmp_path_factory.mktemp("rdap") / "requests") as server:
        yield server


@pytest.fixture
def server(running: RdapServer) -> RdapServer:
    """The server, with no requests yet."""
    running.forget()
    return running


def rdap(
    server: RdapServer, tmp_path: Path, now: datetime = NOW, **options: float
) -> Rdap:
    chosen = {"per_second": 1000.0, "one_seconds": 20.0, **options}
    cache = RdapCache(timedelta(days=30), tmp_path / "cache")
    return Rdap(RdapOptions(server.url, **chosen), cache, lambda: now)


@pytest.mark.parametrize(
    ("address", "organisation", "network", "abuse"),
    [
        ("8.8.8.8", "Example Search LLC", "8.8.8.0/24", "network-abuse@search.example"),
        (
            "193.0.6.139",
            "Example Coordination Centre",
            "193.0.0.0/21",
            "abuse@ripe.example",
        ),
        (
            "202.12.29.175",
            "Example Pacific Centre",
            "202.12.28.0/23",
            "irt@pacific.example",
        ),
        ("203.178.137.58", "例示株式会社 (Example Inc.)", "203.178.136.0/21", None),
        ("200.3.14.10", "Ejemplo S.A.", "200.3.12.0/22", "noc@ejemplo.example"),
        ("2001:200:dff:fff1::1", "Example Six", "2001:200::/35", None),
        ("93.184.0.7", "BARE-NET", "93.184.0.5 - 93.184.0.9", None),
    ],
)
def test_the_answers_of_all_registries_are_understood(
    server, tmp_path, address, organisation, network, abuse
):
    found = rdap(server, tmp_path).look_up([address])[address]
    assert (found.organisation, found.network, found.abuse, found.asked) == (
        organisation,
        network,
        abuse,
        NOW,
    )


def test_only_the_address_is_sent(server, tmp_path):
    rdap(server, tmp_path).look_up(["8.8.8.8", "2001:200:dff:fff1::1", "8.8.8.8"])
    sent = server.requests()
    assert [one["path"] for one in sent] == [
        "/rdap/ip/8.8.8.8",
        "/rdap/ip/2001:200:dff:fff1::1",
    ]
    names = {"Host", "Accept", "Accept-Encoding", "Connection", "User-Agent"}
    assert {name for one in sent for name in one["headers"]} == names


def test_an_answer_is_kept_for_its_lifetime(server, tmp_path):
    asked = ["8.8.8.8", "9.9.9.9"]
    first = rdap(server, tmp_path).look_up(asked)
    assert first["9.9.9.9"] == NOT_FOUND
    later = rdap(server, tmp_path, NOW + timedelta(days=29))
    assert later.look_up(asked) == first
    assert len(server.requests()) == 2
    assert "asked 2026-11-26" in later.source
    again = rdap(server, tmp_path, NOW + timedelta(days=30))
    assert again.look_up(asked)["8.8.8.8"].asked == NOW + timedelta(days=30)
    assert len(server.requests()) == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        '{"asked": "2026-11-26T12:00:00+00:00"}',
        '{"asked": "2026-11-26T12:00:00", "is_found": true, "server": "s", '
        '"organisation": null, "network": null, "abuse": null}',
        '{"asked": "2026-11-26T12:00:00+00:00", "is_found": 1, "server": "s", '
        '"organisation": null, "network": null, "abuse": null}',
        '{"asked": "2026-11-26T12:00:00+00:00", "is_found": true, "server": null, '
        '"organisation": {}, "network": null, "abuse": null}',
        '{"asked": "2030-11-26T12:00:00+00:00", "is_found": true, "server": "s", '
        '"organisation": null, "network": null, "abuse": null}',
    ],
)
def test_a_kept_answer_that_cannot_be_understood_is_asked_for_again(
    server, tmp_path, text
):
    rdap(server, tmp_path).look_up(["8.8.8.8"])
    (kept,) = (tmp_path / "cache").rglob("*.json")
    whole = kept.read_bytes()
    kept.write_text(text)
    found = rdap(server, tmp_path).look_up(["8.8.8.8"])
    assert found["8.8.8.8"].organisation == "Example Search LLC"
    assert len(server.requests()) == 2
    assert kept.read_bytes() == whole


def test_a_cache_that_cannot_be_written_only_costs_time(server, tmp_path):
    (tmp_path / "cache").write_text("no directory")
    for _ in range(2):
        found = rdap(server, tmp_path).look_up(["8.8.8.8"])
        assert isinstance(found["8.8.8.8"], Registration)


@pytest.mark.parametrize("address", rdap_server.RUBBISH)
def test_rubbish_is_said_to_be_rubbish(server, tmp_path, address):
    asked = rdap(server, tmp_path)
    found = asked.look_up([address, "8.8.8.8"])
    assert found[address].startswith("answered ")
    assert isinstance(found["8.8.8.8"], Registration)
    assert "1 of 2 addresses: 1 answered" in asked.remark
    assert not list((tmp_path / "cache").rglob(f"{address}.json"))


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("1.0.0.20", "answered about other addresses"),
        ("2.0.0.1", "answered 500"),
        ("3.0.0.1", "redirected too often"),
        ("3.0.0.2", "redirected too often"),
        ("3.0.0.3", "redirected to 127.0.0.2, which is no public server"),
        ("3.0.0.4", "redirected to localhost, which is no public server"),
        ("3.0.0.5", "redirected to what is no URL"),
        ("3.0.0.6", "cannot be reached (Invalid URL in location header"),
        ("3.0.0.8", "redirected to 169.254.169.254, which is no public server"),
        ("4.0.0.1", "answered with more than 1,048,576 bytes"),
        ("4.0.0.4", "answered compressed, which was not asked for"),
        ("4.0.0.5", "cannot be reached (Server disconnected without sending a resp"),
        ("9.9.9.9", NOT_FOUND),
    ],
)
def test_what_goes_wrong_is_a_reason_and_no_error(server, tmp_path, address, reason):
    start = time.monotonic()
    found = rdap(server, tmp_path).look_up([address, "8.8.8.8"])
    assert found[address].startswith(reason)
    assert isinstance(found["8.8.8.8"], Registration)
    assert time.monotonic() - start < 20
    assert "/secret" not in server.paths()
    assert sum(address in path for path in server.paths()) <= 4


def test_a_redirect_is_followed_and_its_answer_checked(server, tmp_path):
    found = rdap(server, tmp_path).look_up(["3.0.0.7"])
    assert server.paths() == ["/rdap/ip/3.0.0.7", "/rdap2/ip/193.0.6.139"]
    assert found["3.0.0.7"] == "answered about other addresses"


@pytest.mark.parametrize(
    ("url", "location", "expected"),
    [
        ("https://8.8.8.8/ip/1.1.1.1", "/x", "https://8.8.8.8/x"),
        ("https://8.8.8.8/a/b", "c", "https://8.8.8.8/a/c"),
        ("https://8.8.8.8/", "https://9.9.9.9/x", "https://9.9.9.9/x"),
        ("http://8.8.8.8/", "https://[2620:fe::9]/", "https://[2620:fe::9]/"),
        ("http://10.0.0.1/", "http://10.0.0.1:81/", "http://10.0.0.1:81/"),
    ],
)
def test_a_redirect_may_lead_to_public_places(url, location, expected):
    assert asyncio.run(follow_redirect(url, location)) == expected


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://8.8.8.8/", "without encryption"),
        ("https://10.0.0.1/", "10.0.0.1, which is no public server"),
        ("https://[::1]/", "::1, which is no public server"),
        ("https://[::ffff:10.0.0.1]/", "which is no public server"),
        ("//0x7f000001/", "0x7f000001, which is no public server"),
        ("https://[fe80::1%25lo]/", "redirected to what is no URL"),
        ("gopher://9.9.9.9/", "redirected to what is no URL"),
        ("https://a:99999999/", "redirected to what is no URL"),
    ],
)
def test_a_redirect_may_lead_to_no_other_place(location, reason):
    with pytest.raises(UnusableError, match=reason):
        asyncio.run(follow_redirect("https://8.8.8.8/", location))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("Thu, 26 Nov 2026 12:00:30 GMT", 30.0),
        ("Thu, 26 Nov 2026 11:00:30 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("9" * 400, None),
        ("Thu, 26 Nov 99999999999999999999 12:00:30 GMT", None),
        ("", None),
    ],
)
def test_when_to_ask_again(text, seconds):
    assert retry_after(text, NOW) == seconds


@pytest.mark.parametrize("address", ["4.0.0.2", "4.0.0.3"])
def test_a_slow_answer_is_not_waited_for(server, tmp_path, address):
    asked = rdap(server, tmp_path, one_seconds=1)
    start = time.monotonic()
    found = asked.look_up([address, "8.8.8.8"])
    assert 1 <= time.monotonic() - start < 10
    assert found[address] == TIMED_OUT
    assert isinstance(found["8.8.8.8"], Registration)


def test_all_look_ups_together_have_a_time(server, tmp_path):
    asked = rdap(server, tmp_path, one_seconds=50, all_seconds=2)
    start = time.monotonic()
    found = asked.look_up(["8.8.8.8", "4.0.0.2", "193.0.6.139"])
    assert time.monotonic() - start < 10
    assert isinstance(found["8.8.8.8"], Registration)
    assert (found["4.0.0.2"], found["193.0.6.139"]) == (TIMED_OUT, NO_TIME)
    assert asked.look_up(["200.3.14.10"]) == {"200.3.14.10": NO_TIME}
    assert len(server.requests()) == 2
    assert asked.remark == (
        "RDAP says nothing of 3 of 4 addresses: 2 not asked: the time for all "
        "look-ups is up; 1 timed out"
    )


def test_a_name_that_is_not_resolved_in_time_is_not_waited_for(tmp_path, monkeypatch):
    def resolve(*arguments, **named):
        time.sleep(6)
        raise socket.gaierror

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    cache = RdapCache(timedelta(days=30), tmp_path)
    options = RdapOptions("https://slow.test", one_seconds=0.5, all_seconds=1)
    start = time.monotonic()
    found = Rdap(options, cache, lambda: NOW).look_up(["8.8.8.8", "9.9.9.9"])
    assert time.monotonic() - start < 5
    assert found["8.8.8.8"] == TIMED_OUT


def test_a_fault_of_our_own_is_raised(server, tmp_path, monkeypatch):
    """Only what servers do is forgiven."""

    def broken(*arguments):
        raise RuntimeError("a fault")

    monkeypatch.setattr("fastflow.holders.rdap.read_answer", broken)
    with pytest.raises(RuntimeError, match="a fault"):
        rdap(server, tmp_path).look_up(["8.8.8.8"])


def test_a_server_is_asked_slowly(server, tmp_path):
    found = rdap(server, tmp_path, per_second=4).look_up(
        ["8.8.8.8", "193.0.6.139", "200.3.14.10"]
    )
    assert all(isinstance(one, Registration) for one in found.values())
    times = [one["time"] for one in server.requests()]
    assert all(b - a > 0.2 for a, b in pairwise(times))


def test_a_server_that_says_later_is_asked_later(server, tmp_path):
    start = time.monotonic()
    found = rdap(server, tmp_path, one_seconds=5).look_up(["2.0.0.2"])
    assert found["2.0.0.2"].organisation == "LATE"
    assert time.monotonic() - start >= 1


@pytest.mark.parametrize(
    ("address", "reason", "n_asked"),
    [
        ("2.0.0.3", "answered 429, asked too often", 1),
        ("2.0.0.4", "answered 503, asked too often", 2),
    ],
)
def test_a_server_that_has_enough_is_left_alone(
    server, tmp_path, address, reason, n_asked
):
    found = rdap(server, tmp_path).look_up([address, "8.8.8.8"])
    assert found == {address: reason, "8.8.8.8": f"not asked: {reason} before"}
    assert len(server.requests()) == n_asked


def test_a_server_that_is_not_there_is_a_reason(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        absent = RdapServer(taken.getsockname()[1], tmp_path / "none")
        found = rdap(absent, tmp_path).look_up(["8.8.8.8"])
    assert found["8.8.8.8"].startswith("cannot be reached (")


@pytest.mark.parametrize(
    "url", ["rdap.example", "ftp://rdap.example", "http://", "http://[::1", ""]
)
def test_a_server_must_be_a_url(url):
    with pytest.raises(ConfigError, match="no RDAP server; write its URL"):
        Rdap(RdapOptions(url))


def test_iana_says_whom_to_ask(server, tmp_path, monkeypatch):
    """Lists name encrypted servers only, so one that is not is put in by hand."""
    lists = {
        "services": [
            [["8.0.0.0/8", "193.0.0.0/8"], ["http://127.0.0.1/", "https://wide.test/"]],
            [["8.8.0.0/16"], [f"https://{server.url[7:]}/"]],
            [["9.0.0.0/8"], ["http://unsafe.test/"]],
        ]
    }
    cache = RdapCache(timedelta(days=30), tmp_path / "cache")
    cache.keep_document("ipv4", lists, NOW)
    asked = Rdap(RdapOptions(one_seconds=2, per_second=1000), cache, lambda: NOW)
    fetched = []

    async def fetch(client, url, now):
        fetched.append(url)
        if url.endswith("ipv6.json"):
            return {"services": []}
        if "8.8.8.8" in url:
            return rdap_answers.ARIN
        raise MissingError("answered 404")

    monkeypatch.setattr("fastflow.holders.rdap.fetch_json", fetch)
    found = asked.look_up(["8.8.8.8", "193.0.6.139", "9.9.9.9", "2001:200::1"])
    assert fetched == [
        "https://data.iana.org/rdap/ipv6.json",
        f"https://{server.url[7:]}/ip/8.8.8.8",
        "https://wide.test/ip/193.0.6.139",
    ]
    assert found["8.8.8.8"].server == server.url[7:].removesuffix("/rdap")
    assert found["193.0.6.139"] == NOT_FOUND
    assert found["9.9.9.9"] == "not asked: IANA names no server"
    assert found["2001:200::1"].endswith("ipv6.json: the list names no RDAP server")


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "192.0.2.1", "224.0.0.1", "fe80::1", "::1", "2001:db8::1"]
)
def test_what_is_not_public_is_asked_of_no_registry(tmp_path, address):
    cache = RdapCache(timedelta(days=30), tmp_path)
    found = Rdap(RdapOptions(), cache, lambda: NOW).look_up([address])
    assert found == {address: "not asked: no public address"}


@pytest.mark.parametrize("key", rdap_answers.RIPE)
@pytest.mark.parametrize("value", [None, 7, "x", [], [None], [7], {}, {"x": [[]]}])
def test_a_field_of_a_wrong_type_never_raises_anything_else(key, value):
    answer = rdap_answers.RIPE | {key: value}
    try:
        found = read_answer(answer, "193.0.6.139", "s", NOW)
    except UnusableError:
        return
    assert Registration.from_json(json.loads(json.dumps(found.to_json()))) == found


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from([*rdap_answers.RIPE, "roles", "vcardArray", "title"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    ),
    st.sampled_from([*rdap_answers.RIPE, None]),
)
def test_no_answer_raises_anything_else(value, key):
    answer = value if key is None else rdap_answers.RIPE | {key: value}
    with suppress(UnusableError):
        found = read_answer(answer, "193.0.6.139", "s", NOW)
        assert found.network == "193.0.0.0/21"


def test_what_a_registry_says_is_one_printable_line():
    answer = rdap_answers.network(
        "8.8.8.0",
        "8.8.8.255",
        entities=[
            rdap_answers.entity("A", ["registrant"], "org", "A\x1b[31m\n" + "é" * 500),
            rdap_answers.entity("B", ["abuse"], "group", "B", "no mail, <b>"),
            rdap_answers.entity("C", ["abuse"], "group", "C", "abuse@c.example"),
        ],
    )
    found = read_answer(answer, "8.8.8.8", "s", NOW)
    assert found.organisation == ("A [31m " + "é" * 500)[:200]
    assert found.abuse == "abuse@c.example"
