/* SPDX-License-Identifier: Apache-2.0 */
/* Classic BPF: a packet filter's program is verified once, then run on each packet.
 * Source: McCanne and Jacobson, The BSD Packet Filter (USENIX Winter 1993); the bpf(4)
 * manual page; the instruction table of the Linux kernel's networking/filter.rst.
 * A verified program jumps forward only, so it ends after at most its own length of
 * steps. What it may not read, it does not: a load beyond the captured bytes rejects
 * the packet, and so does a division by zero. */
#ifndef FASTFLOW_FF_BPF_H
#define FASTFLOW_FF_BPF_H

#include "fastflow/ff_span.h"

/* Kernels stop at 4096 instructions; a compiler that runs outside of one does not, and
 * a list of a thousand networks is a filter that people have. */
#define FF_BPF_MAX_INSNS 65536u
#define FF_BPF_SCRATCH_WORDS 16u

/* These offsets mean data of the Linux kernel's, not bytes of the packet (SKF_AD_OFF
 * and SKF_AD_MAX of linux/filter.h). */
#define FF_BPF_ANCILLARY 0xfffff000u
#define FF_BPF_ANCILLARY_MAX 64u

typedef struct ff_bpf_insn {
    uint16_t code;
    uint8_t jt;
    uint8_t jf;
    uint32_t k;
} ff_bpf_insn;

typedef struct ff_bpf {
    const ff_bpf_insn *insns;
    uint32_t n;
} ff_bpf;

/* clang-format off */

/* Every instruction: X(name, code, what its operands must fulfil). */
#define FF_BPF_OPS(X)                                                                    \
    X(LD_IMM, 0x00, any) X(LD_MEM, 0x60, scratch) X(LD_LEN, 0x80, any)                   \
    X(LD_W_ABS, 0x20, offset) X(LD_H_ABS, 0x28, offset) X(LD_B_ABS, 0x30, offset)        \
    X(LD_W_IND, 0x40, offset) X(LD_H_IND, 0x48, offset) X(LD_B_IND, 0x50, offset)        \
    X(LDX_IMM, 0x01, any) X(LDX_MEM, 0x61, scratch) X(LDX_LEN, 0x81, any)                \
    X(LDX_B_MSH, 0xb1, offset)                                                           \
    X(ST, 0x02, scratch) X(STX, 0x03, scratch)                                           \
    X(ADD_K, 0x04, any) X(ADD_X, 0x0c, any) X(SUB_K, 0x14, any) X(SUB_X, 0x1c, any)      \
    X(MUL_K, 0x24, any) X(MUL_X, 0x2c, any)                                              \
    X(DIV_K, 0x34, divisor) X(DIV_X, 0x3c, any)                                          \
    X(OR_K, 0x44, any) X(OR_X, 0x4c, any) X(AND_K, 0x54, any) X(AND_X, 0x5c, any)        \
    X(LSH_K, 0x64, any) X(LSH_X, 0x6c, any) X(RSH_K, 0x74, any) X(RSH_X, 0x7c, any)      \
    X(NEG, 0x84, any) X(MOD_K, 0x94, divisor) X(MOD_X, 0x9c, any)                        \
    X(XOR_K, 0xa4, any) X(XOR_X, 0xac, any)                                              \
    X(JA, 0x05, jump) X(JEQ_K, 0x15, branch) X(JEQ_X, 0x1d, branch)                      \
    X(JGT_K, 0x25, branch) X(JGT_X, 0x2d, branch)                                        \
    X(JGE_K, 0x35, branch) X(JGE_X, 0x3d, branch)                                        \
    X(JSET_K, 0x45, branch) X(JSET_X, 0x4d, branch)                                      \
    X(RET_K, 0x06, any) X(RET_A, 0x16, any)                                              \
    X(TAX, 0x07, any) X(TXA, 0x87, any)

/* What a program is refused for. X(name, text) */
#define FF_BPF_FAULTS(X)                                                                 \
    X(none, "nothing is wrong")                                                          \
    X(empty, "the program has no instruction")                                           \
    X(too_long, "the program has more than 1048576 instructions")                        \
    X(unknown_code, "an instruction is none of classic BPF")                             \
    X(jump_outside, "a jump leads out of the program")                                   \
    X(jump_backward, "a jump leads backwards (protochain): the program might not end")   \
    X(division_by_zero, "an instruction divides by the constant zero")                   \
    X(scratch_outside, "there are only 16 words of scratch memory")                      \
    X(ancillary, "a load asks for what is not in the packet, such as its direction")     \
    X(no_return, "the last instruction does not return")

/* clang-format on */

enum ff_bpf_op {
#define X(name, code, operands) FF_BPF_##name = code,
    FF_BPF_OPS(X)
#undef X
};

enum ff_bpf_fault {
#define X(name, text) FF_BPF_FAULT_##name,
    FF_BPF_FAULTS(X)
#undef X
        FF_BPF_N_FAULTS
};

typedef struct ff_bpf_fault_name {
    const char *name;
    const char *text;
} ff_bpf_fault_name;

static const ff_bpf_fault_name ff_bpf_fault_names[] = {
#define X(name, text) {#name, text},
    FF_BPF_FAULTS(X)
#undef X
};

/* --- before a program runs -------------------------------------------------------- */

/* One check per kind of operand; n_after instructions follow this one. */
static inline enum ff_bpf_fault ff_bpf_check_any(ff_bpf_insn i, uint32_t n_after) {
    (void)i;
    (void)n_after;
    return FF_BPF_FAULT_none;
}

static inline enum ff_bpf_fault ff_bpf_check_scratch(ff_bpf_insn i, uint32_t n_after) {
    (void)n_after;
    return i.k < FF_BPF_SCRATCH_WORDS ? FF_BPF_FAULT_none
                                      : FF_BPF_FAULT_scratch_outside;
}

static inline enum ff_bpf_fault ff_bpf_check_offset(ff_bpf_insn i, uint32_t n_after) {
    (void)n_after;
    bool is_ancillary = i.k - FF_BPF_ANCILLARY < FF_BPF_ANCILLARY_MAX;
    return is_ancillary ? FF_BPF_FAULT_ancillary : FF_BPF_FAULT_none;
}

static inline enum ff_bpf_fault ff_bpf_check_divisor(ff_bpf_insn i, uint32_t n_after) {
    (void)n_after;
    return i.k != 0 ? FF_BPF_FAULT_none : FF_BPF_FAULT_division_by_zero;
}

static inline enum ff_bpf_fault ff_bpf_check_jump(ff_bpf_insn i, uint32_t n_after) {
    /* libpcap writes the loop of `protochain` as a negative distance. */
    if (i.k > INT32_MAX) return FF_BPF_FAULT_jump_backward;
    return i.k < n_after ? FF_BPF_FAULT_none : FF_BPF_FAULT_jump_outside;
}

static inline enum ff_bpf_fault ff_bpf_check_branch(ff_bpf_insn i, uint32_t n_after) {
    bool is_inside = i.jt < n_after && i.jf < n_after;
    return is_inside ? FF_BPF_FAULT_none : FF_BPF_FAULT_jump_outside;
}

static inline enum ff_bpf_fault ff_bpf_check(ff_bpf_insn i, uint32_t n_after) {
    switch (i.code) {
#define X(name, code, operands) \
    case code: return ff_bpf_check_##operands(i, n_after);
        FF_BPF_OPS(X)
#undef X
        default: return FF_BPF_FAULT_unknown_code;
    }
}

/* What keeps a program from being run, or none. */
static inline enum ff_bpf_fault ff_bpf_verify(const ff_bpf *program) {
    if (program->n == 0) return FF_BPF_FAULT_empty;
    if (program->n > FF_BPF_MAX_INSNS) return FF_BPF_FAULT_too_long;
    for (uint32_t i = 0; i < program->n; i++) {
        enum ff_bpf_fault fault = ff_bpf_check(program->insns[i], program->n - 1 - i);
        if (fault != FF_BPF_FAULT_none) return fault;
    }
    uint16_t last = program->insns[program->n - 1].code;
    bool returns = last == FF_BPF_RET_K || last == FF_BPF_RET_A;
    return returns ? FF_BPF_FAULT_none : FF_BPF_FAULT_no_return;
}

/* --- running it ------------------------------------------------------------------- */

typedef struct ff_bpf_machine {
    uint32_t a; /* accumulator */
    uint32_t x; /* index */
    uint32_t scratch[FF_BPF_SCRATCH_WORDS];
} ff_bpf_machine;

/* Read width_bytes at base + k, network order; false where the packet does not hold
 * them. The sum does not wrap: an offset beyond 32 bits lies beyond any packet. */
FF_INLINE bool ff_bpf_load(ff_span packet, uint32_t base, uint32_t k,
                           size_t width_bytes, uint32_t *value) {
    uint64_t offset = (uint64_t)base + k;
    if (!ff_has(packet, width_bytes) || offset > packet.n - width_bytes) return false;
    const uint8_t *p = packet.p + (size_t)offset;
    *value = width_bytes == 4   ? ff_load_be32(p)
             : width_bytes == 2 ? ff_load_be16(p)
                                : p[0];
    return true;
}

/* The accumulator after an arithmetic instruction, modulo 2^32. A shift by 32 or more
 * leaves no bit. False: a division by zero. */
FF_INLINE bool ff_bpf_alu(ff_bpf_insn i, ff_bpf_machine *m) {
    uint32_t by = i.code & 0x08 ? m->x : i.k;
    switch (i.code) {
        case FF_BPF_ADD_K:
        case FF_BPF_ADD_X: m->a += by; return true;
        case FF_BPF_SUB_K:
        case FF_BPF_SUB_X: m->a -= by; return true;
        case FF_BPF_MUL_K:
        case FF_BPF_MUL_X: m->a *= by; return true;
        case FF_BPF_OR_K:
        case FF_BPF_OR_X: m->a |= by; return true;
        case FF_BPF_AND_K:
        case FF_BPF_AND_X: m->a &= by; return true;
        case FF_BPF_XOR_K:
        case FF_BPF_XOR_X: m->a ^= by; return true;
        case FF_BPF_LSH_K:
        case FF_BPF_LSH_X: m->a = by < 32 ? m->a << by : 0; return true;
        case FF_BPF_RSH_K:
        case FF_BPF_RSH_X: m->a = by < 32 ? m->a >> by : 0; return true;
        case FF_BPF_NEG: m->a = 0u - m->a; return true;
        case FF_BPF_DIV_K:
        case FF_BPF_DIV_X:
            if (by == 0) return false;
            m->a /= by;
            return true;
        case FF_BPF_MOD_K:
        case FF_BPF_MOD_X:
            if (by == 0) return false;
            m->a %= by;
            return true;
        default: return false; /* not verified */
    }
}

/* Run a verified program. Returns how many bytes of the packet to keep: 0, no match.
 * wirelen_bytes is the packet's length before it was cut, for `len` and its like. */
static inline uint32_t ff_bpf_run(const ff_bpf *program, ff_span packet,
                                  uint32_t wirelen_bytes) {
    ff_bpf_machine m = {0};
    uint32_t value = 0;
    for (const ff_bpf_insn *i = program->insns;; i++) {
        switch (i->code) {
            case FF_BPF_LD_W_ABS:
                if (!ff_bpf_load(packet, 0, i->k, 4, &m.a)) return 0;
                break;
            case FF_BPF_LD_H_ABS:
                if (!ff_bpf_load(packet, 0, i->k, 2, &m.a)) return 0;
                break;
            case FF_BPF_LD_B_ABS:
                if (!ff_bpf_load(packet, 0, i->k, 1, &m.a)) return 0;
                break;
            case FF_BPF_LD_W_IND:
                if (!ff_bpf_load(packet, m.x, i->k, 4, &m.a)) return 0;
                break;
            case FF_BPF_LD_H_IND:
                if (!ff_bpf_load(packet, m.x, i->k, 2, &m.a)) return 0;
                break;
            case FF_BPF_LD_B_IND:
                if (!ff_bpf_load(packet, m.x, i->k, 1, &m.a)) return 0;
                break;
            case FF_BPF_LDX_B_MSH: /* the length of an IPv4 header */
                if (!ff_bpf_load(packet, 0, i->k, 1, &value)) return 0;
                m.x = 4 * (value & 0x0f);
                break;
            case FF_BPF_LD_IMM: m.a = i->k; break;
            case FF_BPF_LD_MEM: m.a = m.scratch[i->k]; break;
            case FF_BPF_LD_LEN: m.a = wirelen_bytes; break;
            case FF_BPF_LDX_IMM: m.x = i->k; break;
            case FF_BPF_LDX_MEM: m.x = m.scratch[i->k]; break;
            case FF_BPF_LDX_LEN: m.x = wirelen_bytes; break;
            case FF_BPF_ST: m.scratch[i->k] = m.a; break;
            case FF_BPF_STX: m.scratch[i->k] = m.x; break;
            case FF_BPF_TAX: m.x = m.a; break;
            case FF_BPF_TXA: m.a = m.x; break;
            case FF_BPF_JA: i += i->k; break;
            case FF_BPF_JEQ_K: i += m.a == i->k ? i->jt : i->jf; break;
            case FF_BPF_JEQ_X: i += m.a == m.x ? i->jt : i->jf; break;
            case FF_BPF_JGT_K: i += m.a > i->k ? i->jt : i->jf; break;
            case FF_BPF_JGT_X: i += m.a > m.x ? i->jt : i->jf; break;
            case FF_BPF_JGE_K: i += m.a >= i->k ? i->jt : i->jf; break;
            case FF_BPF_JGE_X: i += m.a >= m.x ? i->jt : i->jf; break;
            case FF_BPF_JSET_K: i += (m.a & i->k) != 0 ? i->jt : i->jf; break;
            case FF_BPF_JSET_X: i += (m.a & m.x) != 0 ? i->jt : i->jf; break;
            case FF_BPF_RET_K: return i->k;
            case FF_BPF_RET_A: return m.a;
            default:
                if (!ff_bpf_alu(*i, &m)) return 0;
        }
    }
}

#endif
