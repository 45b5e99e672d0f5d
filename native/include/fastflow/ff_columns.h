/* SPDX-License-Identifier: Apache-2.0 */
/* Packets into the caller's columns: values, and a validity bit per row and layer.
 *
 * Validity bits of rows to come are zero. A call appends at most FF_CHUNK_ROWS rows. */
#ifndef FASTFLOW_FF_COLUMNS_H
#define FASTFLOW_FF_COLUMNS_H

#include "fastflow/ff_fields.h"

/* Few enough for the views of a chunk and the packets behind them to stay cached. */
#define FF_CHUNK_ROWS 256

/* The layers of rows, a byte a row: the lower eight, then the upper ones. */
typedef struct ff_layer_bytes {
    uint8_t half[2][FF_CHUNK_ROWS + 8];
} ff_layer_bytes;

FF_INLINE void ff_layer_put(ff_layer_bytes *bytes, size_t i, uint32_t layers) {
    bytes->half[0][i] = (uint8_t)layers;
    bytes->half[1][i] = (uint8_t)(layers >> 8);
}

/* The lowest bits of eight bytes. The multiplication moves bit 8 * i to 56 + i, where
 * no other product reaches. */
FF_INLINE unsigned ff_lowest_bits(uint64_t eight) {
    return (unsigned)((eight & 0x0101010101010101u) * 0x0102040810204080u >> 56);
}

/* Append n rows' bits of a layer, least significant first, behind the row-th bit. The
 * bytes behind the n-th are zero. */
static inline void ff_fill_valid(const ff_layer_bytes *bytes, size_t n, unsigned layer,
                                 uint8_t *bits, size_t row) {
    const uint8_t *half = bytes->half[layer >> 3];
    unsigned shift = row & 7;
    bits += row >> 3;
    unsigned carry = shift ? *bits : 0;
    for (size_t i = 0; i < n; i += 8) {
        carry |= ff_lowest_bits(ff_load_le64(half + i) >> (layer & 7)) << shift;
        *bits++ = (uint8_t)carry;
        carry >>= 8;
    }
    if (carry) *bits = (uint8_t)carry;
}

/* The values of n rows are there: add their validity bits, and the rows are as well. */
static inline void ff_columns_end_rows(ff_columns *cols, ff_layer_bytes *bytes,
                                       size_t n) {
    memset(bytes->half[0] + n, 0, 8);
    memset(bytes->half[1] + n, 0, 8);
    for (unsigned layer = 0; layer < FF_N_LAYERS; layer++)
        if (cols->valid[layer] != NULL)
            ff_fill_valid(bytes, n, layer, cols->valid[layer], cols->n_rows);
    cols->n_rows += n;
}

/* Are the wanted columns those that are stored a row at a time? */
static inline bool ff_columns_is_by_row(const ff_columns *cols) {
    for (int c = FF_FIRST_DERIVED_COL; c < FF_N_COLS; c++)
        if (cols->values[c] != NULL) return false;
    return cols->has_every_packet_field;
}

/* Where the values of the next rows begin; NULL: the column is not wanted. */
static inline void *ff_column_at(const ff_columns *cols, int c) {
    char *values = cols->values[c];
    return values ? values + cols->n_rows * ff_fields[c].width_bytes : NULL;
}

static inline void ff_columns_add_views(ff_columns *cols, const ff_view *views,
                                        size_t n) {
    ff_layer_bytes layers;
    int first = 0;
    if (cols->has_every_packet_field) {
        for (size_t i = 0; i < n; i++) ff_store_row(cols, &views[i], cols->n_rows + i);
        first = FF_FIRST_DERIVED_COL;
    }
    for (int c = first; c < FF_N_COLS; c++) {
        void *values = ff_column_at(cols, c);
        if (values != NULL) ff_fields[c].fill(views, n, values);
    }
    for (size_t i = 0; i < n; i++) ff_layer_put(&layers, i, views[i].layers);
    ff_columns_end_rows(cols, &layers, n);
}

/* The same of usual packets, a column at a time. */
static inline void ff_columns_add_usual(ff_columns *cols, const ff_usual_rules *rules,
                                        const ff_usual *usual, size_t n) {
    ff_layer_bytes layers;
    for (int c = 0; c < FF_N_COLS; c++) {
        void *values = ff_column_at(cols, c);
        if (values != NULL) ff_fields[c].fill_usual(rules, usual, n, values);
    }
    for (size_t i = 0; i < n; i++) ff_layer_put(&layers, i, usual[i].layers);
    ff_columns_end_rows(cols, &layers, n);
}

#endif
