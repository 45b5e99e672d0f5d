/* SPDX-License-Identifier: Apache-2.0 */
/* The one bounds rule: a span knows how many bytes lie behind its pointer, a parser
 * proves with ff_has() that the bytes it wants exist, and only then reads or skips.
 * Lengths from the wire are compared with what is left, never added to a pointer. */
#ifndef FASTFLOW_FF_SPAN_H
#define FASTFLOW_FF_SPAN_H

#include "fastflow/ff_base.h"

typedef struct ff_span {
    const uint8_t *p;
    size_t n;
} ff_span;

FF_INLINE bool ff_has(ff_span s, size_t need_bytes) { return s.n >= need_bytes; }

/* Drop the first n bytes; the caller has proved them with ff_has(). */
FF_INLINE void ff_skip(ff_span *s, size_t n_bytes) {
    s->p += n_bytes;
    s->n -= n_bytes;
}

/* Keep at most n bytes. */
FF_INLINE void ff_clip(ff_span *s, size_t n_bytes) {
    if (n_bytes < s->n) s->n = n_bytes;
}

#endif
