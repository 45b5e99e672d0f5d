"""The rules that every header of native/include keeps."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[2] / "native"
INCLUDE = NATIVE / "include"
HEADERS = sorted(INCLUDE.rglob("*.h"))
NAMES = [header.name for header in HEADERS]

CC = shlex.split(os.environ.get("CC", "cc"))
FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]

#: From the bottom to the top: a header includes headers of lines above its own.
#: Protocol headers never include each other; ff_decode.h joins them.
LAYERS = (
    ("ff_base.h",),
    (
        "ff_span.h",
        "ff_status.h",
        "ff_linktype.h",
        "ff_hash.h",
        "ff_ip_proto.h",
        "ff_lpm.h",
        "ff_series.h",
        "ff_slices.h",
        "ff_synth.h",
    ),
    ("ff_view.h", "ff_dict.h", "ff_record.h", "ff_bpf.h", "ff_codes.h", "ff_sums.h"),
    (
        "ff_pcap.h",
        "ff_pcapng.h",
        "ff_snoop.h",
        "ff_erf.h",
        "ff_encap.h",
        "ff_ipv4.h",
        "ff_ipv6.h",
        "ff_tcp.h",
        "ff_udp.h",
        "ff_icmp.h",
    ),
    (
        "ff_ieee80211.h",
        "ff_tunnel.h",
        "ff_tcpsig.h",
        "ff_traffic.h",
        "ff_capture.h",
        "ff_sync.h",
    ),
    ("ff_link.h", "ff_tool.h"),
    ("ff_decode.h",),
    ("ff_usual.h",),
    ("ff_fields.h",),
    ("ff_columns.h",),
    ("ff_scan.h",),
    ("ff_cell.h", "ff_part.h"),
    ("ff_echo.h",),
    ("ff_tally.h",),
    ("ff_run.h",),
    ("ff_echo_hour.h", "ff_rollup.h"),
)

#: The headers see bytes: what Python or the system gives, the caller does.
SYSTEM_HEADERS = {"math.h", "stdbool.h", "stddef.h", "stdint.h", "string.h"}
FORBIDDEN = re.compile(
    r"\b(malloc|calloc|realloc|free|printf|fprintf|abort|exit|assert|errno|Py\w*)\b"
)

pytestmark = pytest.mark.skipif(
    not HEADERS, reason="native/ is not beside the tests: the headers cannot be read"
)


def code_of(header: Path) -> str:
    """Return the text without comments."""
    return re.sub(r"/\*.*?\*/", " ", header.read_text(encoding="ascii"), flags=re.S)


@pytest.mark.skipif(shutil.which(CC[0]) is None, reason="no C compiler")
@pytest.mark.parametrize("header", HEADERS, ids=NAMES)
def test_compiles_alone(header: Path) -> None:
    done = subprocess.run(
        [*CC, *FLAGS, f"-I{INCLUDE}", *("-c", "-o", os.devnull, "-x", "c", "-")],
        input=f'#include "{header.relative_to(INCLUDE).as_posix()}"\n',
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("header", HEADERS, ids=NAMES)
def test_is_ascii_and_says_what_it_is(header: Path) -> None:
    text = header.read_bytes().decode("ascii")
    assert text.startswith("/* SPDX-License-Identifier: Apache-2.0 */\n/* ")
    guard = f"FASTFLOW_{header.stem.upper()}_H"
    assert f"#ifndef {guard}\n#define {guard}\n" in text


@pytest.mark.parametrize("header", HEADERS, ids=NAMES)
def test_allocates_nothing_and_prints_nothing(header: Path) -> None:
    code = code_of(header)
    assert FORBIDDEN.findall(re.sub(r'"[^"\n]*"', '""', code)) == []
    assert set(re.findall(r"#include <([^>]+)>", code)) <= SYSTEM_HEADERS


@pytest.mark.parametrize("header", HEADERS, ids=NAMES)
def test_includes_go_downwards(header: Path) -> None:
    layer = {name: number for number, names in enumerate(LAYERS) for name in names}
    assert header.name in layer, "give it a place in LAYERS"
    for included in re.findall(r'#include "fastflow/([^"]+)"', code_of(header)):
        assert layer[included] < layer[header.name], included


@pytest.mark.parametrize("header", HEADERS, ids=NAMES)
def test_has_no_state_of_its_own(header: Path) -> None:
    """State lies in structs of the caller's, so that every function is re-entrant."""
    variables = re.findall(
        r"^\s*static (?!inline\b)([^;{=(]*)[;=]", code_of(header), re.M
    )
    assert [text for text in variables if not text.startswith("const ")] == []


def test_only_pxd_files_name_c_headers() -> None:
    wrong = [
        path.name
        for path in sorted((NATIVE / "fastflow").iterdir())
        if path.suffix in {".pyx", ".pxd"}
        and not re.fullmatch(r"_c(_\w+)?\.pxd", path.name)
        and re.search(r"^\s*cdef extern", path.read_text(encoding="utf-8"), re.M)
    ]
    assert wrong == []
