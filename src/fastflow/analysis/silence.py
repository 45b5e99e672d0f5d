"""Hours in which a sensor saw nothing at all, though it would have, had it listened.

A capture that stops for some hours and goes on spans them: its first and last packet do
not tell. But a sensor to which packets come every hour is not without any by chance.
Sources come independently of each other, about: as often as the quietest quarter of the
hours around has them, none in some hours has the chance exp(-hours * rate / dispersion)
(Poisson; of clumps, as in `events.baseline`, where the variance is a multiple of the
mean). Where that is next to impossible, the sensor did not listen. At one that sees
little, silence says nothing, unless it lasts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Of so many sensors that listened all the time, one is said to have had a gap.
_SENSORS_PER_MISTAKE = 10_000
#: Hours on either side whose rate is taken; less than the least say nothing.
_AROUND, _LEAST_AROUND = 168, 6
#: The part of them that has no more than the rate.
_QUIETEST = 0.25
#: The median of the square of a normal variate (of chi squared, one degree).
_MEDIAN_OF_SQUARES = 0.4549

_Floats = npt.NDArray[np.float64]
_Hours = npt.NDArray[np.bool_]


def silent_hours(sources: _Floats, is_covered: _Hours) -> _Hours:
    """Return the hours that an input spans in which a sensor cannot have listened.

    Parameters
    ----------
    sources : array of float
        Of each hour, added up over cells; 0 where there is no row.
    is_covered : array of bool
        Some input spans the hour.
    """
    found = np.zeros(len(sources), np.bool_)
    is_silent = is_covered & (sources == 0)
    n_covered = np.count_nonzero(is_covered)
    if not is_silent.any():
        return found
    least = np.log(n_covered * _SENSORS_PER_MISTAKE) * _dispersion(sources, is_covered)
    edges = np.flatnonzero(np.diff(is_silent.astype(np.int8), prepend=0, append=0))
    places = np.flatnonzero(is_covered)
    for first, after in edges.reshape(-1, 2).tolist():
        before, behind = np.searchsorted(places, (first, after))
        sides = (
            sources[places[max(0, before - _AROUND) : before]],
            sources[places[behind : behind + _AROUND]],
        )
        rates = [
            float(np.quantile(side, _QUIETEST))
            for side in sides
            if len(side) >= _LEAST_AROUND
        ]
        # Traffic that came to an end, or began, is not silence between.
        if rates and (after - first) * min(rates) >= least:
            found[first:after] = True
    return found


def _dispersion(sources: _Floats, is_covered: _Hours) -> float:
    """Return variance over mean, from differences of neighbouring hours; 1 at least."""
    one, other = sources[:-1], sources[1:]
    known = is_covered[:-1] & is_covered[1:] & (one > 0) & (other > 0)
    if not known.any():
        return 1.0
    squares = (one - other)[known] ** 2 / (one + other)[known]
    return max(1.0, float(np.median(squares)) / _MEDIAN_OF_SQUARES)
