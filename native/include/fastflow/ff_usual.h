/* SPDX-License-Identifier: Apache-2.0 */
/* The usual packet: TCP, UDP or ICMP over IPv4 on Ethernet, whole and sound, out of a
 * plain pcap file, with nothing about it that wants a flag, a fault or a reason.
 *
 * Its headers stand at fixed places, and its view follows from the record's address and
 * the layers it has: it is made where it is wanted, for one column or for all. Of any
 * other packet nothing is said here; the way through ff_decode.h decodes those, and
 * would give the same view of a usual one. */
#ifndef FASTFLOW_FF_USUAL_H
#define FASTFLOW_FF_USUAL_H

#include "fastflow/ff_decode.h"
#include "fastflow/ff_pcap.h"
#include "fastflow/ff_tcpsig.h"

/* Where headers stand, from the beginning of the record. */
#define FF_USUAL_FRAME 16
#define FF_USUAL_IP (FF_USUAL_FRAME + FF_ETHERNET_BYTES)
#define FF_USUAL_L4 (FF_USUAL_IP + FF_IPV4_MIN_BYTES)
/* So many bytes of the block are read, or nothing is: behind a short record those of
 * the next, which decide nothing. */
#define FF_USUAL_REACH_BYTES (FF_USUAL_L4 + FF_TCP_MIN_BYTES + FF_TCP_OPTIONS_MAX_BYTES)

#define FF_USUAL_LAYERS \
    (FF_BIT(RECORD) | FF_BIT(TS) | FF_BIT(IP) | FF_BIT(IPV4) | FF_BIT(PAYLOAD))

/* Seconds from December 2055 on may be a magic number, as some before are when swapped.
 */
#define FF_USUAL_TS_END_NS ((int64_t)0xa1b20000 * FF_NS_PER_SEC)

/* What of the question is the same for all records of a file. */
typedef struct ff_usual_rules {
    uint32_t caplen_max;
    uint32_t frac_per_sec, ns_per_frac;
    int64_t ts_min_ns;
    uint64_t ts_window_ns;
} ff_usual_rules;

/* What of a packet took a decision to find. */
typedef struct ff_usual {
    const uint8_t *p;           /* the record */
    const uint8_t *ports, *tcp; /* as in its view */
    uint32_t layers;
    uint32_t kinds_code; /* of the options, if they were wanted */
    uint16_t mss;
    uint8_t wscale;
} ff_usual;

static inline ff_usual_rules ff_usual_rules_of(const ff_pcap *f, int64_t ts_min_ns,
                                               int64_t ts_end_ns) {
    bool is_limited = f->on.snaplen > 0 && f->on.snaplen < FF_CAPLEN_MAX_BYTES;
    if (ts_end_ns > FF_USUAL_TS_END_NS) ts_end_ns = FF_USUAL_TS_END_NS;
    return (ff_usual_rules){
        .caplen_max = is_limited ? f->on.snaplen : FF_CAPLEN_MAX_BYTES,
        .frac_per_sec = f->frac_per_sec,
        .ns_per_frac = f->ns_per_frac,
        .ts_min_ns = ts_min_ns,
        .ts_window_ns =
            ts_end_ns > ts_min_ns ? (uint64_t)ts_end_ns - (uint64_t)ts_min_ns : 0,
    };
}

FF_INLINE uint32_t ff_usual_caplen(const uint8_t *p) { return ff_load_u32(p + 8); }

FF_INLINE int64_t ff_usual_ts(const ff_usual_rules *rules, const uint8_t *p) {
    return (int64_t)ff_load_u32(p) * FF_NS_PER_SEC +
           (int64_t)ff_load_u32(p + 4) * rules->ns_per_frac;
}

/* Are four bytes, in network order, `value` where `mask` has ones? */
FF_INLINE bool ff_is_be32(const uint8_t *p, uint32_t mask, uint32_t value) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    mask = __builtin_bswap32(mask);
    value = __builtin_bswap32(value);
#endif
    return (ff_load_u32(p) & mask) == value;
}

/* Is the record as usual, and all of it in s? A time that may be the magic number of a
 * file header is not. */
FF_INLINE bool ff_usual_record(const ff_usual_rules *rules, ff_span s, int64_t ts_ns) {
    uint32_t sec = ff_load_u32(s.p), frac = ff_load_u32(s.p + 4);
    uint32_t caplen = ff_usual_caplen(s.p), wirelen = ff_load_u32(s.p + 12);
    return caplen <= rules->caplen_max && caplen <= s.n - FF_USUAL_FRAME &&
           caplen <= wirelen && frac < rules->frac_per_sec &&
           (uint64_t)ts_ns - (uint64_t)rules->ts_min_ns < rules->ts_window_ns &&
           (sec & 0xffffu) != 0xb2a1u;
}

/* Is the transport header whole and sound? */
FF_INLINE bool ff_usual_transport(ff_usual *u, uint8_t proto, int wire_bytes) {
    const uint8_t *l4 = u->p + FF_USUAL_L4;
    int need_bytes;
    switch (proto) {
        case FF_PROTO_TCP:
            u->ports = u->tcp = l4;
            u->layers |= FF_BIT(PORTS) | FF_BIT(TCP) | FF_BIT(OPTIONS);
            need_bytes = (int)ff_tcp_header_bytes(l4);
            return need_bytes >= FF_TCP_MIN_BYTES && need_bytes <= wire_bytes;
        case FF_PROTO_UDP:
            u->ports = l4;
            u->layers |= FF_BIT(PORTS);
            need_bytes = ff_udp_len_bytes(l4);
            return need_bytes >= FF_UDP_HEADER_BYTES && need_bytes <= wire_bytes;
        case FF_PROTO_ICMP:
            u->layers |= FF_BIT(ICMP_TYPE) | FF_BIT(ICMP_CODE);
            return wire_bytes >= FF_ICMP_HEADER_BYTES;
        default: return false;
    }
}

/* Is the record that s begins with a usual packet? Then u describes it, but for the
 * options. */
FF_INLINE bool ff_usual_next(const ff_usual_rules *rules, ff_span s, int64_t ts_ns,
                             ff_usual *u) {
    const uint8_t *ip = s.p + FF_USUAL_IP;
    int wire_bytes = ff_ipv4_total_bytes(ip) - FF_IPV4_MIN_BYTES;
    /* EtherType, version and header length; no fragment; nothing cut. */
    if (FF_UNLIKELY(!ff_usual_record(rules, s, ts_ns) ||
                    !ff_is_be32(ip - 2, 0xffffff00, FF_ETHERTYPE_IPV4 << 16 | 0x4500) ||
                    !ff_is_be32(ip + 6, 0x3fff0000, 0) ||
                    wire_bytes + FF_USUAL_L4 - FF_USUAL_FRAME >
                        (int)ff_usual_caplen(s.p)))
        return false;
    *u = (ff_usual){
        .p = s.p, .ports = ff_absent, .tcp = ff_absent, .layers = FF_USUAL_LAYERS};
    return FF_LIKELY(ff_usual_transport(u, ip[9], wire_bytes));
}

/* Decode its options, if it has any to be decoded; false where they are malformed. */
FF_INLINE bool ff_usual_options(ff_lexicon *lexicon, ff_usual *u) {
    if (!(u->layers & FF_BIT(OPTIONS))) return true;
    const uint8_t *tcp = u->p + FF_USUAL_L4;
    const ff_layout *layout = ff_layout_of(lexicon, tcp + FF_TCP_MIN_BYTES,
                                           ff_tcp_header_bytes(tcp) - FF_TCP_MIN_BYTES,
                                           FF_TCP_OPTIONS_MAX_BYTES);
    if (FF_UNLIKELY(layout == NULL)) return false;
    u->layers |= layout->layers;
    u->kinds_code = layout->kinds_code;
    u->mss = ff_layout_mss(layout, tcp);
    u->wscale = ff_layout_wscale(layout, tcp);
    return true;
}

/* Bytes of the transport header. */
FF_INLINE uint32_t ff_usual_header_bytes(const ff_usual *u) {
    if (!(u->layers & FF_BIT(TCP))) return 8;
    return (uint32_t)ff_tcp_header_bytes(u->p + FF_USUAL_L4);
}

FF_INLINE enum ff_traffic ff_usual_traffic(const ff_usual *u) {
    const uint8_t *l4 = u->p + FF_USUAL_L4;
    if (u->layers & FF_BIT(TCP)) return ff_traffic_of_tcp(ff_tcp_flags(l4));
    return u->layers & FF_BIT(PORTS) ? FF_TRAFFIC_scan : ff_traffic_of_icmp(l4[0]);
}

/* What follows the header of an ICMP packet. */
FF_INLINE ff_span ff_usual_quote(const ff_usual *u, uint32_t ip_len_bytes) {
    if (!(u->layers & FF_BIT(ICMP_TYPE))) return (ff_span){NULL, 0};
    return (ff_span){u->p + FF_USUAL_L4 + FF_ICMP_HEADER_BYTES,
                     ip_len_bytes - FF_IPV4_MIN_BYTES - FF_ICMP_HEADER_BYTES};
}

/* The view of a usual packet. Inlined, whatever of it is not looked at costs nothing.
 */
FF_INLINE void ff_usual_view(const ff_usual_rules *rules, const ff_usual *u,
                             ff_view *v) {
    const uint8_t *p = u->p, *ip = p + FF_USUAL_IP, *l4 = p + FF_USUAL_L4;
    uint32_t ip_len_bytes = ff_ipv4_total_bytes(ip);
    uint32_t header_bytes = ff_usual_header_bytes(u);
    const uint8_t *icmp = u->layers & FF_BIT(ICMP_TYPE) ? l4 : ff_absent;
    *v = (ff_view){
        .ip = ip,
        .ports = u->ports,
        .tcp = u->tcp,
        .quote = ff_usual_quote(u, ip_len_bytes),
        .ts_ns = ff_usual_ts(rules, p),
        .caplen_bytes = ff_usual_caplen(p),
        .wirelen_bytes = ff_load_u32(p + 12),
        .ip_len_bytes = ip_len_bytes,
        .payload_bytes = ip_len_bytes - FF_IPV4_MIN_BYTES - header_bytes,
        .layers = u->layers,
        .linktype = FF_LINKTYPE_ethernet,
        .mss = u->mss,
        .wscale = u->wscale,
        .ip_version = 4,
        .proto = ip[9],
        .state = FF_STATE_ok,
        .icmp_type = icmp[0],
        .icmp_code = icmp[1],
        .options_bytes =
            (uint8_t)(u->layers & FF_BIT(TCP) ? header_bytes - FF_TCP_MIN_BYTES : 0),
        .traffic = (uint8_t)ff_usual_traffic(u),
        .reason = FF_REASON_counted,
        .kinds_code = u->kinds_code,
    };
}

#endif
