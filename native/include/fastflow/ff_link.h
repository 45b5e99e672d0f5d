/* SPDX-License-Identifier: Apache-2.0 */
/* The way from a link header to IP.
 * Source: the LINKTYPE_ pages of tcpdump.org, linked from the IANA registry of
 * draft-ietf-opsawg-pcaplinktype; RFC 1547, section 4.3.1 (Cisco HDLC). */
#ifndef FASTFLOW_FF_LINK_H
#define FASTFLOW_FF_LINK_H

#include "fastflow/ff_ieee80211.h"
#include "fastflow/ff_linktype.h"

#define FF_NFLOG_MAX_TLVS 64
#define FF_NFLOG_PAYLOAD 9
#define FF_PFLOG_MIN_BYTES 45

/* Address families. IPv6 has a number of each system's own: Linux, OpenBSD and NetBSD,
 * FreeBSD, macOS. */
static inline enum ff_net ff_net_of_family(uint32_t family) {
    switch (family) {
        case 2: return FF_NET_IPV4;
        case 10:
        case 24:
        case 28:
        case 30: return FF_NET_IPV6;
        default: return FF_NET_OTHER;
    }
}

/* BSD loopback: an address family, in the byte order of the capturing host (NULL) or of
 * networks (LOOP). No family is small in the wrong order, so either order is read. */
static inline enum ff_state ff_loopback_parse(ff_path *path) {
    if (!ff_has(path->s, 4)) return FF_STATE_l2_truncated;
    enum ff_net net = ff_net_of_family(ff_load_le32(path->s.p));
    if (net == FF_NET_OTHER) net = ff_net_of_family(ff_load_be32(path->s.p));
    ff_skip(&path->s, 4);
    return ff_path_to_ip(path, net);
}

/* Address, control, EtherType. */
static inline enum ff_state ff_c_hdlc_parse(ff_path *path) {
    if (!ff_has(path->s, 4)) return FF_STATE_l2_truncated;
    uint16_t ethertype = ff_load_be16(path->s.p + 2);
    ff_skip(&path->s, 4);
    return ff_path_to_ethertype(path, ethertype);
}

/* PPP behind address ff and control 03, which may be left out; or Cisco HDLC, which has
 * address 0f or 8f. None of the three begins a PPP protocol. */
static inline enum ff_state ff_ppp_framed_parse(ff_path *path) {
    if (!ff_has(path->s, 1)) return FF_STATE_l2_truncated;
    uint8_t address = path->s.p[0];
    if (address == 0x0f || address == 0x8f) return ff_c_hdlc_parse(path);
    if (address == 0xff) {
        if (!ff_has(path->s, 2)) return FF_STATE_l2_truncated;
        ff_skip(&path->s, 2);
    }
    return ff_ppp_parse(path);
}

/* Linux cooked captures: the device's type (ARPHRD_) says how to take the protocol. */
static inline enum ff_state ff_cooked_parse(ff_path *path, size_t header_bytes,
                                            size_t arphrd_at, size_t protocol_at) {
    if (!ff_has(path->s, header_bytes)) return FF_STATE_l2_truncated;
    uint16_t arphrd = ff_load_be16(path->s.p + arphrd_at);
    uint16_t protocol = ff_load_be16(path->s.p + protocol_at);
    ff_skip(&path->s, header_bytes);
    switch (arphrd) {
        case 770: /* frame relay */
        case 824: /* netlink */ return FF_STATE_non_ip;
        case 803: return ff_path_to(path, FF_HEADER_RADIOTAP);
        default: break;
    }
    switch (protocol) {
        case 3: return ff_path_to(path, FF_HEADER_ETHERNET);
        case 4: return ff_path_to(path, FF_HEADER_LLC);
        case 7: return ff_path_to(path, FF_HEADER_PPP_FRAMED);
        default: return ff_path_to_ethertype(path, protocol);
    }
}

/* Header length (without its padding to a multiple of four), address family. */
static inline enum ff_state ff_pflog_parse(ff_path *path) {
    if (!ff_has(path->s, 2)) return FF_STATE_l2_truncated;
    size_t header_bytes = path->s.p[0];
    enum ff_net net = ff_net_of_family(path->s.p[1]);
    if (header_bytes < FF_PFLOG_MIN_BYTES) return FF_STATE_l2_truncated;
    header_bytes = (header_bytes + 3) & ~(size_t)3;
    if (!ff_has(path->s, header_bytes)) return FF_STATE_l2_truncated;
    ff_skip(&path->s, header_bytes);
    return ff_path_to_ip(path, net);
}

/* Family, version 0, resource; then attributes: length, type, value, padding. Length
 * and type are in the capturing host's byte order, which the first type tells: no type
 * reaches 256. The packet may be cut, any other attribute may not. */
static inline enum ff_state ff_nflog_parse(ff_path *path) {
    ff_span *s = &path->s;
    if (!ff_has(*s, 4)) return FF_STATE_l2_truncated;
    enum ff_net net = ff_net_of_family(s->p[0]);
    if (net == FF_NET_OTHER || s->p[1] != 0) return FF_STATE_non_ip;
    ff_skip(s, 4);
    bool is_big = ff_has(*s, 4) && (s->p[2] & 0x7f) == 0 && s->p[3] != 0;
    for (int n_tlvs = 0; s->n > 0; n_tlvs++) {
        if (n_tlvs == FF_NFLOG_MAX_TLVS) return FF_STATE_too_many_layers;
        if (!ff_has(*s, 4)) return FF_STATE_l2_truncated;
        size_t tlv_bytes = is_big ? ff_load_be16(s->p) : ff_load_le16(s->p);
        uint16_t kind = is_big ? ff_load_be16(s->p + 2) : ff_load_le16(s->p + 2);
        if (tlv_bytes < 4) return FF_STATE_l2_truncated;
        if ((kind & 0x7fff) == FF_NFLOG_PAYLOAD) {
            ff_clip(s, tlv_bytes);
            ff_skip(s, 4);
            return ff_path_to_ip(path, net);
        }
        tlv_bytes = (tlv_bytes + 3) & ~(size_t)3;
        if (!ff_has(*s, tlv_bytes)) return FF_STATE_l2_truncated;
        ff_skip(s, tlv_bytes);
    }
    return FF_STATE_l3_truncated;
}

static inline enum ff_state ff_link_header_parse(uint8_t link, ff_path *path,
                                                 const ff_view *v) {
    switch (link) {
        case FF_LINK_ethernet: return ff_ethernet_parse(path);
        case FF_LINK_null:
        case FF_LINK_loop: return ff_loopback_parse(path);
        case FF_LINK_ppp:
        case FF_LINK_ppp_hdlc: return ff_ppp_framed_parse(path);
        case FF_LINK_c_hdlc: return ff_c_hdlc_parse(path);
        case FF_LINK_linux_sll: return ff_cooked_parse(path, 16, 2, 14);
        case FF_LINK_linux_sll2: return ff_cooked_parse(path, 20, 8, 0);
        case FF_LINK_pflog: return ff_pflog_parse(path);
        case FF_LINK_ieee802_11_radiotap: return ff_radiotap_parse(path, v);
        case FF_LINK_nflog: return ff_nflog_parse(path);
        case FF_LINK_ipv4: return ff_path_to_ip(path, FF_NET_IPV4);
        case FF_LINK_ipv6: return ff_path_to_ip(path, FF_NET_IPV6);
        default: return ff_path_to_ip(path, FF_NET_ANY_IP);
    }
}

static inline enum ff_state ff_header_parse(uint8_t link, ff_path *path, ff_view *v) {
    uint16_t type;
    enum ff_state state;
    switch (path->next) {
        case FF_HEADER_LINK: return ff_link_header_parse(link, path, v);
        case FF_HEADER_ETHERNET: return ff_ethernet_parse(path);
        case FF_HEADER_RADIOTAP: return ff_radiotap_parse(path, v);
        case FF_HEADER_PPP_FRAMED: return ff_ppp_framed_parse(path);
        case FF_HEADER_VLAN:
            state = ff_vlan_parse(path, &type, v);
            return state == FF_STATE_ok ? ff_path_to_type_or_length(path, type) : state;
        case FF_HEADER_LLC: return ff_llc_parse(path);
        case FF_HEADER_PPPOE: return ff_pppoe_parse(path);
        case FF_HEADER_MPLS: return ff_mpls_parse(path);
        default: return FF_STATE_ok;
    }
}

/* Follow a path to the next IP header, which counts as a layer as every other does. */
static inline void ff_path_follow(uint8_t link, ff_path *path, ff_view *v) {
    while (path->state == FF_STATE_ok) {
        if (path->n_layers == FF_LAYERS_MAX) {
            path->state = FF_STATE_too_many_layers;
            return;
        }
        path->n_layers++;
        if (path->next == FF_HEADER_IP) return;
        path->state = ff_header_parse(link, path, v);
    }
}

/* The path from the beginning of a frame to its outermost IP header. */
FF_OUTLINE ff_path ff_link_follow(uint8_t link, ff_span frame, ff_view *v) {
    ff_path path = {.s = frame, .next = FF_HEADER_LINK};
    ff_path_follow(link, &path, v);
    return path;
}

/* The straight line: IP on Ethernet, with tags or without; or no link header. *s then
 * begins with IP. If it is anything else, the frame is to be followed from its
 * beginning. */
FF_INLINE bool ff_link_is_plain(uint8_t link, ff_span *s, enum ff_net *net,
                                ff_view *v) {
    *net = FF_NET_ANY_IP;
    if (FF_UNLIKELY(link != FF_LINK_ethernet)) return link == FF_LINK_raw;
    if (FF_UNLIKELY(!ff_has(*s, FF_ETHERNET_BYTES))) return false;
    uint16_t type = ff_load_be16(s->p + 12);
    ff_skip(s, FF_ETHERNET_BYTES);
    if (FF_UNLIKELY(ff_is_vlan(type))) {
        ff_path path = {.s = *s};
        if (ff_vlan_parse(&path, &type, v) != FF_STATE_ok) return false;
        *s = path.s;
    }
    *net = FF_NET_IPV4;
    if (FF_LIKELY(type == FF_ETHERTYPE_IPV4)) return true;
    *net = FF_NET_IPV6;
    return type == FF_ETHERTYPE_IPV6;
}

#endif
