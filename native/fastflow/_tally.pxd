# What other modules of native/ may use of this one.
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.errno cimport EIO, errno
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport qsort
from libc.string cimport memcmp
from posix.unistd cimport pread

from fastflow._c cimport FF_KINDS_KEY_BYTES, ff_cell, ff_lexicon, ff_run_gather
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


cdef inline int read_cells(
    const cells_place *place, ff_cell *into, size_t begin, size_t n
) noexcept nogil:
    """Copy n cells from `begin` on; return 0, or what went wrong as an errno."""
    cdef size_t n_bytes = n * sizeof(ff_cell), done = 0
    cdef ssize_t got
    if place.cells != NULL:
        ff_run_gather(place.cells, place.order + begin, n, into)
        return 0
    while done < n_bytes:
        got = pread(
            place.fd,
            <char *> into + done,
            n_bytes - done,
            place.offset + <int64_t> (begin * sizeof(ff_cell) + done),
        )
        if got <= 0:
            return errno if got < 0 else EIO
        done += <size_t> got
    return 0


cdef inline int compare_kinds(const void *a, const void *b) noexcept nogil:
    """Compare two keys of the dictionary of kinds, pointed to."""
    return memcmp((<const void **> a)[0], (<const void **> b)[0], FF_KINDS_KEY_BYTES)


cdef inline uint32_t *rank_kinds(const ff_lexicon *lexicon) noexcept nogil:
    """Return the rank of each list of kinds among all; NULL where memory is out."""
    cdef size_t i, n = lexicon.kinds.n_entries
    cdef const uint8_t **keys
    cdef uint32_t *ranks = <uint32_t *> PyMem_RawMalloc((n + 1) * sizeof(uint32_t))
    keys = <const uint8_t **> PyMem_RawMalloc((n + 1) * sizeof(void *))
    if ranks == NULL or keys == NULL:
        PyMem_RawFree(ranks)
        PyMem_RawFree(keys)
        return NULL
    for i in range(n):
        keys[i] = lexicon.kinds.keys + i * FF_KINDS_KEY_BYTES
    qsort(keys, n, sizeof(void *), compare_kinds)
    for i in range(n):
        ranks[(keys[i] - lexicon.kinds.keys) // FF_KINDS_KEY_BYTES] = <uint32_t> i
    PyMem_RawFree(keys)
    return ranks
