"""Figures of a report: what is drawn is what the document says, in files that open."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("altair", reason="altair is not installed")
vl_convert = pytest.importorskip("vl_convert", reason="vl-convert is not installed")

from fastflow.charts import COLOURS, DASHES, GREY, SYMBOLS, strokes_of  # noqa: E402
from fastflow.errors import ConfigError  # noqa: E402
from fastflow.report import charts, fonts  # noqa: E402
from fastflow.report.document import Line  # noqa: E402
from fastflow.report.printable import printable  # noqa: E402
from report_documents import (  # noqa: E402
    COUNTRIES,
    LONG,
    MARKUP,
    PORTS,
    bare,
    days,
    hours_figure,
    ports_table,
    quarter_figure,
    rich,
)

FIGURE = quarter_figure("en", 1, PORTS)


def marks(spec: dict, kind: str) -> list[dict]:
    """Return the groups of marks of a kind, as Vega draws them."""
    found = []

    def walk(node: dict) -> None:
        if node.get("marktype") == kind:
            found.append(node)
        for item in node.get("items", ()):
            walk(item)

    walk(vl_convert.vegalite_to_scenegraph(spec)["scenegraph"])
    return found


def texts(svg: str) -> list[str]:
    return [
        "".join(element.itertext())
        for element in ElementTree.fromstring(svg).iter()
        if element.tag.endswith("}text")
    ]


@pytest.mark.parametrize("make", [charts.page_spec, charts.picture_spec])
def test_lines_go_through_the_values(make):
    figure = replace(FIGURE, gaps=())
    lines = marks(make(figure, "en"), "line")
    assert len(lines) == len(figure.lines)
    drawn, said = [], []
    for line, group in zip(figure.lines, lines, strict=True):
        points = group["items"]
        assert len(points) == len(line.values)
        x = [point["x"] for point in points]
        assert np.ptp(np.diff(x)) < 1e-6
        for point, value in zip(points, line.values, strict=True):
            assert point.get("defined", True) == (value is not None)
            if value is not None:
                drawn.append(point["y"])
                said.append(value)
    scale, zero = np.polyfit(said, drawn, 1)
    assert np.allclose(scale * np.array(said) + zero, drawn, atol=1e-6)
    assert zero == pytest.approx(charts.HEIGHT)


def test_lines_differ_in_colour_dash_and_symbol():
    svg = charts.picture_svg(FIGURE, "en")
    for stroke in strokes_of(5):
        assert f'stroke="{stroke.colour}"' in svg
        assert f'stroke-dasharray="{",".join(map(str, stroke.dash))}"' in svg
    assert len({s.dash for s in strokes_of(5)}) == 5
    assert len({s.symbol for s in strokes_of(5)}) == 5
    many = strokes_of(40)
    assert len({(s.colour, s.dash) for s in many}) == 40
    assert {s.colour for s in many} == set(COLOURS)
    assert {s.dash for s in many} == set(DASHES)
    assert {s.symbol for s in many} == set(SYMBOLS)


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_first_lines_stand_out_from_the_paper():
    for stroke in strokes_of(5):
        assert 1.05 / (luminance(stroke.colour) + 0.05) >= 3, stroke


def test_symbols_of_lines_stand_on_them_at_different_times():
    (points,) = marks(charts.page_spec(FIGURE, "en"), "symbol")
    places = [round(point["x"], 3) for point in points["items"]]
    assert len(set(places)) == len(places)
    for index, stroke in enumerate(strokes_of(5)):
        mine = [p for p in points["items"] if p["fill"] == stroke.colour]
        assert 7 <= len(mine) <= 10, index


def test_a_value_without_neighbours_has_a_symbol():
    figure = bare("en").figures[2]
    (points,) = marks(charts.page_spec(figure, "en"), "symbol")
    y = sorted(point["y"] for point in points["items"])
    # 0, 2 and the run 1, 1, 0: symbols are not so far apart in a week.
    assert y[0] == 0
    assert len(y) == 5


def test_gaps_are_grey_and_told():
    svg = charts.picture_svg(FIGURE, "en")
    assert svg.count(f'fill="{GREY}"') == len(FIGURE.gaps)
    assert FIGURE.gap_note in texts(svg)
    without = charts.picture_svg(replace(FIGURE, gaps=()), "en")
    assert GREY not in without
    assert FIGURE.gap_note not in texts(without)


def test_gap_is_as_wide_as_its_days():
    (bands,) = marks(charts.page_spec(FIGURE, "en"), "rect")
    lines = marks(charts.page_spec(FIGURE, "en"), "line")
    day = lines[0]["items"][1]["x"] - lines[0]["items"][0]["x"]
    assert [round(band["width"] / day, 6) for band in bands["items"]] == [4, 1]


@pytest.mark.parametrize(
    ("lang", "figure", "wanted"),
    [
        ("en", FIGURE, ["5 Jul2020", "12 Jul", "20,000", "packets per day", *PORTS]),
        ("ja", quarter_figure("ja", 2, COUNTRIES["ja"]), ["7月5日2020年", "ロシア"]),
        ("ja", hours_figure("ja"), ["8月26日2020年", "12時", "8月27日"]),
        ("en", hours_figure("en"), ["26 Aug2020", "12:00", "27 Aug"]),
        ("xx", FIGURE, ["07-052020", "07-12"]),
    ],
)
def test_axes_speak_the_language_of_the_document(lang, figure, wanted):
    found = texts(charts.picture_svg(figure, lang))
    assert [text for text in wanted if text not in found] == []


def test_times_are_the_wall_clock_wherever_the_reader_is():
    """Vega draws in the zone of its process: ask processes elsewhere."""
    code = (
        "import report_documents as r; from fastflow.report.charts import picture_svg;"
        "print(picture_svg(r.hours_figure('en'), 'en'))"
    )
    drawn = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"TZ": zone, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for zone in ("UTC", "Asia/Tokyo", "America/New_York")
    }
    assert len(drawn) == 1


def test_whole_numbers_have_no_marks_between_them():
    figure = bare("en").figures[2]
    assert {"0", "1", "2"} <= set(texts(charts.picture_svg(figure, "en")))
    assert "0.5" not in texts(charts.picture_svg(figure, "en"))


def test_labels_hold_any_letters():
    labels = (MARKUP, LONG, "a.b[0]['c']", 'quote " and \\', "a\u2028\N{GRINNING FACE}")
    svg = charts.picture_svg(quarter_figure("en", 1, labels), "en")
    found = texts(svg)
    assert {MARKUP, *labels[2:]} <= set(found)
    # Too long for the picture: it is cut, and does not make the picture wider.
    (cut,) = [text for text in found if text.startswith("organisation")]
    assert cut.endswith("\N{HORIZONTAL ELLIPSIS}")
    assert width_of(svg) < charts.WIDTH + 100


ODD = "a\x00b\x1bc\x0bd\ufffee\ud800f"
PLAIN = "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf"


def test_letters_that_no_picture_can_have_are_replaced(tmp_path):
    # In a process of its own: vl-convert ends the process at some of them.
    code = (
        "import sys; from dataclasses import replace; import report_documents as r;"
        "from fastflow.report.charts import write_figures;"
        "figure = replace(r.hours_figure('en'), y_title=sys.argv[1].encode()"
        ".decode('unicode_escape'));"
        "section = r.Section('x', '', (figure,));"
        "write_figures(r.Document('en', '', '', (section,)), sys.argv[2])"
    )
    odd = ODD.encode("unicode_escape").decode()
    done = subprocess.run(
        [sys.executable, "-c", code, odd, tmp_path],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert PLAIN in texts((tmp_path / "5-hours.svg").read_text())


@pytest.mark.parametrize("text", ["\t\n\r", "\u2028", "\N{GRINNING FACE}", MARKUP])
def test_letters_that_are_allowed_stay(text):
    assert printable(text) == text
    table = ports_table("en")
    assert printable(replace(table, caption=text)).caption == text
    assert printable(table) == table


def width_of(svg: str) -> float:
    (width,) = re.findall(r'^<svg[^>]* width="([\d.]+)"', svg)
    return float(width)


def test_values_are_told_as_whole_as_they_are():
    assert charts.value_texts(replace(FIGURE, lines=())) == []
    whole = replace(FIGURE, lines=(Line("a", "a", (1234567, None, 2.0)),))
    assert charts.value_texts(whole) == [["1,234,567", "\N{EN DASH}", "2"]]
    parts = replace(FIGURE, lines=(Line("a", "a", (1234.5, 0.0125, 10, 0.0)),))
    assert charts.value_texts(parts) == [["1,234.5", "0.013", "10", "0"]]


def test_svg_tells_what_it_shows():
    figure = replace(FIGURE, caption=MARKUP, description=MARKUP)
    root = ElementTree.fromstring(charts.picture_svg(figure, "en"))
    assert root.get("role") == "img"
    assert [root[0].text, root[1].text] == [MARKUP, MARKUP]


@pytest.mark.parametrize("make", [rich, bare])
def test_each_figure_is_written_as_svg_and_png(make, tmp_path):
    document = make("ja")
    written = charts.write_figures(document, tmp_path / "new" / "figures")
    assert sorted(written) == sorted((tmp_path / "new" / "figures").iterdir())
    assert [path.name for path in written] == [
        f"{figure.id}.{ending}"
        for figure in document.figures
        for ending in ("svg", "png")
    ]
    for path in written:
        data = path.read_bytes()
        if path.suffix == ".svg":
            ElementTree.fromstring(data)
        else:
            assert data.startswith(b"\x89PNG\r\n")


def test_figures_are_the_same_bytes_each_time(tmp_path):
    document = rich("en")
    first = charts.write_figures(document, tmp_path / "1")
    second = charts.write_figures(document, tmp_path / "2")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_figures_need_a_place(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="taken: cannot be made"):
        charts.write_figures(bare("en"), tmp_path / "taken")


def test_figures_need_their_packages(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(ConfigError, match=r"pip install 'fastflow\[report\]'"):
        charts.write_figures(bare("en"), tmp_path)


def test_japanese_pictures_need_a_japanese_font(tmp_path, monkeypatch):
    # What is drawn where no font has the letters: the same for all of them.
    monkeypatch.setattr(fonts, "_picture", lambda letter: b"")
    with pytest.raises(ConfigError, match=r"fonts-ipaexfont.*fastflow\[fonts\]"):
        charts.write_figures(bare("ja"), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert charts.write_figures(bare("en"), tmp_path)


def test_letters_that_no_font_has_look_alike():
    # Two of the private use area, which no font of a system uses.
    assert fonts._picture("\U000f1234") == fonts._picture("\U000f4321")
    assert fonts._picture("\u65e5") != fonts._picture("A")


def test_times_without_an_hour_are_days():
    midnight = charts.page_spec(FIGURE, "en")
    plain = replace(
        FIGURE,
        times=tuple(time[:10] for time in FIGURE.times),
        gaps=tuple((start[:10], end[:10]) for start, end in FIGURE.gaps),
    )
    assert json.dumps(charts.page_spec(plain, "en")) == json.dumps(midnight)
    assert FIGURE.times[:1] == days("2020-07-01", 1)
