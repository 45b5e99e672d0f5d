"""Backscatter, sensors, tools; by what method, from what data, within what limits."""

from __future__ import annotations

from typing import Any

from fastflow.report.document import Block, Bullets, Paragraph, Section
from fastflow.report.layout import Layout
from fastflow.report.origins import CountryTable
from fastflow.report.sensors import Rate

#: Days of a table of backscatter: those with attacks, or with the most packets.
_MOST_DAYS = 10


def backscatter_section(layout: Layout) -> Section:
    """Return what victims of attacks answered."""
    words, seen = layout.words, layout.report.backscatter
    title = words.text("sections.backscatter")
    if not seen.packets:
        text = words.text("backscatter.none")
        return Section("backscatter", title, (Paragraph(text),))
    key = "backscatter.packets" if seen.victims is None else "backscatter.victims"
    texts = [
        words(key, packets=seen.packets, share=seen.share, victims=seen.victims),
        words("backscatter.attacks", attacks=seen.attacks, attacked=seen.attacked)
        if seen.attacks
        else words.text("backscatter.no_attacks"),
    ]
    blocks: list[Block] = [Paragraph(text) for text in texts]
    blocks.append(layout.figure("backscatter-packets", "backscatter", seen.course))
    if seen.victims_course is not None:
        blocks.append(
            layout.figure("backscatter-victims", "victims", seen.victims_course)
        )
    order = sorted(seen.days, key=lambda one: (-one.attacks, -one.packets, one.day))
    shown = sorted(order[:_MOST_DAYS], key=lambda one: one.day)
    rows = [
        (
            {
                "day": words.day(one.day),
                "packets": layout.count(one.packets),
                "victims": layout.count(one.victims),
                "attacks": layout.count(one.attacks),
            },
            {**vars(one)},
        )
        for one in shown
        if one.packets
    ]
    columns = [("day", False), ("packets", True), ("victims", True), ("attacks", True)]
    blocks.append(layout.table("backscatter-days", "backscatter_days", columns, rows))
    return Section("backscatter", title, tuple(blocks))


def sensors_section(layout: Layout) -> Section:
    """Return packets per sensor address and day, sensor by sensor."""
    words, seen = layout.words, layout.report.overview
    title = words.text("sections.sensors")
    if not seen.sensors:
        return Section("sensors", title, (Paragraph(words.text("sensors.none")),))
    rows: list[tuple[dict[str, str], dict[str, Any]]] = []
    for one in seen.sensors:
        texts = {
            "sensor": one.sensor,
            "sensor_country": words.country(one.country),
            "sensor_addresses": layout.count(one.addresses),
            "gap_hours": layout.count(one.gap_hours),
            **_rate(layout, one.rate),
        }
        data = {name: value for name, value in vars(one).items() if name != "rate"}
        rows.append((texts, data | vars(one.rate)))
    columns = [
        ("sensor", False),
        ("sensor_country", False),
        ("sensor_addresses", True),
        ("gap_hours", True),
        ("packets", True),
        ("per_address_day", True),
        ("previous_rate", True),
        ("change", True),
    ]
    table = layout.table("sensors-rates", "sensors", columns, rows)
    return Section("sensors", title, (Paragraph(words.text("sensors.note")), table))


def _rate(layout: Layout, rate: Rate) -> dict[str, str]:
    return {
        "packets": layout.count(rate.packets),
        "per_address_day": layout.count(rate.per_address_day),
        "previous_rate": layout.count(rate.previous),
        "change": layout.change(rate.change),
    }


def tools_section(layout: Layout) -> Section:
    """Return the scanning tools that packets were made by."""
    words, tools = layout.words, layout.report.tools
    title = words.text("sections.tools")
    if not tools:
        return Section("tools", title, (Paragraph(words.text("tools.none")),))
    rows = [
        (
            {
                "tool": one.tool,
                "packets": layout.count(one.packets),
                "share": layout.percent(one.share),
                "sources": layout.count(one.sources),
                "previous_rank": layout.rank(one.previous_rank),
            },
            {**vars(one)},
        )
        for one in tools
    ]
    columns = [
        ("tool", False),
        ("packets", True),
        ("share", True),
        ("sources", True),
        ("previous_rank", True),
    ]
    return Section(
        "tools",
        title,
        (
            Paragraph(words.text("tools.note")),
            layout.table("tools-seen", "tools", columns, rows),
        ),
    )


def method_section(layout: Layout) -> Section:
    """Return how this was counted: method, definitions, data, limits, references."""
    words, report = layout.words, layout.report
    values = {
        "zone": words.zone(report.zone),
        "known": report.settings["ranks_known"],
        "least": report.settings["min_packets"],
        **report.settings["attack"],
    }
    sections = [
        _bullets(layout, "counting", words.filled("method.counting", **values)),
        _bullets(layout, "definitions", words.filled("method.definitions", **values)),
        _bullets(layout, "data-sources", _data_sources(layout)),
        _bullets(layout, "limits", words.filled("method.limits")),
        _bullets(layout, "references", _references(layout)),
    ]
    return Section("method", words.text("sections.method"), (), tuple(sections))


def _bullets(layout: Layout, name: str, texts: list[str]) -> Section:
    title = layout.words.text(f"sections.{name}")
    return Section(name, title, (Bullets(tuple(texts)),))


def _data_sources(layout: Layout) -> list[str]:
    words, of = layout.words, layout.report.origins
    texts = [
        words(
            "origins.captures", captures=of.captures, records=of.records,
            counted=of.counted,
        )
    ]  # fmt: skip
    if of.damaged:
        texts.append(words("origins.damaged", captures=of.damaged))
    if of.uncounted:
        reasons = [
            words("origins.reason", reason=reason, records=n)
            for reason, n in of.uncounted.items()
        ]
        texts.append(words("origins.uncounted", reasons=reasons))
    texts += [_country_table(layout, one) for one in of.country_tables]
    texts.append(words("origins.services", source=of.services))
    texts.append(words("origins.overlay", date=of.overlay_date))
    texts.append(words("origins.countries", source=of.countries))
    if of.rules:
        texts.append(words("origins.rules", versions=of.rules))
    texts += [words("origins.holders", source=one) for one in of.holders]
    texts.append(words("origins.version", version=of.version))
    return texts


def _country_table(layout: Layout, table: CountryTable) -> str:
    words = layout.words
    if table.first_date is None or table.last_date is None:
        return words("origins.table_undated", name=table.name, captures=table.captures)
    dates = words.span(table.first_date, table.last_date)
    return words("origins.table", name=table.name, dates=dates, captures=table.captures)


def _references(layout: Layout) -> list[str]:
    """Return where definitions are from, then sources of what is publicly known."""
    report = layout.report
    used = [row.known_as.source for row in report.ports.shown if row.known_as]
    used += [
        reading.source
        for story in report.phenomena.sections
        for reading in story.readings
    ]
    return [*layout.words.raw("references"), *dict.fromkeys(used)]
