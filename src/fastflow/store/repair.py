"""Damaged parts of a store set aside, and the inputs that they held opened again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fastflow.errors import StoreError
from fastflow.store import log
from fastflow.store.draft import Draft
from fastflow.store.durable import set_aside
from fastflow.store.ledger import Ledger
from fastflow.store.local import Local
from fastflow.store.rewrite import take_out
from fastflow.store.table import KINDS, ConflictError, Table
from fastflow.store.verify import Verdict, verify

#: What was superseded by an input that is opened again is found in the next round.
_MAX_ROUNDS = 100


@dataclass
class Repair:
    """What was done to a store.

    Attributes
    ----------
    aside : list of pathlib.Path
        Where the damaged parts lie now.
    missing : list of str
        Files that were not there, relative to the store.
    reopened : dict
        The inputs that are no longer in the store, and the paths of their captures;
        None where the record itself was damaged.
    """

    aside: list[Path] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    reopened: dict[str, str | None] = field(default_factory=dict)


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
        done.aside += log.replace_faulty(place.root)
    is_log_whole = not any(".json" in path.name for path in done.aside)
    for _ in range(_MAX_ROUNDS):
        verdict = verify(place, progress)
        wrong = {one: verdict.paths.get(one) for one in verdict.wrong}
        if verdict.is_good and not is_log_whole:
            wrong = _begin_alike(place)
            is_log_whole = True
        elif verdict.is_good:
            return done
        _take_out(place, verdict, wrong, done)
    raise StoreError(f"{place}: the store cannot be repaired; restore it from a copy")


def _begin_alike(place: Local) -> dict[str, str | None]:
    """Return inputs of which one may supersede another, as a lost entry may have said.

    Reduced again, they are compared byte by byte.
    """
    ledger = Ledger()
    ledger.refresh(Table.open(place))
    return {**ledger.alike()}


def _take_out(
    place: Local, verdict: Verdict, wrong: Mapping[str, str | None], done: Repair
) -> None:
    """Commit the store without what a verdict names, and without some inputs."""
    table = Table.open(place)
    with Draft(table) as draft:
        draft.removed += [*verdict.damaged, *verdict.missing]
        take_out(draft, table, wrong.keys(), KINDS)
        if not draft.removed:
            return
        try:
            draft.commit("REPAIR")
        except ConflictError:
            return  # it is verified once more, with what another process committed
    with place.errors():
        for name in verdict.damaged:
            done.aside.append(set_aside(place.root, place.root / name))
    done.missing += verdict.missing
    for input_id, path in wrong.items():
        done.reopened.setdefault(input_id, path)
