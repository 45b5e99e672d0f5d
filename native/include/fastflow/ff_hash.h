/* SPDX-License-Identifier: Apache-2.0 */
/* A seeded hash for tables of untrusted keys: 64x64->128 bit multiplications folded,
 * in the manner of wyhash (Wang Yi). Tables compare whole keys and results are sorted,
 * so that no result depends on the seed. */
#ifndef FASTFLOW_FF_HASH_H
#define FASTFLOW_FF_HASH_H

#include "fastflow/ff_base.h"

#define FF_HASH_ODD_1 0x9e3779b97f4a7c15u
#define FF_HASH_ODD_2 0xd6e8feb86659fd93u

FF_INLINE uint64_t ff_fold(uint64_t a, uint64_t b) {
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

FF_INLINE uint64_t ff_hash4(uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                            uint64_t seed) {
    uint64_t first = ff_fold(a ^ seed, b ^ FF_HASH_ODD_1);
    uint64_t second = ff_fold(c ^ seed, d ^ FF_HASH_ODD_2);
    return ff_fold(first ^ seed, second ^ FF_HASH_ODD_1);
}

/* Of n bytes, n a multiple of 8. */
static inline uint64_t ff_hash_words(const uint8_t *p, size_t n_bytes, uint64_t seed) {
    uint64_t h = seed;
    for (size_t at = 0; at < n_bytes; at += 8)
        h = ff_fold(h ^ ff_load_u64(p + at), FF_HASH_ODD_1 ^ seed);
    return ff_fold(h ^ n_bytes, FF_HASH_ODD_2);
}

#endif
