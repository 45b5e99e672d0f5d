"""No sensor's address is in anything that is written, and no name in what is shared."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import builders as b
import canary
import fastflow as ff
from command import Ran, fastflow
from fastflow.addresses import to_text
from fastflow.cli.main import cli
from fastflow.split import PART_BYTES
from fastflow.store import Store
from fastflow.store.table import KINDS

ADDRESSES = canary.address_needles()
#: Of `fastflow contacts`.
FORMATS = ("csv", "intelmq", "stix")

#: Ways to reduce: what is added to the command.
WAYS: dict[str, tuple[str, ...]] = {
    "plain": ("--workers", "1"),
    "workers": ("--workers", "2", "--json", "--profile"),
    "decap": ("--decap", "all"),
    "no-sources": ("--no-sources",),
    "filter": ("--filter", f"dst host {canary.SENSOR4} or dst host {canary.SENSOR6}"),
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The captures, also compressed ones."""
    paths = canary.write_captures(tmp_path_factory.mktemp("captures"))
    for path in paths[:4]:
        packed = gzip.compress(path.read_bytes() + b"\0", mtime=0)
        paths.append(path.with_name(path.name + ".gz"))
        paths[-1].write_bytes(packed[:-9] if "cut" in path.name else packed)
    return paths


@pytest.fixture(scope="module", params=WAYS)
def reduced(
    request: pytest.FixtureRequest,
    paths: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Ran]:
    """A store of the captures, and what the reduce said."""
    store = tmp_path_factory.mktemp("store") / "counts"
    args = ("--store", store, "--sensor", "{parent}", *WAYS[request.param])
    ran = fastflow("reduce", *paths, *args)
    assert ran.code == 3, ran.err
    return store, ran


def said(ran: Ran) -> list[bytes]:
    return [ran.out, ran.err.encode()]


def run(*args: object) -> Ran:
    """Run a command in this process: here are many, and they write nothing."""
    done = CliRunner().invoke(cli, [*map(str, args)], catch_exceptions=False)
    ran = Ran(done.exit_code, done.stdout_bytes, done.stderr)
    assert ran.code == 0, ran.err
    return ran


def test_a_canary_that_is_there_is_found(tmp_path: Path) -> None:
    """Else silence would prove nothing."""
    path = tmp_path / "a.pcap"
    path.write_bytes(canary.as_source())
    store = tmp_path / "counts"
    fastflow("reduce", path, "--store", store, "--sensor", canary.SENSOR)
    found = canary.found_in(ADDRESSES, canary.pieces_of(store))
    assert found >= {f"bytes of {canary.SENSOR4}", f"bytes of {canary.SENSOR6}"}
    Store(store).export(tmp_path / "a.csv", "sources")
    found = canary.found_in(ADDRESSES, canary.pieces_of(tmp_path / "a.csv"))
    assert found >= {f"text {canary.SENSOR4}", f"text {canary.SENSOR6}"}
    names = canary.found_in(canary.name_needles(), canary.pieces_of(store))
    assert names == {canary.SENSOR}


def test_every_form_is_found_in_a_page(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    for name, needle in ADDRESSES.items():
        values = pa.array([b"a", b"x" + needle + b"x"], pa.binary())
        pq.write_table(pa.table({"a": values}), path, compression="zstd")
        assert name in canary.found_in(ADDRESSES, canary.pieces_of(path))


def test_numbers_and_dictionaries_and_statistics_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    numbers = pa.array([1, int(canary.SENSOR4)])
    pq.write_table(pa.table({"a": numbers}), path, use_dictionary=False)
    assert canary.found_in(ADDRESSES, canary.pieces_of(path)) >= {
        f"bytes of {canary.SENSOR4}",
        f"text {int(canary.SENSOR4)}",
    }
    # A text that no row has.
    unused = pa.DictionaryArray.from_arrays([0], ["a", str(canary.SENSOR4)])
    pq.write_table(pa.table({"a": unused}), path, compression="zstd")
    found = canary.found_in(ADDRESSES, canary.pieces_of(path))
    assert found == {f"text {canary.SENSOR4}"}


def test_the_captures_hold_the_secrets(paths: list[Path]) -> None:
    capture = [path.read_bytes() for path in paths]
    assert canary.found_in(canary.name_needles(), capture) == {canary.HOST}
    found = canary.found_in(ADDRESSES, capture)
    assert found >= {f"text {canary.SENSOR4}", f"reversed {canary.SENSOR4}"}


def test_the_store_knows_no_address(reduced: tuple[Path, Ran]) -> None:
    store, _ = reduced
    total = Store(store).sql("select sum(packets) n, count(*) c from counts")
    assert total["n"][0].as_py() > 100
    kept = Store(store).sql("select sum(packets) n, count(*) c from backscatter")
    assert (kept["c"][0].as_py() > 0) == Store(store).settings.sources
    assert canary.found_in(ADDRESSES, canary.pieces_of(store)) == set()


def test_what_is_said_of_damage_names_no_address(reduced: tuple[Path, Ran]) -> None:
    _, ran = reduced
    assert "length.pcap: " in ran.err
    assert "refused.pcap: " in ran.err
    assert canary.found_in(ADDRESSES, said(ran)) == set()


def test_answers_name_no_address(reduced: tuple[Path, Ran]) -> None:
    store, _ = reduced
    questions = [
        *[("query", f"select * from {table}") for table in (*KINDS, "attacks")],
        *[("top", "--by", by) for by in ("port", "signature", "sensor")],
    ]
    for question in questions:
        for form in ((), ("--json",)):
            ran = run(*question, "--store", store, *form)
            assert canary.found_in(ADDRESSES, said(ran)) == set()


@pytest.mark.parametrize("form", [("--json",), *(("--format", f) for f in FORMATS)])
def test_contacts_name_nothing_of_a_sensor(
    reduced: tuple[Path, Ran], form: tuple[str, ...]
) -> None:
    store, _ = reduced
    if Store(store).settings.sources:
        ran = run("contacts", "--store", store, *form)
        assert len(ran.out) > 100
        needles = ADDRESSES | canary.name_needles()
        assert canary.found_in(needles, [ran.out]) == set()


def test_info_names_no_address(paths: list[Path]) -> None:
    for form in ((), ("--json",)):
        ran = fastflow("info", *paths, *form)
        assert canary.found_in(ADDRESSES, said(ran)) == set()


def test_exports_name_no_address(reduced: tuple[Path, Ran], tmp_path: Path) -> None:
    store = Store(reduced[0])
    for table in KINDS:
        for ending in ("parquet", "csv", "arrow"):
            store.export(tmp_path / f"{table}.{ending}", table)
    store.export_canonical(tmp_path / "all.csv")
    assert canary.found_in(ADDRESSES, canary.pieces_of(tmp_path)) == set()


@pytest.mark.parametrize("ending", ["parquet", "csv", "arrow"])
@pytest.mark.parametrize("least", [1, None])
def test_what_is_shared_names_nothing(
    reduced: tuple[Path, Ran], tmp_path: Path, ending: str, least: int | None
) -> None:
    """Also not where no cell is too small."""
    store, _ = reduced
    out = tmp_path / f"out.{ending}"
    rules = () if least is None else ("--min-packets", least, "--min-sensors", least)
    ran = run("store", "export", "--store", store, "-o", out, "--shared", *rules)
    ids = Store(store).sql("select id, path from inputs").to_pylist()
    more = [text for row in ids for text in (row["id"], row["path"], row["id"][:64])]
    needles = ADDRESSES | canary.name_needles(*more, *map(str, Path(store).parts[1:]))
    victims = Store(store).sql("select distinct src, ip_version from backscatter")
    for packed, version in zip(*victims.to_pydict().values(), strict=True):
        text = to_text(packed, version)
        needles |= {f"victim {text}": packed, f"text of {text}": text.encode()}
    assert canary.found_in(needles, canary.pieces_of(out)) == set()
    assert canary.found_in(needles, said(ran)) == set()
    if least == 1:
        assert out.stat().st_size > 1000


def test_a_file_in_parts_names_no_address(tmp_path: Path) -> None:
    """Counted by several threads, up to damage that looks like lengths."""
    data = canary.captures()["length.pcap"]
    records = canary.pcap()[24:]
    path = tmp_path / "large.pcap"
    path.write_bytes(data[:24] + records * (3 * PART_BYTES // len(records)) + data[24:])
    report = ff.reduce([path], tmp_path / "counts", "lab", workers=2)
    assert report.inputs[0].status == "damaged"
    words = [repr(report.to_json()).encode(), *map(str.encode, report.messages)]
    pieces = [*canary.pieces_of(tmp_path / "counts"), *words]
    assert canary.found_in(ADDRESSES, pieces) == set()


def test_another_filter_is_refused_without_naming_the_address(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(b.capture(b.ethernet(b.ipv4(b.tcp()))))
    store = tmp_path / "counts"
    args = ("reduce", path, "--store", store, "--sensor", "lab")
    assert fastflow(*args).code == 0
    ran = fastflow(*args, "--filter", f"dst host {canary.SENSOR4}")
    assert ran.code == 2
    assert "made with" in ran.err
    assert canary.found_in(ADDRESSES, said(ran)) == set()
