/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a tally's cells: what makes them a run, which the roll-up merges.
 *
 * Cells stay where they are; a run is read by gathering them in their order. That order
 * is that of hour, protocol, traffic, port or ICMP type, signature (window, MSS, window
 * scale, list of kinds), country (by its code), IP version, source: a property of the
 * data alone. */
#ifndef FASTFLOW_FF_RUN_H
#define FASTFLOW_FF_RUN_H

#include "fastflow/ff_tally.h"

/* The key words that cells of an hour are ordered by, the most significant first. */
enum ff_key_word {
    FF_KEY_WHERE,
    FF_KEY_WHO,
    FF_KEY_SRC_HI,
    FF_KEY_SRC_LO,
    FF_KEY_SLOT,
    FF_N_KEY_WORDS
};

typedef struct ff_sort_item {
    uint64_t key;
    uint32_t cell;
} ff_sort_item;

typedef struct ff_sorter {
    const ff_cell *cells;
    const uint32_t *kinds_ranks; /* by code of a list of kinds */
    ff_sort_item *items;         /* as many as there are cells */
    ff_sort_item *scratch;       /* likewise */
} ff_sorter;

FF_INLINE uint64_t ff_cell_hour(const ff_cell *cell) {
    return cell->where >> FF_WHERE_HOUR;
}

#define FF_WHERE_PORT_BITS ((uint64_t)0x1ffff << FF_WHERE_PORT)

/* Hour, protocol, traffic, port and tool. Echoes of a victim stand together, whatever
 * their port or bin. */
FF_INLINE uint64_t ff_cell_place(const ff_cell *cell) {
    uint64_t where = cell->where;
    if (ff_cell_is_echo(cell)) where &= ~FF_WHERE_PORT_BITS;
    return where >> FF_WHERE_ROW;
}

/* The place within the hour; then window and MSS. */
FF_INLINE uint64_t ff_cell_key_where(const ff_cell *cell) {
    uint64_t place = ff_cell_place(cell) << 32;
    return ff_cell_is_echo(cell) ? place : place | cell->sig.fixed >> 32;
}

/* An echo's sketch, bin or port. */
FF_INLINE uint64_t ff_cell_key_slot(const ff_cell *cell) {
    return ff_cell_is_echo(cell) ? cell->where & FF_WHERE_PORT_BITS : 0;
}

/* The signature's rest (11 bits and 32), country (16), IP version (1). */
FF_INLINE uint64_t ff_cell_key_who(const ff_cell *cell, const uint32_t *kinds_ranks) {
    uint64_t source = (uint64_t)cell->country << 1 | (cell->where & 1);
    if (ff_cell_is_echo(cell) || cell->sig.scale == 0) return source;
    uint64_t kinds = kinds_ranks[ff_sig_kinds(&cell->sig)];
    return cell->sig.scale << 49 | kinds << 17 | source;
}

FF_INLINE uint64_t ff_cell_key(const ff_cell *cell, const uint32_t *kinds_ranks,
                               enum ff_key_word word) {
    switch (word) {
        case FF_KEY_WHERE: return ff_cell_key_where(cell);
        case FF_KEY_WHO: return ff_cell_key_who(cell, kinds_ranks);
        case FF_KEY_SRC_HI: return cell->src_hi;
        case FF_KEY_SRC_LO: return cell->src_lo;
        default: return ff_cell_key_slot(cell);
    }
}

/* The first word in which two cells of an hour differ decides. */
FF_INLINE bool ff_cell_before(const ff_cell *a, const ff_cell *b,
                              const uint32_t *kinds_ranks, enum ff_key_word from) {
    for (int word = (int)from; word < FF_N_KEY_WORDS; word++) {
        uint64_t key_a = ff_cell_key(a, kinds_ranks, (enum ff_key_word)word);
        uint64_t key_b = ff_cell_key(b, kinds_ranks, (enum ff_key_word)word);
        if (key_a != key_b) return key_a < key_b;
    }
    return false;
}

/* Cells are met in the order of items, all over the memory of an hour: ask for them
 * some turns before they are wanted. */
#define FF_SORT_AHEAD 32
FF_INLINE void ff_sort_prefetch(const ff_sorter *s, const ff_sort_item *items, size_t i,
                                size_t n) {
    if (FF_LIKELY(i + FF_SORT_AHEAD < n))
        FF_PREFETCH(&s->cells[items[i + FF_SORT_AHEAD].cell]);
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

/* Sort n items, at least one, by the keys in them, from byte `from` on, the least
 * significant first; bytes that all keys share cost nothing. Returns which of the two
 * arrays holds them. */
static inline ff_sort_item *ff_sort_keys(ff_sort_item *items, ff_sort_item *scratch,
                                         size_t n, unsigned from) {
    uint32_t histogram[8][256];
    memset(histogram, 0, sizeof histogram);
    for (size_t i = 0; i < n; i++)
        for (unsigned digit = from; digit < 8; digit++)
            histogram[digit][items[i].key >> (8 * digit) & 0xff]++;
    for (unsigned digit = from; digit < 8; digit++) {
        if (histogram[digit][items[0].key >> (8 * digit) & 0xff] == n) continue;
        ff_sort_digit(items, scratch, n, digit, histogram[digit]);
        ff_sort_item *sorted = scratch;
        scratch = items;
        items = sorted;
    }
    return items;
}

static inline void ff_sort_keys_in_place(ff_sort_item *items, ff_sort_item *scratch,
                                         size_t n, unsigned from) {
    ff_sort_item *sorted = ff_sort_keys(items, scratch, n, from);
    if (sorted != items) memcpy(items, sorted, n * sizeof *items);
}

#define FF_SORT_FEW 24

/* Few items by their keys, by insertion. */
static inline void ff_sort_few_keys(ff_sort_item *items, size_t n) {
    for (size_t i = 1; i < n; i++) {
        ff_sort_item item = items[i];
        size_t at = i;
        for (; at > 0 && item.key < items[at - 1].key; at--) items[at] = items[at - 1];
        items[at] = item;
    }
}

/* Sort items by one word of their cells: by its upper half in passes over all of them;
 * those that it leaves together are few as a rule, and take less by themselves. */
static inline void ff_sort_word(const ff_sorter *s, ff_sort_item *items,
                                ff_sort_item *scratch, size_t n,
                                enum ff_key_word word) {
    for (size_t i = 0; i < n; i++) {
        ff_sort_prefetch(s, items, i, n);
        items[i].key = ff_cell_key(&s->cells[items[i].cell], s->kinds_ranks, word);
    }
    ff_sort_keys_in_place(items, scratch, n, 4);
    for (size_t begin = 0, end; begin < n; begin = end) {
        uint64_t upper = items[begin].key >> 32;
        for (end = begin + 1; end < n && items[end].key >> 32 == upper;) end++;
        if (end - begin <= FF_SORT_FEW)
            ff_sort_few_keys(items + begin, end - begin);
        else
            ff_sort_keys_in_place(items + begin, scratch + begin, end - begin, 0);
    }
}

/* Few items by the words of their cells from one on, by insertion. */
static inline void ff_sort_few(const ff_sorter *s, ff_sort_item *items, size_t n,
                               enum ff_key_word from) {
    for (size_t i = 1; i < n; i++) {
        ff_sort_item item = items[i];
        size_t at = i;
        for (; at > 0 &&
               ff_cell_before(&s->cells[item.cell], &s->cells[items[at - 1].cell],
                              s->kinds_ranks, from);
             at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

/* Sort items whose cells agree in all words before `from`. */
static inline void ff_sort_rest(const ff_sorter *s, ff_sort_item *items,
                                ff_sort_item *scratch, size_t n,
                                enum ff_key_word from) {
    if (n <= FF_SORT_FEW) {
        ff_sort_few(s, items, n, from);
        return;
    }
    for (int word = FF_N_KEY_WORDS - 1; word >= (int)from; word--)
        ff_sort_word(s, items, scratch, n, (enum ff_key_word)word);
}

/* Sort the cells of an hour. Most differ in the first word; the groups of those that do
 * not are small, or worth sorting by the other words. */
static inline void ff_sort_hour(const ff_sorter *s, ff_sort_item *items,
                                ff_sort_item *scratch, size_t n) {
    if (n <= FF_SORT_FEW) {
        ff_sort_few(s, items, n, FF_KEY_WHERE);
        return;
    }
    ff_sort_word(s, items, scratch, n, FF_KEY_WHERE);
    for (size_t begin = 0, end; begin < n; begin = end) {
        for (end = begin; end < n && items[end].key == items[begin].key; end++)
            ff_sort_prefetch(s, items, end, n);
        if (end - begin > 1)
            ff_sort_rest(s, items + begin, scratch + begin, end - begin, FF_KEY_WHO);
    }
}

/* Put the items of all cells into the order of hours, that of arrival in each. */
static inline void ff_sort_hours(const ff_sorter *s, size_t n) {
    bool is_sorted = true;
    for (size_t i = 0; i < n; i++) {
        s->items[i].key = ff_cell_hour(&s->cells[i]);
        s->items[i].cell = (uint32_t)i;
        is_sorted &= i == 0 || s->items[i - 1].key <= s->items[i].key;
    }
    if (is_sorted) return;
    ff_sort_keys_in_place(s->items, s->scratch, n, 0);
}

/* Copy n cells out in a run's order. They lie all over the arena: each is asked for
 * some turns before it is wanted. */
static inline void ff_run_gather(const ff_cell *cells, const uint32_t *order, size_t n,
                                 ff_cell *out) {
    for (size_t i = 0; i < n; i++) {
        if (FF_LIKELY(i + FF_SORT_AHEAD < n))
            FF_PREFETCH(&cells[order[i + FF_SORT_AHEAD]]);
        out[i] = cells[order[i]];
    }
}

/* Give the lists of kinds of n cells the codes that another lexicon has for them. */
static inline void ff_run_translate(ff_cell *cells, size_t n,
                                    const uint32_t *kinds_map) {
    for (size_t i = 0; i < n; i++) {
        ff_sig *sig = &cells[i].sig;
        if (ff_cell_is_echo(&cells[i]) || sig->scale == 0) continue;
        uint32_t code = ff_sig_kinds(sig);
        sig->fixed += (uint64_t)kinds_map[code] - code;
    }
}

/* Find the order of the tally's n cells, at least one. countries[i] is the number of
 * the country of cell i's source, in the order of the codes. */
static inline void ff_run_sort(const ff_sorter *s, ff_tally *tally,
                               const uint16_t *countries, uint32_t *order) {
    size_t n = tally->n_cells;
    for (size_t i = 0; i < n; i++) tally->cells[i].country = countries[i];
    ff_sort_hours(s, n);
    for (size_t begin = 0, end; begin < n; begin = end) {
        uint64_t hour = s->items[begin].key;
        for (end = begin + 1; end < n && s->items[end].key == hour;) end++;
        ff_sort_hour(s, s->items + begin, s->scratch + begin, end - begin);
    }
    for (size_t i = 0; i < n; i++) order[i] = s->items[i].cell;
}

#endif
