/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: records of a capture, a chunk at a time, into views; from there into the
 * caller's columns (ff_columns.h) or cells (ff_tally.h). Usual packets (ff_usual.h) go
 * into columns without a view in between.
 *
 * A block ends anywhere. What of it was not consumed is the beginning of a record and
 * must stand at the beginning of the next block. Views point into the block and are
 * used up before the call returns. */
#ifndef FASTFLOW_FF_SCAN_H
#define FASTFLOW_FF_SCAN_H

#include "fastflow/ff_bpf.h"
#include "fastflow/ff_capture.h"
#include "fastflow/ff_columns.h"

/* Why a call came back. */
enum ff_outcome {
    FF_NEED_BYTES, /* every whole record of the block was taken */
    FF_FULL,       /* the columns are full */
    FF_NEED_ROOM,  /* a dictionary, the interfaces or the cells must grow first */
    FF_AT_LIMIT,   /* the next record begins at or behind ff_scan.limit_bytes */
    FF_FAULTED     /* the capture is damaged here: see ff_scan.fault */
};

typedef struct ff_scan {
    ff_capture capture;
    bool is_open;
    enum ff_fault fault;
    uint64_t consumed_bytes; /* from the capture's beginning */
    uint64_t limit_bytes;    /* records that begin here or behind are left alone */
    uint64_t n_records;
    uint64_t reasons[FF_N_REASONS]; /* records by enum ff_reason; they add up to n */
    uint64_t flags[FF_N_FLAGS];
    uint32_t links;                  /* bit set of the enum ff_link met */
    uint16_t unsupported_linktype;   /* the first one met */
    int64_t ts_min_ns, ts_end_ns;    /* plausible times: min <= ts < end */
    int64_t first_ts_ns, last_ts_ns; /* earliest and latest plausible time met */
    uint32_t needs;                  /* bits of enum ff_need */
    uint32_t decap;                  /* bits of enum ff_tunnel */
    bool has_filter;
    ff_bpf filters[FF_N_LINKS]; /* n = 0 where the filter has no meaning for a link */
    ff_lexicon *lexicon;
    const ff_tools *tools;
    size_t stretch; /* see ff_scan_stretch() */
    size_t n_views;
    ff_view views[FF_CHUNK_ROWS];
} ff_scan;

/* Begin with the first bytes of the capture: ff_capture_head_bytes() of them, or all.
 */
static inline enum ff_fault ff_scan_open(ff_scan *scan, const uint8_t *p, size_t n) {
    size_t header_bytes = 0;
    ff_capture *c = &scan->capture;
    scan->first_ts_ns = INT64_MAX;
    scan->last_ts_ns = INT64_MIN;
    scan->fault = ff_capture_open(c, (ff_span){p, n}, &header_bytes);
    if (scan->fault != FF_FAULT_none) return scan->fault;
    if (c->format == FF_FORMAT_pcap && scan->has_filter &&
        scan->filters[c->pcap.on.filter_link].n == 0)
        return scan->fault = FF_FAULT_filter_linktype;
    if (c->format == FF_FORMAT_pcap) scan->links = (uint32_t)1 << c->pcap.on.link;
    if (c->format == FF_FORMAT_snoop) scan->links = (uint32_t)1 << c->snoop.on.link;
    scan->consumed_bytes = header_bytes;
    scan->limit_bytes = UINT64_MAX;
    scan->is_open = true;
    return FF_FAULT_none;
}

/* Where the record or block that comes next begins, or the one that is at fault. */
static inline uint64_t ff_scan_offset(const ff_scan *scan) {
    return scan->consumed_bytes - ff_capture_passed_bytes(&scan->capture);
}

/* The capture ends with n bytes that make no whole record. */
static inline enum ff_fault ff_scan_end(ff_scan *scan, size_t n) {
    if (scan->fault != FF_FAULT_none || !scan->is_open) return scan->fault;
    scan->fault = ff_capture_end(&scan->capture, n, ff_scan_offset(scan));
    scan->flags[FF_FLAG_no_interface] = scan->fault == FF_FAULT_none &&
                                        scan->capture.format == FF_FORMAT_pcapng &&
                                        scan->capture.pcapng.n_described == 0;
    return scan->fault;
}

/* A frame without its frame check sequence. */
FF_INLINE ff_span ff_record_frame(const ff_record *r, uint32_t wirelen) {
    ff_span frame = r->data;
    if (FF_UNLIKELY(r->on->fcs_bytes > 0) && wirelen >= r->on->fcs_bytes)
        ff_clip(&frame, wirelen - r->on->fcs_bytes);
    return frame;
}

FF_INLINE void ff_record_view(ff_scan *scan, const ff_record *r, ff_view *v) {
    uint32_t caplen = (uint32_t)r->data.n;
    ff_view_clear(v);
    v->caplen_bytes = caplen;
    v->wirelen_bytes = r->wirelen;
    v->linktype = r->on->linktype;
    v->ts_ns = r->ts_ns;
    if (FF_LIKELY(r->has_ts)) v->layers |= FF_BIT(TS);
    if (FF_UNLIKELY(caplen > r->on->snaplen) && r->on->snaplen > 0)
        scan->flags[FF_FLAG_caplen_gt_snaplen]++;
    if (FF_UNLIKELY(r->wirelen < caplen)) {
        scan->flags[r->wirelen ? FF_FLAG_len_lt_caplen : FF_FLAG_len_zero]++;
        if (r->wirelen == 0) v->wirelen_bytes = caplen;
    }
}

/* Is the time plausible? A missing one is zero, which never is. */
FF_INLINE bool ff_scan_time(ff_scan *scan, const ff_view *v) {
    if (FF_UNLIKELY(v->ts_ns < scan->ts_min_ns || v->ts_ns >= scan->ts_end_ns ||
                    !(v->layers & FF_BIT(TS))))
        return false;
    if (v->ts_ns < scan->first_ts_ns) scan->first_ts_ns = v->ts_ns;
    if (v->ts_ns > scan->last_ts_ns) scan->last_ts_ns = v->ts_ns;
    return true;
}

/* A record of a link type that is not decoded; classic pcap has none. */
FF_OUTLINE void ff_scan_unsupported(ff_scan *scan, ff_view *v) {
    uint32_t bit = (uint32_t)1 << FF_LINK_UNSUPPORTED;
    if (!(scan->links & bit)) scan->unsupported_linktype = v->linktype;
    scan->links |= bit;
    ff_view_fault(v, FF_STATE_unsupported_linktype);
}

/* Does the filter let a record through? What it has no meaning for is not matched. */
FF_OUTLINE bool ff_scan_matches(ff_scan *scan, const ff_interface *on, ff_span data,
                                uint32_t wirelen) {
    const ff_bpf *filter = &scan->filters[on->filter_link];
    if (on->link == FF_LINK_UNSUPPORTED) return false;
    if (filter->n > 0) return ff_bpf_run(filter, data, wirelen) != 0;
    scan->flags[FF_FLAG_filter_unsuited]++;
    return false;
}

/* Why the record is not counted: the first that applies, in this order. */
FF_INLINE uint8_t ff_scan_reason(const ff_view *v, bool is_in_time, bool is_wanted) {
    if (FF_UNLIKELY(!is_in_time)) return FF_REASON_bad_ts;
    if (FF_LIKELY(v->layers & FF_BIT(IP))) return FF_REASON_counted;
    if (FF_UNLIKELY(!is_wanted && v->state == FF_STATE_ok)) return FF_REASON_filtered;
    return (uint8_t)(FF_REASON_STATES + v->state);
}

/* What a loop over records knows of them all beforehand. */
enum ff_variety {
    FF_ANY_RECORDS,
    FF_PCAP_RECORDS,
    FF_PLAIN_RECORDS /* pcap of this machine's byte order, Ethernet, nothing special */
};

/* Make a view of a record of a block that ends at `end`; false if a filter wants none.
 */
FF_INLINE bool ff_scan_record(ff_scan *scan, const ff_record *r, const uint8_t *end,
                              ff_view *v, enum ff_variety variety) {
    uint8_t link = r->on->link;
    bool is_wanted = true, is_plain = variety == FF_PLAIN_RECORDS;
    ff_record_view(scan, r, v);
    bool is_in_time = ff_scan_time(scan, v);
    if (FF_UNLIKELY(!is_plain && scan->has_filter))
        is_wanted = ff_scan_matches(scan, r->on, r->data, v->wirelen_bytes);
    if (FF_UNLIKELY(variety == FF_ANY_RECORDS && link == FF_LINK_UNSUPPORTED))
        ff_scan_unsupported(scan, v);
    else if (FF_LIKELY(is_wanted))
        ff_decode_packet(link, ff_record_frame(r, v->wirelen_bytes),
                         is_plain ? 0 : scan->decap, v, scan->flags);
    if ((v->layers & FF_BIT(OPTIONS)) && (scan->needs & FF_NEED_OPTIONS))
        ff_options_decode(scan->lexicon, end, v);
    if (variety == FF_ANY_RECORDS) scan->links |= (uint32_t)1 << link;
    v->reason = ff_scan_reason(v, is_in_time, is_wanted);
    scan->reasons[v->reason]++;
    return is_wanted;
}

FF_INLINE enum ff_outcome ff_scan_stop(ff_scan *scan, enum ff_step step,
                                       const ff_record *r) {
    if (step == FF_STEP_NEED_BYTES) return FF_NEED_BYTES;
    if (step == FF_STEP_NEED_ROOM) return FF_NEED_ROOM;
    scan->fault = r->fault;
    return FF_FAULTED;
}

static inline bool ff_pcap_is_plain(const ff_pcap *f) {
    return !f->swapped && !f->lengths_2_2 && !f->lengths_2_3 &&
           f->record_header_bytes == 16 && f->on.fcs_bytes == 0 &&
           f->on.link == FF_LINK_ethernet;
}

/* The same again: said in the loop, these are constants to the compiler. */
FF_INLINE void ff_pcap_be_plain(ff_pcap *f) {
    f->swapped = f->lengths_2_2 = f->lengths_2_3 = false;
    f->record_header_bytes = 16;
    f->on.fcs_bytes = 0;
    f->on.link = FF_LINK_ethernet;
    f->on.linktype = FF_LINKTYPE_ethernet;
}

static inline enum ff_variety ff_scan_variety(const ff_scan *scan) {
    const ff_pcap *f = &scan->capture.pcap;
    if (scan->capture.format != FF_FORMAT_pcap) return FF_ANY_RECORDS;
    bool is_plain = ff_pcap_is_plain(f) && !scan->has_filter && scan->decap == 0;
    return is_plain ? FF_PLAIN_RECORDS : FF_PCAP_RECORDS;
}

static inline bool ff_scan_is_at_limit(const ff_scan *scan) {
    return scan->consumed_bytes >= scan->limit_bytes;
}

/* How few bytes of a block of n are left where the limit is met; none: -1. */
static inline ptrdiff_t ff_scan_left_at_limit(const ff_scan *scan, size_t n) {
    if (ff_scan_is_at_limit(scan)) return (ptrdiff_t)n;
    uint64_t room = scan->limit_bytes - scan->consumed_bytes;
    return room > n ? -1 : (ptrdiff_t)(n - room);
}

/* Take records from *s into views until there are max_rows; *s then begins at the next
 * record. Every turn uses up at least a byte. */
FF_INLINE enum ff_outcome ff_scan_records(ff_scan *scan, ff_span *s, size_t max_rows,
                                          enum ff_variety variety) {
    const uint8_t *begin = s->p;
    ff_capture *c = &scan->capture;
    ff_pcap pcap = c->pcap; /* a copy of its own cannot be changed by what is written */
    ptrdiff_t left = ff_scan_left_at_limit(scan, s->n);
    size_t n = scan->n_views, n_records = 0;
    enum ff_outcome outcome = FF_FULL;
    if (variety == FF_PLAIN_RECORDS) ff_pcap_be_plain(&pcap);
    while (n < max_rows) {
        if (FF_UNLIKELY((ptrdiff_t)s->n <= left)) {
            outcome = FF_AT_LIMIT;
            break;
        }
        ff_record r;
        enum ff_step step = variety == FF_ANY_RECORDS
                                ? ff_capture_next(c, *s, scan->flags, &r)
                                : ff_pcap_next(&pcap, *s, scan->flags, &r);
        if (FF_UNLIKELY(step > FF_STEP_PASSED)) {
            outcome = ff_scan_stop(scan, step, &r);
            break;
        }
        if (variety != FF_ANY_RECORDS || FF_LIKELY(step == FF_STEP_PACKET)) {
            n += ff_scan_record(scan, &r, s->p + s->n, &scan->views[n], variety);
            n_records++;
        }
        ff_skip(s, r.n_bytes);
    }
    scan->consumed_bytes += (uint64_t)(s->p - begin);
    scan->n_records += n_records;
    scan->n_views = n;
    return outcome;
}

/* Where usual packets go: one of the three. */
typedef struct ff_usual_sink {
    ff_usual *usual;
    ff_view *views;
    const ff_columns *rows;
    ff_layer_bytes *layers; /* of the rows */
} ff_usual_sink;

FF_INLINE void ff_usual_put(ff_usual_sink to, const ff_usual_rules *rules,
                            const ff_usual *u, size_t n) {
    if (to.usual != NULL) {
        to.usual[n] = *u;
    } else if (to.views != NULL) {
        ff_usual_view(rules, u, &to.views[n]);
    } else {
        ff_view v; /* never leaves the registers */
        ff_usual_view(rules, u, &v);
        ff_store_row(to.rows, &v, to.rows->n_rows + n);
        ff_layer_put(to.layers, n, u->layers);
    }
}

/* Take the usual packets that *s begins with, at most max_rows; *s then begins at
 * another record, at the limit, or near the block's end. */
FF_INLINE size_t ff_scan_usual(ff_scan *scan, const ff_usual_rules *rules, ff_span *s,
                               size_t max_rows, bool has_options, ff_usual_sink to) {
    ff_span left = *s;
    int64_t first_ts_ns = scan->first_ts_ns, last_ts_ns = scan->last_ts_ns;
    ptrdiff_t at_limit = ff_scan_left_at_limit(scan, s->n);
    size_t n = 0;
    while (n < max_rows && FF_LIKELY(ff_has(left, FF_USUAL_REACH_BYTES)) &&
           FF_LIKELY((ptrdiff_t)left.n > at_limit)) {
        int64_t ts_ns = ff_usual_ts(rules, left.p);
        ff_usual u;
        if (FF_UNLIKELY(!ff_usual_next(rules, left, ts_ns, &u))) break;
        if (has_options && FF_UNLIKELY(!ff_usual_options(scan->lexicon, &u))) break;
        ff_usual_put(to, rules, &u, n++);
        if (ts_ns < first_ts_ns) first_ts_ns = ts_ns;
        if (ts_ns > last_ts_ns) last_ts_ns = ts_ns;
        ff_skip(&left, FF_USUAL_FRAME + ff_usual_caplen(left.p));
    }
    scan->first_ts_ns = first_ts_ns;
    scan->last_ts_ns = last_ts_ns;
    scan->consumed_bytes += s->n - left.n;
    scan->n_records += n;
    scan->reasons[FF_REASON_counted] += n;
    *s = left;
    return n;
}

/* A loop of its own for what is asked of it. */
FF_INLINE size_t ff_scan_usual_to(ff_scan *scan, const ff_usual_rules *rules,
                                  ff_span *s, size_t max_rows, ff_usual_sink to) {
    if (scan->needs == FF_NEED_HEADERS)
        return ff_scan_usual(scan, rules, s, max_rows, false, to);
    return ff_scan_usual(scan, rules, s, max_rows, true, to);
}

/* Take records the general way: one, behind n_usual packets; but where there were none
 * of those, twice as many as the last time, so that asking costs nothing in a capture
 * that has no usual packet. */
static inline enum ff_outcome ff_scan_stretch(ff_scan *scan, ff_span *s, size_t n_usual,
                                              size_t max_rows) {
    size_t stretch = n_usual > 0 || scan->stretch == 0 ? 1 : 2 * scan->stretch;
    scan->stretch = stretch < FF_CHUNK_ROWS ? stretch : FF_CHUNK_ROWS;
    if (max_rows - scan->n_views > scan->stretch)
        max_rows = scan->n_views + scan->stretch;
    return ff_scan_records(scan, s, max_rows, FF_PLAIN_RECORDS);
}

static inline ff_usual_rules ff_scan_rules(const ff_scan *scan) {
    return ff_usual_rules_of(&scan->capture.pcap, scan->ts_min_ns, scan->ts_end_ns);
}

static inline enum ff_outcome ff_scan_plain(ff_scan *scan, ff_span *s,
                                            size_t max_rows) {
    ff_usual_rules rules = ff_scan_rules(scan);
    enum ff_outcome outcome = FF_FULL;
    while (outcome == FF_FULL && scan->n_views < max_rows) {
        ff_usual_sink to = {.views = scan->views + scan->n_views};
        size_t n = ff_scan_usual_to(scan, &rules, s, max_rows - scan->n_views, to);
        scan->n_views += n;
        if (scan->n_views < max_rows) outcome = ff_scan_stretch(scan, s, n, max_rows);
    }
    return outcome;
}

/* A chunk of views. Classic pcap has a loop of its own, in which a record never leaves
 * the registers; its plain kind looks for usual packets first. */
static inline enum ff_outcome ff_scan_chunk(ff_scan *scan, ff_span *s,
                                            size_t max_rows) {
    scan->n_views = 0;
    switch (ff_scan_variety(scan)) {
        case FF_PLAIN_RECORDS: return ff_scan_plain(scan, s, max_rows);
        case FF_PCAP_RECORDS:
            return ff_scan_records(scan, s, max_rows, FF_PCAP_RECORDS);
        default: return ff_scan_records(scan, s, max_rows, FF_ANY_RECORDS);
    }
}

/* The packets of a chunk: usual ones, or views. */
typedef struct ff_chunk {
    const ff_usual_rules *rules;
    const ff_usual *usual; /* or NULL */
    const ff_view *views;
    size_t n;
} ff_chunk;

/* The view of a packet, which never leaves the registers; false: it is not counted. */
FF_INLINE bool ff_chunk_view(const ff_chunk *chunk, size_t i, ff_view *v) {
    if (chunk->usual == NULL) {
        *v = chunk->views[i];
        return v->reason == FF_REASON_counted;
    }
    ff_usual_view(chunk->rules, &chunk->usual[i], v);
    return true;
}

/* Find the codes of the packets' tools. */
FF_INLINE void ff_chunk_tools(const ff_chunk *chunk, const ff_tools *tools,
                              uint8_t *found) {
    ff_tool_columns columns;
    uint32_t hits[FF_CHUNK_ROWS];
    uint16_t which[FF_CHUNK_ROWS];
    size_t n_hits = 0;
    ff_view v;
    memset(columns.values[FF_TOOL_FIELD_zero], 0, sizeof columns.values[0]);
    for (size_t i = 0; i < chunk->n; i++) {
        ff_chunk_view(chunk, i, &v);
        ff_tool_put_usual(&columns, i, &v);
    }
    for (size_t i = 0; tools->has_other_fields && i < chunk->n; i++) {
        ff_chunk_view(chunk, i, &v);
        ff_tool_put_others(&columns, i, &v);
    }
    ff_tools_try(tools, &columns, chunk->n, hits);
    memset(found, 0, chunk->n);
    for (size_t i = 0; i < chunk->n; i++) { /* nobody can predict which it is */
        which[n_hits] = (uint16_t)i;
        n_hits += hits[i] != 0;
    }
    for (size_t hit = 0; hit < n_hits; hit++) {
        size_t i = which[hit];
        ff_chunk_view(chunk, i, &v);
        found[i] = ff_tool_of(tools, &columns, i, hits[i], &v);
    }
}

_Static_assert(FF_TOOL_PACKETS >= FF_CHUNK_ROWS, "a chunk's packets are tried at once");

/* Is all of this work wanted? */
FF_INLINE bool ff_scan_needs(const ff_scan *scan, enum ff_need need) {
    return (scan->needs & need) == need;
}

/* The work on the views of a chunk that needs more than one packet's own bytes. */
static inline void ff_scan_finish_views(ff_scan *scan) {
    bool has_signature = ff_scan_needs(scan, FF_NEED_SIGNATURE);
    bool has_tool = ff_scan_needs(scan, FF_NEED_TOOL);
    if (!has_signature && !has_tool) return;
    uint8_t tools[FF_CHUNK_ROWS] = {0};
    ff_chunk chunk = {.views = scan->views, .n = scan->n_views};
    if (has_tool) ff_chunk_tools(&chunk, scan->tools, tools);
    for (size_t i = 0; i < scan->n_views; i++) {
        ff_view *v = &scan->views[i];
        v->tool = tools[i];
        if (v->tool > 0) v->layers |= FF_BIT(TOOL);
        if (!has_signature || !(v->layers & FF_BIT(OPTIONS))) continue;
        ff_sig sig = ff_sig_of_view(v);
        v->sig_code = ff_sig_code(scan->lexicon, &sig);
    }
}

/* Usual packets into columns: all of a packet at once, or described first and then
 * looked at again for each column that is wanted. */
static inline size_t ff_scan_usual_columns(ff_scan *scan, const ff_usual_rules *rules,
                                           ff_span *s, size_t max_rows,
                                           ff_columns *cols) {
    if (ff_columns_is_by_row(cols)) {
        ff_layer_bytes layers;
        ff_usual_sink to = {.rows = cols, .layers = &layers};
        size_t n = ff_scan_usual(scan, rules, s, max_rows, true, to);
        ff_columns_end_rows(cols, &layers, n);
        return n;
    }
    ff_usual usual[FF_CHUNK_ROWS];
    ff_usual_sink to = {.usual = usual};
    size_t n = ff_scan_usual_to(scan, rules, s, max_rows, to);
    ff_columns_add_usual(cols, rules, usual, n);
    return n;
}

/* A chunk of rows, at most max_rows. Signatures and tools are found in views. */
static inline enum ff_outcome ff_scan_rows(ff_scan *scan, ff_span *s, size_t max_rows,
                                           ff_columns *cols) {
    enum ff_outcome outcome;
    bool needs_views = (scan->needs & ~(uint32_t)FF_NEED_OPTIONS) != 0;
    if (ff_scan_variety(scan) != FF_PLAIN_RECORDS || needs_views) {
        outcome = ff_scan_chunk(scan, s, max_rows);
    } else {
        ff_usual_rules rules = ff_scan_rules(scan);
        size_t n = ff_scan_usual_columns(scan, &rules, s, max_rows, cols);
        if (n == max_rows) return FF_FULL;
        scan->n_views = 0;
        outcome = ff_scan_stretch(scan, s, n, max_rows - n);
    }
    ff_scan_finish_views(scan);
    ff_columns_add_views(cols, scan->views, scan->n_views);
    return outcome;
}

/* Scan a block into columns; *consumed says how much of it was used up. */
static inline enum ff_outcome ff_scan_columns(ff_scan *scan, const uint8_t *p, size_t n,
                                              ff_columns *cols, size_t *consumed) {
    ff_span s = {p, n};
    enum ff_outcome outcome = FF_FULL;
    while (outcome == FF_FULL && cols->n_rows < cols->capacity_rows) {
        size_t left = cols->capacity_rows - cols->n_rows;
        if (ff_lexicon_has_room(scan->lexicon, FF_CHUNK_ROWS))
            outcome = ff_scan_rows(scan, &s,
                                   left < FF_CHUNK_ROWS ? left : FF_CHUNK_ROWS, cols);
        else
            outcome = FF_NEED_ROOM;
    }
    *consumed = n - s.n;
    return outcome;
}

#endif
