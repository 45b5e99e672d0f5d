"""Is the store as it was written, and whole? What is not is set aside by `repair`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from fastflow.schema import INPUTS, ROW_TABLES
from fastflow.store.parquet import conformed, reading
from fastflow.store.place import Place, content_hash, is_ours
from fastflow.store.query import Query
from fastflow.store.table import KINDS, Table

_COLUMNS = [
    "input",
    "supersedes",
    "part_of",
    "path",
    "status",
    "counted",
    "backscatter",
    "first_packet",
]

#: What the rows of an input add up to: the column of its record, and the tables.
_ADD_UP_TO = {"counted": ("counts", "sources"), "backscatter": ("backscatter",)}


@dataclass
class Verdict:
    """What was found in a store. Names of files are relative to it.

    Attributes
    ----------
    log : dict[str, str]
        Entries and checkpoints that are damaged, and how.
    damaged, missing : list of str
        Files of the newest version that are not as they were written, or not there.
    foreign : list of str
        Files that are not fastflow's; they are left alone.
    orphans : list of str
        What a run that died has left: nothing is wrong with it, the next reduce removes
        it.
    wrong : dict[str, str]
        Inputs whose rows in the store are not those that were counted, and how.
    repeated : set of str
        Of these, those of which nothing is wrong but that they are recorded twice.
    paths : dict[str, str]
        Of these inputs, as far as they are known: the captures to reduce again.
    files, inputs : int
        How many were checked.
    """

    log: dict[str, str] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)
    paths: dict[str, str] = field(default_factory=dict)
    files: int = 0
    inputs: int = 0

    @property
    def is_good(self) -> bool:
        """Whether every count is as it was committed."""
        return not (self.log or self.damaged or self.missing or self.wrong)


def verify(
    place: Place,
    progress: Callable[[float], object] = lambda fraction: None,
    passed_over: Collection[str] = (),
) -> Verdict:
    """Read all of a store and compare it with what was committed.

    Parameters
    ----------
    place : Place
        Where the store lies.
    progress : callable
        Called with the fraction that is done.
    passed_over : collection of str
        Entries of the log that are known to be lost, and no fault.

    Raises
    ------
    StoreError
        There is no store, or it cannot be read at all.
    """
    faults = place.log_faults()
    verdict = Verdict(log={k: v for k, v in faults.items() if k not in passed_over})
    if verdict.log:
        return verdict  # which files belong to the store cannot be told
    table = Table.open(place)
    good = _check_files(table, verdict, progress)
    _check_strays(table, verdict)
    _check_inputs(table, good, verdict)
    return verdict


def _check_files(
    table: Table, verdict: Verdict, progress: Callable[[float], object]
) -> dict[str, list[Path]]:
    """Compare each file with the hash in its name; return the good ones by kind."""
    good: dict[str, list[str]] = {}
    active = [(kind, path) for kind in KINDS for path in table.files(kind)]
    for number, (kind, name) in enumerate(active, start=1):
        try:
            if is_as_written(table.place, name):
                good.setdefault(kind, []).append(name)
            else:
                verdict.damaged.append(name)
        except FileNotFoundError:
            verdict.missing.append(name)
        progress(number / len(active))
    verdict.files = len(active)
    return {kind: table.place.fetch(names) for kind, names in good.items()}


def is_as_written(place: Place, name: str) -> bool:
    """Return whether a data file's content is that of its name.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    """
    try:
        return place.hash_of(name) == content_hash(name)
    except FileNotFoundError:
        raise
    except OSError:
        return False  # a disk that gives an error gives no content


def _check_strays(table: Table, verdict: Verdict) -> None:
    """Tell what dead runs left from what is not fastflow's."""
    for name in table.unnamed():
        if not is_ours(name):
            verdict.foreign.append(name)
        elif not table.place.is_held(name):
            verdict.orphans.append(name)


def _check_inputs(table: Table, good: dict[str, list[Path]], verdict: Verdict) -> None:
    """Compare the rows of each input with what was counted of it."""
    live = _live_inputs(good.get("inputs", []), verdict)
    verdict.inputs = len(live)
    expired = table.before("expired")
    for column, kinds in _ADD_UP_TO.items():
        expected = {one: _range(row, column, expired) for one, row in live.items()}
        kept = [kind for kind in kinds if kind in table.settings.row_tables]
        if kept:
            _check_sums(table, good, kept, expected, verdict)
    verdict.repeated -= verdict.wrong.keys()
    verdict.wrong |= dict.fromkeys(verdict.repeated, "recorded more than once")


def _check_sums(
    table: Table,
    good: dict[str, list[Path]],
    kinds: Sequence[str],
    expected: dict[str, range],
    verdict: Verdict,
) -> None:
    """Compare tables whose rows of an input add up to the same."""
    vague = {one: n[-1] for one, n in expected.items() if len(n) > 1}
    for kind in kinds:
        found = _packets_by_input(kind, good.get(kind, []))
        for input_id in expected.keys() | found.keys():
            n_packets = found.get(input_id, 0)
            if input_id not in expected:
                verdict.wrong[input_id] = f"{kind} of an input that is not recorded"
            elif n_packets not in expected[input_id]:
                verdict.wrong[input_id] = (
                    f"{n_packets:,} packets in {kind}, "
                    f"{expected[input_id][-1]:,} counted"
                )
            else:
                # Of what has expired, the same has to have expired in all of them.
                expected[input_id] = range(n_packets, n_packets + 1)
    if vague:
        for input_id in _with_double_rows(kinds[0], good.get(kinds[0], []), vague):
            verdict.wrong[input_id] = f"rows of {kinds[0]} that are there twice"
        fewer = {one for one, counted in vague.items() if counted not in expected[one]}
        for input_id in _may_be_hit(table, kinds, fewer, verdict):
            verdict.wrong.setdefault(input_id, "rows of it may be in damaged files")


def _may_be_hit(
    table: Table, kinds: Iterable[str], input_ids: Iterable[str], verdict: Verdict
) -> set[str]:
    """Return inputs that may have lost the same rows of all these tables.

    Of an input without its old hours, nobody could tell by the sums.
    """
    bad = [*verdict.damaged, *verdict.missing]
    hit = set(input_ids)
    for kind in kinds:
        ranges = table.id_ranges({*bad}.intersection(table.files(kind)))
        hit = {one for one in hit if any(low <= one <= high for low, high in ranges)}
    return hit


def _with_double_rows(
    kind: str, paths: list[Path], input_ids: Collection[str]
) -> list[str]:
    """Return inputs that have two rows of one cell, or of one victim and hour."""
    query = Query()
    query.show({kind: paths})
    names = ROW_TABLES[kind].names
    cell = ", ".join(names[: names.index("packets")])
    table = query.run(
        f"select distinct input from (select input from {kind} where input in "
        f"(select unnest(?)) group by {cell}, input having count(*) > 1)",
        [sorted(input_ids)],
    )
    return [str(one) for one in table["input"].to_pylist()]


def _live_inputs(
    paths: Iterable[Path], verdict: Verdict
) -> dict[str, Mapping[str, Any]]:
    """Return the records of the inputs whose rows are in the store."""
    rows: list[dict[str, Any]] = []
    for path in paths:
        with reading(path) as file:
            rows += conformed(file.read(), INPUTS).select(_COLUMNS).to_pylist()
    records = Counter((row["input"], row["status"]) for row in rows)
    verdict.repeated = {one for (one, _), n_times in records.items() if n_times > 1}
    taken = [row for row in rows if row["status"] != "rejected"]
    verdict.paths = {row["input"]: row["path"] for row in (*rows, *taken)}
    gone = {old for row in taken for old in (row["supersedes"] or "").split()}
    gone |= {row["input"] for row in taken if row["part_of"] is not None}
    return {row["input"]: row for row in taken if row["input"] not in gone}


def _range(row: Mapping[str, Any], column: str, expired: datetime | None) -> range:
    """Return how many packets of an input a table may have.

    As many as the record says, or fewer if some of them came before a day whose hours
    have expired. Nothing is said by a fastflow that did not know of the table.
    """
    n_packets = row[column] or 0
    return range(0 if _is_before(row, expired) else n_packets, n_packets + 1)


def _is_before(row: Mapping[str, Any], day: datetime | None) -> bool:
    first = row["first_packet"]
    return day is not None and first is not None and first < day


def _packets_by_input(kind: str, paths: list[Path]) -> dict[str, int]:
    query = Query()
    query.show({kind: paths})
    table = query.run(
        f"select input, sum(packets)::bigint as n from {kind} group by input", None
    )
    return dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
