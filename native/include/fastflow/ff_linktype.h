/* SPDX-License-Identifier: Apache-2.0 */
/* The link types that are decoded. Source: the LINKTYPE_ numbers of the IANA registry
 * of draft-ietf-opsawg-pcaplinktype. */
#ifndef FASTFLOW_FF_LINKTYPE_H
#define FASTFLOW_FF_LINKTYPE_H

#include "fastflow/ff_base.h"

/* clang-format off */
/* X(name, LINKTYPE_ number) */
#define FF_LINKS(X)                                                          \
    X(ethernet, 1)                                                           \
    X(null, 0)                                                               \
    X(ppp, 9)                                                                \
    X(raw_bsd, 12)     /* DLT_RAW of most systems, found in files too */     \
    X(raw_openbsd, 14)                                                       \
    X(ppp_hdlc, 50)                                                          \
    X(raw, 101)                                                              \
    X(c_hdlc, 104)                                                           \
    X(loop, 108)                                                             \
    X(linux_sll, 113)                                                        \
    X(pflog, 117)                                                            \
    X(ieee802_11_radiotap, 127)                                              \
    X(ipv4, 228)                                                             \
    X(ipv6, 229)                                                             \
    X(nflog, 239)                                                            \
    X(linux_sll2, 276)
/* clang-format on */

enum ff_linktype {
#define X(name, linktype) FF_LINKTYPE_##name = linktype,
    FF_LINKS(X)
#undef X
};

enum ff_link {
#define X(name, linktype) FF_LINK_##name,
    FF_LINKS(X)
#undef X
        FF_N_LINKS,
    FF_LINK_UNSUPPORTED = FF_N_LINKS
};

typedef struct ff_link_info {
    const char *name;
    uint16_t linktype;
} ff_link_info;

static const ff_link_info ff_links[FF_N_LINKS] = {
#define X(name, linktype) {#name, linktype},
    FF_LINKS(X)
#undef X
};

static inline uint8_t ff_link_of(uint16_t linktype) {
    switch (linktype) {
#define X(name, number) \
    case number: return FF_LINK_##name;
        FF_LINKS(X)
#undef X
        default: return FF_LINK_UNSUPPORTED;
    }
}

#endif
