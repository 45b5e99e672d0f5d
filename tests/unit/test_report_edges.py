"""Reports of little, of much, of gaps, and of names that are not as they should be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from fastflow.analysis.selection import Selection
from fastflow.errors import ConfigError
from fastflow.report.compose import compose
from fastflow.report.document import Document
from fastflow.report.html import render
from fastflow.report.markdown import to_markdown
from fastflow.report.model import Report, build
from fastflow.report.words import Words
from fastflow.store import Store
from reduced import at, reduced
from report_texts import numbers_in, texts_of, words_without_digits, written

LANGUAGES = ("en", "ja")
SENSORS = """
[tokyo-1]
country = "JP"
addresses = 4
on_air = [{ from = 2020-07-01, until = 2020-10-01 }]
"""


def store_of(
    root: Path,
    rows: Iterable[Mapping[str, Any]] = (),
    sensors: str = SENSORS,
    **named: Any,
) -> Store:
    store = Store(root / "counts", create=True, **named)
    rows = list(rows)
    if rows:
        names = dict.fromkeys(row.get("sensor", "tokyo-1") for row in rows)
        for name in names:
            mine = [row for row in rows if row.get("sensor", "tokyo-1") == name]
            store.publish([reduced(f"of-{len(name)}-{hash(name)}", mine, sensor=name)])
    if sensors:
        (root / "counts" / "sensors.toml").write_text(sensors, encoding="utf-8")
    return store


def told(
    store: Store, period: str = "2020-Q3", **named: Any
) -> tuple[Report, dict[str, Document]]:
    """Return a report in both languages; all of its numbers are in its findings."""
    report = build(Selection(store, period, tz="Asia/Tokyo", **named))
    known = written(json.loads(json.dumps(report.to_json())))
    documents = {}
    for lang in LANGUAGES:
        documents[lang] = compose(report, Words.load(lang))
        for text in texts_of(compose(report, words_without_digits(lang))):
            wrong = [number for number in numbers_in(text) if number not in known]
            assert not wrong, text
        ids = [one.id for one in documents[lang].walk()]
        assert len(set(ids)) == len(ids)
    return report, documents


def pages_of(documents: Mapping[str, Document]) -> Iterator[str]:
    """Yield the pages, which are small and show no markup of names."""
    for document in documents.values():
        page = render(document)
        assert len(page.encode()) < 5_000_000
        assert "<b>" not in page[page.index("<main") :]
        yield page


def text_of(document: Document) -> str:
    return "\n".join(texts_of(document))


@pytest.mark.parametrize("sensors", [SENSORS, ""])
def test_an_empty_store(tmp_path: Path, sensors: str) -> None:
    report, documents = told(store_of(tmp_path, sensors=sensors))
    assert report.overview.rate.packets == 0
    assert report.ports.rows == report.regions == report.phenomena.sections == []
    assert "No packets were counted in this period." in text_of(documents["en"])
    assert "観測されたパケットはありませんでした。" in text_of(documents["ja"])
    if sensors:
        (gap,) = report.overview.gaps
        assert gap.hours == 92 * 24 - 9
    # No rank, no line: whoever draws has nothing to draw.
    assert documents["en"].figures == []
    for page in pages_of(documents):
        assert 'id="overview"' in page


def test_one_day_of_data(tmp_path: Path) -> None:
    rows = [{"hour": at(n), "src": f"192.0.2.{n}", "packets": n + 1} for n in range(24)]
    store = store_of(tmp_path, rows)
    report, documents = told(store, "2020-08-26")
    assert report.period.kind == "day"
    assert report.previous is None
    assert [row.key for row in report.ports.rows] == ["445/tcp"]
    assert report.ports.course.times == ["2020-08-26T00:00:00"]
    assert report.regions[0].ports[0].difference is None
    english = text_of(documents["en"])
    assert "Nothing is stored of the previous day" in english
    assert "There are too few days to tell differences from chance." in english
    assert "Previous day's rank" in english
    assert "前日の順位" in text_of(documents["ja"])


def test_a_day_within_a_quarter_leaves_the_other_days_open(tmp_path: Path) -> None:
    """Nobody listened on the other days: that is no zero."""
    report, _ = told(store_of(tmp_path, [{"hour": at(3), "packets": 7}]))
    (line,) = report.ports.course.lines
    known = {
        time[:10]: value
        for time, value in zip(report.ports.course.times, line.values, strict=True)
        if value is not None
    }
    assert known == {"2020-08-26": 7}


def test_a_period_without_a_predecessor(tmp_path: Path) -> None:
    rows = [{"hour": at(24 * n), "packets": 3, "dst_port": 23 + n} for n in range(3)]
    report, documents = told(store_of(tmp_path, rows), "2020-08")
    assert report.previous is None
    assert all(row.previous_rank is None for row in report.ports.rows)
    assert all(row.previous_packets is None for row in report.ports.rows)
    assert report.remarks["port"].moves is None
    (table,) = (one for one in documents["en"].tables if one.id == "top-ports")
    assert {row["previous_rank"] for row in table.rows} == {"–"}  # noqa: RUF001
    assert "前月のデータがないため" in text_of(documents["ja"])


def test_who_was_outside_of_the_first_ten_is_said_to_be(tmp_path: Path) -> None:
    before = [{"hour": at(-24 * 40), "dst_port": 1000 + n, "packets": 100 - n}
              for n in range(12)]  # fmt: skip
    now = [{"hour": at(0), "dst_port": 1011, "packets": 9}]
    report, documents = told(store_of(tmp_path, [*before, *now]), "2020-08")
    (row,) = report.ports.rows
    assert (row.previous_rank, row.previous_packets) == (None, 89)
    assert [one.key for one in report.remarks["port"].moves.far] == ["1011/tcp"]  # type: ignore[union-attr]
    for lang, text in (("en", "outside top 10"), ("ja", "TOP10外")):
        (table,) = (one for one in documents[lang].tables if one.id == "top-ports")
        assert table.rows[0]["previous_rank"] == text
        assert text.replace("outside", "outside the") in text_of(documents[lang])


def test_a_dead_sensor(tmp_path: Path) -> None:
    rows = [{"hour": at(24 * n), "sensor": "osaka-1", "packets": 5} for n in range(30)]
    dead = SENSORS + SENSORS.replace("tokyo-1", "osaka-1")
    store = store_of(tmp_path, rows, dead)
    report, documents = told(store)
    by_name = {one.sensor: one for one in report.overview.sensors}
    assert by_name["tokyo-1"].rate.packets == 0
    assert by_name["tokyo-1"].rate.per_address_day == 0
    assert by_name["tokyo-1"].gap_hours == by_name["tokyo-1"].hours_on_air
    # The days on the air of the dead one count.
    days = (92 * 24 - 9) / 24
    rate = report.overview.rate.per_address_day
    assert rate == pytest.approx(150 / (8 * days))
    assert report.ports.course.gaps == [("2020-07-01T00:00:00", "2020-10-01T00:00:00")]
    assert "tokyo-1" in text_of(documents["ja"])
    alone, said = told(store, sensors=["tokyo-1"])
    assert alone.overview.rate.packets == 0
    assert alone.subject.others == ["osaka-1"]
    assert "No packets were counted" in text_of(said["en"])


def test_three_hundred_countries(tmp_path: Path) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    codes = [a + b for a in letters for b in letters][:300]
    rows = [
        {"hour": at(24 * (n % 5)), "country": code, "packets": 400 - n,
         "src": f"10.0.{n // 250}.{n % 250}"}
        for n, code in enumerate([*codes, None])
    ]  # fmt: skip
    report, documents = told(store_of(tmp_path, rows))
    assert [row.key for row in report.countries.rows] == codes[:10]
    assert len(report.regions) == len(report.countries.shown) == 5
    shares = [row.share for row in report.countries.rows]
    assert sum(shares) < 1
    english = text_of(documents["en"])
    assert "Unknown (AA)" in english
    assert "Netherlands Antilles" not in english
    assert len(to_markdown(documents["ja"])) < 40_000
    for page in pages_of(documents):
        assert 'id="region-ae"' in page


@pytest.mark.parametrize(
    "period", ["2020-08", "2020-W35", "2020", "2020-08-20..2020-08-30"]
)
def test_periods_of_all_kinds(tmp_path: Path, period: str) -> None:
    report, documents = told(store_of(tmp_path, [{"hour": at(9)}]), period)
    assert report.overview.rate.packets == 1
    assert documents["ja"].title.startswith("インターネット定点観測レポート（2020年")


def test_a_store_without_sources(tmp_path: Path) -> None:
    rows = [{"hour": at(n), "packets": 3, "traffic": "backscatter"} for n in range(3)]
    store = store_of(tmp_path, rows, settings={"sources": False})
    report, documents = told(store)
    assert report.overview.sources is None
    assert report.backscatter.victims is None
    assert all(one.sources is None for one in report.phenomena.sections)
    assert "source addresses" not in documents["en"].sections[0].blocks[1].text  # type: ignore[union-attr]


NAMES = ["<b>x</b>", "a|b*c_d`e", "]]>&amp;", "1. {who}", "雪-1"]


def test_names_with_markup_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    rows = [{"hour": at(0), "sensor": name, "packets": 2} for name in NAMES]
    sensors = "\n".join(
        SENSORS.replace("tokyo-1", json.dumps(name, ensure_ascii=False))
        for name in NAMES
    )
    _, documents = told(store_of(tmp_path, rows, sensors))
    for document in documents.values():
        (table,) = (one for one in document.tables if one.id == "sensors-rates")
        assert sorted(row["sensor"] for row in table.rows) == sorted(NAMES)
        text = to_markdown(document)
        assert r"\<b\>x\</b\>" in text
        assert r"a\|b\*c\_d\`e" in text
        assert "<b>" not in text
    for page in pages_of(documents):
        assert "&lt;b&gt;x&lt;/b&gt;" in page


def test_no_period_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a report is of a period"):
        build(Selection(store_of(tmp_path)))
