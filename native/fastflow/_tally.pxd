# What other modules of native/ may use of this one.
from libc.stdint cimport int64_t, uint32_t

from fastflow._c cimport ff_cell, ff_lexicon
from fastflow._core cimport Lexicon


cdef struct cells_place:
    ff_cell *cells  # read in `order`; NULL: they lie in a file, in their order
    uint32_t *order
    size_t n_cells
    int fd
    int64_t offset


cdef class Run:
    cdef object __weakref__
    cdef cells_place place
    cdef readonly Lexicon lexicon  # of the codes of kinds
    cdef object file  # kept open as long as the run is


cdef int read_cells(
    const cells_place *place, ff_cell *into, size_t begin, size_t n
) noexcept nogil

cdef uint32_t *rank_kinds(const ff_lexicon *lexicon) noexcept nogil
