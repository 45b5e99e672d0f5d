/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target over the scanner: captures to columns.
 *
 * Every block and every column is a heap block of exactly its size, so that a sanitizer
 * sees one byte too many. Each input is read whole and cut, into all columns and into
 * some, and all must say the same: nothing may depend on blocks or batches. */
#include "fuzz_capture.h"
#include "fuzz_columns.h"

#include "fastflow/ff_part.h"

#define MAX_BATCH_ROWS 300

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

/* --- in parts --------------------------------------------------------------------- */

/* Scan from an offset of the capture to the limit, in one block of memory. */
static void scan_part(ff_scan *part, const ff_scan *opened, ff_lexicon *lexicon,
                      const reader *r, size_t begin, size_t limit) {
    memset(part, 0, sizeof *part);
    part->lexicon = lexicon;
    part->decap = opened->decap;
    part->has_filter = opened->has_filter;
    memcpy(part->filters, opened->filters, sizeof part->filters);
    part->ts_min_ns = opened->ts_min_ns;
    part->ts_end_ns = opened->ts_end_ns;
    ff_scan_begin_part(part, opened, begin);
    part->limit_bytes = limit;
    ff_columns cols;
    memset(&cols, 0, sizeof cols);
    cols.capacity_rows = SIZE_MAX;
    size_t n = r->n_bytes - begin, done = 0, step;
    uint8_t *block = exact(n);
    memcpy(block, r->data + begin, n);
    enum ff_outcome outcome;
    do {
        outcome = ff_scan_columns(part, block + done, n - done, &cols, &step);
        done += step;
        lexicon_room(lexicon, FF_CHUNK_ROWS);
    } while (outcome == FF_NEED_ROOM);
    free(block);
    if (outcome == FF_AT_LIMIT) CHECK(ff_scan_is_at_limit(part));
    if (outcome == FF_NEED_BYTES) ff_scan_end(part, n - done);
}

/* Where a part may begin: at an offset or behind it, or at the end. */
static size_t guess(const ff_scan *opened, const reader *r, size_t offset) {
    uint32_t near_sec = ff_sync_sec(&opened->capture.pcap, r->data + 24);
    size_t n = r->n_bytes - offset;
    uint8_t *block = exact(n);
    memcpy(block, r->data + offset, n);
    size_t at = ff_sync_find(&opened->capture.pcap, near_sec, (ff_span){block, n});
    free(block);
    CHECK(at <= n);
    return offset + at;
}

/* A part that begins where the one before ends is taken, whoever guessed so; any other
 * is scanned again. The sum must be what one scan says. */
static void check_parts(const ff_scan *expected, const uint8_t *data, size_t n) {
    static ff_scan joined, part;
    static ff_lexicon lexicon;
    reader r;
    reader_begin(&r, data, n, n);
    lexicon_begin(&lexicon, rng());
    scan_begin(&joined, &lexicon, &r);
    if (!ff_scan_can_part(&joined) || n < 28) return;
    size_t part_bytes = n / 16 + 1 + below(n);
    bool is_at_end = false;
    while (!is_at_end) {
        size_t begin = (size_t)joined.consumed_bytes;
        size_t limit = (begin / part_bytes + 1) * part_bytes;
        size_t guessed = guess(&joined, &r, limit - part_bytes);
        scan_part(&part, &joined, &lexicon, &r, guessed, limit);
        if (guessed != begin) scan_part(&part, &joined, &lexicon, &r, begin, limit);
        is_at_end = !ff_scan_is_at_limit(&part) || part.fault != FF_FAULT_none;
        ff_scan_join(&joined, &part);
    }
    check_same_scan(&joined, expected);
    CHECK(joined.consumed_bytes == expected->consumed_bytes);
}

/* Only what a filter does not match is no row. */
static void check_rows(const ff_scan *scan, const column_run *run) {
    CHECK(run->n_rows <= scan->n_records - scan->reasons[FF_REASON_filtered]);
    CHECK(run->n_rows >= scan->reasons[FF_REASON_counted]);
    if (!scan->has_filter) CHECK(run->n_rows == scan->n_records);
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
    check_rows(scan, run);
}

static ff_scan whole, cut;
static ff_lexicon lexicons[2];

/* A record has 16 bytes at least: more rows would only cost time. */
static size_t batch_rows(size_t n) {
    return 1 + below(n / 16 < MAX_BATCH_ROWS ? n / 16 + 2 : MAX_BATCH_ROWS);
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
    for (int i = 0; i < 2; i++) lexicon_begin(&lexicons[i], rng());
    reader_begin(&r, data, n, n);
    scan_to_columns(&whole, &lexicons[0], &r, batch_rows(n), &all);
    reader_begin(&r, data, n, block_bytes);
    scan_to_columns(&cut, &lexicons[1], &r, batch_rows(n), &some);
    check_same_scan(&whole, &cut);
    check_parts(&whole, data, n);
    for (int c = 0; c < FF_N_COLS; c++)
        if (some.wanted[c]) CHECK(all.values[c] == some.values[c]);
    for (int layer = 0; layer < FF_N_LAYERS; layer++)
        if (some.valid_wanted[layer]) {
            /* Layers found in the options stay unset where no column needs those. */
            if (cut.needs == whole.needs || layer < FF_LAYER_OPTIONS)
                CHECK(all.valid[layer] == some.valid[layer]);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    rng_state = digest(n, data, n);
    choose_settings();
    check_columns(data, n, choose_block_bytes(n));
    return 0;
}
