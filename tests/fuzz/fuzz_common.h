/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets have in common: numbers that follow from the input, memory of
 * exactly the size that is asked for, and claims that hold for every input. */
#ifndef FUZZ_COMMON_H
#define FUZZ_COMMON_H

#include <stdio.h>
#include <stdlib.h>

#include "fastflow/ff_hash.h"

/* Now and then all keys get the same hash: whole keys must be compared. */
static bool is_hash_weak;
#define ff_hash4(a, b, c, d, seed) (is_hash_weak ? 0 : ff_hash4(a, b, c, d, seed))
#define ff_hash_words(p, n, seed) (is_hash_weak ? 0 : ff_hash_words(p, n, seed))

#include "fastflow/ff_scan.h"

#define CHECK(claim)                                                                   \
    do {                                                                               \
        if (!(claim)) {                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #claim); \
            abort();                                                                   \
        }                                                                              \
    } while (0)

/* --- numbers that follow from the input ---------------------------------------- */

static uint64_t rng_state;

static uint64_t rng(void) {
    rng_state += FF_HASH_ODD_1;
    return ff_fold(rng_state, FF_HASH_ODD_2);
}

static size_t below(size_t n) { return (size_t)(rng() % n); }

static uint64_t digest(uint64_t h, const void *data, size_t n) {
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

/* --- memory, always of the exact size -------------------------------------------- */

static void *exact(size_t n_bytes) {
    void *p = calloc(n_bytes ? n_bytes : 1, 1);
    CHECK(p != NULL);
    return p;
}

static void *regrown(void *old, size_t n_bytes) {
    void *p = realloc(old, n_bytes);
    CHECK(p != NULL);
    return p;
}

static size_t slots_for(size_t n_slots, size_t used) {
    while (n_slots / 2 < used) n_slots *= 2;
    return n_slots;
}

static void dict_room(ff_dict *d, size_t n) {
    size_t entries = d->n_entries + n, text_bytes = d->text_bytes + n * d->text_max;
    if (entries > d->entries_cap) {
        d->keys = regrown(d->keys, entries * d->key_bytes);
        d->offsets = regrown(d->offsets, (entries + 1) * sizeof *d->offsets);
        if (d->entries_cap == 0) d->offsets[0] = 0;
        d->entries_cap = entries;
    }
    if (text_bytes > d->text_cap) {
        d->text = regrown(d->text, text_bytes);
        d->text_cap = text_bytes;
    }
    size_t n_slots = slots_for(d->n_slots, entries);
    if (n_slots > d->n_slots) {
        free(d->slots);
        d->slots = exact(n_slots * sizeof *d->slots);
        d->n_slots = n_slots;
        ff_dict_rehash(d);
    }
    CHECK(ff_dict_has_room(d, n));
}

static void lexicon_room(ff_lexicon *lexicon, size_t n) {
    dict_room(&lexicon->kinds, n);
    dict_room(&lexicon->signatures, n);
}

static void dict_begin(ff_dict *d, size_t key_bytes, size_t text_max) {
    if (d->n_slots == 0) {
        d->n_slots = 64;
        d->slots = exact(d->n_slots * sizeof *d->slots);
    }
    d->key_bytes = key_bytes;
    d->text_max = text_max;
    dict_room(d, 1);
}

/* Lexicons keep their memory from one input to the next, and nothing else. */
static void lexicon_begin(ff_lexicon *lexicon, uint64_t seed) {
    dict_begin(&lexicon->kinds, FF_KINDS_KEY_BYTES, FF_KINDS_TEXT_MAX);
    dict_begin(&lexicon->signatures, FF_SIG_KEY_BYTES, FF_SIG_TEXT_MAX);
    ff_lexicon_clear(lexicon);
    lexicon->kinds.seed = lexicon->signatures.seed = seed;
}

#endif
