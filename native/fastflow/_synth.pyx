"""Generator over `fastflow/ff_synth.h`: the records of load captures, in blocks."""

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastflow._c_synth cimport (
    FF_SYNTH_PORTS,
    FF_SYNTH_RECORD_MAX_BYTES,
    FF_SYNTH_SLOTS,
    ff_synth,
    ff_synth_actor,
    ff_synth_begin,
    ff_synth_countries_ok,
    ff_synth_fill,
    ff_synth_kind,
    ff_synth_walk,
    FF_SYNTH_payload,
    FF_SYNTH_scan,
    FF_SYNTH_scatter,
)

import numpy as np

SLOTS = FF_SYNTH_SLOTS
RECORD_MAX_BYTES = FF_SYNTH_RECORD_MAX_BYTES

cdef dict _KINDS = {
    "scan": FF_SYNTH_scan,
    "scatter": FF_SYNTH_scatter,
    "payload": FF_SYNTH_payload,
}
KINDS = tuple(_KINDS)


@cython.final
cdef class LoadGenerator:
    """Makes the records of one load capture, and counts what it makes.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    packets, hours, actors : int
        All at least 1: packets in all, their time span, senders at work at any time.
    start_sec : int
        Time of the first packet, seconds since 1970-01-01 UTC.
    seed : int
        0 to 2**64 - 1.
    country_slots : ndarray of uint16, shape (SLOTS,)
        A packet's country is drawn from these with equal chance.
    first_ranges : ndarray of uint32, shape (countries + 1,)
        Country c has the ranges first_ranges[c] to first_ranges[c + 1] - 1.
    range_starts, range_ends : ndarray of uint32, shape (ranges,)
        First address of a range; addresses of its country up to its end.
    tcp_slots, udp_slots : ndarray of uint16, shape (SLOTS,)
        Destination ports, drawn like the countries; 0 stands for any port.

    Raises
    ------
    ValueError
        The numbers or the tables do not fit together.

    Notes
    -----
    The arrays are copied. Not thread-safe.
    """

    cdef ff_synth synth
    cdef dict tables
    cdef dict counts

    def __cinit__(
        self,
        kind,
        *,
        packets,
        hours,
        actors,
        start_sec,
        seed,
        country_slots,
        first_ranges,
        range_starts,
        range_ends,
        tcp_slots,
        udp_slots,
    ):
        if kind not in _KINDS:
            raise ValueError(f"kind {kind!r}: one of {', '.join(KINDS)} expected")
        if min(packets, hours, actors) < 1:
            raise ValueError("packets, hours and actors must be at least 1")
        self.synth.kind = <ff_synth_kind><int>_KINDS[kind]
        self.synth.n_packets = packets
        self.synth.n_hours = hours
        self.synth.n_actors = actors
        self.synth.start_sec = start_sec
        self.tables = {}
        self.counts = {}
        self._bind_countries(country_slots, first_ranges, range_starts, range_ends)
        self.synth.tcp_slots = self._slots("tcp_slots", tcp_slots)
        self.synth.udp_slots = self._slots("udp_slots", udp_slots)
        self._bind_counts()
        self._allocate()
        ff_synth_begin(&self.synth, seed)

    def __dealloc__(self):
        PyMem_RawFree(self.synth.actors)
        PyMem_RawFree(self.synth.walks)

    cdef int _allocate(self) except -1:
        """Take the memory whose content no one else sees."""
        self.synth.actors = <ff_synth_actor *>PyMem_RawCalloc(
            self.synth.n_actors, sizeof(ff_synth_actor)
        )
        self.synth.walks = <ff_synth_walk *>PyMem_RawCalloc(
            self.synth.n_countries, sizeof(ff_synth_walk)
        )
        if self.synth.actors == NULL or self.synth.walks == NULL:
            raise MemoryError()
        return 0

    cdef int _bind_countries(
        self, country_slots, first_ranges, range_starts, range_ends
    ) except -1:
        """Point the native generator at the tables about countries."""
        cdef const uint32_t[::1] firsts = self._table("first_ranges", first_ranges, "I")
        cdef const uint32_t[::1] starts = self._table("range_starts", range_starts, "I")
        cdef const uint32_t[::1] ends = self._table("range_ends", range_ends, "I")
        if firsts.shape[0] < 2 or starts.shape[0] < 1:
            raise ValueError("the country table has no IPv4 range")
        if starts.shape[0] != ends.shape[0]:
            raise ValueError("range_starts and range_ends differ in length")
        self.synth.n_countries = <uint64_t>firsts.shape[0] - 1
        self.synth.n_ranges = <uint64_t>starts.shape[0]
        self.synth.first_ranges = &firsts[0]
        self.synth.range_starts = &starts[0]
        self.synth.range_ends = &ends[0]
        self.synth.country_slots = self._slots("country_slots", country_slots)
        if not ff_synth_countries_ok(&self.synth):
            raise ValueError("the tables about countries do not fit together")
        return 0

    cdef int _bind_counts(self) except -1:
        """Make the arrays that the native generator counts in."""
        self.synth.hour_packets = self._counter("hours", self.synth.n_hours)
        self.synth.tcp_packets = self._counter("tcp", FF_SYNTH_PORTS)
        self.synth.udp_packets = self._counter("udp", FF_SYNTH_PORTS)
        n_countries = self.synth.n_countries
        self.synth.country_packets = self._counter("country_packets", n_countries)
        self.synth.country_sources = self._counter("country_sources", n_countries)
        return 0

    cdef _table(self, name, array, dtype):
        """Keep a private copy of an array; its type must be right already."""
        array = np.asarray(array)
        if array.dtype != np.dtype(dtype) or array.ndim != 1:
            raise ValueError(f"{name}: expected one dimension of {np.dtype(dtype)}")
        self.tables[name] = np.array(array, order="C", copy=True)
        return self.tables[name]

    cdef const uint16_t *_slots(self, name, array) except NULL:
        cdef const uint16_t[::1] slots = self._table(name, array, "H")
        if <size_t>slots.shape[0] != FF_SYNTH_SLOTS:
            raise ValueError(f"{name}: {slots.shape[0]} entries, {SLOTS} expected")
        return &slots[0]

    cdef uint64_t *_counter(self, name, n) except NULL:
        cdef uint64_t[::1] counter = np.zeros(n, np.uint64)
        self.counts[name] = counter.base
        return &counter[0]

    def fill(self, uint8_t[::1] block):
        """Write the next records into a block, with the GIL released.

        Parameters
        ----------
        block : writable buffer of at least `RECORD_MAX_BYTES`

        Returns
        -------
        int
            Bytes written: whole records; 0 when all packets are made.

        Raises
        ------
        ValueError
            The block is smaller.
        """
        if <size_t>block.shape[0] < FF_SYNTH_RECORD_MAX_BYTES:
            raise ValueError(f"a block needs {RECORD_MAX_BYTES} bytes at least")
        cdef size_t n_bytes = <size_t>block.shape[0]
        cdef size_t n_written
        with nogil:
            n_written = ff_synth_fill(&self.synth, &block[0], n_bytes)
        return n_written

    @property
    def packets(self):
        """Packets made so far."""
        return self.synth.n_done

    @property
    def ip_bytes(self):
        """Sum of the IP packets' total lengths."""
        return self.synth.ip_bytes

    @property
    def icmp_packets(self):
        """Packets of ICMP, all of them echo requests."""
        return self.synth.n_icmp

    @property
    def syn_ack_packets(self):
        """Packets of TCP with SYN and ACK."""
        return self.synth.n_syn_ack

    @property
    def hour_packets(self):
        """Packets per hour since the start."""
        return self.counts["hours"].copy()

    @property
    def tcp_packets(self):
        """Packets of TCP per destination port."""
        return self.counts["tcp"].copy()

    @property
    def udp_packets(self):
        """Packets of UDP per destination port."""
        return self.counts["udp"].copy()

    @property
    def country_packets(self):
        """Packets per country."""
        return self.counts["country_packets"].copy()

    @property
    def country_sources(self):
        """Distinct sources per country, before a country's addresses repeat."""
        return self.counts["country_sources"].copy()
