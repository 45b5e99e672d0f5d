/* SPDX-License-Identifier: Apache-2.0 */
/* The yardstick L: libpcap's reader with an empty loop around it. Reads one capture,
 * touches no packet, and prints one JSON object: packets, bytes captured, seconds from
 * before the file is opened to after it is closed, and libpcap's version.
 * Build: cc -O2 -o libpcap_loop libpcap_loop.c -lpcap */
#define _POSIX_C_SOURCE 200809L
/* pcap.h uses BSD's names of the unsigned types. */
#define _DEFAULT_SOURCE
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdint.h>
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
    char error[PCAP_ERRBUF_SIZE];
    double start_sec = now_sec();
    pcap_t *capture = pcap_open_offline(argv[1], error);
    if (capture == NULL) {
        fprintf(stderr, "%s: %s\n", argv[1], error);
        return 1;
    }
    struct pcap_pkthdr *header;
    const u_char *data;
    uint64_t n_packets = 0, n_bytes = 0;
    int status;
    while ((status = pcap_next_ex(capture, &header, &data)) == 1) {
        n_packets++;
        n_bytes += header->caplen;
    }
    if (status != PCAP_ERROR_BREAK) {
        fprintf(stderr, "%s: %s\n", argv[1], pcap_geterr(capture));
        return 1;
    }
    pcap_close(capture);
    printf("{\"packets\": %" PRIu64 ", \"bytes\": %" PRIu64
           ", \"seconds\": %.6f, \"version\": \"%s\"}\n",
           n_packets, n_bytes, now_sec() - start_sec, pcap_lib_version());
    return 0;
}
