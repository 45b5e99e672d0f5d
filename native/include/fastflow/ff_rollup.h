/* SPDX-License-Identifier: Apache-2.0 */
/* From sorted runs to rows: merge the runs of one or several tallies and add up
 * neighbours, at the grain of `sources` or of `counts`. Rows come out in the order of
 * ff_run.h, a batch at a time, whatever the runs; texts get codes by first appearance
 * in their batch.
 *
 * A run's cursor shows a part of it, in order, and the caller brings the next when it
 * is told to: from an arena, or a disk. All runs have their kinds' codes from one
 * lexicon.
 */
#ifndef FASTFLOW_FF_ROLLUP_H
#define FASTFLOW_FF_ROLLUP_H

#include "fastflow/ff_run.h"

enum ff_grain { FF_GRAIN_SOURCES, FF_GRAIN_COUNTS, FF_GRAIN_ECHOES };

/* A run that is being read. */
typedef struct ff_cursor {
    const ff_cell *at, *end; /* what is there of it, from the next cell on */
    uint64_t n_absent;       /* cells behind `end` that are yet to be brought */
    uint64_t place;          /* ff_cell_place() of *at */
} ff_cursor;

/* A row of `sources` or of `counts`. */
typedef struct ff_row {
    ff_cell cell; /* key and shared values; its `packets` stands in `packets` below */
    uint64_t packets;
    uint64_t bytes;
    uint64_t n_sources;
    uint32_t signature; /* codes in the batch's dictionaries */
    uint32_t country;
    uint32_t traffic;
    uint32_t tool;
} ff_row;

/* The codes of small numbers in a batch, by first appearance. */
typedef struct ff_numbers {
    uint32_t *codes;   /* by number: code + 1; 0 where a number has not appeared */
    uint16_t *numbers; /* by code */
    uint32_t n;
} ff_numbers;

#define FF_MANY_COUNTRIES 65536
#define FF_MANY_TRAFFICS 4
#define FF_MANY_TOOLS 32

typedef struct ff_rollup {
    enum ff_grain grain;
    ff_cursor *cursors;
    uint32_t *heap; /* numbers of the cursors with cells left; the least one first */
    size_t n_heap;
    uint64_t next_hour; /* no cursor but the first has cells of an earlier one */
    const uint32_t *kinds_ranks;
    ff_lexicon *lexicon; /* its signatures are those of the batch */
    ff_numbers countries, traffics, tools;
    bool is_adding; /* the row that is being added up is rows[n_rows] */
    ff_row rows[FF_CHUNK_ROWS + 1];
    size_t n_rows; /* complete ones */
} ff_rollup;

/* Why ff_rollup_add() came back. */
enum ff_rolled {
    FF_ROLLED_FULL, /* as many rows as were wanted */
    FF_ROLLED_OUT,  /* bring cells for the cursor heap[0], then ff_rollup_brought() */
    FF_ROLLED_END   /* no cells are left */
};

FF_INLINE bool ff_rollup_before(const ff_rollup *r, uint32_t a, uint32_t b) {
    const ff_cursor *x = &r->cursors[a], *y = &r->cursors[b];
    if (FF_LIKELY(x->place != y->place)) return x->place < y->place;
    return ff_cell_before(x->at, y->at, r->kinds_ranks, FF_KEY_WHERE);
}

/* Let the heap's element at `at` sink to its place. */
static inline void ff_rollup_sink(ff_rollup *r, size_t at) {
    for (size_t child; (child = 2 * at + 1) < r->n_heap; at = child) {
        if (child + 1 < r->n_heap &&
            ff_rollup_before(r, r->heap[child + 1], r->heap[child]))
            child++;
        if (!ff_rollup_before(r, r->heap[child], r->heap[at])) return;
        uint32_t moved = r->heap[at];
        r->heap[at] = r->heap[child];
        r->heap[child] = moved;
    }
}

FF_INLINE void ff_rollup_look(ff_cursor *cursor) {
    cursor->place = ff_cell_place(cursor->at);
}

/* Let the first cursor sink, and see how far the one that comes first now is alone. */
static inline void ff_rollup_settle(ff_rollup *r) {
    if (r->n_heap > 0) ff_rollup_look(&r->cursors[r->heap[0]]);
    ff_rollup_sink(r, 0);
    r->next_hour = UINT64_MAX;
    for (size_t child = 1; child <= 2 && child < r->n_heap; child++) {
        uint64_t hour = ff_cell_hour(r->cursors[r->heap[child]].at);
        if (hour < r->next_hour) r->next_hour = hour;
    }
}

/* Begin with cursors that all show a cell. */
static inline void ff_rollup_begin(ff_rollup *r, size_t n_cursors) {
    r->n_heap = n_cursors;
    for (size_t i = 0; i < n_cursors; i++) {
        r->heap[i] = (uint32_t)i;
        ff_rollup_look(&r->cursors[i]);
    }
    for (size_t i = n_cursors / 2; i-- > 1;) ff_rollup_sink(r, i);
    ff_rollup_settle(r);
}

/* Cells have been brought for the cursor heap[0]. */
static inline void ff_rollup_brought(ff_rollup *r) { ff_rollup_settle(r); }

FF_INLINE bool ff_same_source(const ff_cell *a, const ff_cell *b) {
    return ((a->src_lo ^ b->src_lo) | (a->src_hi ^ b->src_hi) |
            ((a->where ^ b->where) & 1)) == 0;
}

FF_INLINE bool ff_row_holds(const ff_row *row, const ff_cell *cell) {
    const ff_cell *own = &row->cell;
    return ((own->where ^ cell->where) >> FF_WHERE_ROW |
            (own->sig.fixed ^ cell->sig.fixed) | (own->sig.scale ^ cell->sig.scale) |
            (uint64_t)(own->country ^ cell->country)) == 0;
}

/* Add a cell to the row at hand, or begin a row with it; the row's cell becomes that of
 * the latest source. */
FF_INLINE void ff_rollup_take(ff_rollup *r, const ff_cell *cell) {
    ff_row *row = &r->rows[r->n_rows];
    if (ff_cell_is_echo(cell) != (r->grain == FF_GRAIN_ECHOES)) return;
    if (r->is_adding && ff_row_holds(row, cell)) {
        bool is_same = ff_same_source(&row->cell, cell);
        bool is_sketch = r->grain == FF_GRAIN_ECHOES && ff_echo_is_sketch(cell);
        if ((is_same && !is_sketch) || r->grain == FF_GRAIN_COUNTS) {
            row->packets += cell->packets;
            row->bytes += cell->bytes;
            row->n_sources += !is_same;
            ff_cell_merge_shared(&row->cell, cell);
            row->cell.src_hi = cell->src_hi;
            row->cell.src_lo = cell->src_lo;
            row->cell.where = cell->where;
            return;
        }
    }
    if (r->is_adding) row = &r->rows[++r->n_rows];
    row->cell = *cell;
    row->packets = cell->packets;
    row->bytes = cell->bytes;
    row->n_sources = 1;
    r->is_adding = true;
}

/* Add up until max_rows, at most a chunk, are complete. */
static inline enum ff_rolled ff_rollup_add(ff_rollup *r, size_t max_rows) {
    while (r->n_heap > 0) {
        if (r->n_rows == max_rows) return FF_ROLLED_FULL;
        ff_cursor *cursor = &r->cursors[r->heap[0]];
        ff_rollup_take(r, cursor->at++);
        if (FF_UNLIKELY(cursor->at == cursor->end)) {
            if (cursor->n_absent > 0) return FF_ROLLED_OUT;
            r->heap[0] = r->heap[--r->n_heap];
        }
        if (r->n_heap > 0 && ff_cell_hour(r->cursors[r->heap[0]].at) >= r->next_hour)
            ff_rollup_settle(r);
    }
    if (r->is_adding && r->n_rows == max_rows) return FF_ROLLED_FULL;
    r->n_rows += r->is_adding;
    r->is_adding = false;
    return FF_ROLLED_END;
}

FF_INLINE uint32_t ff_numbers_code(ff_numbers *numbers, uint16_t number) {
    if (FF_UNLIKELY(numbers->codes[number] == 0)) {
        numbers->numbers[numbers->n] = number;
        numbers->codes[number] = ++numbers->n;
    }
    return numbers->codes[number] - 1;
}

static inline void ff_numbers_clear(ff_numbers *numbers) {
    while (numbers->n > 0) numbers->codes[numbers->numbers[--numbers->n]] = 0;
}

/* Begin a batch: its dictionaries are empty. */
static inline void ff_rollup_begin_batch(ff_rollup *r) {
    ff_dict_clear(&r->lexicon->signatures);
    ff_numbers_clear(&r->countries);
    ff_numbers_clear(&r->traffics);
    ff_numbers_clear(&r->tools);
}

FF_INLINE uint16_t ff_row_tool(const ff_row *row) {
    return row->cell.where >> FF_WHERE_TOOL & (FF_MANY_TOOLS - 1);
}

/* Give the texts of n rows their codes; the caller has made room in the lexicon. */
static inline void ff_rollup_code(ff_rollup *r, size_t n) {
    ff_sig sig = {0, 0};
    uint32_t code = 0;
    for (size_t i = 0; i < n; i++) {
        ff_row *row = &r->rows[i];
        const ff_sig *own = &row->cell.sig;
        if (row->cell.country != 0)
            row->country = ff_numbers_code(&r->countries, row->cell.country);
        if (r->grain == FF_GRAIN_ECHOES) continue;
        if (own->scale != 0 && (own->scale != sig.scale || own->fixed != sig.fixed)) {
            sig = *own;
            code = ff_sig_code(r->lexicon, own);
        }
        row->signature = code;
        row->traffic =
            ff_numbers_code(&r->traffics, row->cell.where >> FF_WHERE_TRAFFIC & 3);
        if (ff_row_tool(row) != 0)
            row->tool = ff_numbers_code(&r->tools, ff_row_tool(row));
    }
}

FF_INLINE bool ff_row_is_icmp(const ff_row *row) {
    uint8_t proto = (uint8_t)(row->cell.where >> FF_WHERE_PROTO);
    return proto == FF_PROTO_ICMP || proto == FF_PROTO_ICMPV6;
}

FF_INLINE bool ff_row_has_port(const ff_row *row) {
    return row->cell.where >> FF_WHERE_PORT & FF_WHERE_HAS_PORT;
}

#define FF_ROW_PORT(row) ((row)->cell.where >> FF_WHERE_PORT & 0xffff)
#define FF_ROW_SHARES(row, what) ((row)->cell.shared & FF_SHARED_##what)

/* The bits of a sketch, one for each bin, least significant first. */
typedef struct ff_sketch {
    uint8_t byte[8 * FF_ECHO_SKETCH_WORDS];
} ff_sketch;

FF_INLINE ff_sketch ff_row_sketch(const ff_row *row) {
    ff_sketch sketch = {{0}};
    if (!ff_echo_is_sketch(&row->cell)) return sketch;
    for (size_t i = 0; i < sizeof sketch.byte; i++)
        sketch.byte[i] = (uint8_t)(row->cell.bins[i / 8] >> 8 * (i % 8));
    return sketch;
}

/* Beside a sequence number it would tell the destination. */
FF_INLINE bool ff_row_has_seq_key(const ff_row *row) {
    return FF_ROW_SHARES(row, EXTRA) && !FF_ROW_SHARES(row, TCP_SEQ);
}

/* clang-format off */
/* Columns of a row. X(name, c_type, arrow, dict, nullable, valid, value): expressions over
 * `const ff_row *r`. Widths are the store's: Delta Lake has no unsigned integers. */
#define FF_ROW_HOUR_FIELD(X)                                                               \
    X(hour,      int64_t, "tsu:UTC", none,       false, true, (int64_t)ff_cell_hour(&r->cell) * (FF_HOUR_NS / 1000))
#define FF_ROW_COUNTRY_FIELD(X)                                                            \
    X(country,   int32_t, "i",       countries,  true, r->cell.country != 0, (int32_t)r->country)
#define FF_ROW_KEY_FIELDS(X) FF_ROW_HOUR_FIELD(X)                                          \
    X(proto,     int16_t, "s",       none,       false, true, (uint8_t)(r->cell.where >> FF_WHERE_PROTO))                \
    X(dst_port,  int32_t, "i",       none,       true, ff_row_has_port(r) && !ff_row_is_icmp(r), (int32_t)FF_ROW_PORT(r)) \
    X(icmp_type, int16_t, "s",       none,       true, ff_row_has_port(r) && ff_row_is_icmp(r), (int16_t)FF_ROW_PORT(r))  \
    FF_ROW_COUNTRY_FIELD(X)                                                                \
    X(traffic,   int32_t, "i",       traffics,   false, true, (int32_t)r->traffic)         \
    X(signature, int32_t, "i",       signatures, true, r->cell.sig.scale != 0, (int32_t)r->signature) \
    X(tool,      int32_t, "i",       tools,      true, ff_row_tool(r) != 0, (int32_t)r->tool)
#define FF_ROW_PACKETS_FIELD(X)                                                            \
    X(packets,   int64_t, "l",       none,       false, true, (int64_t)r->packets)
#define FF_ROW_BYTES_FIELD(X)                                                              \
    X(bytes,     int64_t, "l",       none,       false, true, (int64_t)r->bytes)
#define FF_ROW_SOURCES_FIELD(X)                                                            \
    X(sources,   int64_t, "l",       none,       false, true, (int64_t)r->n_sources)
#define FF_ROW_ADDRESS_FIELDS(X)                                                           \
    X(src,       ff_address, "w:16", none,       false, true, ff_cell_src(&r->cell))       \
    X(ip_version, int16_t, "s",      none,       false, true, r->cell.where & 1 ? 6 : 4)
#define FF_ROW_SHARED_FIELDS(X)                                                            \
    X(src_port,  int32_t, "i",       none,       true, FF_ROW_SHARES(r, SRC_PORT), r->cell.src_port) \
    X(tcp_seq,   int64_t, "l",       none,       true, FF_ROW_SHARES(r, TCP_SEQ), r->cell.tcp_seq)   \
    X(ip_ttl,    int16_t, "s",       none,       true, FF_ROW_SHARES(r, IP_TTL), r->cell.ip_ttl)
#define FF_ROW_SEQ_KEY_FIELD(X)                                                            \
    X(tcp_seq_key, int32_t, "i",     none,       true, ff_row_has_seq_key(r), r->cell.extra)
/* Of echoes: a sketch, a bin, or a port with FF_WHERE_HAS_PORT. */
#define FF_ROW_ECHO_FIELDS(X)                                                               \
    X(slot,      int32_t, "i",       none,       false, true, (int32_t)ff_cell_slot(&r->cell))               \
    X(sketch,    ff_sketch, "w:24",  none,       false, true, ff_row_sketch(r))             \
    X(port,      int32_t, "i",       none,       true, (r->cell.shared & FF_HAS_PORT) != 0, r->cell.src_port)
#define FF_ROW_WINDOW_FIELD(X)                                                             \
    X(tcp_window, int32_t, "i",      none,       true, FF_ROW_SHARES(r, EXTRA), r->cell.extra)

#define FF_COUNTS_FIELDS(X) FF_ROW_KEY_FIELDS(X) FF_ROW_PACKETS_FIELD(X) FF_ROW_BYTES_FIELD(X) \
    FF_ROW_SOURCES_FIELD(X)
#define FF_SOURCES_FIELDS(X) FF_ROW_KEY_FIELDS(X) FF_ROW_ADDRESS_FIELDS(X)                  \
    FF_ROW_PACKETS_FIELD(X) FF_ROW_BYTES_FIELD(X) FF_ROW_SHARED_FIELDS(X) FF_ROW_SEQ_KEY_FIELD(X)
#define FF_ECHOES_FIELDS(X) FF_ROW_HOUR_FIELD(X) FF_ROW_ADDRESS_FIELDS(X) FF_ROW_COUNTRY_FIELD(X) \
    FF_ROW_ECHO_FIELDS(X) FF_ROW_PACKETS_FIELD(X) FF_ROW_SHARED_FIELDS(X) FF_ROW_WINDOW_FIELD(X)
/* clang-format on */

typedef void ff_row_fill(const ff_row *rows, size_t n, void *values, uint8_t *valid,
                         size_t at);

typedef struct ff_row_field {
    const char *name;
    const char *arrow;
    size_t width_bytes;
    enum ff_dict_kind dict;
    bool is_nullable;
    ff_row_fill *fill;
} ff_row_field;

/* Eight bytes that are 0 or 1 as the bits of one, the first as the lowest: multiplied,
 * byte i reaches bit 56 + i, and nothing else gets there. */
FF_INLINE uint8_t ff_pack_byte(const uint8_t *ok) {
    return (uint8_t)(ff_load_le64(ok) * 0x0102040810204080u >> 56);
}

/* Write n validity bits, least significant first; bits behind the n-th become zero. */
static inline void ff_pack_bits(const uint8_t *ok, size_t n, uint8_t *bits) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) bits[i / 8] = ff_pack_byte(ok + i);
    if (i == n) return;
    uint8_t last[8] = {0};
    memcpy(last, ok + i, n - i);
    bits[i / 8] = ff_pack_byte(last);
}

/* A value that is not valid is zero, so that equal rows are equal bytes. `at`, where
 * the first row goes, is a multiple of a chunk; `valid` is NULL where nothing is ever
 * null. */
#define X(name, c_type, arrow, dict, is_nullable, is_valid, value)          \
    static void ff_fill_row_##name(const ff_row *rows, size_t n, void *out, \
                                   uint8_t *valid, size_t at) {             \
        const c_type nothing = {0};                                         \
        c_type *values = (c_type *)out + at;                                \
        uint8_t ok[FF_CHUNK_ROWS];                                          \
        for (size_t i = 0; i < n; i++) {                                    \
            const ff_row *r = &rows[i];                                     \
            bool is_real = (is_valid);                                      \
            ok[i] = is_real;                                                \
            values[i] = is_real ? value : nothing;                          \
        }                                                                   \
        if (valid != NULL) ff_pack_bits(ok, n, valid + at / 8);             \
    }
FF_SOURCES_FIELDS(X)
FF_ROW_SOURCES_FIELD(X)
FF_ROW_ECHO_FIELDS(X)
FF_ROW_WINDOW_FIELD(X)
#undef X

#define X(name, c_type, arrow, dict, is_nullable, is_valid, value) \
    {#name, arrow, sizeof(c_type), FF_DICT_##dict, is_nullable, ff_fill_row_##name},
static const ff_row_field ff_sources_fields[] = {FF_SOURCES_FIELDS(X)};
static const ff_row_field ff_counts_fields[] = {FF_COUNTS_FIELDS(X)};
static const ff_row_field ff_echoes_fields[] = {FF_ECHOES_FIELDS(X)};
#undef X

#define FF_N_SOURCES_FIELDS FF_COUNT_OF(ff_sources_fields)
#define FF_N_COUNTS_FIELDS FF_COUNT_OF(ff_counts_fields)
#define FF_N_ECHOES_FIELDS FF_COUNT_OF(ff_echoes_fields)
#define FF_MAX_ROW_FIELDS FF_N_SOURCES_FIELDS

/* The columns of a grain's rows, in order. */
static inline const ff_row_field *ff_row_fields(enum ff_grain grain, size_t *n_fields) {
    switch (grain) {
        case FF_GRAIN_SOURCES:
            *n_fields = FF_N_SOURCES_FIELDS;
            return ff_sources_fields;
        case FF_GRAIN_COUNTS: *n_fields = FF_N_COUNTS_FIELDS; return ff_counts_fields;
        default: *n_fields = FF_N_ECHOES_FIELDS; return ff_echoes_fields;
    }
}

/* Write the complete rows into the caller's columns, from row `at` on, and be done with
 * them. */
static inline void ff_rollup_fill(ff_rollup *r, void *const *values,
                                  uint8_t *const *valid, size_t at) {
    size_t n_fields, n = r->n_rows;
    const ff_row_field *fields = ff_row_fields(r->grain, &n_fields);
    ff_rollup_code(r, n);
    for (size_t f = 0; f < n_fields; f++)
        fields[f].fill(r->rows, n, values[f], valid[f], at);
    r->rows[0] = r->rows[n];
    r->n_rows = 0;
}

#endif
