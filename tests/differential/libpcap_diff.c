/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged captures through fastflow's readers and through libpcap's: number, times,
 * lengths and bytes of the packets must be equal up to where one of them stops for a
 * reason that libpcap_rules.h knows.
 *
 *   libpcap_diff [--seed S] [--cases N] [--only INDEX] [--dump DIRECTORY] FILE...
 *
 * The first cases are the files as they are, the others follow from S and their index.
 * A case that is not explained is written to DIRECTORY, as is that of --only. */
#include <errno.h>

#include "libpcap_mutate.h"
#include "libpcap_rules.h"

/* More of a file would only cost time. */
#define SEED_MAX_BYTES (1u << 21)
#define BIG_SEED_BYTES (1u << 15)

typedef struct tallied {
    uint64_t n_cases, n_packets, n_unexplained;
    uint64_t by_rule[N_RULES];
} tallied;

/* --- one case --------------------------------------------------------------------- */

/* Note a rule in `met`; false for what none explains. */
static bool note(enum rule rule, bool *met) {
    if (rule == RULE_unexplained) return false;
    met[rule] = true;
    return true;
}

/* A link type that only we refuse: the framing is compared all the same. */
static bool same_packet(const ours *o, const theirs *t, bool *met) {
    enum rule lengths = same_lengths(o, t);
    return note(lengths, met) && note(same_bytes(o, t), met) &&
           note(same_time(o, t), met);
}

static void tell(uint64_t index, uint64_t n_packets, const ours *o, const theirs *t,
                 bool has_packet) {
    printf(
        "unexplained: case %llu, behind %llu packets, offset %zu of %zu: ours %s, "
        "libpcap's %s\n",
        (unsigned long long)index, (unsigned long long)n_packets, o->at, o->n_bytes,
        has_packet ? "a packet" : ff_fault_names[o->fault].name,
        !t->is_over     ? "a packet"
        : t->message[0] ? t->message
                        : "none");
    if (has_packet && !t->is_over)
        printf(
            "  ours: ts %lld (%d) caplen %zu wirelen %u; libpcap's: %lld.%09lld %u "
            "%u\n",
            (long long)o->record.ts_ns, o->record.has_ts, o->record.data.n,
            o->record.wirelen, (long long)t->header->ts.tv_sec,
            (long long)t->header->ts.tv_usec, t->header->caplen, t->header->len);
}

/* Compare the two readers on a capture; false where a difference is not explained. */
static bool compare(span capture, size_t block_bytes, uint64_t index, tallied *all) {
    ours o;
    theirs t;
    bool met[N_RULES] = {false}, is_explained = true;
    uint64_t n_packets = 0;
    ours_open(&o, capture, block_bytes);
    theirs_open(&t, capture);
    for (;;) {
        bool has_packet = ours_next(&o), has_theirs = theirs_next(&t);
        if (has_packet && has_theirs) {
            is_explained = same_packet(&o, &t, met);
        } else {
            parting p = {&o, &t, has_packet};
            is_explained = note(why_parted(&p), met);
        }
        if (!is_explained) tell(index, n_packets, &o, &t, has_packet);
        if (!is_explained || !has_packet || !has_theirs) break;
        n_packets++;
    }
    theirs_close(&t);
    ours_close(&o);
    all->n_cases++;
    all->n_packets += n_packets;
    all->n_unexplained += !is_explained;
    for (int rule = RULE_equal + 1; rule < N_RULES; rule++)
        all->by_rule[rule] += met[rule];
    return is_explained;
}

/* --- seeds ------------------------------------------------------------------------ */

static void seed_read(seed *s, const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    uint8_t *buffer = exact(SEED_MAX_BYTES);
    s->whole.n = fread(buffer, 1, SEED_MAX_BYTES, file);
    fclose(file);
    s->whole.data = exact(s->whole.n);
    memcpy(s->whole.data, buffer, s->whole.n);
    free(buffer);
}

/* Mark where records and blocks begin, as far as ours reads. */
static void seed_mark(seed *s) {
    ours o;
    ours_open(&o, s->whole, s->whole.n + 1);
    do {
        if (s->n_marks < MAX_MARKS) s->marks[s->n_marks++] = o.at;
    } while (ours_next(&o));
    ours_close(&o);
}

static const seed *pick(const seed *seeds, size_t n_seeds) {
    const seed *s = &seeds[below(n_seeds)];
    while (s->whole.n > BIG_SEED_BYTES && !one_in(s->whole.n / BIG_SEED_BYTES * 4))
        s = &seeds[below(n_seeds)];
    return s;
}

/* --- all cases -------------------------------------------------------------------- */

typedef struct options {
    uint64_t seed, n_cases, first;
    const char *dump;
    bool dumps_always;
} options;

static void dump(const options *opt, uint64_t index, span capture) {
    char path[4096];
    if (opt->dump == NULL) return;
    snprintf(path, sizeof path, "%s/case-%llu.cap", opt->dump,
             (unsigned long long)index);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(capture.data, 1, capture.n, file) != capture.n) abort();
    fclose(file);
    printf("written to %s\n", path);
}

static void run_case(const options *opt, uint64_t index, const seed *seeds,
                     size_t n_seeds, tallied *all) {
    rng_begin(opt->seed, index);
    span capture;
    if (index < n_seeds)
        capture = joined(seeds[index].whole, 0, seeds[index].whole, 0);
    else
        capture = mutated(pick(seeds, n_seeds), pick(seeds, n_seeds));
    /* Many small blocks cost time by the square. */
    size_t block_bytes = capture.n + 1;
    if (one_in(2)) block_bytes = capture.n / 32 + 1 + below(one_in(2) ? 64 : capture.n);
    bool is_explained = compare(capture, block_bytes, index, all);
    if (!is_explained || opt->dumps_always) dump(opt, index, capture);
    free(capture.data);
}

static void print_table(const tallied *all) {
    printf("cases\t%llu\npackets\t%llu\nunexplained\t%llu\n",
           (unsigned long long)all->n_cases, (unsigned long long)all->n_packets,
           (unsigned long long)all->n_unexplained);
    for (int rule = RULE_equal + 1; rule < N_RULES; rule++)
        printf("%s\t%llu\t%s\t%s\n", rule_texts[rule].name,
               (unsigned long long)all->by_rule[rule], rule_texts[rule].right,
               rule_texts[rule].why);
}

static int parse_options(options *opt, int argc, char **argv) {
    int i = 1;
    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--seed") == 0) opt->seed = strtoull(value, NULL, 10);
        if (strcmp(argv[i], "--cases") == 0) opt->n_cases = strtoull(value, NULL, 10);
        if (strcmp(argv[i], "--dump") == 0) opt->dump = value;
        if (strcmp(argv[i], "--only") == 0) {
            opt->first = strtoull(value, NULL, 10);
            opt->n_cases = 1;
            opt->dumps_always = true;
        }
    }
    return i;
}

int main(int argc, char **argv) {
    options opt = {0};
    tallied all = {0};
    int first_file = parse_options(&opt, argc, argv);
    if (first_file >= argc) {
        fprintf(stderr, "libpcap_diff [OPTIONS] FILE...\n");
        return 2;
    }
    size_t n_seeds = (size_t)(argc - first_file);
    seed *seeds = calloc(n_seeds, sizeof *seeds);
    if (seeds == NULL) return 2;
    for (size_t i = 0; i < n_seeds; i++) {
        seed_read(&seeds[i], argv[first_file + (int)i]);
        seed_mark(&seeds[i]);
    }
    if (opt.n_cases == 0) opt.n_cases = n_seeds;
    for (uint64_t i = 0; i < opt.n_cases; i++)
        run_case(&opt, opt.first + i, seeds, n_seeds, &all);
    print_table(&all);
    for (size_t i = 0; i < n_seeds; i++) free(seeds[i].whole.data);
    free(seeds);
    return all.n_unexplained > 0;
}
