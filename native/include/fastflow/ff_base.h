/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler helpers and byte-order loads. Everything else includes this.
 * Loads go through memcpy: no alignment and no aliasing rule is ever broken, and
 * compilers turn each into one instruction. */
#ifndef FASTFLOW_FF_BASE_H
#define FASTFLOW_FF_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FF_LIKELY(x) __builtin_expect(!!(x), 1)
#define FF_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define FF_PREFETCH(p) __builtin_prefetch(p)
#define FF_INLINE static inline __attribute__((always_inline))
/* For what is rare, so that it stays out of the way of what is not. */
#define FF_OUTLINE static __attribute__((noinline, unused))
#define FF_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static inline uint16_t ff_load_u16(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t ff_load_u32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t ff_load_u64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void ff_store_u64(uint8_t *p, uint64_t v) { memcpy(p, &v, sizeof v); }

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static inline void ff_store_be64(uint8_t *p, uint64_t v) {
    ff_store_u64(p, __builtin_bswap64(v));
}
static inline uint16_t ff_load_be16(const uint8_t *p) {
    return __builtin_bswap16(ff_load_u16(p));
}
static inline uint32_t ff_load_be32(const uint8_t *p) {
    return __builtin_bswap32(ff_load_u32(p));
}
static inline uint64_t ff_load_be64(const uint8_t *p) {
    return __builtin_bswap64(ff_load_u64(p));
}
static inline uint16_t ff_load_le16(const uint8_t *p) { return ff_load_u16(p); }
static inline uint32_t ff_load_le32(const uint8_t *p) { return ff_load_u32(p); }
static inline uint64_t ff_load_le64(const uint8_t *p) { return ff_load_u64(p); }
#else
static inline void ff_store_be64(uint8_t *p, uint64_t v) { ff_store_u64(p, v); }
static inline uint16_t ff_load_be16(const uint8_t *p) { return ff_load_u16(p); }
static inline uint32_t ff_load_be32(const uint8_t *p) { return ff_load_u32(p); }
static inline uint64_t ff_load_be64(const uint8_t *p) { return ff_load_u64(p); }
static inline uint16_t ff_load_le16(const uint8_t *p) {
    return __builtin_bswap16(ff_load_u16(p));
}
static inline uint32_t ff_load_le32(const uint8_t *p) {
    return __builtin_bswap32(ff_load_u32(p));
}
static inline uint64_t ff_load_le64(const uint8_t *p) {
    return __builtin_bswap64(ff_load_u64(p));
}
#endif

#endif
