"""Ranks that an event changed: of its port, country and window, before and in it."""

from __future__ import annotations

from typing import NamedTuple

from fastflow.analysis.events.event import Event
from fastflow.analysis.events.series import Pool
from fastflow.analysis.events.slices import Value
from fastflow.analysis.keys import PORT_PROTOCOLS
from fastflow.analysis.rank import PREVIOUS_RANKS

#: Hours before an event whose ranks are those it changed; fewer than the least do not
#: tell. Of a trend, hours at both ends are compared.
_BEFORE, _LEAST_BEFORE, _OF_TREND = 28 * 24, 7 * 24, 7 * 24


class RankChange(NamedTuple):
    """A key whose rank changed.

    Attributes
    ----------
    dimension : str
    key : str
        As `top` writes it.
    before, now : int or None
        Ranks; None: not among the first ten.
    """

    dimension: str
    key: str
    before: int | None
    now: int | None


def compare_ranks(pool: Pool, found: list[Event]) -> None:
    """Tell of each event the ranks that it changed, most packets first.

    They are those of the same rows as the events, exactly: what is among the first ten
    has more packets than a pool leaves out.
    """
    for one in found:
        named = one.whole
        changes = [
            change
            for dimension in _TEXTS
            if dimension in named and (change := _change(pool, one, dimension))
        ]
        if changes:
            one.details["ranks"] = changes


def _change(pool: Pool, event: Event, dimension: str) -> RankChange | None:
    """Return the change of the rank of an event's value; None: it made none."""
    start, end = event.start - pool.start, event.end - pool.start
    now, before = (start, end), (max(0, start - _BEFORE), start)
    if event.kind == "trend":
        before, now = (start, start + _OF_TREND), (max(start, end - _OF_TREND), end)
    mine = _TEXTS[dimension](event.whole[dimension])
    if mine is None or before[1] - before[0] < _LEAST_BEFORE:
        return None
    sums = _sums(pool, dimension, *now)
    ranks = _rank(_sums(pool, dimension, *before), mine), _rank(sums, mine)
    if ranks[0] == ranks[1]:
        return None
    if event.kind != "trend":
        # What else goes on at the same time changes ranks as well.
        without = {**sums, mine: sums.get(mine, 0) - event.packets + event.baseline}
        if _rank(without, mine) == ranks[1]:
            return None
    return RankChange(dimension, mine, *ranks)


def _sums(pool: Pool, dimension: str, first: int, after: int) -> dict[str, float]:
    """Return the packets of each value in some hours."""
    sums = pool.sums(dimension, first, after)
    named = ((_TEXTS[dimension](value), n) for value, n in sums.items())
    return {text: n for text, n in named if text is not None}


def _rank(sums: dict[str, float], key: str) -> int | None:
    """Return the rank of a key; ties in the order of the keys' text, as in `top`."""
    if not sums.get(key):
        return None
    mine = -sums[key], key
    rank = 1 + sum((-n, other) < mine for other, n in sums.items())
    return rank if rank <= PREVIOUS_RANKS else None


def _port(value: Value) -> str | None:
    proto, port, _ = value
    name = PORT_PROTOCOLS.get(proto)
    return None if name is None or port is None else f"{port}/{name}"


def _plain(value: Value) -> str | None:
    return None if value[0] is None else str(value[0])


_TEXTS = {"service": _port, "country": _plain, "window": _plain}
