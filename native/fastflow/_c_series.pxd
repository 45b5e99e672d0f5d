"""The C names of `fastflow/ff_series.h`, and nothing else."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t


cdef extern from "fastflow/ff_series.h" nogil:
    const int FF_DAY_HOURS
    const int FF_WEEK_DAYS

    ctypedef struct ff_series_rows:
        const int32_t *hours
        const int32_t *counts
        size_t n

    ctypedef struct ff_stretches:
        const int64_t *edges
        size_t n
        double least_in_hour

    ctypedef struct ff_rhythm:
        pass

    ctypedef struct ff_baseline:
        const double *on_air
        const double *shared
        size_t n_hours
        size_t first_hour
        double clump
        double least
        double *usual
        double *seen_by_day
        double *weights_by_day
        double *levels

    ctypedef struct ff_rise:
        const int64_t *lengths
        size_t n_lengths
        double least_factor
        double least

    size_t ff_days_of(size_t n_hours) noexcept
    bint ff_series_fill(
        const ff_series_rows *rows,
        const ff_stretches *stretches,
        double most,
        double *values,
    ) noexcept
    void ff_sum_days(const double *values, size_t n_hours, double *sums) noexcept
    void ff_levels(
        const double *seen, const double *weights, size_t n_days, double *levels
    ) noexcept
    void ff_rhythm_of(
        const double *counts,
        const double *usual,
        size_t n_hours,
        size_t first_hour,
        ff_rhythm *rhythm,
    ) noexcept
    void ff_rhythm_apply(
        const ff_rhythm *rhythm, size_t n_hours, size_t first_hour, double *values
    ) noexcept
    void ff_expect(
        const ff_baseline *base, const double *counts, double *values, double *weights
    ) noexcept
    bint ff_may_rise(
        const ff_rise *rise,
        const double *counts,
        const double *expected,
        size_t n_hours,
        double *seen,
        double *usual,
    ) noexcept
