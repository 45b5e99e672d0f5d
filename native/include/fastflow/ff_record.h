/* SPDX-License-Identifier: Apache-2.0 */
/* A record as every container format gives it, and the interface that it came from. */
#ifndef FASTFLOW_FF_RECORD_H
#define FASTFLOW_FF_RECORD_H

#include "fastflow/ff_linktype.h"
#include "fastflow/ff_span.h"
#include "fastflow/ff_status.h"

/* Of one packet, in every format: libpcap's MAXIMUM_SNAPLEN. */
#define FF_CAPLEN_MAX_BYTES 262144u

#define FF_NS_PER_SEC 1000000000

__extension__ typedef __int128 ff_int128;

/* Where packets come from: one per file, or one per description in a pcapng section. */
typedef struct ff_interface {
    uint16_t linktype;      /* LINKTYPE_ number */
    uint8_t link;           /* enum ff_link */
    uint8_t filter_link;    /* the link whose filter program fits its byte order */
    uint8_t fcs_bytes;      /* frame check sequence at the end of each frame */
    uint32_t snaplen;       /* 0: not limited */
    uint64_t units_per_sec; /* of its time stamps */
    uint64_t ns_per_unit;   /* 0 where that is no whole number */
    uint64_t quick_end;     /* time stamps below are ns_per_unit each, and no more */
    int64_t offset_sec;     /* added to each time stamp */
    uint64_t n_dropped;     /* as its latest statistics said */
} ff_interface;

typedef struct ff_record {
    ff_span data;   /* what was captured of the packet */
    size_t n_bytes; /* of the block that were used up, data and padding included */
    const ff_interface *on;
    int64_t ts_ns; /* since 1970-01-01 UTC; 0 where there is none */
    bool has_ts;
    uint32_t wirelen;
    enum ff_fault fault;
} ff_record;

/* What stood at the front of the block. */
enum ff_step {
    FF_STEP_PACKET,     /* a packet */
    FF_STEP_PASSED,     /* bytes that hold none */
    FF_STEP_NEED_BYTES, /* the beginning of something */
    FF_STEP_NEED_ROOM,  /* an interface that the table has no room for */
    FF_STEP_FAULTED     /* see ff_record.fault */
};

FF_INLINE enum ff_step ff_record_fault(ff_record *r, enum ff_fault fault) {
    r->fault = fault;
    return FF_STEP_FAULTED;
}

FF_INLINE enum ff_step ff_record_passed(ff_record *r, size_t n_bytes) {
    r->n_bytes = n_bytes;
    return FF_STEP_PASSED;
}

static inline void ff_interface_init(ff_interface *on, uint16_t linktype,
                                     uint32_t snaplen) {
    memset(on, 0, sizeof *on);
    on->linktype = linktype;
    on->link = on->filter_link = ff_link_of(linktype);
    on->snaplen = snaplen;
}

/* units_per_sec is not zero. */
static inline void ff_interface_set_time(ff_interface *on, uint64_t units_per_sec,
                                         int64_t offset_sec) {
    on->units_per_sec = units_per_sec;
    on->offset_sec = offset_sec;
    on->ns_per_unit =
        FF_NS_PER_SEC % units_per_sec == 0 ? FF_NS_PER_SEC / units_per_sec : 0;
    on->quick_end =
        on->ns_per_unit > 0 && offset_sec == 0 ? INT64_MAX / on->ns_per_unit + 1 : 0;
}

/* Exact down to the nanosecond, or none if int64 does not hold it. */
static inline bool ff_interface_time_slow(const ff_interface *on, uint64_t units,
                                          int64_t *ts_ns) {
    uint64_t sec = units / on->units_per_sec;
    ff_int128 part = (ff_int128)(units % on->units_per_sec) * FF_NS_PER_SEC /
                     (ff_int128)on->units_per_sec;
    ff_int128 ns = ((ff_int128)sec + on->offset_sec) * FF_NS_PER_SEC + part;
    if (ns < INT64_MIN || ns > INT64_MAX) return false;
    *ts_ns = (int64_t)ns;
    return true;
}

FF_INLINE void ff_record_time(ff_record *r, uint64_t units) {
    r->has_ts = true;
    r->ts_ns = 0;
    if (FF_LIKELY(units < r->on->quick_end))
        r->ts_ns = (int64_t)(units * r->on->ns_per_unit);
    else
        r->has_ts = ff_interface_time_slow(r->on, units, &r->ts_ns);
}

#endif
