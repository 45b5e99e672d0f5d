/* SPDX-License-Identifier: Apache-2.0 */
/* Classic pcap: file header and records.
 * Source: draft-ietf-opsawg-pcap, sections 4 and 5; the swapped lengths of versions
 * 2.2 and 2.3 and the 24-byte records of the "modified" magic are libpcap's. */
#ifndef FASTFLOW_FF_PCAP_H
#define FASTFLOW_FF_PCAP_H

#include "fastflow/ff_record.h"

#define FF_PCAP_MAGIC_USEC 0xa1b2c3d4u
#define FF_PCAP_MAGIC_NSEC 0xa1b23c4du
/* A patched libpcap of the 1990s wrote 8 more bytes per record. */
#define FF_PCAP_MAGIC_MODIFIED 0xa1b2cd34u
#define FF_PCAP_HEADER_BYTES 24

typedef struct ff_pcap {
    bool swapped;     /* the file's byte order is not this machine's */
    bool lengths_2_2; /* wire length stands before the captured length */
    bool lengths_2_3; /* the same, but only where the two are inverted */
    uint16_t version_major, version_minor;
    uint32_t record_header_bytes; /* 16, or 24 in the modified variant */
    uint32_t frac_per_sec;        /* sub-second units: 1,000,000 or 1,000,000,000 */
    uint32_t ns_per_frac;
    ff_interface on;
} ff_pcap;

static inline bool ff_pcap_is_magic(uint32_t magic) {
    return magic == FF_PCAP_MAGIC_USEC || magic == FF_PCAP_MAGIC_NSEC ||
           magic == FF_PCAP_MAGIC_MODIFIED;
}

static inline bool ff_pcap_has_magic(const uint8_t *p) {
    uint32_t magic = ff_load_u32(p);
    return ff_pcap_is_magic(magic) || ff_pcap_is_magic(__builtin_bswap32(magic));
}

FF_INLINE uint16_t ff_pcap_u16(const ff_pcap *f, const uint8_t *p) {
    return f->swapped ? __builtin_bswap16(ff_load_u16(p)) : ff_load_u16(p);
}

FF_INLINE uint32_t ff_pcap_u32(const ff_pcap *f, const uint8_t *p) {
    return f->swapped ? __builtin_bswap32(ff_load_u32(p)) : ff_load_u32(p);
}

/* The link-type word: LINKTYPE_ in bits 0-15, reserved 16-25, "FCS length present" 26,
 * FCS length in 16-bit units 28-31. */
static inline enum ff_fault ff_pcap_parse_linktype(ff_pcap *f, uint32_t word,
                                                   uint32_t snaplen) {
    if (word & 0x03ff0000u) return FF_FAULT_reserved_linktype_bits;
    ff_interface_init(&f->on, (uint16_t)word, snaplen);
    f->on.fcs_bytes = (word & 0x04000000u) ? (uint8_t)((word >> 28) * 2u) : 0;
    /* BSD's loopback header has the capturing host's byte order, LOOP's the network's:
     * filters know the second and this machine's. */
    if (f->on.link == FF_LINK_null && f->swapped) f->on.filter_link = FF_LINK_loop;
    if (f->on.link == FF_LINK_UNSUPPORTED) return FF_FAULT_unsupported_linktype;
    return FF_FAULT_none;
}

/* Read the file header from the bytes that the file begins with, all if they are few;
 * its magic has been seen. */
static inline enum ff_fault ff_pcap_parse(ff_pcap *f, ff_span s) {
    memset(f, 0, sizeof *f);
    uint32_t magic = ff_load_u32(s.p);
    f->swapped = !ff_pcap_is_magic(magic);
    if (f->swapped) magic = __builtin_bswap32(magic);
    if (!ff_has(s, FF_PCAP_HEADER_BYTES)) return FF_FAULT_short_header;
    f->frac_per_sec = magic == FF_PCAP_MAGIC_NSEC ? 1000000000u : 1000000u;
    f->ns_per_frac = FF_NS_PER_SEC / f->frac_per_sec;
    f->record_header_bytes = magic == FF_PCAP_MAGIC_MODIFIED ? 24 : 16;
    f->version_major = ff_pcap_u16(f, s.p + 4);
    f->version_minor = ff_pcap_u16(f, s.p + 6);
    if (f->version_major != 2 || f->version_minor < 2 || f->version_minor > 4)
        return FF_FAULT_pcap_version;
    f->lengths_2_2 = f->version_minor == 2;
    f->lengths_2_3 = f->version_minor == 3;
    return ff_pcap_parse_linktype(f, ff_pcap_u32(f, s.p + 20),
                                  ff_pcap_u32(f, s.p + 16));
}

/* Is this the beginning of another pcap file, joined to this one? */
static inline bool ff_pcap_is_file_header(const uint8_t *p) {
    uint16_t major = ff_load_u16(p + 4);
    if (!ff_pcap_is_magic(ff_load_u32(p))) major = __builtin_bswap16(major);
    return ff_pcap_has_magic(p) && major == 2;
}

FF_INLINE enum ff_step ff_pcap_next(const ff_pcap *f, ff_span s, uint64_t *flags,
                                    ff_record *r) {
    size_t header_bytes = f->record_header_bytes;
    if (FF_UNLIKELY(!ff_has(s, header_bytes))) return FF_STEP_NEED_BYTES;
    uint32_t sec = ff_pcap_u32(f, s.p), frac = ff_pcap_u32(f, s.p + 4);
    uint32_t caplen = ff_pcap_u32(f, s.p + 8), wirelen = ff_pcap_u32(f, s.p + 12);
    if (FF_UNLIKELY(f->lengths_2_2 || (f->lengths_2_3 && caplen > wirelen))) {
        uint32_t first = caplen;
        caplen = wirelen;
        wirelen = first;
    }
    /* Zeros are what a power loss and a preallocated file leave: they would read as
     * endless empty packets of 1970. */
    if (FF_UNLIKELY((sec | frac | caplen | wirelen) == 0))
        return ff_record_fault(r, FF_FAULT_zero_record);
    if (FF_UNLIKELY((sec >> 16) == 0xa1b2u || (sec & 0xffffu) == 0xb2a1u)) {
        if (ff_pcap_is_file_header(s.p)) return ff_record_fault(r, FF_FAULT_bad_record);
    }
    if (FF_UNLIKELY(caplen > FF_CAPLEN_MAX_BYTES))
        return ff_record_fault(r, FF_FAULT_caplen_over_max);
    if (FF_UNLIKELY(s.n - header_bytes < caplen)) return FF_STEP_NEED_BYTES;
    if (FF_UNLIKELY(frac >= f->frac_per_sec)) flags[FF_FLAG_subsec_out_of_range]++;
    r->on = &f->on;
    r->data = (ff_span){s.p + header_bytes, caplen};
    r->wirelen = wirelen;
    r->n_bytes = header_bytes + caplen;
    r->has_ts = true;
    /* 2^32 seconds and as many sub-seconds stay far below 2^63 ns. */
    r->ts_ns = (int64_t)sec * FF_NS_PER_SEC + (int64_t)frac * f->ns_per_frac;
    return FF_STEP_PACKET;
}

#endif
