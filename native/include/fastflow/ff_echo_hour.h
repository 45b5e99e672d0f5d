/* SPDX-License-Identifier: Apache-2.0 */
/* A victim's hour: the bins of its cells, sketches and single ones, added up. */
#ifndef FASTFLOW_FF_ECHO_HOUR_H
#define FASTFLOW_FF_ECHO_HOUR_H

#include "fastflow/ff_echo.h"

#define FF_ECHO_HOUR_WORDS (FF_ECHO_BINS_PER_HOUR / 64 + 1)

/* All zero: nothing has been added. */
typedef struct ff_echo_hour {
    uint64_t is_there[FF_ECHO_HOUR_WORDS]; /* a bit for each bin with packets */
    int64_t packets[FF_ECHO_BINS_PER_HOUR];
} ff_echo_hour;

FF_INLINE void ff_echo_hour_add(ff_echo_hour *hour, size_t bin, int64_t packets) {
    if (FF_UNLIKELY(bin >= FF_ECHO_BINS_PER_HOUR)) return;
    hour->is_there[bin / 64] |= (uint64_t)1 << bin % 64;
    hour->packets[bin] += packets;
}

/* The n-th word of the bits of a sketch as rows have it; see ff_row_sketch(). */
FF_INLINE uint64_t ff_sketch_word(const uint8_t *sketch, size_t n) {
    return ff_load_le64(sketch + 8 * n);
}

/* How many bins it shows. */
FF_INLINE size_t ff_sketch_bins(const uint8_t *sketch) {
    size_t n = 0;
    for (size_t word = 0; word < FF_ECHO_SKETCH_WORDS; word++)
        n += (size_t)__builtin_popcountll(ff_sketch_word(sketch, word));
    return n;
}

/* Add a cell of the hour, by its slot; ports are no bins. */
static inline void ff_echo_hour_take(ff_echo_hour *hour, uint32_t slot,
                                     const uint8_t *sketch, int64_t packets) {
    if (slot >= FF_ECHO_SKETCHES) {
        ff_echo_hour_add(hour, slot - FF_ECHO_SKETCHES, packets);
        return;
    }
    for (size_t word = 0; word < FF_ECHO_SKETCH_WORDS; word++) {
        uint64_t bits = ff_sketch_word(sketch, word);
        for (; bits != 0; bits &= bits - 1) {
            size_t bit = 64 * word + (size_t)__builtin_ctzll(bits);
            ff_echo_hour_add(hour, slot * FF_ECHO_BINS_PER_SKETCH + bit, 1);
        }
    }
}

/* Write its bins in order, numbered from `first` on, and their packets; return how
 * many, and begin anew. */
static inline size_t ff_echo_hour_end(ff_echo_hour *hour, int32_t first, int32_t *bins,
                                      int64_t *packets) {
    size_t n = 0;
    for (size_t word = 0; word < FF_ECHO_HOUR_WORDS; word++) {
        uint64_t bits = hour->is_there[word];
        for (; bits != 0; bits &= bits - 1) {
            size_t bin = 64 * word + (size_t)__builtin_ctzll(bits);
            bins[n] = first + (int32_t)bin;
            packets[n++] = hour->packets[bin];
            hour->packets[bin] = 0;
        }
        hour->is_there[word] = 0;
    }
    return n;
}

#endif
