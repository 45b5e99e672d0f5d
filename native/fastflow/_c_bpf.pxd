"""The C names of `fastflow/ff_bpf.h`, and nothing else."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t


cdef extern from "fastflow/ff_span.h" nogil:
    ctypedef struct ff_span:
        const uint8_t *p
        size_t n

cdef extern from "fastflow/ff_bpf.h" nogil:
    ctypedef struct ff_bpf_insn:
        uint16_t code
        uint8_t jt
        uint8_t jf
        uint32_t k

    ctypedef struct ff_bpf:
        const ff_bpf_insn *insns
        uint32_t n

    ctypedef struct ff_bpf_fault_name:
        const char *name
        const char *text

    enum ff_bpf_fault:
        FF_BPF_FAULT_none

    enum:
        FF_BPF_N_FAULTS
    const uint32_t FF_BPF_MAX_INSNS
    const ff_bpf_fault_name ff_bpf_fault_names[]

    ff_bpf_fault ff_bpf_verify(const ff_bpf *program) noexcept
    uint32_t ff_bpf_run(
        const ff_bpf *program, ff_span packet, uint32_t wirelen_bytes
    ) noexcept
