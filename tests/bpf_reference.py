"""Classic BPF, slow and obvious: the twin of ff_bpf.h, from the documents alone.

Source: McCanne and Jacobson, The BSD Packet Filter (USENIX Winter 1993), and bpf(4). An
instruction's code is taken apart into its class, size, mode, operation and operand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Insn = tuple[int, int, int, int]

LD, LDX, ST, STX, ALU, JMP, RET, MISC = range(8)
SIZES = {0x00: 4, 0x08: 2, 0x10: 1}
IMM, ABS, IND, MEM, LEN, MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
OPERAND_X, RETURN_A, TXA = 0x08, 0x10, 0x80
WORD = 1 << 32
SCRATCH_WORDS = 16

JA = 0x00
JUMPS: dict[int, Callable[[int, int], bool]] = {
    0x10: lambda a, b: a == b,
    0x20: lambda a, b: a > b,
    0x30: lambda a, b: a >= b,
    0x40: lambda a, b: a & b != 0,
}
DIV, NEG, MOD = 0x30, 0x80, 0x90
OPERATIONS: dict[int, Callable[[int, int], int]] = {
    0x00: lambda a, b: a + b,
    0x10: lambda a, b: a - b,
    0x20: lambda a, b: a * b,
    DIV: lambda a, b: a // b,
    0x40: lambda a, b: a | b,
    0x50: lambda a, b: a & b,
    0x60: lambda a, b: a << b if b < 32 else 0,
    0x70: lambda a, b: a >> b if b < 32 else 0,
    NEG: lambda a, b: -a,
    MOD: lambda a, b: a % b,
    0xA0: lambda a, b: a ^ b,
}


class NoMatch(Exception):
    """The packet does not hold what is asked for, or a division by zero."""


def is_instruction(code: int) -> bool:
    """Tell whether classic BPF has an instruction of this code."""
    size, mode, operation = code & 0x18, code & 0xE0, code & 0xF0
    match code & 0x07 if code < 0x100 else None:
        case 0:
            sized = mode in (ABS, IND) and size in SIZES
            return sized or (mode in (IMM, MEM, LEN) and size == 0)
        case 1:
            return code == LDX | 0x10 | MSH or (mode in (IMM, MEM, LEN) and size == 0)
        case 2 | 3:
            return code in (ST, STX)
        case 4:
            return operation in OPERATIONS and code != ALU | NEG | OPERAND_X
        case 5:
            return operation in JUMPS or code == JMP | JA
        case 6:
            return code in (RET, RET | RETURN_A)
        case 7:
            return code in (MISC, MISC | TXA)
    return False


def fault(program: Sequence[Insn], max_insns: int) -> str | None:
    """Return the name of what is wrong with a program, the first thing."""
    if not program:
        return "empty"
    if len(program) > max_insns:
        return "too_long"
    for place, insn in enumerate(program):
        if (found := _fault_of(insn, len(program) - place - 1)) is not None:
            return found
    return None if program[-1][0] & 0x07 == RET else "no_return"


def _fault_of(insn: Insn, n_after: int) -> str | None:
    code, jt, jf, k = insn
    if not is_instruction(code):
        return "unknown_code"
    if code == JMP | JA:
        if k >= WORD // 2:
            return "jump_backward"
        return "jump_outside" if k >= n_after else None
    if code & 0x07 == JMP:
        return "jump_outside" if max(jt, jf) >= n_after else None
    if code in (ALU | DIV, ALU | MOD) and k == 0:
        return "division_by_zero"
    if code in (LD | MEM, LDX | MEM, ST, STX) and k >= SCRATCH_WORDS:
        return "scratch_outside"
    reads_packet = code & 0x07 in (LD, LDX) and code & 0xE0 in (ABS, IND, MSH)
    if reads_packet and -0x1000 <= k - WORD < -0x1000 + 64:
        return "ancillary"
    return None


def run(program: Sequence[Insn], packet: bytes, wirelen: int) -> int:
    """Run a program that has no fault; return how many bytes it keeps."""
    try:
        return _Machine(program, packet, wirelen).run()
    except NoMatch:
        return 0


class _Machine:
    def __init__(self, program: Sequence[Insn], packet: bytes, wirelen: int) -> None:
        self.program, self.packet, self.wirelen = program, packet, wirelen
        self.a = self.x = self.place = 0
        self.scratch = [0] * SCRATCH_WORDS

    def run(self) -> int:
        while True:
            code, jt, jf, k = self.program[self.place]
            self.place += 1
            operand = self.x if code & OPERAND_X else k
            match code & 0x07:
                case 0:
                    self.a = self._load(code, k)
                case 1:
                    self.x = self._load(code, k)
                case 2:
                    self.scratch[k] = self.a
                case 3:
                    self.scratch[k] = self.x
                case 4:
                    self._compute(code & 0xF0, operand)
                case 5 if code & 0xF0 == JA:
                    self.place += k
                case 5:
                    self.place += jt if JUMPS[code & 0xF0](self.a, operand) else jf
                case 6:
                    return self.a if code & RETURN_A else k
                case 7 if code & TXA:
                    self.a = self.x
                case 7:
                    self.x = self.a

    def _load(self, code: int, k: int) -> int:
        match code & 0xE0:
            case 0x00:
                return k
            case 0x20:
                return self._bytes(k, SIZES[code & 0x18])
            case 0x40:
                return self._bytes(self.x + k, SIZES[code & 0x18])
            case 0x60:
                return self.scratch[k]
            case 0x80:
                return self.wirelen
        return 4 * (self._bytes(k, 1) & 0x0F)

    def _bytes(self, offset: int, width: int) -> int:
        value = self.packet[offset : offset + width]
        if len(value) != width:
            raise NoMatch
        return int.from_bytes(value, "big")

    def _compute(self, operation: int, operand: int) -> None:
        if operation in (DIV, MOD) and operand == 0:
            raise NoMatch
        self.a = OPERATIONS[operation](self.a, operand) % WORD
