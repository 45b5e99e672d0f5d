# What other modules of native/ may use of this one.
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree

from libc.stdint cimport uint32_t

from fastflow._c cimport (
    FF_DICT_none,
    ff_columns,
    ff_dict,
    ff_dict_names,
    ff_lexicon,
    ff_scan,
)
from fastflow._tool cimport Rules


cdef class Lexicon:
    cdef ff_lexicon *lexicon
    cdef bint make_room(self, size_t n) noexcept nogil
    cdef ff_dict *_dict(self, str name) except NULL


cdef class Scanner:
    cdef ff_scan *scan
    cdef ff_columns columns
    cdef readonly Lexicon lexicon
    cdef object filter  # keeps what `scan.filters` point into
    cdef Rules tools  # `scan.tools` points into it
    cdef object arena  # keeps what `columns` points into
    cdef uint32_t near_sec  # of the capture's first record, if it is a classic pcap
    cdef bint make_room(self) noexcept nogil
    cdef int check_open(self) except -1


cdef inline object dict_name(int kind):
    return None if kind == FF_DICT_none else ff_dict_names[kind].decode()


cdef inline bint grow_slots(void **slots, size_t *n_slots, size_t width, size_t used) \
        noexcept nogil:
    """Replace slots that would be more than half used by zeroed ones, twice as many."""
    cdef size_t n = n_slots[0]
    while n // 2 < used:
        n *= 2
    cdef void *fresh = PyMem_RawCalloc(n, width)
    if fresh == NULL:
        return False
    PyMem_RawFree(slots[0])
    slots[0] = fresh
    n_slots[0] = n
    return True
