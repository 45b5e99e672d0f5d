"""Numbers that look random and are the same on every machine; exact quotas.

Everything is computed by integers, or by the operations that IEEE 754 rounds exactly,
so that neither the processor nor the version of a library makes a difference.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Uint64s = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))

#: Standard deviation of the sum of four 16-bit numbers, and that sum's mean.
_SUM_MEAN, _SUM_DEVIATION = 131_070.0, 37_837.0


def draw(seed: int, *keys: npt.ArrayLike) -> Uint64s:
    """Return 64 bits for each combination of keys, which broadcast.

    Each key goes through the finalizer of SplitMix64 (Steele, Lea, Flood: Fast
    splittable pseudorandom number generators, OOPSLA 2014).

    Parameters
    ----------
    seed : int
        0 to 2**64 - 1.
    keys : array-like of integers
        Negative ones are taken modulo 2**64.
    """
    bits = np.full(1, seed, np.uint64)
    with np.errstate(over="ignore"):
        for key in keys:
            bits = _finalize(bits ^ np.asarray(key).astype(np.uint64))
    return bits


def _finalize(bits: Uint64s) -> Uint64s:
    bits = bits + _STEP
    bits = (bits ^ (bits >> np.uint64(30))) * _FACTORS[0]
    bits = (bits ^ (bits >> np.uint64(27))) * _FACTORS[1]
    return bits ^ (bits >> np.uint64(31))


def below(bits: Uint64s, limit: npt.ArrayLike) -> Int64s:
    """Return numbers from 0 to `limit` - 1, the upper 32 bits scaled.

    Parameters
    ----------
    limit : array-like of int
        1 to 2**32.
    """
    scaled = (bits >> np.uint64(32)) * np.asarray(limit).astype(np.uint64)
    return (scaled >> np.uint64(32)).astype(np.int64)


def fraction(bits: Uint64s) -> Floats:
    """Return numbers from 0 to less than 1."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def bell(bits: Uint64s) -> Floats:
    """Return numbers of mean 0 and variance 1, nearly normal, within 3.5."""
    halves = sum((bits >> np.uint64(16 * n)) & np.uint64(0xFFFF) for n in range(4))
    return (np.asarray(halves).astype(np.float64) - _SUM_MEAN) / _SUM_DEVIATION


def quotas(total: int, weights: npt.ArrayLike) -> Int64s:
    """Divide a total by weights; what is left goes to the largest remainders.

    Parameters
    ----------
    total : int
        What the shares add up to.
    weights : array-like of int
        Not all zero; `total * sum(weights)` is below 2**63. Of equal remainders the
        first counts.
    """
    exact = np.asarray(weights, np.int64)
    whole = int(exact.sum())
    shares, remainders = np.divmod(exact * total, whole)
    left = total - int(shares.sum())
    shares.flat[np.argsort(-remainders, axis=None, kind="stable")[:left]] += 1
    return shares


def spread(total: int, weights: npt.ArrayLike, bits: int) -> Int64s:
    """Divide a total by weights so that each run of neighbours has its share too.

    Systematic sampling: one step after the other along the cumulated weights. Every
    sum over neighbours is within one of its exact share, and each single share is
    right on average over `bits`.

    Parameters
    ----------
    total : int
        What the shares add up to.
    weights : array-like of int, one dimension
        Not all zero; `total * sum(weights)` is below 2**62.
    bits : int
        Where the first step begins, 0 to 2**64 - 1.
    """
    ends = np.cumsum(np.asarray(weights, np.int64))
    whole = int(ends[-1])
    begin = (bits >> 1) % whole
    return np.diff((ends * total + begin) // whole, prepend=0)
