/* SPDX-License-Identifier: Apache-2.0 */
/* 802.11 frames behind a radiotap header.
 * Source: radiotap.org, "Radiotap" and the field "Flags"; IEEE 802.11-2020, 9.2. */
#ifndef FASTFLOW_FF_IEEE80211_H
#define FASTFLOW_FF_IEEE80211_H

#include "fastflow/ff_encap.h"

#define FF_RADIOTAP_MIN_BYTES 8
#define FF_RADIOTAP_MAX_WORDS 32
#define FF_IEEE80211_FCS_BYTES 4

enum ff_radiotap_flag { FF_RADIOTAP_FCS = 0x10, FF_RADIOTAP_PAD = 0x20 };

/* The flags of a whole radiotap header. Fields stand behind the last word of presence
 * bits (bit 31: another word follows), each aligned to its size: the time (bit 0, 8
 * bytes), then the flags (bit 1). */
static inline enum ff_state ff_radiotap_flags(ff_span header, uint8_t *flags) {
    uint32_t present = ff_load_le32(header.p + 4);
    size_t at = FF_RADIOTAP_MIN_BYTES;
    for (int n = 1; ff_load_le32(header.p + at - 4) >> 31; n++) {
        if (n == FF_RADIOTAP_MAX_WORDS || header.n - at < 4)
            return FF_STATE_l2_truncated;
        at += 4;
    }
    if (present & 1) at = ((at + 7) & ~(size_t)7) + 8;
    *flags = (present & 2) && at < header.n ? header.p[at] : 0;
    return FF_STATE_ok;
}

/* Drop what was captured of the frame check sequence. */
static inline void ff_ieee80211_drop_fcs(ff_span *s, const ff_view *v) {
    size_t fcs_bytes = FF_IEEE80211_FCS_BYTES;
    if (v->wirelen_bytes > v->caplen_bytes) {
        size_t cut_bytes = v->wirelen_bytes - v->caplen_bytes;
        fcs_bytes -= cut_bytes < fcs_bytes ? cut_bytes : fcs_bytes;
    }
    ff_clip(s, s->n < fcs_bytes ? 0 : s->n - fcs_bytes);
}

/* Data frames that begin with LLC: not encrypted, not a later fragment, not several
 * packets in one (A-MSDU). */
static inline enum ff_state ff_ieee80211_parse(ff_path *path, bool is_padded) {
    ff_span *s = &path->s;
    if (!ff_has(*s, 2)) return FF_STATE_l2_truncated;
    uint8_t control = s->p[0], flags = s->p[1];
    /* Version 0, type 2, and a subtype that has data. */
    if ((control & 0x0f) != 0x08 || (control & 0x40)) return FF_STATE_non_ip;
    if (flags & 0x40) return FF_STATE_non_ip; /* protected */
    bool is_qos = control & 0x80;
    size_t header_bytes = 24;
    if ((flags & 3) == 3) header_bytes += 6; /* a fourth address */
    size_t qos_at = header_bytes;
    if (is_qos) header_bytes += flags & 0x80 ? 6 : 2; /* QoS, HT control */
    if (!ff_has(*s, header_bytes)) return FF_STATE_l2_truncated;
    if (s->p[22] & 0x0f) return FF_STATE_non_ip; /* fragment number */
    if (is_qos && s->p[qos_at] & 0x80) return FF_STATE_non_ip;
    if (is_padded) header_bytes = (header_bytes + 3) & ~(size_t)3;
    if (!ff_has(*s, header_bytes)) return FF_STATE_l2_truncated;
    ff_skip(s, header_bytes);
    return ff_path_to(path, FF_HEADER_LLC);
}

static inline enum ff_state ff_radiotap_parse(ff_path *path, const ff_view *v) {
    ff_span header = path->s;
    if (!ff_has(header, FF_RADIOTAP_MIN_BYTES)) return FF_STATE_l2_truncated;
    size_t header_bytes = ff_load_le16(header.p + 2);
    if (header_bytes < FF_RADIOTAP_MIN_BYTES || !ff_has(header, header_bytes))
        return FF_STATE_l2_truncated;
    ff_clip(&header, header_bytes);
    uint8_t flags;
    enum ff_state state = ff_radiotap_flags(header, &flags);
    if (state != FF_STATE_ok) return state;
    ff_skip(&path->s, header_bytes);
    if (flags & FF_RADIOTAP_FCS) ff_ieee80211_drop_fcs(&path->s, v);
    return ff_ieee80211_parse(path, flags & FF_RADIOTAP_PAD);
}

#endif
