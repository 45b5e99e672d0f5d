"""The sources with the most packets: exact sums over IPv4 addresses, by sorting.

The database hashes each address; numbers of 64 bits, the address in the upper half and
the packets of a row in the lower one, are sorted and added up in a third of the time.
What is too much for memory is left to the database, which can go to disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fastflow.addresses import ADDRESS_BYTES
from fastflow.analysis.selection import Selection
from fastflow.analysis.where import Hours

#: So many rows are sorted at a time, and so many addresses are kept: together they may
#: take 1 GB.
_AT_ONCE = 1 << 25
_MOST = 1 << 25

_Numbers = npt.NDArray[np.uint64]
#: Addresses, sorted, each once; and packets.
_Sums = tuple[npt.NDArray[np.uint32], _Numbers]

#: Null where the packets of one row need more than 32 bits.
_NUMBER = (
    "case when packets < 4294967296 then "
    "((src::uuid::uhugeint & 4294967295)::ubigint << 32) | packets::ubigint end"
)


def heaviest_ipv4(
    selection: Selection, rows: str, params: Sequence[Any], hours: Hours | None, n: int
) -> pa.Table | None:
    """Return the IPv4 sources with the most packets, and all that tie with the last.

    Parameters
    ----------
    selection : Selection
        Whose store is asked.
    rows : str
        SQL: what stands behind `from`, with `where` and at least one condition.
    params : sequence
        The values of its `?`.
    hours : two datetimes or None
        Those of the rows; None: all.
    n : int
        How many.

    Returns
    -------
    pyarrow.Table or None
        `src`, `ip_version`, `packets`, and `total`, the packets of all rows, in each
        row. None: there are too many to be sorted in memory.
    """
    sql = f"select {_NUMBER} as number from {rows} and ip_version = 4"
    with closing(selection.stream(sql, params, hours)) as batches:
        sums = _sums(batch.column(0) for batch in batches)
    if sums is None:
        return None
    addresses, packets = sums
    if len(packets) > n:
        is_first = packets >= np.partition(packets, -n)[-n]
        addresses, packets = addresses[is_first], packets[is_first]
    return pa.table(
        {
            "src": _as_bytes(addresses),
            "ip_version": pa.array(np.full(len(addresses), 4, np.int16)),
            "packets": pa.array(packets.astype(np.int64)),
            "total": pa.array(np.full(len(addresses), sums[1].sum(), np.int64)),
        }
    )


def _sums(parts: Iterable[pa.Array]) -> _Sums | None:
    """Return the sum of each address; None where memory does not do."""
    held: _Sums = np.empty(0, np.uint32), np.empty(0, np.uint64)
    fresh: list[_Numbers] = []
    n_fresh = 0
    for part in parts:
        if part.null_count:
            return None
        fresh.append(part.to_numpy())
        n_fresh += len(part)
        if n_fresh >= _AT_ONCE:
            held, n_fresh = _joined(held, _sorted_sums(fresh)), 0
            if len(held[0]) > _MOST:
                return None
    return _joined(held, _sorted_sums(fresh)) if fresh else held


def _sorted_sums(parts: list[_Numbers]) -> _Sums:
    """Return the sum of each address of all parts; the parts are let go of."""
    numbers = np.concatenate(parts)
    parts.clear()
    numbers.sort()
    addresses = (numbers >> np.uint64(32)).astype(np.uint32)
    numbers &= np.uint64(0xFFFFFFFF)
    return _added_up(addresses, numbers)


def _joined(one: _Sums, other: _Sums) -> _Sums:
    if not len(one[0]):
        return other
    addresses = np.concatenate([one[0], other[0]])
    # Two sorted runs, which this kind of sort only merges.
    order = np.argsort(addresses, kind="stable")
    return _added_up(addresses[order], np.concatenate([one[1], other[1]])[order])


def _added_up(addresses: npt.NDArray[np.uint32], packets: _Numbers) -> _Sums:
    is_new = np.ones(len(addresses), np.bool_)
    np.not_equal(addresses[1:], addresses[:-1], out=is_new[1:])
    begins = np.flatnonzero(is_new)
    return addresses[begins], np.add.reduceat(packets, begins)


def _as_bytes(addresses: npt.NDArray[np.uint32]) -> pa.Array:
    """Return addresses as the store has them: 16 bytes, in ::ffff:0:0/96."""
    mapped = np.zeros((len(addresses), ADDRESS_BYTES), np.uint8)
    mapped[:, 10:12] = 0xFF
    mapped[:, 12:] = addresses.astype(">u4").view(np.uint8).reshape(-1, 4)
    packed = pa.py_buffer(mapped)
    fixed = pa.binary(ADDRESS_BYTES)
    return pa.Array.from_buffers(fixed, len(addresses), [None, packed]).cast(
        pa.binary()
    )
