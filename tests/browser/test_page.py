"""What a reader does with a page, done by a browser: look, click, type, print."""

from __future__ import annotations

import shutil
import subprocess
import unicodedata
from collections import Counter

import pytest

from fastflow.report.charts import has_values
from fastflow.report.document import Figure
from report_documents import DOCUMENTS

#: A telephone, a tablet, a desk.
WIDTHS = (360, 768, 1440)
#: Elements that are wider within than without, and cannot be scrolled to their end.
OVERFLOWING = """() => [...document.querySelectorAll('body *')].filter(
    (one) => one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1
        && getComputedStyle(one).display !== 'inline'
        && !one.closest('.scroll, .unseen, svg')
).map((one) =>
    `${one.scrollWidth} > ${one.clientWidth}: ${one.outerHTML.slice(0, 80)}`)"""
#: Texts of figures that leave the window.
LEAVING = """() => [...document.querySelectorAll('.plot svg text')].filter((text) => {
    const { left, right } = text.getBoundingClientRect();
    return left < 0 || right > document.documentElement.clientWidth;
}).map((text) => text.textContent)"""
#: Where elements are, from left to right.
MIDDLES = """(all) => all.map((one) => {
    const { x, width } = one.getBoundingClientRect();
    return x + width / 2;
})"""


def figures_of(name: str) -> list[Figure]:
    make, lang = DOCUMENTS[name]
    return [figure for figure in make(lang).figures if has_values(figure)]


def element(page, identity: str):
    """Return the element of an id, which may begin with a digit."""
    return page.locator(f'[id="{identity}"]')


def test_a_page_says_and_asks_for_nothing(name, open_page, files):
    opened = open_page(name)
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith("data:")] == [
        files(name).as_uri()
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_all_figures_are_drawn_at_every_width(name, width, open_page):
    page = open_page(name, width).page
    for figure in figures_of(name):
        plot = element(page, figure.id).locator(".plot svg")
        box = plot.bounding_box()
        room = element(page, figure.id).bounding_box()["width"]
        assert room - 2 <= box["width"] <= room + 1
        assert box["height"] >= 300
        drawn = plot.locator(".mark-line path").evaluate_all(
            "all => all.map((one) => one.getBBox().width)"
        )
        assert len(drawn) == len(figure.lines)
        if len(figure.times) > 1:
            assert max(drawn) > width / 4
        assert not element(page, figure.id).locator(".still").is_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows(name, width, open_page):
    page = open_page(name, width).page
    page.evaluate(
        "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERFLOWING) == []
    assert page.evaluate(LEAVING) == []


def test_the_contents_lead_to_their_sections(name, open_page):
    page = open_page(name).page
    links = page.locator("nav a")
    assert links.count() == len(list(DOCUMENTS[name][0](DOCUMENTS[name][1]).walk()))
    for link in links.all():
        link.click()
        target = element(page, link.get_attribute("href")[1:])
        # Smooth scrolling takes its time.
        page.wait_for_function(
            """(one) => {
            const { top, bottom } = one.getBoundingClientRect();
            return top >= 0 && bottom <= innerHeight;
        }""",
            arg=target.element_handle(),
        )
        assert target.inner_text() == link.inner_text()


def test_the_first_key_leads_to_the_content(open_page):
    page = open_page("rich-en").page
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    assert skip.get_attribute("href") == "#main"
    assert skip.bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_lines_are_switched_by_the_keyboard(open_page):
    page = open_page("rich-ja").page
    figure = element(page, "figure-1")
    buttons = figure.locator(".legend button")
    lines = figure.locator(".mark-line path")

    def shown() -> list[str]:
        return [
            one.inner_text()
            for one in buttons.all()
            if one.get_attribute("aria-pressed") == "true"
        ]

    everything = shown()
    assert len(everything) == lines.count() == 5
    top = figure.locator(".role-axis-label text").last.text_content()
    # From the paragraph before the figure on, keys alone.
    page.locator("#table-1").locator("..").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == everything[0]
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert shown() == everything[2:]
    page.wait_for_function(
        "document.querySelectorAll('#figure-1 .mark-line path').length === 3"
    )
    # Without the largest lines the axis shows more of the others.
    assert figure.locator(".role-axis-label text").last.text_content() != top
    for button in buttons.all()[2:]:
        button.press("Space")
    # The last one brings all of them back.
    assert shown() == everything
    page.wait_for_function(
        "document.querySelectorAll('#figure-1 .mark-line path').length === 5"
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pointer_is_told_the_values_of_its_time(width, open_page):
    opened = open_page("rich-en", width)
    page = opened.page
    figure = figures_of("rich-en")[0]
    plot = page.locator("#figure-1 .plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    # Symbols of the first line stand at known times.
    symbols = plot.locator(".mark-symbol path").evaluate_all(MIDDLES)
    step = len(figure.times) // 8
    for n in (0, 3, 8):
        page.mouse.move(symbols[n] + 1, box["y"] + 150)
        mark = page.locator("#figure-1 .mark").bounding_box()
        assert mark["x"] + 0.5 == pytest.approx(symbols[n], abs=1)
        head, *rows = page.locator(".tip > *").all()
        at = n * step
        assert head.inner_text() == figure.times[at][:10]
        assert [row.locator("span").last.inner_text() for row in rows] == [
            "\N{EN DASH}" if line.values[at] is None else f"{line.values[at]:,}"
            for line in figure.lines
        ]
        tip = page.locator(".tip").bounding_box()
        assert tip["x"] >= 0
        assert tip["x"] + tip["width"] <= width
    page.mouse.move(5, 5)
    assert not page.locator(".tip").is_visible()
    assert opened.said == []


def test_a_page_without_scripts_shows_pictures(name, open_page):
    page = open_page(name, scripts=False).page
    for picture in page.locator("img.still").all():
        assert picture.is_visible()
        assert picture.evaluate("one => one.complete && one.naturalWidth") > 700
    assert page.locator(".live:visible").count() == 0


@pytest.fixture(scope="session")
def pdf_tools():
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")


def folded(text: str) -> str:
    """Return a text without spaces, in one form: PDF has others of the same kanji."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def test_no_figure_is_cut_on_paper(name, open_page, tmp_path, pdf_tools):
    page = open_page(name).page
    path = tmp_path / "page.pdf"
    page.pdf(path=path, prefer_css_page_size=True)
    text = subprocess.run(
        ["pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True
    ).stdout
    sheets = [folded(sheet) for sheet in text.split("\f")]
    found = Counter()
    for figure in figures_of(name):
        # The first line of the picture stands on the sheet of the caption below it, and
        # so does the last.
        (sheet,) = [sheet for sheet in sheets if folded(figure.caption) in sheet]
        found[sheet, folded(figure.y_title)] += 1
        before = sheet.partition(folded(figure.caption))[0]
        assert (
            before.count(folded(figure.y_title)) >= found[sheet, folded(figure.y_title)]
        )
        assert folded(figure.lines[-1].label)[:20] in before
    assert found


def test_paper_has_the_pictures_at_its_width(name, open_page):
    page = open_page(name).page
    # A4 less the margins of the style, at 96 pixels per inch.
    page.set_viewport_size({"width": 672, "height": 987})
    page.emulate_media(media="print")
    for figure in figures_of(name):
        box = element(page, figure.id).locator(".still").bounding_box()
        assert box["width"] <= 672
        assert 250 < box["height"] < 500
        assert not element(page, figure.id).locator(".live").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 672


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_no_serious_fault(name, width, open_page):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="axe-playwright-python is not installed",
    )
    page = open_page(name, width).page
    page.evaluate(
        "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
    )
    found = axe.Axe().run(page).response
    assert len(found["passes"]) > 20
    assert [
        (fault["id"], fault["impact"], fault["nodes"][0]["html"])
        for fault in found["violations"]
        if fault["impact"] in {"serious", "critical"}
    ] == []
