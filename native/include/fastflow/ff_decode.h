/* SPDX-License-Identifier: Apache-2.0 */
/* One packet, from its link header to its transport header, into a view; on through
 * tunnels where those are to be opened. Layers are taken one after the other, at most
 * 16 of them; nothing recurses. */
#ifndef FASTFLOW_FF_DECODE_H
#define FASTFLOW_FF_DECODE_H

#include "fastflow/ff_icmp.h"
#include "fastflow/ff_ip_proto.h"
#include "fastflow/ff_ipv4.h"
#include "fastflow/ff_ipv6.h"
#include "fastflow/ff_link.h"
#include "fastflow/ff_tcp.h"
#include "fastflow/ff_traffic.h"
#include "fastflow/ff_tunnel.h"
#include "fastflow/ff_udp.h"
#include "fastflow/ff_view.h"

/* What the network layer leaves to the transport layer. */
typedef struct ff_transport {
    ff_span s;           /* captured bytes, within the IP length */
    size_t wire_bytes;   /* bytes by the IP length, captured or not */
    bool more_fragments; /* the rest of the header may be in another packet */
} ff_transport;

FF_INLINE void ff_set_payload(ff_view *v, size_t wire_bytes, size_t header_bytes) {
    if (wire_bytes < header_bytes) return;
    v->payload_bytes = (uint32_t)(wire_bytes - header_bytes);
    v->layers |= FF_BIT(PAYLOAD);
}

FF_INLINE void ff_decode_ports(const ff_transport *t, ff_view *v) {
    if (!ff_has(t->s, 4)) return;
    v->ports = t->s.p;
    v->layers |= FF_BIT(PORTS);
}

/* Fixed fields need the 20 fixed bytes; the options need the whole header, so that
 * they are either known completely or not at all. */
FF_INLINE void ff_decode_tcp(const ff_transport *t, ff_view *v) {
    ff_decode_ports(t, v);
    if (FF_UNLIKELY(!ff_has(t->s, FF_TCP_MIN_BYTES))) {
        ff_view_fault(v, FF_STATE_l4_truncated);
        return;
    }
    const uint8_t *tcp = t->s.p;
    v->tcp = tcp;
    v->layers |= FF_BIT(TCP);
    v->traffic = (uint8_t)ff_traffic_of_tcp(ff_tcp_flags(tcp));
    size_t header_bytes = ff_tcp_header_bytes(tcp);
    if (FF_UNLIKELY(header_bytes < FF_TCP_MIN_BYTES ||
                    (header_bytes > t->wire_bytes && !t->more_fragments))) {
        ff_view_fault(v, FF_STATE_tcp_bad_doff);
        return;
    }
    ff_set_payload(v, t->wire_bytes, header_bytes);
    if (FF_UNLIKELY(!ff_has(t->s, header_bytes))) {
        ff_view_fault(v, FF_STATE_l4_truncated);
        return;
    }
    v->options_bytes = (uint8_t)(header_bytes - FF_TCP_MIN_BYTES);
    v->layers |= FF_BIT(OPTIONS);
}

/* Protocols with ports and a header of fixed length. */
FF_INLINE void ff_decode_ported(const ff_transport *t, size_t header_bytes,
                                ff_view *v) {
    ff_decode_ports(t, v);
    if (ff_has(t->s, header_bytes))
        ff_set_payload(v, t->wire_bytes, header_bytes);
    else
        ff_view_fault(v, FF_STATE_l4_truncated);
}

FF_INLINE void ff_decode_udp(const ff_transport *t, ff_view *v) {
    ff_decode_ported(t, FF_UDP_HEADER_BYTES, v);
    if (!ff_has(t->s, FF_UDP_HEADER_BYTES)) return;
    size_t len_bytes = ff_udp_len_bytes(t->s.p);
    bool too_long = len_bytes > t->wire_bytes && !t->more_fragments;
    if ((len_bytes < FF_UDP_HEADER_BYTES && len_bytes != 0) || too_long)
        ff_view_fault(v, FF_STATE_udp_bad_length);
}

FF_INLINE void ff_decode_icmp(const ff_transport *t, ff_view *v) {
    if (!ff_has(t->s, FF_ICMP_MIN_BYTES)) ff_view_fault(v, FF_STATE_l4_truncated);
    ff_set_payload(v, t->wire_bytes, FF_ICMP_HEADER_BYTES);
    v->quote = t->s;
    ff_skip(&v->quote, t->s.n < FF_ICMP_HEADER_BYTES ? t->s.n : FF_ICMP_HEADER_BYTES);
    if (!ff_has(t->s, 1)) return;
    v->icmp_type = t->s.p[0];
    v->layers |= FF_BIT(ICMP_TYPE);
    v->traffic =
        (uint8_t)(v->proto == FF_PROTO_ICMP ? ff_traffic_of_icmp(v->icmp_type)
                                            : ff_traffic_of_icmp6(v->icmp_type));
    if (!ff_has(t->s, 2)) return;
    v->icmp_code = t->s.p[1];
    v->layers |= FF_BIT(ICMP_CODE);
}

FF_INLINE void ff_decode_transport(const ff_transport *t, ff_view *v) {
    switch (v->proto) {
        case FF_PROTO_TCP: ff_decode_tcp(t, v); break;
        case FF_PROTO_UDP: ff_decode_udp(t, v); break;
        case FF_PROTO_UDPLITE: ff_decode_ported(t, FF_UDP_HEADER_BYTES, v); break;
        case FF_PROTO_ICMP:
        case FF_PROTO_ICMPV6: ff_decode_icmp(t, v); break;
        case FF_PROTO_SCTP: ff_decode_ported(t, FF_SCTP_HEADER_BYTES, v); break;
        case FF_PROTO_DCCP: ff_decode_ported(t, FF_DCCP_HEADER_BYTES, v); break;
        default: ff_set_payload(v, t->wire_bytes, 0);
    }
}

static inline enum ff_state ff_decode_ip6_ext(ff_transport *t, ff_view *v,
                                              uint64_t *flags) {
    ff_ipv6_walk walk = {false, false, 0};
    enum ff_state state = ff_ipv6_walk_ext(&t->s, v, &walk);
    t->wire_bytes -= walk.ext_bytes;
    t->more_fragments = walk.more_fragments;
    flags[FF_FLAG_ip6_ext_order] += walk.out_of_order;
    flags[FF_FLAG_frag] += v->frag_bytes || t->more_fragments;
    return state;
}

/* Decode the IP header that a span begins with, and the transport header behind it.
 * With is_opened it may be that of a tunnel's inner packet: only if it is valid does it
 * take the place of the outer one. */
FF_INLINE ff_transport ff_decode_network(ff_span s, enum ff_net net, bool is_opened,
                                         ff_view *v, uint64_t *flags) {
    ff_transport t = {s, 0, false};
    if (FF_UNLIKELY(s.n == 0)) {
        ff_view_fault(v, FF_STATE_l3_truncated);
        return t;
    }
    unsigned version = s.p[0] >> 4;
    if (FF_UNLIKELY(!((unsigned)net >> version & 1))) {
        ff_view_fault(v, FF_STATE_bad_ip_version);
        return t;
    }
    enum ff_state state =
        FF_LIKELY(version == 4) ? ff_ipv4_parse(&t.s, v) : ff_ipv6_parse(&t.s, v);
    if (FF_UNLIKELY(state != FF_STATE_ok)) {
        ff_view_fault(v, state);
        return t;
    }
    if (is_opened) ff_view_forget_transport(v);
    if (FF_UNLIKELY(v->ip_len_bytes > s.n)) flags[FF_FLAG_snap_truncated]++;
    t.wire_bytes = v->ip_len_bytes - (size_t)(t.s.p - s.p);
    if (FF_LIKELY(version == 4)) {
        t.more_fragments = ff_ipv4_more_fragments(s.p);
        if (FF_UNLIKELY(t.more_fragments || v->frag_bytes)) flags[FF_FLAG_frag]++;
        if (FF_UNLIKELY(ff_ipv4_total_bytes(s.p) == 0)) flags[FF_FLAG_ip_len_zero]++;
    } else {
        flags[FF_FLAG_ip_len_zero] +=
            ff_ipv6_payload_bytes(s.p) == 0 && v->ip_len_bytes > FF_IPV6_HEADER_BYTES;
        state = ff_decode_ip6_ext(&t, v, flags);
    }
    /* By its protocol alone, also where the header is missing. */
    v->traffic = v->proto == FF_PROTO_UDP ? FF_TRAFFIC_scan : FF_TRAFFIC_other;
    if (FF_UNLIKELY(state != FF_STATE_ok)) {
        ff_view_fault(v, state);
    } else if (FF_LIKELY(v->frag_bytes == 0)) {
        ff_decode_transport(&t, v);
    }
    return t;
}

/* The same with the tunnels of decap opened, one inside the other. Flags are counted
 * once a packet. */
FF_OUTLINE void ff_decode_opened(uint8_t link, ff_span frame, uint32_t decap,
                                 ff_view *v, uint64_t *flags) {
    uint64_t met[FF_N_FLAGS] = {0};
    ff_path path = ff_link_follow(link, frame, v);
    while (path.state == FF_STATE_ok) {
        ff_transport t = ff_decode_network(path.s, path.net, true, v, met);
        if (v->state != FF_STATE_ok || v->frag_bytes > 0) break;
        path.s = t.s;
        if (!ff_tunnel_parse(&path, v, decap)) break;
        ff_path_follow(link, &path, v);
    }
    ff_view_fault(v, path.state);
    for (int f = 0; f < FF_N_FLAGS; f++) flags[f] += met[f] > 0;
}

/* Decode a frame of a link type (enum ff_link), opening the tunnels of decap (bits of
 * enum ff_tunnel). v arrives cleared by ff_view_clear(), its lengths filled in: they
 * say whether a frame check sequence was captured. */
FF_INLINE void ff_decode_packet(uint8_t link, ff_span frame, uint32_t decap, ff_view *v,
                                uint64_t *flags) {
    if (FF_UNLIKELY(decap != 0)) {
        ff_decode_opened(link, frame, decap, v, flags);
        return;
    }
    ff_span s = frame;
    enum ff_net net;
    if (FF_UNLIKELY(!ff_link_is_plain(link, &s, &net, v))) {
        ff_path path = ff_link_follow(link, frame, v);
        if (path.state != FF_STATE_ok) {
            ff_view_fault(v, path.state);
            return;
        }
        s = path.s;
        net = path.net;
    }
    ff_decode_network(s, net, false, v, flags);
}

#endif
