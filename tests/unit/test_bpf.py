"""The BPF interpreter against its slow twin, and what its verifier refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bpf_reference as reference
from bpf_reference import Insn
from fastflow._bpf import FAULTS, MAX_INSNS, Filter

LINKTYPE = 1

LD_W_ABS, LD_IMM, LDX_IMM, LDX_MSH = 0x20, 0x00, 0x01, 0xB1
ST, JA, JEQ, RET_K, RET_A, TAX, TXA = 0x02, 0x05, 0x15, 0x06, 0x16, 0x07, 0x87
DIV_K, DIV_X, LSH_K = 0x34, 0x3C, 0x64

CODES = [code for code in range(0x200) if reference.is_instruction(code)]
INTERESTING = (0, 1, 2, 4, 13, 31, 32, 33, 255, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
PACKET = bytes(range(1, 41))


def answer(program: list[Insn], packet: bytes = PACKET, wirelen: int = 1500) -> bool:
    return Filter({LINKTYPE: program}).matches(LINKTYPE, packet, wirelen)


def registers_equal(program: list[Insn], packet: bytes = PACKET) -> bool:
    """Tell whether native code leaves the accumulator as the twin does, bit by bit."""
    whole = [*program, (RET_A, 0, 0, 0)]
    expected = reference.run(whole, packet, 1500)
    if expected == 0:
        return not answer(whole, packet)
    ends: list[Insn] = [(JEQ, 0, 1, expected), (RET_K, 0, 0, 1), (RET_K, 0, 0, 0)]
    return answer([*program, *ends], packet)


# --- what it computes ---------------------------------------------------------


@pytest.mark.parametrize("code", CODES, ids=hex)
def test_an_instruction_does_what_the_documents_say(code: int) -> None:
    for a in INTERESTING:
        for x in INTERESTING:
            for k in (0, 1, 3, 15, 31, 32, 36, 37, 39, 40, 0xFFFFFFFF):
                before = [(LDX_IMM, 0, 0, x), (LD_IMM, 0, 0, a), (ST, 0, 0, 3)]
                ends = [(TXA, 0, 0, 0)] if code & 0x07 == reference.LDX else []
                program: list[Insn] = [*before, (code, 0, 0, k), *ends]
                if reference.fault([*program, (RET_A, 0, 0, 0)], MAX_INSNS) is None:
                    assert registers_equal(program), (a, x, k)


@pytest.mark.parametrize("code", [code for code in CODES if code & 0x07 == 5 != code])
def test_a_branch_takes_the_way_that_the_documents_say(code: int) -> None:
    for a in INTERESTING:
        for x in INTERESTING:
            for k in INTERESTING:
                program: list[Insn] = [
                    *[(LDX_IMM, 0, 0, x), (LD_IMM, 0, 0, a), (code, 1, 0, k)],
                    *[(RET_K, 0, 0, 0), (RET_K, 0, 0, 1)],
                ]
                assert answer(program) == bool(reference.run(program, b"", 0))


@pytest.mark.parametrize(("code", "width"), [(0x20, 4), (0x28, 2), (0x30, 1)])
def test_a_load_beyond_the_captured_bytes_rejects_the_packet(
    code: int, width: int
) -> None:
    for size in range(6):
        for offset in (*range(7), 0x7FFFFFFF, 0xFFFFFFFF):
            program = [(code, 0, 0, offset), (RET_K, 0, 0, 1)]
            assert answer(program, b"\1" * size) == (offset + width <= size)


def test_an_index_that_wraps_does_not_come_back_into_the_packet() -> None:
    program = [(LDX_IMM, 0, 0, 2), (0x50, 0, 0, 0xFFFFFFFF), (RET_K, 0, 0, 1)]
    assert not answer(program)


def test_registers_and_scratch_memory_begin_at_zero() -> None:
    loads = [(0x60, 0, 0, word) for word in range(16)]
    for load in loads:
        assert not answer([load, (RET_A, 0, 0, 0)])
    assert not answer([(RET_A, 0, 0, 0)])
    assert not answer([(TXA, 0, 0, 0), (RET_A, 0, 0, 0)])


@pytest.mark.parametrize("load", [0x60, 0x61])
@pytest.mark.parametrize(("store", "stored"), [(0x02, 5), (0x03, 7)])
def test_what_is_stored_is_loaded(store: int, stored: int, load: int) -> None:
    for word in range(16):
        before: list[Insn] = [
            (LD_IMM, 0, 0, 5),
            (LDX_IMM, 0, 0, 7),
            (store, 0, 0, word),
        ]
        after: list[Insn] = [(LD_IMM, 0, 0, 0), (LDX_IMM, 0, 0, 0), (load, 0, 0, word)]
        ends: list[Insn] = [(TXA, 0, 0, 0)] if load == 0x61 else []
        assert (
            reference.run([*before, *after, *ends, (RET_A, 0, 0, 0)], b"", 0) == stored
        )
        assert registers_equal([*before, *after, *ends])


def test_offsets_beside_those_of_the_kernel_only_lie_beyond_the_packet() -> None:
    for offset in (0xFFFFEFFF, 0xFFFFF040, 0xFFFFFFFF):
        for code in (0x20, 0x28, 0x30, 0x40, 0x48, 0x50, LDX_MSH):
            assert not answer([(code, 0, 0, offset), (RET_K, 0, 0, 1)])


def test_a_division_by_zero_in_the_index_rejects_the_packet() -> None:
    for code in (DIV_X, 0x9C):
        assert not answer([(LD_IMM, 0, 0, 8), (code, 0, 0, 0), (RET_K, 0, 0, 1)])


def test_len_is_the_length_before_the_packet_was_cut() -> None:
    program = [(0x80, 0, 0, 0), (JEQ, 0, 1, 1500), (RET_K, 0, 0, 1), (RET_K, 0, 0, 0)]
    assert answer(program, b"", 1500)
    assert not answer(program, bytes(1500), 60)


# --- what it refuses ----------------------------------------------------------

RETURN: Insn = (RET_K, 0, 0, 1)
REFUSED: dict[str, list[list[Insn]]] = {
    "empty": [[]],
    "too_long": [[RETURN] * (MAX_INSNS + 1)],
    "unknown_code": [
        [(code, 0, 0, 1), RETURN]
        for code in (*range(0x200), 0xFFFF)
        if not reference.is_instruction(code)
    ],
    "jump_outside": [
        [(JEQ, 1, 0, 0), RETURN],
        [(JEQ, 0, 1, 0), RETURN],
        [(JEQ, 255, 255, 0), RETURN],
        [(JA, 0, 0, 1), RETURN],
        [(JA, 0, 0, 0x7FFFFFFF), RETURN],
        [RETURN, (JA, 0, 0, 0)],
        [RETURN, (JEQ, 0, 0, 0)],
    ],
    "jump_backward": [
        [RETURN, (JA, 0, 0, 0xFFFFFFFE), RETURN],
        [(JA, 0, 0, 0xFFFFFFFF), RETURN],
        [(JA, 0, 0, 0x80000000), RETURN],
    ],
    "division_by_zero": [[(code, 0, 0, 0), RETURN] for code in (DIV_K, 0x94)],
    "scratch_outside": [
        [(code, 0, 0, word), RETURN]
        for code in (0x60, 0x61, 0x02, 0x03)
        for word in (16, 0xFFFFFFFF)
    ],
    "ancillary": [
        [(code, 0, 0, k), RETURN]
        for code in (0x20, 0x28, 0x30, 0x40, 0x48, 0x50, LDX_MSH)
        for k in (0xFFFFF000, 0xFFFFF004, 0xFFFFF03F)
    ],
    "no_return": [[RETURN, (TAX, 0, 0, 0)], [(LD_IMM, 0, 0, 1)]],
}


def test_every_fault_is_shown() -> None:
    names = [name for name, _ in FAULTS]
    assert names == ["none", *REFUSED]


@pytest.mark.parametrize("name", REFUSED)
def test_a_malformed_program_is_refused_by_name(name: str) -> None:
    text = dict(FAULTS)[name]
    for program in REFUSED[name]:
        assert reference.fault(program, MAX_INSNS) == name
        with pytest.raises(ValueError, match=f"^{name}: ") as refused:
            Filter({LINKTYPE: program})
        assert str(refused.value) == f"{name}: {text}"


def test_the_longest_program_runs() -> None:
    nothing: Insn = (TAX, 0, 0, 0)
    assert answer([nothing] * (MAX_INSNS - 1) + [RETURN])
    far: Insn = (JA, 0, 0, MAX_INSNS - 2)
    assert answer([far, *[(RET_K, 0, 0, 0)] * (MAX_INSNS - 2), RETURN])


@pytest.mark.parametrize(
    "programs",
    [
        {65536: [RETURN]},
        {-1: [RETURN]},
        {1: [(1 << 16, 0, 0, 0)]},
        {1: [(RET_K, 256, 0, 0)]},
        {1: [(RET_K, 0, 256, 0)]},
        {1: [(RET_K, 0, 0, 1 << 32)]},
    ],
)
def test_numbers_of_too_many_bits_are_refused(programs: dict[int, list[Insn]]) -> None:
    with pytest.raises(OverflowError):
        Filter(programs)


# --- one program per link type ------------------------------------------------


def test_each_link_type_has_its_own_program() -> None:
    some = Filter({1: [RETURN], 101: [(RET_K, 0, 0, 0)], 65535: [RETURN]})
    assert some.linktypes == {1, 101, 65535}
    assert [some.matches(number, b"", 0) for number in (1, 101, 65535)] == [1, 0, 1]


def test_nothing_matches_where_there_is_no_program() -> None:
    assert not Filter({1: [RETURN]}).matches(113, PACKET, 40)
    assert not Filter({}).matches(1, PACKET, 40)
    assert Filter({}).linktypes == frozenset()


# --- at random ----------------------------------------------------------------

WORDS = st.one_of(
    st.integers(0, 64), st.integers(0, 0xFFFFFFFF), st.sampled_from(INTERESTING)
)


@st.composite
def programs(draw: st.DrawFn) -> list[Insn]:
    """Draw a program that the verifier lets through."""
    size = draw(st.integers(1, 30))
    program: list[Insn] = []
    for n_after in reversed(range(1, size)):
        code = draw(st.sampled_from(CODES))
        jt, jf, k = draw(st.tuples(st.integers(0, 255), st.integers(0, 255), WORDS))
        if code == JA:
            k %= n_after
        elif code in (0x60, 0x61, 0x02, 0x03):
            k %= 16
        elif code in (DIV_K, 0x94):
            k = max(1, k)
        insn = (code, jt % n_after, jf % n_after, k)
        if reference.fault([insn, *[RETURN] * n_after], MAX_INSNS) is None:
            program.append(insn)
        else:
            program.append((TAX, 0, 0, 0))
    return [*program, (draw(st.sampled_from([RET_K, RET_A])), 0, 0, draw(WORDS))]


@given(programs(), st.binary(max_size=80), WORDS)
def test_random_programs_answer_as_the_twin_does(
    program: list[Insn], packet: bytes, wirelen: int
) -> None:
    expected = reference.run(program, packet, wirelen) != 0
    assert answer(program, packet, wirelen) == expected


GARBAGE = st.tuples(
    st.one_of(st.sampled_from(CODES), st.integers(0, 0xFFFF)),
    st.integers(0, 255),
    st.integers(0, 255),
    WORDS,
)


@given(st.lists(GARBAGE, max_size=20), st.binary(max_size=80), WORDS)
def test_garbage_is_refused_or_runs_safely(
    program: list[Insn], packet: bytes, wirelen: int
) -> None:
    name = reference.fault(program, MAX_INSNS)
    if name is not None:
        with pytest.raises(ValueError, match=f"^{name}: "):
            Filter({LINKTYPE: program})
        return
    expected = reference.run(program, packet, wirelen) != 0
    assert answer(program, packet, wirelen) == expected
