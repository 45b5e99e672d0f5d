/* SPDX-License-Identifier: Apache-2.0 */
/* From cells to rows: sort the cells of a tally and add up neighbours, at the grain of
 * sources or of counts. The order is that of hour, protocol, traffic, port or ICMP
 * type, signature (by its text), country (by its code), IP version, source: a property
 * of the data alone. */
#ifndef FASTFLOW_FF_ROLLUP_H
#define FASTFLOW_FF_ROLLUP_H

#include "fastflow/ff_tally.h"

#define FF_DIGITS 8 /* of a key, a byte each */

typedef struct ff_sort_item {
    uint64_t key;
    uint32_t cell;
} ff_sort_item;

typedef struct ff_rollup {
    const ff_cell *cells;
    size_t n_cells;
    const uint16_t *countries; /* by cell; 0 is none; in the order of the codes */
    const uint32_t *sig_ranks; /* by cell; 0 is none; in the order of the texts */
    ff_sort_item *items;       /* n_cells; sorted in the end */
    ff_sort_item *scratch;     /* n_cells */
    size_t n_rows[2];          /* by enum ff_grain */
} ff_rollup;

/* Key words from the most significant to the least. */
enum ff_key_word {
    FF_KEY_HOUR,
    FF_KEY_WHERE,
    FF_KEY_WHO,
    FF_KEY_SRC_HI,
    FF_KEY_SRC_LO
};

FF_INLINE uint64_t ff_rollup_key(const ff_rollup *r, uint32_t i,
                                 enum ff_key_word word) {
    const ff_cell *cell = &r->cells[i];
    switch (word) {
        case FF_KEY_HOUR: return cell->where >> FF_WHERE_HOUR;
        case FF_KEY_WHERE: return cell->where >> FF_WHERE_PORT;
        case FF_KEY_WHO:
            return (uint64_t)r->sig_ranks[i] << 32 | (uint64_t)r->countries[i] << 1 |
                   (cell->where & 1);
        case FF_KEY_SRC_HI: return cell->src_hi;
        default: return cell->src_lo;
    }
}

/* Cells are met in the order of items, all over the memory of an hour: ask for them
 * some turns before they are wanted. */
#define FF_ROLLUP_AHEAD 16
FF_INLINE void ff_rollup_prefetch(const ff_rollup *r, const ff_sort_item *items,
                                  size_t i, size_t n) {
    if (FF_UNLIKELY(i + FF_ROLLUP_AHEAD >= n)) return;
    uint32_t cell = items[i + FF_ROLLUP_AHEAD].cell;
    FF_PREFETCH(&r->cells[cell]);
    FF_PREFETCH(&r->sig_ranks[cell]);
    FF_PREFETCH(&r->countries[cell]);
}

/* One stable counting pass over a byte of the keys. */
static inline void ff_sort_digit(const ff_sort_item *from, ff_sort_item *to, size_t n,
                                 unsigned digit, const uint32_t *histogram) {
    size_t next[256];
    size_t before = 0;
    for (size_t value = 0; value < 256; value++) {
        next[value] = before;
        before += histogram[value];
    }
    for (size_t i = 0; i < n; i++)
        to[next[from[i].key >> (8 * digit) & 0xff]++] = from[i];
}

/* Sort n items by a word, least significant byte first; bytes that all keys share cost
 * nothing. Returns which of the two arrays holds them in the end. */
static inline ff_sort_item *ff_sort_word(const ff_rollup *r, ff_sort_item *items,
                                         ff_sort_item *scratch, size_t n,
                                         enum ff_key_word word) {
    uint32_t histogram[FF_DIGITS][256];
    memset(histogram, 0, sizeof histogram);
    for (size_t i = 0; i < n; i++) {
        ff_rollup_prefetch(r, items, i, n);
        uint64_t key = ff_rollup_key(r, items[i].cell, word);
        items[i].key = key;
        for (unsigned digit = 0; digit < FF_DIGITS; digit++)
            histogram[digit][key >> (8 * digit) & 0xff]++;
    }
    for (unsigned digit = 0; digit < FF_DIGITS; digit++) {
        if (histogram[digit][items[0].key >> (8 * digit) & 0xff] == n) continue;
        ff_sort_digit(items, scratch, n, digit, histogram[digit]);
        ff_sort_item *sorted = scratch;
        scratch = items;
        items = sorted;
    }
    return items;
}

FF_INLINE bool ff_rollup_before(const ff_rollup *r, uint32_t a, uint32_t b) {
    for (int word = FF_KEY_WHERE; word <= FF_KEY_SRC_LO; word++) {
        uint64_t key_a = ff_rollup_key(r, a, (enum ff_key_word)word);
        uint64_t key_b = ff_rollup_key(r, b, (enum ff_key_word)word);
        if (key_a != key_b) return key_a < key_b;
    }
    return false;
}

/* Few cells, as where every packet has an hour of its own: by insertion. */
static inline void ff_sort_few(const ff_rollup *r, ff_sort_item *items, size_t n) {
    for (size_t i = 1; i < n; i++) {
        uint32_t cell = items[i].cell;
        size_t at = i;
        for (; at > 0 && ff_rollup_before(r, cell, items[at - 1].cell); at--)
            items[at].cell = items[at - 1].cell;
        items[at].cell = cell;
    }
}

#define FF_SORT_FEW 32

/* Sort the cells of one hour in place. */
static inline void ff_sort_hour(const ff_rollup *r, ff_sort_item *items,
                                ff_sort_item *scratch, size_t n) {
    if (n <= FF_SORT_FEW) {
        ff_sort_few(r, items, n);
        return;
    }
    ff_sort_item *sorted = items, *other = scratch;
    for (int word = FF_KEY_SRC_LO; word >= FF_KEY_WHERE; word--) {
        sorted = ff_sort_word(r, sorted, other, n, (enum ff_key_word)word);
        other = sorted == items ? scratch : items;
    }
    if (sorted != items) memcpy(items, sorted, n * sizeof *items);
}

/* By hour first: the cells of an hour lie near each other and fit a cache. */
static inline void ff_rollup_sort(ff_rollup *r) {
    if (r->n_cells == 0) return;
    for (size_t i = 0; i < r->n_cells; i++) r->items[i].cell = (uint32_t)i;
    ff_sort_item *sorted =
        ff_sort_word(r, r->items, r->scratch, r->n_cells, FF_KEY_HOUR);
    if (sorted != r->items) {
        r->scratch = r->items;
        r->items = sorted;
    }
    for (size_t begin = 0, end; begin < r->n_cells; begin = end) {
        uint64_t hour = r->items[begin].key;
        for (end = begin + 1; end < r->n_cells; end++)
            if (r->items[end].key != hour) break;
        ff_sort_hour(r, r->items + begin, r->scratch + begin, end - begin);
    }
}

enum ff_grain { FF_GRAIN_SOURCES, FF_GRAIN_COUNTS };

/* A row of `sources` or of `counts`. */
typedef struct ff_row {
    ff_cell cell; /* key and shared values; its `packets` stands in `packets` below */
    uint64_t packets;
    uint64_t bytes;
    uint64_t n_sources;
    uint32_t sig_rank;
    uint16_t country;
} ff_row;

FF_INLINE bool ff_row_same_counts(const ff_row *row, const ff_rollup *r, uint32_t i) {
    const ff_cell *cell = &r->cells[i];
    return row->cell.where >> FF_WHERE_PORT == cell->where >> FF_WHERE_PORT &&
           row->sig_rank == r->sig_ranks[i] && row->country == r->countries[i];
}

FF_INLINE bool ff_same_source(const ff_cell *a, const ff_cell *b) {
    return a->src_lo == b->src_lo && a->src_hi == b->src_hi &&
           (a->where & 1) == (b->where & 1);
}

/* Make the row that begins at sorted position `at`; return where the next one does. */
static inline size_t ff_rollup_row(const ff_rollup *r, enum ff_grain grain, size_t at,
                                   ff_row *row) {
    uint32_t first = r->items[at].cell;
    ff_rollup_prefetch(r, r->items, at, r->n_cells);
    row->cell = r->cells[first];
    row->packets = row->cell.packets;
    row->bytes = row->cell.bytes;
    row->n_sources = 1;
    row->sig_rank = r->sig_ranks[first];
    row->country = r->countries[first];
    const ff_cell *last = &r->cells[first];
    for (at++; at < r->n_cells; at++) {
        uint32_t i = r->items[at].cell;
        ff_rollup_prefetch(r, r->items, at, r->n_cells);
        const ff_cell *cell = &r->cells[i];
        if (!ff_row_same_counts(row, r, i)) break;
        bool same_source = ff_same_source(last, cell);
        if (grain == FF_GRAIN_SOURCES && !same_source) break;
        row->packets += cell->packets;
        row->bytes += cell->bytes;
        row->n_sources += !same_source;
        ff_cell_merge_shared(&row->cell, cell);
        last = cell;
    }
    return at;
}

/* Count the rows of both grains. */
static inline void ff_rollup_count(ff_rollup *r) {
    ff_row row;
    for (size_t at = 0; at < r->n_cells; r->n_rows[FF_GRAIN_COUNTS]++) {
        at = ff_rollup_row(r, FF_GRAIN_COUNTS, at, &row);
        r->n_rows[FF_GRAIN_SOURCES] += row.n_sources;
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

/* clang-format off */
/* Columns of a row. X(name, c_type, arrow, dict, valid, value): expressions over
 * `const ff_row *r`. Widths are the store's: Delta Lake has no unsigned integers. */
#define FF_ROW_KEY_FIELDS(X)                                                                                              \
    X(hour,      int64_t, "tsu:UTC", none,       true, (int64_t)(r->cell.where >> FF_WHERE_HOUR) * (FF_HOUR_NS / 1000))   \
    X(proto,     int16_t, "s",       none,       true, (uint8_t)(r->cell.where >> FF_WHERE_PROTO))                        \
    X(dst_port,  int32_t, "i",       none,       ff_row_has_port(r) && !ff_row_is_icmp(r), (int32_t)FF_ROW_PORT(r))       \
    X(icmp_type, int16_t, "s",       none,       ff_row_has_port(r) && ff_row_is_icmp(r), (int16_t)FF_ROW_PORT(r))        \
    X(country,   int32_t, "i",       countries,  r->country != 0, r->country - 1)                                            \
    X(traffic,   int32_t, "i",       traffics,   true, (int32_t)(r->cell.where >> FF_WHERE_TRAFFIC & 3))                  \
    X(signature, int32_t, "i",       signatures, r->sig_rank != 0, (int32_t)r->sig_rank - 1)

#define FF_ROW_SIZE_FIELDS(X)                                                            \
    X(packets,   int64_t, "l",       none,       true, (int64_t)r->packets)              \
    X(bytes,     int64_t, "l",       none,       true, (int64_t)r->bytes)

#define FF_COUNTS_FIELDS(X) FF_ROW_KEY_FIELDS(X) FF_ROW_SIZE_FIELDS(X)                   \
    X(sources,   int64_t, "l",       none,       true, (int64_t)r->n_sources)

#define FF_SOURCES_FIELDS(X) FF_ROW_KEY_FIELDS(X)                                        \
    X(src,       ff_address, "w:16", none,       true, ff_cell_src(&r->cell))                    \
    X(ip_version, int16_t, "s",      none,       true, r->cell.where & 1 ? 6 : 4)        \
    FF_ROW_SIZE_FIELDS(X)                                                                \
    X(src_port,  int32_t, "i",       none,       FF_ROW_SHARES(r, SRC_PORT), r->cell.src_port) \
    X(tcp_seq,   int64_t, "l",       none,       FF_ROW_SHARES(r, TCP_SEQ), r->cell.tcp_seq)   \
    X(ip_ttl,    int16_t, "s",       none,       FF_ROW_SHARES(r, IP_TTL), r->cell.ip_ttl)
/* clang-format on */

typedef void ff_row_fill(const ff_row *rows, size_t n, void *values, uint8_t *valid,
                         size_t at);

typedef struct ff_row_field {
    const char *name;
    const char *arrow;
    size_t width_bytes;
    enum ff_dict_kind dict;
    ff_row_fill *fill;
} ff_row_field;

/* A value that is not valid is zero, so that equal rows are equal bytes. */
#define X(name, c_type, arrow, dict, is_valid, value)                       \
    static void ff_fill_row_##name(const ff_row *rows, size_t n, void *out, \
                                   uint8_t *valid, size_t at) {             \
        c_type *values = out;                                               \
        for (size_t i = 0; i < n; i++) {                                    \
            const ff_row *r = &rows[i];                                     \
            if (!(is_valid)) {                                              \
                memset(&values[at + i], 0, sizeof(c_type));                 \
                continue;                                                   \
            }                                                               \
            values[at + i] = value;                                         \
            valid[(at + i) >> 3] |= (uint8_t)(1u << ((at + i) & 7));        \
        }                                                                   \
    }
FF_SOURCES_FIELDS(X)
X(sources, int64_t, "l", none, true, (int64_t)r->n_sources)
#undef X

#define X(name, c_type, arrow, dict, valid, value) \
    {#name, arrow, sizeof(c_type), FF_DICT_##dict, ff_fill_row_##name},
static const ff_row_field ff_sources_fields[] = {FF_SOURCES_FIELDS(X)};
static const ff_row_field ff_counts_fields[] = {FF_COUNTS_FIELDS(X)};
#undef X

#define FF_N_SOURCES_FIELDS FF_COUNT_OF(ff_sources_fields)
#define FF_N_COUNTS_FIELDS FF_COUNT_OF(ff_counts_fields)
#define FF_MAX_ROW_FIELDS FF_N_SOURCES_FIELDS

/* The columns of a grain's rows, in order. */
static inline const ff_row_field *ff_row_fields(enum ff_grain grain, size_t *n_fields) {
    if (grain == FF_GRAIN_SOURCES) {
        *n_fields = FF_N_SOURCES_FIELDS;
        return ff_sources_fields;
    }
    *n_fields = FF_N_COUNTS_FIELDS;
    return ff_counts_fields;
}

/* Write all rows of a grain into the caller's columns; validity bits arrive zeroed. */
static inline void ff_rollup_fill(const ff_rollup *r, enum ff_grain grain,
                                  void *const *values, uint8_t *const *valid) {
    size_t n_fields;
    const ff_row_field *fields = ff_row_fields(grain, &n_fields);
    ff_row rows[FF_CHUNK_ROWS];
    size_t at = 0, n_done = 0;
    while (at < r->n_cells) {
        size_t n = 0;
        while (n < FF_CHUNK_ROWS && at < r->n_cells)
            at = ff_rollup_row(r, grain, at, &rows[n++]);
        for (size_t f = 0; f < n_fields; f++)
            fields[f].fill(rows, n, values[f], valid[f], n_done);
        n_done += n;
    }
}

#endif
