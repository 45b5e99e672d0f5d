"""The page of a report: whole, closed to the network, and safe from what it says."""

import base64
import hashlib
import json
import re
import sys
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise

import pytest

pytest.importorskip("jinja2", reason="jinja2 is not installed")
pytest.importorskip("markdown_it", reason="markdown-it-py is not installed")
pytest.importorskip("vl_convert", reason="vl-convert is not installed")

from fastflow.errors import ConfigError
from fastflow.report import html
from fastflow.report.charts import has_values, value_texts
from fastflow.report.document import Document, Note, Section
from report_documents import DOCUMENTS, LABELS, LONG, MARKUP, bare, rich

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """A page as elements, (tag, attributes, text within), in order of their starts."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict, list[str]]] = []
        self.open: list[tuple[str, dict, list[str]]] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        element = (tag, dict(attributes), [])
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), []))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1][0] != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")
        else:
            self.open.pop()

    def handle_data(self, data):
        for _, _, text in self.open:
            text.append(data)

    def all(self, *tags: str) -> list[tuple[dict, str]]:
        return [
            (attributes, "".join(text))
            for tag, attributes, text in self.elements
            if tag in tags
        ]


@cache
def rendered(name: str) -> str:
    make, lang = DOCUMENTS[name]
    return html.render(make(lang))


@pytest.fixture(params=DOCUMENTS)
def name(request):
    return request.param


@pytest.fixture
def page(name):
    return Page(rendered(name))


def with_note(text: str) -> Page:
    section = Section("notes", "Notes", (), (Section("x", "X", (Note(text),)),))
    return Page(html.render(Document("en", "T", "", (section,), LABELS["en"])))


def test_every_element_is_closed(page):
    assert page.wrong == []
    assert page.open == []


def test_ids_are_unique_and_every_reference_has_one(page):
    ids = [a["id"] for _, a, _ in page.elements if "id" in a]
    assert len(set(ids)) == len(ids)
    references = [a["href"][1:] for a, _ in page.all("a") if a["href"][0] == "#"]
    references += [
        a["aria-labelledby"] for _, a, _ in page.elements if "aria-labelledby" in a
    ]
    assert set(references) <= set(ids)


def test_contents_list_every_section(name, page):
    make, lang = DOCUMENTS[name]
    links = [(a["href"], text) for a, text in page.all("a") if "class" not in a]
    wanted = [(f"#{s.id}", s.title) for s in make(lang).walk()]
    assert [link for link in links if link[0].startswith("#")] == wanted


def test_nothing_is_fetched(page):
    for tag, attributes, _ in page.elements:
        assert tag not in {"link", "iframe", "object", "embed", "form", "base"}
        for key, value in attributes.items():
            assert not key.startswith("on")
            assert key != "style"
            if key in {"src", "srcset", "data", "action", "poster"}:
                assert value.startswith("data:image/svg+xml;base64,")


def test_the_policy_allows_these_scripts_and_this_style_alone(page):
    (policy,) = [a["content"] for a, _ in page.all("meta") if "http-equiv" in a]

    def hashed(text: str) -> str:
        digest = hashlib.sha256(text.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    scripts = [text for a, text in page.all("script") if "type" not in a]
    ((_, style),) = page.all("style")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "script-src": " ".join(map(hashed, scripts)),
        "style-src": hashed(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert len(scripts) == 2


def test_vega_is_there_once_with_its_licence(name):
    text = rendered(name)
    assert text.count("window.vegaEmbed=") == 1
    assert text.count("University of Washington Interactive Data Lab") == 1


def test_pages_are_small(name):
    assert len(rendered(name).encode()) < 2_000_000


def test_names_are_shown_and_not_obeyed():
    text = rendered("rich-en")
    assert "<script>alert" not in text
    assert "<b>" not in text
    page = Page(text)
    shown = [text for _, text in page.all("h3", "td", "th", "li", "figcaption", "span")]
    assert sum(MARKUP in text for text in shown) >= 6
    assert any(LONG in text for text in shown)


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_a_page_names_its_language_and_its_parts(lang):
    page = Page(rendered(f"rich-{lang}"))
    ((root, _),) = page.all("html")
    assert root["lang"] == lang
    assert len(page.all("main")) == len(page.all("nav")) == len(page.all("h1")) == 1
    words = [text for _, text in page.all("summary", "h2", "a")]
    assert LABELS[lang]["skip"] in words
    assert LABELS[lang]["contents"] in words
    assert any(word.startswith(LABELS[lang]["data"]) for word in words)


def test_headings_skip_no_level(page):
    levels = [int(t[1]) for t, _, _ in page.elements if re.fullmatch("h[1-6]", t)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_figure_has_a_picture_a_text_and_its_data(name, page):
    make, lang = DOCUMENTS[name]
    figures = make(lang).figures
    pictures = page.all("img")
    assert [a["alt"] for a, _ in pictures] == [f.description for f in figures]
    captions = [text for _, text in page.all("figcaption")]
    assert captions == [f.caption for f in figures]
    for attributes, _ in pictures:
        svg = base64.b64decode(attributes["src"].partition(",")[2]).decode()
        assert svg.startswith("<svg")
        assert svg.endswith("</svg>")
        (size,) = re.findall(r'width="(\d+)" height="(\d+)" viewBox', svg)
        assert size == (attributes["width"], attributes["height"])
    tables = re.findall(
        r'<table id="([\w-]+)-data">(.*?)</table>', rendered(name), re.S
    )
    assert [identity for identity, _ in tables] == [f.id for f in figures]
    for (_, text), figure in zip(tables, figures, strict=True):
        cells = [text for _, text in Page(text).all("td")]
        by_time = [list(row) for row in zip(*value_texts(figure), strict=True)]
        assert cells == [cell for row in by_time for cell in row]


def test_specifications_are_those_of_figures_with_values(name, page):
    make, lang = DOCUMENTS[name]
    specs = [json.loads(text) for a, text in page.all("script") if "type" in a]
    drawn = [figure for figure in make(lang).figures if has_values(figure)]
    assert [len(spec["times"]) for spec in specs] == [len(f.times) for f in drawn]
    for spec in specs:
        assert "url" not in json.dumps(spec["spec"]["datasets"])
        assert spec["spec"]["$schema"].startswith(
            "https://vega.github.io/schema/vega-lite/"
        )


def test_tables_have_heads_and_captions(page):
    tables = page.all("table")
    assert len(page.all("caption")) == len(tables) == len(page.all("thead"))
    assert {a["scope"] for a, _ in page.all("th")} <= {"col", "row"}
    regions = [a for a, _ in page.all("div") if a.get("role") == "region"]
    assert [a["tabindex"] for a in regions] == ["0"] * len(tables)


def test_rendering_twice_gives_the_same_page():
    assert html.render(bare("ja")) == rendered("bare-ja")


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("[a](https://example.org/?a=b&c=d)", ["https://example.org/?a=b&c=d"]),
        ("[a](HTTP://example.org)", ["HTTP://example.org"]),
        ("<https://example.org>", ["https://example.org"]),
        ("[a](mailto:a@example.org)", ["mailto:a@example.org"]),
        ("[a](#x)", ["#x"]),
        ("[a](javascript:alert(1))", []),
        ("[a](JaVaScRiPt:alert(1))", []),
        ("[a](&#106;avascript:alert(1))", []),
        ("[a](data:text/html;base64,xx)", []),
        ("[a](vbscript:x) [a](file:///etc/passwd) [a](ftp://x)", []),
        ("[a](//example.org/x) [a](other.html)", []),
        ("[a]: javascript:alert(1)\n\n[a]", []),
    ],
)
def test_notes_lead_to_places_and_do_nothing(text, links):
    page = with_note(text)
    found = [
        a["href"] for a, _ in page.all("a") if a["href"] not in {"#main", "#notes"}
    ]
    # The second link of the contents leads to #x, too.
    assert found[1:] == links
    assert found[:1] == ["#x"]


def test_an_address_that_is_its_own_text_is_marked():
    """On paper, where a link leads stands behind its text."""
    page = with_note("<https://example.org/a> [b](https://example.org/b)")
    classes = {a["href"]: a.get("class") for a, _ in page.all("a")}
    assert classes["https://example.org/a"] == "bare"
    assert classes["https://example.org/b"] is None


def test_notes_have_no_html_and_no_pictures():
    page = with_note(
        "a <img src=x onerror=alert(1)>\n\n<script>x()</script>\n\n![p](https://e.org/p)"
    )
    assert page.all("img") == []
    assert len(page.all("script")) == 2
    assert "<script>x()</script>" in "".join(text for _, text in page.all("p"))


def test_headings_of_notes_stand_below_their_section():
    page = with_note("# One\n\n## Two\n\n##### Five")
    levels = [(t, "".join(x)) for t, _, x in page.elements if re.fullmatch("h[1-6]", t)]
    assert levels[3:] == [("h3", "X"), ("h4", "One"), ("h5", "Two"), ("h6", "Five")]


def test_words_that_are_missing_are_told():
    labels = {k: v for k, v in LABELS["en"].items() if k not in {"skip", "day"}}
    with pytest.raises(ConfigError, match="labels lack day, skip"):
        html.render(replace(rich("en"), labels=labels))


@pytest.mark.parametrize("package", ["altair", "jinja2", "markdown_it"])
def test_a_page_needs_its_packages(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=r"pip install 'fastflow\[report\]'"):
        html.render(bare("en"))


def test_letters_that_no_page_can_have_are_replaced():
    section = Section("x", "a\x00b", (Note("c\x1bd"),))
    page = Page(html.render(Document("en", "e\ud800f", "", (section,), LABELS["en"])))
    assert page.all("title")[0][1] == "e\ufffdf"
    assert [text for _, text in page.all("h2")][1:] == ["a\ufffdb"]
    assert "c\ufffdd" in "".join(text for _, text in page.all("p"))


def test_an_empty_document_is_a_page():
    page = Page(html.render(Document("en", "T", "", (), LABELS["en"])))
    assert page.wrong == []
    assert page.all("figure") == page.all("table") == []
