/* SPDX-License-Identifier: Apache-2.0 */
/* Where a record begins, somewhere in the middle of a classic pcap: a guess.
 *
 * Nothing marks a record's beginning. But a record header is easily told from most
 * other bytes, its length leads to the next one, and several in a row are hardly a
 * coincidence. They may be a lie all the same (packets carry captures, too): whoever
 * begins at a guess must see later that the records before it end exactly there. */
#ifndef FASTFLOW_FF_SYNC_H
#define FASTFLOW_FF_SYNC_H

#include "fastflow/ff_pcap.h"

/* So many headers in a row, or as many as there are before the bytes end. Each offset
 * costs at most so much: the time is linear, whatever the bytes are. */
#define FF_SYNC_CHAIN 8

/* Seconds between a record and the capture's first, either way: a year. */
#define FF_SYNC_NEAR_SEC 31622400u

/* The seconds field of the record header at p, of 4 bytes at least. */
static inline uint32_t ff_sync_sec(const ff_pcap *f, const uint8_t *p) {
    return ff_pcap_u32(f, p);
}

/* How long the record at p is, of whose header 16 bytes are there, if it is a plausible
 * one; else 0. Oddities that the scanner accepts (a wire length below the captured one,
 * sub-seconds of a second or more) are not: a guess may miss, it should not mistake. */
FF_INLINE size_t ff_sync_record_bytes(const ff_pcap *f, uint32_t near_sec,
                                      const uint8_t *p) {
    uint32_t apart_sec = ff_sync_sec(f, p) - near_sec;
    if (apart_sec + FF_SYNC_NEAR_SEC > 2 * FF_SYNC_NEAR_SEC) return 0;
    if (ff_pcap_u32(f, p + 4) >= f->frac_per_sec) return 0;
    uint32_t a = ff_pcap_u32(f, p + 8), b = ff_pcap_u32(f, p + 12);
    bool is_swapped = f->lengths_2_2 || (f->lengths_2_3 && a > b);
    uint32_t caplen = is_swapped ? b : a, wirelen = is_swapped ? a : b;
    if (caplen > FF_CAPLEN_MAX_BYTES || wirelen > FF_CAPLEN_MAX_BYTES) return 0;
    if (caplen > wirelen) return 0;
    if (caplen > f->on.snaplen && f->on.snaplen > 0) return 0;
    return f->record_header_bytes + caplen;
}

/* Does s begin with plausible records, FF_SYNC_CHAIN of them or up to its end? */
static inline bool ff_sync_is_chain(const ff_pcap *f, uint32_t near_sec, ff_span s) {
    for (int i = 0; i < FF_SYNC_CHAIN; i++) {
        if (!ff_has(s, 16)) return i > 0;
        size_t n_bytes = ff_sync_record_bytes(f, near_sec, s.p);
        if (n_bytes == 0) return false;
        if (!ff_has(s, n_bytes)) return true;
        ff_skip(&s, n_bytes);
    }
    return true;
}

/* The first offset in s at which a chain of plausible records begins; s.n: none does.
 * near_sec are the seconds of the capture's first record. */
static inline size_t ff_sync_find(const ff_pcap *f, uint32_t near_sec, ff_span s) {
    size_t n = s.n;
    for (; ff_has(s, 16); ff_skip(&s, 1))
        if (ff_sync_is_chain(f, near_sec, s)) return n - s.n;
    return n;
}

#endif
