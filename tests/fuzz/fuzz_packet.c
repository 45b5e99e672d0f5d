/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target over the decoder: one frame to one row.
 *
 * The first bytes choose the link type (little-endian LINKTYPE_ number), the tunnels
 * that are opened (bits) and how much longer the frame was on the wire. The rest is the
 * frame, a heap block of exactly its size; every column is one, too. */
#include "fuzz_columns.h"

#define CHOICE_BYTES 6
#define SLACK_BYTES 80

/* One row of each column. */
typedef struct row {
    ff_columns cols;
    uint64_t flags[FF_N_FLAGS];
    uint8_t reason;
} row;

static ff_scan scan;
static ff_lexicon lexicon;

static void row_begin(row *r) {
    if (r->cols.values[0] == NULL) {
        for (int c = 0; c < FF_N_COLS; c++)
            r->cols.values[c] = exact(ff_fields[c].width_bytes);
        for (int layer = 0; layer < FF_N_LAYERS; layer++)
            r->cols.valid[layer] = exact(1);
    }
    for (int layer = 0; layer < FF_N_LAYERS; layer++) *r->cols.valid[layer] = 0;
    r->cols.capacity_rows = 1;
    r->cols.n_rows = 0;
    r->cols.has_every_packet_field = true;
    memset(r->flags, 0, sizeof r->flags);
}

/* What a header's pointer promises is inside the frame; an absent one is of zeros. */
static void check_pointer(const ff_view *v, uint32_t bit, const uint8_t *p,
                          size_t n_bytes, ff_span frame) {
    if (!(v->layers & bit)) {
        CHECK(p == ff_absent);
        return;
    }
    uintptr_t begin = (uintptr_t)frame.p, at = (uintptr_t)p;
    CHECK(at >= begin && at - begin <= frame.n && n_bytes <= frame.n - (at - begin));
}

static void check_pointers(const ff_view *v, ff_span frame) {
    size_t ip_bytes = v->ip_version == 6 ? 40 : 20;
    bool has_options = v->layers & FF_BIT(OPTIONS);
    check_pointer(v, FF_BIT(IP), v->ip, ip_bytes, frame);
    check_pointer(v, FF_BIT(PORTS), v->ports, 4, frame);
    check_pointer(v, FF_BIT(TCP), v->tcp, 20u + has_options * v->options_bytes, frame);
    CHECK(!(v->layers & FF_BIT(TCP)) || v->tcp == v->ports);
    CHECK(v->options_bytes <= 40);
}

/* Layers rest upon one another. */
static void check_layers(const ff_view *v) {
    static const struct {
        uint32_t above, below;
    } rests[] = {
        {FF_BIT(IPV4), FF_BIT(IP)},      {FF_BIT(PORTS), FF_BIT(IP)},
        {FF_BIT(TCP), FF_BIT(PORTS)},    {FF_BIT(OPTIONS), FF_BIT(TCP)},
        {FF_BIT(MSS), FF_BIT(OPTIONS)},  {FF_BIT(WSCALE), FF_BIT(OPTIONS)},
        {FF_BIT(ICMP_TYPE), FF_BIT(IP)}, {FF_BIT(ICMP_CODE), FF_BIT(ICMP_TYPE)},
        {FF_BIT(PAYLOAD), FF_BIT(IP)},
    };
    for (size_t i = 0; i < FF_COUNT_OF(rests); i++)
        CHECK(!(v->layers & rests[i].above) || (v->layers & rests[i].below));
    CHECK(v->layers & FF_BIT(RECORD));
    CHECK((v->ip_version == 4) == !!(v->layers & FF_BIT(IPV4)));
    CHECK((v->ip_version != 0) == !!(v->layers & FF_BIT(IP)));
    CHECK(!(v->layers & FF_BIT(PAYLOAD)) || v->payload_bytes <= v->ip_len_bytes);
}

/* A packet with a source is counted, one without is uncounted under its state; behind
 * an opened tunnel any fault leaves it counted. */
static void check_state(const ff_view *v, uint32_t decap) {
    CHECK(v->state < FF_N_STATES && v->traffic < FF_N_TRAFFICS);
    bool may_be_counted = strcmp(ff_state_names[v->state].group, "counted") == 0;
    CHECK(may_be_counted || !(v->layers & FF_BIT(IP)) || decap != 0);
    /* More layers than are taken may hide an IP header as well as follow one. */
    CHECK(!may_be_counted || (v->layers & FF_BIT(IP)) ||
          v->state == FF_STATE_too_many_layers);
    CHECK(v->reason ==
          ((v->layers & FF_BIT(IP)) ? FF_REASON_counted : FF_REASON_STATES + v->state));
}

static void decode(uint8_t link, ff_span frame, uint32_t decap, uint32_t more_bytes,
                   row *r) {
    ff_view *v = &scan.views[0];
    row_begin(r);
    ff_view_clear(v);
    v->caplen_bytes = (uint32_t)frame.n;
    v->wirelen_bytes = v->caplen_bytes + more_bytes;
    ff_decode_packet(link, frame, decap, v, r->flags);
    v->reason = ff_scan_reason(v, true, true);
    if (!ff_lexicon_has_room(&lexicon, FF_CHUNK_ROWS))
        lexicon_room(&lexicon, FF_CHUNK_ROWS);
    if (v->layers & FF_BIT(OPTIONS)) ff_options_decode(&lexicon, frame.p + frame.n, v);
    ff_scan_finish_views(&scan);
    ff_columns_add_views(&r->cols, scan.views, scan.n_views);
    r->reason = v->reason;
    check_pointers(v, frame);
    check_layers(v);
    check_state(v, decap);
    for (int c = 0; c < FF_N_COLS; c++) check_value(&r->cols, c, 0, &lexicon);
    for (int f = 0; f < FF_N_FLAGS; f++) CHECK(r->flags[f] <= 1);
}

static void check_same(const row *a, const row *b) {
    CHECK(a->reason == b->reason);
    CHECK(memcmp(a->flags, b->flags, sizeof a->flags) == 0);
    for (int layer = 0; layer < FF_N_LAYERS; layer++)
        CHECK(*a->cols.valid[layer] == *b->cols.valid[layer]);
    for (int c = 0; c < FF_N_COLS; c++)
        CHECK(memcmp(a->cols.values[c], b->cols.values[c], ff_fields[c].width_bytes) ==
              0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static row alone, amid;
    if (n < CHOICE_BYTES) return 0;
    uint16_t linktype = ff_load_le16(data);
    uint8_t link = ff_link_of(linktype);
    if (link == FF_LINK_UNSUPPORTED) link = (uint8_t)(linktype % FF_N_LINKS);
    uint32_t decap = ff_load_le16(data + 2) & (((uint32_t)1 << FF_N_TUNNELS) - 1);
    uint32_t more_bytes = ff_load_le16(data + 4);
    data += CHOICE_BYTES;
    n -= CHOICE_BYTES;
    rng_state = digest(n, data, n);
    is_hash_weak = below(4) == 0;
    lexicon_begin(&lexicon, rng());
    scan.lexicon = &lexicon;
    scan.needs = FF_NEED_SIGNATURE;
    scan.n_views = 1;
    uint8_t *frame = exact(n), *room = exact(n + 2 * SLACK_BYTES);
    memcpy(frame, data, n);
    for (size_t i = 0; i < n + 2 * SLACK_BYTES; i++) room[i] = (uint8_t)rng();
    memcpy(room + SLACK_BYTES, data, n);
    decode(link, (ff_span){frame, n}, decap, more_bytes, &alone);
    /* What lies around a frame is none of its bytes. */
    decode(link, (ff_span){room + SLACK_BYTES, n}, decap, more_bytes, &amid);
    check_same(&alone, &amid);
    free(frame);
    free(room);
    return 0;
}
