# What other modules of native/ may use of this one.
from libc.stddef cimport size_t
from libc.stdint cimport uint16_t

from fastflow._c_bpf cimport ff_bpf, ff_bpf_insn


cdef class Filter:
    cdef ff_bpf_insn *insns  # of all programs, one after the other
    cdef ff_bpf *programs
    cdef uint16_t *of_linktypes  # which link type each program is for
    cdef size_t n_programs
    cdef int _allocate(self, size_t n_programs, size_t n_insns) except -1
    cdef const ff_bpf *program(self, uint16_t linktype) noexcept nogil
