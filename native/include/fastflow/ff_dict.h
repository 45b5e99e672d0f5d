/* SPDX-License-Identifier: Apache-2.0 */
/* An append-only dictionary: each distinct key of fixed width gets the next code and
 * keeps a text for it. Whole keys are compared. The caller owns the arrays and makes
 * room before a run of insertions; nothing is allocated here. */
#ifndef FASTFLOW_FF_DICT_H
#define FASTFLOW_FF_DICT_H

#include "fastflow/ff_hash.h"

typedef struct ff_dict {
    uint8_t *keys; /* entries_cap * key_bytes */
    int64_t
        *offsets;    /* entries_cap + 1: entry i's text is [offsets[i], offsets[i+1]) */
    uint8_t *text;   /* text_cap */
    uint32_t *slots; /* n_slots, a power of two: code + 1, or 0 for empty */
    size_t key_bytes; /* a multiple of 8 */
    size_t text_max;  /* longest text of an entry */
    size_t n_entries, entries_cap;
    size_t n_slots;
    size_t text_bytes, text_cap;
    uint64_t seed;
} ff_dict;

/* May n more entries be added? At most half of the slots are used, so that probing
 * always ends at an empty one, soon. */
static inline bool ff_dict_has_room(const ff_dict *d, size_t n) {
    return d->entries_cap - d->n_entries >= n && d->n_slots / 2 >= d->n_entries + n &&
           d->text_cap - d->text_bytes >= n * d->text_max;
}

FF_INLINE uint64_t ff_dict_hash(const uint8_t *key, size_t key_bytes, uint64_t seed) {
    return ff_hash_words(key, key_bytes, seed);
}

/* Return the key's code. A new key must be given its text by ff_dict_add_text(). */
FF_INLINE uint32_t ff_dict_code(ff_dict *d, const uint8_t *key, size_t key_bytes,
                                uint64_t hash, bool *is_new) {
    size_t mask = d->n_slots - 1;
    size_t at = (size_t)hash & mask;
    *is_new = false;
    for (; d->slots[at] != 0; at = (at + 1) & mask) {
        uint32_t code = d->slots[at] - 1;
        if (memcmp(d->keys + code * key_bytes, key, key_bytes) == 0) return code;
    }
    *is_new = true;
    memcpy(d->keys + d->n_entries * key_bytes, key, key_bytes);
    d->slots[at] = (uint32_t)d->n_entries + 1;
    return (uint32_t)d->n_entries++;
}

/* Give the newest entry its text; t has at most text_max bytes. */
static inline void ff_dict_add_text(ff_dict *d, const char *t, size_t n_bytes) {
    memcpy(d->text + d->text_bytes, t, n_bytes);
    d->text_bytes += n_bytes;
    d->offsets[d->n_entries] = (int64_t)d->text_bytes;
}

/* Fill freshly zeroed slots after the caller has put a larger array in place. */
static inline void ff_dict_rehash(ff_dict *d) {
    size_t mask = d->n_slots - 1;
    for (size_t i = 0; i < d->n_entries; i++) {
        const uint8_t *key = d->keys + i * d->key_bytes;
        size_t at = (size_t)ff_dict_hash(key, d->key_bytes, d->seed) & mask;
        while (d->slots[at] != 0) at = (at + 1) & mask;
        d->slots[at] = (uint32_t)i + 1;
    }
}

static inline void ff_dict_clear(ff_dict *d) {
    d->n_entries = 0;
    d->text_bytes = 0;
    d->offsets[0] = 0;
    memset(d->slots, 0, d->n_slots * sizeof *d->slots);
}

#endif
