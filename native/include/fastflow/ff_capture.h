/* SPDX-License-Identifier: Apache-2.0 */
/* A capture of any container format: which one it is, and its next record. */
#ifndef FASTFLOW_FF_CAPTURE_H
#define FASTFLOW_FF_CAPTURE_H

#include "fastflow/ff_erf.h"
#include "fastflow/ff_pcap.h"
#include "fastflow/ff_pcapng.h"
#include "fastflow/ff_snoop.h"

/* No record, no block that is kept whole, is longer. */
#define FF_RECORD_MAX_BYTES FF_PCAPNG_BLOCK_MAX_BYTES

#define FF_FORMATS(X) X(none) X(pcap) X(pcapng) X(snoop) X(erf)

enum ff_format {
#define X(name) FF_FORMAT_##name,
    FF_FORMATS(X)
#undef X
        FF_N_FORMATS
};

static const char *const ff_format_names[] = {
#define X(name) #name,
    FF_FORMATS(X)
#undef X
};

typedef struct ff_capture {
    enum ff_format format;
    ff_pcap pcap;
    ff_pcapng pcapng;
    ff_snoop snoop;
    ff_erf erf;
} ff_capture;

/* The format that the first bytes are of, all of them if they are few. ERF has no magic
 * and wants the first record as a whole. */
static inline enum ff_format ff_capture_format(ff_span s) {
    if (ff_has(s, 4) && ff_pcap_has_magic(s.p)) return FF_FORMAT_pcap;
    if (ff_has(s, 4) && ff_load_u32(s.p) == FF_PCAPNG_SHB) return FF_FORMAT_pcapng;
    if (ff_snoop_has_magic(s)) return FF_FORMAT_snoop;
    if (ff_erf_is_first(s)) return FF_FORMAT_erf;
    return FF_FORMAT_none;
}

/* How many of a file's first bytes are needed to begin it. */
static inline size_t ff_capture_head_bytes(ff_span s) {
    switch (ff_capture_format(s)) {
        case FF_FORMAT_pcap: return FF_PCAP_HEADER_BYTES;
        case FF_FORMAT_pcapng: return FF_PCAPNG_HEADER_BYTES;
        case FF_FORMAT_snoop: return FF_SNOOP_HEADER_BYTES;
        default: break;
    }
    if (!ff_has(s, FF_ERF_HEADER_BYTES)) return FF_ERF_HEADER_BYTES;
    return ff_erf_is_plausible(s.p) ? ff_erf_record_bytes(s.p) + FF_ERF_HEADER_BYTES
                                    : 0;
}

static inline enum ff_fault ff_capture_no_format(ff_span s) {
    if (s.n == 0) return FF_FAULT_empty_file;
    if (!ff_has(s, 4) || ff_snoop_may_be(s)) return FF_FAULT_short_magic;
    if (ff_pcapng_lacks_section(s)) return FF_FAULT_no_section_header;
    return FF_FAULT_unknown_magic;
}

/* Begin a capture by its first bytes: ff_capture_head_bytes() of them, or all. */
static inline enum ff_fault ff_capture_open(ff_capture *c, ff_span head,
                                            size_t *header_bytes) {
    *header_bytes = 0;
    c->format = ff_capture_format(head);
    switch (c->format) {
        case FF_FORMAT_pcap:
            *header_bytes = FF_PCAP_HEADER_BYTES;
            return ff_pcap_parse(&c->pcap, head);
        case FF_FORMAT_pcapng: return ff_pcapng_open(&c->pcapng, head);
        case FF_FORMAT_snoop:
            *header_bytes = FF_SNOOP_HEADER_BYTES;
            return ff_snoop_parse(&c->snoop, head);
        case FF_FORMAT_erf: ff_erf_begin(&c->erf); return FF_FAULT_none;
        default: return ff_capture_no_format(head);
    }
}

/* The next record of an open capture. PACKET and PASSED use up at least one byte. */
FF_INLINE enum ff_step ff_capture_next(ff_capture *c, ff_span s, uint64_t *flags,
                                       ff_record *r) {
    if (FF_LIKELY(c->format == FF_FORMAT_pcap))
        return ff_pcap_next(&c->pcap, s, flags, r);
    if (FF_LIKELY(c->format == FF_FORMAT_pcapng))
        return ff_pcapng_next(&c->pcapng, s, flags, r);
    if (c->format == FF_FORMAT_erf) return ff_erf_next(&c->erf, s, flags, r);
    return ff_snoop_next(&c->snoop, s, flags, r);
}

/* Bytes of the present block that were used up already: its beginning is so far back.
 */
static inline size_t ff_capture_passed_bytes(const ff_capture *c) {
    return c->pcapng.passed_bytes;
}

/* What it means that an open capture ends with n bytes that make no whole record, at
 * offset_bytes. */
static inline enum ff_fault ff_capture_end(const ff_capture *c, size_t n,
                                           uint64_t offset_bytes) {
    size_t header_bytes = FF_ERF_HEADER_BYTES;
    switch (c->format) {
        case FF_FORMAT_pcapng:
            if (n == 0 && c->pcapng.passing_bytes == 0) return FF_FAULT_none;
            return offset_bytes ? FF_FAULT_truncated_block : FF_FAULT_short_header;
        case FF_FORMAT_pcap: header_bytes = c->pcap.record_header_bytes; break;
        case FF_FORMAT_snoop: header_bytes = FF_SNOOP_RECORD_BYTES; break;
        default: break;
    }
    if (n == 0) return FF_FAULT_none;
    return n < header_bytes ? FF_FAULT_truncated_record_header
                            : FF_FAULT_truncated_record;
}

/* Packets that the capture says were lost before they reached it, as far as int64 holds
 * them; false: it says nothing. */
static inline bool ff_capture_dropped(const ff_capture *c, uint64_t *n_dropped) {
    const ff_pcapng *ng = &c->pcapng;
    switch (c->format) {
        case FF_FORMAT_pcapng:
            *n_dropped =
                ng->n_dropped < INT64_MAX ? (uint64_t)ng->n_dropped : INT64_MAX;
            return ng->has_dropped;
        case FF_FORMAT_snoop:
            *n_dropped = c->snoop.n_dropped;
            return c->snoop.has_dropped;
        case FF_FORMAT_erf: *n_dropped = c->erf.n_dropped; return c->erf.has_dropped;
        default: return false;
    }
}

#endif
