/* SPDX-License-Identifier: Apache-2.0 */
/* What a packet is there for: a scan, the echo of an attack on somebody else, or other.
 * Source: the usual telescope definition of backscatter (Moore et al., "Inferring
 * Internet Denial-of-Service Activity", table 1) with ICMPv6's counterparts. */
#ifndef FASTFLOW_FF_TRAFFIC_H
#define FASTFLOW_FF_TRAFFIC_H

#include "fastflow/ff_tcp.h"
#include "fastflow/ff_view.h"

/* In the order of their names, so that comparing numbers compares names. */
#define FF_TRAFFICS(X) X(backscatter) X(other) X(scan)

enum ff_traffic {
#define X(name) FF_TRAFFIC_##name,
    FF_TRAFFICS(X)
#undef X
        FF_N_TRAFFICS
};

static const char *const ff_traffic_names[] = {
#define X(name) #name,
    FF_TRAFFICS(X)
#undef X
};

/* By the flags ACK, PSH, RST, SYN, FIN: RST, or SYN with ACK, answers; SYN without FIN
 * asks. A table, because nobody can predict which of them comes next. */
#define FF_OTHER FF_TRAFFIC_other
#define FF_ANSWER FF_TRAFFIC_backscatter
#define FF_ANSWERS FF_ANSWER, FF_ANSWER, FF_ANSWER, FF_ANSWER
static const uint8_t ff_traffic_by_flags[32] = {
    FF_OTHER, FF_OTHER, FF_TRAFFIC_scan, FF_OTHER,  FF_ANSWERS, /* nothing else */
    FF_OTHER, FF_OTHER, FF_TRAFFIC_scan, FF_OTHER,  FF_ANSWERS, /* PSH */
    FF_OTHER, FF_OTHER, FF_ANSWER,       FF_ANSWER, FF_ANSWERS, /* ACK */
    FF_OTHER, FF_OTHER, FF_ANSWER,       FF_ANSWER, FF_ANSWERS, /* ACK, PSH */
};
#undef FF_OTHER
#undef FF_ANSWER
#undef FF_ANSWERS

FF_INLINE enum ff_traffic ff_traffic_of_tcp(uint8_t flags) {
    return (enum ff_traffic)ff_traffic_by_flags[flags & 31];
}

/* Echo reply, unreachable, quench, redirect, time exceeded, parameter problem,
 * timestamp reply, information reply, mask reply are answers; echo request asks. */
static inline enum ff_traffic ff_traffic_of_icmp(uint8_t type) {
    switch (type) {
        case 0:
        case 3:
        case 4:
        case 5:
        case 11:
        case 12:
        case 14:
        case 16:
        case 18: return FF_TRAFFIC_backscatter;
        case 8: return FF_TRAFFIC_scan;
        default: return FF_TRAFFIC_other;
    }
}

static inline enum ff_traffic ff_traffic_of_icmp6(uint8_t type) {
    if ((type >= 1 && type <= 4) || type == 129) return FF_TRAFFIC_backscatter;
    return type == 128 ? FF_TRAFFIC_scan : FF_TRAFFIC_other;
}

#endif
