/* SPDX-License-Identifier: Apache-2.0 */
/* What may stand between a link header and IP: VLAN tags, LLC and SNAP, PPPoE, PPP,
 * MPLS. A path is where a decoder stands in a frame: what it has not read yet, and with
 * which header that begins. Each function reads one header and says what follows.
 * Source: IEEE 802.1Q; IEEE 802.2; RFC 1042 (SNAP); RFC 2516 (PPPoE); RFC 1661 and 1662
 * (PPP); RFC 3032 and 5332 (MPLS). */
#ifndef FASTFLOW_FF_ENCAP_H
#define FASTFLOW_FF_ENCAP_H

#include "fastflow/ff_span.h"
#include "fastflow/ff_view.h"

#define FF_LAYERS_MAX 16
#define FF_VLAN_MAX_TAGS 8
#define FF_MPLS_MAX_LABELS 16
#define FF_ETHERNET_BYTES 14
#define FF_ETHERNET_MAX_LENGTH 1500

enum ff_ethertype {
    FF_ETHERTYPE_IPV4 = 0x0800,
    FF_ETHERTYPE_ETHERNET = 0x6558, /* a bridged frame, RFC 1701 */
    FF_ETHERTYPE_VLAN = 0x8100,     /* 802.1Q */
    FF_ETHERTYPE_IPV6 = 0x86dd,
    FF_ETHERTYPE_MPLS = 0x8847,
    FF_ETHERTYPE_MPLS_MULTICAST = 0x8848,
    FF_ETHERTYPE_PPPOE = 0x8864,   /* the session stage */
    FF_ETHERTYPE_QINQ = 0x88a8,    /* 802.1ad */
    FF_ETHERTYPE_OLD_QINQ = 0x9100 /* the number that QinQ used before it had one */
};

enum ff_ppp {
    FF_PPP_IPV4 = 0x0021,
    FF_PPP_IPV6 = 0x0057,
    FF_PPP_MPLS = 0x0281,
    FF_PPP_MPLS_MULTICAST = 0x0283
};

/* What a header announces: a set of IP versions. */
enum ff_net {
    FF_NET_OTHER = 0,
    FF_NET_IPV4 = 1 << 4,
    FF_NET_IPV6 = 1 << 6,
    FF_NET_ANY_IP = FF_NET_IPV4 | FF_NET_IPV6
};

enum ff_header {
    FF_HEADER_LINK, /* whatever the link type says */
    FF_HEADER_ETHERNET,
    FF_HEADER_RADIOTAP,
    FF_HEADER_PPP_FRAMED, /* with address and control, as in HDLC */
    FF_HEADER_VLAN,
    FF_HEADER_LLC,
    FF_HEADER_PPPOE,
    FF_HEADER_MPLS,
    FF_HEADER_IP
};

typedef struct ff_path {
    ff_span s;           /* the bytes not read yet */
    enum ff_header next; /* what they begin with */
    enum ff_net net;     /* ... the versions announced, where that is IP */
    enum ff_state state; /* ok, or why the path ends here */
    uint8_t n_layers, n_tags, n_tunnels;
} ff_path;

FF_INLINE enum ff_state ff_path_to_ip(ff_path *path, enum ff_net net) {
    path->next = FF_HEADER_IP;
    path->net = net;
    return net == FF_NET_OTHER ? FF_STATE_non_ip : FF_STATE_ok;
}

FF_INLINE enum ff_state ff_path_to(ff_path *path, enum ff_header next) {
    path->next = next;
    return FF_STATE_ok;
}

/* IP of the version that its first four bits say: what follows names none itself. */
static inline enum ff_state ff_path_to_nibble(ff_path *path) {
    if (!ff_has(path->s, 1)) return FF_STATE_l3_truncated;
    unsigned version = path->s.p[0] >> 4;
    return ff_path_to_ip(path, version == 4   ? FF_NET_IPV4
                               : version == 6 ? FF_NET_IPV6
                                              : FF_NET_OTHER);
}

/* What an EtherType announces. Lengths (up to 1500) are none. */
static inline enum ff_state ff_path_to_ethertype(ff_path *path, uint16_t ethertype) {
    switch (ethertype) {
        case FF_ETHERTYPE_IPV4: return ff_path_to_ip(path, FF_NET_IPV4);
        case FF_ETHERTYPE_IPV6: return ff_path_to_ip(path, FF_NET_IPV6);
        case FF_ETHERTYPE_VLAN:
        case FF_ETHERTYPE_QINQ:
        case FF_ETHERTYPE_OLD_QINQ: return ff_path_to(path, FF_HEADER_VLAN);
        case FF_ETHERTYPE_MPLS:
        case FF_ETHERTYPE_MPLS_MULTICAST: return ff_path_to(path, FF_HEADER_MPLS);
        case FF_ETHERTYPE_PPPOE: return ff_path_to(path, FF_HEADER_PPPOE);
        case FF_ETHERTYPE_ETHERNET: return ff_path_to(path, FF_HEADER_ETHERNET);
        default: return FF_STATE_non_ip;
    }
}

/* An EtherType, or the length of an LLC frame: the IP length says where that ends. */
static inline enum ff_state ff_path_to_type_or_length(ff_path *path, uint16_t type) {
    if (type <= FF_ETHERNET_MAX_LENGTH) return ff_path_to(path, FF_HEADER_LLC);
    return ff_path_to_ethertype(path, type);
}

static inline enum ff_state ff_ethernet_parse(ff_path *path) {
    if (!ff_has(path->s, FF_ETHERNET_BYTES)) return FF_STATE_l2_truncated;
    uint16_t type = ff_load_be16(path->s.p + 12);
    ff_skip(&path->s, FF_ETHERNET_BYTES);
    return ff_path_to_type_or_length(path, type);
}

FF_INLINE bool ff_is_vlan(uint16_t ethertype) {
    return ethertype == FF_ETHERTYPE_VLAN || ethertype == FF_ETHERTYPE_QINQ ||
           ethertype == FF_ETHERTYPE_OLD_QINQ;
}

/* Skip a stack of tags; *type is then what stands behind it. The view keeps the
 * outermost tag of the outermost link header. */
FF_INLINE enum ff_state ff_vlan_parse(ff_path *path, uint16_t *type, ff_view *v) {
    do {
        if (path->n_tags == FF_VLAN_MAX_TAGS) return FF_STATE_too_many_vlan;
        if (!ff_has(path->s, 4)) return FF_STATE_l2_truncated;
        if (path->n_tunnels == 0 && !(v->layers & FF_BIT(VLAN))) {
            v->vlan = ff_load_be16(path->s.p) & 0x0fff;
            v->layers |= FF_BIT(VLAN);
        }
        *type = ff_load_be16(path->s.p + 2);
        ff_skip(&path->s, 4);
        path->n_tags++;
    } while (ff_is_vlan(*type));
    return FF_STATE_ok;
}

/* Unnumbered information (control 3) of SNAP with an EtherType or of IP itself. */
static inline enum ff_state ff_llc_parse(ff_path *path) {
    if (!ff_has(path->s, 3)) return FF_STATE_l2_truncated;
    const uint8_t *llc = path->s.p;
    if (llc[0] == 0x06 && llc[1] == 0x06 && llc[2] == 3) {
        ff_skip(&path->s, 3);
        return ff_path_to_ip(path, FF_NET_IPV4);
    }
    if (llc[0] != 0xaa || llc[1] != 0xaa || llc[2] != 3) return FF_STATE_non_ip;
    if (!ff_has(path->s, 8)) return FF_STATE_l2_truncated;
    uint32_t oui = ff_load_be32(llc + 2) & 0xffffffu;
    uint16_t ethertype = ff_load_be16(llc + 6);
    /* 0000f8 is what bridges between Ethernet and 802 networks write, 802.1H. */
    if (oui != 0 && oui != 0x0000f8) return FF_STATE_non_ip;
    ff_skip(&path->s, 8);
    return ff_path_to_ethertype(path, ethertype);
}

/* The protocol field, one byte where it was compressed: its last bit is then set. */
static inline enum ff_state ff_ppp_parse(ff_path *path) {
    if (!ff_has(path->s, 1)) return FF_STATE_l2_truncated;
    uint16_t protocol = path->s.p[0];
    size_t protocol_bytes = protocol & 1 ? 1 : 2;
    if (!ff_has(path->s, protocol_bytes)) return FF_STATE_l2_truncated;
    if (protocol_bytes == 2) protocol = ff_load_be16(path->s.p);
    ff_skip(&path->s, protocol_bytes);
    switch (protocol) {
        case FF_PPP_IPV4: return ff_path_to_ip(path, FF_NET_IPV4);
        case FF_PPP_IPV6: return ff_path_to_ip(path, FF_NET_IPV6);
        case FF_PPP_MPLS:
        case FF_PPP_MPLS_MULTICAST: return ff_path_to(path, FF_HEADER_MPLS);
        default: return FF_STATE_non_ip;
    }
}

/* Version 1, type 1, code 0 (session data), session, length; then PPP. */
static inline enum ff_state ff_pppoe_parse(ff_path *path) {
    if (!ff_has(path->s, 6)) return FF_STATE_l2_truncated;
    if (ff_load_be16(path->s.p) != 0x1100) return FF_STATE_non_ip;
    ff_skip(&path->s, 6);
    return ff_ppp_parse(path);
}

/* Labels up to the one with the bottom bit; no field says what follows it. */
static inline enum ff_state ff_mpls_parse(ff_path *path) {
    bool is_bottom = false;
    for (int n_labels = 0; !is_bottom; n_labels++) {
        if (n_labels == FF_MPLS_MAX_LABELS) return FF_STATE_too_many_layers;
        if (!ff_has(path->s, 4)) return FF_STATE_l2_truncated;
        is_bottom = path->s.p[2] & 1;
        ff_skip(&path->s, 4);
    }
    return ff_path_to_nibble(path);
}

#endif
