/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP and ICMPv6. Source: RFC 792; RFC 4443, section 2.1. */
#ifndef FASTFLOW_FF_ICMP_H
#define FASTFLOW_FF_ICMP_H

#include "fastflow/ff_span.h"

/* Type, code, checksum. */
#define FF_ICMP_MIN_BYTES 4
/* With the rest of the header, behind which the data begin. */
#define FF_ICMP_HEADER_BYTES 8

#endif
