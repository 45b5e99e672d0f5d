"""Damaged parts of a store set aside, and the inputs that they held opened again.

Which inputs these are is written down before they are taken out: whenever a repair
ends, the next one tells of all that are not in the store yet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from fastflow.errors import StoreError
from fastflow.store import log
from fastflow.store.draft import Draft
from fastflow.store.ledger import Ledger
from fastflow.store.local import Local
from fastflow.store.parquet import reading
from fastflow.store.place import content_hash
from fastflow.store.rewrite import record_once, take_out
from fastflow.store.table import CHANGES, KINDS, Change, ConflictError, Table
from fastflow.store.verify import Verdict, verify

#: What was superseded by an input that is opened again is found in the next round.
_MAX_ROUNDS = 100

_REOPENED = "reopened.json"


@dataclass
class Repair:
    """What was done to a store.

    Attributes
    ----------
    aside : list of pathlib.Path
        Where the damaged parts lie now.
    restored, lost : list of pathlib.Path
        Damaged entries of the log that are again as they were, and those of which
        nothing is left: their files are no longer in the store, and where they let
        hours expire, these are back.
    missing : list of str
        Files that were not there, relative to the store.
    reopened : dict
        The inputs that are no longer in the store, and the paths of their captures;
        None where the record itself was damaged.
    unlisted : list of str
        Files that recorded inputs, of which none can be told any more.
    expired : dict
        Where an entry is lost: the days that the table is said to have expired before
        (see `Table.before`). To let them expire once more changes nothing, or puts
        right what is back.
    """

    aside: list[Path] = field(default_factory=list)
    restored: list[Path] = field(default_factory=list)
    lost: list[Path] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    reopened: dict[str, str | None] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)
    expired: dict[Change, datetime] = field(default_factory=dict)


def repair(
    place: Local, progress: Callable[[float], object] = lambda fraction: None
) -> Repair:
    """Take out of a store what is damaged, so that it can be reduced again.

    Parameters
    ----------
    place : Local
        The store's directory.
    progress : callable
        Called with the fraction that is done, of each round.

    Raises
    ------
    StoreError
        The store cannot be written, or its first log entry is damaged.
    """
    done = Repair()
    with place.errors():
        mended = log.mend(place.root)
        lost = log.lost(place.root)
        done.lost = [log.entry_path(place.root, version) for version in lost]
    done.aside, done.restored = mended.aside, mended.restored
    _take_out_all(place, done, progress)
    if done.lost:
        _keep_rest(place, done)
        with place.errors():
            log.settle_lost(place.root)
    done.reopened = _open(place)
    return done


def _take_out_all(
    place: Local, done: Repair, progress: Callable[[float], object]
) -> None:
    """Take out what is damaged or does not add up, until nothing is found."""
    are_alike_open = not done.lost
    lost = {str(path.relative_to(place.root)) for path in done.lost}
    for _ in range(_MAX_ROUNDS):
        verdict = verify(place, progress, lost)
        wrong = {
            one: verdict.paths.get(one)
            for one in sorted(verdict.wrong.keys() - verdict.repeated)
        }
        if verdict.is_good and not are_alike_open:
            wrong = _begin_alike(place)
            are_alike_open = True
        elif verdict.is_good:
            return
        _take_out(place, verdict, wrong, done)
    raise StoreError(f"{place}: the store cannot be repaired; restore it from a copy")


def _begin_alike(place: Local) -> dict[str, str | None]:
    """Return inputs of which one may supersede another, as a lost entry may have said.

    Reduced again, they are compared byte by byte.
    """
    return {**_ledger(Table.open(place)).alike()}


def _ledger(table: Table) -> Ledger:
    ledger = Ledger()
    ledger.refresh(table)
    return ledger


def _take_out(
    place: Local, verdict: Verdict, wrong: Mapping[str, str | None], done: Repair
) -> None:
    """Commit the store without what a verdict names, and without some inputs."""
    table = Table.open(place)
    with Draft(table) as draft:
        draft.removed += [*verdict.damaged, *verdict.missing]
        if draft.removed or wrong:
            take_out(draft, table, wrong.keys(), KINDS)
        else:
            record_once(draft, table, verdict.repeated)
        if not draft.removed:
            return
        _note(place, wrong)
        bad = [*verdict.damaged, *verdict.missing]
        unlisted = _note_recorded(place, table, bad)
        try:
            draft.commit("REPAIR")
        except ConflictError:
            return  # it is verified once more, with what another process committed
    with place.errors():
        for name in verdict.damaged:
            done.aside.append(place.set_aside(place.root / name))
    done.missing += verdict.missing
    done.unlisted += unlisted


def _keep_rest(place: Local, done: Repair) -> None:
    """Note which inputs lost entries may have added, and set their files aside.

    The next reduce would remove them.
    """
    table = Table.open(place)
    for change in CHANGES:
        if (day := table.before(change)) is not None:
            done.expired[change] = day
    unnamed = [name for name in table.unnamed() if content_hash(name) is not None]
    done.unlisted += _note_recorded(place, table, unnamed)
    with place.errors():
        done.aside += place.set_orphans_aside(unnamed, table.named)


def _note_recorded(place: Local, table: Table, names: Iterable[str]) -> list[str]:
    """Note the inputs that files record; return those files that cannot be read."""
    found: dict[str, str | None] = {}
    unreadable = []
    for name in sorted(names):
        if name.startswith(f"{table.directory('inputs')}/"):
            try:
                found |= _taken_in(place.root / name)
            except StoreError:
                unreadable.append(name)
    _note(place, found)
    return unreadable


def _taken_in(path: Path) -> dict[str, str | None]:
    """Return the inputs that a file of `inputs` records, and their paths.

    Of a damaged one most columns are whole: pages have checksums.
    """
    with reading(path) as file:
        rows = file.read(["input", "path", "status"])
    return {
        row["input"]: row["path"]
        for row in rows.to_pylist()
        if row["status"] != "rejected"
    }


def _note(place: Local, reopened: Mapping[str, str | None]) -> None:
    """Write down which inputs are to be reduced again."""
    known = _noted(place)
    if more := {one: path for one, path in reopened.items() if known.get(one) is None}:
        with place.errors():
            place.write_aside(_REOPENED, json.dumps(known | more).encode())


def _noted(place: Local) -> dict[str, str | None]:
    data = place.read_aside(_REOPENED)
    noted: dict[str, str | None] = json.loads(data) if data else {}
    return noted


def _open(place: Local) -> dict[str, str | None]:
    """Return the inputs that were written down and are not in the store."""
    noted = _noted(place)
    if not noted:
        return {}
    ledger = _ledger(Table.open(place))
    return {
        one: path
        for one, path in noted.items()
        if ledger.status(one) is None and not ledger.is_committed(one)
    }
