"""Figures of a report: Vega-Lite for the page, SVG and PNG from the same layers.

Times are drawn as the wall clock of the report's zone, on a scale of UTC: Vega knows no
other zones than UTC and that of whoever looks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.sax.saxutils import escape

from fastflow.charts import (
    GREY,
    HEIGHT,
    PNG_SCALE,
    WIDTH,
    need_packages,
    scale,
    strokes_of,
)
from fastflow.complete_file import complete_file
from fastflow.errors import ConfigError
from fastflow.report.document import Document, Figure
from fastflow.report.fonts import family, need_fonts, register_fonts
from fastflow.report.printable import printable

if TYPE_CHECKING:
    import altair as alt

Spec: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Dates:
    """How a language writes dates, in the codes of d3-time-format.

    Attributes
    ----------
    day, hour : str
        On an axis.
    year : str
        Below the first day of an axis.
    """

    day: str
    hour: str
    year: str


_DATES = {
    "en": Dates("%-d %b", "%H:%M", "%Y"),
    "ja": Dates("%-m月%-d日", "%-H時", "%Y年"),
}
#: Of languages that are not listed, after ISO 8601.
_ISO = Dates("%m-%d", "%H:%M", "%Y")

#: Courses of so many days have a mark on the axis for each of them.
_DAYS = 14
#: About so many marks are on the axis of values.
_VALUES = 6
#: So many symbols stand on a line, to tell it from the others.
_SYMBOLS = 8
_INK, _PALE = "#333333", "#E5E5E5"
#: Stands where there is no value.
MISSING = "\N{EN DASH}"
#: Lines that a reader has switched off, by their names in the data.
_HIDDEN = "hidden"


def page_spec(figure: Figure, lang: str) -> Spec:
    """Return a figure for a page, which writes its title and its legend in HTML.

    The page may change the parameter `hidden`: a list of lines, as `v0`, that are not
    drawn.
    """
    return _spec(figure, lang, _layers(figure, lang))


def picture_spec(figure: Figure, lang: str) -> Spec:
    """Return a figure that stands alone, with title and legend in it."""
    import altair as alt

    notes = [figure.gap_note] if figure.gaps and figure.gap_note else []
    title = alt.TitleParams(figure.y_title, subtitle=notes)
    return _spec(figure, lang, _layers(figure, lang, legend=True), title=title)


def picture_svg(figure: Figure, lang: str) -> str:
    """Draw a figure as SVG that tells its caption and description, too."""
    import vl_convert

    # Letters are measured with them.
    register_fonts()
    svg = vl_convert.vegalite_to_svg(picture_spec(figure, lang), allowed_base_urls=[])
    head, _, rest = svg.partition(">")
    words = (
        f"<title>{escape(figure.caption)}</title><desc>{escape(figure.description)}"
        "</desc>"
    )
    return f'{head} role="img">{words}{rest}'


def write_figures(document: Document, directory: str | Path) -> list[Path]:
    """Write each figure of a report as ID.svg and ID.png.

    Returns
    -------
    list of pathlib.Path
        The files, in reading order.

    Raises
    ------
    ConfigError
        The packages that draw, or a font with the language's letters, are not
        installed; the directory or a file cannot be made.
    """
    need_packages()
    need_fonts(document.lang)
    import vl_convert

    place = Path(directory)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{place}: cannot be made: {error.strerror}") from error
    written = []
    for figure in printable(document).figures:
        svg = picture_svg(figure, document.lang).encode()
        spec = picture_spec(figure, document.lang)
        png = vl_convert.vegalite_to_png(spec, scale=PNG_SCALE, allowed_base_urls=[])
        for ending, data in (("svg", svg), ("png", png)):
            path = place / f"{figure.id}.{ending}"
            with complete_file(path) as file:
                file.write(data)
            written.append(path)
    return written


def has_values(figure: Figure) -> bool:
    """Tell whether there is anything to draw."""
    return any(value is not None for line in figure.lines for value in line.values)


def value_texts(figure: Figure) -> list[list[str]]:
    """Return each line's values as people read them."""
    digits = 0 if _is_whole(figure) else 3
    return [[_text(value, digits) for value in line.values] for line in figure.lines]


def utc(time: str) -> str:
    """Return a wall clock's time as if it were UTC."""
    return f"{time}Z" if "T" in time else f"{time}T00:00:00Z"


def _spec(figure: Figure, lang: str, layers: Sequence[alt.Chart], **more: Any) -> Spec:
    import altair as alt

    chart = (
        alt.layer(*layers)
        # Symbols of the legend would have their outlines dashed.
        .resolve_legend(strokeDash="independent")
        .add_params(alt.param(name=_HIDDEN, value=[]))
        .properties(
            width=WIDTH,
            height=HEIGHT,
            description=f"{figure.caption} {figure.description}",
            config=_config(lang),
            **more,
        )
    )
    # Altair copies what it is given many times over, so that data comes afterwards.
    made: Spec = chart.to_dict() | {"datasets": _datasets(figure)}
    return made


def _config(lang: str) -> alt.Config:
    import altair as alt

    return alt.Config(
        font=family(lang),
        padding=8,
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            domainColor=_INK,
            gridColor=_PALE,
            labelColor=_INK,
            labelFontSize=12,
            tickColor=_INK,
        ),
        title=alt.TitleConfig(
            anchor="start",
            color=_INK,
            fontSize=13,
            fontWeight="normal",
            frame="bounds",
            subtitleColor=_INK,
            subtitleFontSize=12,
            offset=12,
        ),
        legend=alt.LegendConfig(
            labelColor=_INK,
            labelFontSize=12,
            labelLimit=WIDTH - 40,
            symbolOpacity=1,
            symbolSize=110,
        ),
    )


def _datasets(figure: Figure) -> dict[str, list[dict[str, Any]]]:
    """Return the data of `_layers`, by its names."""
    datasets = {"lines": _rows(figure), "symbols": list(_symbols(figure))}
    return datasets | ({"gaps": _gaps(figure)} if figure.gaps else {})


def _layers(figure: Figure, lang: str, legend: bool = False) -> list[alt.Chart]:
    """Return what all renderings of a figure share: bands, lines, symbols."""
    import altair as alt

    names = _names(figure)
    strokes = strokes_of(len(names))
    key_legend = _legend(figure) if legend and names else None
    x = alt.X(
        "time:T", title=None, scale=alt.Scale(type="utc"), axis=_axis(figure, lang)
    )
    y = alt.Y("value:Q", title=None, axis=_value_axis(figure))
    colour = alt.Color(
        "key:N", scale=scale(names, [s.colour for s in strokes]), legend=key_legend
    )
    shapes = scale(names, [s.symbol for s in strokes])
    shown = f"indexof({_HIDDEN}, datum.key) < 0"
    bands = (
        alt.Chart(alt.NamedData("gaps")).mark_rect(color=GREY).encode(x=x, x2="end:T")
    )
    lines = (
        alt.Chart(alt.NamedData("lines"))
        .transform_fold([*names], as_=["key", "value"])
        .transform_filter(shown)
        .mark_line(strokeWidth=1.8, strokeJoin="round")
        .encode(
            x=x,
            y=y,
            color=colour,
            strokeDash=alt.StrokeDash(
                "key:N", scale=scale(names, [s.dash for s in strokes]), legend=None
            ),
        )
    )
    symbols = (
        alt.Chart(alt.NamedData("symbols"))
        .transform_filter(shown)
        .mark_point(filled=True, opacity=1, size=36)
        .encode(
            x=x,
            y=y,
            color=colour,
            shape=alt.Shape("key:N", scale=shapes, legend=key_legend),
        )
    )
    # Vega warns of a layer without data.
    return [bands, lines, symbols] if figure.gaps else [lines, symbols]


def _axis(figure: Figure, lang: str) -> alt.Axis:
    """Return an axis of days; of hours between them where there is room."""
    import altair as alt

    dates = _dates(lang)
    day = f"utcFormat(datum.value, '{dates.day}')"
    year = f"utcFormat(datum.value, '{dates.year}')"
    label = f"datum.index == 0 ? [{day}, {year}] : {day}"
    if figure.every == "hour":
        hour = f"utcFormat(datum.value, '{dates.hour}')"
        label = f"utchours(datum.value) != 0 ? {hour} : ({label})"
    shape: dict[str, Any] = {}
    if figure.every == "day" and len(figure.times) <= _DAYS:
        # Left to itself, Vega would write the same day beside its noon.
        shape["tickCount"] = "day"
    return alt.Axis(
        labelExpr=label, grid=False, labelFlush=False, labelSeparation=8, **shape
    )


def _value_axis(figure: Figure) -> alt.Axis:
    import altair as alt

    ticks = _VALUES
    if _is_whole(figure):
        # Fewer packets than marks: no mark stands for half a packet.
        largest = max((v or 0 for line in figure.lines for v in line.values), default=0)
        ticks = max(1, min(ticks, round(largest)))
    return alt.Axis(
        format=",.12~g",
        domain=False,
        labelPadding=6,
        # Wide enough for a million: figures below each other begin at the same place.
        minExtent=64,
        tickCount=ticks,
        ticks=False,
    )


def _legend(figure: Figure) -> alt.Legend:
    import altair as alt

    labels = {
        name: line.label
        for name, line in zip(_names(figure), figure.lines, strict=True)
    }
    return alt.Legend(
        title=None,
        orient="bottom",
        columns=_columns(figure),
        labelExpr=f"{json.dumps(labels)}[datum.label]",
    )


def _columns(figure: Figure) -> int:
    """Return how many entries of a legend fit beside each other."""
    # A kanji is as wide as two Latin letters of 7 pixels; before them, a symbol.
    wide = max(
        (
            sum(14 if ord(letter) > 0x2E7F else 7 for letter in line.label)
            for line in figure.lines
        ),
        default=0,
    )
    return max(1, WIDTH // (wide + 40))


def _names(figure: Figure) -> list[str]:
    """Return what the lines are called in the data: labels may hold any letter."""
    return [f"v{index}" for index in range(len(figure.lines))]


def _rows(figure: Figure) -> list[dict[str, Any]]:
    columns = dict(
        zip(_names(figure), (line.values for line in figure.lines), strict=True)
    )
    return [
        {"time": utc(time)} | {name: values[n] for name, values in columns.items()}
        for n, time in enumerate(figure.times)
    ]


def _symbols(figure: Figure) -> Iterator[dict[str, Any]]:
    """Yield where symbols stand: now and then, on peaks, on values that are alone."""
    n_times = len(figure.times)
    step = max(1, n_times // _SYMBOLS)
    for index, (name, line) in enumerate(
        zip(_names(figure), figure.lines, strict=True)
    ):
        # Not all lines at the same time: where they meet, one would hide the other.
        first = step * index // len(figure.lines)
        around = (None, *line.values, None)
        largest = max((v for v in line.values if v is not None), default=None)
        peak = line.values.index(largest) if largest else None
        for n, value in enumerate(line.values):
            is_alone = around[n] is None and around[n + 2] is None
            if value is not None and (n % step == first or n == peak or is_alone):
                time = utc(figure.times[n])
                yield {"time": time, "key": name, "value": value}


def _gaps(figure: Figure) -> list[dict[str, str]]:
    return [{"time": utc(start), "end": utc(end)} for start, end in figure.gaps]


def _text(value: float | None, digits: int) -> str:
    if value is None:
        return MISSING
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text


def _is_whole(figure: Figure) -> bool:
    return all(
        value is None or float(value).is_integer()
        for line in figure.lines
        for value in line.values
    )


def _dates(lang: str) -> Dates:
    return _DATES.get(lang, _ISO)
