/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target over the scanner, the tally and the roll-up. An input is a capture as it
 * lies on disk; how it is cut into blocks follows from a hash of its bytes.
 *
 * Every block, every column and every array is a heap block of exactly its size, so
 * that a sanitizer sees one byte too many. Each input is read whole and cut, and both
 * must say the same: nothing may depend on blocks, batches, horizons or merging.
 *
 * libFuzzer: clang -fsanitize=fuzzer,address,undefined -Inative/include fuzz_scan.c
 * Replay:    cc -DFF_FUZZ_REPLAY -fsanitize=address,undefined -Inative/include
 *            fuzz_scan.c, then name files as arguments. */
#include <stdio.h>
#include <stdlib.h>

#include "fastflow/ff_hash.h"

/* Now and then all keys get the same hash: whole keys must be compared. */
static bool is_hash_weak;
#define ff_hash4(a, b, c, d, seed) (is_hash_weak ? 0 : ff_hash4(a, b, c, d, seed))
#define ff_hash_words(p, n, seed) (is_hash_weak ? 0 : ff_hash_words(p, n, seed))

#include "fastflow/ff_rollup.h"

#define CHECK(claim)                                                                   \
    do {                                                                               \
        if (!(claim)) {                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #claim); \
            abort();                                                                   \
        }                                                                              \
    } while (0)

#define MAX_BATCH_ROWS 300
#define MAX_ROW_COLS FF_MAX_ROW_FIELDS
#define MIN_TIME_NS (631152000 * (int64_t)1000000000)
#define END_TIME_NS (4102444800 * (int64_t)1000000000)

/* --- numbers that follow from the input ---------------------------------------- */

static uint64_t rng_state;

static uint64_t rng(void) {
    rng_state += FF_HASH_ODD_1;
    return ff_fold(rng_state, FF_HASH_ODD_2);
}

static size_t below(size_t n) { return (size_t)(rng() % n); }

static uint64_t digest(uint64_t h, const void *data, size_t n) {
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

/* --- memory, always of the exact size -------------------------------------------- */

static void *exact(size_t n_bytes) {
    void *p = calloc(n_bytes ? n_bytes : 1, 1);
    CHECK(p != NULL);
    return p;
}

static void *regrown(void *old, size_t n_bytes) {
    void *p = realloc(old, n_bytes);
    CHECK(p != NULL);
    return p;
}

static size_t slots_for(size_t n_slots, size_t used) {
    while (n_slots / 2 < used) n_slots *= 2;
    return n_slots;
}

static void dict_room(ff_dict *d, size_t n) {
    size_t entries = d->n_entries + n, text_bytes = d->text_bytes + n * d->text_max;
    if (entries > d->entries_cap) {
        d->keys = regrown(d->keys, entries * d->key_bytes);
        d->offsets = regrown(d->offsets, (entries + 1) * sizeof *d->offsets);
        if (d->entries_cap == 0) d->offsets[0] = 0;
        d->entries_cap = entries;
    }
    if (text_bytes > d->text_cap) {
        d->text = regrown(d->text, text_bytes);
        d->text_cap = text_bytes;
    }
    size_t n_slots = slots_for(d->n_slots, entries);
    if (n_slots > d->n_slots) {
        free(d->slots);
        d->slots = exact(n_slots * sizeof *d->slots);
        d->n_slots = n_slots;
        ff_dict_rehash(d);
    }
    CHECK(ff_dict_has_room(d, n));
}

static void lexicon_room(ff_lexicon *lexicon, size_t n) {
    dict_room(&lexicon->kinds, n);
    dict_room(&lexicon->signatures, n);
}

static void dict_begin(ff_dict *d, size_t key_bytes, size_t text_max) {
    if (d->n_slots == 0) {
        d->n_slots = 64;
        d->slots = exact(d->n_slots * sizeof *d->slots);
    }
    d->key_bytes = key_bytes;
    d->text_max = text_max;
    dict_room(d, 1);
}

/* Lexicons keep their memory from one input to the next, and nothing else. */
static void lexicon_begin(ff_lexicon *lexicon, uint64_t seed) {
    dict_begin(&lexicon->kinds, FF_KINDS_KEY_BYTES, FF_KINDS_TEXT_MAX);
    dict_begin(&lexicon->signatures, FF_SIG_KEY_BYTES, FF_SIG_TEXT_MAX);
    ff_lexicon_clear(lexicon);
    lexicon->kinds.seed = lexicon->signatures.seed = seed;
}

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

/* --- reading a capture, cut into blocks ------------------------------------------- */

typedef struct reader {
    const uint8_t *data;
    size_t n_bytes;     /* of the capture */
    size_t at;          /* the first byte not used up */
    size_t end;         /* the first byte not shown yet */
    size_t block_bytes; /* most new bytes of a block */
    uint8_t *block;     /* a copy of [at, end), in memory of its own */
} reader;

static void reader_begin(reader *r, const uint8_t *data, size_t n, size_t block_bytes) {
    *r = (reader){.data = data, .n_bytes = n, .block_bytes = block_bytes};
}

/* Show what was left over and some new bytes; false at the end. */
static bool reader_next(reader *r) {
    if (r->end == r->n_bytes) return false;
    size_t n_new = 1 + below(r->block_bytes);
    if (r->block_bytes >= r->n_bytes) n_new = r->n_bytes;
    if (n_new > r->n_bytes - r->end) n_new = r->n_bytes - r->end;
    r->end += n_new;
    free(r->block);
    r->block = exact(r->end - r->at);
    memcpy(r->block, r->data + r->at, r->end - r->at);
    return true;
}

/* Room for one interface more, and not a byte beyond. */
static void interfaces_room(ff_scan *scan) {
    ff_pcapng *f = &scan->capture.pcapng;
    if (f->n_interfaces < f->interfaces_cap) return;
    f->interfaces_cap = f->n_interfaces + 1;
    f->interfaces = regrown(f->interfaces, f->interfaces_cap * sizeof *f->interfaces);
}
static uint32_t decap; /* tunnels that the scans of an input open: none or all */

static void scan_begin(ff_scan *scan, ff_lexicon *lexicon, reader *r) {
    free(scan->capture.pcapng.interfaces);
    memset(scan, 0, sizeof *scan);
    scan->lexicon = lexicon;
    scan->ts_min_ns = MIN_TIME_NS;
    scan->ts_end_ns = END_TIME_NS;
    scan->decap = decap;
    size_t n = 0;
    uint8_t *head = exact(0);
    for (;;) {
        size_t wanted = ff_capture_head_bytes((ff_span){head, n});
        if (wanted > r->n_bytes) wanted = r->n_bytes;
        if (n >= wanted) break;
        free(head);
        head = exact(n = wanted);
        memcpy(head, r->data, n);
    }
    if (ff_scan_open(scan, head, n) == FF_FAULT_none)
        r->at = r->end = scan->consumed_bytes;
    free(head);
}

static void check_scan(const ff_scan *scan, const reader *r) {
    uint64_t n_reasons = 0;
    for (size_t i = 0; i < FF_N_REASONS; i++) n_reasons += scan->reasons[i];
    CHECK(n_reasons == scan->n_records);
    CHECK(scan->reasons[FF_REASON_STATES + FF_STATE_ok] == 0);
    CHECK(ff_scan_offset(scan) <= scan->consumed_bytes);
    CHECK(scan->consumed_bytes <= r->n_bytes);
    if (scan->is_open) CHECK(scan->consumed_bytes == r->at);
    if (scan->fault == FF_FAULT_none) CHECK(scan->consumed_bytes == r->n_bytes);
    CHECK((scan->first_ts_ns > scan->last_ts_ns) ==
          (scan->reasons[FF_REASON_bad_ts] == scan->n_records));
}

/* What a scan says of a capture must not depend on how it was read. */
static void check_same_scan(const ff_scan *a, const ff_scan *b) {
    CHECK(a->fault == b->fault);
    CHECK(ff_scan_offset(a) == ff_scan_offset(b));
    CHECK(a->links == b->links);
    CHECK(a->unsupported_linktype == b->unsupported_linktype);
    CHECK(a->n_records == b->n_records);
    CHECK(a->first_ts_ns == b->first_ts_ns && a->last_ts_ns == b->last_ts_ns);
    CHECK(memcmp(a->reasons, b->reasons, sizeof a->reasons) == 0);
    CHECK(memcmp(a->flags, b->flags, sizeof a->flags) == 0);
}

/* --- columns ---------------------------------------------------------------------- */

typedef struct column_run {
    bool wanted[FF_N_COLS];
    bool valid_wanted[FF_N_LAYERS];
    uint64_t n_rows;
    uint64_t values[FF_N_COLS]; /* digests */
    uint64_t valid[FF_N_LAYERS];
} column_run;

static void columns_begin(ff_columns *cols, const column_run *run, size_t rows,
                          ff_scan *scan) {
    memset(cols, 0, sizeof *cols);
    cols->capacity_rows = rows;
    cols->has_every_packet_field = true;
    scan->needs = FF_NEED_HEADERS;
    for (int c = 0; c < FF_N_COLS; c++) {
        if (run->wanted[c]) {
            cols->values[c] = exact(rows * ff_fields[c].width_bytes);
            scan->needs |= (uint32_t)ff_fields[c].needs;
        } else if (c < FF_FIRST_DERIVED_COL) {
            cols->has_every_packet_field = false;
        }
    }
    for (int layer = 0; layer < FF_N_LAYERS; layer++)
        if (run->valid_wanted[layer]) cols->valid[layer] = exact((rows + 7) / 8);
}

static bool is_valid(const ff_columns *cols, int layer, size_t row) {
    return cols->valid[layer][row >> 3] >> (row & 7) & 1;
}

/* A null must be zero, and a code must be that of an entry. */
static void check_value(const ff_columns *cols, int c, size_t row,
                        const ff_lexicon *lexicon) {
    static const uint8_t zeros[sizeof(ff_address)];
    const ff_field *f = &ff_fields[c];
    const uint8_t *value = (uint8_t *)cols->values[c] + row * f->width_bytes;
    if (cols->valid[f->layer] != NULL && !is_valid(cols, f->layer, row)) {
        if (f->dict != FF_DICT_traffics)
            CHECK(memcmp(value, zeros, f->width_bytes) == 0);
        return;
    }
    if (f->dict == FF_DICT_none || cols->valid[f->layer] == NULL) return;
    int32_t code;
    memcpy(&code, value, sizeof code);
    size_t n_entries = f->dict == FF_DICT_kinds        ? lexicon->kinds.n_entries
                       : f->dict == FF_DICT_signatures ? lexicon->signatures.n_entries
                       : f->dict == FF_DICT_states     ? FF_N_STATES
                                                       : FF_N_TRAFFICS;
    CHECK(code >= 0 && (size_t)code < n_entries);
}

static void columns_end(ff_columns *cols, column_run *run, const ff_lexicon *lexicon) {
    CHECK(cols->n_rows <= cols->capacity_rows);
    run->n_rows += cols->n_rows;
    for (int c = 0; c < FF_N_COLS; c++) {
        if (cols->values[c] == NULL) continue;
        for (size_t row = 0; row < cols->n_rows; row++)
            check_value(cols, c, row, lexicon);
        run->values[c] = digest(run->values[c], cols->values[c],
                                cols->n_rows * ff_fields[c].width_bytes);
        free(cols->values[c]);
    }
    for (int layer = 0; layer < FF_N_LAYERS; layer++) {
        if (cols->valid[layer] == NULL) continue;
        for (size_t row = 0; row < cols->n_rows; row++) {
            bool bit = is_valid(cols, layer, row);
            run->valid[layer] = digest(run->valid[layer], &bit, sizeof bit);
        }
        free(cols->valid[layer]);
    }
}

static void scan_to_columns(ff_scan *scan, ff_lexicon *lexicon, reader *r, size_t rows,
                            column_run *run) {
    ff_columns cols;
    scan_begin(scan, lexicon, r);
    columns_begin(&cols, run, rows, scan);
    while (scan->fault == FF_FAULT_none && reader_next(r)) {
        size_t done = 0, n = r->end - r->at, step;
        for (;;) {
            enum ff_outcome outcome =
                ff_scan_columns(scan, r->block + done, n - done, &cols, &step);
            CHECK(step <= n - done);
            done += step;
            if (outcome == FF_NEED_ROOM) {
                lexicon_room(lexicon, FF_CHUNK_ROWS);
                interfaces_room(scan);
            } else if (outcome == FF_FULL) {
                columns_end(&cols, run, lexicon);
                columns_begin(&cols, run, rows, scan);
            } else {
                break;
            }
        }
        r->at += done;
    }
    if (scan->is_open) ff_scan_end(scan, r->end - r->at);
    columns_end(&cols, run, lexicon);
    free(r->block);
    check_scan(scan, r);
    CHECK(run->n_rows == scan->n_records);
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
    is_hash_weak = below(4) == 0;
    for (int i = 0; i < 2; i++) {
        lexicon_begin(&lexicons[i], rng());
        tally_begin(&tallies[i], rng());
    }
}

static void check_columns(const uint8_t *data, size_t n, size_t block_bytes) {
    reader r;
    column_run all, some;
    memset(&all, 0, sizeof all);
    memset(&some, 0, sizeof some);
    memset(all.wanted, true, sizeof all.wanted);
    memset(all.valid_wanted, true, sizeof all.valid_wanted);
    bool every = below(2) == 0;
    for (int c = 0; c < FF_N_COLS; c++) {
        some.wanted[c] = every || below(2) == 0;
        if (some.wanted[c]) some.valid_wanted[ff_fields[c].layer] = true;
    }
    begin_all();
    reader_begin(&r, data, n, n);
    scan_to_columns(&whole, &lexicons[0], &r, 1 + below(MAX_BATCH_ROWS), &all);
    reader_begin(&r, data, n, block_bytes);
    scan_to_columns(&cut, &lexicons[1], &r, 1 + below(MAX_BATCH_ROWS), &some);
    check_same_scan(&whole, &cut);
    for (int c = 0; c < FF_N_COLS; c++)
        if (some.wanted[c]) CHECK(all.values[c] == some.values[c]);
    for (int layer = 0; layer < FF_N_LAYERS; layer++)
        if (some.valid_wanted[layer]) {
            /* Layers found in the options stay unset where no column needs those. */
            if (cut.needs == whole.needs || layer < FF_LAYER_OPTIONS)
                CHECK(all.valid[layer] == some.valid[layer]);
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
    /* Many small blocks cost time by the square: only for short inputs. */
    size_t least = n / 32 + 1;
    size_t block_bytes = least + below(n < 1024 ? 64 : n);
    decap = below(2) ? ~(uint32_t)0 : 0;
    check_columns(data, n, block_bytes);
    check_tallies(data, n, block_bytes);
    return 0;
}

#ifdef FF_FUZZ_REPLAY
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        CHECK(file != NULL && fseek(file, 0, SEEK_END) == 0);
        long n = ftell(file);
        CHECK(n >= 0 && fseek(file, 0, SEEK_SET) == 0);
        uint8_t *data = exact((size_t)n);
        CHECK(fread(data, 1, (size_t)n, file) == (size_t)n);
        fclose(file);
        fprintf(stderr, "%s\n", argv[i]);
        LLVMFuzzerTestOneInput(data, (size_t)n);
        free(data);
    }
    return 0;
}
#endif
