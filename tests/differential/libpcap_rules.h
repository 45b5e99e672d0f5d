/* SPDX-License-Identifier: Apache-2.0 */
/* Where fastflow and libpcap may differ, and who is right: a closed list. A rule holds
 * only where the bytes of the capture, or libpcap's own message, show its case. */
#ifndef LIBPCAP_RULES_H
#define LIBPCAP_RULES_H

#include "libpcap_readers.h"

/* clang-format off */

/* X(name, who is right, why). "draft" is draft-ietf-opsawg-pcap or -pcapng. */
#define RULES(X)                                                                         \
    /* Values: the packet is in both, and reading goes on. */                            \
    X(time_is_unsigned, fastflow,                                                        \
      "classic seconds and sub-seconds are unsigned (draft 5); libpcap 1.10 extends signs") \
    X(binary_fraction, fastflow,                                                         \
      "libpcap multiplies the fraction by 10^9 in 64 bits, too few above 2^34 units a second") \
    X(time_beyond_int64, fastflow,                                                       \
      "a time that int64 nanoseconds do not hold is null; libpcap gives seconds, modulo 2^64") \
    X(simple_packet_time, fastflow,                                                      \
      "a simple packet has no time (draft 4.4); libpcap says 1970")                      \
    X(snaplen_cuts, either,                                                              \
      "classic: libpcap gives no more than snaplen, we all that was captured, with a flag") \
    X(pseudo_header, either,                                                             \
      "libpcap turns link headers of the writing host's byte order into this host's")    \
    /* Ends: one reader stops where the other does not, or not for the same reason. */   \
    X(format, either, "libpcap reads neither snoop nor ERF")                             \
    X(linktype_bits, either,                                                             \
      "reserved bits of the link-type word reject a file (draft 4); libpcap passes them on") \
    X(version, either, "libpcap reads pcap 2.0, 2.1 and 543.0")                          \
    X(zero_record, fastflow,                                                             \
      "zeros of a power loss are endless packets of 1970 to libpcap")                    \
    X(joined_files, fastflow, "libpcap reads a second file header as a record")          \
    X(caplen_limit, either,                                                              \
      "more than 262144 bytes of a packet: libpcap allows what snaplen or link type do") \
    X(first_section, fastflow,                                                           \
      "libpcap checks neither the first section's second length nor that four divides it") \
    X(section_before_interface, fastflow,                                                \
      "libpcap skips all later sections' headers unread until the first interface")      \
    X(section_minor_version, either,                                                     \
      "libpcap does not look at the minor version of a later section")                   \
    X(byte_order_changes, fastflow,                                                      \
      "each section has a byte order of its own (draft 4.1); libpcap stops")             \
    X(linktypes_differ, fastflow,                                                        \
      "interfaces may differ in link type (draft 4.2); libpcap stops, also at the second of two RAW") \
    X(snaplens_differ, fastflow,                                                         \
      "interfaces may differ in snaplen (draft 4.2); libpcap stops")                     \
    X(caplen_over_snaplen, either,                                                       \
      "pcapng: more bytes than snaplen are a flag; libpcap stops")                       \
    X(simple_packet_cut, either,                                                         \
      "a simple packet cut below its snaplen is as long as its block; libpcap stops")    \
    X(end_of_options, either,                                                            \
      "the length of opt_endofopt is 0 (draft 3.5); libpcap stops where it is not")      \
    X(two_offsets, either, "if_tsoffset twice: the last wins; libpcap stops")            \
    X(short_statistics, either,                                                          \
      "interface statistics of less than 24 bytes are damage; libpcap skips them unread") \
    X(block_limit, either, "blocks that we keep have at most 1 MiB, libpcap's 16 MiB")   \
    X(too_many_interfaces, either, "65,536 interfaces in a section; libpcap knows no limit") \
    X(no_interface, either,                                                              \
      "a file without an interface is empty, with a flag; an error to libpcap")

/* clang-format on */

enum rule {
    RULE_equal,
#define X(name, right, why) RULE_##name,
    RULES(X)
#undef X
        RULE_unexplained,
    N_RULES = RULE_unexplained
};

static const struct {
    const char *name, *right, *why;
} rule_texts[] = {{"equal", "", ""},
#define X(name, right, why) {#name, #right, why},
                  RULES(X)
#undef X
};

/* --- values of one packet --------------------------------------------------------- */

static ff_int128 theirs_ns(const theirs *t) {
    return (ff_int128)t->header->ts.tv_sec * FF_NS_PER_SEC + t->header->ts.tv_usec;
}

/* libpcap's arithmetic of a classic time, which stands header_bytes before the data. */
static enum rule classic_time(const ours *o, const theirs *t) {
    const ff_pcap *f = &o->capture.pcap;
    const uint8_t *header = o->record.data.p - f->record_header_bytes;
    uint32_t sec = ff_pcap_u32(f, header), frac = ff_pcap_u32(f, header + 4);
    ff_int128 ns = (ff_int128)(int32_t)sec * FF_NS_PER_SEC +
                   (ff_int128)(int32_t)frac * f->ns_per_frac;
    bool has_sign = (int32_t)sec < 0 || (int32_t)frac < 0;
    return has_sign && theirs_ns(t) == ns ? RULE_time_is_unsigned : RULE_unexplained;
}

/* libpcap's arithmetic of a pcapng time, modulo 2^64 where ours is exact. */
static enum rule pcapng_time(const ours *o, const theirs *t) {
    const ff_interface *on = o->record.on;
    uint64_t units = ff_pcapng_ts(&o->capture.pcapng, o->record.data.p - 16);
    uint64_t sec = units / on->units_per_sec, part = units % on->units_per_sec;
    uint64_t wrapped_sec = sec + (uint64_t)on->offset_sec;
    uint64_t wrapped_part = part * FF_NS_PER_SEC;
    bool is_too_fine = wrapped_part / FF_NS_PER_SEC != part;
    ff_int128 exact_sec = (ff_int128)sec + on->offset_sec;
    ff_int128 exact_part = (ff_int128)part * FF_NS_PER_SEC / on->units_per_sec;
    ff_int128 ns = exact_sec * FF_NS_PER_SEC + exact_part;
    bool is_beyond = ns < INT64_MIN || ns > INT64_MAX;
    if (t->header->ts.tv_sec != (int64_t)wrapped_sec) return RULE_unexplained;
    if (o->record.has_ts == is_beyond) return RULE_unexplained;
    if (!is_beyond && o->record.ts_ns != ns) return RULE_unexplained;
    bool is_power_of_2 = (on->units_per_sec & (on->units_per_sec - 1)) == 0;
    if (is_power_of_2 && is_too_fine &&
        t->header->ts.tv_usec == (int64_t)(wrapped_part / on->units_per_sec))
        return RULE_binary_fraction;
    if (is_beyond && t->header->ts.tv_usec == exact_part) return RULE_time_beyond_int64;
    return RULE_unexplained;
}

static bool ours_is_simple(const ours *o) {
    return o->capture.format == FF_FORMAT_pcapng &&
           ff_pcapng_u32(&o->capture.pcapng, o->block + (o->at - o->begin) -
                                                 o->record.n_bytes) == FF_PCAPNG_SPB;
}

static enum rule same_time(const ours *o, const theirs *t) {
    if (o->record.has_ts && o->record.ts_ns == theirs_ns(t)) return RULE_equal;
    if (o->capture.format == FF_FORMAT_pcap) return classic_time(o, t);
    if (!ours_is_simple(o)) return pcapng_time(o, t);
    bool is_epoch = t->header->ts.tv_sec == o->record.on->offset_sec &&
                    t->header->ts.tv_usec == 0 && !o->record.has_ts;
    return is_epoch ? RULE_simple_packet_time : RULE_unexplained;
}

static enum rule same_lengths(const ours *o, const theirs *t) {
    uint32_t caplen = t->header->caplen;
    if (t->header->len != o->record.wirelen) return RULE_unexplained;
    if (caplen == o->record.data.n) return RULE_equal;
    bool is_cut = o->capture.format == FF_FORMAT_pcap && caplen < o->record.data.n &&
                  caplen == (uint32_t)pcap_snapshot(t->pcap);
    return is_cut ? RULE_snaplen_cuts : RULE_unexplained;
}

/* LINUX_SLL (for CAN), USB_LINUX, USB_LINUX_MMAPPED, NFLOG: libpcap's list. */
static bool has_host_order(uint16_t linktype) {
    return linktype == 113 || linktype == 189 || linktype == 220 || linktype == 239;
}

/* Have both as many bytes of each value? */
static bool is_permutation(const uint8_t *a, const uint8_t *b, size_t n) {
    int counts[256] = {0};
    for (size_t i = 0; i < n; i++) {
        counts[a[i]]++;
        counts[b[i]]--;
    }
    for (int value = 0; value < 256; value++)
        if (counts[value] != 0) return false;
    return true;
}

static enum rule same_bytes(const ours *o, const theirs *t) {
    const uint8_t *p = o->record.data.p;
    if (memcmp(p, t->bytes, t->header->caplen) == 0) return RULE_equal;
    bool is_turned = pcap_is_swapped(t->pcap) &&
                     has_host_order(o->record.on->linktype) &&
                     is_permutation(p, t->bytes, t->header->caplen);
    return is_turned ? RULE_pseudo_header : RULE_unexplained;
}

/* --- ends ------------------------------------------------------------------------- */

/* What stood where the two readers parted. */
typedef struct parting {
    const ours *o;
    const theirs *t;
    bool has_packet; /* ours; theirs has one where it is not over */
} parting;

static bool says(const parting *p, const char *text) {
    return p->t->is_over && strstr(p->t->message, text) != NULL;
}

/* Did libpcap stop, and not at a clean end? */
static bool complains(const parting *p) { return p->t->is_over && p->t->message[0]; }

static bool is_fault(const parting *p, enum ff_fault fault) {
    return p->o->is_over && p->o->fault == fault;
}

/* Of the record or block at which ours stands; 0 behind the end. */
static uint32_t word_at(const parting *p, size_t offset_bytes) {
    const ours *o = p->o;
    bool is_swapped = o->capture.format == FF_FORMAT_pcap ? o->capture.pcap.swapped
                                                          : o->capture.pcapng.swapped;
    if (o->n_bytes - o->at < offset_bytes + 4) return 0;
    uint32_t word = ff_load_u32(o->data + o->at + offset_bytes);
    return is_swapped ? __builtin_bswap32(word) : word;
}

/* Both say that this is wrong: our fault, and a part of libpcap's message. */
static const struct {
    enum ff_fault fault;
    const char *message;
} same_ends[] = {
    {FF_FAULT_empty_file, "only got 0"},
    {FF_FAULT_short_magic, "tried to read 4 file header bytes"},
    {FF_FAULT_short_magic, "unknown file format"}, /* of snoop */
    {FF_FAULT_unknown_magic, "unknown file format"},
    {FF_FAULT_no_section_header, "unknown file format"},
    {FF_FAULT_bad_byte_order_magic, "unknown file format"},
    {FF_FAULT_bad_byte_order_magic, "bad byte order magic"},
    {FF_FAULT_bad_byte_order_magic, "> maximum"},
    {FF_FAULT_bad_byte_order_magic, "length in header"},
    {FF_FAULT_bad_byte_order_magic, "truncated pcapng dump file"},
    {FF_FAULT_bad_byte_order_magic, "not a multiple of 4"},
    {FF_FAULT_bad_byte_order_magic, "< 12"},
    {FF_FAULT_bad_byte_order_magic, "in pcapng dump file is too short"},
    {FF_FAULT_short_header, "truncated dump file"},
    {FF_FAULT_short_header, "truncated pcapng dump file"},
    {FF_FAULT_short_header, "unknown file format"},
    {FF_FAULT_short_header,
     "Section Header Block in pcapng dump file has invalid length"},
    {FF_FAULT_pcap_version, "archaic pcap savefile format"},
    {FF_FAULT_pcap_version, "unsupported pcap savefile version"},
    {FF_FAULT_truncated_record_header, "header bytes, only got"},
    {FF_FAULT_truncated_record, "captured bytes, only got"},
    {FF_FAULT_caplen_over_max, "invalid packet capture length"},
    {FF_FAULT_caplen_over_max, "in pcapng dump file is too short"},
    {FF_FAULT_shb_length,
     "Section Header Block in pcapng dump file has invalid length"},
    {FF_FAULT_shb_length, "block of type 168627466 in pcapng dump file is too short"},
    {FF_FAULT_shb_length, "> maximum"},
    {FF_FAULT_shb_length, "truncated pcapng dump file"},
    {FF_FAULT_shb_length, "length in header"},
    {FF_FAULT_shb_length, "< 12"},
    {FF_FAULT_shb_length, "not a multiple of 4"},
    {FF_FAULT_block_not_multiple_of_4, "not a multiple of 4"},
    {FF_FAULT_pcapng_version, "truncated pcapng dump file"},
    {FF_FAULT_pcapng_version, "length in header"},
    {FF_FAULT_pcapng_version, "unsupported pcapng savefile version"},
    {FF_FAULT_pcapng_version, "unknown pcapng savefile major version"},
    {FF_FAULT_truncated_block, "truncated pcapng dump file"},
    {FF_FAULT_truncated_block, "> maximum"},
    {FF_FAULT_block_too_short, "in pcapng dump file is too short"},
    {FF_FAULT_block_too_short, "< 12"},
    {FF_FAULT_block_too_short, "length in header"},
    {FF_FAULT_block_too_short, "truncated pcapng dump file"},
    {FF_FAULT_block_too_short, "packet block before any"},
    {FF_FAULT_zero_record, "length of 0 < 12"},
    {FF_FAULT_block_over_max, "> maximum"},
    {FF_FAULT_block_over_max, "truncated pcapng dump file"},
    {FF_FAULT_block_over_max, "packet block before any"},
    {FF_FAULT_block_over_max, "length in header"},
    {FF_FAULT_trailer_mismatch, "length in header"},
    {FF_FAULT_caplen_over_block, "in pcapng dump file is too short"},
    {FF_FAULT_caplen_over_block, "invalid packet capture length"},
    {FF_FAULT_packet_before_idb, "packet block before any"},
    {FF_FAULT_interface_id, "no Interface Description Block for that interface"},
    {FF_FAULT_tsresol, "is too high"},
    {FF_FAULT_tsresol, "more than one if_tsresol"},
    {FF_FAULT_option_length, "option with length"},
    {FF_FAULT_option_overrun, "block of type 1 in pcapng dump file is too short"},
};

static bool ends_alike(const parting *p) {
    if (p->has_packet || !p->t->is_over) return false;
    if (p->o->fault == FF_FAULT_none) return p->t->message[0] == 0;
    for (size_t i = 0; i < FF_COUNT_OF(same_ends); i++)
        if (p->o->fault == same_ends[i].fault && says(p, same_ends[i].message))
            return true;
    return false;
}

/* libpcap's other maxima: DBUS, EBHSCR, USBPCAP. */
static bool has_other_maximum(uint16_t linktype) {
    return linktype == 231 || linktype == 279 || linktype == 249;
}

static enum rule classic_end(const parting *p) {
    const ff_pcap *f = &p->o->capture.pcap;
    const struct pcap_pkthdr *header = p->t->header;
    bool is_old = (f->version_major == 2 && f->version_minor < 2) ||
                  (f->version_major == 543 && f->version_minor == 0);
    if (is_fault(p, FF_FAULT_pcap_version) && is_old) return RULE_version;
    if (is_fault(p, FF_FAULT_reserved_linktype_bits) && (word_at(p, 20) & 0x03ff0000))
        return RULE_linktype_bits;
    if (is_fault(p, FF_FAULT_zero_record) && !p->t->is_over && header->caplen == 0 &&
        header->len == 0 && theirs_ns(p->t) == 0)
        return RULE_zero_record;
    uint32_t magic = word_at(p, 0);
    bool has_magic =
        ff_pcap_is_magic(magic) || ff_pcap_is_magic(__builtin_bswap32(magic));
    if (is_fault(p, FF_FAULT_bad_record) && has_magic) return RULE_joined_files;
    if (is_fault(p, FF_FAULT_caplen_over_max) && has_other_maximum(f->on.linktype))
        return RULE_caplen_limit;
    return RULE_unexplained;
}

/* Ends that have to do with section headers. */
static enum rule section_end(const parting *p) {
    const ff_pcapng *f = &p->o->capture.pcapng;
    bool is_first = p->o->at == 0;
    if (p->o->changed_order && complains(p)) return RULE_byte_order_changes;
    uint32_t length = word_at(p, 4);
    if (is_first && is_fault(p, FF_FAULT_trailer_mismatch) &&
        word_at(p, length - 4) != length)
        return RULE_first_section;
    if (is_first && is_fault(p, FF_FAULT_block_not_multiple_of_4) && length % 4 != 0)
        return RULE_first_section;
    bool is_section = p->o->is_over && p->o->end - p->o->at >= 4 &&
                      ff_load_u32(p->o->data + p->o->at) == FF_PCAPNG_SHB;
    if (!is_first && is_section && f->n_described == 0)
        return RULE_section_before_interface;
    if (!is_first && is_fault(p, FF_FAULT_pcapng_version) && f->version_major == 1)
        return RULE_section_minor_version;
    if (!is_first && is_fault(p, FF_FAULT_shb_length) && !complains(p) &&
        length > FF_PCAPNG_BLOCK_MAX_BYTES)
        return RULE_block_limit;
    return RULE_unexplained;
}

/* Ends that have to do with an interface description; the one that ends ours has not
 * been counted. */
static enum rule interface_end(const parting *p) {
    const ff_pcapng *f = &p->o->capture.pcapng;
    uint64_t n_described = f->n_described + (p->o->fault != FF_FAULT_none);
    if (says(p, "different from the type of the first") && n_described > 1)
        return RULE_linktypes_differ;
    if (says(p, "different from the snapshot length of the first") && n_described > 1)
        return RULE_snaplens_differ;
    bool is_long_end = says(p, "opt_endofopt option with length") ||
                       says(p, "block of type 1 in pcapng dump file is too short");
    if (is_long_end && p->o->has_long_end) return RULE_end_of_options;
    if (says(p, "more than one if_tsoffset") && p->o->has_two_offsets)
        return RULE_two_offsets;
    if (is_fault(p, FF_FAULT_too_many_interfaces) && f->n_interfaces == 65536)
        return RULE_too_many_interfaces;
    if (says(p, "has no Interface Description Blocks") && f->n_described == 0)
        return RULE_no_interface;
    return RULE_unexplained;
}

static enum rule packet_end(const parting *p) {
    const ff_record *r = &p->o->record;
    if (p->has_packet && says(p, "bigger than snaplen of") && r->on->snaplen > 0 &&
        r->data.n > r->on->snaplen)
        return RULE_caplen_over_snaplen;
    if (p->has_packet && says(p, "block of type 3 in pcapng dump file is too short") &&
        ours_is_simple(p->o) && r->data.n < r->wirelen)
        return RULE_simple_packet_cut;
    if (is_fault(p, FF_FAULT_caplen_over_max) && !p->t->is_over &&
        p->t->header->caplen >= FF_CAPLEN_MAX_BYTES)
        return RULE_caplen_limit;
    if (is_fault(p, FF_FAULT_block_over_max) && !complains(p) &&
        word_at(p, 4) > FF_PCAPNG_BLOCK_MAX_BYTES)
        return RULE_block_limit;
    bool is_short = is_fault(p, FF_FAULT_block_too_short) &&
                    word_at(p, 0) == FF_PCAPNG_ISB && word_at(p, 4) < 24;
    return is_short ? RULE_short_statistics : RULE_unexplained;
}

static enum rule why_parted(const parting *p) {
    if (ends_alike(p)) return RULE_equal;
    if (says(p, "unknown file format") && (p->o->capture.format == FF_FORMAT_snoop ||
                                           p->o->capture.format == FF_FORMAT_erf))
        return RULE_format;
    if (p->o->capture.format == FF_FORMAT_pcap) return classic_end(p);
    if (p->o->capture.format != FF_FORMAT_pcapng) return RULE_unexplained;
    enum rule rule = section_end(p);
    if (rule == RULE_unexplained) rule = interface_end(p);
    if (rule == RULE_unexplained) rule = packet_end(p);
    return rule;
}

#endif
