/* SPDX-License-Identifier: Apache-2.0 */
/* Classic pcap: file header and record header.
 * Source: draft-ietf-opsawg-pcap, sections 4 and 5; the swapped lengths of versions
 * 2.2 and 2.3 and the 24-byte records of the "modified" magic are libpcap's. */
#ifndef FASTFLOW_FF_PCAP_H
#define FASTFLOW_FF_PCAP_H

#include "fastflow/ff_span.h"
#include "fastflow/ff_status.h"

#define FF_PCAP_MAGIC_USEC 0xa1b2c3d4u
#define FF_PCAP_MAGIC_NSEC 0xa1b23c4du
/* A patched libpcap of the 1990s wrote 8 more bytes per record. */
#define FF_PCAP_MAGIC_MODIFIED 0xa1b2cd34u
#define FF_PCAP_HEADER_BYTES 24
#define FF_PCAP_CAPLEN_MAX_BYTES 262144u
#define FF_PCAP_RECORD_MAX_BYTES (FF_PCAP_CAPLEN_MAX_BYTES + 24u)

typedef struct ff_pcap {
    bool swapped;     /* the file's byte order is not this machine's */
    bool lengths_2_2; /* wire length stands before the captured length */
    bool lengths_2_3; /* the same, but only where the two are inverted */
    uint16_t version_major, version_minor;
    uint16_t linktype;
    uint16_t fcs_bytes; /* frame check sequence at the end of each frame */
    uint32_t snaplen;
    uint32_t record_header_bytes; /* 16, or 24 in the modified variant */
    uint32_t frac_per_sec;        /* sub-second units: 1,000,000 or 1,000,000,000 */
    uint32_t ns_per_frac;
} ff_pcap;

typedef struct ff_record {
    uint32_t sec, frac, caplen, wirelen;
} ff_record;

static inline bool ff_pcap_is_magic(uint32_t magic) {
    return magic == FF_PCAP_MAGIC_USEC || magic == FF_PCAP_MAGIC_NSEC ||
           magic == FF_PCAP_MAGIC_MODIFIED;
}

FF_INLINE uint16_t ff_pcap_u16(const ff_pcap *f, const uint8_t *p) {
    return f->swapped ? __builtin_bswap16(ff_load_u16(p)) : ff_load_u16(p);
}

FF_INLINE uint32_t ff_pcap_u32(const ff_pcap *f, const uint8_t *p) {
    return f->swapped ? __builtin_bswap32(ff_load_u32(p)) : ff_load_u32(p);
}

/* The link-type word: LINKTYPE_ in bits 0-15, reserved 16-25, "FCS length present" 26,
 * FCS length in 16-bit units 28-31. */
static inline enum ff_fault ff_pcap_parse_linktype(ff_pcap *f, uint32_t word) {
    if (word & 0x03ff0000u) return FF_FAULT_reserved_linktype_bits;
    f->linktype = (uint16_t)word;
    f->fcs_bytes = (word & 0x04000000u) ? (uint16_t)((word >> 28) * 2u) : 0;
    return FF_FAULT_none;
}

/* Read the file header from all bytes that the file's beginning offers. */
static inline enum ff_fault ff_pcap_parse(ff_pcap *f, ff_span s) {
    if (s.n == 0) return FF_FAULT_empty_file;
    if (!ff_has(s, 4)) return FF_FAULT_short_magic;
    memset(f, 0, sizeof *f);
    uint32_t magic = ff_load_u32(s.p);
    if (!ff_pcap_is_magic(magic)) {
        magic = __builtin_bswap32(magic);
        f->swapped = true;
    }
    if (!ff_pcap_is_magic(magic)) return FF_FAULT_unknown_magic;
    if (!ff_has(s, FF_PCAP_HEADER_BYTES)) return FF_FAULT_short_header;
    f->frac_per_sec = magic == FF_PCAP_MAGIC_NSEC ? 1000000000u : 1000000u;
    f->ns_per_frac = 1000000000u / f->frac_per_sec;
    f->record_header_bytes = magic == FF_PCAP_MAGIC_MODIFIED ? 24 : 16;
    f->version_major = ff_pcap_u16(f, s.p + 4);
    f->version_minor = ff_pcap_u16(f, s.p + 6);
    if (f->version_major != 2 || f->version_minor < 2 || f->version_minor > 4)
        return FF_FAULT_pcap_version;
    f->lengths_2_2 = f->version_minor == 2;
    f->lengths_2_3 = f->version_minor == 3;
    f->snaplen = ff_pcap_u32(f, s.p + 16);
    return ff_pcap_parse_linktype(f, ff_pcap_u32(f, s.p + 20));
}

/* Is this the beginning of another pcap file, joined to this one? */
static inline bool ff_pcap_is_file_header(const uint8_t *p) {
    uint32_t magic = ff_load_u32(p);
    uint16_t major = ff_load_u16(p + 4);
    if (!ff_pcap_is_magic(magic)) {
        magic = __builtin_bswap32(magic);
        major = __builtin_bswap16(major);
    }
    return ff_pcap_is_magic(magic) && major == 2;
}

/* Read a record header; the caller has proved record_header_bytes. */
FF_INLINE enum ff_fault ff_pcap_record_parse(const ff_pcap *f, const uint8_t *p,
                                             ff_record *r) {
    r->sec = ff_pcap_u32(f, p);
    r->frac = ff_pcap_u32(f, p + 4);
    r->caplen = ff_pcap_u32(f, p + 8);
    r->wirelen = ff_pcap_u32(f, p + 12);
    if (FF_UNLIKELY(f->lengths_2_2 || (f->lengths_2_3 && r->caplen > r->wirelen))) {
        uint32_t wirelen = r->caplen;
        r->caplen = r->wirelen;
        r->wirelen = wirelen;
    }
    /* Zeros are what a power loss and a preallocated file leave: they would read as
     * endless empty packets of 1970. */
    if (FF_UNLIKELY((r->sec | r->frac | r->caplen | r->wirelen) == 0))
        return FF_FAULT_zero_record;
    if (FF_UNLIKELY((r->sec >> 16) == 0xa1b2u || (r->sec & 0xffffu) == 0xb2a1u)) {
        if (ff_pcap_is_file_header(p)) return FF_FAULT_bad_record;
    }
    if (FF_UNLIKELY(r->caplen > FF_PCAP_CAPLEN_MAX_BYTES))
        return FF_FAULT_caplen_over_max;
    return FF_FAULT_none;
}

#endif
