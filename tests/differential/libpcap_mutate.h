/* SPDX-License-Identifier: Apache-2.0 */
/* Damage to captures, as follows from a number. */
#ifndef LIBPCAP_MUTATE_H
#define LIBPCAP_MUTATE_H

#include "libpcap_readers.h"

#define MAX_MARKS 4096

/* A capture, and where its records and blocks begin. */
typedef struct seed {
    span whole;
    size_t marks[MAX_MARKS];
    size_t n_marks;
} seed;

static uint64_t rng_state;

/* xorshift64*, Marsaglia 2003 and Vigna 2016. */
static uint64_t rng(void) {
    rng_state ^= rng_state >> 12;
    rng_state ^= rng_state << 25;
    rng_state ^= rng_state >> 27;
    return rng_state * 0x2545f4914f6cdd1du;
}

static void rng_begin(uint64_t number, uint64_t index) {
    rng_state = (number + 1) * 0x9e3779b97f4a7c15u ^ (index + 1) * 0xd6e8feb86659fd93u;
    if (rng_state == 0) rng_state = 1;
    for (int i = 0; i < 4; i++) rng();
}

static size_t below(size_t n) { return n ? (size_t)(rng() % n) : 0; }

static bool one_in(size_t n) { return below(n) == 0; }

/* A place of s: at or near a record's beginning, in the first bytes, or anywhere. */
static size_t place(const seed *s) {
    size_t at = below(s->whole.n + 1);
    if (s->n_marks > 0 && !one_in(3)) at = s->marks[below(s->n_marks)] + below(40);
    if (one_in(5)) at = below(64);
    return at < s->whole.n ? at : s->whole.n;
}

/* A record's beginning to the byte, the end among them. */
static size_t boundary(const seed *s) {
    size_t which = below(s->n_marks + 1);
    return which == s->n_marks || one_in(8) ? place(s) : s->marks[which];
}

static void put_u32(uint8_t *p, uint32_t v) {
    if (one_in(2)) v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
}

/* Numbers at which something changes: limits, block types, magics, versions. */
static const uint32_t interesting[] = {
    0,          1,          2,          3,          4,          5,          6,
    8,          9,          12,         14,         16,         20,         24,
    28,         32,         0x7f,       0x80,       0xff,       0x7fff,     0xffff,
    0x10000,    65535,      999999,     1000000,    999999999,  1000000000, 262143,
    262144,     262145,     1048572,    1048576,    1048580,    16777216,   0x7fffffff,
    0x80000000, 0xfffffffc, 0xffffffff, 0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34, 0x0a0d0d0a,
    0x1a2b3c4d, 0x00040002, 0x00030002, 0x00020002, 101,        113,        239};

static void damage_field(const seed *s, span c) {
    size_t at = place(s) & ~(size_t)3;
    if (one_in(4)) at += below(4);
    if (c.n < 4 || at > c.n - 4) return;
    uint32_t v = ff_load_u32(c.data + at);
    if (one_in(2)) v = __builtin_bswap32(v);
    switch (below(4)) {
        case 0: put_u32(c.data + at, v + 1); break;
        case 1: put_u32(c.data + at, v - 1); break;
        case 2: put_u32(c.data + at, v + 4 * (uint32_t)below(16) - 32); break;
        default: put_u32(c.data + at, interesting[below(FF_COUNT_OF(interesting))]);
    }
}

static void damage_byte(const seed *s, span c) {
    static const uint8_t bytes[] = {0, 0xff, 0x7f, 0x80, 1};
    size_t at = place(s);
    if (at >= c.n) return;
    switch (below(4)) {
        case 0: c.data[at] ^= (uint8_t)(1u << below(8)); break;
        case 1: c.data[at] = bytes[below(sizeof bytes)]; break;
        case 2: c.data[at] = (uint8_t)(c.data[at] + (one_in(2) ? 1 : -1)); break;
        default: c.data[at] = (uint8_t)rng();
    }
}

/* The first `head` bytes of a, and b from `tail` on. */
static span joined(span a, size_t head, span b, size_t tail) {
    span c = {exact(head + b.n - tail), head + b.n - tail};
    if (head > 0) memcpy(c.data, a.data, head);
    if (tail < b.n) memcpy(c.data + head, b.data + tail, b.n - tail);
    return c;
}

/* A copy of a seed with something cut off, put in, left out, doubled or joined. */
static span reshaped(const seed *a, const seed *b) {
    span w = a->whole;
    size_t from = boundary(a), to = boundary(a);
    switch (below(7)) {
        case 0: return joined(w, place(a), w, w.n);            /* cut */
        case 1: return joined(w, from, b->whole, boundary(b)); /* spliced */
        case 2: return joined(w, from, w, to);                 /* doubled, left out */
        case 3: return joined(w, w.n, b->whole, 0);            /* joined */
        case 4: {
            span c = joined(w, w.n, w, w.n);
            size_t begin = from < to ? from : to, n = from < to ? to - from : from - to;
            if (n > 256) n = below(n);
            if (n > 0) memset(c.data + begin, 0, n);
            return c;
        }
        default: return joined(w, w.n, w, w.n);
    }
}

static span mutated(const seed *a, const seed *b) {
    span c = reshaped(a, b);
    for (size_t n = below(8); n > 0; n--) {
        if (one_in(2))
            damage_field(a, c);
        else
            damage_byte(a, c);
    }
    return c;
}

#endif
