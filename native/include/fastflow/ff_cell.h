/* SPDX-License-Identifier: Apache-2.0 */
/* A cell: packets that agree in hour, source, protocol, port, signature and so on, or
 * what one victim of an attack answered (ff_echo.h). */
#ifndef FASTFLOW_FF_CELL_H
#define FASTFLOW_FF_CELL_H

#include "fastflow/ff_scan.h"

#define FF_HOUR_NS 3600000000000

/* The traffic of what is no packet's cell, but an echo's (ff_echo.h). */
#define FF_TRAFFIC_ECHO 3
_Static_assert(FF_TRAFFIC_ECHO >= FF_N_TRAFFICS, "no packet has an echo's traffic");

/* Fields of ff_cell.where, from the lowest bit: IP version 6; tool; port or ICMP type
 * with a bit above that says that there is one; traffic; protocol; hours since 1970. */
enum ff_where_shift {
    FF_WHERE_IPV6 = 0,
    FF_WHERE_TOOL = 1,
    FF_WHERE_PORT = 6,
    FF_WHERE_TRAFFIC = 23,
    FF_WHERE_PROTO = 25,
    FF_WHERE_HOUR = 33
};
#define FF_WHERE_HAS_PORT ((uint64_t)0x10000)
/* All but the IP version: what has one of it is in one row of `counts`. */
#define FF_WHERE_ROW FF_WHERE_TOOL
_Static_assert((1 << (FF_WHERE_PORT - FF_WHERE_TOOL)) > FF_TOOLS_MAX,
               "a key has room for every tool");

/* Which values all packets of a cell share. */
enum ff_shared {
    FF_SHARED_SRC_PORT = 1,
    FF_SHARED_TCP_SEQ = 2,
    FF_SHARED_IP_TTL = 4,
    FF_SHARED_EXTRA = 8,
    FF_HAS_PORT = 16 /* of a sketch: src_port is one of the victim's ports */
};

/* One cache line. */
typedef struct ff_cell {
    uint64_t where;
    uint64_t src_hi, src_lo; /* as numbers, so that comparing them compares addresses */
    union {
        struct {
            ff_sig sig;
            uint64_t bytes; /* this and below: not part of the key */
        };
        uint64_t bins[3]; /* of a sketch (ff_echo.h), and not part of its key */
    };
    uint32_t packets; /* never wraps: a full cell is followed by a second one */
    uint32_t tcp_seq; /* shared values; they say nothing where not shared */
    uint16_t src_port;
    uint16_t country; /* of the source, a number; given when a run is made */
    uint8_t ip_ttl;
    uint8_t shared; /* bit set of enum ff_shared */
    uint16_t extra; /* shared: of a SYN ff_tool_seq_key(), of a sketch the window */
} ff_cell;

FF_INLINE bool ff_cell_is_echo(const ff_cell *cell) {
    return (cell->where >> FF_WHERE_TRAFFIC & 3) == FF_TRAFFIC_ECHO;
}

FF_INLINE uint64_t ff_cell_hash(const ff_cell *cell, uint64_t seed) {
    return ff_hash4(cell->where ^ cell->sig.scale * FF_HASH_ODD_2, cell->sig.fixed,
                    cell->src_hi, cell->src_lo, seed);
}

FF_INLINE ff_address ff_cell_src(const ff_cell *cell) {
    ff_address a;
    ff_store_be64(a.byte, cell->src_hi);
    ff_store_be64(a.byte + 8, cell->src_lo);
    return a;
}

FF_INLINE bool ff_cell_same_key(const ff_cell *a, const ff_cell *b) {
    return ((a->where ^ b->where) | (a->src_hi ^ b->src_hi) | (a->src_lo ^ b->src_lo) |
            (a->sig.fixed ^ b->sig.fixed) | (a->sig.scale ^ b->sig.scale)) == 0;
}

/* Equal stays, different or missing becomes null and stays null. */
FF_INLINE void ff_cell_merge_shared(ff_cell *into, const ff_cell *from) {
    unsigned differ = (into->src_port != from->src_port) * FF_SHARED_SRC_PORT |
                      (into->tcp_seq != from->tcp_seq) * FF_SHARED_TCP_SEQ |
                      (into->ip_ttl != from->ip_ttl) * FF_SHARED_IP_TTL |
                      (into->extra != from->extra) * FF_SHARED_EXTRA;
    into->shared = (uint8_t)(into->shared & from->shared & ~differ);
}

/* Has the packet a sequence number that may be kept? One that spells the destination
 * would tell a sensor's address. */
FF_INLINE bool ff_view_has_seq(const ff_view *v) {
    if (!(v->layers & FF_BIT(TCP))) return false;
    if (v->ip_version != 4) return true;
    uint32_t seq = ff_tcp_seq(v->tcp), dst = ff_load_be32(v->ip + 16);
    return seq != dst && seq != __builtin_bswap32(dst);
}

FF_INLINE uint64_t ff_view_hour(const ff_view *v) {
    return (uint64_t)v->ts_ns / FF_HOUR_NS;
}

FF_INLINE void ff_cell_set_ipv4(ff_cell *cell, const uint8_t *address) {
    cell->src_hi = 0;
    cell->src_lo = (uint64_t)0xffff << 32 | ff_load_be32(address);
}

FF_INLINE void ff_cell_set_ipv6(ff_cell *cell, const uint8_t *address) {
    cell->src_hi = ff_load_be64(address);
    cell->src_lo = ff_load_be64(address + 8);
}

FF_INLINE uint64_t ff_cell_where(const ff_view *v) {
    uint64_t port = 0;
    if (v->layers & FF_BIT(PORTS)) {
        port = FF_WHERE_HAS_PORT | ff_dst_port(v->ports);
    } else if (v->layers & FF_BIT(ICMP_TYPE)) {
        port = FF_WHERE_HAS_PORT | v->icmp_type;
    }
    return ff_view_hour(v) << FF_WHERE_HOUR | (uint64_t)v->proto << FF_WHERE_PROTO |
           (uint64_t)v->traffic << FF_WHERE_TRAFFIC | port << FF_WHERE_PORT |
           (uint64_t)(v->ip_version == 6) << FF_WHERE_IPV6;
}

/* One packet as a cell of its own; its tool as a code. */
FF_INLINE void ff_cell_of_view(const ff_view *v, uint8_t tool, ff_cell *cell) {
    cell->where = ff_cell_where(v) | (uint64_t)tool << FF_WHERE_TOOL;
    if (FF_LIKELY(v->ip_version == 4))
        ff_cell_set_ipv4(cell, v->ip + 12);
    else
        ff_cell_set_ipv6(cell, v->ip + 8);
    cell->bytes = v->ip_len_bytes;
    cell->sig = ff_sig_of_view(v);
    cell->packets = 1;
    cell->country = 0;
    cell->ip_ttl = ff_ip_ttl(v);
    cell->src_port = ff_src_port(v->ports);
    cell->tcp_seq = ff_tcp_seq(v->tcp);
    bool has_seq = ff_view_has_seq(v), has_key = has_seq & ff_tool_is_asked(v);
    cell->extra = ff_tool_seq_key(v); /* means nothing where it is not shared */
    cell->shared = (uint8_t)(FF_SHARED_IP_TTL | (has_seq ? FF_SHARED_TCP_SEQ : 0) |
                             (has_key ? FF_SHARED_EXTRA : 0) |
                             ((v->layers & FF_BIT(PORTS)) ? FF_SHARED_SRC_PORT : 0));
}

/* Add a cell's packets to another's, if that has its key and room for them. */
FF_INLINE bool ff_cell_absorb(ff_cell *into, const ff_cell *cell) {
    if (FF_UNLIKELY(!ff_cell_same_key(into, cell))) return false;
    if (FF_UNLIKELY(into->packets > UINT32_MAX - cell->packets)) return false;
    into->packets += cell->packets;
    into->bytes += cell->bytes;
    ff_cell_merge_shared(into, cell);
    return true;
}

#endif
