/* SPDX-License-Identifier: Apache-2.0 */
/* Which tool sent a packet: rules over the header fields of a TCP SYN over IPv4, whose
 * destination is still at hand here.
 *
 * A rule is a list of tests that must all hold, and each test says that the exclusive
 * or of some fields is a certain value, where a mask has ones. That is all that the
 * formulas known of scanners need, and nothing in it can fail or loop. Python compiles
 * the text of a formula to it (src/fastflow/tools.py). */
#ifndef FASTFLOW_FF_TOOL_H
#define FASTFLOW_FF_TOOL_H

#include "fastflow/ff_tcp.h"
#include "fastflow/ff_traffic.h"
#include "fastflow/ff_udp.h"
#include "fastflow/ff_view.h"

/* The fields, X(name, bits, value), over `const ff_view *v` and its headers. `zero`
 * fills the places that a test does not use. First those of the formulas that every SYN
 * is tried with. */
#define FF_TOOL_USUAL_FIELDS(X)           \
    X(dst, 32, ff_load_be32(v->ip + 16))  \
    X(ip_id, 16, ff_load_be16(v->ip + 4)) \
    X(dst_port, 16, ff_dst_port(v->tcp))  \
    X(tcp_seq, 32, ff_tcp_seq(v->tcp))    \
    X(tcp_window, 16, ff_tcp_window(v->tcp))

#define FF_TOOL_OTHER_FIELDS(X)                         \
    X(src, 32, ff_load_be32(v->ip + 12))                \
    X(swapped_dst, 32, ff_load_le32(v->ip + 16))        \
    X(ip_len, 32, v->ip_len_bytes)                      \
    X(ip_ttl, 8, v->ip[8])                              \
    X(ip_tos, 8, v->ip[1])                              \
    X(src_port, 16, ff_src_port(v->tcp))                \
    X(tcp_ack, 32, ff_tcp_ack(v->tcp))                  \
    X(tcp_header_bytes, 8, ff_tcp_header_bytes(v->tcp)) \
    X(tcp_mss, 16, v->mss)                              \
    X(tcp_wscale, 8, v->wscale)

#define FF_TOOL_FIELDS(X) X(zero, 0, 0) FF_TOOL_USUAL_FIELDS(X) FF_TOOL_OTHER_FIELDS(X)

enum ff_tool_field {
#define X(name, bits, value) FF_TOOL_FIELD_##name,
    FF_TOOL_FIELDS(X)
#undef X
        FF_N_TOOL_FIELDS
};
#define FF_TOOL_FIRST_OTHER_FIELD FF_TOOL_FIELD_src

typedef struct ff_tool_field_info {
    const char *name;
    unsigned bits;
} ff_tool_field_info;

static const ff_tool_field_info ff_tool_fields[FF_N_TOOL_FIELDS] = {
#define X(name, bits, value) {#name, bits},
    FF_TOOL_FIELDS(X)
#undef X
};

#define FF_TOOL_TERMS 4
#define FF_TOOL_TESTS_MAX 8
#define FF_TOOL_RULES_MAX 64
/* Tools have codes from 1 on; 0 is none. A cell's key has five bits for them. */
#define FF_TOOLS_MAX 31

typedef struct ff_tool_test {
    uint32_t mask, value;
    uint8_t fields[FF_TOOL_TERMS]; /* enum ff_tool_field */
} ff_tool_test;

typedef struct ff_tool_rule {
    int64_t begin_ns, end_ns; /* the times that it holds for, begin <= ts < end */
    uint8_t tool;             /* code */
    uint8_t n_tests;          /* at least one */
    ff_tool_test tests[FF_TOOL_TESTS_MAX];
} ff_tool_rule;

typedef struct ff_tools {
    size_t n; /* of the rules; the first that holds names the tool */
    bool has_other_fields;
    ff_tool_rule rules[FF_TOOL_RULES_MAX];
} ff_tools;

/* A TCP SYN over IPv4? Of options that are cut or malformed nothing is known. */
FF_INLINE bool ff_tool_is_asked(const ff_view *v) {
    uint32_t needed = FF_BIT(IPV4) | FF_BIT(TCP);
    return (v->layers & needed) == needed && v->traffic == FF_TRAFFIC_scan;
}

/* Fields of many packets side by side: the first test of nearly every rule fails, and
 * tried on columns, several packets at a time, it costs next to nothing. `zero` is
 * zeros from the beginning. */
#define FF_TOOL_PACKETS 256
typedef struct ff_tool_columns {
    uint32_t values[FF_N_TOOL_FIELDS][FF_TOOL_PACKETS];
} ff_tool_columns;

#define X(name, bits, value) \
    columns->values[FF_TOOL_FIELD_##name][i] = (uint32_t)(value);
/* The fields that every SYN is tried with. */
FF_INLINE void ff_tool_put_usual(ff_tool_columns *columns, size_t i,
                                 const ff_view *v){FF_TOOL_USUAL_FIELDS(X)}

FF_INLINE void ff_tool_put_others(ff_tool_columns *columns, size_t i,
                                  const ff_view *v){FF_TOOL_OTHER_FIELDS(X)}
#undef X

/* Note the rule, as its number and one, for each of n packets that a test holds for. A
 * function of its own, with all it needs in registers, is one that compilers make of
 * vectors. */
FF_OUTLINE void ff_tool_try(const uint32_t *a, const uint32_t *b, const uint32_t *c,
                            const uint32_t *d, uint32_t mask, uint32_t value, size_t n,
                            uint32_t rule, uint32_t *restrict hits) {
    for (size_t i = 0; i < n; i++) {
        uint32_t found = (a[i] ^ b[i] ^ c[i] ^ d[i]) & mask;
        hits[i] = found == value ? rule + 1 : hits[i];
    }
}

/* Which rule may hold first for each of n packets, as its number and one; 0: none. */
static inline void ff_tools_try(const ff_tools *tools, const ff_tool_columns *columns,
                                size_t n, uint32_t *hits) {
    memset(hits, 0, n * sizeof *hits);
    for (size_t rule = tools->n; rule-- > 0;) {
        const ff_tool_test *test = &tools->rules[rule].tests[0];
        const uint8_t *fields = test->fields;
        ff_tool_try(columns->values[fields[0]], columns->values[fields[1]],
                    columns->values[fields[2]], columns->values[fields[3]], test->mask,
                    test->value, n, (uint32_t)rule, hits);
    }
}

FF_INLINE bool ff_tool_holds(const ff_tool_test *test, const ff_tool_columns *columns,
                             size_t i) {
    uint32_t found = 0;
    for (size_t term = 0; term < FF_TOOL_TERMS; term++)
        found ^= columns->values[test->fields[term]][i];
    return (found & test->mask) == test->value;
}

/* Do a rule's tests hold, from one of them on, at this time? */
static inline bool ff_tool_rule_holds(const ff_tool_rule *rule, size_t test,
                                      const ff_tool_columns *columns, size_t i,
                                      int64_t ts_ns) {
    for (; test < rule->n_tests; test++)
        if (!ff_tool_holds(&rule->tests[test], columns, i)) return false;
    return rule->begin_ns <= ts_ns && ts_ns < rule->end_ns;
}

/* The code of the tool of the i-th packet; `hit` is the first rule that may hold, whose
 * first test does. */
static inline uint8_t ff_tool_of(const ff_tools *tools, const ff_tool_columns *columns,
                                 size_t i, uint32_t hit, const ff_view *v) {
    if (!ff_tool_is_asked(v)) return 0;
    for (size_t rule = hit - 1; rule < tools->n; rule++)
        if (ff_tool_rule_holds(&tools->rules[rule], rule == hit - 1, columns, i,
                               v->ts_ns))
            return tools->rules[rule].tool;
    return 0;
}

/* Tools that leave their mark in how the packets of a source differ: 16 bits of a SYN
 * that such a tool keeps the same while its sequence numbers change.
 *   Nmap's SYN scan (window 1024, no option but MSS 1460): the sequence number's halves
 *     are one word twice, under a mask of the run. Halves exclusive-or'ed, it is gone.
 *   unicornscan: seq ^ dst ^ ports is the key of the run, where dst may be in either
 *     byte order. A word and its mirror image, exclusive-or'ed, are the same for both.
 * Source: scan_engine_raw.cc of Nmap; TCPHASHTRACK of unicornscan. */
FF_INLINE bool ff_is_nmap_syn(const ff_view *v) {
    return (v->layers & FF_BIT(MSS)) && v->mss == 1460 && v->options_bytes == 4 &&
           ff_tcp_window(v->tcp) == 1024;
}

FF_INLINE uint16_t ff_tool_seq_key(const ff_view *v) {
    uint32_t seq = ff_tcp_seq(v->tcp);
    if (FF_UNLIKELY(ff_is_nmap_syn(v))) return (uint16_t)(seq >> 16 ^ seq);
    uint32_t ports = (uint32_t)ff_dst_port(v->tcp) << 16 | ff_src_port(v->tcp);
    uint32_t key = seq ^ ff_load_be32(v->ip + 16) ^ ports;
    return (uint16_t)((key ^ __builtin_bswap32(key)) >> 16);
}

#endif
