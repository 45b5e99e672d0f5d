"""Tools are believed by the evidence of their sources, or by pairs of packets."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fastflow.analysis.selection import Selection
from fastflow.analysis.tools import rows_with_tools
from fastflow.store import Store
from reduced import at, reduced
from strategies import relaxed

NMAP = "1024:2:1460:"
LEAST = {"masscan": 2, "mirai": 1, "zmap": 1, "mine": 1}

Row = dict[str, Any]


def believed(root: Path, rows: list[Row], **selected: Any) -> dict[str, set[str]]:
    """Return the sources of each tool that is believed."""
    if not (root / "_delta_log").exists():
        Store(root, create=True).publish([reduced("one", rows)])
    selection = Selection(Store(root), **selected)
    sql, params = rows_with_tools(selection, selection.period_hours)
    found = selection.ask(f"select tool, src, dst_port from {sql}", params)
    tools: dict[str, set[str]] = defaultdict(set)
    for row in found.to_pylist():
        if row["tool"] is not None:
            tools[row["tool"]].add(f"{row['src'][-1]}:{row['dst_port']}")
    return dict(tools)


def probe(last: int, **named: Any) -> Row:
    return {"src": f"192.0.2.{last}", **named}


def test_a_tool_by_chance_is_not_believed(tmp_path: Path) -> None:
    rows = [
        probe(1, tool="masscan"),
        probe(2, tool="masscan", packets=2),
        probe(3, tool="masscan", dst_port=1),
        probe(3, tool="masscan", dst_port=2),
        probe(4, tool="mirai"),
        probe(5, tool="mine"),
    ]
    assert believed(tmp_path, rows) == {
        "masscan": {"2:445", "3:1", "3:2"},
        "mirai": {"4:445"},
        "mine": {"5:445"},
    }


def test_evidence_is_of_the_period(tmp_path: Path) -> None:
    rows = [probe(1, tool="masscan"), probe(1, tool="masscan", hour=at(24))]
    assert believed(tmp_path, rows) == {"masscan": {"1:445"}}
    assert believed(tmp_path, rows, period="2020-08-26") == {}


def test_nmap_shows_in_two_packets(tmp_path: Path) -> None:
    mask = 0x1234
    one, two = (half * 0x10001 ^ mask << 16 for half in (5, 9))
    rows = [
        # One sequence number is no evidence, however often it comes.
        probe(1, signature=NMAP, tcp_seq=one, packets=9),
        # Two in two rows.
        probe(2, signature=NMAP, tcp_seq=one, dst_port=1),
        probe(2, signature=NMAP, tcp_seq=two, dst_port=2),
        # Two in one row.
        probe(3, signature=NMAP, tcp_seq=None, tcp_seq_key=mask, packets=2),
        # Two that have nothing in common.
        probe(4, signature=NMAP, tcp_seq=one, dst_port=1),
        probe(4, signature=NMAP, tcp_seq=two ^ 1, dst_port=2),
        # Another signature.
        probe(5, signature="1025:2:1460:", tcp_seq=one, dst_port=1),
        probe(5, signature="1025:2:1460:", tcp_seq=two, dst_port=2),
        # Two of many that agree by chance.
        *(probe(6, signature=NMAP, tcp_seq=n << 20, dst_port=n) for n in range(20)),
        probe(6, signature=NMAP, tcp_seq=7 << 20 ^ 0x10001, dst_port=20),
    ]
    assert believed(tmp_path, rows) == {"nmap": {"2:1", "2:2", "3:445"}}


def test_unicornscan_shows_in_three_packets(tmp_path: Path) -> None:
    some = {"signature": "4128:2:1460:", "tcp_seq": None}
    rows = [
        probe(1, **some, tcp_seq_key=7, packets=3),
        probe(2, **some, tcp_seq_key=7, packets=2),
        probe(3, **some, tcp_seq_key=None, packets=4),
        probe(3, **some, tcp_seq_key=7, packets=3, dst_port=1),
        # A packet of its own says nothing for it or against it.
        probe(4, **some, tcp_seq_key=7, packets=3),
        probe(4, signature="4128:2:1460:", tcp_seq=5, packets=8, dst_port=1),
    ]
    assert believed(tmp_path, rows) == {"unicornscan": {"1:445", "4:445", "4:1"}}


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "src": st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
            "dst_port": st.integers(1, 3),
            "signature": st.sampled_from([NMAP, "9:::", None]),
            "tool": st.sampled_from([None, None, None, "masscan", "zmap"]),
            "traffic": st.sampled_from(["scan", "scan", "scan", "other"]),
            "tcp_seq": st.sampled_from([None, 0x10001, 0x20002, 0x20003]),
            "packets": st.integers(1, 4),
        }
    ),
    max_size=8,
    unique_by=lambda row: (
        row["src"], row["dst_port"], row["signature"], row["tool"], row["traffic"]
    ),
)  # fmt: skip


def slow(rows: list[Row]) -> dict[str, int]:
    """Return the packets of believed tools."""
    verdicts: dict[str, int] = defaultdict(int)
    for row in rows:
        own = [other for other in rows if other["src"] == row["src"]]
        tool = row["tool"]
        if tool is not None:
            n = sum(other["packets"] for other in own if other["tool"] == tool)
            if n >= LEAST[tool]:
                verdicts[tool] += row["packets"]
            continue
        if not is_probe(row):
            continue
        pair = "nmap" if row["signature"] == NMAP else "unicornscan"
        of_pair = [
            other
            for other in own
            if is_probe(other) and (other["signature"] == NMAP) == (pair == "nmap")
        ]
        if shows(pair, of_pair):
            verdicts[pair] += row["packets"]
    return dict(verdicts)


def is_probe(row: Row) -> bool:
    is_syn = row["traffic"] == "scan" and ":" not in row["src"]
    return is_syn and row["tool"] is None


def shows(pair: str, rows: list[Row]) -> bool:
    keys: dict[int | None, list[Row]] = defaultdict(list)
    for row in rows:
        seq, key = row["tcp_seq"], row["tcp_seq_key"]
        if pair == "nmap" and key is None and seq is not None:
            key = (seq >> 16) ^ (seq & 0xFFFF)
        if pair == "nmap" or seq is None:
            keys[key].append(row)
    total = sum(row["packets"] for some in keys.values() for row in some)
    for key, some in keys.items():
        seqs = {row["tcp_seq"] for row in some} - {None}
        differs = len(seqs) > 1 or any(row["tcp_seq_key"] is not None for row in some)
        n = sum(row["packets"] for row in some)
        least = 2 if pair == "nmap" else 3
        if key is not None and differs and n >= max(least, total / 2):
            return True
    return False


@relaxed(60)
@given(ROWS, st.data())
def test_like_the_slow_rules(
    tmp_path_factory: Any, rows: list[Row], data: st.DataObject
) -> None:
    for row in rows:
        keys = st.sampled_from([None, 0, 1])
        row["tcp_seq_key"] = data.draw(keys) if row["tcp_seq"] is None else None
    root = tmp_path_factory.mktemp("store")
    store = Store(root, create=True)
    store.publish([reduced("one", rows)])
    sql, params = rows_with_tools(Selection(store), None)
    found = store.sql(
        f"select tool, sum(packets)::bigint as n from {sql} "
        "where tool is not null group by tool",
        params,
    )
    assert {row["tool"]: row["n"] for row in found.to_pylist()} == slow(rows)
