/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a capture as it lies on disk, cut into blocks, with the filter, the tunnels
 * and the cuts that follow from a hash of its bytes. */
#ifndef FUZZ_CAPTURE_H
#define FUZZ_CAPTURE_H

#include "fuzz_common.h"
#include "tool_rules.h"

#define MIN_TIME_NS (631152000 * (int64_t)1000000000)
#define END_TIME_NS (4102444800 * (int64_t)1000000000)

/* --- what is asked of the scan ---------------------------------------------------- */

#define RETURN(n) {FF_BPF_RET_K, 0, 0, n}

/* Programs as libpcap makes them: nothing, everything, `tcp` behind Ethernet, `greater
 * 60`, and the IPv4 header's length on its way to a port. */
static const ff_bpf_insn nothing[] = {RETURN(0)};
static const ff_bpf_insn everything[] = {RETURN(262144)};
static const ff_bpf_insn tcp[] = {
    {FF_BPF_LD_B_ABS, 0, 0, 23}, {FF_BPF_JEQ_K, 0, 1, 6}, RETURN(1), RETURN(0)};
static const ff_bpf_insn longer[] = {
    {FF_BPF_LD_LEN, 0, 0, 0}, {FF_BPF_JGE_K, 0, 1, 60}, RETURN(1), RETURN(0)};
static const ff_bpf_insn port[] = {{FF_BPF_LDX_B_MSH, 0, 0, 14},
                                   {FF_BPF_LD_H_IND, 0, 0, 16},
                                   {FF_BPF_JGT_K, 0, 1, 1023},
                                   RETURN(1),
                                   RETURN(0)};

#define PROGRAM(insns) {insns, FF_COUNT_OF(insns)}
static const ff_bpf programs[] = {{NULL, 0},    PROGRAM(nothing), PROGRAM(everything),
                                  PROGRAM(tcp), PROGRAM(longer),  PROGRAM(port)};

static struct {
    uint32_t decap;
    bool has_filter;
    ff_bpf filters[FF_N_LINKS];
} settings;

/* One in three with a filter, one in two with tunnels opened. */
static void choose_settings(void) {
    settings.has_filter = below(3) == 0;
    for (int link = 0; link < FF_N_LINKS; link++)
        settings.filters[link] = programs[below(FF_COUNT_OF(programs))];
    settings.decap = (uint32_t)rng() & (((uint32_t)1 << FF_N_TUNNELS) - 1);
    if (below(2) == 0) settings.decap = 0;
    is_hash_weak = below(4) == 0;
}

/* Many small blocks cost time by the square: only for short inputs. */
static size_t choose_block_bytes(size_t n) {
    return n / 32 + 1 + below(n < 1024 ? 64 : n);
}

/* --- reading a capture, cut into blocks ------------------------------------------- */

typedef struct reader {
    const uint8_t *data;
    size_t n_bytes;     /* of the capture */
    size_t at;          /* the first byte not used up */
    size_t end;         /* the first byte not shown yet */
    size_t block_bytes; /* most new bytes of a block */
    uint8_t *block;     /* a copy of [at, end), in memory of its own */
} reader;

static void reader_begin(reader *r, const uint8_t *data, size_t n, size_t block_bytes) {
    *r = (reader){.data = data, .n_bytes = n, .block_bytes = block_bytes};
}

/* Show what was left over and some new bytes; false at the end. */
static bool reader_next(reader *r) {
    if (r->end == r->n_bytes) return false;
    size_t n_new = 1 + below(r->block_bytes);
    if (r->block_bytes >= r->n_bytes) n_new = r->n_bytes;
    if (n_new > r->n_bytes - r->end) n_new = r->n_bytes - r->end;
    r->end += n_new;
    free(r->block);
    r->block = exact(r->end - r->at);
    memcpy(r->block, r->data + r->at, r->end - r->at);
    return true;
}

/* Room for one interface more, and not a byte beyond; where there are many, which would
 * take time by the square, for twice as many. */
static void interfaces_room(ff_scan *scan) {
    ff_pcapng *f = &scan->capture.pcapng;
    if (f->n_interfaces < f->interfaces_cap) return;
    f->interfaces_cap =
        f->n_interfaces < 64 ? f->n_interfaces + 1 : f->n_interfaces * 2;
    f->interfaces = regrown(f->interfaces, f->interfaces_cap * sizeof *f->interfaces);
}

static void scan_begin(ff_scan *scan, ff_lexicon *lexicon, reader *r) {
    free(scan->capture.pcapng.interfaces);
    memset(scan, 0, sizeof *scan);
    scan->lexicon = lexicon;
    scan->tools = &tool_rules;
    scan->decap = settings.decap;
    scan->has_filter = settings.has_filter;
    memcpy(scan->filters, settings.filters, sizeof scan->filters);
    scan->ts_min_ns = MIN_TIME_NS;
    scan->ts_end_ns = END_TIME_NS;
    size_t n = 0;
    uint8_t *head = exact(0);
    for (;;) {
        size_t wanted = ff_capture_head_bytes((ff_span){head, n});
        if (wanted > r->n_bytes) wanted = r->n_bytes;
        if (n >= wanted) break;
        free(head);
        head = exact(n = wanted);
        memcpy(head, r->data, n);
    }
    if (ff_scan_open(scan, head, n) == FF_FAULT_none)
        r->at = r->end = scan->consumed_bytes;
    free(head);
}

static void check_scan(const ff_scan *scan, const reader *r) {
    uint64_t n_reasons = 0;
    for (size_t i = 0; i < FF_N_REASONS; i++) n_reasons += scan->reasons[i];
    CHECK(n_reasons == scan->n_records);
    CHECK(scan->reasons[FF_REASON_STATES + FF_STATE_ok] == 0);
    CHECK(ff_scan_offset(scan) <= scan->consumed_bytes);
    CHECK(scan->consumed_bytes <= r->n_bytes);
    if (scan->is_open) CHECK(scan->consumed_bytes == r->at);
    if (scan->fault == FF_FAULT_none) CHECK(scan->consumed_bytes == r->n_bytes);
    CHECK((scan->first_ts_ns > scan->last_ts_ns) ==
          (scan->reasons[FF_REASON_bad_ts] == scan->n_records));
}

/* What a scan says of a capture must not depend on how it was read. */
static void check_same_scan(const ff_scan *a, const ff_scan *b) {
    CHECK(a->fault == b->fault);
    CHECK(ff_scan_offset(a) == ff_scan_offset(b));
    CHECK(a->links == b->links);
    CHECK(a->unsupported_linktype == b->unsupported_linktype);
    CHECK(a->n_records == b->n_records);
    CHECK(a->first_ts_ns == b->first_ts_ns && a->last_ts_ns == b->last_ts_ns);
    CHECK(memcmp(a->reasons, b->reasons, sizeof a->reasons) == 0);
    CHECK(memcmp(a->flags, b->flags, sizeof a->flags) == 0);
    uint64_t n_dropped = 0, n_dropped_too = 0;
    CHECK(ff_capture_dropped(&a->capture, &n_dropped) ==
          ff_capture_dropped(&b->capture, &n_dropped_too));
    CHECK(n_dropped == n_dropped_too);
}

#endif
