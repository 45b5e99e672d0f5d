/* SPDX-License-Identifier: Apache-2.0 */
/* The tally: packets of views counted in the finest cells, each with a source address.
 *
 * Cells are kept in order of arrival, in an arena that the caller lets grow, or empties
 * into a run (ff_run.h) when it is full. An index finds the recent ones, those behind
 * `horizon`; a key that is met again after the horizon has passed it begins a second
 * cell, and the roll-up (ff_rollup.h) adds the two. So the horizon and the arena's
 * size, like the index's size and the hash's seed, change only time and memory, never a
 * result; and merging two tallies is putting the runs of one beside the other's. */
#ifndef FASTFLOW_FF_TALLY_H
#define FASTFLOW_FF_TALLY_H

#include "fastflow/ff_echo.h"

#define FF_CHUNK_CELLS (FF_CHUNK_ROWS * FF_CELLS_PER_PACKET)
/* 2 MiB. */
#define FF_SMALL_INDEX_SLOTS ((size_t)1 << 18)
/* Fewer cells are not worth a new horizon. */
#define FF_HORIZON_MIN_CELLS 4096

/* Cells are numbered from 1 on, through all arenas' fillings: `n_emptied` of them stood
 * in earlier ones. The index holds numbers, so that an old one is known by being small.
 */
typedef struct ff_tally {
    ff_cell *cells; /* room for cells_max, of which cells_cap may be used */
    uint64_t
        *slots; /* n_slots, a power of two: upper half of the hash, cell's number */
    size_t n_cells, cells_cap, cells_max;
    size_t n_slots;
    size_t n_emptied;
    size_t horizon; /* the index may find only cells of higher numbers */
    uint64_t horizon_hour;
    uint64_t seed;
    uint64_t (*clock_ns)(void);     /* the caller's, or NULL */
    uint64_t counting_ns;           /* what counting took by it, scanning not */
    ff_cell pending[FF_CHUNK_ROWS]; /* one for each counted view of the chunk */
    uint64_t hashes[FF_CHUNK_ROWS];
} ff_tally;

FF_INLINE size_t ff_tally_last_number(const ff_tally *tally) {
    return tally->n_emptied + tally->n_cells;
}

FF_INLINE ff_cell *ff_tally_cell(const ff_tally *tally, size_t number) {
    return &tally->cells[number - 1 - tally->n_emptied];
}

/* Has the arena room for a chunk? */
static inline bool ff_tally_has_room(const ff_tally *tally) {
    return tally->cells_cap - tally->n_cells >= FF_CHUNK_CELLS;
}

/* Has the index? At most half of its slots are in use; a quarter where that keeps it in
 * a cache of a core, so that most keys are found in their first slot. */
static inline bool ff_tally_has_slots(const ff_tally *tally) {
    size_t n_found = ff_tally_last_number(tally) - tally->horizon;
    size_t slots_per_cell = tally->n_slots <= FF_SMALL_INDEX_SLOTS ? 4 : 2;
    return tally->n_slots / slots_per_cell >= n_found + FF_CHUNK_CELLS;
}

FF_INLINE uint64_t ff_tally_slot(uint64_t hash, size_t number) {
    return (hash >> 32) << 32 | (uint32_t)number;
}

/* Fill freshly zeroed slots after the caller has put a larger array in place. */
static inline void ff_tally_rehash(ff_tally *tally) {
    size_t mask = tally->n_slots - 1, last = ff_tally_last_number(tally);
    for (size_t number = tally->horizon + 1; number <= last; number++) {
        const ff_cell *cell = ff_tally_cell(tally, number);
        uint64_t hash = ff_cell_is_echo(cell) ? ff_echo_hash(cell, tally->seed)
                                              : ff_cell_hash(cell, tally->seed);
        size_t at = (size_t)hash & mask;
        while (tally->slots[at] != 0) at = (at + 1) & mask;
        tally->slots[at] = ff_tally_slot(hash, number);
    }
}

/* Time has moved on: cells of past hours need not be found any more. */
FF_INLINE void ff_tally_advance(ff_tally *tally, uint64_t newest_hour) {
    if (FF_LIKELY(newest_hour <= tally->horizon_hour)) return;
    size_t n_found = ff_tally_last_number(tally) - tally->horizon;
    if (n_found > 0 && n_found < FF_HORIZON_MIN_CELLS) return;
    tally->horizon = ff_tally_last_number(tally);
    tally->horizon_hour = newest_hour;
}

/* The cells have been taken out of the arena. Numbers have 32 bits: before they run
 * out, the index begins anew. */
static inline void ff_tally_empty(ff_tally *tally) {
    tally->n_emptied += tally->n_cells;
    tally->n_cells = 0;
    if (tally->n_emptied > UINT32_MAX - tally->cells_max) {
        memset(tally->slots, 0, tally->n_slots * sizeof *tally->slots);
        tally->n_emptied = 0;
    }
    tally->horizon = tally->n_emptied;
}

/* Where a key's cell may be, by the hash's upper half alone: a cell's number, or 0
 * where the index knows none. A slot of a cell before the horizon counts as empty. */
FF_INLINE size_t ff_tally_guess(const ff_tally *tally, uint64_t hash) {
    size_t mask = tally->n_slots - 1;
    for (size_t at = (size_t)hash & mask;; at = (at + 1) & mask) {
        uint64_t slot = tally->slots[at];
        size_t number = (uint32_t)slot;
        if (number <= tally->horizon) return 0;
        if (slot >> 32 == hash >> 32) return number;
    }
}

/* Append a cell, and let a slot know it. */
FF_INLINE void ff_tally_append(ff_tally *tally, const ff_cell *cell, size_t at,
                               uint64_t hash) {
    tally->cells[tally->n_cells++] = *cell;
    tally->slots[at] = ff_tally_slot(hash, ff_tally_last_number(tally));
}

/* Add a cell's packets to the cell of the same key, or append it. */
static inline void ff_tally_put(ff_tally *tally, const ff_cell *cell, uint64_t hash) {
    size_t mask = tally->n_slots - 1;
    size_t at = (size_t)hash & mask;
    for (;; at = (at + 1) & mask) {
        uint64_t slot = tally->slots[at];
        size_t number = (uint32_t)slot;
        if (number <= tally->horizon) break;
        if (slot >> 32 == hash >> 32 &&
            ff_cell_absorb(ff_tally_cell(tally, number), cell))
            return;
    }
    ff_tally_append(tally, cell, at, hash);
}

/* Called before and after counting: twice the clock's sign, and the difference stays.
 */
FF_INLINE void ff_tally_time(ff_tally *tally) {
    if (FF_UNLIKELY(tally->clock_ns != NULL))
        tally->counting_ns = tally->clock_ns() - tally->counting_ns;
}

/* Cells that are about to be counted. */
typedef struct ff_pending {
    size_t n;
    uint64_t newest_hour;
} ff_pending;

/* Note the hash of the next pending cell, and ask for the slot that may know it. */
FF_INLINE void ff_tally_pend_hash(ff_tally *tally, ff_pending *pending, uint64_t hash) {
    tally->hashes[pending->n++] = hash;
    FF_PREFETCH(&tally->slots[(size_t)hash & (tally->n_slots - 1)]);
}

/* Make the packets' cells, and ask for the slots that may know them. Packets of
 * backscatter are noted in `echoes`; returns how many there are. In loops of their own,
 * so that each needs few registers. */
FF_INLINE size_t ff_tally_pend(ff_tally *tally, const ff_tools *tools,
                               const ff_chunk *chunk, ff_pending *pending,
                               uint16_t *echoes) {
    uint8_t found[FF_CHUNK_ROWS];
    size_t n_echoes = 0;
    ff_view v;
    ff_chunk_tools(chunk, tools, found);
    for (size_t i = 0; i < chunk->n; i++) {
        if (!ff_chunk_view(chunk, i, &v)) continue;
        ff_cell_of_view(&v, found[i], &tally->pending[pending->n]);
        ff_tally_pend_hash(tally, pending,
                           ff_cell_hash(&tally->pending[pending->n], tally->seed));
        uint64_t hour = ff_view_hour(&v);
        if (hour > pending->newest_hour) pending->newest_hour = hour;
        echoes[n_echoes] = (uint16_t)i;
        n_echoes += v.traffic == FF_TRAFFIC_backscatter;
    }
    return n_echoes;
}

/* Count them. In loops of their own, so that the cache misses of many packets overlap:
 * slots are on their way while keys are made, cells while slots are read. */
static inline void ff_tally_count(ff_tally *tally, const ff_pending *pending) {
    uint32_t guesses[FF_CHUNK_ROWS];
    ff_tally_advance(tally, pending->newest_hour);
    for (size_t i = 0; i < pending->n; i++) {
        size_t number = ff_tally_guess(tally, tally->hashes[i]);
        guesses[i] = (uint32_t)number;
        if (number > 0) FF_PREFETCH(ff_tally_cell(tally, number));
    }
    for (size_t i = 0; i < pending->n; i++) {
        const ff_cell *cell = &tally->pending[i];
        if (FF_LIKELY(guesses[i] > 0) &&
            FF_LIKELY(ff_cell_absorb(ff_tally_cell(tally, guesses[i]), cell)))
            continue;
        ff_tally_put(tally, cell, tally->hashes[i]);
    }
}

/* Draw the sketch of one packet into that of its victim, or append it. */
static inline void ff_tally_put_echo(ff_tally *tally, const ff_cell *sketch,
                                     uint64_t hash) {
    size_t mask = tally->n_slots - 1, at = (size_t)hash & mask;
    ff_cell *known = NULL;
    for (; known == NULL; at = (at + 1) & mask) {
        uint64_t slot = tally->slots[at];
        size_t number = (uint32_t)slot;
        if (number <= tally->horizon) break;
        if (slot >> 32 != hash >> 32) continue;
        known = ff_tally_cell(tally, number);
        if (!ff_echo_same_key(known, sketch)) known = NULL;
    }
    if (known == NULL) {
        ff_tally_append(tally, sketch, at, hash);
        return;
    }
    ff_echo_rest rest = ff_echo_draw(known, sketch);
    if (rest.bin) {
        ff_cell bin = ff_echo_bin(sketch);
        ff_tally_put(tally, &bin, ff_echo_hash(&bin, tally->seed));
    }
    if (rest.port) {
        ff_cell port = ff_echo_port_cell(sketch);
        ff_tally_put(tally, &port, ff_echo_hash(&port, tally->seed));
    }
}

/* Count packets of backscatter once more, as echoes. */
FF_INLINE void ff_tally_count_echoes(ff_tally *tally, const ff_chunk *chunk,
                                     const uint16_t *echoes, size_t n) {
    ff_pending pending = {0};
    for (size_t i = 0; i < n; i++) {
        ff_view v;
        ff_chunk_view(chunk, echoes[i], &v);
        ff_cell *sketch = &tally->pending[pending.n];
        if (FF_UNLIKELY(!ff_echo_sketch(&v, sketch))) continue;
        ff_tally_pend_hash(tally, &pending, ff_echo_hash(sketch, tally->seed));
    }
    for (size_t i = 0; i < pending.n; i++)
        ff_tally_put_echo(tally, &tally->pending[i], tally->hashes[i]);
}

FF_INLINE void ff_tally_add(ff_tally *tally, const ff_tools *tools,
                            const ff_chunk *chunk) {
    ff_pending pending = {0};
    uint16_t echoes[FF_CHUNK_ROWS];
    size_t n_echoes = ff_tally_pend(tally, tools, chunk, &pending, echoes);
    ff_tally_count(tally, &pending);
    ff_tally_count_echoes(tally, chunk, echoes, n_echoes);
}

static inline void ff_tally_add_views(ff_tally *tally, const ff_tools *tools,
                                      const ff_view *views, size_t n) {
    ff_chunk chunk = {.views = views, .n = n};
    ff_tally_add(tally, tools, &chunk);
}

static inline void ff_tally_add_usual(ff_tally *tally, const ff_tools *tools,
                                      const ff_usual_rules *rules,
                                      const ff_usual *usual, size_t n) {
    ff_chunk chunk = {.rules = rules, .usual = usual, .n = n};
    ff_tally_add(tally, tools, &chunk);
}

/* A chunk of packets, scanned and counted. */
static inline enum ff_outcome ff_tally_chunk(ff_tally *tally, ff_scan *scan,
                                             ff_span *s) {
    enum ff_outcome outcome;
    size_t n = 0;
    if (ff_scan_variety(scan) == FF_PLAIN_RECORDS) {
        ff_usual usual[FF_CHUNK_ROWS];
        ff_usual_rules rules = ff_scan_rules(scan);
        n = ff_scan_usual_to(scan, &rules, s, FF_CHUNK_ROWS,
                             (ff_usual_sink){.usual = usual});
        ff_tally_time(tally);
        ff_tally_add_usual(tally, scan->tools, &rules, usual, n);
        ff_tally_time(tally);
        if (n == FF_CHUNK_ROWS) return FF_FULL;
        scan->n_views = 0;
        outcome = ff_scan_stretch(scan, s, n, FF_CHUNK_ROWS - n);
    } else {
        outcome = ff_scan_chunk(scan, s, FF_CHUNK_ROWS);
    }
    ff_tally_time(tally);
    ff_tally_add_views(tally, scan->tools, scan->views, scan->n_views);
    ff_tally_time(tally);
    return outcome;
}

/* Scan a block into cells; *consumed says how much of it was used up. */
static inline enum ff_outcome ff_tally_scan(ff_tally *tally, ff_scan *scan,
                                            const uint8_t *p, size_t n,
                                            size_t *consumed) {
    ff_span s = {p, n};
    enum ff_outcome outcome = FF_FULL;
    while (outcome == FF_FULL) {
        bool has_room = ff_tally_has_room(tally) && ff_tally_has_slots(tally) &&
                        ff_lexicon_has_room(scan->lexicon, FF_CHUNK_ROWS);
        outcome = has_room ? ff_tally_chunk(tally, scan, &s) : FF_NEED_ROOM;
    }
    *consumed = n - s.n;
    return outcome;
}

/* Copy out the source addresses of n cells, network order, and their IP versions. */
static inline void ff_tally_sources(const ff_tally *tally, size_t begin, size_t n,
                                    uint8_t *src, uint8_t *version) {
    for (size_t i = 0; i < n; i++) {
        ff_address a = ff_cell_src(&tally->cells[begin + i]);
        memcpy(src + 16 * i, a.byte, sizeof a.byte);
        version[i] = tally->cells[begin + i].where & 1 ? 6 : 4;
    }
}

#endif
