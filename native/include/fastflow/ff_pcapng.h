/* SPDX-License-Identifier: Apache-2.0 */
/* pcapng: sections, interfaces, packets. Source: draft-ietf-opsawg-pcapng, section 4.
 * A block is taken when it is there as a whole; one that holds nothing for us is passed
 * over as it comes, however long it says it is. */
#ifndef FASTFLOW_FF_PCAPNG_H
#define FASTFLOW_FF_PCAPNG_H

#include "fastflow/ff_record.h"

#define FF_PCAPNG_BLOCK_MAX_BYTES 1048576u
#define FF_PCAPNG_INTERFACES_MAX 65536u
#define FF_PCAPNG_BYTE_ORDER_MAGIC 0x1a2b3c4du
/* Of a section header: type, length, magic, version, section length, length. */
#define FF_PCAPNG_HEADER_BYTES 28
/* More packets than this were never dropped: the field holds something else. */
#define FF_PCAPNG_DROPPED_END ((uint64_t)1 << 48)

enum ff_pcapng_type {
    FF_PCAPNG_IDB = 1,
    FF_PCAPNG_PB = 2, /* obsolete */
    FF_PCAPNG_SPB = 3,
    FF_PCAPNG_ISB = 5,
    FF_PCAPNG_EPB = 6,
    FF_PCAPNG_SHB = 0x0a0d0d0a /* the same in either byte order */
};

enum ff_pcapng_option {
    FF_PCAPNG_END_OF_OPTIONS = 0,
    FF_PCAPNG_ISB_IFDROP = 5,
    FF_PCAPNG_ISB_OSDROP = 7,
    FF_PCAPNG_IF_TSRESOL = 9,
    FF_PCAPNG_IF_TSOFFSET = 14
};

typedef struct ff_pcapng {
    bool swapped; /* the section's byte order is not this machine's */
    uint16_t version_major, version_minor;
    ff_interface *interfaces; /* the section's; room for interfaces_cap */
    size_t n_interfaces, interfaces_cap;
    uint64_t n_described;   /* interfaces of all sections */
    uint32_t passing_bytes; /* length of the block that is being passed over, or 0 */
    uint32_t passed_bytes;  /* of it */
    ff_int128 n_dropped;    /* by all interfaces: no number of them overflows */
    bool has_dropped;       /* somebody said so */
} ff_pcapng;

FF_INLINE uint16_t ff_pcapng_u16(const ff_pcapng *f, const uint8_t *p) {
    return f->swapped ? __builtin_bswap16(ff_load_u16(p)) : ff_load_u16(p);
}

FF_INLINE uint32_t ff_pcapng_u32(const ff_pcapng *f, const uint8_t *p) {
    return f->swapped ? __builtin_bswap32(ff_load_u32(p)) : ff_load_u32(p);
}

static inline uint64_t ff_pcapng_u64(const ff_pcapng *f, const uint8_t *p) {
    return f->swapped ? __builtin_bswap64(ff_load_u64(p)) : ff_load_u64(p);
}

/* A time stamp, upper half first whatever the byte order. */
FF_INLINE uint64_t ff_pcapng_ts(const ff_pcapng *f, const uint8_t *p) {
    return (uint64_t)ff_pcapng_u32(f, p) << 32 | ff_pcapng_u32(f, p + 4);
}

/* --- options ---------------------------------------------------------------------- */

typedef struct ff_pcapng_tlv {
    uint16_t code;
    ff_span value;
} ff_pcapng_tlv;

/* Take the next option off the front; false behind the last, and with *is_overrun where
 * one is longer than what is left. */
static inline bool ff_pcapng_option_next(const ff_pcapng *f, ff_span *options,
                                         ff_pcapng_tlv *o, bool *is_overrun) {
    *is_overrun = false;
    if (!ff_has(*options, 4)) return false;
    o->code = ff_pcapng_u16(f, options->p);
    size_t n_bytes = ff_pcapng_u16(f, options->p + 2);
    size_t padded_bytes = (n_bytes + 3) & ~(size_t)3;
    if (o->code == FF_PCAPNG_END_OF_OPTIONS) return false;
    ff_skip(options, 4);
    *is_overrun = !ff_has(*options, padded_bytes);
    if (*is_overrun) return false;
    o->value = (ff_span){options->p, n_bytes};
    ff_skip(options, padded_bytes);
    return true;
}

/* Units per second; the highest bit tells a power of two from one of ten. 0: finer than
 * 64 bits hold. */
static inline uint64_t ff_pcapng_resolution(uint8_t tsresol) {
    unsigned exponent = tsresol & 0x7f;
    if (tsresol & 0x80) return exponent < 64 ? (uint64_t)1 << exponent : 0;
    if (exponent > 19) return 0;
    uint64_t units = 1;
    while (exponent-- > 0) units *= 10;
    return units;
}

static inline enum ff_fault ff_pcapng_if_options(const ff_pcapng *f, ff_span options,
                                                 ff_interface *on) {
    ff_pcapng_tlv o;
    bool is_overrun, has_resolution = false;
    uint64_t units_per_sec = 1000000;
    int64_t offset_sec = 0;
    while (ff_pcapng_option_next(f, &options, &o, &is_overrun)) {
        if (o.code == FF_PCAPNG_IF_TSRESOL) {
            if (o.value.n != 1) return FF_FAULT_option_length;
            units_per_sec = ff_pcapng_resolution(o.value.p[0]);
            if (has_resolution || units_per_sec == 0) return FF_FAULT_tsresol;
            has_resolution = true;
        } else if (o.code == FF_PCAPNG_IF_TSOFFSET) {
            if (o.value.n != 8) return FF_FAULT_option_length;
            offset_sec = (int64_t)ff_pcapng_u64(f, o.value.p);
        }
    }
    if (is_overrun) return FF_FAULT_option_overrun;
    ff_interface_set_time(on, units_per_sec, offset_sec);
    return FF_FAULT_none;
}

/* --- blocks ----------------------------------------------------------------------- */

/* A whole block: what stands between its type and length, and its second length. */
typedef struct ff_block {
    uint32_t type;
    size_t n_bytes; /* of all of it */
    ff_span body;
} ff_block;

/* The least that a block must hold; 0 for one that is passed over. */
FF_INLINE size_t ff_block_min_bytes(uint32_t type) {
    switch (type) {
        case FF_PCAPNG_EPB:
        case FF_PCAPNG_PB: return 32;
        case FF_PCAPNG_IDB: return 20;
        case FF_PCAPNG_SPB: return 16;
        case FF_PCAPNG_ISB: return 24;
        default: return 0;
    }
}

FF_INLINE bool ff_pcapng_trailer_fits(const ff_pcapng *f, const uint8_t *p,
                                      size_t n_bytes) {
    return ff_pcapng_u32(f, p + n_bytes - 4) == n_bytes;
}

/* Go on passing over a block: all but its trailer as it comes, then the trailer. */
FF_OUTLINE enum ff_step ff_pcapng_pass(ff_pcapng *f, ff_span s, uint64_t *flags,
                                       ff_record *r) {
    uint32_t left = f->passing_bytes - f->passed_bytes;
    if (s.n == 0) return FF_STEP_NEED_BYTES;
    if (left > 4) {
        size_t n = s.n < left - 4 ? s.n : left - 4;
        f->passed_bytes += (uint32_t)n;
        return ff_record_passed(r, n);
    }
    if (!ff_has(s, 4)) return FF_STEP_NEED_BYTES;
    if (ff_pcapng_u32(f, s.p) != f->passing_bytes)
        return ff_record_fault(r, FF_FAULT_trailer_mismatch);
    f->passing_bytes = f->passed_bytes = 0;
    flags[FF_FLAG_skipped_block]++;
    return ff_record_passed(r, 4);
}

/* What is wrong with a section header, as far as it is there; 12 bytes are. */
static inline enum ff_fault ff_pcapng_check_section(ff_pcapng *f, ff_span s) {
    const uint8_t *p = s.p;
    uint32_t magic = ff_load_u32(p + 8);
    f->swapped = magic != FF_PCAPNG_BYTE_ORDER_MAGIC;
    if (f->swapped && __builtin_bswap32(magic) != FF_PCAPNG_BYTE_ORDER_MAGIC)
        return FF_FAULT_bad_byte_order_magic;
    uint32_t n_bytes = ff_pcapng_u32(f, p + 4);
    if (n_bytes < FF_PCAPNG_HEADER_BYTES || n_bytes > FF_PCAPNG_BLOCK_MAX_BYTES)
        return FF_FAULT_shb_length;
    if (n_bytes % 4 != 0) return FF_FAULT_block_not_multiple_of_4;
    if (!ff_has(s, FF_PCAPNG_HEADER_BYTES)) return FF_FAULT_none;
    f->version_major = ff_pcapng_u16(f, p + 12);
    f->version_minor = ff_pcapng_u16(f, p + 14);
    /* 1.2 is 1.0: some writers gave it a number of its own. */
    if (f->version_major != 1 || (f->version_minor != 0 && f->version_minor != 2))
        return FF_FAULT_pcapng_version;
    return FF_FAULT_none;
}

FF_OUTLINE enum ff_step ff_pcapng_section(ff_pcapng *f, ff_span s, ff_record *r) {
    if (!ff_has(s, 12)) return FF_STEP_NEED_BYTES;
    enum ff_fault fault = ff_pcapng_check_section(f, s);
    if (fault != FF_FAULT_none) return ff_record_fault(r, fault);
    size_t n_bytes = ff_pcapng_u32(f, s.p + 4);
    if (!ff_has(s, n_bytes)) return FF_STEP_NEED_BYTES;
    if (!ff_pcapng_trailer_fits(f, s.p, n_bytes))
        return ff_record_fault(r, FF_FAULT_trailer_mismatch);
    f->n_interfaces = 0;
    return ff_record_passed(r, n_bytes);
}

/* Begin a block that is no section header: PACKET where it is there as a whole. */
FF_INLINE enum ff_step ff_pcapng_block(ff_pcapng *f, ff_span s, ff_record *r,
                                       ff_block *b) {
    if (FF_UNLIKELY(!ff_has(s, 8))) return FF_STEP_NEED_BYTES;
    uint32_t n_bytes = ff_pcapng_u32(f, s.p + 4);
    b->type = ff_pcapng_u32(f, s.p);
    if (FF_UNLIKELY((b->type | n_bytes) == 0))
        return ff_record_fault(r, FF_FAULT_zero_record);
    if (FF_UNLIKELY(n_bytes < 12)) return ff_record_fault(r, FF_FAULT_block_too_short);
    if (FF_UNLIKELY(n_bytes % 4 != 0))
        return ff_record_fault(r, FF_FAULT_block_not_multiple_of_4);
    size_t min_bytes = ff_block_min_bytes(b->type);
    if (FF_UNLIKELY(min_bytes == 0)) {
        f->passing_bytes = n_bytes;
        f->passed_bytes = 8;
        return ff_record_passed(r, 8);
    }
    if (FF_UNLIKELY(n_bytes > FF_PCAPNG_BLOCK_MAX_BYTES))
        return ff_record_fault(r, FF_FAULT_block_over_max);
    if (FF_UNLIKELY(n_bytes < min_bytes))
        return ff_record_fault(r, FF_FAULT_block_too_short);
    if (FF_UNLIKELY(!ff_has(s, n_bytes))) return FF_STEP_NEED_BYTES;
    if (FF_UNLIKELY(!ff_pcapng_trailer_fits(f, s.p, n_bytes)))
        return ff_record_fault(r, FF_FAULT_trailer_mismatch);
    b->n_bytes = r->n_bytes = n_bytes;
    b->body = (ff_span){s.p + 8, n_bytes - 12};
    return FF_STEP_PACKET;
}

static inline enum ff_step ff_pcapng_describe(ff_pcapng *f, const ff_block *b,
                                              ff_record *r) {
    if (f->n_interfaces == FF_PCAPNG_INTERFACES_MAX)
        return ff_record_fault(r, FF_FAULT_too_many_interfaces);
    if (f->n_interfaces == f->interfaces_cap) return FF_STEP_NEED_ROOM;
    ff_interface *on = &f->interfaces[f->n_interfaces];
    ff_span options = b->body;
    ff_interface_init(on, ff_pcapng_u16(f, b->body.p), ff_pcapng_u32(f, b->body.p + 4));
    if (on->link == FF_LINK_null && f->swapped) on->filter_link = FF_LINK_loop;
    ff_skip(&options, 8);
    enum ff_fault fault = ff_pcapng_if_options(f, options, on);
    if (fault != FF_FAULT_none) return ff_record_fault(r, fault);
    f->n_interfaces++;
    f->n_described++;
    return FF_STEP_PASSED;
}

/* An interface's statistics are totals: the latest stand for all before. */
static inline enum ff_step ff_pcapng_statistics(ff_pcapng *f, const ff_block *b,
                                                uint64_t *flags) {
    uint32_t id = ff_pcapng_u32(f, b->body.p);
    ff_span options = b->body;
    ff_pcapng_tlv o;
    uint64_t n_ifdrop = 0, n_osdrop = 0;
    bool is_overrun, has_dropped = false, is_ignored = id >= f->n_interfaces;
    ff_skip(&options, 12);
    while (ff_pcapng_option_next(f, &options, &o, &is_overrun)) {
        if (o.code != FF_PCAPNG_ISB_IFDROP && o.code != FF_PCAPNG_ISB_OSDROP) continue;
        uint64_t n = o.value.n == 8 ? ff_pcapng_u64(f, o.value.p) : UINT64_MAX;
        if (n >= FF_PCAPNG_DROPPED_END) {
            is_ignored = true;
            continue;
        }
        *(o.code == FF_PCAPNG_ISB_IFDROP ? &n_ifdrop : &n_osdrop) = n;
        has_dropped = true;
    }
    if (is_overrun || id >= f->n_interfaces) has_dropped = false;
    if (has_dropped) {
        ff_interface *on = &f->interfaces[id];
        f->n_dropped -= on->n_dropped;
        on->n_dropped = n_ifdrop + n_osdrop;
        f->n_dropped += on->n_dropped;
        f->has_dropped = true;
    }
    flags[FF_FLAG_isb_ignored] += is_ignored || is_overrun;
    return FF_STEP_PASSED;
}

/* --- packets ---------------------------------------------------------------------- */

FF_INLINE enum ff_fault ff_pcapng_set_interface(const ff_pcapng *f, uint32_t id,
                                                ff_record *r) {
    if (FF_UNLIKELY(id >= f->n_interfaces))
        return f->n_described ? FF_FAULT_interface_id : FF_FAULT_packet_before_idb;
    r->on = &f->interfaces[id];
    return FF_FAULT_none;
}

/* The packet's bytes, which follow header_bytes of the body. */
FF_INLINE enum ff_step ff_pcapng_packet(const ff_block *b, size_t header_bytes,
                                        uint32_t caplen, ff_record *r) {
    ff_span data = b->body;
    ff_skip(&data, header_bytes);
    if (FF_UNLIKELY(caplen > FF_CAPLEN_MAX_BYTES))
        return ff_record_fault(r, FF_FAULT_caplen_over_max);
    if (FF_UNLIKELY(!ff_has(data, caplen)))
        return ff_record_fault(r, FF_FAULT_caplen_over_block);
    r->data = (ff_span){data.p, caplen};
    return FF_STEP_PACKET;
}

/* Enhanced (interface of 32 bits) or obsolete (of 16, then a drop counter). */
FF_INLINE enum ff_step ff_pcapng_enhanced(const ff_pcapng *f, const ff_block *b,
                                          ff_record *r) {
    const uint8_t *p = b->body.p;
    uint32_t id =
        FF_LIKELY(b->type == FF_PCAPNG_EPB) ? ff_pcapng_u32(f, p) : ff_pcapng_u16(f, p);
    enum ff_fault fault = ff_pcapng_set_interface(f, id, r);
    if (FF_UNLIKELY(fault != FF_FAULT_none)) return ff_record_fault(r, fault);
    ff_record_time(r, ff_pcapng_ts(f, p + 4));
    r->wirelen = ff_pcapng_u32(f, p + 16);
    return ff_pcapng_packet(b, 20, ff_pcapng_u32(f, p + 12), r);
}

static inline enum ff_step ff_pcapng_obsolete(ff_pcapng *f, const ff_block *b,
                                              ff_record *r) {
    enum ff_step step = ff_pcapng_enhanced(f, b, r);
    uint16_t n_dropped = ff_pcapng_u16(f, b->body.p + 2);
    if (step != FF_STEP_PACKET || n_dropped == UINT16_MAX) return step;
    f->n_dropped += n_dropped;
    f->has_dropped = true;
    return step;
}

/* A simple packet has neither a time nor a captured length. */
static inline enum ff_step ff_pcapng_simple(const ff_pcapng *f, const ff_block *b,
                                            ff_record *r) {
    enum ff_fault fault = ff_pcapng_set_interface(f, 0, r);
    if (fault != FF_FAULT_none) return ff_record_fault(r, fault);
    r->wirelen = ff_pcapng_u32(f, b->body.p);
    r->has_ts = false;
    r->ts_ns = 0;
    uint32_t caplen = r->wirelen;
    if (r->on->snaplen > 0 && caplen > r->on->snaplen) caplen = r->on->snaplen;
    if (caplen > b->body.n - 4) caplen = (uint32_t)(b->body.n - 4);
    return ff_pcapng_packet(b, 4, caplen, r);
}

/* Everything but a whole enhanced packet. */
FF_OUTLINE enum ff_step ff_pcapng_other(ff_pcapng *f, const ff_block *b,
                                        uint64_t *flags, ff_record *r) {
    switch (b->type) {
        case FF_PCAPNG_IDB: return ff_pcapng_describe(f, b, r);
        case FF_PCAPNG_ISB: return ff_pcapng_statistics(f, b, flags);
        case FF_PCAPNG_SPB: return ff_pcapng_simple(f, b, r);
        default: return ff_pcapng_obsolete(f, b, r);
    }
}

FF_INLINE enum ff_step ff_pcapng_next(ff_pcapng *f, ff_span s, uint64_t *flags,
                                      ff_record *r) {
    ff_block b;
    if (FF_UNLIKELY(f->passing_bytes > 0)) return ff_pcapng_pass(f, s, flags, r);
    if (FF_UNLIKELY(ff_has(s, 4) && ff_load_u32(s.p) == FF_PCAPNG_SHB))
        return ff_pcapng_section(f, s, r);
    enum ff_step step = ff_pcapng_block(f, s, r, &b);
    if (FF_UNLIKELY(step != FF_STEP_PACKET)) return step;
    if (FF_LIKELY(b.type == FF_PCAPNG_EPB)) return ff_pcapng_enhanced(f, &b, r);
    return ff_pcapng_other(f, &b, flags, r);
}

/* --- the beginning of a file ------------------------------------------------------ */

/* Read the first section header from the bytes that the file begins with, all if they
 * are few; its type has been seen. The block itself is taken by ff_pcapng_next(). */
static inline enum ff_fault ff_pcapng_open(ff_pcapng *f, ff_span s) {
    if (!ff_has(s, FF_PCAPNG_HEADER_BYTES)) return FF_FAULT_short_header;
    return ff_pcapng_check_section(f, s);
}

/* Does a file begin with a block other than a section header? */
static inline bool ff_pcapng_lacks_section(ff_span s) {
    if (!ff_has(s, 8)) return false;
    uint32_t type = ff_load_u32(s.p), n_bytes = ff_load_u32(s.p + 4);
    if (type > FF_PCAPNG_EPB) {
        type = __builtin_bswap32(type);
        n_bytes = __builtin_bswap32(n_bytes);
    }
    return type >= FF_PCAPNG_IDB && type <= FF_PCAPNG_EPB && n_bytes >= 12 &&
           n_bytes <= FF_PCAPNG_BLOCK_MAX_BYTES && n_bytes % 4 == 0;
}

#endif
