/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: records of a capture, a chunk at a time, into views; from there into the
 * caller's columns (below) or cells (ff_tally.h).
 *
 * A block ends anywhere. What of it was not consumed is the beginning of a record and
 * must stand at the beginning of the next block. Views point into the block and are
 * used up before the call returns. */
#ifndef FASTFLOW_FF_SCAN_H
#define FASTFLOW_FF_SCAN_H

#include "fastflow/ff_fields.h"
#include "fastflow/ff_pcap.h"
#include "fastflow/ff_tcpsig.h"

/* Few enough for the views of a chunk and the packets behind them to stay cached. */
#define FF_CHUNK_ROWS 256

/* Why a call came back. */
enum ff_outcome {
    FF_NEED_BYTES, /* every whole record of the block was taken */
    FF_FULL,       /* the columns are full */
    FF_NEED_ROOM,  /* a dictionary or the cells must grow first */
    FF_FAULTED     /* the capture is damaged here: see ff_scan.fault */
};

typedef struct ff_scan {
    ff_pcap file;
    enum ff_fault fault;
    uint64_t offset_bytes; /* of the next record, from the capture's beginning */
    uint64_t n_records;
    uint64_t reasons[FF_N_REASONS]; /* records by enum ff_reason; they add up to n */
    uint64_t flags[FF_N_FLAGS];
    int64_t ts_min_ns, ts_end_ns;    /* plausible times: min <= ts < end */
    int64_t first_ts_ns, last_ts_ns; /* earliest and latest plausible time met */
    uint32_t needs;                  /* bits of enum ff_need */
    ff_lexicon *lexicon;
    size_t n_views;
    ff_view views[FF_CHUNK_ROWS];
} ff_scan;

/* Read the file header from the first bytes of the capture; all of them if it has
 * fewer than FF_PCAP_HEADER_BYTES. */
static inline enum ff_fault ff_scan_open(ff_scan *scan, const uint8_t *p, size_t n) {
    ff_span s = {p, n};
    scan->fault = ff_pcap_parse(&scan->file, s);
    if (scan->fault == FF_FAULT_none && !ff_link_is_supported(scan->file.linktype))
        scan->fault = FF_FAULT_unsupported_linktype;
    if (scan->fault == FF_FAULT_none) scan->offset_bytes = FF_PCAP_HEADER_BYTES;
    scan->first_ts_ns = INT64_MAX;
    scan->last_ts_ns = INT64_MIN;
    return scan->fault;
}

/* The capture ends with n bytes that make no whole record. */
static inline enum ff_fault ff_scan_end(ff_scan *scan, size_t n) {
    if (scan->fault == FF_FAULT_none && n > 0)
        scan->fault = n < scan->file.record_header_bytes
                          ? FF_FAULT_truncated_record_header
                          : FF_FAULT_truncated_record;
    return scan->fault;
}

/* Captured bytes of a frame without its frame check sequence. */
FF_INLINE size_t ff_frame_bytes(const ff_pcap *file, uint32_t caplen,
                                uint32_t wirelen) {
    if (FF_LIKELY(file->fcs_bytes == 0) || wirelen < file->fcs_bytes) return caplen;
    uint32_t without_fcs = wirelen - file->fcs_bytes;
    return caplen < without_fcs ? caplen : without_fcs;
}

FF_INLINE void ff_record_view(ff_scan *scan, const ff_record *r, ff_view *v) {
    const ff_pcap *file = &scan->file;
    v->caplen_bytes = r->caplen;
    v->wirelen_bytes = r->wirelen;
    v->linktype = file->linktype;
    v->layers |= FF_BIT(TS);
    /* 2^32 seconds and as many sub-seconds stay far below 2^63 ns. */
    v->ts_ns = (int64_t)r->sec * 1000000000 + (int64_t)r->frac * file->ns_per_frac;
    if (FF_UNLIKELY(r->frac >= file->frac_per_sec))
        scan->flags[FF_FLAG_subsec_out_of_range]++;
    if (FF_UNLIKELY(r->caplen > file->snaplen) && file->snaplen > 0)
        scan->flags[FF_FLAG_caplen_gt_snaplen]++;
    if (FF_UNLIKELY(r->wirelen < r->caplen)) {
        scan->flags[r->wirelen ? FF_FLAG_len_lt_caplen : FF_FLAG_len_zero]++;
        if (r->wirelen == 0) v->wirelen_bytes = r->caplen;
    }
}

FF_INLINE void ff_scan_reason(ff_scan *scan, ff_view *v) {
    if (FF_UNLIKELY(v->ts_ns < scan->ts_min_ns || v->ts_ns >= scan->ts_end_ns)) {
        v->reason = FF_REASON_bad_ts;
    } else {
        if (v->ts_ns < scan->first_ts_ns) scan->first_ts_ns = v->ts_ns;
        if (v->ts_ns > scan->last_ts_ns) scan->last_ts_ns = v->ts_ns;
        v->reason = ff_state_counted[v->state] ? FF_REASON_counted
                                               : (uint8_t)(FF_REASON_STATES + v->state);
    }
    scan->reasons[v->reason]++;
}

/* Take up to max_rows records from *s into scan->views; *s then begins at the next
 * record. Invariant: every turn consumes at least a record header. */
static inline enum ff_outcome ff_scan_chunk(ff_scan *scan, ff_span *s,
                                            size_t max_rows) {
    size_t header_bytes = scan->file.record_header_bytes;
    size_t n = 0;
    const uint8_t *begin = s->p;
    enum ff_outcome outcome = FF_FULL;
    for (; n < max_rows; n++) {
        ff_record r;
        if (FF_UNLIKELY(!ff_has(*s, header_bytes))) {
            outcome = FF_NEED_BYTES;
            break;
        }
        scan->fault = ff_pcap_record_parse(&scan->file, s->p, &r);
        if (FF_UNLIKELY(scan->fault != FF_FAULT_none)) {
            outcome = FF_FAULTED;
            break;
        }
        if (FF_UNLIKELY(s->n - header_bytes < r.caplen)) {
            outcome = FF_NEED_BYTES;
            break;
        }
        ff_view *v = &scan->views[n];
        ff_view_clear(v);
        ff_record_view(scan, &r, v);
        ff_skip(s, header_bytes);
        ff_span frame = {s->p, ff_frame_bytes(&scan->file, r.caplen, v->wirelen_bytes)};
        ff_decode_packet(v->linktype, frame, v, scan->flags);
        ff_scan_reason(scan, v);
        ff_skip(s, r.caplen);
    }
    scan->offset_bytes += (uint64_t)(s->p - begin);
    scan->n_records += n;
    scan->n_views = n;
    return outcome;
}

/* The work beyond the headers that somebody asked for. */
static inline void ff_scan_finish_views(ff_scan *scan) {
    if (scan->needs == FF_NEED_HEADERS) return;
    for (size_t i = 0; i < scan->n_views; i++) {
        ff_view *v = &scan->views[i];
        if (v->layers & FF_BIT(OPTIONS)) ff_options_decode(scan->lexicon, v);
    }
    if (scan->needs != FF_NEED_SIGNATURE) return;
    for (size_t i = 0; i < scan->n_views; i++) {
        ff_view *v = &scan->views[i];
        if (!(v->layers & FF_BIT(OPTIONS))) continue;
        ff_sig sig = ff_sig_of_view(v);
        v->sig_code = ff_sig_code(scan->lexicon, &sig);
    }
}

/* Bit `layer` of four rows, as the lowest four bits. The multiplication moves bits 0,
 * 16, 32 and 48 to 48, 49, 50 and 51, where no other product reaches. */
FF_INLINE unsigned ff_layer_bits(const uint16_t *layers, unsigned layer) {
    uint64_t four = (uint64_t)layers[0] | (uint64_t)layers[1] << 16 |
                    (uint64_t)layers[2] << 32 | (uint64_t)layers[3] << 48;
    uint64_t bits = four >> layer & 0x0001000100010001u;
    return bits * 0x0001000200040008u >> 48 & 15u;
}

/* Append n rows' bits of a layer, least significant first, behind the row-th bit. The
 * layers of rows behind the n-th are zero. */
static inline void ff_fill_valid(const uint16_t *layers, size_t n, unsigned layer,
                                 uint8_t *bits, size_t row) {
    unsigned shift = row & 7;
    bits += row >> 3;
    unsigned carry = shift ? *bits : 0;
    for (size_t i = 0; i < n; i += 8) {
        unsigned byte = ff_layer_bits(layers + i, layer) |
                        ff_layer_bits(layers + i + 4, layer) << 4;
        carry |= byte << shift;
        *bits++ = (uint8_t)carry;
        carry >>= 8;
    }
    if (carry) *bits = (uint8_t)carry;
}

static inline void ff_fill_valids(const ff_scan *scan, ff_columns *cols) {
    uint16_t layers[FF_CHUNK_ROWS + 8];
    for (size_t i = 0; i < scan->n_views; i++)
        layers[i] = (uint16_t)scan->views[i].layers;
    memset(layers + scan->n_views, 0, 8 * sizeof *layers);
    for (unsigned layer = 0; layer < FF_N_LAYERS; layer++)
        if (cols->valid[layer] != NULL)
            ff_fill_valid(layers, scan->n_views, layer, cols->valid[layer],
                          cols->n_rows);
}

static inline void ff_fill_columns(const ff_scan *scan, ff_columns *cols) {
    size_t n = scan->n_views, row = cols->n_rows;
    int first = 0;
    if (cols->has_every_packet_field) {
        ff_store_rows(cols, scan->views, n, row);
        first = FF_FIRST_DERIVED_COL;
    }
    for (int c = first; c < FF_N_COLS; c++) {
        if (cols->values[c] == NULL) continue;
        char *out = cols->values[c];
        ff_fields[c].fill(scan->views, n, out + row * ff_fields[c].width_bytes);
    }
    ff_fill_valids(scan, cols);
    cols->n_rows += n;
}

/* Scan a block into columns; *consumed says how much of it was used up. */
static inline enum ff_outcome ff_scan_columns(ff_scan *scan, const uint8_t *p, size_t n,
                                              ff_columns *cols, size_t *consumed) {
    ff_span s = {p, n};
    enum ff_outcome outcome = FF_FULL;
    while (cols->n_rows < cols->capacity_rows) {
        if (!ff_lexicon_has_room(scan->lexicon, FF_CHUNK_ROWS)) {
            outcome = FF_NEED_ROOM;
            break;
        }
        size_t left = cols->capacity_rows - cols->n_rows;
        outcome = ff_scan_chunk(scan, &s, left < FF_CHUNK_ROWS ? left : FF_CHUNK_ROWS);
        ff_scan_finish_views(scan);
        ff_fill_columns(scan, cols);
        if (outcome != FF_FULL) break;
    }
    *consumed = n - s.n;
    return outcome;
}

#endif
