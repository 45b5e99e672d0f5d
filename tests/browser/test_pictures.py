"""Figures look as those that were looked at: files, and what the browser draws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fastflow.report import charts
from fastflow.report.document import Document, Figure, Section
from pictures import ALIKE, check_picture, likeness, small
from report_documents import DOCUMENTS, PORTS, quarter_figure

pytest.importorskip("vl_convert", reason="vl-convert is not installed")


@pytest.mark.parametrize("name", ["rich-ja", "rich-en", "bare-ja"])
def test_files_look_as_kept(name, tmp_path):
    make, lang = DOCUMENTS[name]
    for path in charts.write_figures(make(lang), tmp_path):
        if path.suffix == ".png":
            check_picture(f"{name}-{path.stem}", path.read_bytes())


@pytest.mark.parametrize("name", ["rich-ja", "rich-en"])
def test_figures_of_pages_look_as_kept(name, open_page):
    page = open_page(name, 768).page
    for identity in ("figure-1", "5-hours"):
        live = page.locator(f'[id="{identity}"] .plot')
        check_picture(f"{name}-{identity}-page", live.screenshot())


def drawn(figure: Figure, directory: Path) -> np.ndarray:
    document = Document("en", "", "", (Section("x", "", (figure,)),))
    _, png = charts.write_figures(document, directory)
    return small(png.read_bytes())


def test_a_picture_that_is_wrong_is_not_alike(tmp_path):
    figure = quarter_figure("en", 1, PORTS)
    right = drawn(figure, tmp_path)
    assert likeness(right, right) == pytest.approx(1)
    first, *others = figure.lines
    lower = replace(first, values=tuple(value * 0.8 for value in first.values))
    for lines in (others, (lower, *others)):
        wrong = replace(figure, lines=tuple(lines))
        assert likeness(right, drawn(wrong, tmp_path)) < ALIKE
