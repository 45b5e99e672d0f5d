"""The slice that explains an excess: as narrow as the excess is, and no narrower."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fastflow.analysis.events.sample import Sample
from fastflow.analysis.events.slices import FIELDS, NAMEABLE, Slice, Value

#: An excess is of one value where that has so much of it.
CONCENTRATED = 0.8
#: A value tells something where usually less than this has it.
NARROWING = 0.75
#: A header field is constant where so many packets of an event share its value.
CONSTANT = 0.9
#: What counts beside what was expected in a slice itself, relative to the excess: what
#: is usual in all traffic.
_USUAL_WEIGHT = 0.05
#: Outside of a slice, an excess this large and this significant is of the event, too.
_OUTSIDE, _OUTSIDE_DEVIATIONS = 0.25, 4.0
#: Several hands at once: what each has at least, how many, and what tells them.
_LEAST_PART, _MOST_PARTS = 0.15, 4
_OF_ONE_HAND = {"window", "tcp_seq", "src_port"}
#: A value of these is of one value of the other: what is usual, is usual within that.
_WITHIN = {"signature": "window", "source": "country"}


def narrow(
    sample: Sample, hit: Slice, measure: str, dispersion: float
) -> dict[str, Value]:
    """Return the slice that explains an excess: as narrow as that is, no narrower.

    Header fields other than the window stay as the hit has them.
    """
    chosen = dict(hit)
    if "signature" in chosen:
        chosen["window"] = chosen["signature"][:1]
    for dimension in reversed(NAMEABLE):
        if dimension in chosen and _reaches_out(
            sample, chosen, dimension, measure, dispersion
        ):
            del chosen[dimension]
    for dimension in NAMEABLE:
        if dimension in chosen or not sample.has(dimension):
            continue
        mask = sample.mask(chosen)
        whole = sample.excess(mask, measure)
        if not mask.any() or whole <= 0:
            break
        value = sample.largest(dimension, mask, measure, CONCENTRATED * whole)
        if value is not None:
            chosen[dimension] = value
    for dimension in reversed(NAMEABLE):
        if dimension in chosen and not _tells(sample, chosen, dimension, measure):
            del chosen[dimension]
    return chosen


def one_hand(sample: Sample, chosen: Slice) -> Slice:
    """Return the largest part of a slice, where that is of several hands at once.

    Those are few parts, by traffic or service, that have constant header fields each,
    and not all of them together.
    """
    fields = constant_fields(sample, chosen).keys() & _OF_ONE_HAND
    for dimension in ("traffic", "service"):
        if dimension in chosen or fields:
            continue
        mask = sample.mask(chosen)
        parts = sample.parts(dimension, mask, "packets", _LEAST_PART)
        whole = sample.excess(mask, "packets")
        if not 2 <= len(parts) <= _MOST_PARTS or whole <= 0:
            continue
        if sum(excess for _, excess in parts) < CONSTANT * whole:
            continue
        narrowed = [{**chosen, dimension: value} for value, _ in parts]
        if all(constant_fields(sample, one).keys() & _OF_ONE_HAND for one in narrowed):
            return narrowed[0]
    return chosen


def _reaches_out(
    sample: Sample,
    chosen: Slice,
    dimension: str,
    measure: str,
    dispersion: float,
) -> bool:
    """Return whether the excess is in other values of a dimension as well."""
    rest = {name: value for name, value in chosen.items() if name != dimension}
    inside = sample.mask(chosen)
    outside = sample.mask(rest) & ~inside
    excess = sample.spread(dimension, outside, measure) - max(
        sample.foreign(other, inside, outside, measure)
        for other in NAMEABLE
        if other != dimension and sample.has(other)
    )
    deviation = np.sqrt(dispersion * (sample.expected(outside, measure) + dispersion))
    return bool(
        excess > _OUTSIDE * sample.excess(inside, measure)
        and excess > _OUTSIDE_DEVIATIONS * deviation
    )


def _tells(sample: Sample, chosen: Slice, dimension: str, measure: str) -> bool:
    """Return whether a value of the slice excludes what is there without it."""
    everything = np.ones(len(sample.is_now), np.bool_)
    within = _WITHIN.get(dimension, "")
    if within in chosen:
        everything = sample.mask({within: chosen[within]})
    alone = sample.mask({dimension: chosen[dimension]}) & everything
    whole = sample.expected(everything, measure)
    if whole > 0:
        usual = sample.expected(alone, measure) / whole
    else:
        # Nothing was there: what is never another says nothing, but for an address.
        usual = 0.0 if dimension == "source" or not within else 1.0
    rest = {name: value for name, value in chosen.items() if name != dimension}
    inside, around = sample.mask(chosen), sample.mask(rest)
    weight = _USUAL_WEIGHT * max(0.0, sample.excess(inside, measure)) + 1.0
    share = (sample.expected(inside, measure) + weight * usual) / (
        sample.expected(around, measure) + weight
    )
    return share <= NARROWING


def quiet_others(sample: Sample, chosen: Slice, clumps: Mapping[str, float]) -> str:
    """Return the dimension whose other values stayed as they were; empty: none.

    The narrowest of the slice's: windows, else countries, else services.
    """
    for dimension in ("window", "country", "service"):
        if dimension not in chosen:
            continue
        rest = {name: value for name, value in chosen.items() if name != dimension}
        others = sample.mask(rest) & ~sample.mask(chosen)
        for measure, clump in clumps.items():
            usual = sample.expected(others, measure)
            deviation = np.sqrt(clump * (usual + clump))
            rise = abs(sample.excess(others, measure))
            if usual < clump or rise > _OUTSIDE_DEVIATIONS * deviation:
                return ""
        return dimension
    return ""


def constant_fields(sample: Sample, chosen: Slice) -> dict[str, Value]:
    """Return the header fields whose value nearly all packets of an excess share."""
    mask = sample.mask(chosen)
    whole = sample.excess(mask, "packets")
    found: dict[str, Value] = {}
    for field in FIELDS:
        if not sample.has(field) or whole <= 0:
            continue
        value = sample.largest(field, mask, "packets", CONSTANT * whole)
        if value is not None and _tells(
            sample, {**chosen, field: value}, field, "packets"
        ):
            found[field] = value
    return found
