/* A cell whose 32-bit count is full is followed by a second one; the row of both is
 * exact. No capture that a test could hold gets there. */
#include <stdio.h>
#include <stdlib.h>

#include "fastflow/ff_rollup.h"

int main(void) {
    static ff_tally tally;
    tally.cells_cap = 16;
    tally.cells = calloc(tally.cells_cap, sizeof(ff_cell));
    tally.n_slots = 64;
    tally.slots = calloc(tally.n_slots, sizeof(uint64_t));
    ff_cell cell = {.where = (uint64_t)7 << FF_WHERE_HOUR, .src_lo = 1, .bytes = 40};
    cell.packets = UINT32_MAX - 1;
    for (int i = 0; i < 3; i++) {
        ff_tally_put(&tally, &cell, ff_cell_hash(&cell, 0));
        cell.packets = 1;
    }
    size_t n_cells = tally.n_cells;
    uint16_t countries[16] = {0};
    ff_sort_item items[16], scratch[16];
    ff_cell run[16];
    ff_sorter sorter = {.cells = tally.cells, .items = items, .scratch = scratch};
    ff_cursor cursor = {.at = run};
    uint32_t order[16];
    ff_run_sort(&sorter, &tally, countries, order);
    ff_run_gather(tally.cells, order, n_cells, run);
    cursor.end = run + n_cells;
    static ff_rollup rollup;
    uint32_t heap[1];
    rollup.grain = FF_GRAIN_COUNTS;
    rollup.cursors = &cursor;
    rollup.heap = heap;
    ff_rollup_begin(&rollup, 1);
    if (ff_rollup_add(&rollup, 16) != FF_ROLLED_END) return 1;
    const ff_row *row = &rollup.rows[0];
    printf("%zu cells %zu rows %llu packets %llu bytes %llu sources\n", n_cells,
           rollup.n_rows, (unsigned long long)row->packets,
           (unsigned long long)row->bytes, (unsigned long long)row->n_sources);
    free(tally.cells);
    free(tally.slots);
    return 0;
}
