"""What is listed in more than one place is the same in all of them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from fastflow import _core
from fastflow.cli.info import LINKTYPE_NAMES
from fastflow.filters import DLTS
from fastflow.reader import TUNNELS

DOCS = Path(__file__).parents[2] / "docs"

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="docs/ is not beside tests/")


def test_every_name_of_something_wrong_is_documented() -> None:
    with_names = runpy.run_path(str(DOCS / "make_names.py"))["with_names"]
    text = (DOCS / "captures.md").read_text()
    assert text == with_names(text), "run `make docs`"


def test_every_link_type_has_a_name_and_a_number_for_libpcap() -> None:
    assert set(LINKTYPE_NAMES) == set(DLTS) == set(_core.LINKTYPES)


def test_every_link_type_and_tunnel_is_documented() -> None:
    text = (DOCS / "captures.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    numbers = {n.strip() for row in rows for n in row.split("|")[2].split(",")}
    assert {str(n) for n in _core.LINKTYPES} <= numbers
    assert [name for name in TUNNELS if f"`{name}`" not in text] == []
