"""Packet filters over `fastflow/ff_bpf.h`: verified programs, one per link type."""

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastflow._c_bpf cimport (
    FF_BPF_FAULT_none,
    FF_BPF_MAX_INSNS,
    FF_BPF_N_FAULTS,
    ff_bpf,
    ff_bpf_fault,
    ff_bpf_fault_names,
    ff_bpf_insn,
    ff_bpf_run,
    ff_bpf_verify,
    ff_span,
)

MAX_INSNS = FF_BPF_MAX_INSNS
FAULTS = tuple(
    (ff_bpf_fault_names[i].name.decode(), ff_bpf_fault_names[i].text.decode())
    for i in range(FF_BPF_N_FAULTS)
)


@cython.final
cdef class Filter:
    """The verified programs of one filter expression, one per link type.

    Parameters
    ----------
    programs : mapping of int to sequence of (int, int, int, int)
        Link type to instructions (code, jt, jf, k). A link type that is missing is one
        that the expression has no meaning for: none of its packets matches.

    Raises
    ------
    ValueError
        A program is refused; the message begins with the fault's name.
    OverflowError
        A link type or a field of an instruction has more bits than there are.

    Notes
    -----
    Immutable: any number of threads may use it at the same time.
    """

    def __cinit__(self, programs):
        cdef size_t i = 0, n_insns = 0
        # Tuples, so that what is counted is what is copied.
        fixed = [(linktype, tuple(insns)) for linktype, insns in programs.items()]
        self._allocate(len(fixed), sum(len(insns) for _, insns in fixed))
        for linktype, insns in fixed:
            self.of_linktypes[i] = linktype
            self.programs[i].insns = self.insns + n_insns
            self.programs[i].n = len(insns)
            for code, jt, jf, k in insns:
                self.insns[n_insns] = ff_bpf_insn(code=code, jt=jt, jf=jf, k=k)
                n_insns += 1
            _verify(&self.programs[i])
            i += 1

    def __dealloc__(self):
        PyMem_RawFree(self.insns)
        PyMem_RawFree(self.programs)
        PyMem_RawFree(self.of_linktypes)

    cdef int _allocate(self, size_t n_programs, size_t n_insns) except -1:
        self.insns = <ff_bpf_insn *> PyMem_RawCalloc(n_insns, sizeof(ff_bpf_insn))
        self.programs = <ff_bpf *> PyMem_RawCalloc(n_programs, sizeof(ff_bpf))
        self.of_linktypes = <uint16_t *> PyMem_RawCalloc(n_programs, sizeof(uint16_t))
        if not (self.insns and self.programs and self.of_linktypes):
            raise MemoryError
        self.n_programs = n_programs
        return 0

    cdef const ff_bpf *program(self, uint16_t linktype) noexcept nogil:
        """The program for a link type, or NULL; it lives as long as the filter."""
        cdef size_t i
        for i in range(self.n_programs):
            if self.of_linktypes[i] == linktype:
                return &self.programs[i]
        return NULL

    def matches(
        self, uint16_t linktype, const uint8_t[::1] packet not None, uint32_t wirelen
    ):
        """Tell whether one packet matches.

        Parameters
        ----------
        linktype : int
            LINKTYPE_ number of the packet's interface.
        packet : bytes-like
            What was captured, from the link header on.
        wirelen : int
            The packet's length before it was cut.

        Returns
        -------
        bool
            False where there is no program for the link type.
        """
        cdef const ff_bpf *program = self.program(linktype)
        cdef ff_span span
        span.n = packet.shape[0]
        span.p = &packet[0] if span.n else NULL
        return program != NULL and ff_bpf_run(program, span, wirelen) != 0

    @property
    def linktypes(self):
        """The link types that there is a program for."""
        return frozenset(self.of_linktypes[i] for i in range(self.n_programs))


cdef int _verify(const ff_bpf *program) except -1:
    cdef ff_bpf_fault fault = ff_bpf_verify(program)
    if fault != FF_BPF_FAULT_none:
        name, text = FAULTS[<int> fault]
        raise ValueError(f"{name}: {text}")
    return 0
