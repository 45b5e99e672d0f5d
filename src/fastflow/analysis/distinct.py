"""Exact numbers of distinct source addresses, group by group.

IPv4 addresses, nearly all there are, are taken out of the database as numbers beside
those of their groups, and sorted: that takes a third of the time of hashing their 16
bytes. IPv6, and what is too much for memory, is left to the database, which goes to
disk for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt

from fastflow.analysis.selection import Selection

#: So many numbers are sorted at a time, and so many different ones are kept: together
#: they take less than 1 GB.
_AT_ONCE = 1 << 24
_MOST = 1 << 25

_Numbers = npt.NDArray[np.uint64]

#: The group in the upper half of a number, the address in the lower one.
_NUMBER = "(grp::ubigint << 32) | (src::uuid::uhugeint & 4294967295)::ubigint as number"


def distinct_sources(
    selection: Selection, group: str, n_groups: int, rows: str, params: Sequence[Any]
) -> npt.NDArray[np.int64]:
    """Return the number of distinct sources of each group.

    Parameters
    ----------
    selection : Selection
        Whose store is asked.
    group : str
        SQL: the number of a row's group, from 0 on.
    n_groups : int
        How many groups there are.
    rows : str
        SQL: what stands behind `from`, with `where` and at least one condition.
    params : sequence
        The values of its `?`.
    """
    sql = f"select {group} as grp, src, ip_version from {rows}"
    ipv4 = f"select {_NUMBER} from ({sql} and ip_version = 4)"
    with closing(selection.stream(ipv4, params)) as batches:
        numbers = _distinct_numbers(batch[0].to_numpy() for batch in batches)
    if numbers is None:
        return _counted_by_database(selection, n_groups, sql, params)
    found = _counted_by_database(
        selection, n_groups, f"{sql} and ip_version <> 4", params
    )
    begins = np.arange(n_groups + 1, dtype=np.uint64) << np.uint64(32)
    return found + np.diff(np.searchsorted(numbers, begins))


def _counted_by_database(
    selection: Selection, n_groups: int, sql: str, params: Sequence[Any]
) -> npt.NDArray[np.int64]:
    found = selection.ask(
        "select grp, count(*) as n from (select distinct grp, src::uuid, ip_version "
        f"from ({sql})) group by grp",
        params,
    )
    counts = np.zeros(n_groups, np.int64)
    counts[found["grp"].to_numpy()] = found["n"].to_numpy()
    return counts


def _distinct_numbers(parts: Iterable[_Numbers]) -> _Numbers | None:
    """Return all numbers once, sorted; None where they are too many."""
    held = [np.empty(0, np.uint64)]
    n_fresh = 0
    for part in parts:
        held.append(part)
        n_fresh += len(part)
        if n_fresh >= _AT_ONCE:
            held, n_fresh = [_sorted_once(held)], 0
            if len(held[0]) > _MOST:
                return None
    return _sorted_once(held)


def _sorted_once(parts: list[_Numbers]) -> _Numbers:
    """Return the numbers of all parts; the parts are let go of."""
    numbers = np.concatenate(parts)
    parts.clear()
    numbers.sort()
    is_new = np.ones(len(numbers), np.bool_)
    np.not_equal(numbers[1:], numbers[:-1], out=is_new[1:])
    return numbers[is_new]
