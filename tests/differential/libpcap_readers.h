/* SPDX-License-Identifier: Apache-2.0 */
/* The two readers that libpcap_diff.c compares, each giving a packet at a time. */
#ifndef LIBPCAP_READERS_H
#define LIBPCAP_READERS_H

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "fastflow/ff_capture.h"

/* Memory of exactly this size, so that a sanitizer sees one byte too many. */
static void *exact(size_t n_bytes) {
    void *p = malloc(n_bytes ? n_bytes : 1);
    if (p == NULL) abort();
    return p;
}

typedef struct span {
    uint8_t *data;
    size_t n;
} span;

/* --- ours ------------------------------------------------------------------------- */

typedef struct ours {
    const uint8_t *data;
    size_t n_bytes;     /* of the capture */
    size_t at, end;     /* the first byte not used up, and the first not shown yet */
    size_t block_bytes; /* that are shown at once */
    uint8_t *block;     /* a copy of [begin, end) */
    size_t begin;
    ff_capture capture;
    uint64_t flags[FF_N_FLAGS];
    enum ff_fault fault;
    bool is_over;
    ff_record record;
    /* What of the capture so far libpcap may take otherwise. */
    bool is_swapped, changed_order; /* by the first section; by a later one */
    bool has_long_end;              /* an end of options that is not empty */
    bool has_two_offsets;           /* if_tsoffset twice for an interface */
} ours;

static bool ours_show(ours *o) {
    if (o->end == o->n_bytes) return false;
    size_t left = o->n_bytes - o->end;
    o->end += left < o->block_bytes ? left : o->block_bytes;
    free(o->block);
    o->begin = o->at;
    o->block = exact(o->end - o->begin);
    memcpy(o->block, o->data + o->begin, o->end - o->begin);
    return true;
}

/* A link type that is refused does not keep the records behind it from being read. */
static void ours_open(ours *o, span capture, size_t block_bytes) {
    memset(o, 0, sizeof *o);
    o->data = capture.data;
    o->n_bytes = capture.n;
    o->block_bytes = block_bytes;
    size_t n = 0;
    for (;;) {
        size_t wanted = ff_capture_head_bytes((ff_span){capture.data, n});
        if (wanted > capture.n) wanted = capture.n;
        if (n >= wanted) break;
        n = wanted;
    }
    uint8_t *head = exact(n);
    if (n > 0) memcpy(head, capture.data, n);
    o->fault = ff_capture_open(&o->capture, (ff_span){head, n}, &o->at);
    free(head);
    if (o->fault == FF_FAULT_unsupported_linktype) o->fault = FF_FAULT_none;
    o->is_over = o->fault != FF_FAULT_none;
    o->is_swapped = o->capture.pcapng.swapped;
    if (o->is_over) o->at = 0;
    o->begin = o->end = o->at;
    o->block = exact(0);
}

static void ours_close(ours *o) {
    free(o->block);
    free(o->capture.pcapng.interfaces);
}

/* Look at an interface description by eyes of our own. */
static void ours_note_interface(ours *o, const uint8_t *block) {
    const ff_pcapng *f = &o->capture.pcapng;
    size_t n_bytes = ff_pcapng_u32(f, block + 4), n_offsets = 0;
    for (size_t at = 16; at + 4 <= n_bytes - 4;) {
        uint16_t code = ff_pcapng_u16(f, block + at);
        size_t length = ff_pcapng_u16(f, block + at + 2);
        if (code == 0) {
            o->has_long_end |= length > 0;
            return;
        }
        n_offsets += code == 14;
        o->has_two_offsets |= n_offsets > 1;
        at += 4 + (length + 3) / 4 * 4;
    }
}

static void ours_room(ff_pcapng *f) {
    f->interfaces_cap = f->interfaces_cap ? f->interfaces_cap * 2 : 1;
    f->interfaces = realloc(f->interfaces, f->interfaces_cap * sizeof *f->interfaces);
    if (f->interfaces == NULL) abort();
}

/* Is the whole block of an interface description at the front? */
static bool ours_is_interface(const ours *o, ff_span s) {
    const ff_pcapng *f = &o->capture.pcapng;
    if (o->capture.format != FF_FORMAT_pcapng || f->passing_bytes || !ff_has(s, 20))
        return false;
    return ff_pcapng_u32(f, s.p) == FF_PCAPNG_IDB &&
           ff_has(s, ff_pcapng_u32(f, s.p + 4)) && ff_pcapng_u32(f, s.p + 4) >= 20;
}

/* The next packet into o->record; false at the end, whose o->fault says which. */
static bool ours_next(ours *o) {
    while (!o->is_over) {
        ff_span s = {o->block + (o->at - o->begin), o->end - o->at};
        if (ours_is_interface(o, s)) ours_note_interface(o, s.p);
        enum ff_step step = ff_capture_next(&o->capture, s, o->flags, &o->record);
        o->changed_order |= o->capture.format == FF_FORMAT_pcapng &&
                            o->capture.pcapng.swapped != o->is_swapped;
        if (step <= FF_STEP_PASSED) o->at += o->record.n_bytes;
        if (step == FF_STEP_PACKET) return true;
        if (step == FF_STEP_NEED_ROOM) ours_room(&o->capture.pcapng);
        if (step == FF_STEP_NEED_BYTES && !ours_show(o)) {
            o->is_over = true;
            o->fault = ff_capture_end(&o->capture, s.n,
                                      o->at - ff_capture_passed_bytes(&o->capture));
        }
        if (step == FF_STEP_FAULTED) {
            o->is_over = true;
            o->fault = o->record.fault;
        }
    }
    return false;
}

/* --- libpcap's -------------------------------------------------------------------- */

typedef struct theirs {
    pcap_t *pcap;
    bool is_over;
    char message[PCAP_ERRBUF_SIZE]; /* empty at a clean end */
    struct pcap_pkthdr *header;
    const u_char *bytes;
} theirs;

static void theirs_open(theirs *t, span capture) {
    memset(t, 0, sizeof *t);
    /* An empty file is none that fmemopen() makes. */
    FILE *file =
        capture.n ? fmemopen(capture.data, capture.n, "rb") : fopen("/dev/null", "rb");
    if (file == NULL) abort();
    t->pcap = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO,
                                                       t->message);
    t->is_over = t->pcap == NULL;
    if (t->is_over) fclose(file);
    if (!t->is_over) t->message[0] = 0;
}

static bool theirs_next(theirs *t) {
    if (t->is_over) return false;
    int result = pcap_next_ex(t->pcap, &t->header, &t->bytes);
    if (result == 1) return true;
    t->is_over = true;
    if (result != PCAP_ERROR_BREAK)
        snprintf(t->message, sizeof t->message, "%s", pcap_geterr(t->pcap));
    return false;
}

static void theirs_close(theirs *t) {
    if (t->pcap != NULL) pcap_close(t->pcap);
}

#endif
