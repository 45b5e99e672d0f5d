/* SPDX-License-Identifier: Apache-2.0 */
/* Hourly series of the slices of one roll-up: cells, which are in the order of hours,
 * sorted by slice, by radix, and neighbours added up. A slice is kept that has enough
 * packets in some hour, or in all. All arrays belong to the caller and have room for
 * each cell; sums stay below 2^63. */
#ifndef FASTFLOW_FF_SLICES_H
#define FASTFLOW_FF_SLICES_H

#include "fastflow/ff_base.h"

/* Wider slices than those looked for, of all roll-ups. */
#define FF_SLICES_WIDER 8u

/* A digit's counters fit into the first cache. */
#define FF_SLICES_DIGIT_BITS 11u
#define FF_SLICES_DIGITS (1u << FF_SLICES_DIGIT_BITS)

/* A cell in a slice. */
typedef struct ff_slices_entry {
    uint64_t code; /* of the slice */
    uint32_t cell;
    int32_t hour;
} ff_slices_entry;

typedef struct ff_slices {
    const int32_t *hours; /* of each cell, ascending */
    const int64_t *sums;  /* packets and sources of each, side by side */
    size_t n_cells;       /* below 2^31 */
    /* Wider slices: of each cell, 0 where it is in none that was kept. The first
     * n_digits make the code of a slice; they are below 2^63. */
    const int32_t *wider[FF_SLICES_WIDER];
    uint64_t n_wider_slices[FF_SLICES_WIDER]; /* the largest number in `wider` */
    size_t n_wider;
    size_t n_digits;
    double least_in_hour;
    double least_in_all;
    ff_slices_entry *entries;
    ff_slices_entry *spare;
    /* What is found. */
    int64_t *codes; /* of each slice kept, ascending */
    int64_t *lengths;
    size_t n_slices;
    int32_t *series_hours; /* of those hours of a slice that have cells */
    int64_t *series_packets;
    int64_t *series_sources;
    size_t n_series;
    int32_t *of_cell; /* 1 and up: the slice kept that it is in; zeroed before */
} ff_slices;

/* Write an entry for each cell that is in all wider slices; return how many. */
static inline size_t ff_slices_enter(const ff_slices *s, uint64_t *largest) {
    size_t n = 0;
    *largest = 0;
    for (size_t cell = 0; cell < s->n_cells; cell++) {
        uint64_t code = 0;
        bool is_in = true;
        for (size_t w = 0; w < s->n_wider; w++) {
            int32_t slice = s->wider[w][cell];
            is_in &= slice > 0;
            if (w < s->n_digits)
                code = code * s->n_wider_slices[w] + (uint64_t)slice - 1;
        }
        s->entries[n] = (ff_slices_entry){code, (uint32_t)cell, s->hours[cell]};
        n += is_in;
        *largest = is_in && code > *largest ? code : *largest;
    }
    return n;
}

/* Sort entries by one digit of their codes, equal ones in the order they have. */
static inline void ff_slices_sort_digit(const ff_slices_entry *from, size_t n,
                                        unsigned shift, ff_slices_entry *to) {
    size_t begins[FF_SLICES_DIGITS] = {0};
    size_t n_before = 0;
    for (size_t i = 0; i < n; i++)
        begins[from[i].code >> shift & (FF_SLICES_DIGITS - 1)]++;
    for (size_t digit = 0; digit < FF_SLICES_DIGITS; digit++) {
        size_t n_mine = begins[digit];
        begins[digit] = n_before;
        n_before += n_mine;
    }
    for (size_t i = 0; i < n; i++)
        to[begins[from[i].code >> shift & (FF_SLICES_DIGITS - 1)]++] = from[i];
}

static inline void ff_slices_sort(ff_slices *s, size_t n, uint64_t largest) {
    for (unsigned shift = 0; shift < 64 && largest >> shift != 0;
         shift += FF_SLICES_DIGIT_BITS) {
        ff_slices_sort_digit(s->entries, n, shift, s->spare);
        ff_slices_entry *sorted = s->spare;
        s->spare = s->entries;
        s->entries = sorted;
    }
}

/* Add up the entries of one slice, from `at` to `end`, hour by hour; keep it or not. */
static inline void ff_slices_take(ff_slices *s, size_t at, size_t end) {
    size_t n = s->n_series;
    int64_t most = 0;
    int64_t in_all = 0;
    for (size_t i = at; i < end; n++) {
        int32_t hour = s->entries[i].hour;
        int64_t packets = 0;
        int64_t sources = 0;
        for (; i < end && s->entries[i].hour == hour; i++) {
            packets += s->sums[2 * (size_t)s->entries[i].cell];
            sources += s->sums[2 * (size_t)s->entries[i].cell + 1];
        }
        s->series_hours[n] = hour;
        s->series_packets[n] = packets;
        s->series_sources[n] = sources;
        most = packets > most ? packets : most;
        in_all += packets;
    }
    if ((double)most < s->least_in_hour && (double)in_all < s->least_in_all) return;
    s->codes[s->n_slices] = (int64_t)s->entries[at].code;
    s->lengths[s->n_slices++] = (int64_t)(n - s->n_series);
    s->n_series = n;
    for (size_t i = at; i < end; i++)
        s->of_cell[s->entries[i].cell] = (int32_t)s->n_slices;
}

/* Find the slices to keep. */
static inline void ff_slices_find(ff_slices *s) {
    uint64_t largest;
    size_t n = ff_slices_enter(s, &largest);
    ff_slices_sort(s, n, largest);
    s->n_slices = s->n_series = 0;
    for (size_t at = 0, end = 0; at < n; at = end) {
        while (end < n && s->entries[end].code == s->entries[at].code) end++;
        ff_slices_take(s, at, end);
    }
}

#endif
