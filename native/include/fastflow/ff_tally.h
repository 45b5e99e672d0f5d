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

#include "fastflow/ff_scan.h"

#define FF_HOUR_NS 3600000000000
/* Fewer cells are not worth a new horizon. */
#define FF_HORIZON_MIN_CELLS 4096

/* Fields of ff_cell.where, from the lowest bit: IP version 6; port or ICMP type with a
 * bit above that says that there is one; traffic; protocol; hours since 1970. */
enum ff_where_shift {
    FF_WHERE_IPV6 = 0,
    FF_WHERE_PORT = 1,
    FF_WHERE_TRAFFIC = 18,
    FF_WHERE_PROTO = 20,
    FF_WHERE_HOUR = 28
};
#define FF_WHERE_HAS_PORT ((uint64_t)0x10000)

/* Which values all packets of a cell share. */
enum ff_shared { FF_SHARED_SRC_PORT = 1, FF_SHARED_TCP_SEQ = 2, FF_SHARED_IP_TTL = 4 };

/* One cache line. */
typedef struct ff_cell {
    uint64_t where;
    ff_sig sig;
    uint64_t src_hi, src_lo; /* as numbers, so that comparing them compares addresses */
    uint64_t bytes;          /* this and below: not part of the key */
    uint32_t packets;        /* never wraps: a full cell is followed by a second one */
    uint32_t tcp_seq;        /* shared values; they say nothing where not shared */
    uint16_t src_port;
    uint16_t country; /* of the source, a number; given when a run is made */
    uint8_t ip_ttl;
    uint8_t shared; /* bit set of enum ff_shared */
    uint16_t zero;
} ff_cell;

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

FF_INLINE uint64_t ff_cell_hash(const ff_cell *cell, uint64_t seed) {
    return ff_hash4(cell->where ^ cell->sig.scale * FF_HASH_ODD_2, cell->sig.fixed,
                    cell->src_hi, cell->src_lo, seed);
}

FF_INLINE ff_address ff_cell_src(const ff_cell *cell) {
    ff_address a;
    ff_store_be64(a.byte, cell->src_hi);
    ff_store_be64(a.byte + 8, cell->src_lo);
    return a;
}

FF_INLINE bool ff_cell_same_key(const ff_cell *a, const ff_cell *b) {
    return ((a->where ^ b->where) | (a->src_hi ^ b->src_hi) | (a->src_lo ^ b->src_lo) |
            (a->sig.fixed ^ b->sig.fixed) | (a->sig.scale ^ b->sig.scale)) == 0;
}

/* Equal stays, different or missing becomes null and stays null. */
FF_INLINE void ff_cell_merge_shared(ff_cell *into, const ff_cell *from) {
    unsigned differ = (into->src_port != from->src_port) * FF_SHARED_SRC_PORT |
                      (into->tcp_seq != from->tcp_seq) * FF_SHARED_TCP_SEQ |
                      (into->ip_ttl != from->ip_ttl) * FF_SHARED_IP_TTL;
    into->shared = (uint8_t)(into->shared & from->shared & ~differ);
}

/* A sequence number that spells the destination would tell a sensor's address. */
FF_INLINE bool ff_seq_tells_dst(const ff_view *v, uint32_t seq) {
    if (v->ip_version != 4) return false;
    uint32_t dst = ff_load_be32(v->ip + 16);
    return seq == dst || seq == __builtin_bswap32(dst);
}

FF_INLINE uint64_t ff_cell_where(const ff_view *v) {
    uint64_t port = 0;
    if (v->layers & FF_BIT(PORTS)) {
        port = FF_WHERE_HAS_PORT | ff_dst_port(v->ports);
    } else if (v->layers & FF_BIT(ICMP_TYPE)) {
        port = FF_WHERE_HAS_PORT | v->icmp_type;
    }
    uint64_t hour = (uint64_t)v->ts_ns / FF_HOUR_NS;
    return hour << FF_WHERE_HOUR | (uint64_t)v->proto << FF_WHERE_PROTO |
           (uint64_t)v->traffic << FF_WHERE_TRAFFIC | port << FF_WHERE_PORT |
           (uint64_t)(v->ip_version == 6) << FF_WHERE_IPV6;
}

/* One packet as a cell of its own. */
FF_INLINE void ff_cell_of_view(const ff_view *v, ff_cell *cell) {
    cell->where = ff_cell_where(v);
    if (FF_LIKELY(v->ip_version == 4)) {
        cell->src_hi = 0;
        cell->src_lo = (uint64_t)0xffff << 32 | ff_load_be32(v->ip + 12);
    } else {
        cell->src_hi = ff_load_be64(v->ip + 8);
        cell->src_lo = ff_load_be64(v->ip + 16);
    }
    cell->bytes = v->ip_len_bytes;
    cell->sig = ff_sig_of_view(v);
    cell->packets = 1;
    cell->country = cell->zero = 0;
    cell->ip_ttl = ff_ip_ttl(v);
    cell->src_port = ff_src_port(v->ports);
    cell->tcp_seq = ff_tcp_seq(v->tcp);
    bool has_seq = (v->layers & FF_BIT(TCP)) && !ff_seq_tells_dst(v, cell->tcp_seq);
    cell->shared = (uint8_t)(FF_SHARED_IP_TTL | (has_seq ? FF_SHARED_TCP_SEQ : 0) |
                             ((v->layers & FF_BIT(PORTS)) ? FF_SHARED_SRC_PORT : 0));
}

/* Has the arena room for a chunk? */
static inline bool ff_tally_has_room(const ff_tally *tally) {
    return tally->cells_cap - tally->n_cells >= FF_CHUNK_ROWS;
}

/* Has the index? At most half of its slots are in use. */
static inline bool ff_tally_has_slots(const ff_tally *tally) {
    size_t n_found = ff_tally_last_number(tally) - tally->horizon;
    return tally->n_slots / 2 >= n_found + FF_CHUNK_ROWS;
}

FF_INLINE uint64_t ff_tally_slot(uint64_t hash, size_t number) {
    return (hash >> 32) << 32 | (uint32_t)number;
}

/* Fill freshly zeroed slots after the caller has put a larger array in place. */
static inline void ff_tally_rehash(ff_tally *tally) {
    size_t mask = tally->n_slots - 1, last = ff_tally_last_number(tally);
    for (size_t number = tally->horizon + 1; number <= last; number++) {
        uint64_t hash = ff_cell_hash(ff_tally_cell(tally, number), tally->seed);
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

/* Add a cell's packets to another's, if that has its key and room for them. */
FF_INLINE bool ff_cell_absorb(ff_cell *into, const ff_cell *cell) {
    if (FF_UNLIKELY(!ff_cell_same_key(into, cell))) return false;
    if (FF_UNLIKELY(into->packets > UINT32_MAX - cell->packets)) return false;
    into->packets += cell->packets;
    into->bytes += cell->bytes;
    ff_cell_merge_shared(into, cell);
    return true;
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
    tally->cells[tally->n_cells++] = *cell;
    tally->slots[at] = ff_tally_slot(hash, ff_tally_last_number(tally));
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

/* Make the packet's cell, and ask for the slot that may know it. */
FF_INLINE void ff_tally_pend(ff_tally *tally, ff_pending *pending, const ff_view *v) {
    ff_cell *cell = &tally->pending[pending->n];
    ff_cell_of_view(v, cell);
    uint64_t hash = ff_cell_hash(cell, tally->seed);
    tally->hashes[pending->n++] = hash;
    FF_PREFETCH(&tally->slots[(size_t)hash & (tally->n_slots - 1)]);
    uint64_t hour = cell->where >> FF_WHERE_HOUR;
    if (hour > pending->newest_hour) pending->newest_hour = hour;
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

/* Count the chunk's views. */
static inline void ff_tally_add_views(ff_tally *tally, const ff_view *views, size_t n) {
    ff_pending pending = {0};
    for (size_t i = 0; i < n; i++)
        if (FF_LIKELY(views[i].reason == FF_REASON_counted))
            ff_tally_pend(tally, &pending, &views[i]);
    ff_tally_count(tally, &pending);
}

/* Count usual packets; the view of one never leaves the registers. */
static inline void ff_tally_add_usual(ff_tally *tally, const ff_usual_rules *rules,
                                      const ff_usual *usual, size_t n) {
    ff_pending pending = {0};
    for (size_t i = 0; i < n; i++) {
        ff_view v;
        ff_usual_view(rules, &usual[i], &v);
        ff_tally_pend(tally, &pending, &v);
    }
    ff_tally_count(tally, &pending);
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
        ff_tally_add_usual(tally, &rules, usual, n);
        ff_tally_time(tally);
        if (n == FF_CHUNK_ROWS) return FF_FULL;
        scan->n_views = 0;
        outcome = ff_scan_stretch(scan, s, n, FF_CHUNK_ROWS - n);
    } else {
        outcome = ff_scan_chunk(scan, s, FF_CHUNK_ROWS);
    }
    ff_tally_time(tally);
    ff_tally_add_views(tally, scan->views, scan->n_views);
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
