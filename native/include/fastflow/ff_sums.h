/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a stretch of time added up: by value and block of hours, to see which values
 * may matter, and then by all that tells them apart, to cells. Rows give values as
 * places in tables of the caller's, who has proved by ff_sums_are_below() that they lie
 * there. Sums stay below 2^63; whole numbers are added, so that no result depends on
 * the order of rows. */
#ifndef FASTFLOW_FF_SUMS_H
#define FASTFLOW_FF_SUMS_H

#include "fastflow/ff_hash.h"

/* Columns that tell rows apart. */
#define FF_SUMS_COLUMNS 8u

/* Are all numbers from 0 on, below n? Without a comparison, so that any processor does
 * several at a time. */
static inline bool ff_sums_are_below(const int32_t *numbers, size_t n_numbers,
                                     int32_t n) {
    uint32_t signs = 0;
    for (size_t i = 0; i < n_numbers; i++) {
        uint32_t number = (uint32_t)numbers[i];
        signs |= number | ((uint32_t)n - 1 - number);
    }
    return signs >> 31 == 0;
}

/* Add packets of rows to sums[starts[hour] + number], where hours of a block have the
 * same start. Rows lie about in the order of time, so that a block's sums stay in a
 * cache. */
static inline void ff_sums_by_block(const int32_t *places, const int32_t *numbers,
                                    const int32_t *hours, const int64_t *starts,
                                    const int64_t *packets, size_t n_rows,
                                    int64_t *sums) {
    for (size_t i = 0; i < n_rows; i++)
        sums[starts[hours[i]] + numbers[places[i]]] += packets[i];
}

/* What a column says of rows. */
typedef struct ff_sums_column {
    const int32_t *places;   /* of each row, in the two tables below */
    const int32_t *numbers;  /* rows with the same number need not be told apart */
    const uint32_t *rollups; /* bits: the roll-ups that a row of the value may be in */
    uint64_t n_numbers;
} ff_sums_column;

/* Rows that agree in all columns and the hour. */
typedef struct ff_sums_cell {
    uint64_t key; /* the numbers of all columns as digits of one */
    int64_t packets;
    int64_t sources;
    uint64_t row; /* the first one */
} ff_sums_cell;

typedef struct ff_sums {
    ff_sums_column columns[FF_SUMS_COLUMNS]; /* every n_numbers, multiplied: < 2^64 */
    size_t n_columns;
    const int32_t *hours; /* below n_hours */
    size_t n_hours;
    const int64_t *packets;
    const int64_t *sources;
    size_t n_rows;       /* below 2^32 */
    uint32_t *rows;      /* in the order of hours */
    ff_sums_cell *cells; /* room for one each row */
    size_t n_cells;
    size_t n_before; /* cells of hours before this one */
    int32_t hour;    /* this one; -1: none yet */
    uint32_t *slots; /* n_slots, a power of two: number of a cell + 1, or 0 */
    size_t n_slots;
    uint64_t seed;
} ff_sums;

/* Put rows in the order of hours, so that the cells of one hour, which are few, stay in
 * a cache. `begins` is scratch, n_hours zeros. */
static inline void ff_sums_order(ff_sums *s, size_t *begins) {
    size_t n_before = 0;
    for (size_t row = 0; row < s->n_rows; row++) begins[s->hours[row]]++;
    for (size_t hour = 0; hour < s->n_hours; hour++) {
        size_t n_mine = begins[hour];
        begins[hour] = n_before;
        n_before += n_mine;
    }
    for (size_t row = 0; row < s->n_rows; row++)
        s->rows[begins[s->hours[row]]++] = (uint32_t)row;
}

FF_INLINE size_t ff_sums_hash(const ff_sums *s, uint64_t key) {
    return (size_t)ff_fold(key ^ s->seed, FF_HASH_ODD_1 ^ s->seed) & (s->n_slots - 1);
}

/* Is a row in any roll-up? Its key. */
FF_INLINE bool ff_sums_key(const ff_sums *s, size_t row, uint64_t *key) {
    uint32_t rollups = UINT32_MAX;
    uint64_t digits = 0;
    for (size_t c = 0; c < s->n_columns; c++) {
        const ff_sums_column *column = &s->columns[c];
        int32_t place = column->places[row];
        rollups &= column->rollups[place];
        digits = digits * column->n_numbers + (uint64_t)column->numbers[place];
    }
    *key = digits;
    return rollups != 0;
}

FF_INLINE void ff_sums_add_row(ff_sums *s, uint64_t key, size_t row) {
    size_t at = ff_sums_hash(s, key);
    for (; s->slots[at] != 0; at = (at + 1) & (s->n_slots - 1)) {
        ff_sums_cell *cell = &s->cells[s->slots[at] - 1];
        if (cell->key != key) continue;
        cell->packets += s->packets[row];
        cell->sources += s->sources[row];
        return;
    }
    s->cells[s->n_cells] = (ff_sums_cell){key, s->packets[row], s->sources[row], row};
    s->slots[at] = (uint32_t)++s->n_cells;
}

static inline void ff_sums_begin_hour(ff_sums *s, int32_t hour) {
    memset(s->slots, 0, s->n_slots * sizeof *s->slots);
    s->hour = hour;
    s->n_before = s->n_cells;
}

/* Add up rows, from the `at`-th on in the order of hours; return how many have been
 * taken. Where these are not all, there were too few slots: at most half of them are
 * used, so that probing ends soon. */
static inline size_t ff_sums_add(ff_sums *s, size_t at) {
    for (; at < s->n_rows; at++) {
        uint64_t key;
        uint32_t row = s->rows[at];
        if (s->hours[row] != s->hour) ff_sums_begin_hour(s, s->hours[row]);
        if (s->n_cells - s->n_before >= s->n_slots / 2) break;
        if (ff_sums_key(s, row, &key)) ff_sums_add_row(s, key, row);
    }
    return at;
}

/* Fill freshly zeroed slots after the caller has put more of them in place. */
static inline void ff_sums_rehash(ff_sums *s) {
    for (size_t i = s->n_before; i < s->n_cells; i++) {
        size_t at = ff_sums_hash(s, s->cells[i].key);
        while (s->slots[at] != 0) at = (at + 1) & (s->n_slots - 1);
        s->slots[at] = (uint32_t)i + 1;
    }
}

/* Write the first row of each cell, and its packets and sources, side by side. */
static inline void ff_sums_end(const ff_sums *s, int64_t *rows, int64_t *sums) {
    for (size_t i = 0; i < s->n_cells; i++) {
        rows[i] = (int64_t)s->cells[i].row;
        sums[2 * i] = s->cells[i].packets;
        sums[2 * i + 1] = s->cells[i].sources;
    }
}

#endif
