"""What is recorded of inputs is found, whatever came before and whatever hashes say."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastflow.store import Store, recorded
from reduced import growing_input, reduced, some_input
from strategies import relaxed


def test_a_file_is_found_by_path_size_and_time(tmp_path):
    store = Store(tmp_path, create=True)
    store.publish([some_input(1, path="/c/a.pcap", size=10, mtime_ns=5)])
    assert ids_of(tmp_path, ("/c/a.pcap", 10, 5)) == ["input-001"]
    assert ids_of(tmp_path, ("/c/a.pcap", 11, 5), ("/c/a.pcap", 10, 6)) == [None, None]
    assert ids_of(tmp_path, ("/c/b.pcap", 10, 5)) == [None]
    assert ids_of(tmp_path) == []


def test_a_file_is_found_whatever_else_was_recorded(tmp_path, monkeypatch):
    store = Store(tmp_path, create=True)
    named = {"path": "/c/a.pcap", "size": 10}
    store.publish([some_input(n, **named, mtime_ns=n) for n in range(5)])
    store.publish([some_input(5, path="-")])
    refused = reduced("i", path="/c/r", size=1, mtime_ns=1, status="rejected")
    store.publish([refused])
    files = [("/c/a.pcap", 10, n) for n in (3, 9, 0)]
    files += [("/c/r", 1, 1), ("-", -1, -1)]
    found = ["input-003", None, "input-000", None, None]
    assert ids_of(tmp_path, *files) == found
    # The bytes that were refused are taken in from another file.
    store.publish([reduced("i", path="/c/s", size=1, mtime_ns=2)])
    found[3] = "i"
    assert ids_of(tmp_path, *files) == found
    store.compact()
    assert ids_of(tmp_path, *files) == found
    monkeypatch.setattr(recorded, "_hash", lambda text: 7)
    assert ids_of(tmp_path, *files) == found


def ids_of(root, *files):
    """Return the ids of the inputs that were read from files, as they are now."""
    known = Store(root).recorded_files()
    paths, *numbers = zip(*files, strict=True) if files else ((), (), ())
    rows = known.find_files(paths, *(np.array(one, np.int64) for one in numbers))
    assert (rows < 0).tolist() == [row == -1 for row in rows.tolist()]
    ids = iter(known.texts("input", rows[rows >= 0]))
    return [next(ids) if row >= 0 else None for row in rows]


@settings(relaxed(30))
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=9), max_size=9))
def test_an_index_finds_all_rows_of_a_text_in_their_order(batches):
    texts = [text for batch in batches for text in batch]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "_NEW", 5)
        index, first = recorded._Index(), 0
        for batch in batches:
            of = recorded._hashes(pa.array(batch, pa.string()))
            index.add([of], np.arange(first, first + len(batch)))
            first += len(batch)
            for text in "abcdefghi":
                rows = [n for n, one in enumerate(texts[:first]) if one == text]
                assert index.find(text).tolist() == rows
    of, rows = index.join()
    assert [hash(texts[row]) for row in rows] == of.tolist() == sorted(map(hash, texts))


def test_another_process_joins_files_of_inputs_meanwhile(tmp_path):
    store = Store(tmp_path, create=True)
    for n in range(3):
        store.publish([some_input(n)])
    known = store.recorded_files()
    Store(tmp_path).compact()
    assert [store.status(f"input-{n:03}") for n in range(4)] == ["complete"] * 3 + [
        None
    ]
    assert store.publish([some_input(2), some_input(3)]) == ["input-003"]
    # What was found before it keeps its rows.
    assert known.texts("path", np.array([1])) == ["/captures/input-001.pcap"]


def test_one_hash_for_everything_changes_no_count(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded, "_hash", lambda text: 7)
    store = Store(tmp_path, create=True)
    store.publish([growing_input(1)])
    other = reduced("other-002", [{}], head="another")
    store.publish([other])
    assert store.publish([growing_input(3), other]) == ["input-003"]
    rows = store.sql("select id, supersedes from inputs order by id").to_pylist()
    assert [row["supersedes"] for row in rows] == [None, "input-001", None]
    inputs = store.sql("select distinct input from counts order by input")
    assert inputs["input"].to_pylist() == ["input-003", "other-002"]
    known = ["input-001", "input-003", "other-002"]
    assert [one for one in [*known, "i"] if store.is_committed(one)] == known
