/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4. Source: RFC 791, section 3.1. Accessors expect a header that
 * ff_ipv4_parse() has accepted. */
#ifndef FASTFLOW_FF_IPV4_H
#define FASTFLOW_FF_IPV4_H

#include "fastflow/ff_span.h"
#include "fastflow/ff_view.h"

#define FF_IPV4_MIN_BYTES 20

FF_INLINE size_t ff_ipv4_header_bytes(const uint8_t *ip) { return (ip[0] & 15u) * 4u; }
FF_INLINE uint16_t ff_ipv4_total_bytes(const uint8_t *ip) {
    return ff_load_be16(ip + 2);
}
/* Fragment offset: 13 bits in units of 8 bytes. */
FF_INLINE uint16_t ff_ipv4_frag_bytes(const uint8_t *ip) {
    return (uint16_t)((ff_load_be16(ip + 6) & 0x1fff) * 8);
}
FF_INLINE bool ff_ipv4_more_fragments(const uint8_t *ip) { return ip[6] & 0x20; }

/* Check the header whose version nibble is 4; s then holds what follows it. A total
 * length of 0 is what segmentation offload leaves: the captured length stands in. */
FF_INLINE enum ff_state ff_ipv4_parse(ff_span *s, ff_view *v) {
    if (!ff_has(*s, FF_IPV4_MIN_BYTES)) return FF_STATE_ip_truncated;
    const uint8_t *ip = s->p;
    size_t header_bytes = ff_ipv4_header_bytes(ip);
    if (header_bytes < FF_IPV4_MIN_BYTES) return FF_STATE_ip_bad_ihl;
    size_t total_bytes = ff_ipv4_total_bytes(ip);
    if (total_bytes < header_bytes && total_bytes > 0) return FF_STATE_ip_bad_length;
    if (!ff_has(*s, header_bytes)) return FF_STATE_ip_truncated;
    if (FF_UNLIKELY(total_bytes == 0)) total_bytes = s->n;
    v->ip = ip;
    v->ip_version = 4;
    v->layers |= FF_BIT(IP) | FF_BIT(IPV4);
    v->ip_len_bytes = (uint32_t)total_bytes;
    v->proto = ip[9];
    v->frag_bytes = ff_ipv4_frag_bytes(ip);
    ff_clip(s, total_bytes);
    ff_skip(s, header_bytes);
    return FF_STATE_ok;
}

#endif
