"""Every packet of the public captures, as tshark reads it: all columns, all link types.

What is not equal must be explained by a rule of `tshark_rules.py`. The captures are no
part of this repository; where they lie beside it, a sixth of them and those that the
rules name are compared, and all of them where FASTFLOW_WHOLE_CORPUS=1 is set.
"""

from __future__ import annotations

import bz2
import lzma
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from zlib import crc32

import pytest

from reference_tunnel import TUNNELS
from rows import FASTFLOW, Scanned, fastflow_scan
from tshark import TSHARK, Opinion, ask_tshark
from tshark_rows import find_ip, linktypes
from tshark_rules import FILE_RULES, RULES, explain

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
WHOLE = os.environ.get("FASTFLOW_WHOLE_CORPUS") == "1"
WITNESSES = {rule.seen_in for rule in (*RULES, *FILE_RULES)}
#: Captures that tshark takes apart while earlier ones are compared.
AHEAD = 2 * (os.cpu_count() or 1)

pytestmark = [
    FASTFLOW,
    pytest.mark.skipif(TSHARK is None, reason="tshark is not installed"),
]

Ask = Callable[[str], Opinion]


def _captures() -> list[str]:
    names = sorted(
        str(path.relative_to(CORPUS)) for path in CORPUS.glob("*/*") if path.is_file()
    )
    return [
        name
        for name in names
        if WHOLE or name in WITNESSES or crc32(name.encode()) % 6 == 0
    ]


CAPTURES = _captures()


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Ask tshark about a capture, and begin with those that come next."""
    directory = tmp_path_factory.mktemp("plain")
    waiting: dict[str, Future[Opinion]] = {}

    def read(name: str) -> Opinion:
        return ask_tshark(_readable(CORPUS / name, directory))

    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def asked(name: str) -> Opinion:
            at = CAPTURES.index(name)
            for later in CAPTURES[at : at + AHEAD]:
                if later not in waiting:
                    waiting[later] = pool.submit(read, later)
            return waiting.pop(name).result()

        yield asked


@pytest.fixture(scope="module")
def counts() -> Iterator[Counter[str]]:
    """What was compared, for people who run pytest with -s."""
    counter: Counter[str] = Counter()
    yield counter
    print()
    for name, n in sorted(counter.items()):
        print(f"{n:8} {name}")


@pytest.mark.parametrize(
    "name",
    CAPTURES
    or [pytest.param("", marks=pytest.mark.skip(reason=f"no captures in {CORPUS}"))],
)
def test_capture_equals_tshark(name: str, ask: Ask, counts: Counter[str]) -> None:
    opinion = ask(name)
    scanned = fastflow_scan(CORPUS / name)
    opened = fastflow_scan(CORPUS / name, decap=TUNNELS)
    used = _check_end(scanned, opinion)
    assert (opened.status, len(opened.rows)) == (scanned.status, len(scanned.rows))
    packets = opinion.packets[: len(scanned.rows)]
    for rows, is_opened in ((scanned.rows, False), (opened.rows, True)):
        rules, unexplained = explain(rows, packets, opened=is_opened)
        assert not unexplained
        used |= rules
    assert {r.name for r in (*RULES, *FILE_RULES) if r.seen_in == name} <= used, (
        "a rule that is no longer needed here"
    )
    counts["captures"] += 1
    counts[f"captures {scanned.status}"] += 1
    counts["packets"] += len(scanned.rows)
    counts["packets in tunnels"] += sum(
        find_ip(packet) != find_ip(packet, opened=True) for packet in packets
    )
    counts.update(f"captures with {rule}" for rule in used)


def _check_end(scanned: Scanned, opinion: Opinion) -> set[str]:
    """Compare how many packets there are and whether the capture is damaged."""
    if scanned.reason == "unsupported_linktype":
        assert not any(linktypes(packet) for packet in opinion.packets)
        return set()
    ours = (len(scanned.rows), 0, scanned.status == "complete")
    is_same = ours == (len(opinion.packets), opinion.blocks, opinion.code == 0)
    used = {rule.name for rule in FILE_RULES if rule.holds(scanned, opinion)}
    assert is_same or used, (scanned.status, scanned.reason, opinion.complaint)
    return set() if is_same else used


def _readable(path: Path, directory: Path) -> Path:
    """Decompress what tshark cannot; gzip and zstd it reads itself."""
    openers = {".bz2": bz2.decompress, ".xz": lzma.decompress}
    if path.suffix not in openers:
        return path
    plain = directory / path.name
    plain.write_bytes(openers[path.suffix](path.read_bytes()))
    return plain
