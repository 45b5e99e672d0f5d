"""Rows rolled up to series, beside the database's own sums."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from fastflow.analysis.events import rollup
from fastflow.analysis.events.columns import COLUMNS
from fastflow.analysis.events.find import Finder
from fastflow.analysis.events.pool import stored_hours
from fastflow.analysis.events.sample import Sample, stretch_of
from fastflow.analysis.events.slices import DIMENSIONS, ROLLUPS
from fastflow.analysis.selection import Selection
from fastflow.schema import TIMESTAMP
from fastflow.synth.scenario import make_scenario
from scenario_store import make_store

START, N_HOURS, CLUMP = 442_000, 50, 4.0
#: One text of each dimension that has other columns than that of its name.
_SQL = {
    "service": "case when coalesce(dst_port, icmp_type) is not null then "
    "concat_ws('/', proto, coalesce(dst_port, -1), coalesce(icmp_type, -1)) end",
    "window": "try_cast(split_part(signature, ':', 1) as integer)",
    "network": DIMENSIONS["network"].columns["network"],
}


def rows(seed: int, table: str) -> pa.Table:
    """Return rows as they are read: some values often, many next to never."""
    rng = np.random.default_rng(seed)
    n = 4000

    def some(values: list) -> list:
        place = (len(values) * rng.random(n) ** 4).astype(int)
        return [values[one] for one in place]

    services = [(6, port, None) for port in range(60)]
    services += [(1, None, 8), (47, None, None)]
    proto, port, icmp_type = zip(*some(services), strict=True)
    sources = [bytes(10) + b"\xff\xff\x0a" + (97 * k).to_bytes(3) for k in range(700)]
    src = some([*sources, b"\x20\x01" + bytes(14)])
    signatures = [f"{1024 * (k % 7)}:2-{k}:1460:" for k in range(90)]
    columns = {
        "proto": pa.array(proto, pa.int16()),
        "dst_port": pa.array(port, pa.int32()),
        "icmp_type": pa.array(icmp_type, pa.int16()),
        "country": some(["US", None, "JP", "NL", "NZ", "KE"]),
        "traffic": some(["scan", "backscatter", "other"]),
        "tool": some([None, "masscan", "mirai"]),
        "signature": some([*signatures, None, "strange"]),
        "src_port": pa.array(some([None, *range(400)]), pa.int32()),
        "tcp_seq": pa.array(some([None, *range(300)]), pa.int64()),
        "src": pa.array(src, pa.binary()),
        "ip_version": pa.array([6 if one[0] else 4 for one in src], pa.int16()),
    }
    stored = [name for parts in COLUMNS[table].values() for name in parts]
    mine = {name: columns[name] for name in stored}
    size = rng.geometric(0.3, n)
    return pa.table(
        {
            "hour": pa.array(
                (START + rng.integers(0, N_HOURS, n)) * 3_600_000_000, TIMESTAMP
            ),
            "packets": pa.array(size, pa.int64()),
            "sources": pa.array(np.minimum(size, 3), pa.int64()),
            **mine,
        }
    )


def text_of(dimension: str, value: tuple) -> str:
    if dimension == "service":
        return "/".join("-1" if part is None else str(part) for part in value)
    return str(value[-1])


@pytest.mark.parametrize("few", [256, 0])
@pytest.mark.parametrize("codes", [1 << 62, 1])
@pytest.mark.parametrize("table", ["counts", "sources"])
def test_series_are_the_sums_of_the_database(
    table: str, codes: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup, "_MOST_CODES", codes)
    monkeypatch.setattr(rollup, "_FEW_VALUES", few)
    given = rows(1, table)
    cells = rollup.Cells(table, given, START, N_HOURS, CLUMP)
    total = sum(given["packets"].to_pylist())
    least = max(10 * N_HOURS / 24, 5e-5 * total) if table == "counts" else np.inf
    n_kept = 0
    for cut in ROLLUPS[table]:
        names = [_SQL.get(name, name) for name in cut]
        busy = cells.least_in_hour * (2 if "network" in cut else 1)
        keys = "".join(f"({sql})::varchar as k{n}, " for n, sql in enumerate(names))
        there = " and ".join(f"({sql}) is not null" for sql in names) or "true"
        by = "".join(f"k{n}, " for n in range(len(cut)))
        found = duckdb.sql(
            f"with sums as (select {keys} epoch_us(hour) // 3600000000 - {START} "
            "as since, sum(packets)::bigint as packets, "
            f"sum(sources)::bigint as sources from given where {there} group by all), "
            f"kept as (select {by} max(packets) as most, sum(packets) as n from sums "
            f"group by all having most >= {busy} or n >= '{least}'::double) "
            f"select sums.* from sums join kept on "
            + (
                " and ".join(f"sums.k{n} = kept.k{n}" for n in range(len(cut)))
                or "true"
            )
        ).fetchall()
        series = cells.roll_up(cut)
        mine = [
            [text_of(name, value) for name, value in zip(cut, key.values, strict=True)]
            for key in series.keys
        ]
        keys_of_row = np.repeat(np.arange(len(mine)), series.lengths)
        got = [
            (*mine[key], hour, packets, sources)
            for key, hour, packets, sources in zip(
                keys_of_row.tolist(),
                series.hours.tolist(),
                series.packets.tolist(),
                series.sources.tolist(),
                strict=True,
            )
        ]
        assert sorted(got) == sorted(found)
        n_kept += len(mine)
    assert n_kept > 10


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> Finder:
    root = tmp_path_factory.mktemp("rollup")
    selection = Selection(make_store(make_scenario(10_004), root / "store"))
    hours = stored_hours(selection)
    assert hours is not None
    return Finder(selection, *hours)


def test_a_sample_of_a_slice_has_its_excess(finder: Finder) -> None:
    stretch = stretch_of(finder.clock, 1000, 1030, 1.0)
    whole = Sample(finder.selection, finder.clock, stretch)
    cuts = {key.dimensions: key for key in finder.pool.keys}
    assert len(cuts) > 10
    for key in cuts.values():
        part = Sample(finder.selection, finder.clock, stretch, key.slice)
        mask = whole.mask(key.slice)
        for measure in ("packets", "sources"):
            assert part.whole_excess(measure) == pytest.approx(
                whole.excess(mask, measure)
            )


def test_shares_are_those_of_masks(finder: Finder) -> None:
    sample = Sample(
        finder.selection, finder.clock, stretch_of(finder.clock, 1000, 1030, 1.0)
    )
    chosen = {"country": ("US",)}
    mine = sample.mask(chosen)
    whole = sample.excess(mine, "packets")
    sign = 1 if whole > 0 else -1
    sample.weights["packets"] *= sign
    shares = sample.shares(chosen, finder.pool.keys, "packets")
    for key, share in zip(finder.pool.keys[::7], shares[::7].tolist(), strict=True):
        both = mine & sample.mask(key.slice)
        part = sample.excess(both, "packets") / abs(whole)
        assert share == pytest.approx(min(1.0, max(0.0, part)), abs=1e-9)
    assert {name for key in finder.pool.keys for name in key.dimensions} <= set(
        DIMENSIONS
    )
