/* SPDX-License-Identifier: Apache-2.0 */
/* ERF, the records of Endace's cards: Ethernet and IP records, extension headers.
 * Source: Endace's "ERF types reference"; libtrace's erftypes.h; LINKTYPE_ERF. Lengths
 * are big-endian, time stamps little-endian: 32.32 bits of seconds since 1970. */
#ifndef FASTFLOW_FF_ERF_H
#define FASTFLOW_FF_ERF_H

#include "fastflow/ff_record.h"

#define FF_ERF_HEADER_BYTES 16
#define FF_ERF_EXT_BYTES 8
#define FF_ERF_EXT_MAX 16
#define FF_ERF_RECORD_MAX_BYTES 65535
#define FF_LINKTYPE_ERF 197

enum ff_erf_type {
    FF_ERF_ETH = 2,
    FF_ERF_COLOR_ETH = 11,
    FF_ERF_DSM_COLOR_ETH = 16,
    FF_ERF_COLOR_HASH_ETH = 20,
    FF_ERF_IPV4 = 22,
    FF_ERF_IPV6 = 23,
    FF_ERF_META = 27,
    FF_ERF_PAD = 48
};

typedef struct ff_erf {
    uint64_t n_dropped; /* by the records' loss counters */
    bool has_dropped;   /* a record had one */
    ff_interface ethernet, ipv4, ipv6, other;
} ff_erf;

FF_INLINE uint8_t ff_erf_type(const uint8_t *p) { return p[8] & 0x7f; }
FF_INLINE uint16_t ff_erf_record_bytes(const uint8_t *p) {
    return ff_load_be16(p + 10);
}

static inline bool ff_erf_is_ethernet(uint8_t type) {
    return type == FF_ERF_ETH || type == FF_ERF_COLOR_ETH ||
           type == FF_ERF_DSM_COLOR_ETH || type == FF_ERF_COLOR_HASH_ETH;
}

static inline bool ff_erf_has_packet(uint8_t type) {
    return type != FF_ERF_PAD && type != FF_ERF_META;
}

/* Bytes before the frame, of a record that is there as a whole; 0 if they do not fit.
 */
static inline size_t ff_erf_framing_bytes(ff_span record) {
    size_t n = FF_ERF_HEADER_BYTES;
    bool has_more = record.p[8] & 0x80;
    for (int n_ext = 0; has_more; n_ext++) {
        if (n_ext == FF_ERF_EXT_MAX || record.n - n < FF_ERF_EXT_BYTES) return 0;
        has_more = record.p[n] & 0x80;
        n += FF_ERF_EXT_BYTES;
    }
    /* Offset and padding. */
    size_t pad = ff_erf_is_ethernet(ff_erf_type(record.p)) ? 2 : 0;
    return record.n - n < pad ? 0 : n + pad;
}

/* Could a header of 16 bytes be one? Nothing but its own sense tells. */
static inline bool ff_erf_is_plausible(const uint8_t *p) {
    uint32_t sec = ff_load_le32(p + 4);
    uint8_t type = ff_erf_type(p);
    return type >= 1 && type <= FF_ERF_PAD &&
           ff_erf_record_bytes(p) >= FF_ERF_HEADER_BYTES && sec >= 631152000u &&
           sec < 4102444800u;
}

/* Does the file begin with ERF records? Needs the first as a whole and the second's
 * header, so far as the file has them. */
static inline bool ff_erf_is_first(ff_span s) {
    if (!ff_has(s, FF_ERF_HEADER_BYTES) || !ff_erf_is_plausible(s.p)) return false;
    uint8_t type = ff_erf_type(s.p);
    size_t record_bytes = ff_erf_record_bytes(s.p);
    if (!ff_has(s, record_bytes)) return false;
    if (ff_erf_framing_bytes((ff_span){s.p, record_bytes}) == 0) return false;
    if (!ff_erf_is_ethernet(type) && ff_erf_has_packet(type) && type != FF_ERF_IPV4 &&
        type != FF_ERF_IPV6)
        return false;
    ff_skip(&s, record_bytes);
    return !ff_has(s, FF_ERF_HEADER_BYTES) || ff_erf_is_plausible(s.p);
}

static inline void ff_erf_begin(ff_erf *f) {
    memset(f, 0, sizeof *f);
    ff_interface_init(&f->ethernet, FF_LINKTYPE_ethernet, 0);
    ff_interface_init(&f->ipv4, FF_LINKTYPE_ipv4, 0);
    ff_interface_init(&f->ipv6, FF_LINKTYPE_ipv6, 0);
    ff_interface_init(&f->other, FF_LINKTYPE_ERF, 0);
}

/* To the nearest nanosecond. */
static inline int64_t ff_erf_ts_ns(const uint8_t *p) {
    uint64_t frac = ff_load_le32(p), sec = ff_load_le32(p + 4);
    return (int64_t)(sec * FF_NS_PER_SEC + ((frac * FF_NS_PER_SEC + (1u << 31)) >> 32));
}

static inline const ff_interface *ff_erf_interface(const ff_erf *f, uint8_t type) {
    if (ff_erf_is_ethernet(type)) return &f->ethernet;
    if (type == FF_ERF_IPV4) return &f->ipv4;
    return type == FF_ERF_IPV6 ? &f->ipv6 : &f->other;
}

FF_OUTLINE enum ff_step ff_erf_next(ff_erf *f, ff_span s, uint64_t *flags,
                                    ff_record *r) {
    static const uint8_t zeros[FF_ERF_HEADER_BYTES] = {0};
    if (!ff_has(s, FF_ERF_HEADER_BYTES)) return FF_STEP_NEED_BYTES;
    if (memcmp(s.p, zeros, sizeof zeros) == 0)
        return ff_record_fault(r, FF_FAULT_zero_record);
    size_t record_bytes = ff_erf_record_bytes(s.p);
    uint8_t type = ff_erf_type(s.p);
    if (record_bytes < FF_ERF_HEADER_BYTES)
        return ff_record_fault(r, FF_FAULT_record_too_short);
    if (!ff_has(s, record_bytes)) return FF_STEP_NEED_BYTES;
    size_t framing_bytes = ff_erf_framing_bytes((ff_span){s.p, record_bytes});
    if (framing_bytes == 0) return ff_record_fault(r, FF_FAULT_record_too_short);
    if (!ff_erf_has_packet(type)) {
        flags[FF_FLAG_skipped_block]++;
        return ff_record_passed(r, record_bytes);
    }
    if (type == FF_ERF_ETH || type == FF_ERF_IPV4 || type == FF_ERF_IPV6) {
        f->n_dropped += ff_load_be16(s.p + 12);
        f->has_dropped = true;
    }
    r->on = ff_erf_interface(f, type);
    r->data = (ff_span){s.p + framing_bytes, record_bytes - framing_bytes};
    r->wirelen = ff_load_be16(s.p + 14);
    ff_clip(&r->data, r->wirelen);
    r->n_bytes = record_bytes;
    r->has_ts = true;
    r->ts_ns = ff_erf_ts_ns(s.p);
    return FF_STEP_PACKET;
}

#endif
