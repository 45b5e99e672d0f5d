/* SPDX-License-Identifier: Apache-2.0 */
/* Every name for something wrong or odd, each listed once: faults of a file, states of
 * a packet, reasons for not counting a record, and flags (counters of an input). */
#ifndef FASTFLOW_FF_STATUS_H
#define FASTFLOW_FF_STATUS_H

#include "fastflow/ff_base.h"

/* clang-format off */

/* What ends the reading of a capture. X(name, status of the input, text). A fault at
 * the very beginning rejects the capture, whatever is said here; one that would reject
 * it and is met later (a second section's header) damages it. */
#define FF_FAULTS(X)                                                                     \
    X(none, complete, "nothing is wrong")                                                \
    X(empty_file, rejected, "the file holds no byte")                                    \
    X(short_magic, rejected, "the file ends within its magic number")                    \
    X(short_header, rejected, "the file ends within its header")                         \
    X(unknown_magic, rejected, "the first bytes are of no known capture format")         \
    X(pcap_version, rejected, "the pcap version is not 2.2, 2.3 or 2.4")                 \
    X(pcapng_version, rejected, "the pcapng version is not 1.0 or 1.2")                  \
    X(snoop_version, rejected, "the snoop version is not 2")                             \
    X(shb_length, rejected, "a section header is below 28 bytes or above 1 MiB")         \
    X(bad_byte_order_magic, rejected, "a section header has no byte-order magic")        \
    X(no_section_header, rejected, "a pcapng block without a section header before it")  \
    X(reserved_linktype_bits, rejected, "reserved bits of the link-type word are set")   \
    X(unsupported_linktype, rejected, "the link type is not one that fastflow decodes")  \
    X(filter_linktype, rejected, "the filter has no meaning for this link type")         \
    X(truncated_record_header, truncated, "the file ends within a record header")        \
    X(truncated_record, truncated, "the file ends within a packet")                      \
    X(zero_record, damaged, "a record header is all zeros")                              \
    X(bad_record, damaged, "a file header stands where a record should")                 \
    X(caplen_over_max, damaged, "a record claims more than 262144 captured bytes")       \
    X(record_too_short, damaged, "a record is shorter than what it must hold")           \
    X(truncated_block, truncated, "the file ends within a block")                        \
    X(block_too_short, damaged, "a block is shorter than what it must hold")             \
    X(block_not_multiple_of_4, damaged, "a block's length is no multiple of four")       \
    X(block_over_max, damaged, "a block is longer than 1 MiB")                           \
    X(trailer_mismatch, damaged, "a block's two lengths differ")                         \
    X(caplen_over_block, damaged, "a packet is longer than the block that holds it")     \
    X(packet_before_idb, damaged, "a packet comes before any interface description")     \
    X(interface_id, damaged, "a packet names an interface that is not described")        \
    X(too_many_interfaces, damaged, "a section describes more than 65,536 interfaces")   \
    X(tsresol, damaged, "if_tsresol is finer than 64 bits hold, or given twice")         \
    X(option_length, damaged, "an interface option has an impossible length")            \
    X(option_overrun, damaged, "an interface option runs past its block")                \
    X(compressed_truncated, truncated, "the compressed stream ends early")               \
    X(compressed_corrupt, damaged, "the compressed stream is damaged")                   \
    X(trailing_garbage, damaged, "bytes that are no compressed data follow the stream")

/* The first thing wrong with a packet. X(name, counted, text): a packet whose source
 * is not known for sure is not counted. Behind an opened tunnel (ff_tunnel.h) the outer
 * header gives the source, and any of these leaves the packet counted. */
#define FF_STATES(X)                                                                     \
    X(ok, 1, "nothing is wrong")                                                         \
    X(unsupported_linktype, 0, "the interface's link type is not one that is decoded")   \
    X(l2_truncated, 0, "the link header or a tag is cut")                                \
    X(l3_truncated, 0, "nothing follows the link header")                                \
    X(too_many_vlan, 0, "more than 8 VLAN tags")                                         \
    X(non_ip, 0, "the link header announces no IP packet")                               \
    X(bad_ip_version, 0, "the version nibble is not what was announced")                 \
    X(ip_truncated, 0, "the IP header is cut")                                           \
    X(ip_bad_ihl, 0, "the IPv4 header length is below 20 bytes")                         \
    X(ip_bad_length, 0, "the IPv4 total length is shorter than the header")              \
    X(ip6_ext_truncated, 1, "an IPv6 extension header is cut")                           \
    X(too_many_ext, 1, "more than 16 IPv6 extension headers")                            \
    X(too_many_layers, 1, "more than 4 tunnels, or 16 layers in all")                    \
    X(l4_truncated, 1, "the transport header is cut")                                    \
    X(tcp_bad_doff, 1, "the TCP data offset is below 5 or beyond the packet")            \
    X(tcp_bad_option, 1, "a TCP option has an impossible length")                        \
    X(udp_bad_length, 1, "the UDP length is below 8 or beyond the packet")

/* Why a record is not counted, before its packet state is looked at. */
#define FF_REASONS(X)                                                                    \
    X(bad_ts, "the time is missing or outside the plausible window")                     \
    X(filtered, "the filter did not match")

/* Oddities that change no verdict. X(name, text) */
#define FF_FLAGS(X)                                                                      \
    X(caplen_gt_snaplen, "more bytes captured than the header's snaplen")                \
    X(len_zero, "wire length 0; the captured length is used")                            \
    X(len_lt_caplen, "wire length below the captured length")                            \
    X(subsec_out_of_range, "sub-second field of a second or more, carried over")         \
    X(snap_truncated, "the packet was longer than what was captured")                    \
    X(frag, "a fragment")                                                                \
    X(ip_len_zero, "IP length 0; the captured length is used")                           \
    X(ip6_ext_order, "IPv6 extension headers repeated or out of order")                  \
    X(no_interface, "no interface is described")                                         \
    X(skipped_block, "a pcapng block or ERF record that holds no packet")                \
    X(isb_ignored, "interface statistics of an unknown interface, or malformed")         \
    X(filter_unsuited, "a link type that the filter has no meaning for; not matched")    \
    X(zero_padding, "zero bytes after the compressed stream")

/* clang-format on */

enum ff_fault {
#define X(name, status, text) FF_FAULT_##name,
    FF_FAULTS(X)
#undef X
        FF_N_FAULTS
};

enum ff_state {
#define X(name, counted, text) FF_STATE_##name,
    FF_STATES(X)
#undef X
        FF_N_STATES
};

/* A record's reason: counted, one of FF_REASONS, or its packet state. */
enum ff_reason {
    FF_REASON_counted,
#define X(name, text) FF_REASON_##name,
    FF_REASONS(X)
#undef X
        FF_REASON_STATES,
    FF_N_REASONS = FF_REASON_STATES + FF_N_STATES
};

enum ff_flag {
#define X(name, text) FF_FLAG_##name,
    FF_FLAGS(X)
#undef X
        FF_N_FLAGS
};

typedef struct ff_name {
    const char *name;
    const char *group;
    const char *text;
} ff_name;

static const ff_name ff_fault_names[] = {
#define X(name, status, text) {#name, #status, text},
    FF_FAULTS(X)
#undef X
};

static const ff_name ff_state_names[] = {
#define X(name, counted, text) {#name, (counted) ? "counted" : "uncounted", text},
    FF_STATES(X)
#undef X
};

static const ff_name ff_reason_names[] = {
#define X(name, text) {#name, "uncounted", text},
    FF_REASONS(X)
#undef X
};

static const ff_name ff_flag_names[] = {
#define X(name, text) {#name, "flag", text},
    FF_FLAGS(X)
#undef X
};

#endif
