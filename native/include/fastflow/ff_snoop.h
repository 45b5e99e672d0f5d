/* SPDX-License-Identifier: Apache-2.0 */
/* Snoop, version 2. Source: RFC 1761. Everything is big-endian. */
#ifndef FASTFLOW_FF_SNOOP_H
#define FASTFLOW_FF_SNOOP_H

#include "fastflow/ff_record.h"

#define FF_SNOOP_HEADER_BYTES 16
#define FF_SNOOP_RECORD_BYTES 24
/* Records are padded to four bytes; more than this is no padding. */
#define FF_SNOOP_PADDING_MAX_BYTES 65536u

enum ff_snoop_datalink { FF_SNOOP_IEEE_802_3 = 0, FF_SNOOP_ETHERNET = 4 };

typedef struct ff_snoop {
    uint32_t n_dropped; /* the greatest that a record has told */
    bool has_dropped;   /* there was a record */
    ff_interface on;
} ff_snoop;

/* Its first bytes, all of them if they are few, are those of the magic. */
static inline bool ff_snoop_may_be(ff_span s) {
    return memcmp(s.p, "snoop\0\0\0", s.n < 8 ? s.n : 8) == 0;
}

static inline bool ff_snoop_has_magic(ff_span s) {
    return ff_has(s, 8) && ff_snoop_may_be(s);
}

/* Read the file header from the bytes that the file begins with, all if they are few;
 * its magic has been seen. */
static inline enum ff_fault ff_snoop_parse(ff_snoop *f, ff_span s) {
    memset(f, 0, sizeof *f);
    if (!ff_has(s, FF_SNOOP_HEADER_BYTES)) return FF_FAULT_short_header;
    if (ff_load_be32(s.p + 8) != 2) return FF_FAULT_snoop_version;
    uint32_t datalink = ff_load_be32(s.p + 12);
    if (datalink != FF_SNOOP_IEEE_802_3 && datalink != FF_SNOOP_ETHERNET)
        return FF_FAULT_unsupported_linktype;
    ff_interface_init(&f->on, FF_LINKTYPE_ethernet, 0);
    return FF_FAULT_none;
}

FF_OUTLINE enum ff_step ff_snoop_next(ff_snoop *f, ff_span s, uint64_t *flags,
                                      ff_record *r) {
    static const uint8_t zeros[FF_SNOOP_RECORD_BYTES] = {0};
    if (!ff_has(s, FF_SNOOP_RECORD_BYTES)) return FF_STEP_NEED_BYTES;
    if (memcmp(s.p, zeros, sizeof zeros) == 0)
        return ff_record_fault(r, FF_FAULT_zero_record);
    uint32_t caplen = ff_load_be32(s.p + 4), record_bytes = ff_load_be32(s.p + 8);
    uint32_t n_dropped = ff_load_be32(s.p + 12), usec = ff_load_be32(s.p + 20);
    if (caplen > FF_CAPLEN_MAX_BYTES)
        return ff_record_fault(r, FF_FAULT_caplen_over_max);
    if (record_bytes < FF_SNOOP_RECORD_BYTES + caplen)
        return ff_record_fault(r, FF_FAULT_record_too_short);
    if (record_bytes - FF_SNOOP_RECORD_BYTES - caplen > FF_SNOOP_PADDING_MAX_BYTES)
        return ff_record_fault(r, FF_FAULT_bad_record);
    if (!ff_has(s, record_bytes)) return FF_STEP_NEED_BYTES;
    if (usec >= 1000000) flags[FF_FLAG_subsec_out_of_range]++;
    if (n_dropped > f->n_dropped) f->n_dropped = n_dropped;
    f->has_dropped = true;
    r->on = &f->on;
    r->data = (ff_span){s.p + FF_SNOOP_RECORD_BYTES, caplen};
    r->wirelen = ff_load_be32(s.p);
    r->n_bytes = record_bytes;
    r->has_ts = true;
    r->ts_ns = (int64_t)ff_load_be32(s.p + 16) * FF_NS_PER_SEC + (int64_t)usec * 1000;
    return FF_STEP_PACKET;
}

#endif
