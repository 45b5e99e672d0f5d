/* SPDX-License-Identifier: Apache-2.0 */
/* What holds of every value of a column. */
#ifndef FUZZ_COLUMNS_H
#define FUZZ_COLUMNS_H

#include "fuzz_common.h"

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

#endif
