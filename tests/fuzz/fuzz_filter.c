/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: bytes become a filter program and a packet. What the verifier lets
 * through ends, reads nothing but the packet, and answers twice the same. Built with
 * ASan and UBSan; program and packet are heap blocks of exactly their size. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fastflow/ff_bpf.h"

#define CHECK(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

static const uint16_t codes[] = {
#define X(name, code, operands) code,
    FF_BPF_OPS(X)
#undef X
};

/* A block of exactly n bytes: the sanitizer sees every byte read beyond. */
static void *exact_copy(const void *data, size_t n) {
    void *block = malloc(n);
    CHECK(block != NULL || n == 0);
    if (n > 0) memcpy(block, data, n);
    return block;
}

/* Make the verifier content, so that most inputs are run. */
static void mend(ff_bpf_insn *insns, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        ff_bpf_insn *insn = &insns[i];
        uint32_t n_after = n - 1 - i;
        insn->code = codes[insn->code % FF_COUNT_OF(codes)];
        if (n_after == 0) {
            insn->code = insn->k & 1 ? FF_BPF_RET_K : FF_BPF_RET_A;
        } else if (insn->code == FF_BPF_JA) {
            insn->k %= n_after;
        } else if ((insn->code & 7) == 5) {
            insn->jt = (uint8_t)(insn->jt % n_after);
            insn->jf = (uint8_t)(insn->jf % n_after);
        }
        ff_bpf one = {insn, 1};
        if (ff_bpf_verify(&one) == FF_BPF_FAULT_scratch_outside) insn->k %= 16;
    }
}

static void check(const ff_bpf *program, const uint8_t *packet, size_t n,
                  uint32_t wirelen) {
    if (ff_bpf_verify(program) != FF_BPF_FAULT_none) return;
    uint8_t *one = exact_copy(packet, n), *other = exact_copy(packet, n);
    uint32_t kept = ff_bpf_run(program, (ff_span){one, n}, wirelen);
    CHECK(ff_bpf_run(program, (ff_span){other, n}, wirelen) == kept);
    free(one);
    free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n < 6) return 0;
    uint32_t n_insns = data[0];
    bool is_mended = data[1] & 1;
    uint32_t wirelen = ff_load_u32(data + 2);
    data += 6;
    n -= 6;
    if (n_insns > n / sizeof(ff_bpf_insn))
        n_insns = (uint32_t)(n / sizeof(ff_bpf_insn));
    size_t n_bytes = n_insns * sizeof(ff_bpf_insn);
    ff_bpf_insn *insns = exact_copy(data, n_bytes);
    if (is_mended) mend(insns, n_insns);
    check(&(ff_bpf){insns, n_insns}, data + n_bytes, n - n_bytes, wirelen);
    free(insns);
    return 0;
}
