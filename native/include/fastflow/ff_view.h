/* SPDX-License-Identifier: Apache-2.0 */
/* A decoded packet: where its headers lie, and the few values that need work to find.
 * A header that is absent points at zeros, so that a column is read without asking;
 * `layers` says which values are real. */
#ifndef FASTFLOW_FF_VIEW_H
#define FASTFLOW_FF_VIEW_H

#include "fastflow/ff_span.h"
#include "fastflow/ff_status.h"

/* What is known of a packet, one bit each; a column is null where its bit is unset. */
enum ff_layer {
    FF_LAYER_RECORD,  /* always set */
    FF_LAYER_TS,      /* the capture time */
    FF_LAYER_VLAN,    /* a VLAN tag, outside of any tunnel */
    FF_LAYER_IP,      /* a valid IPv4 or IPv6 header */
    FF_LAYER_IPV4,    /* ... of version 4 */
    FF_LAYER_PORTS,   /* 4 bytes of a transport header with ports */
    FF_LAYER_TCP,     /* 20 bytes of a TCP header */
    FF_LAYER_OPTIONS, /* a whole TCP header with well-formed options */
    FF_LAYER_MSS,
    FF_LAYER_WSCALE,
    FF_LAYER_ICMP_TYPE,
    FF_LAYER_ICMP_CODE,
    FF_LAYER_PAYLOAD, /* the transport payload's length */
    FF_LAYER_TOOL,    /* a rule knows who sent it */
    FF_N_LAYERS
};

#define FF_BIT(layer) ((uint32_t)1 << FF_LAYER_##layer)

/* Long enough for every fixed header that a column reads. */
static const uint8_t ff_absent[64] = {0};

typedef struct ff_view {
    const uint8_t *ip;    /* IPv4 or IPv6 header, the innermost one */
    const uint8_t *ports; /* transport header of which 4 bytes are there */
    const uint8_t *tcp;   /* TCP header of which 20 bytes are there */
    ff_span quote;        /* of an ICMP packet: what is there behind its header */
    int64_t ts_ns;        /* since 1970-01-01 UTC */
    uint32_t caplen_bytes, wirelen_bytes;
    uint32_t ip_len_bytes, payload_bytes;
    uint32_t layers;         /* bit set of enum ff_layer */
    uint16_t linktype, vlan; /* LINKTYPE_ number; outermost VLAN id */
    uint16_t frag_bytes;     /* fragment offset */
    uint16_t mss;
    uint8_t wscale;
    uint8_t ip_version; /* 4, 6, or 0 */
    uint8_t proto;      /* after IPv6 extension headers */
    uint8_t state;      /* enum ff_state */
    uint8_t icmp_type, icmp_code;
    uint8_t options_bytes; /* of a whole TCP header, behind tcp + 20 */
    uint8_t traffic;       /* enum ff_traffic */
    uint8_t reason;        /* enum ff_reason: counted, or why not */
    uint8_t tool;          /* code of the tool that sent it; 0: none is known */
    uint32_t kinds_code;   /* entry of the dictionary of option kinds */
    uint32_t sig_code;     /* entry of the dictionary of signatures */
} ff_view;

/* A view of nothing yet. */
FF_INLINE void ff_view_clear(ff_view *v) {
    memset(v, 0, sizeof *v);
    v->ip = v->ports = v->tcp = ff_absent;
    v->layers = FF_BIT(RECORD);
}

/* Behind an opened tunnel: forget all that the outer IP header led to. */
FF_INLINE void ff_view_forget_transport(ff_view *v) {
    v->ports = v->tcp = ff_absent;
    v->quote = (ff_span){NULL, 0};
    v->payload_bytes = 0;
    v->icmp_type = v->icmp_code = v->options_bytes = 0;
    v->layers &= FF_BIT(RECORD) | FF_BIT(TS) | FF_BIT(VLAN) | FF_BIT(IP);
    if (v->ip_version == 4) v->layers |= FF_BIT(IPV4);
}

/* The first fault is the one that names the packet. */
FF_INLINE void ff_view_fault(ff_view *v, enum ff_state state) {
    if (v->state == FF_STATE_ok) v->state = (uint8_t)state;
}

#endif
