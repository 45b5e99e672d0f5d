/* SPDX-License-Identifier: Apache-2.0 */
/* IPv6 and its extension headers. Source: RFC 8200, sections 3 and 4; RFC 4302 for
 * the length of AH. Accessors expect a header that ff_ipv6_parse() has accepted. */
#ifndef FASTFLOW_FF_IPV6_H
#define FASTFLOW_FF_IPV6_H

#include "fastflow/ff_span.h"
#include "fastflow/ff_view.h"

#define FF_IPV6_HEADER_BYTES 40
#define FF_IPV6_EXT_MAX 16

enum ff_ipv6_ext {
    FF_IPV6_HOP_BY_HOP = 0,
    FF_IPV6_ROUTING = 43,
    FF_IPV6_FRAGMENT = 44,
    FF_IPV6_AH = 51,
    FF_IPV6_NO_NEXT = 59,
    FF_IPV6_DESTINATION = 60,
    FF_IPV6_MOBILITY = 135,
    FF_IPV6_HIP = 139,
    FF_IPV6_SHIM6 = 140
};

FF_INLINE uint8_t ff_ipv6_traffic_class(const uint8_t *ip) {
    return (uint8_t)(ff_load_be16(ip) >> 4);
}
FF_INLINE uint16_t ff_ipv6_payload_bytes(const uint8_t *ip) {
    return ff_load_be16(ip + 4);
}

static inline bool ff_ipv6_is_ext(uint8_t next) {
    switch (next) {
        case FF_IPV6_HOP_BY_HOP:
        case FF_IPV6_ROUTING:
        case FF_IPV6_FRAGMENT:
        case FF_IPV6_AH:
        case FF_IPV6_DESTINATION:
        case FF_IPV6_MOBILITY:
        case FF_IPV6_HIP:
        case FF_IPV6_SHIM6: return true;
        default: return false;
    }
}

/* Bytes of an extension header whose first 8 bytes are there. */
static inline size_t ff_ipv6_ext_bytes(uint8_t kind, const uint8_t *ext) {
    if (kind == FF_IPV6_FRAGMENT) return 8;
    if (kind == FF_IPV6_AH) return (ext[1] + 2u) * 4u;
    return (ext[1] + 1u) * 8u;
}

typedef struct ff_ipv6_walk {
    bool out_of_order;   /* hop-by-hop not first, or a header too often */
    bool more_fragments; /* a fragment header with its M flag set */
    size_t ext_bytes;    /* of all extension headers walked */
} ff_ipv6_walk;

/* Step over extension headers, at most 16, in whatever order they come; stop behind
 * the header of a later fragment, where no transport header follows. */
static inline enum ff_state ff_ipv6_walk_ext(ff_span *s, ff_view *v, ff_ipv6_walk *w) {
    uint64_t seen[4] = {0}; /* bit per kind; destination options may come twice */
    bool destination_twice = false;
    for (int n_ext = 0; ff_ipv6_is_ext(v->proto); n_ext++) {
        uint8_t kind = v->proto;
        if (n_ext == FF_IPV6_EXT_MAX) return FF_STATE_too_many_ext;
        if (!ff_has(*s, 8)) return FF_STATE_ip6_ext_truncated;
        size_t ext_bytes = ff_ipv6_ext_bytes(kind, s->p);
        if (!ff_has(*s, ext_bytes)) return FF_STATE_ip6_ext_truncated;
        bool repeated = seen[kind >> 6] >> (kind & 63) & 1;
        if (kind == FF_IPV6_HOP_BY_HOP && n_ext > 0) w->out_of_order = true;
        if (repeated && (kind != FF_IPV6_DESTINATION || destination_twice))
            w->out_of_order = true;
        if (repeated && kind == FF_IPV6_DESTINATION) destination_twice = true;
        seen[kind >> 6] |= (uint64_t)1 << (kind & 63);
        v->proto = s->p[0];
        w->ext_bytes += ext_bytes;
        if (kind == FF_IPV6_FRAGMENT) {
            w->more_fragments |= s->p[3] & 1;
            v->frag_bytes = ff_load_be16(s->p + 2) & 0xfff8;
        }
        ff_skip(s, ext_bytes);
        if (v->frag_bytes > 0) return FF_STATE_ok;
    }
    return FF_STATE_ok;
}

/* Check the header whose version nibble is 6; s then holds what follows it. */
FF_INLINE enum ff_state ff_ipv6_parse(ff_span *s, ff_view *v) {
    if (!ff_has(*s, FF_IPV6_HEADER_BYTES)) return FF_STATE_ip_truncated;
    const uint8_t *ip = s->p;
    size_t total_bytes = FF_IPV6_HEADER_BYTES + (size_t)ff_ipv6_payload_bytes(ip);
    /* Payload length 0 is a jumbogram's or an offloaded segment's, unless nothing is
     * said to follow. */
    if (total_bytes == FF_IPV6_HEADER_BYTES && ip[6] != FF_IPV6_NO_NEXT)
        total_bytes = s->n;
    v->ip = ip;
    v->ip_version = 6;
    v->layers |= FF_BIT(IP);
    v->ip_len_bytes = (uint32_t)total_bytes;
    v->proto = ip[6];
    v->frag_bytes = 0;
    ff_clip(s, total_bytes);
    ff_skip(s, FF_IPV6_HEADER_BYTES);
    return FF_STATE_ok;
}

#endif
