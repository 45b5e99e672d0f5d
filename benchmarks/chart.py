"""Charts as SVG, drawn by hand: nothing to install, and the same bytes everywhere.

They stand on a white card, so that they read on a light and on a dark page. Colours are
those of Okabe and Ito, told apart by people who see red and green alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
GREY, PALE, INK, FAINT = "#9a9a9a", "#e4e4e4", "#222222", "#666666"
FONT = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Arial, sans-serif"


@dataclass(frozen=True)
class Bar:
    """One bar: its name, its value, what is written behind it, its colour."""

    text: str
    value: float
    label: str
    colour: str = GREY


@dataclass(frozen=True)
class Series:
    """Points of one line of a panel, and the straight line or ideal beside them."""

    text: str
    xs: Sequence[float]
    ys: Sequence[float]
    ideal: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """One panel: its title, what its axis counts, its lines, what is said of them."""

    title: str
    x_text: str
    series: Sequence[Series]
    notes: Sequence[str]


class Log:
    """A logarithmic axis from one place of the drawing to another."""

    def __init__(self, low: float, high: float, begin: float, end: float) -> None:
        self.low, self.high = math.log10(low), math.log10(high)
        self.begin, self.end = begin, end

    def __call__(self, value: float) -> float:
        """Return where a value lies."""
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return self.begin + part * (self.end - self.begin)

    def decades(self) -> list[float]:
        """Return the powers of ten on the axis."""
        first, last = math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9)
        return [10.0**power for power in range(first, last + 1)]


def count(value: float) -> str:
    """Write a round number as people say it: 10 k, 1 M."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= unit:
            return f"{value / unit:.0f}{name}"
    return f"{value:.0f}"


def seconds(value: float) -> str:
    """Write a round number of seconds."""
    for unit, name in ((1.0, "s"), (1e-3, "ms")):
        if value >= unit * 0.999:
            return f"{value / unit:.0f} {name}"
    return f"{value / 1e-6:.0f} µs"


def bars(
    title: str, subtitle: str, rows: Sequence[Bar], line: Bar, notes: Sequence[str]
) -> str:
    """Draw horizontal bars on a logarithmic axis, and a line at a value."""
    left, width, top, step = 330, 900, 96, 25
    bottom = top + step * len(rows)
    values = [row.value for row in rows]
    axis = Log(
        10 ** math.floor(math.log10(min(values) / 1.5)),
        max(values) * 1.2,
        left,
        width - 110,
    )
    parts = [
        text(24, 34, title, 18, weight=600),
        text(24, 56, subtitle, 12, FAINT),
        *grid_x(axis, top - 6, bottom, "/s"),
    ]
    at = axis(line.value)
    parts += [
        text(at, top - 12, line.label, 12, line.colour, "middle", 600),
        stroke(at, top - 6, at, bottom, line.colour, 'stroke-dasharray="5 3"'),
    ]
    for number, row in enumerate(rows):
        y = top + step * number + 4
        ours = row.colour == BLUE
        length = axis(row.value) - left
        weight = 600 if ours else 400
        parts += [
            text(left - 10, y + 13, row.text, 12.5, INK, "end", weight),
            f'<rect x="{left}" y="{y:.1f}" width="{length:.1f}" height="{step - 8}" '
            f'rx="2" fill="{row.colour}"/>',
            text(
                left + length + 6, y + 13, row.label, 12, INK, weight=weight, halo=True
            ),
        ]
    for number, note in enumerate(notes):
        parts.append(text(24, bottom + 46 + 17 * number, note, 11.5, FAINT))
    return card(width, bottom + 56 + 17 * len(notes), title, parts)


def panels(title: str, subtitle: str, items: Sequence[Panel], columns: int = 3) -> str:
    """Draw panels side by side, each with both axes logarithmic."""
    wide, high = 330, 350
    rows = -(-len(items) // columns)
    parts = [text(24, 34, title, 18, weight=600), text(24, 56, subtitle, 12, FAINT)]
    for number, item in enumerate(items):
        x, y = 24 + number % columns * wide, 76 + number // columns * high
        parts += panel(item, x, y, wide - 18, high - 20)
    return card(24 + wide * columns, 76 + high * rows, title, parts)


def panel(item: Panel, x: float, y: float, wide: float, high: float) -> list[str]:
    """Draw one panel."""
    xs = [value for series in item.series for value in series.xs]
    ys = [value for series in item.series for value in (*series.ys, *series.ideal)]
    left, top = x + 52, y + 34
    bottom = y + high - 44 - 15 * len(item.notes)
    across = Log(min(xs) / 1.15, max(xs) * 1.15, left, x + wide)
    up = Log(min(ys) / 1.3, max(ys) * 1.3, bottom, top)
    parts = [
        text(x, y + 16, item.title, 14, weight=600),
        *grid_x(across, top, bottom, "", xs),
        *grid_y(up, left, x + wide),
        text((left + x + wide) / 2, bottom + 32, item.x_text, 11, FAINT, "middle"),
    ]
    for series, colour in zip(item.series, (BLUE, ORANGE, GREEN, PURPLE), strict=False):
        parts += lines(series, across, up, colour)
    for number, note in enumerate(item.notes):
        colour = (BLUE, ORANGE, GREEN, PURPLE)[number] if number < 4 else FAINT
        parts.append(text(x, bottom + 50 + 15 * number, note, 11, colour, weight=600))
    return parts


def lines(series: Series, across: Log, up: Log, colour: str) -> list[str]:
    """Draw measured points, and the line that they should lie on."""
    ideal = " ".join(
        f"{across(x):.1f},{up(y):.1f}"
        for x, y in zip(series.xs, series.ideal, strict=True)
    )
    dots = [
        f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3.4" fill="{colour}"/>'
        for x, y in zip(series.xs, series.ys, strict=True)
    ]
    return [
        f'<polyline points="{ideal}" fill="none" stroke="{colour}" '
        f'stroke-width="1.4" stroke-dasharray="4 3"/>',
        *dots,
    ]


def grid_x(
    axis: Log, top: float, bottom: float, unit: str, ticks: Iterable[float] = ()
) -> list[str]:
    """Draw the decades of the axis below; the values themselves where it has few."""
    decades = axis.decades()
    values = decades if len(decades) > 1 else sorted(set(ticks))
    return [
        part
        for value in values
        for part in (
            stroke(axis(value), top, axis(value), bottom, PALE),
            text(axis(value), bottom + 16, count(value) + unit, 11, FAINT, "middle"),
        )
    ]


def grid_y(axis: Log, left: float, right: float) -> list[str]:
    """Draw the decades of the axis at the left; 1-2-5 steps where it has few."""
    values = axis.decades()
    if len(values) < 2:
        low = 10 ** math.floor(axis.low)
        steps = [low * step for step in (1, 2, 5, 10, 20, 50)]
        values = [s for s in steps if axis.low <= math.log10(s) <= axis.high]
    return [
        part
        for value in values
        for part in (
            stroke(left, axis(value), right, axis(value), PALE),
            text(left - 6, axis(value) + 4, seconds(value), 11, FAINT, "end"),
        )
    ]


def text(
    x: float,
    y: float,
    what: str,
    size: float,
    colour: str = INK,
    anchor: str = "start",
    weight: int = 400,
    halo: bool = False,
) -> str:
    """Return a text; a halo keeps it apart from the lines that it lies on."""
    around = ' paint-order="stroke" stroke="#ffffff" stroke-width="4"' if halo else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}" font-weight="{weight}"{around}>{escape(what)}</text>'
    )


def stroke(
    x1: float, y1: float, x2: float, y2: float, colour: str, more: str = ""
) -> str:
    """Return a straight line."""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{colour}" {more}/>'
    )


def card(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """Return the whole drawing on its white card."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
            f'height="{height}" viewBox="0 0 {width} {height}" role="img" '
            f'font-family="{FONT}">',
            f"<title>{escape(title)}</title>",
            f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8" '
            'fill="#ffffff" stroke="#d0d7de"/>',
            *parts,
            "</svg>\n",
        ]
    )
