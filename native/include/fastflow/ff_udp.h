/* SPDX-License-Identifier: Apache-2.0 */
/* UDP and the headers that begin like it. Source: RFC 768; ports stand in the first
 * four bytes of TCP, UDP, UDP-Lite (RFC 3828), SCTP (RFC 9260) and DCCP (RFC 4340). */
#ifndef FASTFLOW_FF_UDP_H
#define FASTFLOW_FF_UDP_H

#include "fastflow/ff_span.h"

#define FF_UDP_HEADER_BYTES 8
#define FF_SCTP_HEADER_BYTES 12
#define FF_DCCP_HEADER_BYTES 12

FF_INLINE uint16_t ff_src_port(const uint8_t *l4) { return ff_load_be16(l4); }
FF_INLINE uint16_t ff_dst_port(const uint8_t *l4) { return ff_load_be16(l4 + 2); }
/* Length of header and data, bytes 4-5; 0 where a jumbogram carries it (RFC 2675). */
FF_INLINE uint16_t ff_udp_len_bytes(const uint8_t *udp) {
    return ff_load_be16(udp + 4);
}

#endif
