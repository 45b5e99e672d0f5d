"""Run with failing_malloc preloaded: each step must raise MemoryError, or succeed."""

from __future__ import annotations

import ctypes
import struct
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from fastflow import _bpf, _core, _rollup, _tally

shim = ctypes.CDLL(None)
TIMES = (0, 2**62)


def capture(n_packets: int) -> bytes:
    """Packets of many sources, ports, option layouts and hours."""
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 228)
    for i in range(n_packets):
        options = bytes([2, 4, i & 255, i >> 8]) if i % 3 else b""
        options += bytes([8, 10]).ljust(12, b"\1") if i % 2 else b""
        doff = (20 + len(options)) // 4
        tcp = struct.pack(">HHIIBBHHH", i, i % 900, i, 0, doff << 4, 2, i % 999, 0, 0)
        segment = tcp + options
        ip = struct.pack(
            ">BBHHHBBHII", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0, i * 77, 1
        )
        packet = ip + segment
        sec = 1_600_000_000 + i * 7
        data += struct.pack("<IIII", sec, 0, len(packet), len(packet)) + packet
    return data


def pcapng(n_interfaces: int) -> bytes:
    """One section with many interfaces, a packet on the last one."""
    idb = struct.pack("<IIHHII", 1, 20, 228, 0, 0, 20)
    epb = struct.pack("<IIIIIIII", 6, 32, n_interfaces - 1, 0, 9, 0, 0, 32)
    shb = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    return shb + idb * n_interfaces + epb


DATA = capture(3000)
MANY = pcapng(5000)


def opened(lexicon: _core.Lexicon, data: bytes) -> tuple[_core.Scanner, memoryview]:
    scanner = _core.Scanner(lexicon, *TIMES)
    scanner.open(data)
    return scanner, memoryview(data)[scanner.consumed_bytes :]


def columns(data: bytes) -> Callable[[], Any]:
    arena = bytearray(8192 * 16)

    def work() -> int:
        scanner, rest = opened(_core.Lexicon(seed=1), data)
        number = [f["name"] for f in _core.fields()].index("signature")
        scanner.bind(arena, {number: 0}, {}, 8192)
        return scanner.read(rest)[1]

    return work


class SpillFile:
    """Room for runs, made before any allocation fails."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115
        self.n_bytes = 0

    def reserve(self, n_bytes: int) -> int:
        self.n_bytes += n_bytes
        return self.n_bytes - n_bytes

    def fileno(self) -> int:
        return self.file.fileno()


SPILL = SpillFile()


def tally() -> int:
    lexicon, arena = _core.Lexicon(seed=1), bytearray(1 << 19)
    counted = _tally.Tally(1, max_cells=1024)
    scanner, rest = opened(lexicon, DATA)
    runs, n_done = [], 0
    while n_done < len(rest):
        if not counted.room:
            counted.grow(512)
            counted.grow(512)
        n_done += counted.add(scanner, rest[n_done:])
        countries = np.zeros(counted.n_cells, np.uint16)
        if len(runs) % 2:
            runs.append(counted.take_run(countries))
        else:
            runs.append(counted.spill_run(countries, SPILL))
    n_columns = len(_rollup.row_fields("counts"))
    values = [at << 15 for at in range(n_columns)]
    return _rollup.Rollup("counts", runs).fill(
        arena, values, [1 << 18] * n_columns, 3000
    )


def a_filter() -> int:
    programs = {1: [(6, 0, 0, 1)] * 500, 101: [(6, 0, 0, 1)]}
    return len(_bpf.Filter(programs).linktypes)


STEPS = {
    "columns": columns(DATA),
    "interfaces": columns(MANY),
    "tally": tally,
    "filter": a_filter,
}


def main() -> None:
    """Fail each step at its first allocation, at its second, and so on."""
    for name, step in STEPS.items():
        expected = step()
        n, failing = 0, True
        while failing:
            shim.fail_after(ctypes.c_long(n))
            try:
                result = step()
            except MemoryError:
                result = None
            failing = bool(shim.stop_failing())
            if result is not None:
                assert result == expected, (name, n)
            elif not failing:
                raise AssertionError(f"{name}: MemoryError without a failure")
            n += 1
        assert step() == expected
        print(name, n - 1)


main()
