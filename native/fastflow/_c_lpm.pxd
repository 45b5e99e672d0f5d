"""The C names of `fastflow/ff_lpm.h`, and nothing else."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "fastflow/ff_lpm.h" nogil:
    const size_t FF_LPM_INDEX_ENTRIES
    const size_t FF_LPM_ADDRESS_BYTES

    ctypedef struct ff_lpm:
        const uint32_t *v4_starts
        const uint16_t *v4_codes
        const uint32_t *v4_index
        const uint64_t *v6_starts
        const uint16_t *v6_codes
        size_t n_v4
        size_t n_v6

    bint ff_lpm_index_v4(
        const uint32_t *starts, size_t n_starts, uint32_t *index
    ) noexcept
    bint ff_lpm_v6_is_sorted(const uint64_t *starts, size_t n_starts) noexcept
    void ff_lpm_lookup_batch(
        const ff_lpm *table,
        const uint8_t *addresses,
        const uint8_t *ip_version,
        size_t n,
        uint16_t *codes,
    ) noexcept
