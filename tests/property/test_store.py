"""In whatever order a store is written, compacted and expired, it says the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from fastflow.schema import Beginnings, Reduced
from fastflow.store import Store
from reduced import EPOCH, at, reduced

SERIES = "abc"


def capture(series: str, n: int) -> Reduced:
    """Return the n-th version of a growing capture, which has n times seven hours."""
    rows: list[dict[str, Any]] = [
        {
            "hour": at(SERIES.index(series) * 10 + hour),
            "src": f"192.0.2.{hour % 3}",
            "dst_port": None if hour % 5 == 0 else 23,
            "tcp_seq": hour % 4 or None,
            "packets": 1 + hour,
        }
        for hour in range(7 * n)
    ]
    grown = reduced(f"{series}-{n:03}", rows, head=series, path=f"/c/{series}.pcap")
    ids = {m: f"{series}-{m:03}" for m in range(1, n)}
    return replace(grown, beginnings=Beginnings(series, ids))


captures = st.tuples(st.sampled_from(SERIES), st.integers(1, 9))
actions = st.one_of(
    st.tuples(st.just("publish"), st.lists(captures, min_size=1, max_size=3)),
    st.tuples(st.just("compact"), st.none()),
    st.tuples(st.just("expire"), st.tuples(st.integers(0, 4), st.booleans())),
)


def run(root: Path, steps: list[tuple[str, Any]], compacts: bool) -> None:
    store = Store(root, create=True)
    for name, what in steps:
        if name == "publish":
            store.publish([capture(*one) for one in what])
        elif name == "expire":
            day, daily = what
            store.expire(EPOCH + timedelta(days=day), daily=daily)
        elif compacts:
            before = store._table.version
            store.compact()
            check_versions(root, before, store._table.version)


def check_versions(root: Path, first: int, last: int) -> None:
    """Every version of a compaction has the same rows for any reader of Delta Lake."""
    found = []
    for version in range(first, last + 1):
        rows = DeltaTable(root, version=version).to_pyarrow_table()
        columns = ["table", "input", "hour", "packets"]
        texts = map(str, rows.select(columns).to_pylist())
        found.append(sorted(texts))
    assert all(rows == found[0] for rows in found)


def text_of(root: Path) -> str:
    out = root.with_suffix(".csv")
    Store(root).export_canonical(out)
    return out.read_text()


@settings(deadline=None, max_examples=25)
@given(st.lists(actions, min_size=2, max_size=9))
def test_compaction_never_shows(tmp_path_factory, steps) -> None:
    directory = tmp_path_factory.mktemp("stores")
    run(directory / "compacted", steps, compacts=True)
    run(directory / "plain", steps, compacts=False)
    assert text_of(directory / "compacted") == text_of(directory / "plain")
    for name in ("compacted", "plain"):
        verdict = Store.verify(directory / name)
        assert verdict.is_good, verdict
        assert verdict.orphans == []
