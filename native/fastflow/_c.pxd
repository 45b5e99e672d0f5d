# What the Cython modules see of the C headers; nothing else names them.
from libc.stdint cimport (
    int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t,
)

from fastflow._c_bpf cimport ff_bpf, ff_span
from fastflow._c_tool cimport ff_tools

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)

cdef extern from *:
    const char *FF_SOURCE_HASH

cdef extern from "fastflow/ff_status.h" nogil:
    ctypedef struct ff_name:
        const char *name
        const char *group
        const char *text
    const ff_name ff_fault_names[]
    const ff_name ff_state_names[]
    const ff_name ff_reason_names[]
    const ff_name ff_flag_names[]
    enum:
        FF_N_FAULTS
        FF_N_STATES
        FF_N_REASONS
        FF_N_FLAGS
        FF_REASON_counted
        FF_REASON_STATES
    enum ff_fault:
        FF_FAULT_none

cdef extern from "fastflow/ff_linktype.h" nogil:
    enum:
        FF_N_LINKS
        FF_LINK_UNSUPPORTED
    ctypedef struct ff_link_info:
        uint16_t linktype
    const ff_link_info ff_links[]

cdef extern from "fastflow/ff_tunnel.h" nogil:
    enum:
        FF_N_TUNNELS
    ctypedef struct ff_tunnel_info:
        const char *name
        const char *text
    const ff_tunnel_info ff_tunnels[]

cdef extern from "fastflow/ff_record.h" nogil:
    ctypedef struct ff_interface:
        uint16_t linktype
        uint32_t snaplen
        uint64_t units_per_sec

cdef extern from "fastflow/ff_capture.h" nogil:
    enum:
        FF_RECORD_MAX_BYTES
        FF_PCAPNG_INTERFACES_MAX
        FF_FORMAT_none
        FF_FORMAT_pcap
        FF_FORMAT_pcapng
        FF_PCAP_HEADER_BYTES
    const char *ff_format_names[]
    ctypedef struct ff_pcap:
        uint16_t version_major
        uint16_t version_minor
        uint32_t frac_per_sec
        bint swapped
        ff_interface on
    ctypedef struct ff_pcapng:
        uint16_t version_major
        uint16_t version_minor
        bint swapped
        ff_interface *interfaces
        size_t n_interfaces
        size_t interfaces_cap
        uint64_t n_described
    ctypedef struct ff_capture:
        int format
        ff_pcap pcap
        ff_pcapng pcapng
    size_t ff_capture_head_bytes(ff_span head) noexcept
    bint ff_capture_dropped(const ff_capture *c, uint64_t *n_dropped) noexcept

cdef extern from "fastflow/ff_traffic.h" nogil:
    enum:
        FF_N_TRAFFICS
    const char *ff_traffic_names[]

cdef extern from "fastflow/ff_dict.h" nogil:
    ctypedef struct ff_dict:
        uint8_t *keys
        int64_t *offsets
        uint8_t *text
        uint32_t *slots
        size_t key_bytes
        size_t text_max
        size_t n_entries
        size_t entries_cap
        size_t n_slots
        size_t text_bytes
        size_t text_cap
        uint64_t seed
    void ff_dict_rehash(ff_dict *d) noexcept

cdef extern from "fastflow/ff_tcpsig.h" nogil:
    enum:
        FF_KINDS_KEY_BYTES
        FF_KINDS_TEXT_MAX
        FF_SIG_KEY_BYTES
        FF_SIG_TEXT_MAX
    ctypedef struct ff_lexicon:
        ff_dict kinds
        ff_dict signatures
    void ff_lexicon_clear(ff_lexicon *lexicon) noexcept
    uint32_t ff_kinds_adopt(
        ff_lexicon *to, const ff_lexicon *other, uint32_t code
    ) noexcept

cdef extern from "fastflow/ff_fields.h" nogil:
    enum:
        FF_DICT_none
    enum:
        FF_N_COLS
        FF_N_LAYERS
        FF_FIRST_DERIVED_COL
        FF_NEED_OPTIONS
    ctypedef struct ff_field:
        const char *name
        const char *arrow
        const char *unit
        const char *source
        size_t width_bytes
        int dict
        int layer
        int needs
    const ff_field ff_fields[]
    const char *ff_dict_names[]
    ctypedef struct ff_columns:
        void *values[]
        uint8_t *valid[]
        size_t capacity_rows
        size_t n_rows
        bint has_every_packet_field

cdef extern from "fastflow/ff_scan.h" nogil:
    enum:
        FF_CHUNK_ROWS
    enum ff_outcome:
        FF_NEED_BYTES
        FF_FULL
        FF_NEED_ROOM
        FF_AT_LIMIT
        FF_FAULTED
    ctypedef struct ff_scan:
        ff_capture capture
        bint is_open
        ff_fault fault
        uint64_t consumed_bytes
        uint64_t limit_bytes
        uint64_t n_records
        uint32_t links
        uint16_t unsupported_linktype
        uint64_t reasons[]
        uint64_t flags[]
        int64_t ts_min_ns
        int64_t ts_end_ns
        int64_t first_ts_ns
        int64_t last_ts_ns
        uint32_t needs
        uint32_t decap
        bint has_filter
        ff_bpf filters[]
        ff_lexicon *lexicon
        const ff_tools *tools
    uint64_t ff_scan_offset(const ff_scan *scan) noexcept
    bint ff_scan_is_at_limit(const ff_scan *scan) noexcept
    ff_fault ff_scan_open(ff_scan *scan, const uint8_t *p, size_t n) noexcept
    ff_fault ff_scan_end(ff_scan *scan, size_t n) noexcept
    ff_outcome ff_scan_columns(
        ff_scan *scan, const uint8_t *p, size_t n, ff_columns *cols, size_t *consumed
    ) noexcept

cdef extern from "fastflow/ff_sync.h" nogil:
    uint32_t ff_sync_sec(const ff_pcap *f, const uint8_t *p) noexcept
    size_t ff_sync_find(const ff_pcap *f, uint32_t near_sec, ff_span s) noexcept

cdef extern from "fastflow/ff_part.h" nogil:
    bint ff_scan_can_part(const ff_scan *scan) noexcept
    void ff_scan_begin_part(
        ff_scan *part, const ff_scan *opened, uint64_t offset_bytes
    ) noexcept
    void ff_scan_join(ff_scan *scan, const ff_scan *part) noexcept

cdef extern from "fastflow/ff_tally.h" nogil:
    enum:
        FF_CHUNK_CELLS
    ctypedef struct ff_cell:
        pass
    ctypedef struct ff_tally:
        ff_cell *cells
        uint64_t *slots
        size_t n_cells
        size_t cells_cap
        size_t cells_max
        size_t n_slots
        uint64_t seed
        uint64_t (*clock_ns)() noexcept nogil
        uint64_t counting_ns
    bint ff_tally_has_room(const ff_tally *tally) noexcept
    bint ff_tally_has_slots(const ff_tally *tally) noexcept
    void ff_tally_rehash(ff_tally *tally) noexcept
    void ff_tally_empty(ff_tally *tally) noexcept
    ff_outcome ff_tally_scan(
        ff_tally *tally, ff_scan *scan, const uint8_t *p, size_t n, size_t *consumed
    ) noexcept
    void ff_tally_sources(
        const ff_tally *tally, size_t begin, size_t n, uint8_t *src, uint8_t *version
    ) noexcept

cdef extern from "fastflow/ff_run.h" nogil:
    ctypedef struct ff_sort_item:
        pass
    ctypedef struct ff_sorter:
        const ff_cell *cells
        const uint32_t *kinds_ranks
        ff_sort_item *items
        ff_sort_item *scratch
    void ff_run_sort(
        const ff_sorter *s, ff_tally *tally, const uint16_t *countries, uint32_t *order
    ) noexcept
    void ff_run_gather(
        const ff_cell *cells, const uint32_t *order, size_t n, ff_cell *out
    ) noexcept
    void ff_run_translate(
        ff_cell *cells, size_t n, const uint32_t *kinds_map
    ) noexcept

cdef extern from "fastflow/ff_rollup.h" nogil:
    enum:
        FF_MANY_COUNTRIES
        FF_MANY_TRAFFICS
        FF_MANY_TOOLS
        FF_MAX_ROW_FIELDS
    enum ff_grain:
        FF_GRAIN_SOURCES
        FF_GRAIN_COUNTS
        FF_GRAIN_ECHOES
    enum ff_rolled:
        FF_ROLLED_FULL
        FF_ROLLED_OUT
        FF_ROLLED_END
    ctypedef struct ff_cursor:
        const ff_cell *at
        const ff_cell *end
        uint64_t n_absent
    ctypedef struct ff_numbers:
        uint32_t *codes
        uint16_t *numbers
        uint32_t n
    ctypedef struct ff_rollup:
        ff_grain grain
        ff_cursor *cursors
        uint32_t *heap
        const uint32_t *kinds_ranks
        ff_lexicon *lexicon
        ff_numbers countries
        ff_numbers traffics
        ff_numbers tools
        size_t n_rows
    ctypedef struct ff_row_field:
        const char *name
        const char *arrow
        size_t width_bytes
        int dict
        bint is_nullable
    const ff_row_field *ff_row_fields(ff_grain grain, size_t *n_fields) noexcept
    void ff_rollup_begin(ff_rollup *r, size_t n_cursors) noexcept
    void ff_rollup_begin_batch(ff_rollup *r) noexcept
    void ff_rollup_brought(ff_rollup *r) noexcept
    ff_rolled ff_rollup_add(ff_rollup *r, size_t max_rows) noexcept
    void ff_rollup_fill(
        ff_rollup *r, void **values, uint8_t **valid, size_t at
    ) noexcept

cdef extern from "fastflow/ff_echo_hour.h" nogil:
    enum:
        FF_ECHO_SKETCHES
        FF_ECHO_SKETCH_WORDS
    ctypedef struct ff_echo_hour:
        pass
    size_t ff_sketch_bins(const uint8_t *sketch) noexcept
    void ff_echo_hour_take(
        ff_echo_hour *hour, uint32_t slot, const uint8_t *sketch, int64_t packets
    ) noexcept
    size_t ff_echo_hour_end(
        ff_echo_hour *hour, int32_t first, int32_t *bins, int64_t *packets
    ) noexcept
