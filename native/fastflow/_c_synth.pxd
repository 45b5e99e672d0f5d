"""The C names of `fastflow/ff_synth.h`, and nothing else."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "fastflow/ff_synth.h" nogil:
    const size_t FF_SYNTH_SLOTS
    const size_t FF_SYNTH_PORTS
    const size_t FF_SYNTH_RECORD_MAX_BYTES

    ctypedef enum ff_synth_kind "enum ff_synth_kind":
        FF_SYNTH_scan
        FF_SYNTH_scatter
        FF_SYNTH_payload

    ctypedef struct ff_synth_actor:
        pass

    ctypedef struct ff_synth_walk:
        pass

    ctypedef struct ff_synth:
        ff_synth_kind kind
        uint64_t n_packets
        uint64_t n_done
        uint64_t n_actors
        ff_synth_actor *actors
        uint64_t start_sec
        uint64_t n_hours
        uint64_t n_countries
        uint64_t n_ranges
        const uint16_t *country_slots
        const uint32_t *first_ranges
        const uint32_t *range_starts
        const uint32_t *range_ends
        ff_synth_walk *walks
        const uint16_t *tcp_slots
        const uint16_t *udp_slots
        uint64_t *hour_packets
        uint64_t *tcp_packets
        uint64_t *udp_packets
        uint64_t *country_packets
        uint64_t *country_sources
        uint64_t n_icmp
        uint64_t n_syn_ack
        uint64_t ip_bytes

    bint ff_synth_countries_ok(const ff_synth *s) noexcept
    void ff_synth_begin(ff_synth *s, uint64_t seed) noexcept
    size_t ff_synth_fill(ff_synth *s, uint8_t *out, size_t n_bytes) noexcept
