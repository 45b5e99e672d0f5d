"""`fastflow store verify` and `repair`, as an operator uses them."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
from command import fastflow


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two captures, committed one after the other."""
    for number in range(2):
        frame = b.ethernet(b.ipv4(b.tcp(dst_port=100 + number)))
        (tmp_path / f"{number}.pcap").write_bytes(b.capture(frame, frame))
        reduce(tmp_path / "counts", tmp_path / f"{number}.pcap")
    return tmp_path / "counts"


def reduce(store: Path, *captures: Path) -> None:
    ran = fastflow("reduce", *captures, "--store", store, "--sensor=lab")
    assert ran.code == 0, ran.err


def canonical(store: Path) -> bytes:
    return fastflow("store", "export", "--store", store, "--canonical", "-o", "-").out


def test_a_good_store(store: Path) -> None:
    ran = fastflow("store", "verify", "--store", store)
    assert ran.code == 0
    assert ran.out.decode() == "all as committed: 6 files, 2 inputs\n"
    assert fastflow("store", "repair", "--store", store).out.decode() == (
        "every input is in the store\n"
    )


def test_a_damaged_file_is_found_set_aside_and_reduced_again(
    store: Path, tmp_path: Path
) -> None:
    expected = canonical(store)
    damaged = sorted(store.glob("table=counts/*.parquet"))[0]
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 16
    damaged.write_bytes(data)

    ran = fastflow("store", "verify", "--store", store)
    assert ran.code == 1
    assert f"table=counts/{damaged.name}: damaged" in ran.err
    assert "0 packets in counts, 2 counted" in ran.err
    assert "run `fastflow store repair`" in ran.err
    found = fastflow("store", "verify", "--store", store, "--json")
    assert found.code == 1
    assert found.json["damaged"] == [f"table=counts/{damaged.name}"]
    (wrong,) = found.json["wrong"]

    done = fastflow("store", "repair", "--store", store, "--json")
    assert done.code == 0
    assert done.json["aside"] == [str(store / "_aside" / damaged.name)]
    assert done.json["reopened"] == [{"id": wrong["id"], "path": wrong["path"]}]
    reduce(store, Path(wrong["path"]))
    assert fastflow("store", "verify", "--store", store).code == 0
    assert canonical(store) == expected


def test_a_damaged_log_is_told_by_every_command(store: Path) -> None:
    entry = store / "_delta_log" / f"{1:020}.json"
    entry.write_bytes(entry.read_bytes().replace(b'"size": ', b'"size": 1'))
    for args in (["top", "--by=port"], ["query", "select 1"]):
        ran = fastflow(*args, "--store", store)
        assert ran.code == 1
        assert "is damaged (its checksum is wrong)" in ran.err
        assert "fastflow store repair" in ran.err
    assert fastflow("store", "verify", "--store", store).code == 1
    done = fastflow("store", "repair", "--store", store, "--json").json
    assert [Path(path).name for path in done["aside"]] == [entry.name]
    assert fastflow("store", "verify", "--store", store).code == 0


def test_where_no_store_is(tmp_path: Path) -> None:
    for what in ("verify", "repair"):
        ran = fastflow("store", what, "--store", tmp_path / "none")
        assert ran.code == 1
        assert "no fastflow store here" in ran.err
