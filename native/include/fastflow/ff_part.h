/* SPDX-License-Identifier: Apache-2.0 */
/* A classic pcap scanned in parts: begun in the middle, and put together again. */
#ifndef FASTFLOW_FF_PART_H
#define FASTFLOW_FF_PART_H

#include "fastflow/ff_scan.h"
#include "fastflow/ff_sync.h"

/* Is it one in which a record can be read without those before it? */
static inline bool ff_scan_can_part(const ff_scan *scan) {
    return scan->is_open && scan->capture.format == FF_FORMAT_pcap;
}

/* Begin `part` at an offset of a capture that `opened` has read the header of. What is
 * asked of the scan (times, filter, tunnels, lexicon) is set already. */
static inline void ff_scan_begin_part(ff_scan *part, const ff_scan *opened,
                                      uint64_t offset_bytes) {
    part->capture = opened->capture;
    part->links = opened->links;
    part->first_ts_ns = INT64_MAX;
    part->last_ts_ns = INT64_MIN;
    part->consumed_bytes = offset_bytes;
    part->limit_bytes = UINT64_MAX;
    part->is_open = true;
}

/* Take in what a part has found that began where `scan` ends, as if there were one. */
static inline void ff_scan_join(ff_scan *scan, const ff_scan *part) {
    scan->fault = part->fault;
    scan->consumed_bytes = part->consumed_bytes;
    scan->n_records += part->n_records;
    scan->links |= part->links;
    for (int i = 0; i < FF_N_REASONS; i++) scan->reasons[i] += part->reasons[i];
    for (int i = 0; i < FF_N_FLAGS; i++) scan->flags[i] += part->flags[i];
    if (part->first_ts_ns < scan->first_ts_ns) scan->first_ts_ns = part->first_ts_ns;
    if (part->last_ts_ns > scan->last_ts_ns) scan->last_ts_ns = part->last_ts_ns;
}

#endif
