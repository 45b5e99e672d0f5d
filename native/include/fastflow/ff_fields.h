/* SPDX-License-Identifier: Apache-2.0 */
/* THE column table: a packet column exists because it has a row here, and nothing else
 * lists columns. To add one, write its accessor in the header's file and a row below.
 *
 * X(name, c_type, arrow, dict, layer, needs, decode, unit, source)
 *   arrow   Arrow C data interface format of the values
 *   dict    what a dictionary column's codes index: none, kinds, signatures, states,
 * ... layer   enum ff_layer whose absence makes the value null needs   work beyond the
 * headers that must be done first (enum ff_need) decode  an expression over `const
 * ff_view *v`; yields zero where absent */
#ifndef FASTFLOW_FF_FIELDS_H
#define FASTFLOW_FF_FIELDS_H

#include "fastflow/ff_tool.h"
#include "fastflow/ff_usual.h"

/* Work that is done only if a requested column needs it, a bit each. */
enum ff_need {
    FF_NEED_HEADERS = 0,
    FF_NEED_OPTIONS = 1,
    FF_NEED_SIGNATURE = 2 | FF_NEED_OPTIONS,
    FF_NEED_TOOL = 4 | FF_NEED_OPTIONS
};

/* What the codes of a dictionary column index. */
#define FF_DICTS(X) \
    X(none) X(kinds) X(signatures) X(states) X(traffics) X(countries) X(tools)

enum ff_dict_kind {
#define X(name) FF_DICT_##name,
    FF_DICTS(X)
#undef X
};

static const char *const ff_dict_names[] = {
#define X(name) #name,
    FF_DICTS(X)
#undef X
};

typedef struct ff_address {
    uint8_t byte[16];
} ff_address;

/* An address in network order at off4 or off6 of the IP header; IPv4 mapped into
 * ::ffff:0:0/96 (RFC 4291, section 2.5.5.2). */
FF_INLINE ff_address ff_ip_address(const ff_view *v, size_t off4, size_t off6) {
    ff_address a = {{0}};
    if (FF_LIKELY(v->ip_version == 4)) {
        a.byte[10] = a.byte[11] = 0xff;
        memcpy(a.byte + 12, v->ip + off4, 4);
    } else if (v->ip_version == 6) {
        memcpy(a.byte, v->ip + off6, 16);
    }
    return a;
}

FF_INLINE ff_address ff_ip_src(const ff_view *v) { return ff_ip_address(v, 12, 8); }
FF_INLINE ff_address ff_ip_dst(const ff_view *v) { return ff_ip_address(v, 16, 24); }
FF_INLINE uint8_t ff_ip_ttl(const ff_view *v) {
    return v->ip[v->ip_version == 6 ? 7 : 8];
}
FF_INLINE uint8_t ff_ip_tos(const ff_view *v) {
    return v->ip_version == 6 ? ff_ipv6_traffic_class(v->ip) : v->ip[1];
}
FF_INLINE uint16_t ff_ip_id(const ff_view *v) {
    return v->ip_version == 6 ? 0 : ff_load_be16(v->ip + 4);
}

/* clang-format off */
#define FF_PACKET_FIELDS(X)                                                                                                             \
    X(ts,          int64_t,    "tsn:UTC", none,       TS,        HEADERS,   v->ts_ns,                "capture time",                  "draft-ietf-opsawg-pcap 5")  \
    X(caplen,      uint32_t,   "I",       none,       RECORD,    HEADERS,   v->caplen_bytes,         "bytes captured",                "draft-ietf-opsawg-pcap 5")  \
    X(wirelen,     uint32_t,   "I",       none,       RECORD,    HEADERS,   v->wirelen_bytes,        "bytes on the wire",             "draft-ietf-opsawg-pcap 5")  \
    X(linktype,    uint16_t,   "S",       none,       RECORD,    HEADERS,   v->linktype,             "LINKTYPE_ number",              "draft-ietf-opsawg-pcaplinktype") \
    X(vlan,        uint16_t,   "S",       none,       VLAN,      HEADERS,   v->vlan,                 "outermost VLAN id",             "IEEE 802.1Q 9.6")           \
    X(ip_version,  uint8_t,    "C",       none,       IP,        HEADERS,   v->ip_version,           "4 or 6",                        "RFC 791 3.1, RFC 8200 3")   \
    X(src,         ff_address, "w:16",    none,       IP,        HEADERS,   ff_ip_src(v),            "address, IPv4 as ::ffff:a.b.c.d", "RFC 791 3.1, RFC 8200 3") \
    X(dst,         ff_address, "w:16",    none,       IP,        HEADERS,   ff_ip_dst(v),            "address, IPv4 as ::ffff:a.b.c.d", "RFC 791 3.1, RFC 8200 3") \
    X(proto,       uint8_t,    "C",       none,       IP,        HEADERS,   v->proto,                "IP protocol number, after IPv6 extension headers", "RFC 791 3.1, RFC 8200 4") \
    X(ip_ttl,      uint8_t,    "C",       none,       IP,        HEADERS,   ff_ip_ttl(v),            "hops left",                     "RFC 791 3.1, RFC 8200 3")   \
    X(ip_tos,      uint8_t,    "C",       none,       IP,        HEADERS,   ff_ip_tos(v),            "DSCP and ECN bits",             "RFC 2474 3, RFC 3168 5")    \
    X(ip_id,       uint16_t,   "S",       none,       IPV4,      HEADERS,   ff_ip_id(v),             "identification",                "RFC 791 3.1")               \
    X(ip_len,      uint32_t,   "I",       none,       IP,        HEADERS,   v->ip_len_bytes,         "bytes of the whole IP packet",  "RFC 791 3.1, RFC 8200 3")   \
    X(ip_frag,     uint16_t,   "S",       none,       IP,        HEADERS,   v->frag_bytes,           "fragment offset in bytes",      "RFC 791 3.1, RFC 8200 4.5") \
    X(src_port,    uint16_t,   "S",       none,       PORTS,     HEADERS,   ff_src_port(v->ports),   "port number",                   "RFC 9293 3.1, RFC 768")     \
    X(dst_port,    uint16_t,   "S",       none,       PORTS,     HEADERS,   ff_dst_port(v->ports),   "port number",                   "RFC 9293 3.1, RFC 768")     \
    X(tcp_flags,   uint8_t,    "C",       none,       TCP,       HEADERS,   ff_tcp_flags(v->tcp),    "bit set FIN=1 SYN=2 RST=4 PSH=8 ACK=16 URG=32 ECE=64 CWR=128", "RFC 9293 3.1") \
    X(tcp_seq,     uint32_t,   "I",       none,       TCP,       HEADERS,   ff_tcp_seq(v->tcp),      "sequence number",               "RFC 9293 3.1")              \
    X(tcp_ack,     uint32_t,   "I",       none,       TCP,       HEADERS,   ff_tcp_ack(v->tcp),      "acknowledgment number",         "RFC 9293 3.1")              \
    X(tcp_window,  uint16_t,   "S",       none,       TCP,       HEADERS,   ff_tcp_window(v->tcp),   "unscaled window",               "RFC 9293 3.1")              \
    X(tcp_options, int32_t,    "i",       kinds,      OPTIONS,   OPTIONS,   (int32_t)v->kinds_code,  "option kinds in wire order",    "RFC 9293 3.2")              \
    X(tcp_mss,     uint16_t,   "S",       none,       MSS,       OPTIONS,   v->mss,                  "bytes",                         "RFC 9293 3.7.1")            \
    X(tcp_wscale,  uint8_t,    "C",       none,       WSCALE,    OPTIONS,   v->wscale,               "shift count",                   "RFC 7323 2.2")              \
    X(icmp_type,   uint8_t,    "C",       none,       ICMP_TYPE, HEADERS,   v->icmp_type,            "type number",                   "RFC 792, RFC 4443 2.1")     \
    X(icmp_code,   uint8_t,    "C",       none,       ICMP_CODE, HEADERS,   v->icmp_code,            "code number",                   "RFC 792, RFC 4443 2.1")     \
    X(payload_len, uint32_t,   "I",       none,       PAYLOAD,   HEADERS,   v->payload_bytes,        "bytes after the transport header, by the IP length", "RFC 9293 3.1, RFC 768") \
    X(status,      int32_t,    "i",       states,     RECORD,    OPTIONS,   v->state,                "ok, or the first fault",        "fastflow fields --reasons")

/* Left out unless they are asked for by name. */
#define FF_DERIVED_FIELDS(X)                                                                                                     \
    X(traffic,     int32_t,    "i",       traffics,   IP,        HEADERS,   v->traffic,              "backscatter, scan or other",    "Moore et al. 2001, table 1") \
    X(signature,   int32_t,    "i",       signatures, OPTIONS,   SIGNATURE, (int32_t)v->sig_code,    "window:kinds:mss:wscale",       "MuonFP") \
    X(tool,        int32_t,    "i",       tools,      TOOL,      TOOL,      v->tool - (v->tool > 0), "scanner whose formula holds",   "fastflow fields --tools")
/* clang-format on */

#define FF_FIELDS(X) FF_PACKET_FIELDS(X) FF_DERIVED_FIELDS(X)
#define FF_FIRST_DERIVED_COL FF_COL_traffic

enum ff_col {
#define X(name, c_type, arrow, dict, layer, needs, decode, unit, source) FF_COL_##name,
    FF_FIELDS(X)
#undef X
        FF_N_COLS
};

/* The caller's columns: values[c] is NULL where column c was not asked for, valid[l]
 * where no column asks for the validity bits of layer l. */
typedef struct ff_columns {
    void *values[FF_N_COLS];
    uint8_t *valid[FF_N_LAYERS];
    size_t capacity_rows;
    size_t n_rows;
    bool has_every_packet_field;
} ff_columns;

/* A column at a time: what a scan of a few columns does. */
typedef void ff_fill(const ff_view *views, size_t n, void *out);
typedef void ff_fill_usual(const ff_usual_rules *rules, const ff_usual *usual, size_t n,
                           void *out);

#define X(name, c_type, arrow, dict, layer, needs, decode, unit, source)           \
    static void ff_fill_##name(const ff_view *views, size_t n, void *out) {        \
        c_type *values = out;                                                      \
        for (size_t i = 0; i < n; i++) {                                           \
            const ff_view *v = &views[i];                                          \
            values[i] = decode;                                                    \
        }                                                                          \
    }                                                                              \
    static void ff_fill_usual_##name(const ff_usual_rules *rules,                  \
                                     const ff_usual *usual, size_t n, void *out) { \
        c_type *values = out;                                                      \
        for (size_t i = 0; i < n; i++) {                                           \
            ff_view view;                                                          \
            const ff_view *v = &view;                                              \
            ff_usual_view(rules, &usual[i], &view);                                \
            values[i] = decode;                                                    \
        }                                                                          \
    }
FF_FIELDS(X)
#undef X

/* A row at a time, every column that is not derived: each view is looked at once, which
 * halves the time of a scan of all columns. */
FF_INLINE void ff_store_row(const ff_columns *cols, const ff_view *v, size_t row) {
#define X(name, c_type, arrow, dict, layer, needs, decode, unit, source) \
    ((c_type *)cols->values[FF_COL_##name])[row] = decode;
    FF_PACKET_FIELDS(X)
#undef X
}

typedef struct ff_field {
    const char *name;
    const char *arrow;
    const char *unit;
    const char *source;
    size_t width_bytes;
    enum ff_dict_kind dict;
    enum ff_layer layer;
    enum ff_need needs;
    ff_fill *fill;
    ff_fill_usual *fill_usual;
} ff_field;

static const ff_field ff_fields[FF_N_COLS] = {
#define X(name, c_type, arrow, dict, layer, needs, decode, unit, source) \
    {#name,                                                              \
     arrow,                                                              \
     unit,                                                               \
     source,                                                             \
     sizeof(c_type),                                                     \
     FF_DICT_##dict,                                                     \
     FF_LAYER_##layer,                                                   \
     FF_NEED_##needs,                                                    \
     ff_fill_##name,                                                     \
     ff_fill_usual_##name},
    FF_FIELDS(X)
#undef X
};

#endif
