/* SPDX-License-Identifier: Apache-2.0 */
/* Whole numbers as places among their values, in the order in which these are met.
 * Whole values are compared, so that the hash's seed decides nothing but time. The
 * caller owns the arrays. */
#ifndef FASTFLOW_FF_CODES_H
#define FASTFLOW_FF_CODES_H

#include "fastflow/ff_hash.h"

typedef struct ff_codes {
    int64_t *values; /* room for one each number */
    size_t n_values; /* below 2^31 */
    uint32_t *slots; /* n_slots, a power of two: place of a value + 1, or 0 */
    size_t n_slots;
    uint64_t seed;
} ff_codes;

/* The slot of a value, or the empty one where it belongs. */
FF_INLINE uint32_t *ff_codes_slot(const ff_codes *c, int64_t value) {
    size_t mask = c->n_slots - 1;
    size_t at = (size_t)ff_fold((uint64_t)value ^ c->seed, FF_HASH_ODD_1 ^ c->seed);
    while (c->slots[at & mask] != 0 && c->values[c->slots[at & mask] - 1] != value)
        at++;
    return &c->slots[at & mask];
}

/* Write the places of numbers, from the `at`-th on; return how many have one. Where
 * these are not all, there were too few slots: at most half of them are used, so that
 * probing ends soon. Rows are sorted by a part of what they have: a number is often the
 * one before it. */
static inline size_t ff_codes_add(ff_codes *c, const int64_t *numbers, size_t n,
                                  size_t at, int32_t *places) {
    for (; at < n && c->n_values < c->n_slots / 2; at++) {
        if (at > 0 && numbers[at] == numbers[at - 1]) {
            places[at] = places[at - 1];
            continue;
        }
        uint32_t *slot = ff_codes_slot(c, numbers[at]);
        if (*slot == 0) {
            c->values[c->n_values++] = numbers[at];
            *slot = (uint32_t)c->n_values;
        }
        places[at] = (int32_t)(*slot - 1);
    }
    return at;
}

/* Fill freshly zeroed slots after the caller has put more of them in place. */
static inline void ff_codes_rehash(ff_codes *c) {
    for (size_t i = 0; i < c->n_values; i++)
        *ff_codes_slot(c, c->values[i]) = (uint32_t)i + 1;
}

#endif
