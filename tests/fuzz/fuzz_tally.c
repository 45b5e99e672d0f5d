/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target over the tally and the roll-up: captures to rows of counts.
 *
 * Every array is a heap block of exactly its size. Each input is read whole into one
 * tally, and cut into two that are merged, and both must give the same rows: nothing
 * may depend on blocks, horizons or merging. */
#include "fuzz_capture.h"

#include "fastflow/ff_rollup.h"

#define MAX_ROW_COLS FF_MAX_ROW_FIELDS

static void tally_room(ff_tally *tally, size_t n) {
    size_t cells = tally->n_cells + n;
    if (cells > tally->cells_cap) {
        tally->cells = regrown(tally->cells, cells * sizeof *tally->cells);
        tally->cells_cap = cells;
    }
    size_t n_slots = slots_for(tally->n_slots, tally->n_cells - tally->horizon + n);
    if (n_slots > tally->n_slots) {
        free(tally->slots);
        tally->slots = exact(n_slots * sizeof *tally->slots);
        tally->n_slots = n_slots;
        ff_tally_rehash(tally);
    }
    if (n == FF_CHUNK_ROWS) CHECK(ff_tally_has_room(tally));
}

static void tally_begin(ff_tally *tally, uint64_t seed) {
    if (tally->n_slots == 0) {
        tally->n_slots = 64;
        tally->slots = exact(tally->n_slots * sizeof *tally->slots);
    }
    memset(tally->slots, 0, tally->n_slots * sizeof *tally->slots);
    tally->n_cells = tally->horizon = 0;
    tally->horizon_hour = 0;
    tally->seed = seed;
}

/* --- tally and roll-up ------------------------------------------------------------ */

static void scan_to_tally(ff_scan *scan, ff_lexicon *lexicon, ff_tally *tally,
                          const uint8_t *block, size_t n, size_t *done) {
    scan->lexicon = lexicon;
    scan->needs = FF_NEED_OPTIONS;
    size_t step;
    while (ff_tally_scan(tally, scan, block + *done, n - *done, &step) ==
           FF_NEED_ROOM) {
        *done += step;
        lexicon_room(lexicon, FF_CHUNK_ROWS);
        interfaces_room(scan);
        tally_room(tally, FF_CHUNK_ROWS);
    }
    *done += step;
    CHECK(*done <= n);
}

/* Blocks go to the tallies in turn; horizons move whenever they like. */
static void tally_capture(ff_scan *scan, ff_lexicon *lexicons, ff_tally *tallies,
                          size_t n_tallies, reader *r) {
    scan_begin(scan, &lexicons[0], r);
    while (scan->fault == FF_FAULT_none && reader_next(r)) {
        size_t which = below(n_tallies), done = 0;
        ff_tally *tally = &tallies[which];
        if (n_tallies > 1 && below(4) == 0) tally->horizon = tally->n_cells;
        scan_to_tally(scan, &lexicons[which], tally, r->block, r->end - r->at, &done);
        r->at += done;
    }
    if (scan->is_open) ff_scan_end(scan, r->end - r->at);
    free(r->block);
    check_scan(scan, r);
}

static void merge(ff_lexicon *lexicon, ff_tally *tally, const ff_lexicon *other_lexicon,
                  const ff_tally *other) {
    size_t n = other_lexicon->kinds.n_entries;
    uint32_t *kinds_map = exact(n * sizeof *kinds_map);
    for (uint32_t i = 0; i < n; i++) {
        lexicon_room(lexicon, 1);
        kinds_map[i] = ff_kinds_adopt(lexicon, other_lexicon, i);
    }
    tally_room(tally, other->n_cells);
    ff_tally_append(tally, other, kinds_map);
    free(kinds_map);
}

static const ff_dict *ranked;

static int compare_texts(const void *a, const void *b) {
    uint32_t codes[2];
    memcpy(&codes[0], a, sizeof codes[0]);
    memcpy(&codes[1], b, sizeof codes[1]);
    const int64_t *x = ranked->offsets + codes[0], *y = ranked->offsets + codes[1];
    size_t nx = (size_t)(x[1] - x[0]), ny = (size_t)(y[1] - y[0]);
    int order = memcmp(ranked->text + x[0], ranked->text + y[0], nx < ny ? nx : ny);
    if (order != 0) return order;
    return (nx > ny) - (nx < ny);
}

/* Rank of each signature's text from 1; element 0 is none's. Texts must differ. */
static uint32_t *rank_texts(const ff_dict *d) {
    uint32_t *order = exact(d->n_entries * sizeof *order);
    uint32_t *ranks = exact((d->n_entries + 1) * sizeof *ranks);
    for (uint32_t i = 0; i < d->n_entries; i++) order[i] = i;
    ranked = d;
    qsort(order, d->n_entries, sizeof *order, compare_texts);
    for (uint32_t i = 0; i < d->n_entries; i++) {
        if (i > 0) CHECK(compare_texts(&order[i - 1], &order[i]) < 0);
        ranks[order[i] + 1] = i + 1;
    }
    free(order);
    return ranks;
}

/* Rank of each cell's signature. */
static uint32_t *rank_cells(const ff_tally *tally, ff_lexicon *lexicon) {
    uint32_t *of_cells = exact(tally->n_cells * sizeof *of_cells);
    for (size_t begin = 0; begin < tally->n_cells;) {
        size_t n = 1 + below(FF_CHUNK_ROWS);
        if (n > tally->n_cells - begin) n = tally->n_cells - begin;
        lexicon_room(lexicon, n);
        ff_tally_signatures(tally, begin, n, lexicon, of_cells + begin);
        begin += n;
    }
    uint32_t *ranks = rank_texts(&lexicon->signatures);
    for (size_t i = 0; i < tally->n_cells; i++) of_cells[i] = ranks[of_cells[i]];
    free(ranks);
    return of_cells;
}

/* The digest of all rows of a grain; their packets must be those counted. */
static uint64_t roll_up(const ff_rollup *r, enum ff_grain grain, uint64_t counted) {
    size_t n_fields, n_rows = r->n_rows[grain];
    const ff_row_field *fields = ff_row_fields(grain, &n_fields);
    void *values[MAX_ROW_COLS];
    uint8_t *valid[MAX_ROW_COLS];
    for (size_t f = 0; f < n_fields; f++) {
        values[f] = exact(n_rows * fields[f].width_bytes);
        valid[f] = exact((n_rows + 7) / 8);
    }
    ff_rollup_fill(r, grain, values, valid);
    uint64_t h = n_rows, packets = 0;
    for (size_t f = 0; f < n_fields; f++) {
        if (strcmp(fields[f].name, "packets") == 0)
            for (size_t i = 0; i < n_rows; i++)
                packets += (uint64_t)((int64_t *)values[f])[i];
        h = digest(h, values[f], n_rows * fields[f].width_bytes);
        h = digest(h, valid[f], (n_rows + 7) / 8);
        free(values[f]);
        free(valid[f]);
    }
    CHECK(packets == counted);
    CHECK(n_rows <= r->n_cells);
    return h;
}

static void roll_up_both(ff_lexicon *lexicon, const ff_tally *tally, uint64_t counted,
                         uint64_t digests[2]) {
    size_t n = tally->n_cells;
    uint64_t packets = 0;
    uint8_t *sources = exact(16 * n), *versions = exact(n);
    uint16_t *countries = exact(n * sizeof *countries);
    ff_tally_sources(tally, 0, n, sources, versions);
    for (size_t i = 0; i < n; i++) {
        packets += tally->cells[i].packets;
        CHECK(versions[i] == 4 || versions[i] == 6);
        countries[i] = sources[16 * i + 15] & 3;
    }
    CHECK(packets == counted);
    ff_rollup *r = exact(sizeof *r);
    uint32_t *ranks = rank_cells(tally, lexicon);
    void *items = exact(n * sizeof(ff_sort_item));
    void *scratch = exact(n * sizeof(ff_sort_item));
    r->cells = tally->cells;
    r->n_cells = n;
    r->countries = countries;
    r->sig_ranks = ranks;
    r->items = items;
    r->scratch = scratch;
    if (n > 0) ff_rollup_sort(r);
    ff_rollup_count(r);
    digests[0] = roll_up(r, FF_GRAIN_SOURCES, counted);
    digests[1] = roll_up(r, FF_GRAIN_COUNTS, counted);
    free(items);
    free(scratch);
    free(ranks);
    free(r);
    free(countries);
    free(sources);
    free(versions);
}

/* --- one input -------------------------------------------------------------------- */

static ff_scan whole, cut;
static ff_lexicon lexicons[2];
static ff_tally tallies[2];

static void begin_all(void) {
    for (int i = 0; i < 2; i++) {
        lexicon_begin(&lexicons[i], rng());
        tally_begin(&tallies[i], rng());
    }
}

static void check_tallies(const uint8_t *data, size_t n, size_t block_bytes) {
    reader r;
    uint64_t one[2], two[2];
    begin_all();
    reader_begin(&r, data, n, n);
    tally_capture(&whole, lexicons, tallies, 1, &r);
    uint64_t counted = whole.reasons[FF_REASON_counted];
    roll_up_both(&lexicons[0], &tallies[0], counted, one);
    begin_all();
    reader_begin(&r, data, n, block_bytes);
    tally_capture(&cut, lexicons, tallies, 2, &r);
    check_same_scan(&whole, &cut);
    size_t into = below(2);
    merge(&lexicons[into], &tallies[into], &lexicons[1 - into], &tallies[1 - into]);
    roll_up_both(&lexicons[into], &tallies[into], counted, two);
    CHECK(one[0] == two[0] && one[1] == two[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    rng_state = digest(n, data, n);
    choose_settings();
    check_tallies(data, n, choose_block_bytes(n));
    return 0;
}
