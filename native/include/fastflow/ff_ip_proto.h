/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol numbers behind an IP header. Source: IANA, "Protocol Numbers". */
#ifndef FASTFLOW_FF_IP_PROTO_H
#define FASTFLOW_FF_IP_PROTO_H

enum ff_proto {
    FF_PROTO_ICMP = 1,
    FF_PROTO_IPV4 = 4, /* IPv4 encapsulated */
    FF_PROTO_TCP = 6,
    FF_PROTO_UDP = 17,
    FF_PROTO_DCCP = 33,
    FF_PROTO_IPV6 = 41, /* IPv6 encapsulated */
    FF_PROTO_GRE = 47,
    FF_PROTO_ICMPV6 = 58,
    FF_PROTO_SCTP = 132,
    FF_PROTO_UDPLITE = 136
};

#endif
