"""Figures of courses over time: SVG, PNG, and HTML that needs no network.

One Vega-Lite specification serves all three. Its packages are the extra `report`, and
are imported when a figure is drawn.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fastflow.complete_file import complete_file
from fastflow.errors import ConfigError

if TYPE_CHECKING:
    import altair as alt

FORMATS = ("svg", "png", "html")

#: Told apart by whoever sees fewer colours; after Okabe and Ito (2008). The first five
#: stand out from white by 3 to 1 (WCAG 2.2, 1.4.11).
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#F0E442",
)
#: For whoever sees none. Colours, dashes and symbols come round at different times: 40
#: lines look different.
DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (12, 3))
#: SVG paths from -1 to 1: circle, square, triangle, diamond, triangle upside down.
SYMBOLS = (
    "M-1,0A1,1,0,1,1,1,0A1,1,0,1,1,-1,0Z",
    "M-0.9,-0.9H0.9V0.9H-0.9Z",
    "M0,-1.1L1.1,0.9H-1.1Z",
    "M0,-1.2L1.2,0L0,1.2L-1.2,0Z",
    "M0,1.1L1.1,-0.9H-1.1Z",
)
#: Stretches in which something is missing.
GREY = "#D9D9D9"

#: In courses of so many days each has a place on the axis.
_LABELS = 14
_STEP = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
}
WIDTH, HEIGHT = 720, 320  # pixels
PNG_SCALE = 2


def need_packages() -> None:
    """Raise ConfigError where the packages that draw are not installed."""
    try:
        import altair  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "figures take more packages: pip install 'fastflow[report]'"
        ) from error


@dataclass(frozen=True)
class Stroke:
    """How a line looks: one of COLOURS, DASHES and SYMBOLS each."""

    colour: str
    dash: tuple[int, ...]
    symbol: str


def strokes_of(n_lines: int) -> list[Stroke]:
    """Return how the lines of a figure look, in the order of its legend."""
    looks = zip(cycle(COLOURS), cycle(DASHES), cycle(SYMBOLS), strict=False)
    return [Stroke(*look) for look in islice(looks, n_lines)]


def scale(keys: Sequence[str], values: Sequence[Any]) -> alt.Scale:
    """Return a scale that gives each key its value."""
    import altair as alt

    return alt.Scale(domain=list(keys), range=list(values))


def trend_chart(
    course: pa.Table, every: str, title: str
) -> alt.LayerChart | alt.FacetChart:
    """Draw a course over time: a line for each key, grey where hours are missing.

    Parameters
    ----------
    course : pyarrow.Table
        From `fastflow.analysis.trend.trend`.
    every : str
        Its steps: hour, day or week.
    title : str
        What is shown.
    """
    import altair as alt

    column, unit = _measure(course, every)
    rows = [
        {"time": _wall(row["time"]), "key": row["key"], "value": row[column]}
        for row in course.to_pylist()
    ]
    keys = list(dict.fromkeys(row["key"] for row in rows))
    strokes = strokes_of(len(keys))
    gaps = _gaps(course, every)
    n_steps = len(rows) // max(1, len(keys))
    time = alt.X(
        "time:T",
        title=f"{every} ({course.schema.field('time').type.tz})",
        scale=alt.Scale(type="utc"),
        axis=_time_axis(every, n_steps),
    )
    lines = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(point=n_steps == 1)
        .encode(
            x=time,
            y=alt.Y("value:Q", title=unit),
            color=alt.Color(
                "key:N", title=None, scale=scale(keys, [s.colour for s in strokes])
            ),
            strokeDash=alt.StrokeDash(
                "key:N", scale=scale(keys, [s.dash for s in strokes])
            ),
        )
    )
    bands = (
        alt.Chart(alt.InlineData(values=gaps))
        .mark_rect(color=GREY)
        .encode(x=time, x2="end:T")
    )
    note = ["grey: hours of a sensor are missing"] if gaps else []
    return alt.layer(bands, lines).properties(
        width=WIDTH, height=HEIGHT, title=alt.TitleParams(title, subtitle=note)
    )


def write_figure(
    chart: alt.LayerChart | alt.FacetChart, file_format: str, output: str
) -> None:
    """Write a figure in one of FORMATS.

    Raises
    ------
    ConfigError
        The file cannot be made.
    """
    if file_format == "png":
        image = io.BytesIO()
        chart.save(image, format="png", scale_factor=PNG_SCALE)
        data = image.getvalue()
    elif file_format == "svg":
        text = io.StringIO()
        chart.save(text, format="svg")
        data = text.getvalue().encode()
    else:
        data = chart.to_html(inline=True).encode()
    with complete_file(output) as file:
        file.write(data)


def _measure(course: pa.Table, every: str) -> tuple[str, str]:
    """Return the column to draw, and its unit."""
    if "per_address_day" in course.column_names:
        return "per_address_day", "packets per sensor address and day"
    if "sources" in course.column_names:
        return "sources", f"distinct source addresses per {every}"
    return "packets", f"packets per {every}"


def _gaps(course: pa.Table, every: str) -> list[dict[str, str]]:
    """Return the steps in which hours of a sensor are missing."""
    starts = course["time"].unique().to_pylist()
    ends = [*starts[1:], *[start + _STEP[every] for start in starts[-1:]]]
    missing = set(course["time"].filter(course["gap"]).to_pylist())
    return [
        {"time": _wall(start), "end": _wall(end)}
        for start, end in zip(starts, ends, strict=True)
        if start in missing
    ]


def _wall(time: datetime) -> str:
    """Return what a clock of the time's zone shows, as if it were UTC.

    Vega knows UTC and the zone of whoever looks, and no other.
    """
    return time.replace(tzinfo=UTC).isoformat()


def _time_axis(every: str, n_steps: int) -> alt.Axis:
    import altair as alt

    if every == "hour":
        return alt.Axis(format="%m-%d %H:%M")
    if every == "day" and n_steps <= _LABELS:
        # Left to itself, Vega would write the same day beside its noon.
        return alt.Axis(format="%Y-%m-%d", tickCount="day")
    return alt.Axis(format="%Y-%m-%d")
