"""The C names of `fastflow/ff_codes.h`, `ff_sums.h` and `ff_slices.h`."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t


cdef extern from "fastflow/ff_codes.h" nogil:
    ctypedef struct ff_codes:
        int64_t *values
        size_t n_values
        uint32_t *slots
        size_t n_slots
        uint64_t seed

    size_t ff_codes_add(
        ff_codes *c, const int64_t *numbers, size_t n, size_t at, int32_t *places
    ) noexcept
    void ff_codes_rehash(ff_codes *c) noexcept


cdef extern from "fastflow/ff_sums.h" nogil:
    const size_t FF_SUMS_COLUMNS

    ctypedef struct ff_sums_column:
        const int32_t *places
        const int32_t *numbers
        const uint32_t *rollups
        uint64_t n_numbers

    ctypedef struct ff_sums_cell:
        uint64_t key

    ctypedef struct ff_sums:
        ff_sums_column *columns
        size_t n_columns
        const int32_t *hours
        size_t n_hours
        const int64_t *packets
        const int64_t *sources
        size_t n_rows
        uint32_t *rows
        ff_sums_cell *cells
        size_t n_cells
        size_t n_before
        int32_t hour
        uint32_t *slots
        size_t n_slots
        uint64_t seed

    bint ff_sums_are_below(const int32_t *numbers, size_t n_numbers, int32_t n) noexcept
    void ff_sums_by_block(
        const int32_t *places,
        const int32_t *numbers,
        const int32_t *hours,
        const int64_t *starts,
        const int64_t *packets,
        size_t n_rows,
        int64_t *sums,
    ) noexcept
    void ff_sums_order(ff_sums *s, size_t *begins) noexcept
    size_t ff_sums_add(ff_sums *s, size_t at) noexcept
    void ff_sums_rehash(ff_sums *s) noexcept
    void ff_sums_end(const ff_sums *s, int64_t *rows, int64_t *sums) noexcept


cdef extern from "fastflow/ff_slices.h" nogil:
    const size_t FF_SLICES_WIDER

    ctypedef struct ff_slices_entry:
        uint64_t code

    ctypedef struct ff_slices:
        const int32_t *hours
        const int64_t *sums
        size_t n_cells
        const int32_t **wider
        uint64_t *n_wider_slices
        size_t n_wider
        size_t n_digits
        double least_in_hour
        double least_in_all
        ff_slices_entry *entries
        ff_slices_entry *spare
        int64_t *codes
        int64_t *lengths
        size_t n_slices
        int32_t *series_hours
        int64_t *series_packets
        int64_t *series_sources
        size_t n_series
        int32_t *of_cell

    void ff_slices_find(ff_slices *s) noexcept
