"""`fastflow store verify` and `repair`, as an operator uses them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import builders as b
from command import fastflow
from fastflow.store import Store


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
    expected = "; it says the same twice, and is restored from that"
    assert expected in fastflow("store", "verify", "--store", store).err
    done = fastflow("store", "repair", "--store", store)
    assert f"{entry}: restored, nothing of it is lost" in done.out.decode()
    assert "every input is in the store" in done.out.decode()
    assert fastflow("store", "verify", "--store", store).code == 0


@pytest.mark.parametrize("days", [(), ("expired", "daily")])
def test_a_lost_entry_is_told_with_what_to_do(
    store: Path, tmp_path: Path, days: tuple[str, ...]
) -> None:
    before = canonical(store)
    for change in days:
        note(store, change)
    entry = store / "_delta_log" / f"{1:020}.json"
    entry.write_bytes(b"\n{}\n")
    ran = fastflow("store", "verify", "--store", store)
    assert (ran.code, "what it said is lost" in ran.err) == (1, True)
    done = fastflow("store", "repair", "--store", store)
    assert done.code == 0
    assert f"{entry}: this entry is lost; reduce again what is listed" in done.err
    if days:
        assert "`fastflow store expire --before 2000-01-01`" in done.err
        assert "`fastflow store expire --before 2000-01-01 --keep daily`" in done.err
    else:
        assert "run `fastflow store expire` as before" in done.err
    assert str(tmp_path / "0.pcap") in done.out.decode()
    again = fastflow("store", "repair", "--store", store, "--json").json
    assert [one["path"] for one in again["reopened"]] == [str(tmp_path / "0.pcap")]
    assert (again["lost"], again["aside"]) == ([], [])
    reduce(store, tmp_path / "0.pcap")
    assert canonical(store) == before
    again = fastflow("store", "repair", "--store", store, "--json").json
    assert again["reopened"] == []


def note(store: Path, change: str) -> None:
    """Let the table say that hours have expired, though there were none."""
    table = Store(store)._table
    table.commit([], before={change: datetime(2000, 1, 1, tzinfo=UTC)})


def test_a_record_that_is_gone_is_told(store: Path) -> None:
    for path in store.glob("table=*/*.parquet"):
        path.unlink()
    done = fastflow("store", "repair", "--store", store)
    assert "which captures it recorded is not known; reduce all" in done.err
    assert "every input is in the store" not in done.out.decode()


def test_where_no_store_is(tmp_path: Path) -> None:
    for what in ("verify", "repair"):
        ran = fastflow("store", what, "--store", tmp_path / "none")
        assert ran.code == 1
        assert "no fastflow store here" in ran.err
