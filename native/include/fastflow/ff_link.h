/* SPDX-License-Identifier: Apache-2.0 */
/* From the link header to the network layer.
 * Source: IEEE 802.3 and 802.1Q; LINKTYPE_ numbers of draft-ietf-opsawg-pcaplinktype;
 * LINUX_SLL as libpcap describes it. */
#ifndef FASTFLOW_FF_LINK_H
#define FASTFLOW_FF_LINK_H

#include "fastflow/ff_linktype.h"
#include "fastflow/ff_span.h"
#include "fastflow/ff_view.h"

#define FF_VLAN_MAX_TAGS 8

/* What the link header announces: a set of IP versions. */
enum ff_net {
    FF_NET_OTHER = 0,
    FF_NET_IPV4 = 1 << 4,
    FF_NET_IPV6 = 1 << 6,
    FF_NET_ANY_IP = FF_NET_IPV4 | FF_NET_IPV6
};

/* 802.1Q, 802.1ad, and the number that QinQ used before it had one. */
FF_INLINE bool ff_is_vlan_tpid(uint16_t ethertype) {
    return ethertype == 0x8100 || ethertype == 0x88a8 || ethertype == 0x9100;
}

/* Skip VLAN tags and read the EtherType behind them. */
FF_INLINE enum ff_state ff_vlan_parse(uint16_t *ethertype, ff_span *s, ff_view *v) {
    for (int n_tags = 0; FF_UNLIKELY(ff_is_vlan_tpid(*ethertype)); n_tags++) {
        if (n_tags == FF_VLAN_MAX_TAGS) return FF_STATE_too_many_vlan;
        if (!ff_has(*s, 4)) return FF_STATE_l2_truncated;
        if (n_tags == 0) {
            v->vlan = ff_load_be16(s->p) & 0x0fff;
            v->layers |= FF_BIT(VLAN);
        }
        *ethertype = ff_load_be16(s->p + 2);
        ff_skip(s, 4);
    }
    return FF_STATE_ok;
}

/* A header of header_bytes whose last two are an EtherType (Ethernet, LINUX_SLL). */
FF_INLINE enum ff_state ff_ethertype_parse(size_t header_bytes, ff_span *s, ff_view *v,
                                           enum ff_net *net) {
    if (!ff_has(*s, header_bytes)) return FF_STATE_l2_truncated;
    uint16_t ethertype = ff_load_be16(s->p + header_bytes - 2);
    ff_skip(s, header_bytes);
    enum ff_state state = ff_vlan_parse(&ethertype, s, v);
    if (state != FF_STATE_ok) return state;
    if (ethertype == 0x0800) {
        *net = FF_NET_IPV4;
    } else if (ethertype == 0x86dd) {
        *net = FF_NET_IPV6;
    } else {
        return FF_STATE_non_ip;
    }
    return FF_STATE_ok;
}

FF_INLINE enum ff_state ff_link_parse(uint8_t link, ff_span *s, ff_view *v,
                                      enum ff_net *net) {
    if (FF_LIKELY(link == FF_LINK_ethernet)) return ff_ethertype_parse(14, s, v, net);
    if (link == FF_LINK_linux_sll) return ff_ethertype_parse(16, s, v, net);
    if (link == FF_LINK_ipv4) {
        *net = FF_NET_IPV4;
    } else if (link == FF_LINK_ipv6) {
        *net = FF_NET_IPV6;
    } else {
        *net = FF_NET_ANY_IP;
    }
    return FF_STATE_ok;
}

#endif
