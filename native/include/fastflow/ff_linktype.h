/* SPDX-License-Identifier: Apache-2.0 */
/* The link types that are decoded. Source: LINKTYPE_ numbers of
 * draft-ietf-opsawg-pcaplinktype. */
#ifndef FASTFLOW_FF_LINKTYPE_H
#define FASTFLOW_FF_LINKTYPE_H

#include "fastflow/ff_base.h"

/* X(name, LINKTYPE_ number) */
#define FF_LINKS(X)                                                  \
    X(ethernet, 1)                                                   \
    X(null, 0)                                                       \
    X(raw_bsd, 12) /* DLT_RAW of most systems, found in files too */ \
    X(raw_openbsd, 14)                                               \
    X(raw, 101)                                                      \
    X(loop, 108)                                                     \
    X(linux_sll, 113)                                                \
    X(ipv4, 228)                                                     \
    X(ipv6, 229)

enum ff_link {
#define X(name, number) FF_LINK_##name,
    FF_LINKS(X)
#undef X
        FF_N_LINKS,
    FF_LINK_UNSUPPORTED = FF_N_LINKS
};

enum ff_linktype {
#define X(name, number) FF_LINKTYPE_##name = number,
    FF_LINKS(X)
#undef X
};

static const uint16_t ff_linktypes[FF_N_LINKS] = {
#define X(name, number) number,
    FF_LINKS(X)
#undef X
};

static inline uint8_t ff_link_of(uint16_t linktype) {
    uint8_t link = 0;
    while (link < FF_N_LINKS && ff_linktypes[link] != linktype) link++;
    return link;
}

#endif
