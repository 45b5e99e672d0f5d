/* SPDX-License-Identifier: Apache-2.0 */
/* TCP's fixed header. Source: RFC 9293, section 3.1. Accessors expect 20 bytes. */
#ifndef FASTFLOW_FF_TCP_H
#define FASTFLOW_FF_TCP_H

#include "fastflow/ff_span.h"

#define FF_TCP_MIN_BYTES 20

enum ff_tcp_flag {
    FF_TCP_FIN = 1,
    FF_TCP_SYN = 2,
    FF_TCP_RST = 4,
    FF_TCP_PSH = 8,
    FF_TCP_ACK = 16,
    FF_TCP_URG = 32,
    FF_TCP_ECE = 64,
    FF_TCP_CWR = 128
};

/* Sequence number, bytes 4-7. */
FF_INLINE uint32_t ff_tcp_seq(const uint8_t *tcp) { return ff_load_be32(tcp + 4); }
/* Acknowledgment number, bytes 8-11. */
FF_INLINE uint32_t ff_tcp_ack(const uint8_t *tcp) { return ff_load_be32(tcp + 8); }
/* Data offset, upper half of byte 12, in units of 4 bytes. */
FF_INLINE size_t ff_tcp_header_bytes(const uint8_t *tcp) { return (tcp[12] >> 4) * 4u; }
/* Control bits, byte 13. */
FF_INLINE uint8_t ff_tcp_flags(const uint8_t *tcp) { return tcp[13]; }
/* Window, bytes 14-15, unscaled: the scale factor is only in the SYN (RFC 7323 2.2). */
FF_INLINE uint16_t ff_tcp_window(const uint8_t *tcp) { return ff_load_be16(tcp + 14); }

#endif
