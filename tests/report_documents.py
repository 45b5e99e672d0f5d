"""Documents as renderers may get them: rich ones in two languages, and odd ones."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta

from fastflow.report.document import (
    Bullets,
    Column,
    Document,
    Figure,
    Line,
    Note,
    Paragraph,
    Section,
    Table,
)

MARKUP = "<b>&\"'</b><script>alert(1)</script>"
LONG = "organisation" * 12
HOSTILE_NOTE = """# Heading of a note

Text with *emphasis*, `code`, and <script>alert(1)</script> markup.

- [good](https://example.org/a?b=c&d=e), [mail](mailto:soc@example.org)
- [bad](javascript:alert(1)), [worse](data:text/html,x), [file](file:///etc/passwd)
- ![picture](https://example.org/tracker.png)
- <https://example.org/auto>
"""

LABELS = {
    "en": {
        "contents": "Contents",
        "skip": "Skip to the content",
        "data": "Data of this figure",
        "lines": "Lines shown",
        "day": "Day",
        "hour": "Hour",
    },
    "ja": {
        "contents": "目次",
        "skip": "本文へ移動",
        "data": "この図のデータ",
        "lines": "表示する系列",
        "day": "日付",
        "hour": "日時",
    },
}

WORDS = {
    "en": {
        "title": "Internet threat monitoring report",
        "subtitle": "July to September 2020 · sensors in Japan · days of Asia/Tokyo",
        "overview": "Overview",
        "paragraph": "The sensors in Japan received 12,345,678 packets in this "
        "quarter, sorted here by destination port and by source region. A window "
        "class is not a verdict: window 8192 is also the ordinary SYN of Windows 7.",
        "ports": "Destination ports",
        "regions": "Source regions",
        "phenomena": "Notable phenomena",
        "burst": "Short bursts from New Zealand",
        "table": "Top destination ports",
        "rank": "Rank",
        "port": "Destination port",
        "before": "Previous quarter",
        "packets": "Packets",
        "figure": "Packets a day",
        "y": "packets per day",
        "gap": "Grey: hours of a sensor are missing",
        "method": "Method and limits",
        "see": "445/TCP stays high all along, and 22/TCP rises from mid-August.",
    },
    "ja": {
        "title": "インターネット定点観測レポート",
        "subtitle": "2020年7月-9月 · 国内センサー · 日付は日本時間",
        "overview": "概況",
        "paragraph": "本四半期に国内のセンサーで観測したパケットは12,345,678件でした。"
        "宛先ポート番号別および送信元地域別に集計した結果を示します。"
        "ウインドウサイズの分類は断定ではありません。"
        "ウインドウサイズ8192は、Windows 7の通常のSYNパケットでも使われます。",
        "ports": "宛先ポート番号",
        "regions": "送信元地域",
        "phenomena": "注目された現象",
        "burst": "ニュージーランドを送信元とする短時間のパケットの増加",
        "table": "宛先ポート番号 TOP5",
        "rank": "順位",
        "port": "宛先ポート番号",
        "before": "前四半期の順位",
        "packets": "パケット数",
        "figure": "宛先ポート番号別パケット観測数の推移",
        "y": "1日あたりのパケット数",
        "gap": "灰色: センサーの記録に欠けた時間帯があります",
        "method": "集計方法と制約",
        "see": "445/TCPは期間を通じて多く、22/TCPは8月中旬から増加しています。",
    },
}
PORTS = ("445/TCP", "23/TCP", "1433/TCP", "22/TCP", "80/TCP")
COUNTRIES = {
    "en": ("United States", "Russia", "China", "Netherlands", "Germany"),
    "ja": ("米国", "ロシア", "中国", "オランダ", "ドイツ"),
}


def days(first: str, n: int, step: timedelta = timedelta(days=1)) -> tuple[str, ...]:
    start = datetime.fromisoformat(first)
    return tuple((start + step * i).isoformat() for i in range(n))


def course(seed: int, n: int, level: float, rise: float = 0) -> tuple[float, ...]:
    draw = random.Random(seed)
    return tuple(
        round(level * (1 + rise * i / n) * draw.uniform(0.85, 1.15)) for i in range(n)
    )


def quarter_figure(lang: str, number: int, labels: tuple[str, ...]) -> Figure:
    """Return a figure of five lines over 92 days, with gaps."""
    words = WORDS[lang]
    times = days("2020-07-01", 92)
    levels = (82000, 64000, 21000, 17000, 12000)
    lines = [
        Line(label, label, course(number * 10 + i, 92, levels[i], 0.6 if i == 3 else 0))
        for i, label in enumerate(labels)
    ]
    holes = tuple(None if 30 <= n < 34 else v for n, v in enumerate(lines[1].values))
    lines[1] = replace(lines[1], values=holes)
    return Figure(
        id=f"figure-{number}",
        caption=f"{'図' if lang == 'ja' else 'Figure '}{number}. {words['figure']}",
        description=words["see"],
        every="day",
        times=times,
        y_title=words["y"],
        lines=tuple(lines),
        gaps=((times[30], times[34]), (times[70], times[71])),
        gap_note=words["gap"],
    )


def hours_figure(lang: str) -> Figure:
    """Return a figure of a burst, by the hour, of rates that are no whole numbers."""
    words = WORDS[lang]
    times = days("2020-08-26", 192, timedelta(hours=1))
    values = [0.25] * 192
    for hour in (40, 41, 110, 135):
        values[hour] = 81.4375
    label = "ニュージーランド" if lang == "ja" else "New Zealand"
    return Figure(
        id="5-hours",
        caption="図5" if lang == "ja" else "Figure 5. Packets from New Zealand",
        description=words["see"],
        every="hour",
        times=times,
        y_title=words["y"],
        lines=(Line("NZ", label, tuple(values)),),
    )


def ports_table(lang: str) -> Table:
    words = WORDS[lang]
    rows = tuple(
        {
            "rank": str(n),
            "port": port,
            "before": str(6 - n),
            "packets": f"{6 - n},234,567",
        }
        for n, port in enumerate(PORTS, 1)
    )
    return Table(
        id="table-1",
        caption=f"{'表' if lang == 'ja' else 'Table '}1. {words['table']}",
        columns=(
            Column("rank", words["rank"], is_number=True),
            Column("port", words["port"]),
            Column("before", words["before"], is_number=True),
            Column("packets", words["packets"], is_number=True),
        ),
        rows=rows,
        data=rows,
    )


def wide_table(lang: str) -> Table:
    """Return 300 rows, wider than a telephone, with words that cannot be broken."""
    keys = [f"c{i}" for i in range(9)]
    rows = tuple(
        {key: f"{n * i:,}" for i, key in enumerate(keys)}
        | {"name": LONG if n == 3 else MARKUP if n == 5 else f"AS{64512 + n}"}
        for n in range(300)
    )
    columns = [Column(key, f"{WORDS[lang]['packets']} {key}", True) for key in keys]
    return Table(
        id="table-9",
        caption=f"{'表' if lang == 'ja' else 'Table '}9. {MARKUP}",
        columns=(Column("name", LONG), *columns),
        rows=rows,
        data=rows,
    )


def rich(lang: str) -> Document:
    """Return a report with all that a document may hold."""
    words = WORDS[lang]
    odd = replace(
        quarter_figure(lang, 3, (MARKUP, LONG, "image", "title", "a.b[0]['c']")),
        caption=f"{'図' if lang == 'ja' else 'Figure '}3. {MARKUP}",
    )
    text = Paragraph(words["paragraph"])
    see = Paragraph(words["see"])
    bullets = Bullets((words["see"], MARKUP, LONG))
    return Document(
        lang=lang,
        title=words["title"],
        subtitle=words["subtitle"],
        labels=LABELS[lang],
        sections=(
            Section(
                "overview",
                words["overview"],
                (text, text),
                (
                    Section(
                        "ports",
                        words["ports"],
                        (see, ports_table(lang), quarter_figure(lang, 1, PORTS)),
                    ),
                    Section(
                        "regions",
                        words["regions"],
                        (text, quarter_figure(lang, 2, COUNTRIES[lang]), see),
                    ),
                ),
            ),
            Section(
                "phenomena",
                words["phenomena"],
                (text,),
                (
                    Section(
                        "burst",
                        words["burst"],
                        (text, hours_figure(lang), Note(HOSTILE_NOTE)),
                    ),
                    Section("markup", MARKUP, (bullets, odd, wide_table(lang))),
                ),
            ),
            Section("method", words["method"], (text, bullets)),
        ),
    )


def bare(lang: str) -> Document:
    """Return a report of a period of which there is next to nothing."""
    one_day = replace(
        quarter_figure(lang, 1, PORTS),
        caption="1. A day",
        times=days("2020-07-01", 1),
        lines=(Line("445/tcp", "445/TCP", (17,)), Line("23/tcp", "23/TCP", (None,))),
        gaps=(),
    )
    nothing = replace(one_day, id="figure-2", caption="2. Nothing", times=(), lines=())
    week = replace(
        one_day,
        id="figure-3",
        caption="3. A week",
        times=days("2020-12-29", 7),
        lines=(Line("x", "445/TCP", (0, None, 2, None, 1, 1, 0)),),
    )
    empty = replace(ports_table(lang), rows=(), data=())
    return Document(
        lang=lang,
        title=WORDS[lang]["title"],
        subtitle="",
        labels=LABELS[lang],
        sections=(
            Section("overview", WORDS[lang]["overview"], (one_day, nothing, empty)),
            Section("week", WORDS[lang]["regions"], (week,)),
        ),
    )


#: What the browser opens: a name, and how the document is made.
DOCUMENTS = {
    f"{make.__name__}-{lang}": (make, lang)
    for make in (rich, bare)
    for lang in ("en", "ja")
}
