"""Sudden rises: the stretches of time in which a series is least likely as it is.

For each start and several lengths the likelihood ratio of Kulldorff's scan statistic
(Communications in Statistics 26, 1997), divided by the dispersion, is compared: its
exponential bounds the chance of so many counts (Chernoff's bound). The best stretches
of all series are hits where the false discovery rate allows it (Benjamini & Hochberg,
J. R. Stat. Soc. B 57, 1995; `scipy.stats.false_discovery_control`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastflow import _series
from fastflow.analysis.events.baseline import LENGTHS, Expected, Floats

#: A rise is one by this factor over what is expected, whatever its significance.
LEAST_FACTOR = 1.25


@dataclass
class Hit:
    """A rise of one series.

    Attributes
    ----------
    series : int
        Its number in the pool.
    measure : str
        packets or sources.
    start, end : int
        Hours from the store's first one on.
    score : float
        Minus the logarithm of the chance that it is none.
    """

    series: int
    measure: str
    start: int
    end: int
    score: float

    def is_like(self, other: Hit) -> bool:
        """Whether it is of the same series, and overlaps."""
        return (
            (self.series, self.measure) == (other.series, other.measure)
            and self.start < other.end
            and other.start < self.end
        )


def likelihood(counts: Floats, expected: Floats) -> Floats:
    """Return the logarithm of the likelihood ratio of a rise; 0 where there is none."""
    safe = np.maximum(expected, 1e-9)
    ratio = np.maximum(counts / safe, 1.0)
    found: Floats = np.zeros(ratio.shape)
    # A logarithm takes longer than all else, and most hours need none.
    rises = ratio >= LEAST_FACTOR
    np.log(ratio, out=found, where=rises)
    np.multiply(found, counts, out=found, where=rises)
    np.subtract(found, counts - safe, out=found, where=rises)
    return found


def _ratios(counts: Floats, expected: Floats) -> Iterator[tuple[int, int, Floats]]:
    """Yield place and length of each of `LENGTHS`, and the ratios of its stretches."""
    seen, usual = _running(counts), _running(expected)
    for column, length in enumerate(LENGTHS):
        if length > counts.shape[1]:
            return
        yield (
            column,
            length,
            likelihood(
                seen[:, length:] - seen[:, :-length],
                usual[:, length:] - usual[:, :-length],
            ),
        )


def may_rise(counts: Floats, expected: Floats, least: float) -> npt.NDArray[np.bool_]:
    """Return which series have a stretch with a likelihood ratio above this.

    Its logarithm; a score is that divided by a dispersion.
    """
    found = np.empty(len(counts), np.bool_)
    lengths = np.array(LENGTHS)
    _series.may_rise(
        counts, expected, lengths, LEAST_FACTOR, least, found.view(np.uint8)
    )
    return found


def scan(
    counts: Floats, expected: Expected, least: float
) -> Iterator[tuple[int, int, int, float]]:
    """Yield row, start, end and score of the best rise of each series that has one.

    Its length is one of `LENGTHS`; `refine` finds its edges.

    Parameters
    ----------
    counts : array, by series and hour
        Zero in hours that are not known.
    least : float
        Scores below it are not told.
    """
    n_series, n_hours = counts.shape
    best = np.zeros((n_series, n_hours))
    longest = np.zeros((n_series, n_hours), np.int16)
    for column, length, score in _ratios(counts, expected.values):
        score /= expected.dispersion[:, column, None]
        better = score > best[:, : score.shape[1]]
        best[:, : score.shape[1]][better] = score[better]
        longest[:, : score.shape[1]][better] = length
    for row in np.flatnonzero(best.max(axis=1, initial=0) > least).tolist():
        start = int(np.argmax(best[row]))
        end = start + int(longest[row, start])
        yield row, start, end, float(best[row, start])


def refine(
    counts: Floats, expected: Floats, dispersion: Floats, start: int, end: int
) -> tuple[int, int, float]:
    """Return the stretch around one with the best score, and that score."""
    seen, usual = _running(counts[None])[0], _running(expected[None])[0]
    n_hours = len(seen) - 1
    while True:
        reach = max(3, end - start)
        starts = np.arange(max(0, start - reach), min(n_hours, start + reach + 1))
        ends = np.arange(max(1, end - reach), min(n_hours, end + reach) + 1)
        length = ends[None, :] - starts[:, None]
        score = likelihood(
            seen[ends][None, :] - seen[starts][:, None],
            usual[ends][None, :] - usual[starts][:, None],
        )
        score /= np.interp(np.log(np.maximum(length, 1)), np.log(LENGTHS), dispersion)
        score[length < 1] = 0
        row, column = np.unravel_index(int(np.argmax(score)), score.shape)
        found = int(starts[row]), int(ends[column])
        if found == (start, end) or found[1] - found[0] > 24 * 28:
            return *found, float(score[row, column])
        start, end = found


def _running(values: Floats) -> Floats:
    total = np.zeros((len(values), values.shape[1] + 1))
    np.cumsum(values, axis=1, out=total[:, 1:])
    return total
