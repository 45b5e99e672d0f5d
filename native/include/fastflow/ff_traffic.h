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

FF_INLINE enum ff_traffic ff_traffic_of_tcp(uint8_t flags) {
    if (flags & FF_TCP_RST) return FF_TRAFFIC_backscatter;
    if ((flags & (FF_TCP_SYN | FF_TCP_ACK)) == (FF_TCP_SYN | FF_TCP_ACK))
        return FF_TRAFFIC_backscatter;
    if ((flags & (FF_TCP_SYN | FF_TCP_ACK | FF_TCP_FIN)) == FF_TCP_SYN)
        return FF_TRAFFIC_scan;
    return FF_TRAFFIC_other;
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
