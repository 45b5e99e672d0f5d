"""A report as one HTML page: styles, scripts and figures are in it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from fastflow._version import __version__
from fastflow.charts import GREY, Stroke, need_packages, strokes_of
from fastflow.errors import ConfigError
from fastflow.report import document as layout
from fastflow.report.charts import (
    has_values,
    page_spec,
    picture_svg,
    utc,
    value_texts,
)
from fastflow.report.document import Column, Document, Figure, Line
from fastflow.report.fonts import family
from fastflow.report.printable import printable

if TYPE_CHECKING:
    from jinja2 import Environment
    from markdown_it import MarkdownIt
    from markupsafe import Markup

#: The words that a page takes from `Document.labels`: heads of the table of contents
#: and of a figure's data, of its times, the link to the content, what a legend is.
LABELS = ("contents", "data", "day", "hour", "lines", "skip")

#: Where a note may lead, besides places in the page.
_SCHEMES = re.compile(r"(https?://|mailto:|#)", re.IGNORECASE)
#: Figures that are drawn at a time: one is while another's specification is made.
_AT_ONCE = 2
#: Letters: words up to this are not broken in a table.
_LONG_WORD = 20
_BLOCKS = (
    layout.Paragraph,
    layout.Note,
    layout.Bullets,
    layout.Table,
    layout.Figure,
)


@dataclass(frozen=True)
class Drawn:
    """A figure, and all that the page shows of it.

    Attributes
    ----------
    spec : dict or None
        Vega-Lite, if there is anything to draw.
    times : list of str
        Of its rows, as Vega reads them.
    still : str
        A picture as an URL: for printing, and for readers without scripts.
    width, height : int
        Of the picture, in pixels.
    lines : list of (Line, Stroke)
    columns, rows
        A table of its data.
    """

    figure: Figure
    spec: dict[str, Any] | None
    times: list[str]
    still: str
    width: int
    height: int
    lines: list[tuple[Line, Stroke]]
    columns: list[Column]
    rows: list[dict[str, str]]


def render(document: Document) -> str:
    """Return a report as a page.

    It makes no request, whatever stands in it: its policy forbids any (Content Security
    Policy Level 3). Vega, Vega-Lite and Vega-Embed are in it once.

    Raises
    ------
    ConfigError
        The packages that render are not installed, or one of LABELS is missing.
    """
    _need_packages()
    missing = [name for name in LABELS if name not in document.labels]
    if missing:
        raise ConfigError(f"the report's labels lack {', '.join(missing)}")
    document = printable(document)
    style = _text("page.css").replace("FONTS", family(document.lang))
    scripts = [_vega(), _text("page.js")]
    with ThreadPoolExecutor(_AT_ONCE) as workers:
        drawings = workers.map(lambda figure: _draw(figure, document), document.figures)
        drawn = {one.figure.id: one for one in drawings}
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            document=document,
            drawn=drawn,
            grey=GREY,
            labels=document.labels,
            policy=_policy(style, scripts),
            scripts=scripts,
            style=style,
            version=__version__,
        )
    )


def _need_packages() -> None:
    need_packages()
    try:
        import jinja2  # noqa: F401
        import markdown_it  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "a page takes more packages: pip install 'fastflow[report]'"
        ) from error


def _draw(figure: Figure, document: Document) -> Drawn:
    svg = picture_svg(figure, document.lang)
    size = re.match(r'<svg[^>]* width="([\d.]+)" height="([\d.]+)"', svg)
    if size is None:
        raise AssertionError(svg[:200])
    encoded = base64.b64encode(svg.encode()).decode()
    times = Column("time", document.labels[figure.every])
    names = [f"v{n}" for n in range(len(figure.lines))]
    return Drawn(
        figure,
        page_spec(figure, document.lang) if has_values(figure) else None,
        [utc(time) for time in figure.times],
        f"data:image/svg+xml;base64,{encoded}",
        round(float(size[1])),
        round(float(size[2])),
        list(zip(figure.lines, strokes_of(len(figure.lines)), strict=True)),
        [
            times,
            *(
                Column(name, line.label, is_number=True)
                for name, line in zip(names, figure.lines, strict=True)
            ),
        ],
        [
            {"time": _time_text(figure, time)} | dict(zip(names, values, strict=True))
            for time, *values in zip(figure.times, *value_texts(figure), strict=True)
        ],
    )


def _time_text(figure: Figure, time: str) -> str:
    """Return a time as ISO 8601 writes it, with a space."""
    day, _, clock = time.partition("T")
    return f"{day} {clock[:5]}" if figure.every == "hour" else day


def _policy(style: str, scripts: Sequence[str]) -> str:
    allowed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _text(name: str) -> str:
    return files("fastflow.report").joinpath("page", name).read_text(encoding="utf-8")


@cache
def _vega() -> str:
    """Return the libraries that draw, with what their licences ask for."""
    import vl_convert

    code = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # Within a page this would end the script; in JavaScript it is the same text.
    code = code.replace("</script", r"<\/script")
    return f"/*!\n{_text('licences.txt')}*/\n{code}"


@cache
def _environment() -> Environment:
    """Return Jinja, with a test for each kind of block."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["markdown"] = _markdown
    environment.tests["long"] = _is_long
    for kind in _BLOCKS:
        environment.tests[kind.__name__.lower()] = kind.__instancecheck__
    return environment


def _is_long(text: str) -> bool:
    """Tell whether a column would be too wide if this text's words stayed whole."""
    return max(map(len, text.split()), default=0) > _LONG_WORD


def _markdown(text: str, level: int) -> Markup:
    """Render an analyst's note; its headings stand below that of its section."""
    from markupsafe import Markup

    parser = _parser()
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, level + int(token.tag[1:]))}"
        for inner in token.children or ():
            if inner.type == "link_open" and inner.markup == "autolink":
                inner.attrSet("class", "bare")  # its text is where it leads
    return Markup(parser.renderer.render(tokens, parser.options, {}))


@cache
def _parser() -> MarkdownIt:
    """Return a parser of CommonMark without HTML, pictures, and odd links."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).disable("image")
    parser.validateLink = lambda url: _SCHEMES.match(url) is not None  # type: ignore[method-assign]
    return parser
