/* SPDX-License-Identifier: Apache-2.0 */
/* Echoes: what the victims of attacks from forged addresses answer, in bins of 10
 * seconds. A packet of backscatter is counted as any other, and besides as an echo of
 * its victim: the one who sent it, or where the packet was going to that an ICMP error
 * quotes.
 *
 * Most bins of most victims have one packet. So a victim has a *sketch* of each half an
 * hour: a bit for each bin, what its packets share, and the first one's port. Another
 * packet of a bin is counted in a cell of that bin; another port has a cell of its own.
 * Whatever sketch a packet came to first, bits and cells of a bin add up to its
 * packets. Source: Moore et al., "Inferring Internet Denial-of-Service Activity",
 * section 3; RFC 792 and RFC 4443 for what errors quote. */
#ifndef FASTFLOW_FF_ECHO_H
#define FASTFLOW_FF_ECHO_H

#include "fastflow/ff_cell.h"

#define FF_ECHO_BIN_NS 10000000000
#define FF_ECHO_BINS_PER_HOUR 360

#define FF_ECHO_BINS_PER_SKETCH 180
#define FF_ECHO_SKETCH_WORDS (FF_ECHO_BINS_PER_SKETCH / 64 + 1)
_Static_assert(sizeof((ff_cell *)0)->bins == 8 * FF_ECHO_SKETCH_WORDS,
               "a sketch has a bit for each of its bins");

/* What stands in the place of the port: a sketch of half an hour, a bin of the hour, or
 * a port with FF_WHERE_HAS_PORT. */
#define FF_ECHO_SKETCHES 2
#define FF_ECHO_PROTO 255

/* Cells that a packet is counted in: its own, and at most a bin's and a port's. */
#define FF_CELLS_PER_PACKET 3

FF_INLINE uint32_t ff_cell_slot(const ff_cell *cell) {
    return cell->where >> FF_WHERE_PORT & 0x1ffff;
}

/* Of an echo's cell: is it a sketch? */
FF_INLINE bool ff_echo_is_sketch(const ff_cell *cell) {
    return ff_cell_slot(cell) < FF_ECHO_SKETCHES;
}

/* What a packet of backscatter tells of its victim. */
typedef struct ff_echo {
    const uint8_t *victim; /* 4 or 16 bytes, network order; NULL: it does not tell */
    bool has_port;
    uint16_t port; /* of the victim */
} ff_echo;

/* Is it an ICMP error, which quotes the packet that it is about? */
FF_INLINE bool ff_icmp_quotes(const ff_view *v) {
    if (v->proto == FF_PROTO_ICMPV6) return v->icmp_type >= 1 && v->icmp_type <= 4;
    switch (v->icmp_type) {
        case 3:
        case 4:
        case 5:
        case 11:
        case 12: return v->proto == FF_PROTO_ICMP;
        default: return false;
    }
}

/* Where ports would stand in a quoted packet: behind the headers of IP, in the first
 * fragment. Extension headers of IPv6 are not looked behind. */
static inline void ff_echo_port(ff_echo *echo, ff_span quote, size_t header_bytes,
                                uint8_t proto) {
    bool has_ports = proto == FF_PROTO_TCP || proto == FF_PROTO_UDP;
    if (!has_ports || !ff_has(quote, header_bytes + 4)) return;
    echo->has_port = true;
    echo->port = ff_dst_port(quote.p + header_bytes);
}

/* What is quoted was sent in the name of whoever gets the error; any other quote is
 * made up. The victim is somebody else: a sensor's address must not be kept as one. */
FF_OUTLINE ff_echo ff_echo_of_quote(ff_span q, const uint8_t *ip, uint8_t version) {
    ff_echo echo = {0};
    if (version == 4) {
        if (!ff_has(q, FF_IPV4_MIN_BYTES) || q.p[0] >> 4 != 4) return echo;
        size_t header_bytes = ff_ipv4_header_bytes(q.p);
        if (header_bytes < FF_IPV4_MIN_BYTES) return echo;
        if (memcmp(q.p + 12, ip + 16, 4) != 0) return echo;
        if (memcmp(q.p + 16, ip + 16, 4) == 0) return echo;
        echo.victim = q.p + 16;
        if (ff_ipv4_frag_bytes(q.p) == 0) ff_echo_port(&echo, q, header_bytes, q.p[9]);
        return echo;
    }
    if (!ff_has(q, FF_IPV6_HEADER_BYTES) || q.p[0] >> 4 != 6) return echo;
    if (memcmp(q.p + 8, ip + 24, 16) != 0) return echo;
    if (memcmp(q.p + 24, ip + 24, 16) == 0) return echo;
    echo.victim = q.p + 24;
    ff_echo_port(&echo, q, FF_IPV6_HEADER_BYTES, q.p[6]);
    return echo;
}

FF_INLINE ff_echo ff_echo_of_view(const ff_view *v) {
    if (FF_UNLIKELY(ff_icmp_quotes(v)))
        return ff_echo_of_quote(v->quote, v->ip, v->ip_version);
    bool has_port = v->layers & FF_BIT(PORTS);
    return (ff_echo){.victim = v->ip + (v->ip_version == 4 ? 12 : 8),
                     .has_port = has_port,
                     .port = ff_src_port(v->ports)};
}

/* Another slot of the victim and hour of an echo's cell. */
FF_INLINE uint64_t ff_echo_where(uint64_t where, uint64_t slot) {
    return (where & ~((uint64_t)0x1ffff << FF_WHERE_PORT)) | slot << FF_WHERE_PORT;
}

/* The sketch of one packet of backscatter; false where it does not tell its victim. */
FF_INLINE bool ff_echo_sketch(const ff_view *v, ff_cell *sketch) {
    ff_echo echo = ff_echo_of_view(v);
    if (FF_UNLIKELY(echo.victim == NULL)) return false;
    uint64_t bin = (uint64_t)v->ts_ns / FF_ECHO_BIN_NS % FF_ECHO_BINS_PER_HOUR;
    uint64_t slot = bin / FF_ECHO_BINS_PER_SKETCH, bit = bin % FF_ECHO_BINS_PER_SKETCH;
    bool has_seq = ff_view_has_seq(v), has_window = v->layers & FF_BIT(TCP);
    *sketch = (ff_cell){
        .where = ff_view_hour(v) << FF_WHERE_HOUR |
                 (uint64_t)FF_ECHO_PROTO << FF_WHERE_PROTO |
                 (uint64_t)FF_TRAFFIC_ECHO << FF_WHERE_TRAFFIC | slot << FF_WHERE_PORT |
                 (uint64_t)(v->ip_version == 6) << FF_WHERE_IPV6,
        .tcp_seq = has_seq ? ff_tcp_seq(v->tcp) : 0,
        .src_port = echo.port,
        .ip_ttl = ff_ip_ttl(v),
        .extra = ff_tcp_window(v->tcp),
        .shared = (uint8_t)(FF_SHARED_IP_TTL | (has_seq ? FF_SHARED_TCP_SEQ : 0) |
                            (has_window ? FF_SHARED_EXTRA : 0) |
                            (echo.has_port ? FF_SHARED_SRC_PORT | FF_HAS_PORT : 0)),
    };
    sketch->bins[bit / 64] = (uint64_t)1 << bit % 64;
    if (v->ip_version == 4)
        ff_cell_set_ipv4(sketch, echo.victim);
    else
        ff_cell_set_ipv6(sketch, echo.victim);
    return true;
}

/* The sketch's bits are no part of its key. */
FF_INLINE uint64_t ff_echo_hash(const ff_cell *cell, uint64_t seed) {
    return ff_hash4(cell->where, 0, cell->src_hi, cell->src_lo, seed);
}

FF_INLINE bool ff_echo_same_key(const ff_cell *a, const ff_cell *b) {
    return ((a->where ^ b->where) | (a->src_hi ^ b->src_hi) |
            (a->src_lo ^ b->src_lo)) == 0;
}

/* The cell of the bin that the sketch of one packet shows. */
static inline ff_cell ff_echo_bin(const ff_cell *sketch) {
    uint64_t bin = ff_cell_slot(sketch) * FF_ECHO_BINS_PER_SKETCH, word = 0;
    while (sketch->bins[word] == 0) word++;
    bin += 64 * word + (uint64_t)__builtin_ctzll(sketch->bins[word]);
    return (ff_cell){.where = ff_echo_where(sketch->where, FF_ECHO_SKETCHES + bin),
                     .src_hi = sketch->src_hi,
                     .src_lo = sketch->src_lo,
                     .packets = 1};
}

/* The cell of its port. */
static inline ff_cell ff_echo_port_cell(const ff_cell *sketch) {
    uint64_t slot = FF_WHERE_HAS_PORT | sketch->src_port;
    return (ff_cell){.where = ff_echo_where(sketch->where, slot),
                     .src_hi = sketch->src_hi,
                     .src_lo = sketch->src_lo,
                     .packets = 1};
}

/* Draw the sketch of one packet into another of its victim. What that has no place for
 * must be counted in cells: whether its bin and its port. */
typedef struct ff_echo_rest {
    bool bin, port;
} ff_echo_rest;

FF_INLINE ff_echo_rest ff_echo_draw(ff_cell *into, const ff_cell *sketch) {
    ff_echo_rest rest = {false, (sketch->shared & FF_HAS_PORT) != 0};
    uint8_t has_port = into->shared & FF_HAS_PORT;
    if (has_port && into->src_port == sketch->src_port) rest.port = false;
    for (size_t word = 0; word < FF_ECHO_SKETCH_WORDS; word++) {
        rest.bin |= (into->bins[word] & sketch->bins[word]) != 0;
        into->bins[word] |= sketch->bins[word];
    }
    ff_cell_merge_shared(into, sketch);
    into->shared |= has_port;
    return rest;
}

#endif
