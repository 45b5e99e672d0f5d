/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the records of load captures: classic pcap, Ethernet, microseconds, little
 * endian. An actor is one sender with habits of its own; the scan and payload loads
 * keep a table of actors at work, the scatter load has a new actor for each packet.
 * All memory belongs to the caller. The seed and the tables decide every byte: packets
 * are made one after the other, so neither the sizes of the buffers nor the machine's
 * byte order show. Sources of one country repeat only when it has no address left. */
#ifndef FASTFLOW_FF_SYNTH_H
#define FASTFLOW_FF_SYNTH_H

#include "fastflow/ff_base.h"

/* Drawing tables: one entry is drawn with equal chance. */
#define FF_SYNTH_SLOTS 4096u
#define FF_SYNTH_PORTS 65536u

#define FF_SYNTH_ETHERNET_BYTES 14u
#define FF_SYNTH_IPV4_BYTES 20u
#define FF_SYNTH_FRAME_MIN_BYTES 60u
#define FF_SYNTH_PAYLOAD_MAX_BYTES 1052u
/* Record header, Ethernet, IPv4, TCP with the longest options, payload. */
#define FF_SYNTH_RECORD_MAX_BYTES (16u + 14u + 20u + 40u + FF_SYNTH_PAYLOAD_MAX_BYTES)

/* Destinations: 64 addresses of the benchmark network, RFC 2544. */
#define FF_SYNTH_SENSOR 0xc6120001u
#define FF_SYNTH_SENSOR_MASK 63u

/* One packet in 16 comes up to 65 ms early: captures are only nearly in order. */
#define FF_SYNTH_EARLY_ONE_IN 16u
#define FF_SYNTH_EARLY_MASK_US 0xffffu

/* An actor is replaced after this many packets on average. */
#define FF_SYNTH_ACTOR_PACKETS 111u

#define FF_SYNTH_USEC 1000000u
#define FF_SYNTH_HOUR_SEC 3600u

#define FF_SYNTH_KINDS(X) X(scan) X(scatter) X(payload)

enum ff_synth_kind {
#define X(name) FF_SYNTH_##name,
    FF_SYNTH_KINDS(X)
#undef X
        FF_N_SYNTH_KINDS
};

enum ff_synth_send {
    FF_SYNTH_SYN,
    FF_SYNTH_SYN_ACK,
    FF_SYNTH_TCP_DATA,
    FF_SYNTH_UDP,
    FF_SYNTH_ICMP
};

/* What an actor's packets have in common; see the formulas of scanning tools. */
enum ff_synth_habit {
    FF_SYNTH_SAME_SRC_PORT = 1,
    FF_SYNTH_SAME_SEQ = 2,
    FF_SYNTH_SEQ_IS_DST = 4,   /* Mirai */
    FF_SYNTH_ID_IS_FOLDED = 8, /* masscan */
    FF_SYNTH_ID_IS_54321 = 16  /* ZMap before 4.1 */
};

enum { FF_SYNTH_IS_ICMP = 1, FF_SYNTH_IS_TCP = 6, FF_SYNTH_IS_UDP = 17 };

typedef struct ff_synth_actor {
    uint32_t src; /* host byte order; 0: no actor yet */
    uint32_t seq;
    uint16_t country;
    uint16_t src_port;
    uint16_t dst_port;
    uint16_t window;
    uint16_t mss;
    uint16_t payload_bytes;
    uint8_t send;   /* enum ff_synth_send */
    uint8_t layout; /* of TCP options, below 4 */
    uint8_t habits; /* enum ff_synth_habit, or-ed */
    uint8_t ttl;
} ff_synth_actor;

/* The addresses of one country, drawn without repetition: a walk of a stride that has
 * no factor in common with their number visits each once. */
typedef struct ff_synth_walk {
    uint64_t n_addresses;
    uint64_t stride;
    uint64_t at;
} ff_synth_walk;

typedef struct ff_synth {
    enum ff_synth_kind kind;
    uint64_t rng[4];
    uint64_t n_packets;
    uint64_t n_done;
    uint64_t n_actors;
    ff_synth_actor *actors; /* n_actors, zeroed */
    /* Time since the start: packet i is due at i * span / n_packets. */
    uint64_t start_sec;
    uint64_t n_hours;
    uint64_t due_us;
    uint64_t due_rest; /* of the division, below n_packets */
    /* Who sends: drawing table, then per country its ranges [first, first of next). */
    uint64_t n_countries;
    uint64_t n_ranges;
    const uint16_t *country_slots; /* FF_SYNTH_SLOTS countries */
    const uint32_t *first_ranges;  /* n_countries + 1 */
    const uint32_t *range_starts;  /* host byte order */
    const uint32_t *range_ends;    /* addresses of the country up to this range's end */
    ff_synth_walk *walks;          /* n_countries */
    /* Where to: drawing tables, 0 stands for any port. */
    const uint16_t *tcp_slots;
    const uint16_t *udp_slots;
    /* What was made so far. */
    uint64_t *hour_packets;    /* n_hours */
    uint64_t *tcp_packets;     /* FF_SYNTH_PORTS, by destination port */
    uint64_t *udp_packets;     /* FF_SYNTH_PORTS, by destination port */
    uint64_t *country_packets; /* n_countries */
    uint64_t *country_sources; /* n_countries: actors, before addresses repeat */
    uint64_t n_icmp;
    uint64_t n_syn_ack;
    uint64_t ip_bytes;
} ff_synth;

/* splitmix64 (Steele, Lea, Flood 2014): spreads a seed over the generator's state. */
static inline uint64_t ff_synth_splitmix(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

FF_INLINE uint64_t ff_synth_rotl(uint64_t x, unsigned n) {
    return (x << n) | (x >> (64u - n));
}

/* xoshiro256++ (Blackman and Vigna 2019): 64 random bits. */
FF_INLINE uint64_t ff_synth_draw(ff_synth *s) {
    uint64_t *r = s->rng;
    uint64_t bits = ff_synth_rotl(r[0] + r[3], 23) + r[0];
    uint64_t t = r[1] << 17;
    r[2] ^= r[0];
    r[3] ^= r[1];
    r[1] ^= r[2];
    r[0] ^= r[3];
    r[2] ^= t;
    r[3] = ff_synth_rotl(r[3], 45);
    return bits;
}

/* A number below n from 32 random bits, without a division. */
FF_INLINE uint64_t ff_synth_below(uint32_t bits, uint64_t n) {
    return ((uint64_t)bits * n) >> 32;
}

static inline uint64_t ff_synth_gcd(uint64_t a, uint64_t b) {
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Whether the tables about countries fit together; everything else relies on it. */
static inline bool ff_synth_countries_ok(const ff_synth *s) {
    if (s->first_ranges[0] != 0 || s->first_ranges[s->n_countries] != s->n_ranges)
        return false;
    for (size_t c = 0; c < s->n_countries; c++) {
        if (s->first_ranges[c] >= s->first_ranges[c + 1]) return false;
        uint32_t n_addresses = 0;
        for (size_t r = s->first_ranges[c]; r < s->first_ranges[c + 1]; r++) {
            if (r >= s->n_ranges || s->range_ends[r] <= n_addresses) return false;
            n_addresses = s->range_ends[r];
        }
    }
    for (size_t i = 0; i < FF_SYNTH_SLOTS; i++) {
        if (s->country_slots[i] >= s->n_countries) return false;
    }
    return true;
}

/* Begin: tables, counts (zeroed), n_packets > 0, n_hours > 0 and start_sec are set. */
static inline void ff_synth_begin(ff_synth *s, uint64_t seed) {
    for (size_t i = 0; i < FF_COUNT_OF(s->rng); i++)
        s->rng[i] = ff_synth_splitmix(&seed);
    s->n_done = s->due_us = s->due_rest = 0;
    s->n_icmp = s->n_syn_ack = s->ip_bytes = 0;
    for (size_t c = 0; c < s->n_countries; c++) {
        ff_synth_walk *walk = &s->walks[c];
        uint64_t n = s->range_ends[s->first_ranges[c + 1] - 1];
        uint64_t bits = ff_synth_draw(s);
        walk->n_addresses = n;
        walk->at = ff_synth_below((uint32_t)bits, n);
        /* Near the golden section, so that few steps are spread over all addresses. */
        walk->stride =
            n * 618u / 1000u + ff_synth_below((uint32_t)(bits >> 32), n / 16);
        while (ff_synth_gcd(n, walk->stride) != 1) walk->stride++;
    }
}

/* The first range of a country that ends above the offset. */
static inline size_t ff_synth_range_of(const ff_synth *s, uint16_t country,
                                       uint64_t offset) {
    size_t first = s->first_ranges[country];
    size_t n = s->first_ranges[country + 1] - first;
    while (n > 1) {
        /* Invariant: the range lies in [first, first + n). Written for conditional
         * moves, like ff_lpm_v4_rank. */
        size_t half = n >> 1;
        bool up = s->range_ends[first + half - 1] <= offset;
        first = up ? first + half : first;
        n = up ? n - half : half;
    }
    return first;
}

/* The next address of a country. */
static inline uint32_t ff_synth_source(ff_synth *s, uint16_t country) {
    ff_synth_walk *walk = &s->walks[country];
    uint64_t offset = walk->at;
    walk->at += walk->stride;
    if (walk->at >= walk->n_addresses) walk->at -= walk->n_addresses;
    s->country_sources[country]++;
    size_t range = ff_synth_range_of(s, country, offset);
    bool is_first = range == s->first_ranges[country];
    uint32_t below = is_first ? 0 : s->range_ends[range - 1];
    return s->range_starts[range] + ((uint32_t)offset - below);
}

/* A destination port: of the table where it names one, else any from 1 on. */
static inline uint16_t ff_synth_port(const uint16_t *slots, uint64_t bits) {
    uint16_t port = slots[bits % FF_SYNTH_SLOTS];
    if (port != 0) return port;
    return (uint16_t)(1 + ff_synth_below((uint32_t)(bits >> 32), FF_SYNTH_PORTS - 1));
}

static inline uint16_t ff_synth_ephemeral(uint64_t bits) {
    return (uint16_t)(0x8000u | (bits & 0x7fffu));
}

/* Who and how far away: what all actors have. */
static inline void ff_synth_place(ff_synth *s, ff_synth_actor *actor) {
    static const uint8_t first_ttls[] = {64, 64, 128, 255};
    uint64_t bits = ff_synth_draw(s);
    memset(actor, 0, sizeof *actor);
    actor->country = s->country_slots[bits % FF_SYNTH_SLOTS];
    actor->src = ff_synth_source(s, actor->country);
    actor->ttl = (uint8_t)(first_ttls[(bits >> 12) & 3u] - 5u - ((bits >> 14) & 15u));
    actor->seq = (uint32_t)(bits >> 32);
    actor->src_port = ff_synth_ephemeral(bits >> 17);
}

/* Give a TCP scanner the header habits of the tools in use. */
static inline void ff_synth_choose_tool(ff_synth_actor *actor, uint32_t percent) {
    if (percent < 20) {
        actor->habits = FF_SYNTH_SEQ_IS_DST | FF_SYNTH_SAME_SRC_PORT;
    } else if (percent < 28) {
        actor->habits = FF_SYNTH_ID_IS_FOLDED;
        actor->window = 1024;
        actor->layout = 0;
    } else if (percent < 33) {
        actor->habits = FF_SYNTH_ID_IS_54321;
        actor->window = 65535;
        actor->layout = 0;
    } else if (percent < 60) {
        actor->habits = FF_SYNTH_SAME_SRC_PORT;
    } else if (percent < 65) {
        actor->habits = FF_SYNTH_SAME_SRC_PORT | FF_SYNTH_SAME_SEQ;
    }
}

/* Window, options and port of a TCP actor. */
static inline void ff_synth_equip_tcp(ff_synth *s, ff_synth_actor *actor) {
    static const uint16_t segment_sizes[] = {1460, 1460, 1460, 1452,
                                             1440, 1400, 1380, 536};
    static const uint16_t common_windows[] = {8192, 29200, 64240, 65535};
    /* Of ten actors: two bare, one with the MSS only, four of Linux, three of Windows.
     */
    static const uint8_t layouts[] = {0, 0, 1, 2, 2, 2, 2, 3, 3, 3};
    uint64_t bits = ff_synth_draw(s);
    actor->window = (uint16_t)bits;
    if ((bits & 0xf0000u) == 0) actor->window = common_windows[(bits >> 20) & 3u];
    actor->mss = segment_sizes[(bits >> 22) & 7u];
    actor->layout = layouts[ff_synth_below((uint32_t)(bits >> 32), sizeof layouts)];
    actor->dst_port = ff_synth_port(s->tcp_slots, ff_synth_draw(s));
}

/* An actor of the scan load. */
static inline void ff_synth_make_scanner(ff_synth *s, ff_synth_actor *actor) {
    ff_synth_place(s, actor);
    uint64_t bits = ff_synth_draw(s);
    uint64_t percent = ff_synth_below((uint32_t)bits, 100);
    if (percent < 79) {
        ff_synth_equip_tcp(s, actor);
        actor->send = FF_SYNTH_SYN;
        ff_synth_choose_tool(actor,
                             (uint32_t)ff_synth_below((uint32_t)(bits >> 32), 100));
    } else if (percent < 88) {
        ff_synth_equip_tcp(s, actor);
        actor->send = FF_SYNTH_SYN_ACK;
        actor->habits = FF_SYNTH_SAME_SRC_PORT;
        actor->src_port = actor->dst_port;
        actor->dst_port = ff_synth_ephemeral(bits >> 32);
    } else if (percent < 96) {
        actor->send = FF_SYNTH_UDP;
        actor->dst_port = ff_synth_port(s->udp_slots, ff_synth_draw(s));
        actor->payload_bytes = (uint16_t)(8 + ((bits >> 32) & 31u));
    } else {
        actor->send = FF_SYNTH_ICMP;
        actor->payload_bytes = (bits >> 32) & 1u ? 56 : 32;
    }
}

/* An actor of the payload load: frames of 800 bytes on average. */
static inline void ff_synth_make_talker(ff_synth *s, ff_synth_actor *actor) {
    ff_synth_place(s, actor);
    uint64_t bits = ff_synth_draw(s);
    actor->payload_bytes = (uint16_t)(452 + ff_synth_below((uint32_t)bits, 601));
    actor->habits = FF_SYNTH_SAME_SRC_PORT;
    if (bits >> 63) {
        ff_synth_equip_tcp(s, actor);
        actor->send = FF_SYNTH_TCP_DATA;
        actor->layout = 0;
    } else {
        actor->send = FF_SYNTH_UDP;
        actor->dst_port = ff_synth_port(s->udp_slots, ff_synth_draw(s));
    }
}

/* One packet of the flood: five builds of one bot, each on a fifth of the ports. */
static inline void ff_synth_make_spoofed(ff_synth *s, ff_synth_actor *actor) {
    static const uint8_t layouts[] = {0, 1, 2, 2, 3};
    ff_synth_place(s, actor);
    uint64_t bits = ff_synth_draw(s);
    uint64_t per_mille = ff_synth_below((uint32_t)(bits >> 32), 1000);
    actor->dst_port =
        (uint16_t)(1 + ff_synth_below((uint32_t)bits, FF_SYNTH_PORTS - 1));
    actor->layout = layouts[actor->dst_port % sizeof layouts];
    actor->window = 16384;
    actor->mss = 1460;
    if (per_mille < 970) {
        actor->send = FF_SYNTH_SYN;
    } else if (per_mille < 980) {
        actor->send = FF_SYNTH_SYN_ACK;
    } else if (per_mille < 990) {
        actor->send = FF_SYNTH_UDP;
        actor->payload_bytes = 32;
    } else {
        actor->send = FF_SYNTH_ICMP;
        actor->dst_port = 0;
        actor->payload_bytes = 56;
    }
}

/* The actor of the next packet; `fresh` is room for one that sends only once. */
static inline const ff_synth_actor *ff_synth_next_actor(ff_synth *s, uint64_t bits,
                                                        ff_synth_actor *fresh) {
    if (s->kind == FF_SYNTH_scatter) {
        ff_synth_make_spoofed(s, fresh);
        return fresh;
    }
    ff_synth_actor *actor = &s->actors[ff_synth_below((uint32_t)bits, s->n_actors)];
    bool leaves = (uint32_t)(bits >> 32) < UINT32_MAX / FF_SYNTH_ACTOR_PACKETS;
    if (actor->src == 0 || leaves) {
        if (s->kind == FF_SYNTH_scan)
            ff_synth_make_scanner(s, actor);
        else
            ff_synth_make_talker(s, actor);
    }
    return actor;
}

FF_INLINE uint8_t *ff_synth_put_be16(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}

FF_INLINE uint8_t *ff_synth_put_be32(uint8_t *p, uint32_t v) {
    return ff_synth_put_be16(ff_synth_put_be16(p, v >> 16), v & 0xffffu);
}

FF_INLINE uint8_t *ff_synth_put_le32(uint8_t *p, uint32_t v) {
    for (unsigned i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (8 * i));
    return p + 4;
}

/* Add n bytes, n a multiple of 4, to an Internet checksum. The sum does not depend on
 * the byte order as long as it is loaded and stored in the same one (RFC 1071, 2B). */
FF_INLINE uint64_t ff_synth_sum(const uint8_t *p, size_t n_bytes, uint64_t sum) {
    for (size_t at = 0; at < n_bytes; at += 4) sum += ff_load_u32(p + at);
    return sum;
}

FF_INLINE void ff_synth_put_checksum(uint8_t *p, uint64_t sum) {
    while (sum >> 16) sum = (sum & 0xffffu) + (sum >> 16);
    uint16_t checksum = (uint16_t)~sum;
    memcpy(p, &checksum, sizeof checksum);
}

/* Checksum of TCP or UDP: the addresses, protocol and length, then the segment, which
 * zeros follow up to a multiple of 4. */
static inline void ff_synth_seal(const uint8_t *ip, uint8_t proto, size_t n_bytes,
                                 uint8_t *checksum) {
    uint8_t pseudo[4] = {0, proto, (uint8_t)(n_bytes >> 8), (uint8_t)n_bytes};
    uint64_t sum = ff_synth_sum(pseudo, sizeof pseudo, 0);
    sum = ff_synth_sum(ip + 12, 8 + ((n_bytes + 3) & ~(size_t)3), sum);
    ff_synth_put_checksum(checksum, sum);
}

/* Random payload, and zeros up to a multiple of 8; returns its end. */
static inline uint8_t *ff_synth_put_payload(ff_synth *s, uint8_t *p, size_t n_bytes) {
    size_t at = 0;
    for (; at < n_bytes; at += 8) {
        uint64_t bits = ff_synth_draw(s);
        ff_synth_put_le32(p + at, (uint32_t)bits);
        ff_synth_put_le32(p + at + 4, (uint32_t)(bits >> 32));
    }
    memset(p + n_bytes, 0, at - n_bytes + 4);
    return p + n_bytes;
}

/* Options in the layout of bare tools, simple stacks, Linux and Windows. */
static inline uint8_t *ff_synth_put_options(uint8_t *p, const ff_synth_actor *actor,
                                            uint32_t ts_ms) {
    if (actor->layout == 0) return p;
    p = ff_synth_put_be16(p, 0x0204);
    p = ff_synth_put_be16(p, actor->mss);
    if (actor->layout == 2) {
        p = ff_synth_put_be32(p, 0x0402080a);
        p = ff_synth_put_be32(p, ts_ms);
        p = ff_synth_put_be32(p, 0);
        p = ff_synth_put_be32(p, 0x01030307);
    } else if (actor->layout == 3) {
        p = ff_synth_put_be32(p, 0x01030308);
        p = ff_synth_put_be32(p, 0x01010402);
    }
    return p;
}

/* One packet's numbers that its layers share. */
typedef struct ff_synth_packet {
    const ff_synth_actor *actor;
    uint32_t dst;
    uint32_t seq;
    uint32_t ts_ms;
    uint16_t src_port;
    uint16_t ip_id;
} ff_synth_packet;

static inline ff_synth_packet ff_synth_address(ff_synth *s, const ff_synth_actor *actor,
                                               uint64_t due_us) {
    uint64_t bits = ff_synth_draw(s);
    uint8_t habits = actor->habits;
    ff_synth_packet k;
    k.actor = actor;
    k.ts_ms = (uint32_t)(due_us / 1000u);
    k.dst = FF_SYNTH_SENSOR + (uint32_t)(bits & FF_SYNTH_SENSOR_MASK);
    k.src_port = (habits & FF_SYNTH_SAME_SRC_PORT) ? actor->src_port
                                                   : ff_synth_ephemeral(bits >> 6);
    k.seq = (uint32_t)(bits >> 32);
    if (habits & FF_SYNTH_SAME_SEQ) k.seq = actor->seq;
    if (habits & FF_SYNTH_SEQ_IS_DST) k.seq = k.dst;
    k.ip_id = (uint16_t)(bits >> 16);
    if (habits & FF_SYNTH_ID_IS_54321) k.ip_id = 54321;
    if (habits & FF_SYNTH_ID_IS_FOLDED)
        k.ip_id = (uint16_t)(k.dst ^ actor->dst_port ^ k.seq);
    return k;
}

/* The segment after the IP header at `ip`; returns its end. */
static inline uint8_t *ff_synth_put_tcp(ff_synth *s, uint8_t *ip, ff_synth_packet k) {
    static const uint8_t flags[] = {
        [FF_SYNTH_SYN] = 0x02, [FF_SYNTH_SYN_ACK] = 0x12, [FF_SYNTH_TCP_DATA] = 0x18};
    uint8_t *tcp = ip + FF_SYNTH_IPV4_BYTES;
    uint8_t *p = ff_synth_put_be16(tcp, k.src_port);
    p = ff_synth_put_be16(p, k.actor->dst_port);
    p = ff_synth_put_be32(p, k.seq);
    /* An answer acknowledges what somebody sent under this sensor's address. */
    p = ff_synth_put_be32(p, k.actor->send == FF_SYNTH_SYN ? 0 : k.actor->seq + 1);
    p += 2; /* header length and flags */
    p = ff_synth_put_be16(p, k.actor->window);
    p = ff_synth_put_be32(p, 0);
    p = ff_synth_put_options(p, k.actor, k.ts_ms);
    tcp[12] = (uint8_t)((p - tcp) << 2);
    tcp[13] = flags[k.actor->send];
    if (k.actor->payload_bytes > 0)
        p = ff_synth_put_payload(s, p, k.actor->payload_bytes);
    ff_synth_seal(ip, FF_SYNTH_IS_TCP, (size_t)(p - tcp), tcp + 16);
    return p;
}

static inline uint8_t *ff_synth_put_udp(ff_synth *s, uint8_t *ip, ff_synth_packet k) {
    uint8_t *udp = ip + FF_SYNTH_IPV4_BYTES;
    uint8_t *p = ff_synth_put_be16(udp, k.src_port);
    p = ff_synth_put_be16(p, k.actor->dst_port);
    p = ff_synth_put_be16(p, 8u + k.actor->payload_bytes);
    p = ff_synth_put_be16(p, 0);
    p = ff_synth_put_payload(s, p, k.actor->payload_bytes);
    ff_synth_seal(ip, FF_SYNTH_IS_UDP, (size_t)(p - udp), udp + 6);
    return p;
}

static inline uint8_t *ff_synth_put_icmp(ff_synth *s, uint8_t *ip, ff_synth_packet k) {
    uint8_t *icmp = ip + FF_SYNTH_IPV4_BYTES;
    uint8_t *p = ff_synth_put_be32(icmp, 0x08000000); /* echo request, checksum */
    p = ff_synth_put_be16(p, k.actor->src_port);
    p = ff_synth_put_be16(p, k.seq & 0xffffu);
    p = ff_synth_put_payload(s, p, k.actor->payload_bytes);
    ff_synth_put_checksum(icmp + 2, ff_synth_sum(icmp, (size_t)(p - icmp), 0));
    return p;
}

/* The IP packet at `ip`; returns its end. */
static inline uint8_t *ff_synth_put_ip(ff_synth *s, uint8_t *ip, ff_synth_packet k) {
    /* The addresses come first: the checksum of the segment covers them. */
    ff_synth_put_be32(ip + 12, k.actor->src);
    ff_synth_put_be32(ip + 16, k.dst);
    uint8_t proto = FF_SYNTH_IS_TCP;
    uint8_t *end;
    if (k.actor->send == FF_SYNTH_UDP) {
        proto = FF_SYNTH_IS_UDP;
        end = ff_synth_put_udp(s, ip, k);
    } else if (k.actor->send == FF_SYNTH_ICMP) {
        proto = FF_SYNTH_IS_ICMP;
        end = ff_synth_put_icmp(s, ip, k);
    } else {
        end = ff_synth_put_tcp(s, ip, k);
    }
    uint8_t *p = ff_synth_put_be16(ip, 0x4500);
    p = ff_synth_put_be16(p, (uint32_t)(end - ip));
    p = ff_synth_put_be16(p, k.ip_id);
    p = ff_synth_put_be16(p, 0);
    ff_synth_put_be32(p, (uint32_t)k.actor->ttl << 24 | (uint32_t)proto << 16);
    ff_synth_put_checksum(ip + 10, ff_synth_sum(ip, FF_SYNTH_IPV4_BYTES, 0));
    return end;
}

/* Time of the next packet since the start; advances the clock. */
static inline uint64_t ff_synth_tick(ff_synth *s, uint64_t bits) {
    uint64_t ts_us = s->due_us;
    uint64_t span_us = s->n_hours * FF_SYNTH_HOUR_SEC * FF_SYNTH_USEC;
    /* Invariant: due_us * n_packets + due_rest == n_done * span_us. */
    s->due_us += span_us / s->n_packets;
    s->due_rest += span_us % s->n_packets;
    if (s->due_rest >= s->n_packets) {
        s->due_rest -= s->n_packets;
        s->due_us++;
    }
    if (bits % FF_SYNTH_EARLY_ONE_IN != 0) return ts_us;
    uint64_t early_us = (bits >> 8) & FF_SYNTH_EARLY_MASK_US;
    return ts_us > early_us ? ts_us - early_us : 0;
}

static inline void ff_synth_count(ff_synth *s, const ff_synth_actor *actor,
                                  uint64_t ts_us, uint64_t ip_bytes) {
    s->hour_packets[ts_us / FF_SYNTH_USEC / FF_SYNTH_HOUR_SEC]++;
    s->country_packets[actor->country]++;
    s->ip_bytes += ip_bytes;
    s->n_syn_ack += actor->send == FF_SYNTH_SYN_ACK;
    if (actor->send == FF_SYNTH_ICMP)
        s->n_icmp++;
    else if (actor->send == FF_SYNTH_UDP)
        s->udp_packets[actor->dst_port]++;
    else
        s->tcp_packets[actor->dst_port]++;
}

/* One record at `p`, where FF_SYNTH_RECORD_MAX_BYTES are free; returns its end. */
static inline uint8_t *ff_synth_put_record(ff_synth *s, uint8_t *p) {
    static const uint8_t ethernet[FF_SYNTH_ETHERNET_BYTES] = {2, 0, 0, 0, 0, 1, 2,
                                                              0, 0, 0, 0, 2, 8, 0};
    ff_synth_actor fresh;
    uint64_t ts_us = ff_synth_tick(s, ff_synth_draw(s));
    const ff_synth_actor *actor = ff_synth_next_actor(s, ff_synth_draw(s), &fresh);
    uint8_t *frame = p + 16;
    uint8_t *ip = frame + FF_SYNTH_ETHERNET_BYTES;
    memcpy(frame, ethernet, sizeof ethernet);
    uint8_t *end = ff_synth_put_ip(s, ip, ff_synth_address(s, actor, ts_us));
    ff_synth_count(s, actor, ts_us, (uint64_t)(end - ip));
    size_t frame_bytes = (size_t)(end - frame);
    if (frame_bytes < FF_SYNTH_FRAME_MIN_BYTES) {
        memset(end, 0, FF_SYNTH_FRAME_MIN_BYTES - frame_bytes);
        frame_bytes = FF_SYNTH_FRAME_MIN_BYTES;
    }
    p = ff_synth_put_le32(p, (uint32_t)(s->start_sec + ts_us / FF_SYNTH_USEC));
    p = ff_synth_put_le32(p, (uint32_t)(ts_us % FF_SYNTH_USEC));
    p = ff_synth_put_le32(p, (uint32_t)frame_bytes);
    ff_synth_put_le32(p, (uint32_t)frame_bytes);
    return frame + frame_bytes;
}

/* Write whole records until the buffer is full or all packets are made. Returns the
 * bytes written, 0 when nothing is left or not one record is sure to fit. */
static inline size_t ff_synth_fill(ff_synth *s, uint8_t *out, size_t n_bytes) {
    uint8_t *p = out;
    while (s->n_done < s->n_packets &&
           n_bytes - (size_t)(p - out) >= FF_SYNTH_RECORD_MAX_BYTES) {
        p = ff_synth_put_record(s, p);
        s->n_done++;
    }
    return (size_t)(p - out);
}

#endif
