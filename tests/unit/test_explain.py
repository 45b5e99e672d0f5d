"""What some traffic has in common, said by a store and by captures, in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders as b
import fastflow
from command import fastflow as command
from fastflow.analysis.explain import Explanation, explain_captures, explain_store
from fastflow.analysis.selection import Selection
from fastflow.errors import ConfigError
from fastflow.store import Store
from fastflow.units import Period
from questions import ROW, WHERE, matching
from reduced import reduced
from strategies import relaxed


def store_of(root: Path, rows: list[dict[str, Any]]) -> Store:
    store = Store(root, create=True)
    store.publish([reduced("one", rows)])
    return store


def fields_of(explanation: Explanation) -> dict[str, Any]:
    return {field.field: field for field in explanation.fields}


def test_what_is_fixed_and_rare_comes_first(tmp_path: Path) -> None:
    burst = {"country": "NZ", "dst_port": 23, "signature": "5840:::", "ip_ttl": 50}
    rows = [
        {**burst, "src": "192.0.2.1", "packets": 30, "tcp_seq": 7},
        {**burst, "src": "192.0.2.2", "packets": 10, "tcp_seq": 7},
        {"src": "192.0.2.9", "packets": 60, "ip_ttl": 50},
    ]
    found = explain_store(Selection(store_of(tmp_path, rows), where={"country": "NZ"}))
    assert (found.packets, found.others) == (40, 60)
    fields = fields_of(found)
    assert fields["tcp_seq"].state == "fixed"
    assert (fields["tcp_seq"].value, fields["tcp_seq"].elsewhere) == (7, 0.0)
    assert fields["tcp_window"].value == 5840
    assert fields["ip_ttl"].state == "fixed"
    assert fields["ip_ttl"].elsewhere == 1.0
    assert fields["src"].state == "concentrated"
    assert (fields["src"].value, fields["src"].packets) == ("192.0.2.1", 30)
    assert fields["src"].values == 2
    assert fields["network"].value == "192.0.2.0/24"
    names = [field.field for field in found.fields]
    assert names.index("tcp_seq") < names.index("ip_ttl") < names.index("src")
    assert fields["tcp_window"].text == (
        "tcp_window is 5840 in all packets (0.0 % elsewhere)"
    )
    assert fields["src"].text == (
        "src is 192.0.2.1 in 75.0 % of the packets (0.0 % elsewhere)"
    )


def test_what_is_as_common_elsewhere_is_no_explanation(tmp_path: Path) -> None:
    rows = [
        {"src": f"192.0.2.{last}", "dst_port": port, "packets": packets}
        for last in (1, 2)
        for port, packets in ((1, 6), (2, 4))
    ]
    selection = Selection(store_of(tmp_path, rows), where={"src": "192.0.2.1"})
    assert fields_of(explain_store(selection))["dst_port"].state == "varied"


def test_all_traffic_is_beside_none(tmp_path: Path) -> None:
    found = explain_store(Selection(store_of(tmp_path, [{"packets": 3}])))
    assert (found.packets, found.others) == (3, 0)
    assert {field.elsewhere for field in found.fields} == {None}
    assert fields_of(found)["dst_port"].text == "dst_port is 445 in all packets"


def test_of_no_traffic_nothing_is_said(tmp_path: Path) -> None:
    store = store_of(tmp_path, [{}])
    found = explain_store(Selection(store, where={"dst_port": 9}))
    assert (found.packets, found.others, found.fields) == (0, 1, [])


def test_a_store_without_sources_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path, create=True, settings={"sources": False})
    with pytest.raises(ConfigError, match="made without sources"):
        explain_store(Selection(store))


@relaxed(30)
@given(st.lists(st.fixed_dictionaries(ROW), min_size=1, max_size=12), WHERE)
def test_like_a_slow_count(tmp_path_factory: Any, rows: Any, where: Any) -> None:
    store = store_of(tmp_path_factory.mktemp("store"), rows)
    found = explain_store(Selection(store, where=where))
    inside = matching(rows, where)
    outside = [row for row in matching(rows, {}) if row not in inside]
    assert found.packets == sum(row["packets"] for row in inside)
    assert found.others == sum(row["packets"] for row in outside)
    fields = fields_of(found)
    for name in ("country", "dst_port", "tool", "proto", "signature"):
        counts: dict[Any, int] = {}
        for row in inside:
            if row[name] is not None:
                counts[row[name]] = counts.get(row[name], 0) + row["packets"]
        if not counts:
            assert name not in fields
            continue
        most = max(counts.values())
        value = min(key for key, n in counts.items() if n == most)
        assert (fields[name].value, fields[name].packets) == (value, most)
        assert fields[name].values == len(counts)
        others = sum(row["packets"] for row in outside if row[name] == value)
        expected = others / found.others if found.others else None
        assert fields[name].elsewhere == expected


def probes() -> bytes:
    burst = [
        b.ethernet(b.ipv4(b.tcp(dst_port=23, seq=9, window=5840, flags=b.SYN), ttl=50))
        for _ in range(8)
    ]
    rest = [
        b.ethernet(b.ipv4(b.tcp(dst_port=445, seq=n, flags=b.SYN), ident=n, ttl=60 + n))
        for n in range(4)
    ]
    return b.capture(*burst, *rest, b.ethernet(b.ipv4(b.udp(), proto=b.UDP)))


def test_captures_say_what_a_store_says_and_more(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(probes())
    fastflow.reduce([path], tmp_path / "store", "lab")
    where = {"dst_port": 23}
    store = explain_store(Selection(Store(tmp_path / "store"), where=where))
    captures = explain_captures([str(path)], where)
    assert (captures.packets, captures.others) == (8, 5)
    assert (store.packets, store.others) == (8, 5)
    of_store, of_captures = fields_of(store), fields_of(captures)
    for name in of_store.keys() & of_captures.keys():
        assert of_store[name] == of_captures[name]
    assert of_store.keys() - of_captures.keys() == {"sensor"}
    assert of_captures["ip_id"].state == "fixed"
    assert "dst" not in of_captures
    day = Period.parse("2020-08-27")
    assert explain_captures([str(path)], where, day).packets == 0


def test_captures_that_are_damaged_or_asked_for_a_sensor(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(probes()[:-5])
    found = explain_captures([str(path)])
    assert (found.packets, found.captures[0].status) == (12, "truncated")
    ran = command("explain", path)
    assert (ran.code, "truncated_record" in ran.err) == (3, True)
    with pytest.raises(ConfigError, match="captures have none"):
        explain_captures([str(path)], {"sensor": "x"})


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(probes())
    document = command("explain", path, "--where", "dst_port=23", "--json").json
    assert (document["packets"], document["others"]) == (8, 5)
    assert document["fields"][0].keys() == {
        "field", "state", "value", "packets", "share", "elsewhere", "values", "text",
    }  # fmt: skip
    text = command("explain", path, "--where", "dst_port=23").out.decode()
    assert text.startswith("8 packets, beside 5 others\n* ")
    assert command("explain").code == 2
    assert command("explain", path, "--store", tmp_path).code == 2
