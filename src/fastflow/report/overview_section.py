"""The overview: what was looked at, tables and figures 1 and 2, remarks on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastflow.report.document import (
    Block,
    Bullets,
    Paragraph,
    Section,
    Table,
)
from fastflow.report.layout import Layout
from fastflow.report.ranks import Ranked, Ranks
from fastflow.report.remarks import Level, Moves, Slope

#: Gaps that are told one by one.
_MOST_GAPS = 5


def overview_section(layout: Layout) -> Section:
    """Return the section, with one for ports, one for regions, and one of remarks."""
    words, report = layout.words, layout.report
    return Section(
        "overview",
        words.text("sections.overview"),
        tuple(Paragraph(text) for text in _about(layout)),
        (
            Section("ports", words.text("sections.ports"), _ranks(layout, "port")),
            Section(
                "source-regions",
                words.text("sections.source-regions"),
                _ranks(layout, "country"),
            ),
            Section("remarks", words.text("sections.remarks"), _remarks(layout)),
        )
        if report.overview.rate.packets
        else (),
    )


def _about(layout: Layout) -> Iterator[str]:
    report, words = layout.report, layout.words
    seen = report.overview
    period = words.span(report.period.first_day, report.period.last_day)
    yield words(
        "overview.subject",
        period=period,
        who=_who(layout),
        zone=words.zone(report.zone),
        sensors=len(seen.sensors),
    )
    if not seen.rate.packets:
        yield words.text("overview.nothing")
        return
    yield words(
        "overview.packets" if seen.sources is None else "overview.packets_sources",
        packets=seen.rate.packets, sources=seen.sources,
    )  # fmt: skip
    before = words.text(f"previous.{report.period.kind}.name")
    if report.previous is None:
        yield words("overview.no_previous", before=before)
    elif seen.packets_change is not None:
        yield words(
            "overview.change", before=before, change=seen.packets_change,
            packets=seen.previous_packets,
        )  # fmt: skip
    if seen.rate.per_address_day is None:
        yield words.text("overview.no_addresses")
    else:
        yield words(
            "overview.rate" if seen.rate.change is None else "overview.rate_change",
            addresses=seen.addresses, rate=seen.rate.per_address_day, before=before,
            change=seen.rate.change,
        )  # fmt: skip
    if seen.others and seen.others.per_address_day is not None:
        yield words(
            "overview.others", sensors=seen.n_others, rate=seen.others.per_address_day
        )
    yield from _gaps(layout)


def _who(layout: Layout) -> str:
    words, subject = layout.words, layout.report.subject
    if subject.wanted is None:
        return words.text("overview.all_sensors")
    if set(subject.wanted) <= set(subject.countries):
        names = [words.region(code) for code in subject.wanted]
        return words("overview.sensors_in", countries=names)
    return words("overview.sensors_named", names=subject.wanted)


def _gaps(layout: Layout) -> Iterator[str]:
    words, gaps = layout.words, layout.report.overview.gaps
    if layout.report.overview.addresses is None and not gaps:
        return
    if not gaps:
        yield words.text("overview.no_gaps")
        return
    told = [
        words("overview.gap", sensor=gap.sensor, start=gap.start, until=gap.until,
              hours=gap.hours)
        for gap in gaps[:_MOST_GAPS]
    ]  # fmt: skip
    yield words("overview.gaps", gaps=words.text("list.semicolon").join(told))
    if len(gaps) > _MOST_GAPS:
        yield words("overview.more_gaps", n=len(gaps))


def _ranks(layout: Layout, by: str) -> tuple[Block, ...]:
    """Return a table with its note, and a figure."""
    words, report = layout.words, layout.report
    ranks = report.ports if by == "port" else report.countries
    if not ranks.rows:
        return (Paragraph(words.text(f"ranks.none_{by}")),)
    table = _table(layout, ranks)
    figure = layout.figure(
        f"daily-{_PLURAL[by]}", f"daily_{by}", ranks.course, n=len(ranks.shown)
    )
    first = ranks.shown[0]
    lead = words(
        f"ranks.lead_{by}", name=_name(layout, by, first.key), share=first.share,
        n=len(ranks.shown),
    )  # fmt: skip
    return (Paragraph(lead), table, Paragraph(words.text(f"ranks.note_{by}")), figure)


_PLURAL = {"port": "ports", "country": "regions"}


def _name(layout: Layout, by: str, key: str) -> str:
    return layout.words.port(key) if by == "port" else layout.words.region(key)


def _table(layout: Layout, ranks: Ranks) -> Table:
    has_others = bool(layout.report.subject.others)
    columns = [
        ("rank", True),
        (ranks.by, False),
        ("previous_rank", True),
        ("packets", True),
        ("share", True),
        *([("sources", True)] if ranks.rows[0].sources is not None else []),
        *([("rank_elsewhere", True)] if has_others else []),
    ]
    rows = [
        (_texts(layout, ranks.by, row), _data(row)) for row in ranks.shown
    ]  # fmt: skip
    return layout.table(
        f"top-{_PLURAL[ranks.by]}", f"top_{ranks.by}", columns, rows, n=len(rows)
    )


def _texts(layout: Layout, by: str, row: Ranked) -> dict[str, str]:
    known = layout.report.settings["ranks_known"]
    elsewhere = row.rank_elsewhere
    return {
        "rank": str(row.rank),
        by: layout.words.port(row.key)
        if by == "port"
        else layout.words.country(row.key),
        "previous_rank": layout.rank(row.previous_rank),
        "packets": layout.count(row.packets),
        "share": layout.percent(row.share),
        "sources": layout.count(row.sources),
        "rank_elsewhere": layout.words("outside", n=known)
        if elsewhere is None
        else str(elsewhere),
    }


def _data(row: Ranked) -> dict[str, Any]:
    return {**vars(row), "known_as": row.known_as and row.known_as.name}


def _remarks(layout: Layout) -> tuple[Block, ...]:
    found = [text for by in ("port", "country") for text in _remarks_on(layout, by)]
    if not found:
        return (Paragraph(layout.words.text("remarks.none")),)
    return (Bullets(tuple(found)),)


def _remarks_on(layout: Layout, by: str) -> Iterator[str]:
    remarks = layout.report.remarks[by]
    for level in remarks.levels:
        yield _level(layout, by, level)
    for slope in remarks.slopes:
        yield _slope(layout, by, slope)
    if remarks.moves is not None:
        yield _moves(layout, by, remarks.moves)


def _level(layout: Layout, by: str, level: Level) -> str:
    words = layout.words
    name = _name(layout, by, level.key)
    if level.windows:
        windows = [str(one) for one in level.windows]
        name = words("remarks.with_windows", name=name, windows=windows)
    return words("remarks.high_since", name=name, since=level.since)


def _slope(layout: Layout, by: str, slope: Slope) -> str:
    words = layout.words
    has_sources = slope.first_sources is not None
    return words(
        f"remarks.{slope.direction}{'_sources' if has_sources else ''}",
        name=_name(layout, by, slope.key),
        span=words.span(slope.start, slope.end),
        first=slope.first_packets, last=slope.last_packets,
        few=slope.first_sources, many=slope.last_sources,
    )  # fmt: skip


def _moves(layout: Layout, by: str, moves: Moves) -> str:
    words = layout.words
    subject = words.text(f"remarks.ranks_{by}")
    if moves.stayed:
        return words("remarks.stayed", ranks=subject)
    sentences = []
    if moves.swapped:
        names = [_name(layout, by, key) for key in moves.swapped]
        sentences.append(words("remarks.swapped", names=names, ranks=subject))
    for row in moves.far:
        name = _name(layout, by, row.key)
        if row.previous_rank is None:
            known = layout.report.settings["ranks_known"]
            text = words("remarks.came_in", name=name, rank=row.rank, n=known)
        else:
            text = words(
                "remarks.moved", name=name, rank=row.rank, previous=row.previous_rank
            )
        sentences.append(text)
    key = "remarks.others_hardly" if sentences else "remarks.hardly"
    sentences.append(
        words(key, ranks=subject, places=layout.report.settings["hardly_moved"])
    )
    return words.text("sentences").join(sentences)
