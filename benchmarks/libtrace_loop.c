/* SPDX-License-Identifier: Apache-2.0 */
/* libtrace's reader with an empty loop around it: the second fastest reader of
 * captures. libtrace decompresses and reads ahead in a thread of its own, so that two
 * threads work. Reads one capture, touches no packet, and prints one JSON object as
 * libpcap_loop does. Build: cc -O2 -o libtrace_loop libtrace_loop.c -ltrace */
#define _GNU_SOURCE
#include <inttypes.h>
#include <libtrace.h>
#include <stdio.h>
#include <time.h>

static double now_sec(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s CAPTURE\n", argv[0]);
        return 2;
    }
    char uri[4096];
    snprintf(uri, sizeof uri, "pcapfile:%s", argv[1]);
    double start_sec = now_sec();
    libtrace_t *trace = trace_create(uri);
    if (trace_is_err(trace) || trace_start(trace) != 0) {
        trace_perror(trace, "%s", argv[1]);
        return 1;
    }
    libtrace_packet_t *packet = trace_create_packet();
    uint64_t n_packets = 0;
    while (trace_read_packet(trace, packet) > 0) n_packets++;
    if (trace_is_err(trace)) {
        trace_perror(trace, "%s", argv[1]);
        return 1;
    }
    trace_destroy_packet(packet);
    trace_destroy(trace);
    printf("{\"packets\": %" PRIu64 ", \"seconds\": %.6f, \"version\": \"%d.%d.%d\"}\n",
           n_packets, now_sec() - start_sec, LIBTRACE_API_VERSION >> 16,
           LIBTRACE_API_VERSION >> 8 & 255, LIBTRACE_API_VERSION & 255);
    return 0;
}
