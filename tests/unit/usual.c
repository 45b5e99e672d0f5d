/* SPDX-License-Identifier: Apache-2.0 */
/* Usual packets with bytes changed, the usual way and the general one: what is said of
 * them must be the same. Blocks are heap blocks of exactly their size. */
#include "../fuzz/fuzz_common.h"

#define N_CASES 200000
#define FRAME_MAX_BYTES 140
#define TAIL_MAX_BYTES 140
#define RECORD_MAX_BYTES (FF_USUAL_FRAME + FRAME_MAX_BYTES)
#define T0 1598443200u

static ff_scan scans[2]; /* the usual way, the general one */
static ff_lexicon lexicons[2];

static void put_be16(uint8_t *p, size_t value) {
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static void put_u32(uint8_t *p, size_t value) {
    uint32_t word = (uint32_t)value;
    memcpy(p, &word, sizeof word);
}

/* Options as they come: an MSS alone, a whole list, timestamps. */
static size_t put_options(uint8_t *p) {
    static const uint8_t lists[][40] = {
        {2, 4, 5, 180},
        {2, 4, 5, 180, 1, 3, 3, 8, 1, 1, 4, 2},
        {2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7},
        {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8},
        {1, 1, 5, 26, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
         0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 4, 5, 180},
    };
    static const size_t n_bytes[] = {4, 12, 20, 12, 36};
    size_t which = below(FF_COUNT_OF(lists) + 1);
    if (which == FF_COUNT_OF(lists)) return 0;
    memcpy(p, lists[which], n_bytes[which]);
    return n_bytes[which];
}

/* Returns the record's length: that of its packet and perhaps some padding. */
static size_t put_record(uint8_t *p) {
    static const uint8_t protos[] = {FF_PROTO_TCP, FF_PROTO_TCP, FF_PROTO_UDP,
                                     FF_PROTO_ICMP};
    uint8_t *ip = p + FF_USUAL_IP, *l4 = p + FF_USUAL_L4;
    memset(p, 0, RECORD_MAX_BYTES);
    size_t l4_bytes = 8;
    ip[9] = protos[below(FF_COUNT_OF(protos))];
    if (ip[9] == FF_PROTO_TCP) {
        l4_bytes = 20 + put_options(l4 + 20);
        l4[12] = (uint8_t)(l4_bytes << 2);
        l4[13] = (uint8_t)rng();
    }
    l4_bytes += below(3) ? 0 : below(20);
    if (ip[9] == FF_PROTO_UDP) put_be16(l4 + 4, l4_bytes);
    put_be16(ip - 2, FF_ETHERTYPE_IPV4);
    ip[0] = 0x45;
    put_be16(ip + 2, 20 + l4_bytes);
    size_t caplen = 34 + l4_bytes + (below(3) ? 0 : below(8));
    put_u32(p, T0 + below(3));
    put_u32(p + 4, below(3) ? below(1000000) : 999999);
    put_u32(p + 8, caplen);
    put_u32(p + 12, caplen);
    return FF_USUAL_FRAME + caplen;
}

/* Change up to three bytes, or more often none; or let a file header stand there. */
static void change(uint8_t *record, size_t n) {
    static const uint32_t magics[] = {FF_PCAP_MAGIC_USEC, FF_PCAP_MAGIC_NSEC,
                                      FF_PCAP_MAGIC_MODIFIED};
    for (size_t left = below(4); left > 0; left--) {
        uint8_t *byte = record + below(below(4) ? 80 : n);
        switch (below(4)) {
            case 0: *byte = (uint8_t)rng(); break;
            case 1: (*byte)++; break;
            case 2: (*byte)--; break;
            default: *byte ^= (uint8_t)(1u << below(8));
        }
    }
    if (below(32) > 0) return;
    uint32_t magic = magics[below(FF_COUNT_OF(magics))];
    bool is_swapped = below(2);
    put_u32(record, is_swapped ? __builtin_bswap32(magic) : magic);
    put_u32(record + 4, is_swapped ? 0x00000200 : 0x00040002);
}

static void begin(int which, uint32_t needs, uint32_t snaplen, bool in_ns,
                  bool at_any_time) {
    uint8_t head[FF_PCAP_HEADER_BYTES] = {0};
    ff_scan *scan = &scans[which];
    memset(scan, 0, sizeof *scan);
    scan->lexicon = &lexicons[which];
    lexicon_room(scan->lexicon, FF_CHUNK_ROWS);
    scan->ts_min_ns = (int64_t)T0 * FF_NS_PER_SEC + 500;
    scan->ts_end_ns = (int64_t)(T0 + 2) * FF_NS_PER_SEC + 999999000;
    if (at_any_time) scan->ts_min_ns = 0, scan->ts_end_ns = INT64_MAX;
    scan->needs = needs;
    put_u32(head, in_ns ? FF_PCAP_MAGIC_NSEC : FF_PCAP_MAGIC_USEC);
    head[4] = 2;
    head[6] = 4;
    put_u32(head + 16, snaplen);
    put_u32(head + 20, FF_LINKTYPE_ethernet);
    CHECK(ff_scan_open(scan, head, sizeof head) == FF_FAULT_none);
}

static void check_same_views(const ff_view *a, const ff_view *b) {
    CHECK(a->layers == b->layers && a->reason == b->reason);
    CHECK(a->options_bytes == b->options_bytes);
    CHECK(a->ip == b->ip && a->ports == b->ports && a->tcp == b->tcp);
    for (int c = 0; c < FF_N_COLS; c++) {
        uint64_t values[2][2] = {{0}};
        ff_fields[c].fill(a, 1, values[0]);
        ff_fields[c].fill(b, 1, values[1]);
        CHECK(memcmp(values[0], values[1], sizeof values[0]) == 0);
    }
}

static void check_same_scans(void) {
    const ff_scan *a = &scans[0], *b = &scans[1];
    CHECK(a->n_views == b->n_views && a->n_records == b->n_records);
    CHECK(a->consumed_bytes == b->consumed_bytes && a->fault == b->fault);
    CHECK(a->first_ts_ns == b->first_ts_ns && a->last_ts_ns == b->last_ts_ns);
    CHECK(memcmp(a->reasons, b->reasons, sizeof a->reasons) == 0);
    CHECK(memcmp(a->flags, b->flags, sizeof a->flags) == 0);
    for (size_t i = 0; i < a->n_views; i++)
        check_same_views(&a->views[i], &b->views[i]);
}

/* A column made of a usual packet is that of its view. */
static void check_columns(const ff_usual_rules *rules, ff_usual u, const ff_view *v) {
    if (scans[0].needs != FF_NEED_HEADERS && !ff_usual_options(&lexicons[0], &u))
        return;
    CHECK(u.layers == v->layers);
    for (int c = 0; c < FF_N_COLS; c++) {
        if (c == FF_COL_signature) continue; /* made of views only */
        uint64_t values[2][2] = {{0}};
        ff_fields[c].fill(v, 1, values[0]);
        ff_fields[c].fill_usual(rules, &u, 1, values[1]);
        CHECK(memcmp(values[0], values[1], sizeof values[0]) == 0);
    }
}

/* Returns whether the first record of the block is usual. */
static bool check_block(ff_span block) {
    ff_span left[2] = {block, block};
    enum ff_outcome outcomes[2];
    outcomes[0] = ff_scan_chunk(&scans[0], &left[0], FF_CHUNK_ROWS);
    outcomes[1] = ff_scan_records(&scans[1], &left[1], FF_CHUNK_ROWS, FF_PCAP_RECORDS);
    CHECK(outcomes[0] == outcomes[1] && left[0].n == left[1].n);
    for (int i = 0; i < 2; i++) ff_scan_finish_views(&scans[i]);
    check_same_scans();
    ff_usual_rules rules = ff_scan_rules(&scans[0]);
    ff_usual u;
    if (!ff_has(block, FF_USUAL_REACH_BYTES)) return false;
    if (!ff_usual_next(&rules, block, ff_usual_ts(&rules, block.p), &u)) return false;
    check_columns(&rules, u, &scans[1].views[0]);
    return true;
}

int main(void) {
    size_t n_usual = 0;
    for (int i = 0; i < 2; i++) lexicon_begin(&lexicons[i], 1);
    for (int n_case = 0; n_case < N_CASES; n_case++) {
        uint8_t record[RECORD_MAX_BYTES];
        size_t n = put_record(record), tail = below(4) ? below(TAIL_MAX_BYTES) : 0;
        /* Two records, the second one as it is, and a beginning of whatever. */
        uint8_t *block = exact(2 * n + tail);
        memcpy(block, record, n);
        memcpy(block + n, record, n);
        for (size_t i = 0; i < tail; i++) block[2 * n + i] = (uint8_t)rng();
        change(block, n);
        static const uint32_t needs[] = {FF_NEED_HEADERS, FF_NEED_OPTIONS,
                                         FF_NEED_SIGNATURE};
        uint32_t need = needs[below(FF_COUNT_OF(needs))];
        uint32_t snaplen = (uint32_t)(below(4) ? 65535 : n - FF_USUAL_FRAME - below(2));
        bool in_ns = below(4) == 0, at_any_time = below(2) == 0;
        for (int i = 0; i < 2; i++) begin(i, need, snaplen, in_ns, at_any_time);
        n_usual += check_block((ff_span){block, 2 * n + tail});
        free(block);
    }
    printf("%zu of %d usual\n", n_usual, N_CASES);
    return n_usual < N_CASES / 4 || n_usual > N_CASES * 3 / 4;
}
