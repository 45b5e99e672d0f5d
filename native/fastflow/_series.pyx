"""Hourly series over `fastflow/ff_series.h`: many at a time, with the GIL released.

Arrays are C-contiguous, and borrowed for a call. A series is a row; its result does not
depend on the others.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t

from fastflow._c_series cimport (
    FF_DAY_HOURS,
    FF_WEEK_DAYS,
    ff_baseline,
    ff_days_of,
    ff_expect,
    ff_levels,
    ff_may_rise,
    ff_rhythm,
    ff_rhythm_apply,
    ff_rhythm_of,
    ff_rise,
    ff_series_fill,
    ff_series_rows,
    ff_stretches,
    ff_sum_days,
)

import numpy as np


def fill(
    const int64_t[:] begins not None,
    const int32_t[::1] hours not None,
    const int32_t[::1] counts not None,
    const int64_t[:] chosen not None,
    const int64_t[::1] edges not None,
    const double[:] most not None,
    double least_in_hour,
    double[:, ::1] values not None,
):
    """Write series hour by hour, and draw them through stretches without them.

    Parameters
    ----------
    begins : int64
        Where the rows of each series begin, and the end of the last.
    hours, counts : int32
        Of each row; hours of a series ascend.
    chosen : int64
        Numbers of series.
    edges : int64
        Where stretches of hours begin, and the end of the last; from 0, ascending. A
        series without a row in one was dropped there, and is taken to have what is its
        mean elsewhere, in hours below `least_in_hour`.
    most : float
        Of each series: it has no more than that where it was dropped.
    values : float, shape (chosen, hours), writable

    Raises
    ------
    ValueError
        The arrays do not fit together.
    """
    cdef ff_series_rows rows
    cdef ff_stretches stretches
    cdef Py_ssize_t i, n_rows = hours.shape[0], n_edges = edges.shape[0]
    cdef int64_t series, begin, end
    if not (counts.shape[0] == n_rows and begins.shape[0] == most.shape[0] + 1):
        raise ValueError("columns of rows, or of series, differ in length")
    if n_edges < 2 or edges[0] != 0 or edges[n_edges - 1] != values.shape[1]:
        raise ValueError("stretches must cover the hours")
    for i in range(1, n_edges):
        if edges[i] < edges[i - 1]:
            raise ValueError("stretches must be in order")
    if values.shape[0] != chosen.shape[0]:
        raise ValueError("a row is wanted for each series")
    if values.shape[0] == 0 or values.shape[1] == 0:
        return
    stretches.edges = &edges[0]
    stretches.n = n_edges - 1
    stretches.least_in_hour = least_in_hour
    with nogil:
        for i in range(chosen.shape[0]):
            series = chosen[i]
            if not 0 <= series < most.shape[0]:
                raise ValueError("no such series")
            begin, end = begins[series], begins[series + 1]
            if not 0 <= begin <= end <= n_rows:
                raise ValueError("rows of a series lie outside")
            rows.n = end - begin
            rows.hours = rows.counts = NULL
            if rows.n:
                rows.hours, rows.counts = &hours[begin], &counts[begin]
            if not ff_series_fill(&rows, &stretches, most[series], &values[i, 0]):
                raise ValueError("hours must ascend, and lie inside")


def levels(const double[::1] counts not None, const double[::1] weights not None):
    """Return the level of each day of one series: counts in an hour of weight 1.

    Raises
    ------
    ValueError
        The arrays differ in length.
    """
    cdef size_t n_hours = counts.shape[0], n_days = ff_days_of(n_hours)
    if weights.shape[0] != counts.shape[0]:
        raise ValueError("counts and weights differ in length")
    found = np.empty(n_days)
    if n_hours == 0:
        return found
    cdef double[::1] out = found
    cdef double[::1] seen = np.empty(n_days), usual = np.empty(n_days)
    with nogil:
        ff_sum_days(&counts[0], n_hours, &seen[0])
        ff_sum_days(&weights[0], n_hours, &usual[0])
        ff_levels(&seen[0], &usual[0], n_days, &out[0])
    return found


def rhythm(
    const double[::1] counts not None, const double[::1] usual not None, int64_t start
):
    """Return by what factors one series differs from what is usual, by hour.

    Those of its hour of the day times those of its weekday.

    Parameters
    ----------
    start : int
        The first hour, since 1970.

    Raises
    ------
    ValueError
        The arrays differ in length.
    """
    cdef size_t n_hours = counts.shape[0], first_hour = _of_week(start)
    cdef ff_rhythm factors
    if usual.shape[0] != counts.shape[0]:
        raise ValueError("counts and what is usual differ in length")
    found = np.ones(n_hours)
    if n_hours == 0:
        return found
    cdef double[::1] out = found
    with nogil:
        ff_rhythm_of(&counts[0], &usual[0], n_hours, first_hour, &factors)
        ff_rhythm_apply(&factors, n_hours, first_hour, &out[0])
    return found


def expect(
    const double[:, ::1] counts not None,
    const double[::1] on_air not None,
    const double[::1] shared not None,
    int64_t start,
    double clump,
    double least,
    double[:, ::1] values not None,
    double[:, ::1] weights not None,
):
    """Write what series are expected to be, and their rhythm on the air.

    Parameters
    ----------
    counts : float, shape (series, hours)
        0 in hours that are not known.
    on_air : float
        Share of the network in each hour; 0 where not known.
    shared : float
        The rhythm of all traffic, by hour.
    start : int
        The first hour, since 1970.
    clump : float
        The least dispersion.
    least : float
        No less is expected in an hour of the whole network.
    values, weights : float, shape (series, hours), writable

    Raises
    ------
    ValueError
        The arrays do not fit together.
    """
    cdef ff_baseline base
    cdef Py_ssize_t i, n_hours = counts.shape[1]
    cdef size_t n_days = ff_days_of(n_hours)
    if not on_air.shape[0] == shared.shape[0] == n_hours:
        raise ValueError("hours differ in number")
    _check_alike(counts, values)
    _check_alike(counts, weights)
    if counts.shape[0] == 0 or n_hours == 0:
        return
    cdef double[::1] usual = np.empty(n_hours)
    cdef double[:, ::1] days = np.empty((3, n_days))
    base.on_air, base.shared = &on_air[0], &shared[0]
    base.n_hours, base.first_hour = n_hours, _of_week(start)
    base.clump, base.least = clump, least
    base.usual = &usual[0]
    base.seen_by_day, base.weights_by_day = &days[0, 0], &days[1, 0]
    base.levels = &days[2, 0]
    with nogil:
        for i in range(counts.shape[0]):
            ff_expect(&base, &counts[i, 0], &values[i, 0], &weights[i, 0])


def may_rise(
    const double[:, ::1] counts not None,
    const double[:, ::1] expected not None,
    const int64_t[::1] lengths not None,
    double least_factor,
    double least,
    uint8_t[::1] found not None,
):
    """Write which series have a stretch with a likelihood ratio above some.

    Parameters
    ----------
    counts, expected : float, shape (series, hours)
    lengths : int64
        Those of stretches, in hours.
    least_factor : float
        What is less above what is expected is no rise.
    least : float
        The logarithm of the ratio.
    found : uint8, shape (series,), writable

    Raises
    ------
    ValueError
        The arrays do not fit together, or a length is not positive.
    """
    cdef ff_rise rise
    cdef Py_ssize_t i, n_hours = counts.shape[1]
    _check_alike(counts, expected)
    if found.shape[0] != counts.shape[0]:
        raise ValueError("an answer is wanted for each series")
    for i in range(lengths.shape[0]):
        if lengths[i] < 1:
            raise ValueError("a stretch has an hour at least")
    found[:] = 0
    if counts.shape[0] == 0 or n_hours == 0 or lengths.shape[0] == 0:
        return
    cdef double[:, ::1] running = np.empty((2, n_hours + 1))
    rise.lengths, rise.n_lengths = &lengths[0], lengths.shape[0]
    rise.least_factor, rise.least = least_factor, least
    with nogil:
        for i in range(counts.shape[0]):
            found[i] = ff_may_rise(
                &rise,
                &counts[i, 0],
                &expected[i, 0],
                n_hours,
                &running[0, 0],
                &running[1, 0],
            )


cdef int _check_alike(
    const double[:, ::1] one, const double[:, ::1] other
) except -1:
    if one.shape[0] != other.shape[0] or one.shape[1] != other.shape[1]:
        raise ValueError("series differ in number, or in length")
    return 0


cdef size_t _of_week(int64_t hour):
    """Return hours since the midnight of a fixed weekday."""
    return hour % (FF_DAY_HOURS * FF_WEEK_DAYS)
