/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target over the tally, its runs and the roll-up: captures to rows of counts.
 *
 * Every array is a heap block of exactly its size. Each input is read whole into one
 * tally, and cut into two with small arenas, and both must give the same rows: nothing
 * may depend on blocks, horizons, arenas or merging. */
#include "fuzz_capture.h"

#include "fastflow/ff_rollup.h"

#define MAX_ROW_COLS FF_MAX_ROW_FIELDS
#define MAX_RUNS 256

/* A run as a heap block of exactly its cells. */
typedef struct a_run {
    ff_cell *cells;
    size_t n;
    const ff_lexicon *lexicon; /* of the codes of kinds */
} a_run;

static a_run runs[MAX_RUNS];
static size_t n_runs;

static const uint8_t *kinds_key(const ff_lexicon *lexicon, uint32_t code) {
    return lexicon->kinds.keys + code * FF_KINDS_KEY_BYTES;
}

/* The rank of each list of kinds: how many are less. */
static uint32_t *rank_kinds(const ff_lexicon *lexicon) {
    size_t n = lexicon->kinds.n_entries;
    uint32_t *ranks = exact(n * sizeof *ranks);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++)
            ranks[i] += memcmp(kinds_key(lexicon, j), kinds_key(lexicon, i),
                               FF_KINDS_KEY_BYTES) < 0;
    return ranks;
}

static void tally_empty(ff_tally *tally, const ff_lexicon *lexicon) {
    size_t n = tally->n_cells;
    if (n == 0) return;
    CHECK(n_runs < MAX_RUNS);
    uint8_t *sources = exact(16 * n), *versions = exact(n);
    uint16_t *countries = exact(n * sizeof *countries);
    ff_tally_sources(tally, 0, n, sources, versions);
    for (size_t i = 0; i < n; i++) {
        CHECK(versions[i] == 4 || versions[i] == 6);
        countries[i] = sources[16 * i + 15] & 3;
    }
    uint32_t *ranks = rank_kinds(lexicon);
    ff_sort_item *items = exact(n * sizeof *items),
                 *scratch = exact(n * sizeof *scratch);
    ff_sorter sorter = {tally->cells, ranks, items, scratch};
    a_run *run = &runs[n_runs++];
    uint32_t *order = exact(n * sizeof *order);
    run->cells = exact(n * sizeof *run->cells);
    run->lexicon = lexicon;
    run->n = n;
    ff_run_sort(&sorter, tally, countries, order);
    ff_run_gather(tally->cells, order, n, run->cells);
    ff_tally_empty(tally);
    free(order);
    free(items);
    free(scratch);
    free(ranks);
    free(countries);
    free(versions);
    free(sources);
}

static void tally_room(ff_tally *tally, const ff_lexicon *lexicon) {
    if (!ff_tally_has_room(tally)) tally_empty(tally, lexicon);
    if (ff_tally_has_slots(tally)) return;
    size_t n_slots = 2 * tally->n_slots;
    free(tally->slots);
    tally->slots = exact(n_slots * sizeof *tally->slots);
    tally->n_slots = n_slots;
    ff_tally_rehash(tally);
    CHECK(ff_tally_has_slots(tally));
}

static void tally_begin(ff_tally *tally, uint64_t seed, size_t cells_cap) {
    free(tally->cells);
    free(tally->slots);
    memset(tally, 0, sizeof *tally);
    tally->cells_cap = tally->cells_max = cells_cap;
    tally->cells = exact(cells_cap * sizeof *tally->cells);
    tally->n_slots = 4096;
    tally->slots = exact(tally->n_slots * sizeof *tally->slots);
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
        tally_room(tally, lexicon);
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
        if (n_tallies > 1 && below(4) == 0)
            tally->horizon = ff_tally_last_number(tally);
        if (n_tallies > 1 && below(4) == 0) tally_empty(tally, &lexicons[which]);
        scan_to_tally(scan, &lexicons[which], tally, r->block, r->end - r->at, &done);
        r->at += done;
    }
    if (scan->is_open) ff_scan_end(scan, r->end - r->at);
    free(r->block);
    check_scan(scan, r);
}

/* Let all runs have their codes of kinds from one lexicon. */
static void merge(ff_lexicon *into) {
    for (size_t r = 0; r < n_runs; r++) {
        size_t n = runs[r].lexicon->kinds.n_entries;
        uint32_t *kinds_map = exact(n * sizeof *kinds_map);
        for (uint32_t i = 0; i < n; i++) {
            lexicon_room(into, 1);
            kinds_map[i] = ff_kinds_adopt(into, runs[r].lexicon, i);
        }
        ff_run_translate(runs[r].cells, runs[r].n, kinds_map);
        free(kinds_map);
    }
}

/* Show more of the run that the roll-up waits for: its cells come a few at a time. */
static void bring(ff_rollup *r) {
    ff_cursor *cursor = &r->cursors[r->heap[0]];
    size_t n = 1 + below(3);
    if (n > cursor->n_absent) n = cursor->n_absent;
    cursor->end += n;
    cursor->n_absent -= n;
    ff_rollup_brought(r);
}

static ff_rollup *begin_rollup(ff_lexicon *lexicon, enum ff_grain grain) {
    ff_rollup *r = exact(sizeof *r);
    r->grain = grain;
    r->lexicon = lexicon;
    r->kinds_ranks = rank_kinds(lexicon);
    r->countries.codes = exact(4 * sizeof(uint32_t));
    r->countries.numbers = exact(4 * sizeof(uint16_t));
    r->traffics.codes = exact(FF_MANY_TRAFFICS * sizeof(uint32_t));
    r->traffics.numbers = exact(FF_MANY_TRAFFICS * sizeof(uint16_t));
    r->tools.codes = exact(FF_MANY_TOOLS * sizeof(uint32_t));
    r->tools.numbers = exact(FF_MANY_TOOLS * sizeof(uint16_t));
    r->cursors = exact(n_runs * sizeof *r->cursors);
    r->heap = exact(n_runs * sizeof *r->heap);
    for (size_t i = 0; i < n_runs; i++) {
        size_t shown = 1 + below(runs[i].n);
        r->cursors[i].at = runs[i].cells;
        r->cursors[i].end = runs[i].cells + shown;
        r->cursors[i].n_absent = runs[i].n - shown;
    }
    ff_rollup_begin(r, n_runs);
    return r;
}

static void end_rollup(ff_rollup *r) {
    free((void *)r->kinds_ranks);
    free(r->countries.codes);
    free(r->countries.numbers);
    free(r->traffics.codes);
    free(r->traffics.numbers);
    free(r->tools.codes);
    free(r->tools.numbers);
    free(r->cursors);
    free(r->heap);
    free(r);
}

/* The digest of a batch's columns and dictionaries. */
static uint64_t batch_digest(const ff_rollup *r, void **values, uint8_t **valid,
                             size_t n_rows, uint64_t h, uint64_t *packets) {
    size_t n_fields;
    const ff_row_field *fields = ff_row_fields(r->grain, &n_fields);
    for (size_t f = 0; f < n_fields; f++) {
        if (strcmp(fields[f].name, "packets") == 0)
            for (size_t i = 0; i < n_rows; i++)
                *packets += (uint64_t)((int64_t *)values[f])[i];
        h = digest(h, values[f], n_rows * fields[f].width_bytes);
        if (valid[f] != NULL) h = digest(h, valid[f], (n_rows + 7) / 8);
    }
    const ff_dict *signatures = &r->lexicon->signatures;
    h = digest(h, signatures->text, signatures->text_bytes);
    h = digest(h, (uint8_t *)r->countries.numbers, r->countries.n * sizeof(uint16_t));
    h = digest(h, (uint8_t *)r->traffics.numbers, r->traffics.n * sizeof(uint16_t));
    return digest(h, (uint8_t *)r->tools.numbers, r->tools.n * sizeof(uint16_t));
}

/* What rows of echoes say, whichever of them says it: packets by bin add up, and ports
 * are a set. */
typedef struct echo_sum {
    uint64_t packets, bins, ports;
} echo_sum;

static uint64_t slot_digest(const ff_cell *cell, uint64_t slot) {
    uint64_t key[4] = {ff_echo_where(cell->where, slot), cell->src_hi, cell->src_lo,
                       cell->country};
    return digest(1, (uint8_t *)key, sizeof key);
}

static void add_echo(echo_sum *sum, const ff_row *row) {
    const ff_cell *cell = &row->cell;
    uint32_t slot = ff_cell_slot(cell);
    if (slot >= FF_WHERE_HAS_PORT) {
        sum->ports |= (uint64_t)1 << slot_digest(cell, slot) % 64;
        return;
    }
    if (!ff_echo_is_sketch(cell)) {
        sum->packets += row->packets;
        sum->bins += row->packets * slot_digest(cell, slot);
        return;
    }
    for (uint32_t bit = 0; bit < FF_ECHO_BINS_PER_SKETCH; bit++) {
        if (!(cell->bins[bit / 64] >> bit % 64 & 1)) continue;
        uint32_t bin = FF_ECHO_SKETCHES + slot * FF_ECHO_BINS_PER_SKETCH + bit;
        sum->packets++;
        sum->bins += slot_digest(cell, bin);
    }
    uint64_t port = FF_WHERE_HAS_PORT | cell->src_port;
    if (cell->shared & FF_HAS_PORT)
        sum->ports |= (uint64_t)1 << slot_digest(cell, port) % 64;
}

/* The digest of all rows of a grain, in batches of BATCH; their packets must be those
 * counted. */
#define BATCH 300
static uint64_t roll_up(ff_lexicon *lexicon, enum ff_grain grain, uint64_t counted) {
    size_t n_fields;
    const ff_row_field *fields = ff_row_fields(grain, &n_fields);
    ff_rollup *r = begin_rollup(lexicon, grain);
    uint64_t h = 1, packets = 0;
    echo_sum echoes = {0, 0, 0};
    enum ff_rolled rolled = FF_ROLLED_FULL;
    while (rolled != FF_ROLLED_END) {
        void *values[MAX_ROW_COLS];
        uint8_t *valid[MAX_ROW_COLS];
        for (size_t f = 0; f < n_fields; f++) {
            values[f] = exact(BATCH * fields[f].width_bytes);
            valid[f] = fields[f].is_nullable ? exact((BATCH + 7) / 8) : NULL;
        }
        size_t at = 0;
        ff_rollup_begin_batch(r);
        while (at < BATCH && rolled != FF_ROLLED_END) {
            size_t most = BATCH - at < FF_CHUNK_ROWS ? BATCH - at : FF_CHUNK_ROWS;
            lexicon_room(lexicon, FF_CHUNK_ROWS);
            while ((rolled = ff_rollup_add(r, most)) == FF_ROLLED_OUT) bring(r);
            size_t n = r->n_rows;
            CHECK(n <= most);
            for (size_t i = 0; grain == FF_GRAIN_ECHOES && i < n; i++)
                add_echo(&echoes, &r->rows[i]);
            ff_rollup_fill(r, values, valid, at);
            at += n;
        }
        h = batch_digest(r, values, valid, at, h, &packets);
        for (size_t f = 0; f < n_fields; f++) {
            free(values[f]);
            free(valid[f]);
        }
    }
    end_rollup(r);
    if (grain == FF_GRAIN_ECHOES) {
        CHECK(echoes.packets <= counted);
        return digest(1, (uint8_t *)&echoes, sizeof echoes);
    }
    CHECK(packets == counted);
    return h;
}

/* Roll up what is in the tallies, to each grain, and forget it. */
static void roll_up_all(size_t n_tallies, ff_lexicon *into, ff_lexicon *theirs,
                        ff_tally *tallies, uint64_t counted, uint64_t digests[3]) {
    for (size_t i = 0; i < n_tallies; i++) tally_empty(&tallies[i], &theirs[i]);
    merge(into);
    digests[0] = roll_up(into, FF_GRAIN_SOURCES, counted);
    digests[1] = roll_up(into, FF_GRAIN_COUNTS, counted);
    digests[2] = roll_up(into, FF_GRAIN_ECHOES, counted);
    for (size_t i = 0; i < n_runs; i++) free(runs[i].cells);
    n_runs = 0;
}

/* --- one input -------------------------------------------------------------------- */

static ff_scan whole, cut;
static ff_lexicon lexicons[2], merged;
static ff_tally tallies[2];

static void begin_all(size_t cells_cap) {
    n_runs = 0;
    lexicon_begin(&merged, rng());
    for (int i = 0; i < 2; i++) {
        lexicon_begin(&lexicons[i], rng());
        tally_begin(&tallies[i], rng(), cells_cap);
    }
}

static void check_tallies(const uint8_t *data, size_t n, size_t block_bytes) {
    reader r;
    uint64_t one[3], two[3];
    begin_all(1 << 12);
    reader_begin(&r, data, n, n);
    tally_capture(&whole, lexicons, tallies, 1, &r);
    uint64_t counted = whole.reasons[FF_REASON_counted];
    roll_up_all(1, &merged, lexicons, tallies, counted, one);
    begin_all(FF_CHUNK_CELLS + below(64));
    reader_begin(&r, data, n, block_bytes);
    tally_capture(&cut, lexicons, tallies, 2, &r);
    check_same_scan(&whole, &cut);
    roll_up_all(2, &merged, lexicons, tallies, counted, two);
    for (int i = 0; i < 3; i++) CHECK(one[i] == two[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    rng_state = digest(n, data, n);
    choose_settings();
    check_tallies(data, n, choose_block_bytes(n));
    return 0;
}
