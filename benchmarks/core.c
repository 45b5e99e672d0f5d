/* SPDX-License-Identifier: Apache-2.0 */
/* Drives the core over a capture that lies in memory as one block, for counting its
 * instructions: `core all|four|tally CAPTURE`. Callgrind collects what happens within
 * measured() alone; benchmarks/instructions.py builds it, runs it, and reads the
 * counts. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/fuzz/tool_rules.h"
#include "fastflow/ff_rollup.h"

/* Room for every packet of the input: nothing grows while instructions are counted. */
#define MAX_PACKETS ((size_t)1 << 16)

static ff_lexicon lexicon;
static ff_scan scan;
static ff_tally tally;
static ff_columns columns;

static void *zeros(size_t n, size_t width) {
    void *p = calloc(n, width);
    if (p == NULL) abort();
    return p;
}

static void make_dict(ff_dict *dict, size_t key_bytes, size_t text_max) {
    dict->key_bytes = key_bytes;
    dict->text_max = text_max;
    dict->entries_cap = MAX_PACKETS;
    dict->keys = zeros(dict->entries_cap, key_bytes);
    dict->offsets = zeros(dict->entries_cap + 1, sizeof *dict->offsets);
    dict->text_cap = dict->entries_cap * text_max;
    dict->text = zeros(dict->text_cap, 1);
    dict->n_slots = 2 * dict->entries_cap;
    dict->slots = zeros(dict->n_slots, sizeof *dict->slots);
}

static void want_column(enum ff_col col) {
    const ff_field *field = &ff_fields[col];
    columns.values[col] = zeros(MAX_PACKETS, field->width_bytes);
    scan.needs |= (uint32_t)field->needs;
    if (field->layer == FF_LAYER_RECORD || columns.valid[field->layer] != NULL) return;
    columns.valid[field->layer] = zeros(MAX_PACKETS / 8, 1);
}

/* The columns of the jobs "scan, all columns" and "scan, four columns", or cells. */
static void prepare(const char *job) {
    make_dict(&lexicon.kinds, FF_KINDS_KEY_BYTES, FF_KINDS_TEXT_MAX);
    make_dict(&lexicon.signatures, FF_SIG_KEY_BYTES, FF_SIG_TEXT_MAX);
    scan.lexicon = &lexicon;
    scan.tools = &tool_rules;
    scan.ts_end_ns = INT64_MAX;
    columns.capacity_rows = MAX_PACKETS;
    if (strcmp(job, "all") == 0) {
        columns.has_every_packet_field = true;
        for (int c = 0; c < FF_FIRST_DERIVED_COL; c++) want_column((enum ff_col)c);
    } else if (strcmp(job, "four") == 0) {
        want_column(FF_COL_ts);
        want_column(FF_COL_src);
        want_column(FF_COL_dst_port);
        want_column(FF_COL_tcp_window);
    } else {
        scan.needs = FF_NEED_OPTIONS;
        tally.cells_cap = tally.cells_max = MAX_PACKETS;
        tally.cells = aligned_alloc(sizeof(ff_cell), MAX_PACKETS * sizeof(ff_cell));
        if (tally.cells == NULL) abort();
        tally.n_slots = 2 * MAX_PACKETS;
        tally.slots = zeros(tally.n_slots, sizeof *tally.slots);
    }
}

__attribute__((noinline)) static enum ff_outcome measured(const uint8_t *p, size_t n,
                                                          size_t *consumed) {
    if (tally.cells != NULL) return ff_tally_scan(&tally, &scan, p, n, consumed);
    return ff_scan_columns(&scan, p, n, &columns, consumed);
}

static uint8_t *read_all(const char *name, size_t *n) {
    FILE *file = fopen(name, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) return NULL;
    *n = (size_t)ftell(file);
    uint8_t *bytes = zeros(*n, 1);
    rewind(file);
    if (fread(bytes, 1, *n, file) != *n) return NULL;
    fclose(file);
    return bytes;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s all|four|tally CAPTURE\n", argv[0]);
        return 2;
    }
    size_t n = 0, consumed = 0;
    uint8_t *bytes = read_all(argv[2], &n);
    if (bytes == NULL) {
        perror(argv[2]);
        return 1;
    }
    prepare(argv[1]);
    if (ff_scan_open(&scan, bytes, n) != FF_FAULT_none) return 1;
    size_t begin = (size_t)scan.consumed_bytes;
    enum ff_outcome outcome = measured(bytes + begin, n - begin, &consumed);
    if (outcome == FF_NEED_ROOM || consumed != n - begin) return 1;
    printf("%" PRIu64 "\n", scan.n_records);
    return 0;
}
