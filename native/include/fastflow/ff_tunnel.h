/* SPDX-License-Identifier: Apache-2.0 */
/* Tunnels: packets inside of packets, opened where the caller asks for it.
 * Source: RFC 2784 and 2890 (GRE); draft-foschiano-erspan (ERSPAN); RFC 2003 (IPv4 in
 * IPv4); RFC 4213 (IPv6 in IPv4); RFC 2473 (IPv6 tunnels); RFC 7348 (VXLAN); RFC 8926
 * (Geneve); 3GPP TS 29.281, 5.1 and 5.2 (GTP-U). */
#ifndef FASTFLOW_FF_TUNNEL_H
#define FASTFLOW_FF_TUNNEL_H

#include "fastflow/ff_encap.h"
#include "fastflow/ff_ip_proto.h"
#include "fastflow/ff_udp.h"

#define FF_TUNNELS_MAX 4
#define FF_GTPU_MAX_EXTENSIONS 16

/* clang-format off */
/* X(name, text) */
#define FF_TUNNELS(X)                                                     \
    X(gre, "GRE version 0, protocol 47: IP, MPLS or Ethernet")            \
    X(erspan, "ERSPAN types I, II and III over GRE: mirrored Ethernet")   \
    X(ipip, "IPv4 in IPv4, protocol 4")                                   \
    X(6in4, "IPv6 in IPv4, protocol 41")                                  \
    X(4in6, "IPv4 in IPv6, protocol 4")                                   \
    X(6in6, "IPv6 in IPv6, protocol 41")                                  \
    X(vxlan, "VXLAN, UDP port 4789, or 8472 as older Linux has it")       \
    X(geneve, "Geneve, UDP port 6081: IP or Ethernet")                    \
    X(gtpu, "GTP-U, UDP port 2152: user data of mobile networks")
/* clang-format on */

enum ff_tunnel {
#define X(name, text) FF_TUNNEL_##name,
    FF_TUNNELS(X)
#undef X
        FF_N_TUNNELS
};

#define FF_TUNNEL_BIT(name) ((uint32_t)1 << FF_TUNNEL_##name)

typedef struct ff_tunnel_info {
    const char *name;
    const char *text;
} ff_tunnel_info;

static const ff_tunnel_info ff_tunnels[FF_N_TUNNELS] = {
#define X(name, text) {#name, text},
    FF_TUNNELS(X)
#undef X
};

/* Each of the functions below reads a tunnel's header: true, and the path leads on to
 * the inner packet or says why it ends; false, and this is no tunnel to be opened. */
FF_INLINE bool ff_tunnel_end(ff_path *path, enum ff_state state) {
    path->state = state;
    return true;
}

/* Skip the header, if it is there as a whole. */
FF_INLINE bool ff_tunnel_skip(ff_path *path, size_t header_bytes) {
    if (!ff_has(path->s, header_bytes))
        return ff_tunnel_end(path, FF_STATE_l4_truncated);
    ff_skip(&path->s, header_bytes);
    return true;
}

/* Type III says in its last bit whether 8 bytes more follow, and of what kind the frame
 * is: 0, an Ethernet frame, is what is opened. */
static inline bool ff_erspan_parse(ff_path *path, size_t gre_bytes, bool is_type_3,
                                   bool has_sequence) {
    ff_path_to(path, FF_HEADER_ETHERNET);
    if (!is_type_3) return ff_tunnel_skip(path, gre_bytes + (has_sequence ? 8 : 0));
    if (!ff_has(path->s, gre_bytes + 12))
        return ff_tunnel_end(path, FF_STATE_l4_truncated);
    const uint8_t *erspan = path->s.p + gre_bytes;
    if (erspan[10] >> 2 & 0x1f) return false;
    return ff_tunnel_skip(path, gre_bytes + (erspan[11] & 1 ? 20 : 12));
}

/* Flags: checksum 0x8000, key 0x2000, sequence 0x1000 add four bytes each; with routing
 * (0x4000) or another version than 0 the header is not that of RFC 2784. */
static inline bool ff_gre_parse(ff_path *path, uint32_t decap) {
    if (!(decap & (FF_TUNNEL_BIT(gre) | FF_TUNNEL_BIT(erspan)))) return false;
    if (!ff_has(path->s, 4)) return ff_tunnel_end(path, FF_STATE_l4_truncated);
    unsigned flags = ff_load_be16(path->s.p);
    uint16_t protocol = ff_load_be16(path->s.p + 2);
    if (flags & 0x4007) return false;
    bool has_sequence = flags & 0x1000;
    size_t gre_bytes = 4 + 4u * ((flags >> 15) + (flags >> 13 & 1) + has_sequence);
    if (protocol == 0x88be || protocol == 0x22eb)
        return decap & FF_TUNNEL_BIT(erspan) &&
               ff_erspan_parse(path, gre_bytes, protocol == 0x22eb, has_sequence);
    return decap & FF_TUNNEL_BIT(gre) &&
           ff_path_to_ethertype(path, protocol) == FF_STATE_ok &&
           ff_tunnel_skip(path, gre_bytes);
}

/* The I flag says that there is a network identifier. */
static inline bool ff_vxlan_parse(ff_path *path) {
    if (!ff_has(path->s, 8)) return ff_tunnel_end(path, FF_STATE_l4_truncated);
    if (!(path->s.p[0] & 0x08)) return false;
    ff_skip(&path->s, 8);
    ff_path_to(path, FF_HEADER_ETHERNET);
    return true;
}

/* Version (2 bits), length of the options (6 bits, units of 4 bytes), EtherType. */
static inline bool ff_geneve_parse(ff_path *path) {
    if (!ff_has(path->s, 8)) return ff_tunnel_end(path, FF_STATE_l4_truncated);
    const uint8_t *geneve = path->s.p;
    if (geneve[0] >> 6) return false;
    return ff_path_to_ethertype(path, ff_load_be16(geneve + 2)) == FF_STATE_ok &&
           ff_tunnel_skip(path, 8 + (geneve[0] & 0x3fu) * 4);
}

/* Each extension header begins with its length (units of 4 bytes) and ends with the
 * type of the next. */
static inline enum ff_state ff_gtpu_skip_extensions(ff_span *s, uint8_t next) {
    for (int n_ext = 0; next != 0; n_ext++) {
        if (n_ext == FF_GTPU_MAX_EXTENSIONS) return FF_STATE_too_many_layers;
        if (!ff_has(*s, 4)) return FF_STATE_l4_truncated;
        size_t ext_bytes = s->p[0] * 4u;
        if (ext_bytes == 0 || !ff_has(*s, ext_bytes)) return FF_STATE_l4_truncated;
        next = s->p[ext_bytes - 1];
        ff_skip(s, ext_bytes);
    }
    return FF_STATE_ok;
}

/* Version 1, protocol type 1, message 255: user data. With any of the flags extension,
 * sequence, N-PDU number there are 4 bytes more, whose last is the next extension. */
static inline bool ff_gtpu_parse(ff_path *path) {
    if (!ff_has(path->s, 8)) return ff_tunnel_end(path, FF_STATE_l4_truncated);
    uint8_t flags = path->s.p[0];
    if ((flags & 0xf0) != 0x30 || path->s.p[1] != 255) return false;
    ff_skip(&path->s, 8);
    if (flags & 7) {
        if (!ff_has(path->s, 4)) return ff_tunnel_end(path, FF_STATE_l4_truncated);
        uint8_t next = flags & 4 ? path->s.p[3] : 0;
        ff_skip(&path->s, 4);
        enum ff_state state = ff_gtpu_skip_extensions(&path->s, next);
        if (state != FF_STATE_ok) return ff_tunnel_end(path, state);
    }
    return ff_tunnel_end(path, ff_path_to_nibble(path));
}

static inline bool ff_udp_tunnel_parse(ff_path *path, const ff_view *v,
                                       uint32_t decap) {
    uint32_t kind;
    switch (ff_dst_port(v->ports)) {
        case 2152: kind = FF_TUNNEL_BIT(gtpu); break;
        case 4789:
        case 8472: kind = FF_TUNNEL_BIT(vxlan); break;
        case 6081: kind = FF_TUNNEL_BIT(geneve); break;
        default: return false;
    }
    if (!(decap & kind)) return false;
    ff_skip(&path->s, FF_UDP_HEADER_BYTES);
    if (kind == FF_TUNNEL_BIT(gtpu)) return ff_gtpu_parse(path);
    return kind == FF_TUNNEL_BIT(vxlan) ? ff_vxlan_parse(path) : ff_geneve_parse(path);
}

FF_INLINE bool ff_ip_tunnel_parse(ff_path *path, enum ff_net net, uint32_t is_wanted) {
    ff_path_to_ip(path, net);
    return is_wanted != 0;
}

static inline bool ff_tunnel_header_parse(ff_path *path, const ff_view *v,
                                          uint32_t decap) {
    bool is_4 = v->ip_version == 4;
    switch (v->proto) {
        case FF_PROTO_IPV4:
            decap &= is_4 ? FF_TUNNEL_BIT(ipip) : FF_TUNNEL_BIT(4in6);
            return ff_ip_tunnel_parse(path, FF_NET_IPV4, decap);
        case FF_PROTO_IPV6:
            decap &= is_4 ? FF_TUNNEL_BIT(6in4) : FF_TUNNEL_BIT(6in6);
            return ff_ip_tunnel_parse(path, FF_NET_IPV6, decap);
        case FF_PROTO_GRE: return ff_gre_parse(path, decap);
        case FF_PROTO_UDP: return ff_udp_tunnel_parse(path, v, decap);
        default: return false;
    }
}

/* From a decoded packet, whose IP payload path->s is, into the tunnel that it is, if it
 * is one of decap. A tunnel counts as a layer. */
static inline bool ff_tunnel_parse(ff_path *path, const ff_view *v, uint32_t decap) {
    if (!ff_tunnel_header_parse(path, v, decap)) return false;
    if (path->state != FF_STATE_ok) return true;
    if (path->n_tunnels == FF_TUNNELS_MAX || path->n_layers == FF_LAYERS_MAX)
        return ff_tunnel_end(path, FF_STATE_too_many_layers);
    path->n_tunnels++;
    path->n_layers++;
    return true;
}

#endif
